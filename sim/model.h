#pragma once

/*
 * Model
 *
 * What a broker owes its clients, told naively: it sees every packet that a client sends, that the
 * server reads, that the server writes and that a client takes, in the one order in which all this
 * happened, and complains about what must not be. It knows nothing of how the server works.
 *
 * Checked at once: an answer that nobody waits for or out of its order, a packet identifier used
 * twice, a message for somebody who has not subscribed, twice (QoS 2, or QoS 1 with no reason for
 * it), with a wrong QoS, RETAIN or subscription identifier, without or with a wrong DUP, over the
 * window, behind its expiry or with a wrong rest of it, out of its publisher's order, before its
 * cause; a connection read after another has taken its client id; a session kept or lost wrongly; a
 * connection closed without a reason; a will that must not be, or not yet.
 * At a quiet moment: an answer that did not come, a message that did not reach a subscriber (where
 * queues are limited: more of them than the server counted), a connection kept beyond its keep
 * alive.
 * Of a group (a shared subscription): that each message comes to one member, or again to another
 * only where the first may have gone without acknowledging it; that turns are strict while all can
 * take; that nothing is lost while a durable member stands.
 * At the end: the retained values and what every subscriber saw of them; wills that never came.
 */

#include "sim/wire.h"

#define MODEL_ACTOR_CAP      16
#define MODEL_CONNECTION_CAP 512

struct model;

struct model_params {
    /* Says what is wrong; may return (tests) or not (runs). */
    void (*complain)(void *context, const char *text);
    void *context;
    bool may_drop;               /* queues are limited: what is missing must have been counted */
    bool may_overflow;           /* a client whose queue is full may be closed */
    bool drains;                 /* clients are sent away */
    bool may_refuse;             /* out of descriptors: closed before anything is read */
    bool has_store;              /* CONNACK waits for it, and all that is behind */
    bool merges;                 /* one copy for all subscriptions of a session that match */
    bool upgrades_qos;           /* a delivery has the QoS of its subscription, even a higher one */
    unsigned max_inflight;       /* the server's own window; 0 = none */
    uint64_t max_inflight_bytes; /* so many in flight, and nothing more is sent; 0 = none */
};

struct model *model_new(const struct model_params *params);
struct model *model_free(struct model *model);

/* Milliseconds of virtual time. */
void model_set_time(struct model *model, uint64_t now_ms);

/* Messages */

/* WIRE_NO_MESSAGE when there are too many. */
uint32_t model_new_message(struct model *model, unsigned actor, const struct wire_message *message,
                           bool is_will);
const struct wire_message *model_messages(const struct model *model, const unsigned **len_out);

/* What happens */

void model_on_open(struct model *model, unsigned connection, unsigned actor,
                   const struct wire_connect *connect);
void model_on_sent(struct model *model, unsigned connection, const struct wire_packet *packet);

/* The client sent something that is no packet, or no packet that may come now. */
void model_on_garbage(struct model *model, unsigned connection);
void model_on_touched(struct model *model, unsigned connection);
void model_on_read(struct model *model, unsigned connection, const struct wire_packet *packet);
void model_on_written(struct model *model, unsigned connection, const struct wire_packet *packet);
void model_on_taken(struct model *model, unsigned connection, const struct wire_packet *packet);

/* The client has closed its end. */
void model_on_ended(struct model *model, unsigned connection);

/* The server has closed its end. */
void model_on_closed(struct model *model, unsigned connection);

/* The server could not write to this connection at once: QoS 0 may be dropped. */
void model_on_full(struct model *model, unsigned connection);

/* The next that is written to it are the rest of what it took a part of, and more. */
void model_on_late(struct model *model, unsigned connection, bool is_late);

/* What the server says so far: deliveries that it dropped because of its limits. */
void model_set_drops(struct model *model, uint64_t drop_len);

/* From now on the server may close everybody. */
void model_on_stop(struct model *model);

/* Questions */

/* Whether the server gave this connection its client id, and has not given it to another. */
bool model_is_holder(const struct model *model, unsigned connection);

/*
 * Whether a connection of this actor is on its way to a CONNACK: the server may handle it before or
 * behind the next one. A clean one must neither be given up nor raced, or nobody knows any more
 * which session it is that stands.
 */
bool model_is_pending(const struct model *model, unsigned actor);

/*
 * Whether a connection of this actor may have had a session that nobody told us of: its CONNECT was
 * read, and never answered.
 */
bool model_is_in_doubt(const struct model *model, unsigned actor);

/* Whether the actor has a session that is to be kept while it is away. */
bool model_is_kept(const struct model *model, unsigned actor);

/*
 * Nobody can go on. `eager` tells of a connection whether its client has taken and acknowledged
 * everything.
 */
void model_check_quiet(struct model *model, bool (*eager)(void *context, unsigned connection),
                       void *context);

/* The same with nothing more to come, and a fresh client that subscribed to everything. */
void model_check_end(struct model *model, bool (*eager)(void *context, unsigned connection),
                     void *context, unsigned fresh_connection);
