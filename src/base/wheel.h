#pragma once

/*
 * Wheel
 *
 * Timers with a resolution of one second. A timer is two pointers and a deadline inside its owner.
 * Arming and disarming cost a few writes. No timer is early: a deadline is the first whole second
 * at which the interval is certainly over. Single-threaded: belongs to its worker.
 */

#include "base/list.h"

#define WHEEL_SLOT_LEN 512

struct wheel_timer {
    struct list_link link;
    uint32_t due; /* second of the worker's clock */
    uint8_t kind; /* for the owner of the wheel: what it is embedded in */
};

struct wheel {
    uint32_t now; /* the last second that was reached */
    struct list_link slots[WHEEL_SLOT_LEN];
    struct list_link due; /* timers whose slot came round: looked at in slices */
};

void wheel_init(struct wheel *wheel, uint32_t now);

/* A timer must be initialised once before anything else is done with it. */
void wheel_timer_init(struct wheel_timer *timer, uint8_t kind);
bool wheel_timer_is_armed(const struct wheel_timer *timer);

/* Arms, or arms again, for `due`, or the next second if that is past already. */
void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint32_t due);
void wheel_disarm(struct wheel_timer *timer);

/* Moves on to `now`. Timers become available through wheel_pop(). */
void wheel_advance(struct wheel *wheel, uint32_t now);

/*
 * The next timer that is due, disarmed; NULL when there is none. `*budget` bounds how many timers
 * are looked at (those whose turn of the wheel is a later one count, too) and is lowered.
 */
struct wheel_timer *wheel_pop(struct wheel *wheel, unsigned *budget);

static inline bool wheel_has_due(const struct wheel *wheel)
{
    return !list_is_empty(&wheel->due);
}

/* The first second at which `interval_ms` from `now_ms` on is certainly over. */
static inline uint32_t wheel_deadline(uint64_t now_ms, uint64_t interval_ms)
{
    uint64_t due = (now_ms + interval_ms + 999) / 1000;

    return due > UINT32_MAX ? UINT32_MAX : (uint32_t)due;
}
