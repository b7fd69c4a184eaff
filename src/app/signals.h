#pragma once

/*
 * Signals
 *
 * All threads have them blocked; main waits for those that mean something. A storm of them costs a
 * line in a tenth of a second, and never delays the end.
 */

#include "base/base.h"

#include <signal.h>

/* The operator wants a drain, or no more. */
#define SIGNALS_DRAIN (SIGRTMIN + 1)

/* What a worker wakes main with: something that main has asked for is there. */
#define SIGNALS_ANSWER (SIGRTMIN + 2)

/* Wakes main with it. Any thread. */
void signals_answer(void);

/* Owner: main. */
struct signals {
    uint64_t rest_until_ms; /* until then only what ends the process, and answers */
};

/*
 * Blocks signals for this thread and those that it makes, but for those that tell of a fault of the
 * program or belong to the terminal. SIGPIPE is ignored.
 */
void signals_block(void);

/* The next signal; 0 when none has come before `deadline_ms` (UINT64_MAX: for ever). */
int signals_wait(struct signals *signals, uint64_t deadline_ms);
