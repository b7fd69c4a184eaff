#pragma once

/*
 * WebSocket as a stage of a stream
 *
 * Answers the request for the upgrade, takes frames off what comes in and puts them around what
 * goes out. Pings are answered here; MQTT sees only its bytes.
 */

#include "net/forwarded.h"
#include "net/stream.h"
#include "net/websocket.h"

/* How a client is let in. The lists must live as long as the stage. */
struct websocket_rules {
    const char *const *origins; /* see websocket_answer() */
    struct http_limits limits;
    struct forwarded_trust proxies;
    struct address peer; /* who may be one of them */
};

/* -ENOMEM. */
int websocket_stage_new(const struct websocket_rules *rules, struct stage **stage_out) MUST_CHECK;
