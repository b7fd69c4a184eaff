#pragma once

/*
 * Bulletin
 *
 * What the broker has to say of itself: retained messages of QoS 2, which main writes and a worker
 * publishes, all in one call. They go the way of any other message from there on.
 */

#include "core/post.h"

#include <stdatomic.h>

struct worker_group;

#define BULLETIN_TEXT_CAP 48

struct bulletin_row {
    const char *topic;
    bool is_due; /* to be published; stays so when there was no memory for it */
    uint8_t len; /* 0: it has nothing to say, and is no retained message any more */
    char text[BULLETIN_TEXT_CAP];
};

/* Owner: main, but while it is under way. */
struct bulletin {
    struct post_call call;
    struct bulletin_row *rows;
    unsigned row_len;
    _Atomic bool is_under_way;
};

/* What the row says from now on; it is due when that is something else than before. Main, while the
 * bulletin is not under way. */
void bulletin_say(struct bulletin_row *row, const char *format, ...) PRINTF_LIKE(2, 3);
void bulletin_say_nothing(struct bulletin_row *row);

/* Begins to publish the rows that are due. -ENOMEM: it does not. */
int bulletin_publish(struct worker_group *group, struct bulletin *bulletin) MUST_CHECK;

static inline bool bulletin_is_under_way(const struct bulletin *bulletin)
{
    return atomic_load_explicit(&bulletin->is_under_way, memory_order_acquire);
}
