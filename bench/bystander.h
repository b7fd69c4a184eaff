#pragma once

/*
 * Bystander
 *
 * A client that has nothing to do with the load: on a thread of its own it sends PINGREQ, waits for
 * the answer, rests a millisecond and does it again. Its longest wait is what anyone else would
 * notice of a broker that is busy with one thing. The thread asks for real-time priority, so that
 * it does not wait for the generator as well.
 */

#include "bench/plan.h"

#include <pthread.h>
#include <stdatomic.h>

struct bystander {
    const struct plan_target *target;
    pthread_t thread;
    int fd;
    _Atomic bool is_over;
    _Atomic uint64_t longest_ns; /* one that is still waiting included, once stopped */
};

void bystander_start(struct bystander *bystander, const struct plan_target *target);

/* Forgets what was measured until now. */
void bystander_forget(struct bystander *bystander);

/* Ends the thread when its last PINGREQ is answered; the longest wait in milliseconds. */
double bystander_stop(struct bystander *bystander);
