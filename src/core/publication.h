#pragma once

/*
 * Publication
 *
 * One PUBLISH (or will, or retained message) on its way to its subscribers: its parts, and the
 * message behind them once somebody needs one beyond this iteration. Lives on the stack of whoever
 * routes it; belongs to its worker.
 */

#include "core/match.h"
#include "core/message.h"

struct share;
struct ticket;

struct publication {
    struct message_parts parts;
    uint64_t topic_hash;
    const struct match_found *found; /* what the match cache has for the topic, in this very read
                                        section; NULL: it was not asked */
    struct match_groups groups;      /* of its topic, as far as they are known */
    uint64_t retained_number;        /* of a message that came through the retained tree, else 0 */
    struct ticket *ticket;           /* somebody waits until it is kept; NULL: nobody */
    struct share *share;             /* of a group's turn, while it is served; borrowed */
    struct message *message;         /* borrowed or owned, see owns_message; NULL until needed */
    struct message *room;            /* the packet's own buffer, to be adopted; NULL: copy */
    size_t properties_cap;           /* of the room */
    uint64_t image;   /* of the peers': the number of the bytes that they get; 0: none are kept */
    bool is_repeated; /* one peer has got it already */
    bool owns_message;
    bool is_for_one;   /* who delivers it may take that reference over, see publication_ref() */
    bool is_handed_on; /* of a group's turn: a member had it before */
};

/* All but the parts: nothing is known yet. One by one: an initializer has all of it cleared first
 * by a repeated instruction, which takes 10 ns longer, 3 % of a message of QoS 0. */
static inline void publication_init(struct publication *publication, uint64_t topic_hash)
{
    publication->topic_hash = topic_hash;
    publication->found = NULL;
    publication->groups = (struct match_groups){0};
    publication->retained_number = 0;
    publication->ticket = NULL;
    publication->share = NULL;
    publication->message = NULL;
    publication->room = NULL;
    publication->properties_cap = 0;
    publication->image = 0;
    publication->is_repeated = false;
    publication->owns_message = false;
    publication->is_for_one = false;
    publication->is_handed_on = false;
}

/* A publication of a message that exists. The message is borrowed. */
void publication_of(struct publication *publication, struct message *message, uint64_t topic_hash);

/* There is no message yet: makes it. -ENOMEM. */
int publication_make_message(struct publication *publication) MUST_CHECK;

/* The same if there is none. */
static inline int MUST_CHECK publication_need_message(struct publication *publication)
{
    return publication->message ? 0 : publication_make_message(publication);
}

/*
 * A reference of its message for who keeps it. The publication's own, where nobody else will ask:
 * all messages of QoS 1 to one device are spared two locked operations. The message, and with it
 * the parts, then stays only as long as the caller keeps it.
 */
static inline struct message *publication_ref(struct publication *publication)
{
    if (publication->is_for_one && publication->owns_message) {
        publication->owns_message = false;
        return publication->message;
    }
    return message_ref(publication->message);
}

/* The same, and answers a reference that is the caller's. */
int publication_hand_over(struct publication *publication, struct message **message_out) MUST_CHECK;

/* A message whose payload is long enough to be referred to, where that saves a copy: it needs none
 * itself, or several are to receive it. */
void publication_refer(struct publication *publication, uint64_t receiver_len);

void publication_deinit(struct publication *publication);
