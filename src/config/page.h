#pragma once

/*
 * Page
 *
 * A table as a document: Markdown for the reference pages, roff for manual pages, JSON for tools.
 * Rows come one by one, each as a text per column.
 */

#include "base/base.h"

#include <stdio.h>

enum describe_format {
    DESCRIBE_MARKDOWN,
    DESCRIBE_MAN,
    DESCRIBE_JSON,
    DESCRIBE_DICTIONARY /* of a fuzzer; of options alone */
};

#define PAGE_COLUMN_CAP 8

struct page {
    const char *name;                     /* of the manual page: "nightjar-reasons" */
    const char *title;                    /* "Reason codes" */
    const char *intro;                    /* a few sentences, in lines of Markdown */
    const char *columns[PAGE_COLUMN_CAP]; /* their heads; the first names the row */
    const char *keys[PAGE_COLUMN_CAP];    /* the same in JSON */
    unsigned column_len;
    size_t row_len;

    /* Writes one cell of a row, without line ends and `|`. */
    void (*print)(FILE *file, size_t row, unsigned column);
};

/* 0, -EIO when the file took not everything, or -ENOMEM. The format is none of a fuzzer. */
int page_print(FILE *file, const struct page *page, enum describe_format format) MUST_CHECK;

/* Text inside of another format: roff's and JSON's special characters are escaped. */
void page_print_man(FILE *file, const char *text);
void page_print_json(FILE *file, const char *text);
