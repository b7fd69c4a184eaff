#pragma once

/*
 * Drain
 *
 * Sends all clients away, a few at a time, so that they come back elsewhere and not all at once.
 * Main says how far it has come; each worker sends its clients away in steps that main asks for.
 */

#include "core/post.h"
#include "mqtt/reasons.h"

#include <stdatomic.h>

struct client;
struct server;

enum drain_state {
    DRAIN_NONE,
    DRAIN_ANNOUNCED, /* load balancers are told; clients still come and stay */
    DRAIN_SENDING,   /* who comes is refused, who is there is sent away */
    DRAIN_LAST,      /* the time is over: whoever is left goes now */
    DRAIN_OVER       /* everybody has gone */
};

/* One step, on every worker. Owner: main, but for the time in which it is under way. */
struct drain_step {
    struct post_call call;
    double part; /* of the clients left: so many go now; 1 and more: all, or very many */
    void (*on_passed)(void);  /* on a worker: main is to look */
    _Atomic unsigned waiting; /* workers that have not taken it */
};

/* Main. */
void server_set_drain(struct server *server, enum drain_state state);

/* Any thread. */
enum drain_state server_drain(const struct server *server);

/* Connections that have sent CONNECT, those that are about to close as well. Any thread. */
uint32_t server_arrived_len(struct server *server);

/* Has every worker take the step. Main, while no other one is under way and the server is not asked
 * to stop. -ENOMEM: nothing was asked. */
int server_drain_step(struct server *server, struct drain_step *step) MUST_CHECK;

static inline bool drain_step_has_passed(const struct drain_step *step)
{
    return atomic_load_explicit(&step->waiting, memory_order_acquire) == 0;
}

/* On a worker */

/* Whether a CONNECT is refused for the drain: the client is told to go elsewhere. */
bool drain_refuses(const struct client *client);

/* A client is through with a search that the drain has waited for, as for `turns` - 1 before: it
 * goes, unless what lies behind is another one. */
void drain_on_turn(struct client *client, unsigned turns);

/* What clients are told: 0x9C, or 0x9D where they shall not come back. */
enum mqtt_reason drain_reason(const struct client *client);
