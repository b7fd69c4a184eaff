#include "base/log_events.h"

#include <string.h>

const struct log_event_row log_events[LOG_EVENT_LEN] = {
#define LOG_EVENT(NAME, name, limited, fields, text) \
    [LOG_EVENT_##NAME] = {#name, limited, fields, text},
#include "base/log_events.def"
#undef LOG_EVENT
};

static const char head[] = "# Events\n"
                           "\n"
                           "The kinds of lines in the log. With `log_format json` each line names "
                           "its event; the names and\n"
                           "keys below are stable, the words of `message` need not be. Every line "
                           "also has `time`, `type`,\n"
                           "`event` and `message` ([log](log.md)); a key stands only where there "
                           "is something to say. Events\n"
                           "marked * are limited by `log_repeat_limit`.\n"
                           "\n"
                           "| Event | Keys | When |\n"
                           "|---|---|---|\n";

static void print_fields(FILE *file, const char *fields)
{
    while (*fields) {
        int len = (int)strcspn(fields, " ");

        fprintf(file, "`%.*s`", len, fields);
        fields += len;
        fields += strspn(fields, " ");
        fputs(*fields ? ", " : "", file);
    }
}

int log_events_describe(FILE *file)
{
    fputs(head, file);
    for (unsigned i = 0; i < LOG_EVENT_LEN; i++) {
        const struct log_event_row *row = &log_events[i];

        fprintf(file, "| `%s`%s | ", row->name, row->is_limited ? " *" : "");
        print_fields(file, row->fields);
        fprintf(file, "%s| %s |\n", *row->fields ? " " : "", row->text);
    }
    return fflush(file) == 0 && !ferror(file) ? 0 : -EIO;
}
