#pragma once

/*
 * Values
 *
 * From the text behind an option's name to the field in the settings, as the option's row says.
 */

#include "config/options.h"

/*
 * Reads a value into the target. 0, a verdict, or -ENOMEM. The text has no spaces around it, and
 * that of a word (option_is_word()) none inside.
 */
int value_parse(const struct option *option, struct option_target *target,
                const char *text) MUST_CHECK;

/*
 * The value as it would stand in the file, "" for one that is not set, on the heap: free().
 * -ENOMEM.
 */
int value_format(const struct option *option, const struct option_source *source,
                 char **text_out) MUST_CHECK;

/* Takes over the value of an option with a field; texts are copied. -ENOMEM. */
int value_copy(const struct option *option, const struct option_source *source,
               struct option_target *target) MUST_CHECK;

/* Whether two texts are the same value, such as `true` and `1`. */
bool value_is_equal(const struct option *option, const char *a, const char *b);

/* Decimal, 0x and, with a leading zero, octal; nothing else behind it. */
bool value_read_integer(const char *text, int64_t *number_out);

/* Reads the defaults of all built options of the scope into the target. */
int value_parse_fallbacks(struct option_target *target, enum option_scope scope) MUST_CHECK;
