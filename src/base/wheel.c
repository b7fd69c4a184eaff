#include "base/wheel.h"

/*
 * Slot `due % 512`. A timer further away than one turn stays in its slot and is looked at once a
 * turn. When the clock reaches a slot, all its timers move to the list `due` in one step, so that a
 * second in which a million timers end costs that second only a splice.
 */

void wheel_init(struct wheel *wheel, uint32_t now)
{
    wheel->now = now;
    list_init(&wheel->due);
    for (unsigned i = 0; i < WHEEL_SLOT_LEN; i++) {
        list_init(&wheel->slots[i]);
    }
}

void wheel_timer_init(struct wheel_timer *timer, uint8_t kind)
{
    list_init(&timer->link);
    timer->due = 0;
    timer->kind = kind;
}

bool wheel_timer_is_armed(const struct wheel_timer *timer)
{
    return list_is_linked(&timer->link);
}

void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint32_t due)
{
    list_remove(&timer->link);
    timer->due = MAX(due, wheel->now + 1);
    list_push(&wheel->slots[timer->due % WHEEL_SLOT_LEN], &timer->link);
}

void wheel_disarm(struct wheel_timer *timer)
{
    list_remove(&timer->link);
}

void wheel_advance(struct wheel *wheel, uint32_t now)
{
    /* After a long stop one turn reaches every slot. */
    uint32_t steps = now > wheel->now ? MIN(now - wheel->now, (uint32_t)WHEEL_SLOT_LEN) : 0;

    for (uint32_t i = 0; i < steps; i++) {
        list_splice(&wheel->due, &wheel->slots[(now - i) % WHEEL_SLOT_LEN]);
    }
    wheel->now = MAX(now, wheel->now);
}

struct wheel_timer *wheel_pop(struct wheel *wheel, unsigned *budget)
{
    while (*budget > 0 && wheel_has_due(wheel)) {
        struct list_link *link = list_pop(&wheel->due);
        struct wheel_timer *timer = CONTAINER_OF(link, struct wheel_timer, link);

        (*budget)--;
        if (timer->due <= wheel->now) {
            return timer;
        }
        list_push(&wheel->slots[timer->due % WHEEL_SLOT_LEN], &timer->link);
    }
    return NULL;
}
