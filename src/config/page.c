#include "config/page.h"

#include <stdlib.h>

/* A cell as text, the caller's to free; NULL without memory. */
static char *cell_of(const struct page *page, size_t row, unsigned column)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    if (!file) {
        return NULL;
    }
    page->print(file, row, column);
    if (fclose(file) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* Code marks are Markdown's; a line must not begin as a request does. */
void page_print_man(FILE *file, const char *text)
{
    if (*text == '.' || *text == '\'') {
        fputs("\\&", file);
    }
    for (; *text; text++) {
        switch (*text) {
        case '`': break;
        case '\\': fputs("\\e", file); break;
        case '-': fputs("\\-", file); break;
        default: fputc(*text, file); break;
        }
    }
}

void page_print_json(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', file);
        }
        fputc(*text, file);
    }
    fputc('"', file);
}

typedef void print_cell_fn(FILE *file, const struct page *page, unsigned column, const char *text);

static void print_markdown_cell(FILE *file, const struct page *page, unsigned column,
                                const char *text)
{
    fprintf(file, column == 0 ? "| %s |" : *text ? " %s |" : "%s |", text);
    if (column + 1 == page->column_len) {
        fputc('\n', file);
    }
}

static void print_man_cell(FILE *file, const struct page *page, unsigned column, const char *text)
{
    if (column == 0) {
        fputs(".TP\n.B ", file);
        page_print_man(file, text);
        fputc('\n', file);
    } else if (*text) {
        page_print_man(file, page->columns[column]);
        fputs(": ", file);
        page_print_man(file, text);
        fputs(column + 1 < page->column_len ? ".\n.br\n" : ".\n", file);
    }
}

static void print_json_cell(FILE *file, const struct page *page, unsigned column, const char *text)
{
    fputs(column == 0 ? "  {" : ", ", file);
    page_print_json(file, page->keys[column]);
    fputs(": ", file);
    page_print_json(file, text);
    if (column + 1 == page->column_len) {
        fputc('}', file);
    }
}

static int print_rows(FILE *file, const struct page *page, print_cell_fn *print_cell,
                      const char *separator)
{
    for (size_t row = 0; row < page->row_len; row++) {
        for (unsigned column = 0; column < page->column_len; column++) {
            char *text = cell_of(page, row, column);

            if (!text) {
                return -ENOMEM;
            }
            print_cell(file, page, column, text);
            free(text);
        }
        fputs(row + 1 < page->row_len ? separator : "", file);
    }
    return 0;
}

static void print_markdown_head(FILE *file, const struct page *page)
{
    fprintf(file, "# %s\n\n%s\n", page->title, page->intro);
    for (unsigned i = 0; i < page->column_len; i++) {
        fprintf(file, "| %s ", page->columns[i]);
    }
    fputs("|\n", file);
    for (unsigned i = 0; i < page->column_len; i++) {
        fputs("|---", file);
    }
    fputs("|\n", file);
}

static void print_man_head(FILE *file, const struct page *page)
{
    fprintf(file, ".TH %s 7 \"\" \"Nightjar " NIGHTJAR_VERSION "\"\n.SH NAME\n", page->name);
    page_print_man(file, page->name);
    fputs(" \\- ", file);
    page_print_man(file, page->title);
    fputs("\n.SH DESCRIPTION\n", file);
    page_print_man(file, page->intro);
    fputs(".SH LIST\n", file);
}

int page_print(FILE *file, const struct page *page, enum describe_format format)
{
    int r = 0;

    switch (format) {
    case DESCRIBE_MARKDOWN:
        print_markdown_head(file, page);
        r = print_rows(file, page, print_markdown_cell, "");
        break;
    case DESCRIBE_MAN:
        print_man_head(file, page);
        r = print_rows(file, page, print_man_cell, "");
        break;
    case DESCRIBE_JSON:
        fputs("[\n", file);
        r = print_rows(file, page, print_json_cell, ",\n");
        fputs("\n]\n", file);
        break;
    case DESCRIBE_DICTIONARY: assert(false); break;
    }
    if (r < 0) {
        return r;
    }
    return fflush(file) != 0 || ferror(file) ? -EIO : 0;
}
