#pragma once

/*
 * TLS
 *
 * The client's side of TLS: OpenSSL's, over memory, a record at a time. Also what OpenSSL must be
 * given, at both ends, for a run to follow from its seed: chance and the time.
 */

#include "sim/bytes.h"
#include "sim/choice.h"

/* Private but for `is_ready` and `is_closed`. */
struct sim_tls {
    struct ssl_st *ssl;
    bool is_ready;       /* the handshake is over at this end */
    bool is_closed;      /* the server has said that nothing more comes */
    bool is_spoilt;      /* we sent what is no TLS: the server may say that it was the last */
    bool is_reused;      /* it went on from an earlier one */
    struct bytes record; /* of the server; not whole */
    struct bytes plain;  /* what the last record held */
};

/* A run, and its end behind the last connection: before it OpenSSL draws from no seed. */
void sim_tls_start(uint64_t seed);
void sim_tls_end(void);

/* The client's first bytes. */
void sim_tls_begin(struct sim_tls *tls, struct choice *choice, struct bytes *to);

/* Bytes that the handshake is waiting to send. */
bool sim_tls_has_answer(const struct sim_tls *tls);
void sim_tls_put_answer(struct sim_tls *tls, struct bytes *to);

/* Puts a part of `payload` into a record, perhaps with a change of keys in front; how much it took.
 * Only when ready, and behind every answer. */
size_t sim_tls_put(struct sim_tls *tls, struct choice *choice, struct slice payload,
                   struct bytes *to);

/* Bytes that the server can't open, or that are no record at all: the client's last. */
void sim_tls_put_garbage(struct sim_tls *tls, struct choice *choice, struct bytes *to);

/* The client's last record. */
void sim_tls_put_close(struct sim_tls *tls, struct bytes *to);

/*
 * Takes bytes of the server off the front of `*bytes`, up to the end of a record; what that holds
 * for the client, which may be nothing, until the next call.
 */
struct slice sim_tls_take(struct sim_tls *tls, struct slice *bytes);

void sim_tls_deinit(struct sim_tls *tls);
