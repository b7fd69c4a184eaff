#pragma once

/*
 * WebSocket
 *
 * The server's side of RFC 6455: what answers a request for the upgrade, and frames, taken apart in
 * place and put together. What frames carry is one stream of bytes (MQTT 3.1.1 and 5.0 section 6):
 * where a frame ends means nothing. Extensions are never agreed on. Pure: no sockets, no clock.
 */

#include "mqtt/websocket_codes.h"
#include "net/http.h"

/* ---- the handshake ---- */

/* "mqtt", and what clients of MQTT 3.1 call it; 0 terminates. */
#define WEBSOCKET_ACCEPT_CAP 29

struct websocket_answer {
    enum http_status status;           /* HTTP_SWITCHING_PROTOCOLS: the upgrade is agreed on */
    const char *text;                  /* for the log; NULL with that status */
    const char *protocol;              /* that was agreed on */
    char accept[WEBSOCKET_ACCEPT_CAP]; /* Sec-WebSocket-Accept */
    bool is_foreign_origin;            /* the reason; Mosquitto closes without an answer then */
};

/* `origins`: those that may connect, NULL at the end of the list; no list: all may. A request
 * without an Origin does not come from a web page, and may always. */
void websocket_answer(const struct http_request *request, const char *const *origins,
                      struct websocket_answer *answer_out);

/* ---- frames ---- */

enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0,
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10
};

#define WEBSOCKET_HEAD_MAX    10 /* of a frame to the client */
#define WEBSOCKET_CONTROL_MAX 125

/* Owner: its connection. Private but for `code` and `text`. */
struct websocket {
    uint8_t *control; /* the payload of a control frame, when it comes in pieces */
    uint64_t left;    /* of the payload of the frame */
    uint8_t mask[4];
    uint8_t mask_at;
    uint8_t phase;
    uint8_t need; /* bytes of the phase that are still to come */
    uint8_t opcode;
    uint8_t control_len;
    bool is_final;
    bool is_in_message; /* the last frame of data was not the final one */
};

static_assert(sizeof(struct websocket) <= 32, "an idle connection is paid for a million times");

enum websocket_verdict {
    WEBSOCKET_MORE,   /* all bytes are taken */
    WEBSOCKET_DATA,   /* of the stream, in place */
    WEBSOCKET_PINGED, /* to be answered with a pong that has the same payload */
    WEBSOCKET_PONGED,
    WEBSOCKET_CLOSED, /* the peer's close frame: answer with `code`, and nothing behind it counts */
    WEBSOCKET_FAILED, /* send a close frame with `code` and end the connection */
    WEBSOCKET_NO_MEMORY
};

struct websocket_event {
    struct slice payload; /* in place, or until the next call */
    uint16_t code;        /* WEBSOCKET_CLOSED: the peer's, whichever; WEBSOCKET_FAILED: ours */
    const char *text;     /* WEBSOCKET_FAILED: for the log */
};

void websocket_init(struct websocket *websocket);
void websocket_deinit(struct websocket *websocket);

/*
 * Takes bytes off the front of `*bytes`, which are written to (they are unmasked), until there is
 * something to tell. Not to be called again after CLOSED, FAILED or NO_MEMORY.
 */
enum websocket_verdict websocket_take(struct websocket *websocket, struct slice *bytes,
                                      struct websocket_event *event_out) MUST_CHECK;

/* Writes the head of a whole frame to the client, of WEBSOCKET_HEAD_MAX bytes at most; answers its
 * end. */
uint8_t *websocket_put_head(uint8_t *at, enum websocket_opcode opcode, uint64_t payload_size);

/* A whole close frame; WEBSOCKET_NO_CODE: one that has none. At most 4 bytes. */
#define WEBSOCKET_CLOSE_MAX 4
uint8_t *websocket_put_close(uint8_t *at, uint16_t code);
