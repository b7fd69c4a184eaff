#pragma once

/*
 * Repeated lines
 *
 * How many lines of one event a second has seen, so that those above a limit are left out and
 * counted. Any thread; no lock.
 */

#include "base/base.h"

#include <stdatomic.h>

/* All zero at the start. */
struct log_repeat {
    _Atomic uint64_t state; /* the second << 32 | lines in it */
};

struct log_repeat_answer {
    bool is_let_through;
    bool is_first_left_out; /* of its second */
    uint32_t left_out;      /* lines of an earlier second, to be told of now; else 0 */
};

/* One more line in the second `now_s`. */
struct log_repeat_answer log_repeat_take(struct log_repeat *repeat, uint32_t now_s, uint32_t limit);

/* Lines left out in a second that is over, to be told of now; else 0. */
uint32_t log_repeat_flush(struct log_repeat *repeat, uint32_t now_s, uint32_t limit);

/* Whether lines were left out that nobody has been told of. */
bool log_repeat_is_pending(const struct log_repeat *repeat, uint32_t limit);
