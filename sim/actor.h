#pragma once

/*
 * Actor
 *
 * One fake client: a client id, what it remembers of its session, and a connection now and then. It
 * keeps the rules of MQTT and is otherwise as unpleasant as its seed makes it: it takes its own id
 * over from itself, vanishes, stays away, reads slowly, acknowledges late.
 */

#include "sim/choice.h"
#include "sim/model.h"
#include "sim/network.h"

/* What all actors of a run share. */
struct actor_world {
    struct choice *choice;
    struct model *model;
    unsigned retained_permille; /* of PUBLISHes */
    unsigned large_permille;    /* of payloads over the server's read buffer */
    unsigned expiry_permille;   /* of PUBLISHes of 5.0 */
    unsigned chaos;             /* 0 to 10: how often connections break */
    unsigned churn;             /* 0 to 10: how often subscriptions come and go */
    unsigned topic_len;         /* so many of the topics are used */
    unsigned filter_len;
    unsigned group_len;
    unsigned salt;
    unsigned web_permille;   /* of connections: inside WebSocket */
    unsigned tls_permille;   /* of connections, those among them: inside TLS */
    unsigned proxy_permille; /* of connections: behind a PROXY header */
    bool has_bad_clients;
    uint32_t cleared; /* bit 1 << topic: has been cleared, which may happen once */
};

struct actor_params {
    unsigned number;
    unsigned version;
    bool is_observer; /* subscribes to everything, never leaves, acknowledges at once */
    bool is_member;   /* below 5.0: of a group, and subscribes to nothing else */
    bool is_slow;     /* stops reading now and then */
    bool is_late;     /* acknowledges now and then */
};

struct actor;

struct actor *actor_new(struct actor_world *world, const struct actor_params *params);
struct actor *actor_free(struct actor *actor);

/* Does one thing by chance: takes bytes, answers, or something of its own. True: it has heard
 * something. */
bool actor_step(struct actor *actor);

/* Publishes, when it can: somebody else has told it what was heard. */
void actor_tell(struct actor *actor);

/*
 * Only finishes: comes back if its session is kept, takes and answers everything. False: there was
 * nothing to do.
 */
bool actor_settle(struct actor *actor);

/* Takes and answers what there is, but begins nothing. False: there was nothing. */
bool actor_work(struct actor *actor);

/* A clean connection that subscribes to everything. False: no connection can be had. */
bool actor_look_around(struct actor *actor);

/* Whether it has taken all that was sent on this connection, and answered it. */
bool actor_is_eager(const struct actor *actor, const struct connection *connection);

/* Its connection, or NULL. */
struct connection *actor_connection(const struct actor *actor);
