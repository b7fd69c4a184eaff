#pragma once

/*
 * List
 *
 * A doubly linked ring that lives inside its members. A link that is in no list points at itself;
 * removing such a link is harmless.
 */

#include "base/base.h"

struct list_link {
    struct list_link *next;
    struct list_link *previous;
};

static inline void list_init(struct list_link *list)
{
    list->next = list;
    list->previous = list;
}

static inline bool list_is_empty(const struct list_link *list)
{
    return list->next == list;
}

static inline bool list_is_linked(const struct list_link *link)
{
    return link->next != link;
}

static inline void list_push(struct list_link *list, struct list_link *link)
{
    link->next = list;
    link->previous = list->previous;
    list->previous->next = link;
    list->previous = link;
}

static inline void list_remove(struct list_link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

/* The first link, taken out of the list; NULL when the list is empty. */
static inline struct list_link *list_pop(struct list_link *list)
{
    struct list_link *link = list->next;

    if (link == list) {
        return NULL;
    }
    list_remove(link);
    return link;
}

/* Moves all links of `from` behind those of `to`; `from` is empty afterwards. */
static inline void list_splice(struct list_link *to, struct list_link *from)
{
    if (list_is_empty(from)) {
        return;
    }
    from->next->previous = to->previous;
    to->previous->next = from->next;
    from->previous->next = to;
    to->previous = from->previous;
    list_init(from);
}
