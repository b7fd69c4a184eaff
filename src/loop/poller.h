#pragma once

/*
 * Poller
 *
 * What a worker waits on: level-triggered epoll and one way to be woken from another thread.
 * Belongs to its worker; only poller_wake() may be called by others.
 */

#include "base/base.h"

struct poller;

/* Interests, and events. */
enum poller_bits {
    POLLER_READ = 1,
    POLLER_WRITE = 2,
    POLLER_HANGUP = 4, /* event only: the peer or the socket is gone; always reported */
    POLLER_SHARED = 8  /* interest only: a descriptor that other pollers watch, too; wakes one */
};

struct poller_event {
    void *source; /* as given to poller_add() */
    unsigned bits;
};

int poller_new(struct poller **poller_out) MUST_CHECK;
struct poller *poller_free(struct poller *poller);

/* -errno; `source` is never looked at. */
int poller_add(struct poller *poller, int fd, unsigned bits, void *source) MUST_CHECK;
int poller_change(struct poller *poller, int fd, unsigned bits, void *source) MUST_CHECK;
void poller_remove(struct poller *poller, int fd);

/*
 * Waits up to `timeout_ms` (0: not at all, negative: for ever) and answers how many events it
 * wrote. A wake-up ends the wait with no event of its own.
 */
unsigned poller_wait(struct poller *poller, struct poller_event *events, unsigned cap,
                     int timeout_ms);

/* Whether a wake-up was seen by the latest wait, which nobody will be told of again. */
bool poller_was_woken(const struct poller *poller);

/* Ends the current or the next wait of this poller. Any thread. */
void poller_wake(struct poller *poller);
