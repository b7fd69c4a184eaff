#pragma once

/*
 * Describe
 *
 * The tables as documents: the reference pages in docs/, manual pages, JSON for tools, and of the
 * options also the dictionary of the fuzzer, `fuzz/config.dict`. A test compares the kept files
 * with the tables.
 */

#include "config/page.h"

/* What can be described. Ends with a NULL name. */
struct describe_subject {
    const char *name;
    int (*print)(FILE *file, enum describe_format format);
};

extern const struct describe_subject describe_subjects[];

/* 0, -EIO when the file took not everything, or -ENOMEM. */
int describe_options(FILE *file, enum describe_format format) MUST_CHECK;
