#pragma once

/*
 * A listener, for those who come through it
 *
 * What a connection keeps of its listener: the options that were in force when it came, which a
 * reload does not change for it, and its place among the listener's connections. Shared by all
 * workers, so that a connection takes it along when it moves; lives on behind a listener that has
 * closed, until its last connection is gone.
 */

#include "config/settings.h"

/* Connections of one listener, with whichever options they came. Any thread. */
struct server_places {
    _Atomic uint32_t len;
    _Atomic uint32_t refs;
};

/* Immutable and counted: one for the server while it is in force, one for each connection. */
struct server_listener {
    const struct listener_settings *settings; /* part of the terms */
    struct settings *terms; /* of what a client is told or keeps, these options hold for it */
    struct slice mount;     /* its mount_point; empty: none */
    struct server_places *places;
    _Atomic uint32_t refs;
};

/* `before` is the same listener until now, or NULL for one that opens. -ENOMEM. */
int server_listener_new(struct settings *terms, const struct listener_settings *settings,
                        const struct server_listener *before,
                        struct server_listener **listener_out) MUST_CHECK;

struct server_listener *server_listener_ref(struct server_listener *listener);
struct server_listener *server_listener_unref(struct server_listener *listener);

/* Whether a PROXY header from this address is believed. */
bool server_listener_trusts(const struct server_listener *listener, const struct address *peer);
