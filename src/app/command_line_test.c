#include "app/command_line.h"
#include "base/test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGUMENT_CAP 24

/* Arguments are separated by single blanks; none may hold one. */
static int parse(const char *text, struct command_line *line_out)
{
    static char copy[512];
    char *arguments[ARGUMENT_CAP] = {0};
    int count = 0;
    char *rest = copy;

    assert_true(strlen(text) < sizeof(copy));
    strcpy(copy, text);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        assert_true(count + 1 < ARGUMENT_CAP);
        arguments[count++] = word;
    }
    return command_line_parse(count, arguments, line_out);
}

/* What goes to stderr meanwhile. */
static int parse_quietly(const char *text, char *said, size_t cap)
{
    struct command_line line;
    int before = dup(2);
    int fds[2];
    ssize_t len;
    int r;

    assert_int_equal(pipe(fds), 0);
    fflush(stderr);
    dup2(fds[1], 2);
    r = parse(text, &line);
    fflush(stderr);
    dup2(before, 2);
    close(before);
    close(fds[1]);
    len = read(fds[0], said, cap - 1);
    said[len > 0 ? len : 0] = '\0';
    close(fds[0]);
    return r;
}

static void test_what_is_understood(void **state)
{
    static const struct {
        const char *text;
        enum command command;
        const char *config;
        bool verbose;
        bool quiet;
    } rows[] = {
        {"nightjar",                    COMMAND_RUN,         NULL, false, false},
        {"nightjar -c f",               COMMAND_RUN,         "f",  false, false},
        {"nightjar --config-file f -v", COMMAND_RUN,         "f",  true,  false},
        {"nightjar -v -c f -q",         COMMAND_RUN,         "f",  true,  true },
        {"nightjar -c a -c b",          COMMAND_RUN,         "b",  false, false},
        {"nightjar -c -v",              COMMAND_RUN,         "-v", false, false},
        {"nightjar --test-config -c f", COMMAND_TEST_CONFIG, "f",  false, false},
        {"nightjar -c f --test-config", COMMAND_TEST_CONFIG, "f",  false, false},
        {"nightjar -h",                 COMMAND_HELP,        NULL, false, false},
        {"nightjar --help",             COMMAND_HELP,        NULL, false, false},
        {"nightjar --version",          COMMAND_VERSION,     NULL, false, false},
        {"nightjar --verbose --quiet",  COMMAND_RUN,         NULL, true,  true },
        {"nightjar --describe options", COMMAND_DESCRIBE,    NULL, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct command_line line;

        assert_int_equal(parse(rows[i].text, &line), COMMAND_LINE_OK);
        assert_int_equal(line.command, rows[i].command);
        assert_int_equal(line.verbose, rows[i].verbose);
        assert_int_equal(line.quiet, rows[i].quiet);
        if (rows[i].config) {
            assert_string_equal(line.config_path, rows[i].config);
        } else {
            assert_null(line.config_path);
        }
    }
}

static void test_ports(void **state)
{
    struct command_line line;

    (void)state;
    assert_int_equal(parse("n -p 1 --port 65535 -p 1883", &line), COMMAND_LINE_OK);
    assert_int_equal(line.port_len, 3);
    assert_int_equal(line.ports[0], 1);
    assert_int_equal(line.ports[1], 65535);
    assert_int_equal(line.ports[2], 1883);
    assert_int_equal(parse("n -p 1 -p 2 -p 3 -p 4 -p 5 -p 6 -p 7 -p 8 -p 9 -p 10", &line),
                     COMMAND_LINE_OK);
    assert_int_equal(line.port_len, CONFIG_PORT_MAX);
}

static void test_the_background(void **state)
{
    struct command_line line;

    (void)state;
    assert_int_equal(parse("n -c f", &line), COMMAND_LINE_OK);
    assert_false(line.is_daemon);
    assert_int_equal(parse("n -d -c f", &line), COMMAND_LINE_OK);
    assert_true(line.is_daemon);
    assert_int_equal(parse("n --daemon", &line), COMMAND_LINE_OK);
    assert_true(line.is_daemon);
}

/* Every option has its line, after the name that the program was started by. */
static void test_usage(void **state)
{
    static const char *const names[] = {"-c, --config-file", "-d, --daemon",  "-p, --port",
                                        "-q, --quiet",       "-v, --verbose", "-h, --help",
                                        "--test-config",     "--version",     "--describe"};
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    (void)state;
    assert(file);
    command_line_usage(file, "mosquitto");
    fclose(file);
    assert_ptr_equal(strstr(text, "Usage: mosquitto "), text);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_non_null(strstr(text, names[i]));
    }
    free(text);
}

static void test_describing(void **state)
{
    struct command_line line;

    (void)state;
    assert_int_equal(parse("n --describe options --format json", &line), COMMAND_LINE_OK);
    assert_string_equal(line.describe, "options");
    assert_string_equal(line.format, "json");
    assert_int_equal(parse("n --describe options", &line), COMMAND_LINE_OK);
    assert_string_equal(line.format, "md");
}

/* Each is refused, and the words say which argument it was. */
static void test_what_is_refused(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } rows[] = {
        {"n -x",                                                       "Unknown option '-x'"                },
        {"n file.conf",                                                "Unknown option 'file.conf'"         },
        {"n -cfile",                                                   "Unknown option '-cfile'"            },
        {"n -",                                                        "Unknown option '-'"                 },
        {"n --",                                                       "Unknown option '--'"                },
        {"n -c",                                                       "--config-file argument given but no"},
        {"n -v -p",                                                    "--port argument given but no value" },
        {"n -p 0",                                                     "Invalid port specified (0)"         },
        {"n -p 65536",                                                 "Invalid port specified (65536)"     },
        {"n -p -1",                                                    "Invalid port specified (-1)"        },
        {"n -p 1883x",                                                 "Invalid port specified (1883x)"     },
        {"n -p x",                                                     "Invalid port specified (x)"         },
        {"n -p 0x75b",                                                 "Invalid port specified (0x75b)"     },
        {"n -p 99999999999999999999999",                               "Invalid port specified (9"          },
        {"n --test-config",                                            "Please provide a configuration file"},
        {"n --tls-keylog",                                             "--tls-keylog argument given but"    },
        {"n -p 1 -p 2 -p 3 -p 4 -p 5 -p 6 -p 7 -p 8 -p 9 -p 10 -p 11", "Only 10 ports"                      },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char said[256];

        assert_int_equal(parse_quietly(rows[i].text, said, sizeof(said)),
                         strstr(rows[i].says, "Unknown") ? COMMAND_LINE_UNKNOWN
                                                         : COMMAND_LINE_INVALID);
        if (!strstr(said, rows[i].says) || strncmp(said, "Error: ", 7) != 0) {
            fail_msg("%s: %s", rows[i].text, said);
        }
        assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_understood), cmocka_unit_test(test_ports),
        cmocka_unit_test(test_the_background),     cmocka_unit_test(test_usage),
        cmocka_unit_test(test_describing),         cmocka_unit_test(test_what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
