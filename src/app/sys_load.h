#pragma once

/*
 * Load
 *
 * How much of something there was per minute, as averages in which what lies back further weighs
 * less: of the latest 1, 5 and 15 minutes, as Mosquitto and the kernel have them.
 */

#include "base/base.h"

#define SYS_LOAD_LEN 3

/* Their names as the last level of a topic: "1min". */
extern const char *const sys_load_names[SYS_LOAD_LEN];

/* Zeroed at the start. */
struct sys_load {
    uint64_t count; /* when it was last looked at */
    double averages[SYS_LOAD_LEN];
};

/* It has come to `count`, `passed_ms` after the last time. */
void sys_load_update(struct sys_load *load, uint64_t count, uint64_t passed_ms);

/* How long to wait for the next multiple of an interval. */
uint64_t sys_wait_ms(uint64_t wall_ms, unsigned interval_s);
