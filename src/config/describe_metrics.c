#include "config/describe_metrics.h"

#include "metrics/metrics.h"

enum metric_column { COLUMN_NAME, COLUMN_KIND, COLUMN_UNIT, COLUMN_TOPICS, COLUMN_TEXT };

static void print_name(FILE *file, const struct metric_row *row)
{
    fputs(row->name, file);
    if (row->labels || row->label) {
        fprintf(file, "{%s}", row->labels ? row->labels : row->label);
    }
}

static void print_topics(FILE *file, const struct metric_row *row)
{
    if (row->topic) {
        fprintf(file, "`%s`", row->topic);
    }
    if (row->alias) {
        fprintf(file, ", `%s`", row->alias);
    }
    if (row->load) {
        fprintf(file, "%s`%s/...`", row->topic ? ", " : "", row->load);
    }
    if (row->listener) {
        fprintf(file, "%s`listener/{name}/%s", row->topic || row->load ? ", " : "", row->listener);
        if (row->label) {
            fprintf(file, "/{%s}", row->label);
        }
        fputc('`', file);
    }
}

static void print_metric(FILE *file, size_t number, unsigned column)
{
    const struct metric_row *row = &metric_rows[number];

    switch ((enum metric_column)column) {
    case COLUMN_NAME: print_name(file, row); break;
    case COLUMN_KIND: fputs(row->kind == METRIC_COUNTER ? "counter" : "gauge", file); break;
    case COLUMN_UNIT: fputs(row->unit, file); break;
    case COLUMN_TOPICS: print_topics(file, row); break;
    case COLUMN_TEXT: fputs(row->text, file); break;
    }
}

struct page describe_metrics_page(void)
{
    return (struct page){
        .name = "nightjar-metrics",
        .title = "Metrics",
        .intro =
            "What the broker counts. Counters begin with 0 at the start and only grow; gauges say\n"
            "what is there now. All are exact sums over all workers.\n"
            "\n"
            "Those with topics are published below `$SYS/broker/`, retained, with QoS 2, every\n"
            "`sys_interval` seconds where they have changed ([running](running.md)). `load/...` "
            "stands\n"
            "for averages over the latest `1min`, `5min` and `15min`, each per minute.\n"
            "\n"
            "`listener/{name}/...` is the part of one listener since it was opened: its port, with "
            "what\n"
            "it is bound to where the configuration says so (`1883`, `127.0.0.1:1883`, "
            "`1883@eth0`,\n"
            "`1883-ipv4`), or its path with `%2F` for each slash. A listener that goes on through "
            "a\n"
            "reload goes on counting; the topics of one that closes are removed, and if it is "
            "opened\n"
            "again it begins with 0. Where a code or a reason is the last level, a topic is there "
            "from\n"
            "the first time on.\n",
        .columns = {"Metric", "Kind", "Unit", "Topics", "What it counts"},
        .keys = {"name",   "kind", "unit", "topics", "text"          },
        .column_len = COLUMN_TEXT + 1,
        .row_len = metric_row_len,
        .print = print_metric,
    };
}
