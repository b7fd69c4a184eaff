#include "app/command_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum flag_id {
    FLAG_CONFIG,
    FLAG_DAEMON,
    FLAG_PORT,
    FLAG_VERBOSE,
    FLAG_QUIET,
    FLAG_TEST,
    FLAG_HELP,
    FLAG_VERSION,
    FLAG_DESCRIBE,
    FLAG_FORMAT,
    FLAG_DECODE_PROXY,
    FLAG_KEYLOG
};

/* Every flag once: the parser and the usage come from it. */
static const struct flag {
    const char *brief; /* or NULL */
    const char *full;
    const char *argument; /* NULL: takes none */
    enum flag_id id;
    const char *text;
} flags[] = {
    {"-c", "--config-file",  "FILE",   FLAG_CONFIG,       "Read the configuration from FILE."                 },
    {"-d", "--daemon",       NULL,     FLAG_DAEMON,       "Go into the background once clients are served."   },
    {"-p", "--port",         "PORT",   FLAG_PORT,
     "Listen on this port of the loopback addresses. Up to 10 times; not with listeners in FILE."             },
    {"-v", "--verbose",      NULL,     FLAG_VERBOSE,      "Write every type of log line, whatever FILE says." },
    {"-q", "--quiet",        NULL,     FLAG_QUIET,        "Write no log, whatever FILE and -v say."           },
    {NULL, "--test-config",  NULL,     FLAG_TEST,         "Check FILE and end: 0 when it is good, 3 when not."},
    {NULL, "--describe",     "WHAT",   FLAG_DESCRIBE,
     "Print a page: options, metrics, mosquitto, packets, properties, reasons."                               },
    {NULL, "--format",       "FORMAT", FLAG_FORMAT,       "How to print it: md (the default), man or json."   },
    {NULL, "--decode-proxy", "HEX",    FLAG_DECODE_PROXY,
     "Print what is understood of these first bytes of a connection from a proxy."                            },
    {"-h", "--help",         NULL,     FLAG_HELP,         "Print this."                                       },
    {NULL, "--version",      NULL,     FLAG_VERSION,      "Print the version."                                },
    {NULL, "--tls-keylog",   "FILE",   FLAG_KEYLOG,
     "Append the keys of all TLS connections to FILE, to look into them."                                     },
};

void command_line_request(const struct command_line *line, struct config_request *request_out)
{
    *request_out = (struct config_request){.path = line->config_path, .port_len = line->port_len};
    memcpy(request_out->ports, line->ports, sizeof(request_out->ports));
}

void command_line_usage(FILE *file, const char *name)
{
    fprintf(file, "Usage: %s [OPTION]...\n\n", name);
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        char left[64];

        snprintf(left, sizeof(left), "%s%s%s %s", flags[i].brief ? flags[i].brief : "",
                 flags[i].brief ? ", " : "    ", flags[i].full,
                 flags[i].argument ? flags[i].argument : "");
        fprintf(file, "  %-26s %s\n", left, flags[i].text);
    }
}

static const struct flag *find_flag(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if ((flags[i].brief && strcmp(flags[i].brief, name) == 0) ||
            strcmp(flags[i].full, name) == 0) {
            return &flags[i];
        }
    }
    return NULL;
}

static int complain(const char *format, const char *what)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    fprintf(stderr, format, what);
#pragma GCC diagnostic pop
    return COMMAND_LINE_INVALID;
}

static int add_port(struct command_line *line, const char *text)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || port == 0 || port > UINT16_MAX) {
        return complain("Error: Invalid port specified (%s).\n", text);
    }
    if (line->port_len == CONFIG_PORT_MAX) {
        return complain("Error: Only 10 ports can be specified (%s).\n", text);
    }
    line->ports[line->port_len++] = (uint16_t)port;
    return COMMAND_LINE_OK;
}

static int apply(struct command_line *line, const struct flag *flag, const char *argument)
{
    switch (flag->id) {
    case FLAG_CONFIG: line->config_path = argument; break;
    case FLAG_DAEMON: line->is_daemon = true; break;
    case FLAG_PORT: return add_port(line, argument);
    case FLAG_VERBOSE: line->verbose = true; break;
    case FLAG_QUIET: line->quiet = true; break;
    case FLAG_TEST: line->command = COMMAND_TEST_CONFIG; break;
    case FLAG_HELP: line->command = COMMAND_HELP; break;
    case FLAG_VERSION: line->command = COMMAND_VERSION; break;
    case FLAG_FORMAT: line->format = argument; break;
    case FLAG_DESCRIBE:
        line->command = COMMAND_DESCRIBE;
        line->describe = argument;
        break;
    case FLAG_DECODE_PROXY:
        line->command = COMMAND_DECODE_PROXY;
        line->proxy_header = argument;
        break;
    case FLAG_KEYLOG: line->keylog_path = argument; break;
    }
    return COMMAND_LINE_OK;
}

int command_line_parse(int count, char **arguments, struct command_line *line_out)
{
    int r = COMMAND_LINE_OK;

    *line_out = (struct command_line){.format = "md"};
    for (int i = 1; i < count && r == COMMAND_LINE_OK; i++) {
        const struct flag *flag = find_flag(arguments[i]);

        if (!flag) {
            fprintf(stderr, "Error: Unknown option '%s'.\n", arguments[i]);
            return COMMAND_LINE_UNKNOWN;
        }
        if (flag->argument && i + 1 == count) {
            return complain("Error: %s argument given but no value specified.\n", flag->full);
        }
        r = apply(line_out, flag, flag->argument ? arguments[++i] : "");
    }
    if (r == COMMAND_LINE_OK && line_out->command == COMMAND_TEST_CONFIG &&
        !line_out->config_path) {
        return complain("Error: Please provide a %s file to test.\n", "configuration");
    }
    return r;
}
