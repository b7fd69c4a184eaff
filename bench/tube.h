#pragma once

/*
 * Tube
 *
 * What lies between the bytes of MQTT and the socket of one connection of the load generator:
 * nothing, TLS, or the frames of WebSocket. TLS and the upgrade begin with the first bytes that are
 * to be sent. The server's certificate is not looked at.
 */

#include "bench/plan.h"
#include "bench/tool.h"

struct tube_web;
struct ssl_st;

struct tube {
    int fd; /* -1: closed */
    struct ssl_st *ssl;
    struct tube_web *web;
};

/* Takes the socket over. */
void tube_open(struct tube *tube, const struct plan_target *target, int fd);
void tube_close(struct tube *tube);

/* How many bytes were taken, or -1 with errno as of send(). */
ssize_t tube_send(struct tube *tube, const uint8_t *data, size_t len);

/* Whether what was not taken, or was taken and not sent, waits for room in the socket. Otherwise
 * it waits for the peer: try again when something was received. */
bool tube_is_blocked(const struct tube *tube);

/* As of recv(). What is to be had without another event is had in one call, if `cap` allows. */
ssize_t tube_receive(struct tube *tube, uint8_t *buf, size_t cap);
