#pragma once

/*
 * Swarm
 *
 * All connections of the load generator, on one epoll set: they connect, subscribe, answer the
 * handshakes of QoS 1 and 2 and hand messages and acknowledgements to the scenario. What is written
 * during a turn goes out with one send a connection when the scenario calls swarm_flush(), so that
 * what arrived as a burst is answered by a burst.
 */

#include "bench/plan.h"
#include "bench/tool.h"
#include "bench/tube.h"
#include "bench/wire.h"

struct swarm;

enum peer_state { PEER_CLOSED, PEER_CONNECTING, PEER_SUBSCRIBING, PEER_READY };

struct peer {
    uint32_t index;
    struct tube tube;
    enum peer_state state;
    uint16_t receive_maximum; /* the broker's, of its CONNACK */
    bool is_touched;
    bool is_blocked; /* EPOLLOUT is armed */
    struct bytes in; /* the beginning of an incomplete packet */
    struct bytes out;
    struct peer *next_touched;
};

/* What the scenario does; NULL where it does not care. */
struct swarm_handlers {
    /* Writes what the peer subscribes to; 0: nothing. Has room for SWARM_TOPIC_MAX. */
    size_t (*filter)(void *context, uint32_t index, char *filter_out);
    void (*on_ready)(void *context, struct peer *peer);
    void (*on_publish)(void *context, struct peer *peer, const struct wire_publish *publish);
    /* PUBACK or PUBCOMP: the broker is done with the packet identifier. */
    void (*on_done)(void *context, struct peer *peer, uint16_t packet_id);
    /* SUBACK for what the scenario itself subscribed to: `len` filters were granted. */
    void (*on_granted)(void *context, struct peer *peer, size_t len);
};

#define SWARM_TOPIC_MAX 64

struct swarm {
    const struct plan *plan;
    struct swarm_handlers handlers;
    void *context;
    struct peer *peers;
    struct peer *touched;
    uint32_t len;
    uint32_t ready_len;
    uint32_t opened;      /* since the start, re-opened ones included */
    unsigned granted_qos; /* of subscriptions, and so of what arrives: the plan's if not set */
    int epoll;
    bool is_timed;        /* keep received_ns */
    uint64_t received_ns; /* when what is being handled was read */
};

void swarm_init(struct swarm *swarm, const struct plan *plan, uint32_t len);
void swarm_deinit(struct swarm *swarm);

/* Connections that are on their way at the same time. */
#define SWARM_OPENING_MAX 64

/* Opens everyone and returns when all are ready; ends the process when that takes too long. */
void swarm_open_all(struct swarm *swarm);

/* A connection on its way, non-blocking; `number` chooses the source address. */
int swarm_dial(const struct plan_target *target, uint32_t number);

/* The CONNECT, and what must stand before it, of the client of this index. */
size_t swarm_put_connect(const struct plan_target *target, uint32_t index, uint32_t number,
                         uint8_t *at);

#define SWARM_CONNECT_MAX 256

void swarm_open(struct swarm *swarm, struct peer *peer);

/* DISCONNECT and close, at once. */
void swarm_close(struct swarm *swarm, struct peer *peer);

/* Waits for and handles one batch of events. */
void swarm_turn(struct swarm *swarm, int timeout_ms);

/* Sends what was written since the last time. */
void swarm_flush(struct swarm *swarm);

void swarm_touch(struct swarm *swarm, struct peer *peer);

/* SUBSCRIBE to one filter or more; on_granted() tells when it is answered. */
void swarm_subscribe(struct swarm *swarm, struct peer *peer, const struct slice *filters,
                     size_t len);

/* Room for `size` bytes at the end of the peer's output. */
static inline uint8_t *swarm_append(struct swarm *swarm, struct peer *peer, size_t size)
{
    uint8_t *at;

    if (!peer->is_touched) {
        swarm_touch(swarm, peer);
    }
    if (peer->out.cap - peer->out.len < size) {
        at = tool_reserve(&peer->out, size);
    } else {
        at = peer->out.data + peer->out.len;
    }
    peer->out.len += size;
    return at;
}
