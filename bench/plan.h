#pragma once

/*
 * Plan
 *
 * What one run of the load generator shall do, as read from its command line.
 */

#include "base/base.h"

#include <sys/types.h>

/* Where the broker listens, and how it wants to be spoken to. */
struct plan_target {
    const char *host;
    const char *path; /* a Unix socket instead */
    uint16_t port;
    uint8_t version;  /* 4 or 5 */
    bool has_sources; /* connections come from 127.0.0.2 and following */
    const char *user; /* NULL: nobody logs in */
    const char *password;
    bool has_tls;
    bool is_web;    /* MQTT in WebSocket */
    bool has_proxy; /* each connection begins with a header of the PROXY protocol, version 2 */
};

struct plan {
    const char *scenario;
    struct plan_target target;
    pid_t pid; /* the broker to be measured, or 0 */
    uint8_t qos;
    bool subscribes; /* idle: with one subscription each */
    bool is_exact;   /* subscriptions: none of them with wildcards */
    uint32_t n;      /* pairs, subscribers, publishers or connections */
    uint32_t payload_size;
    uint32_t window; /* messages in flight for each publisher */
    uint32_t rate;   /* latency: messages a second, all publishers together */
    uint64_t count;  /* messages for each publisher, or what is loaded; 0: run for `seconds` */
    double seconds;
    double warm_up;  /* seconds before the measured ones */
    double patience; /* seconds */
};

/* Ends the process with a usage text when the arguments are wrong. */
void plan_parse(struct plan *plan, int argc, char **argv);
