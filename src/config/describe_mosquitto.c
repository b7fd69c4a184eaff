#include "config/describe_mosquitto.h"

#include "config/options.h"

enum { COLUMN_NAME, COLUMN_VERDICT, COLUMN_WHY, COLUMN_LEN };

/* The row of this number among those that Mosquitto knows. */
static const struct option *find_row(size_t number)
{
    for (size_t i = 0; i < option_len; i++) {
        if (!options[i].is_ours && number-- == 0) {
            return &options[i];
        }
    }
    assert(false);
    return NULL;
}

static size_t row_len(void)
{
    size_t len = 0;

    for (size_t i = 0; i < option_len; i++) {
        len += options[i].is_ours ? 0 : 1;
    }
    return len;
}

static const struct option *resolve(const struct option *option)
{
    return option->alias_of ? option_find(slice_of_text(option->alias_of)) : option;
}

static const char *verdict(const struct option *option)
{
    if (option->refused) {
        return "no";
    }
    if (option->status == OPTION_LATER || option->status == OPTION_ONLY) {
        return "not yet";
    }
    if (option->better) {
        return option->missing ? "better, in part not yet" : "better";
    }
    return option->missing ? "not yet" : "same";
}

static void print_why(FILE *file, const struct option *row)
{
    const struct option *option = resolve(row);

    if (row->alias_of) {
        fprintf(file, "another name of `%s`", row->alias_of);
        return;
    }
    if (option->status == OPTION_LATER) {
        fputs("refused", file);
    } else if (option->status == OPTION_ONLY) {
        fprintf(file, "all but `%s` is refused", option->only);
    }
    if (option->refused) {
        fprintf(file, ": %s", option->refused);
    }
    if (option->better) {
        fputs(option->better, file);
    }
    if (option->missing) {
        fprintf(file, "%s%s", option->better ? "; " : "", option->missing);
    }
}

static void print_cell(FILE *file, size_t number, unsigned column)
{
    const struct option *row = find_row(number);

    switch (column) {
    case COLUMN_NAME: fprintf(file, "`%s%s`", row->name, row->is_prefix ? "..." : ""); break;
    case COLUMN_VERDICT: fputs(verdict(resolve(row)), file); break;
    default: print_why(file, row); break;
    }
}

struct page describe_mosquitto_page(void)
{
    return (struct page){
        .name = "nightjar-mosquitto",
        .title = "The options of Mosquitto",
        .intro = "Each name that Mosquitto 2.1 knows, and what Nightjar makes of it.\n",
        .columns = {"Option", "Nightjar", "Why"},
        .keys = {"name",   "verdict",  "why"},
        .column_len = COLUMN_LEN,
        .row_len = row_len(),
        .print = print_cell,
    };
}
