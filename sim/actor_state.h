#pragma once

/*
 * An actor's state: private to actor*.c.
 */

#include "sim/actor.h"

#define ACTOR_GHOST_CAP    8
#define ACTOR_OUT_CAP      24
#define ACTOR_ACK_CAP      2048
#define ACTOR_INCOMING_CAP 256
#define ACTOR_REQUEST_CAP  8
#define ACTOR_ALIAS_CAP    3

/* A PUBLISH of ours with QoS 1 or 2 that is not acknowledged to the end. */
struct outgoing {
    uint16_t packet_id;
    uint32_t message;
    bool is_received; /* PUBREC came, PUBREL is out */
};

struct actor {
    struct actor_world *world;
    struct actor_params params;
    char id[8];
    struct connection *connection; /* NULL: away */
    bool is_online;                /* CONNACK has come */
    bool is_clean;
    bool is_fragile; /* the connection must be answered, see connect() */
    unsigned sleep_steps;
    uint16_t next_id;
    uint16_t in_flight_max;

    /* What outlives a connection. */
    uint32_t expiry;     /* 5.0: of the session */
    bool is_passing;     /* the session may end by itself */
    bool is_afresh;      /* a clean start was not answered: what it was to end is forgotten here */
    unsigned settle_len; /* connections since the end began */
    uint32_t packet_maximum;
    struct outgoing out[ACTOR_OUT_CAP];
    unsigned out_len;
    uint16_t incoming[ACTOR_INCOMING_CAP]; /* QoS 2 identifiers that were not released */
    unsigned incoming_len;
    uint8_t subscribed[WORLD_NAME_LEN]; /* 0 no, else 1 + options */
    uint32_t identifiers[WORLD_NAME_LEN];
    uint32_t next_identifier;

    /* What ends with it: answers to be sent, each kind in its order. */
    uint16_t pubacks[ACTOR_ACK_CAP];
    unsigned puback_len;
    uint16_t pubrecs[ACTOR_ACK_CAP];
    unsigned pubrec_len;
    uint16_t pubcomps[ACTOR_ACK_CAP];
    unsigned pubcomp_len;
    uint16_t requests[ACTOR_REQUEST_CAP]; /* SUBSCRIBE and UNSUBSCRIBE without their answers */
    unsigned request_len;
    uint16_t alias_maximum;
    uint8_t aliases[ACTOR_ALIAS_CAP]; /* 1 + topic; 0: not set */

    struct connection *ghosts[ACTOR_GHOST_CAP];
    unsigned ghost_len;
};

/* actor.c */
void actor_forget(struct actor *actor);

/* actor_packets.c */
void actor_send(struct actor *actor, struct wire_packet *packet);

/* Takes up to `max` bytes and deals with the packets in them. False: there was nothing. */
bool actor_take(struct actor *actor, size_t max);

/* Sends one of the answers that are due. False: none is. */
bool actor_answer(struct actor *actor);

void actor_publish(struct actor *actor);
void actor_subscribe(struct actor *actor);
void actor_subscribe_all(struct actor *actor, unsigned qos);
void actor_unsubscribe(struct actor *actor);
void actor_ping(struct actor *actor);

/* Sends more behind a clean CONNECT without waiting for its answer. */
void actor_pipeline(struct actor *actor);

/* Retained messages of one topic are all QoS 0, or none is: else one may overtake another. */
uint8_t actor_retained_qos(const struct actor_world *world, unsigned topic, unsigned qos);
