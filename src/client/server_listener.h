#pragma once

/*
 * A listener, for those who come through it
 *
 * What a connection keeps of its listener: the options that were in force when it came, which a
 * reload does not change for it, and its place among the listener's connections. Shared by all
 * workers, so that a connection takes it along when it moves; lives on behind a listener that has
 * closed, until its last connection is gone.
 */

#include "access/access.h"
#include "client/decisions.h"
#include "config/settings.h"
#include "metrics/metrics.h"
#include "net/stream.h"

/* The files that hold now for a listener on a worker, which alone changes them while it runs. */
struct server_rules {
    struct access *access;      /* counted; NULL: it has no files */
    uint64_t group_min;         /* numbers of groups (core/peer.h) by these files begin here;
                                   UINT64_MAX: there are none yet */
    uint64_t drawn;             /* groups of a single session */
    struct decisions decisions; /* by these files; gone with them */
};

/*
 * Connections of one listener, with whichever options they came, and what it has counted since it
 * was opened. Any thread.
 */
struct server_places {
    _Atomic uint32_t refs;
    unsigned worker_len;
    struct server_rules *rules;          /* each worker's own */
    struct metrics_of_listener *metrics; /* a block for each worker, which alone writes there */
    _Atomic uint32_t len CACHE_ALIGNED;  /* which all workers write: apart from what they read */
};

/* Immutable and counted: one for the server while it is in force, one for each connection. */
struct server_listener {
    const struct listener_settings *settings; /* part of the terms */
    struct settings *terms;   /* of what a client is told or keeps, these options hold for it */
    struct slice mount;       /* its mount_point; empty: none */
    struct access *access;    /* counted; NULL: it has no files */
    struct stage_source *tls; /* NULL: none */
    struct server_places *places;
    _Atomic uint32_t refs CACHE_ALIGNED; /* as server_places.len */
};

struct server_listener_params {
    struct settings *terms;                   /* a reference is taken */
    const struct listener_settings *settings; /* part of them */
    const struct server_listener *before;     /* the same until now; NULL: it opens */
    struct access *access;                    /* a reference is taken; NULL: none */
    struct stage_source *tls;                 /* NULL: none; a reference is taken */
    unsigned worker_len;
};

/* -ENOMEM. */
int server_listener_new(const struct server_listener_params *params,
                        struct server_listener **listener_out) MUST_CHECK;

struct server_places *server_places_ref(struct server_places *places);
void server_places_unref(struct server_places *places);

/* On a worker: from now on these files hold for all of the listener's clients there. */
void server_places_turn(struct server_places *places, unsigned worker, struct access *access);

struct server_listener *server_listener_ref(struct server_listener *listener);
struct server_listener *server_listener_unref(struct server_listener *listener);

/* More of what listeners count (metrics/metrics.def), or fewer. On that worker. */
void server_listener_count(const struct server_listener *listener, unsigned worker, unsigned metric,
                           int64_t change);

/* All of it, over all workers. Any thread. */
void server_listener_sum(const struct server_listener *listener,
                         uint64_t values_out[METRIC_LISTENER_LEN]);

/* Whether a PROXY header from this address is believed. */
bool server_listener_trusts(const struct server_listener *listener, const struct address *peer);
