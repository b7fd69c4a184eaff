#pragma once

/*
 * States of a client
 *
 * The table of what a connected peer may be, what it may become, and which packets it may send
 * meanwhile.
 */

#include "base/base.h"

enum client_state {
    CLIENT_PROXY,   /* the PROXY header is not complete */
    CLIENT_FRESH,   /* CONNECT has not arrived */
    CLIENT_LOGIN,   /* its password is looked at, or what it asked for by HTTP is put together */
    CLIENT_MOVING,  /* CONNECT was accepted: on the way to its home, nobody's while in a mailbox */
    CLIENT_READY,   /* CONNACK stands in the output */
    CLIENT_LEAVING, /* was told to go: not read, and over when that has left */
    CLIENT_CLOSING, /* over: at the end of the iteration it lingers, or is freed */
    CLIENT_LINGERING, /* but a connection, until its peer closes as well: client/linger.h */
    CLIENT_STATE_LEN
};

struct client_state_row {
    const char *name;
    uint16_t next;    /* bits 1 << enum client_state */
    uint16_t packets; /* bits 1 << enum mqtt_packet_type */
};

const struct client_state_row *client_state_row(enum client_state state);

/* Whether a client in this state may send a packet of this type. */
bool client_state_allows(enum client_state state, unsigned packet_type);

/* Changes `*state`; a change that the table does not allow is a bug and ends the process. */
void client_state_change(uint8_t *state, enum client_state next);
