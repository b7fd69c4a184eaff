#pragma once

/*
 * $SYS
 *
 * The broker's own figures as topics: at every interval main sums what the workers count, and has a
 * worker publish what has changed. Intervals begin at multiples of their length since 1970, so that
 * several brokers tell of the same moment.
 */

#include "base/base.h"

struct server;
struct settings;
struct sys;

/* Ends the process without memory. */
struct sys *sys_new(struct server *server, const struct settings *settings);

/* After the workers. */
struct sys *sys_free(struct sys *sys);

/* Seconds; 0: nothing is published any more. Also while it runs. */
void sys_set_interval(struct sys *sys, unsigned interval_s);

/* The server has these settings now, which last until the next call or the end. */
void sys_take_over(struct sys *sys, const struct settings *settings);

/* When there is something to do next, by clock_now_ms(); UINT64_MAX: never. */
uint64_t sys_due_ms(const struct sys *sys);

/* Publishes what has changed, if it is time to. */
void sys_go_on(struct sys *sys);
