#include "config/describe.h"

#include "config/describe_metrics.h"
#include "config/describe_mosquitto.h"
#include "config/describe_mqtt.h"
#include "config/options.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *const type_names[] = {
    [OPTION_BOOL] = "bool",       [OPTION_INTEGER] = "integer", [OPTION_BYTES] = "bytes",
    [OPTION_SECONDS] = "seconds", [OPTION_STRING] = "string",   [OPTION_PATH] = "path",
    [OPTION_CHOICE] = "choice",   [OPTION_CUSTOM] = "custom",   [OPTION_BLOCK] = "block",
    [OPTION_INCLUDE] = "include",
};

static const char *const scope_names[] = {
    [OPTION_GLOBAL] = "global",
    [OPTION_LISTENER] = "listener",
    [OPTION_DEFAULT_LISTENER] = "default listener",
    [OPTION_BRIDGE] = "bridge",
    [OPTION_PLUGIN] = "plugin",
};

static const char *const reload_names[] = {
    [OPTION_NEVER] = "never",
    [OPTION_LIVE] = "live",
    [OPTION_RELOAD_LISTENER] = "listener",
    [OPTION_RELOAD_BRIDGE] = "bridge",
};

static const char *const status_names[] = {
    [OPTION_LATER] = "not supported yet",
    [OPTION_ONLY] = "only one value yet",
    [OPTION_ACCEPTED] = "accepted without effect",
    [OPTION_BUILT] = "built",
};

static const char page_head[] =
    "# Options\n"
    "\n"
    "Everything that may stand in `mosquitto.conf`: one option per line, a name, a space, a "
    "value.\n"
    "A line whose very first character is `#` is a comment. Bools are `true` or `1`, `false` or "
    "`0`;\n"
    "numbers may be decimal, `0x` hexadecimal or, with a leading `0`, octal.\n"
    "\n"
    "An option of a listener belongs to the latest `listener` line of the same file. *Reload* "
    "says\n"
    "when a changed value takes effect: `never` before the next start, `live` at once, `listener`\n"
    "for new connections, `bridge` at the bridge's next connection. An option or a value that is\n"
    "not supported yet is refused at the start. Options marked * are unknown to Mosquitto.\n"
    "\n"
    "| Option | Type | Scope | Default | Values | Reload | Status | What it says |\n"
    "|---|---|---|---|---|---|---|---|\n";

static void print_values(FILE *file, const struct option *option)
{
    const char *separator = "";

    for (const struct option_choice *c = option->choices; c && c->name; c++) {
        fprintf(file, "%s`%s`", separator, c->name);
        separator = ", ";
    }
    if (option_is_number(option)) {
        fprintf(file, "%" PRId64 "..%" PRId64, option->min, option->max);
    } else if (option->max != 0) {
        fprintf(file, "up to %" PRId64 " bytes", option->max);
    }
    if (option->repeats) {
        fprintf(file, "%srepeats", option->choices || option->max != 0 ? "; " : "");
    }
}

static void print_status(FILE *file, const struct option *option)
{
    if (option->status == OPTION_ONLY) {
        fprintf(file, "only `%s` yet", option->only);
    } else {
        fputs(status_names[option->status], file);
    }
    if (option->refused) {
        fprintf(file, ": %s", option->refused);
    }
    if (option->note) {
        fprintf(file, ": %s", option->note);
    }
    if (option->deprecated_for) {
        fprintf(file, "; deprecated for `%s`", option->deprecated_for);
    }
}

static void print_row(FILE *file, const struct option *option)
{
    fprintf(file, "| `%s%s`%s ", option->name, option->is_prefix ? "..." : "",
            option->is_ours ? " *" : "");
    if (option->alias_of) {
        fprintf(file, "| | | | | | | The same as `%s`. |\n", option->alias_of);
        return;
    }
    fprintf(file, "| %s | %s | ", type_names[option->type], scope_names[option->scope]);
    if (option->fallback) {
        fprintf(file, "`%s`", option->fallback);
    }
    fputs(" | ", file);
    print_values(file, option);
    fprintf(file, " | %s | ", reload_names[option->reload]);
    print_status(file, option);
    fprintf(file, " | %s |\n", option->doc);
}

static void print_json_text(FILE *file, const char *name, const char *text)
{
    if (text) {
        fprintf(file, ", \"%s\": ", name);
        page_print_json(file, text);
    }
}

static void print_json_choices(FILE *file, const struct option *option)
{
    if (!option->choices) {
        return;
    }
    fputs(", \"choices\": [", file);
    for (const struct option_choice *c = option->choices; c->name; c++) {
        fprintf(file, "%s\"%s\"", c == option->choices ? "" : ", ", c->name);
    }
    fputs("]", file);
}

static void print_json_row(FILE *file, const struct option *option)
{
    fprintf(file, "  {\"name\": \"%s\"", option->name);
    print_json_text(file, "alias_of", option->alias_of);
    if (!option->alias_of) {
        print_json_text(file, "type", type_names[option->type]);
        print_json_text(file, "scope", scope_names[option->scope]);
        print_json_text(file, "default", option->fallback);
        if (option_is_number(option)) {
            fprintf(file, ", \"min\": %" PRId64 ", \"max\": %" PRId64, option->min, option->max);
        }
        print_json_choices(file, option);
        print_json_text(file, "reload", reload_names[option->reload]);
        print_json_text(file, "status", status_names[option->status]);
        print_json_text(file, "only", option->only);
        print_json_text(file, "note", option->note);
        print_json_text(file, "deprecated_for", option->deprecated_for);
        print_json_text(file, "text", option->doc);
    }
    fprintf(file, ", \"repeats\": %s, \"prefix\": %s, \"mosquitto\": %s}",
            option->repeats ? "true" : "false", option->is_prefix ? "true" : "false",
            option->is_ours ? "false" : "true");
}

static void print_json(FILE *file)
{
    fputs("[\n", file);
    for (size_t i = 0; i < option_len; i++) {
        print_json_row(file, &options[i]);
        fputs(i + 1 < option_len ? ",\n" : "\n", file);
    }
    fputs("]\n", file);
}

static void print_man_head(FILE *file)
{
    fputs(
        ".TH nightjar.conf 5 \"\" \"Nightjar " NIGHTJAR_VERSION "\"\n"
        ".SH NAME\nnightjar.conf \\- the configuration of nightjar\n.SH DESCRIPTION\n"
        "One option per line: a name, a space, a value. A line whose very first character is # is "
        "a\ncomment. An option of a listener belongs to the latest listener line of the same "
        "file.\nWhat is marked * is unknown to Mosquitto.\n.SH OPTIONS\n",
        file);
}

/* "LABEL: text." on a line of its own; nothing for no text. */
static void print_man_line(FILE *file, const char *label, const char *text)
{
    if (text && *text) {
        fprintf(file, ".br\n%s: ", label);
        page_print_man(file, text);
        fputs(".\n", file);
    }
}

/* What `print` says of an option, the caller's to free; NULL without memory. */
static char *text_of(const struct option *option, void (*print)(FILE *, const struct option *))
{
    char *text = NULL;
    size_t len;
    FILE *stream = open_memstream(&text, &len);

    if (!stream) {
        return NULL;
    }
    print(stream, option);
    if (fclose(stream) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int print_man_facts(FILE *file, const struct option *option)
{
    char *status = text_of(option, print_status);
    char *values = text_of(option, print_values);

    if (!status || !values) {
        free(status);
        free(values);
        return -ENOMEM;
    }
    print_man_line(file, "Type", type_names[option->type]);
    print_man_line(file, "Scope", scope_names[option->scope]);
    print_man_line(file, "Default", option->fallback);
    print_man_line(file, "Values", values);
    print_man_line(file, "Reload", reload_names[option->reload]);
    print_man_line(file, "Status", status);
    free(status);
    free(values);
    return 0;
}

static int print_man(FILE *file)
{
    int r = 0;

    print_man_head(file);
    for (size_t i = 0; i < option_len && r == 0; i++) {
        const struct option *option = &options[i];

        fprintf(file, ".TP\n.B %s%s%s\n", option->name, option->is_prefix ? "..." : "",
                option->is_ours ? " *" : "");
        if (option->alias_of) {
            fprintf(file, "The same as %s.\n", option->alias_of);
            continue;
        }
        page_print_man(file, option->doc);
        fputc('\n', file);
        r = print_man_facts(file, option);
    }
    return r;
}

static void print_dictionary(FILE *file)
{
    for (size_t i = 0; i < option_len; i++) {
        const struct option *option = &options[i];

        fprintf(file, "\"%s%s\"\n", option->name, option->is_prefix ? "x " : " ");
        for (const struct option_choice *c = option->choices; c && c->name; c++) {
            fprintf(file, "\"%s\"\n", c->name);
        }
    }
}

int describe_options(FILE *file, enum describe_format format)
{
    int r = 0;

    switch (format) {
    case DESCRIBE_MARKDOWN:
        fputs(page_head, file);
        for (size_t i = 0; i < option_len; i++) {
            print_row(file, &options[i]);
        }
        break;
    case DESCRIBE_MAN: r = print_man(file); break;
    case DESCRIBE_JSON: print_json(file); break;
    case DESCRIBE_DICTIONARY: print_dictionary(file); break;
    }
    if (r < 0) {
        return r;
    }
    return fflush(file) != 0 || ferror(file) ? -EIO : 0;
}

static int describe_metrics(FILE *file, enum describe_format format)
{
    struct page page = describe_metrics_page();

    return page_print(file, &page, format);
}

static int describe_packets(FILE *file, enum describe_format format)
{
    return page_print(file, &describe_packets_page, format);
}

static int describe_properties(FILE *file, enum describe_format format)
{
    return page_print(file, &describe_properties_page, format);
}

static int describe_reasons(FILE *file, enum describe_format format)
{
    struct page page = describe_reasons_page();

    return page_print(file, &page, format);
}

static int describe_mosquitto(FILE *file, enum describe_format format)
{
    struct page page = describe_mosquitto_page();

    return page_print(file, &page, format);
}

const struct describe_subject describe_subjects[] = {
    {"metrics",         describe_metrics},
    {"options",                 describe_options},
    {"mosquitto",describe_mosquitto},
    {"packets",       describe_packets},
    {"properties",                 describe_properties},
    {"reasons",describe_reasons},
    {0     },
};
