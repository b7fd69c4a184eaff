#pragma once

/*
 * Stream
 *
 * What stands between a socket and the bytes of MQTT: stages, from the socket upwards, such as TLS
 * and WebSocket. A stage unseals what came from below and seals what goes down; none of them reads
 * or writes a socket. A plain connection has no stream. Owner: the worker of its connection, and it
 * moves along with that.
 */

#include "base/address.h"
#include "net/output.h"

#include <stdatomic.h>

#define STREAM_STAGES_MAX 2

/* The most bytes that are opened at once, what a stage has kept of earlier ones not counted. */
#define STREAM_READ_MAX 16384

/* What a stage may open that many to: the rest of a TLS record may have waited inside. */
#define STREAM_PLAIN_CAP (2 * STREAM_READ_MAX + 1024)

/* A stage seals no more while so much of its own waits. */
#define STREAM_WIRE_HIGH ((uint32_t)64 * 1024)

/* Room to put pieces together in before they are sealed: one TLS record. */
#define STREAM_GATHER_CAP 16384

/* What is found out about the bytes from below. */
enum stage_verdict {
    STAGE_OK,
    STAGE_END,   /* the peer has closed this stage in good order */
    STAGE_FAILED /* nothing that comes behind means anything */
};

/* What became of a request to speak another protocol from now on. */
enum stage_upgrade { STAGE_NOT_ASKED, STAGE_UPGRADED, STAGE_NOT_UPGRADED };
/* What a call may bring to light. */
enum stage_news {
    STAGE_NEWS_NONE,
    STAGE_NEWS_READY,  /* the handshake is over */
    STAGE_NEWS_RESUMED /* the same, and it went on from an earlier one */
};

/* Which of the names that a peer has proved. */
enum stage_name { STAGE_COMMON_NAME, STAGE_SUBJECT };

/* What a call may use of its worker: `plain` and `gather` are the same for all connections, so
 * nothing stays in them beyond it. */
struct stage_io {
    struct output_pool *pool;
    uint8_t *plain;   /* STREAM_PLAIN_CAP: where a stage that can't open in place opens to */
    uint8_t *gather;  /* STREAM_GATHER_CAP */
    uint64_t now_ms;  /* of the loop's clock */
    const char *text; /* out, beside STAGE_FAILED: why; for ever */
    char detail[160]; /* out: the same in the words of whoever found it; "": there are no others */
    enum stage_news news; /* out */

    uint16_t code; /* to `end`: why, where a stage can say so: enum websocket_code; 0: no need */

    /* Out, of a stage that is asked for an upgrade. */
    enum stage_upgrade upgrade;
    bool has_peer;       /* it was told who the client is */
    struct address peer; /* who */
};

/* What is known of a stage that hides what passes it. All of it lives as long as the stage. */
struct stage_facts {
    const char *version;
    const char *cipher;
    struct slice authority; /* the host name that the peer asked for; empty: none */
    struct slice alpn;      /* the protocol that both agreed on; empty: none */
};

struct stage;

struct stage_ops {
    const char *name; /* in front of why it failed; NULL: the text stands for itself */
    bool is_costly;   /* its handshake is work for which others would wait */

    /*
     * Takes all of `*bytes`, which lie in memory of the worker that may be written to, and leaves
     * there what they hold for the stage above: in the same place, or in io->plain. What is
     * incomplete it keeps. What it answers by itself goes into its wire.
     */
    enum stage_verdict (*unseal)(struct stage *stage, struct slice *bytes, struct stage_io *io);

    /* Takes from the front of `above` and appends to its wire, until that is above
     * STREAM_WIRE_HIGH. Only while it is ready. -errno: the connection is of no more use. */
    int (*seal)(struct stage *stage, struct output *above, struct stage_io *io);

    /* Whether its handshake is over: nothing passes it before. */
    bool (*is_ready)(const struct stage *stage);

    /* The last that we say, into its wire; at most once. `is_failed`: its own answer to what failed
     * it stands there already. */
    void (*end)(struct stage *stage, bool is_failed, struct stage_io *io);

    /* Whether the peer has shown a certificate that was asked for and is good. NULL as find_name.
     */
    bool (*has_certificate)(const struct stage *stage);

    /* What a certificate of the peer calls it, on the heap. -ENOENT: nothing; -ENOMEM. NULL where a
     * stage knows no certificates. */
    int (*find_name)(const struct stage *stage, enum stage_name which, char **name_out);

    /* Only while it is ready. NULL as find_name. */
    void (*describe)(const struct stage *stage, struct stage_facts *facts_out);

    /* Frees it; its wire is empty by then. */
    void (*free)(struct stage *stage);
};

/* The first member of every stage; `ops` is set by whoever makes it, and the rest is zero. */
struct stage {
    const struct stage_ops *ops;
    struct output wire; /* for the stage below, or the socket */
};

struct stream {
    struct stage *stages[STREAM_STAGES_MAX]; /* from the socket upwards */
    uint8_t len;
    uint8_t verdict; /* enum stage_verdict, of the stage that failed or ended first */
    bool has_ended;  /* our last was said */
    uint16_t code;   /* why it will end, see struct stage_io; set by its owner */
    const char *name;
    const char *text; /* why it failed */
};

/* Without stages. -ENOMEM. */
int stream_new(struct stream **stream_out) MUST_CHECK;

/* The stage is the stream's: on top of those that are there. */
void stream_push(struct stream *stream, struct stage *stage);

/* Accepts NULL. */
struct stream *stream_free(struct stream *stream, struct output_pool *pool);

/*
 * Opens what came from the socket, all of it: `*bytes` becomes what is for MQTT. `verdict` tells
 * whether more can come; what is in `*bytes` came before the end. The bytes in front of `*bytes`,
 * as many as there are in front of both places of struct stage_io, may be written to afterwards.
 */
void stream_open(struct stream *stream, struct slice *bytes, struct stage_io *io);

/* Takes from the front of `plain` as much as the stages may hold. -errno. */
int stream_seal(struct stream *stream, struct output *plain, struct stage_io *io) MUST_CHECK;

/* When all is sealed that should be: the last words of every stage. */
void stream_end(struct stream *stream, struct stage_io *io);

/* Whether a handshake is under way that is worth waiting for its turn. */
bool stream_is_costly(const struct stream *stream);

/* Whether a stage of it could tell the peer's names at all, and does know a certificate. */
bool stream_knows_names(const struct stream *stream);
bool stream_has_certificate(const struct stream *stream);

/* As of a stage; -ENOENT as well where none could know. */
int stream_find_name(const struct stream *stream, enum stage_name which, char **name_out);

/* As of a stage. False: there is none that could, or it is not ready. */
bool stream_describe(const struct stream *stream, struct stage_facts *facts_out);

/* What is to be written to the socket. */
static inline struct output *stream_wire(const struct stream *stream)
{
    return &stream->stages[0]->wire;
}

/* Bytes that wait in all stages. */
size_t stream_size(const struct stream *stream);

/* Lets go of what waits. */
void stream_drop(struct stream *stream, struct output_pool *pool);

/* Between the pools of two workers: what waits is no more counted here, is counted here. */
void stream_leave(const struct stream *stream, struct output_pool *pool);
void stream_enter(const struct stream *stream, struct output_pool *pool);

/*
 * Makes a listener's stages of one kind: with TLS, what certificates and keys became. Immutable and
 * counted; any thread.
 */
struct stage_source {
    const struct stage_source_ops *ops;
    _Atomic uint32_t refs; /* 1 from whoever makes it */
};

struct stage_source_ops {
    /* For a connection that this worker accepted. -errno. */
    int (*make)(struct stage_source *source, unsigned worker, struct stage **stage_out);
    void (*free)(struct stage_source *source);
};

/* Accept NULL. */
struct stage_source *stage_source_ref(struct stage_source *source);
struct stage_source *stage_source_unref(struct stage_source *source);
