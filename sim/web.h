#pragma once

/*
 * Web
 *
 * The client's side of WebSocket, written from RFC 6455 with nothing of the server's: the request
 * for the upgrade, frames with masks, fragments and pings between them, all as chance has it. What
 * the server sends is held to the standard, and the run fails where it is not.
 */

#include "sim/bytes.h"
#include "sim/choice.h"

#define WEB_KEY_CAP     25
#define WEB_CONTROL_MAX 125

/* Private but for `is_open` and `is_closed`. */
struct sim_web {
    char key[WEB_KEY_CAP];
    bool is_open;       /* the server has agreed, with the last byte of its answer */
    bool is_closed;     /* the server's close frame was its last */
    bool has_closed;    /* ours was sent, with `code` */
    uint16_t code;      /* 0: with none */
    bool is_in_message; /* our last frame of data was not the final one */
    unsigned ping_len;  /* that we sent */
    unsigned pong_len;  /* that were answered */

    /* What comes in. */
    struct bytes head; /* of the answer, then of each frame */
    uint8_t opcode;    /* of the frame whose payload comes */
    bool has_head;     /* the payload comes */
    uint64_t left;     /* of it */
    struct bytes control;
};

/* The client's first bytes. */
void sim_web_request(struct sim_web *web, struct choice *choice, struct bytes *to);

/* Puts a frame around a part of `payload`, perhaps nothing, and perhaps a ping or a pong in front;
 * how much it took. */
size_t sim_web_put(struct sim_web *web, struct choice *choice, struct slice payload,
                   struct bytes *to);

/* The client's last frame. */
void sim_web_put_close(struct sim_web *web, struct choice *choice, struct bytes *to);

/*
 * Takes bytes of the server off the front of `*bytes`, until something of a frame of data is found;
 * that is empty when all are taken.
 */
struct slice sim_web_take(struct sim_web *web, struct slice *bytes);

void sim_web_deinit(struct sim_web *web);
