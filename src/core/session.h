#pragma once

/*
 * Session
 *
 * What outlives a connection: subscriptions, deliveries not yet acknowledged, the will. It lives on
 * the worker that its client id hashes to, and only that worker touches it.
 */

#include "base/list.h"
#include "base/slice.h"
#include "base/table.h"
#include "base/wheel.h"
#include "config/settings.h"
#include "core/inbound.h"
#include "core/outbound.h"
#include "core/peer.h"
#include "core/router.h"
#include "core/shard.h"
#include "core/subscriptions.h"

struct merge;
struct session_extras;
struct subscriber;

#define SESSION_NEVER UINT32_MAX

/* Owner: its worker. Members are private to core. */
struct session {
    struct table_link link; /* in the worker's sessions, by hash of the id */
    struct client *client;  /* NULL while nobody is connected */
    struct outbound outbound;
    struct session_extras *extras; /* NULL: none */
    uint32_t window;               /* the peer's Receive Maximum or our own bound; 0 = no bound */
    uint16_t mount_len;            /* of the topics, the part that its client does not see */
    bool is_over : 1;
    bool said_dropping : 1; /* the log has told that deliveries are dropped */
    bool is_behind : 1;     /* what waited when its client came has not all been sent yet */
    bool is_holding : 1;    /* there is a wait for the store */
    bool is_held_more : 1;  /* another must follow */
    bool is_kept : 1;       /* the store has it */
    bool lacks_room : 1;    /* a member of groups, and found so: core/membership.c */
    bool is_full : 1;       /* the same for a whole iteration */
    uint8_t queue_policy;   /* enum settings_queue_policy */

    /* What a delivery looks at is above. */

    struct inbound inbound;
    struct subscriptions subscriptions;
    struct rights *rights; /* what its client may do, as `client` sees it; NULL: not asked yet */
    union {
        struct list_link in_shard; /* in the list of those that go on sending, or are over */
        struct wheel_timer timer;  /* while nobody is connected, and the session is not over */
    };
    uint64_t merged; /* the latest fan-out that merged a delivery for it, by its serial number */
    uint32_t expiry_interval; /* seconds after the connection's end; SESSION_NEVER */
    uint32_t expires_at;      /* while nobody is connected: seconds, SESSION_NEVER */
    uint32_t pins;            /* fan-outs and waits that hold the session */
    uint8_t hold;             /* the wait that is under way, by number; see core/keep.c */
    uint8_t drop_waits;       /* so many must be over before any QoS 2 delivery leaves */
    uint16_t id_len;
    uint8_t id[];
};

static_assert(sizeof(struct session) <= 136, "an idle connection is paid for a million times");
static_assert(offsetof(struct wheel_timer, link) == 0, "either way it is taken out of a list");

struct session_request {
    struct slice client_id;
    bool clean_start;
    uint32_t expiry_interval; /* seconds; 0 ends with the connection; SESSION_NEVER */
    uint32_t window;
    enum settings_queue_policy queue_policy;
    struct message *will;  /* NULL: none. Taken over on success. */
    uint32_t will_delay;   /* seconds */
    uint32_t will_expiry;  /* seconds from its publication on; SESSION_NEVER */
    uint16_t mount_len;    /* of what its client's topics have in front */
    struct rights *rights; /* NULL: none are known. Taken over on success. */
};

enum session_verdict {
    SESSION_CREATED = 1,
    SESSION_RESUMED,
    SESSION_TOO_MANY /* it would be new, and there are as many as may be: refuse the client */
};

/*
 * A CONNECT has arrived at home. An older connection with this id is told and closed, its will is
 * dealt with. Nothing is sent to the new client yet: after CONNACK comes session_start().
 * -ENOMEM: the client must be refused; whatever session there was is left alone.
 */
int session_connect(struct shard *shard, struct client *client,
                    const struct session_request *request, struct session **session_out) MUST_CHECK;

/* CONNACK stands in the output: unacknowledged deliveries are sent again, then what waited. */
void session_start(struct shard *shard, struct session *session);

enum session_leave {
    SESSION_LEAVE_QUIETLY, /* DISCONNECT with reason 0: the will is forgotten */
    SESSION_LEAVE_WITH_WILL
};

/* The connection is over. The session may end here. */
void session_disconnect(struct shard *shard, struct session *session, enum session_leave how);

/* DISCONNECT may change the expiry interval. */
void session_set_expiry(struct session *session, uint32_t expiry_interval);

struct slice session_id(const struct session *session);
struct client *session_client(const struct session *session);

/* Who is connected with this id; NULL: nobody. */
struct client *session_find_client(const struct shard *shard, struct slice client_id);

/* The next session of a walk through all of this worker, connected or not: as table_walk(). */
struct session *session_walk(const struct shard *shard, struct table_place *place,
                             unsigned *budget);

/* What No Local knows a client by: the hash of its id, whichever session that has. */
static inline uint64_t session_origin(const struct session *session)
{
    return session->link.hash;
}

/* The answer of the peers, where session_may() has none; it takes note of who may. */
bool session_ask(struct shard *shard, struct session *session, const struct message_parts *parts,
                 enum peer_right right, struct match_groups *groups);

/*
 * Whether a session's client may read such a message, or write it. `groups`: of the message's
 * topic; to find one's own among them takes a quarter of what it takes to ask.
 */
static inline bool session_may(struct shard *shard, struct session *session,
                               const struct message_parts *parts, enum peer_right right,
                               struct match_groups *groups)
{
    uint64_t known = right == PEER_READ ? groups->reader : groups->writer;

    return likely(!shard->limits.asks_rights) ||
           likely(rights_hold(session->rights) && session->rights->group == known) ||
           session_ask(shard, session, parts, right, groups);
}

/* Deliveries */

/*
 * One subscription's copy of a publication: sent, queued, or dropped and counted. `node` is the
 * subscription's.
 */
void session_deliver(struct shard *shard, struct session *session, struct publication *publication,
                     const struct subscriber *subscriber, uint32_t node);

/* The same for a member of a group, of which session_can_take() or session_can_keep() and what it
 * may see and read are known. */
void session_deliver_turn(struct shard *shard, struct session *session,
                          struct publication *publication, const struct subscriber *subscriber);

/* One more subscription of the merge's session, if it takes the publication. */
void session_merge(struct shard *shard, struct merge *merge, const struct subscriber *subscriber,
                   uint32_t node);

/* The one copy for all subscriptions that were merged, at least one of them. */
void session_deliver_merged(struct shard *shard, const struct merge *merge);

/* Whether a copy of a message with this QoS would be sent or kept, were there no limits. */
bool session_can_keep(const struct shard *shard, const struct session *session, uint8_t published,
                      uint8_t options);

/* Whether it will be, and nothing else is dropped for it. */
bool session_can_take(const struct shard *shard, const struct session *session, uint8_t published,
                      uint8_t options);

/* Whether a subscription is not to see a topic that begins with '$' to its client [MQTT-4.7.2-1].
 */
static inline bool session_hides(const struct session *session, struct slice topic, uint8_t options)
{
    return __builtin_expect((options & SUBSCRIBE_NO_INTERNAL) != 0, 0) &&
           topic.len > session->mount_len && topic.data[session->mount_len] == '$';
}

/* Whether what is delivered now goes out at once. The session has a client. */
bool session_has_room(const struct shard *shard, const struct session *session);

/* Whether so much is in flight that nothing more may be. */
bool session_is_window_full(const struct shard *shard, const struct session *session);

/*
 * Sends what the window allows, as far as the budget reaches: the first delivery is paid for by
 * what let it go, each further one is charged. The rest goes on by itself.
 */
void session_pump(struct shard *shard, struct session *session);

/* The same; `known` is a publication that a delivery may be of, so that it need not be made again.
 */
void session_pump_known(struct shard *shard, struct session *session, struct publication *known);

/* Goes on with what the budget did not reach. */
void session_go_on(struct shard *shard);

/* A value of the retained tree that has not expired, for a subscription of this session. */
void session_deliver_retained(struct shard *shard, struct session *session, struct message *message,
                              uint8_t options, uint32_t identifier);

/* The peer has room again, or acknowledged something: replays that waited go on. */
void session_on_room(struct shard *shard, struct session *session);

enum ack_verdict {
    ACK_OK = 1,
    ACK_UNKNOWN /* no delivery in flight has this identifier, or not in this state */
};

/* `is_error`: the reason code is 0x80 or above. */
enum ack_verdict session_on_puback(struct shard *shard, struct session *session,
                                   uint16_t packet_id);
/* ACK_OK: answer with PUBREL, unless `is_error`. */
enum ack_verdict session_on_pubrec(struct shard *shard, struct session *session, uint16_t packet_id,
                                   bool is_error);
enum ack_verdict session_on_pubcomp(struct shard *shard, struct session *session,
                                    uint16_t packet_id);

/* After what waits for it has changed, whether its client is away or not. */
void session_count_waiting(struct shard *shard, struct session *session);

/* The server ends: what waits for the session goes, and nobody is told. */
void session_drop_queue(struct shard *shard, struct session *session);

/* The session is over: forgotten by its id at once, freed in slices. */
void session_end(struct shard *shard, struct session *session);

/*
 * Goes on freeing what ended sessions have left, in the order of their ends: so many removals (a
 * subscription, a replay, a delivery that goes to another member of its group) and so many
 * deliveries. A new session with the id of one is another one.
 */
void session_clean_up(struct shard *shard, unsigned removals, unsigned deliveries);

/* Fan-outs hold sessions over iterations. */
void session_pin(struct session *session);
void session_unpin(struct session *session);
