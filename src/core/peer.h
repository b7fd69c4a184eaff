#pragma once

/*
 * Peer
 *
 * What core asks of the connection behind a session. `client` implements it; the simulator and the
 * unit tests have peers of their own. All of a session's worker.
 */

#include "core/publication.h"
#include "mqtt/reasons.h"

struct client;
struct session;
struct shard;

/* How one delivery is written. */
struct delivery_head {
    uint32_t identifier; /* subscription identifier, 0 = none */
    uint16_t packet_id;  /* 0 with QoS 0 */
    uint8_t qos;
    bool retain;
    bool dup;
};

enum peer_verdict {
    PEER_SENT = 1,
    PEER_BUSY,      /* the peer is behind, and this delivery may be dropped */
    PEER_TOO_LARGE, /* more than the peer accepts */
    PEER_OUTSIDE,   /* the topic is none that the peer can see */
    PEER_DENIED     /* it may not read it any more; core's own */
};

enum peer_right { PEER_READ = 1, PEER_WRITE = 2 };

/*
 * What `client` knows of the rights of a session begins with this. All of a group may read and
 * write the same, by rules that never change: other rules make other groups, with greater numbers.
 */
struct rights {
    uint64_t group;            /* 0: not looked up yet */
    const uint64_t *group_min; /* of those by the rules that hold now */
};

static inline bool rights_hold(const struct rights *rights)
{
    return rights && rights->group >= *rights->group_min;
}

struct peer_ops {
    /* Encodes a PUBLISH into the peer's output. Never closes the peer at once. */
    enum peer_verdict (*publish)(struct client *client, struct publication *publication,
                                 const struct delivery_head *head);
    void (*pubrel)(struct client *client, uint16_t packet_id);

    /* Bytes that wait in the peer's output. */
    size_t (*pending)(const struct client *client);

    /* Its queue is full, and it is to be disconnected for that: not before the iteration's end. */
    void (*overflow)(struct client *client);

    /*
     * Whether the session's client, connected or not, may do that with a topic; the low half of its
     * hash. Asked only with `asks_rights` in the limits.
     */
    bool (*may)(struct shard *shard, struct session *session, struct slice topic,
                uint32_t topic_hash, enum peer_right right);

    /* Whether the author of a retained message may still publish it. Asked only with
     * `checks_authors` in the limits. */
    bool (*author_may)(struct shard *shard, const struct message *message);

    /* Nobody asks for these any more: the session is over or has another client. */
    void (*forget)(struct rights *rights);

    /* The session leaves this connection: tell the peer why and close it. */
    void (*end)(struct client *client, enum mqtt_reason reason);
};
