#pragma once

/*
 * Extras of a session
 *
 * What few sessions have: it is on the heap as long as there is any of it, since a million others
 * would pay for the room. Private to core; belongs to its session.
 */

#include "core/session.h"

struct membership;
struct replays;

struct session_extras {
    struct membership *membership; /* NULL: in no group */
    struct replays *replays;       /* NULL: none */
    struct message *will;          /* NULL: none */
    uint32_t will_delay;           /* seconds */
    uint32_t will_expiry;          /* seconds from its publication on; SESSION_NEVER */
    uint32_t will_at;              /* while nobody is connected: when it is sent */
};

/* NULL: no memory. Who puts nothing into them after all drops them. */
struct session_extras *session_need_extras(struct session *session) MUST_CHECK;

/* Something of them has gone, perhaps the last. */
void session_drop_extras(struct session *session);

/* The extras stay, for another one, until they are dropped. */
void session_forget_will(struct session *session);

/* There is one: it is published, and forgotten. -ENOMEM: it is still there. */
int session_send_will(struct shard *shard, struct session *session) MUST_CHECK;

static inline struct membership *session_membership(const struct session *session)
{
    return session->extras ? session->extras->membership : NULL;
}

static inline struct replays *session_replays(const struct session *session)
{
    return session->extras ? session->extras->replays : NULL;
}

static inline struct message *session_will(const struct session *session)
{
    return session->extras ? session->extras->will : NULL;
}
