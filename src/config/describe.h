#pragma once

/*
 * Describe
 *
 * The table of options as documents: the reference page `docs/options.md`, JSON for tools, and the
 * dictionary of the fuzzer, `fuzz/config.dict`. A test compares the files with the table.
 */

#include "base/base.h"

#include <stdio.h>

enum describe_format { DESCRIBE_MARKDOWN, DESCRIBE_JSON, DESCRIBE_DICTIONARY };

/* 0, or -EIO when the file took not everything. */
int describe_options(FILE *file, enum describe_format format) MUST_CHECK;
