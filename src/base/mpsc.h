#pragma once

/*
 * Many-to-one queue
 *
 * One queue for all senders: what was pushed first comes out first, whoever pushed it. Senders push
 * with one atomic write; the one receiver takes everything at once. Nodes belong to the caller.
 */

#include "base/base.h"

#include <stdatomic.h>

struct mpsc_node {
    struct mpsc_node *next;
};

struct mpsc {
    _Atomic(struct mpsc_node *) newest;
};

static inline void mpsc_init(struct mpsc *queue)
{
    atomic_init(&queue->newest, NULL);
}

/* Any thread. Sequentially consistent: what follows a push comes after it for everyone. */
static inline void mpsc_push(struct mpsc *queue, struct mpsc_node *node)
{
    struct mpsc_node *newest = atomic_load_explicit(&queue->newest, memory_order_relaxed);

    do {
        node->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&queue->newest, &newest, node,
                                                    memory_order_seq_cst, memory_order_relaxed));
}

/* Sequentially consistent: the last look of a receiver that announced its sleep. */
static inline bool mpsc_is_empty(const struct mpsc *queue)
{
    return atomic_load_explicit(&queue->newest, memory_order_seq_cst) == NULL;
}

/* The receiver only. All nodes, linked in the order in which they were pushed; NULL when empty. */
static inline struct mpsc_node *mpsc_take_all(struct mpsc *queue)
{
    struct mpsc_node *node = atomic_exchange_explicit(&queue->newest, NULL, memory_order_acq_rel);
    struct mpsc_node *oldest = NULL;

    while (node) {
        struct mpsc_node *next = node->next;

        node->next = oldest;
        oldest = node;
        node = next;
    }
    return oldest;
}
