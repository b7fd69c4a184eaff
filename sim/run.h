#pragma once

/*
 * Run
 *
 * One whole life of a server with its clients: a busy part in which everything happens by chance, a
 * part in which everybody finishes, a look at what is left, and the end. Ends the process when
 * something is wrong.
 */

#include "sim/choice.h"

struct run_result {
    uint64_t steps;    /* of workers */
    unsigned messages; /* published */
    unsigned connections;
    uint64_t digest; /* of all that went over the wire, and of its order */
};

/* What chance has in its hands, see run_draw(). */
struct run_params {
    unsigned workers;
    unsigned actors;
    unsigned client_steps;
    unsigned client_permille; /* how often a client's turn comes, and not a worker's */
    unsigned time_permille;   /* how often time passes while others could go on */
    unsigned switch_permille;
    unsigned stall_permille;
    unsigned hold_permille;
    unsigned cut_permille;
    unsigned short_permille;
    unsigned no_descriptors_permille;
    unsigned window; /* bytes that a client's kernel takes */
    unsigned retained_permille;
    unsigned large_permille;
    unsigned expiry_permille;
    unsigned echo_permille; /* how often somebody publishes as soon as somebody has heard */
    unsigned chaos;
    unsigned churn;
    unsigned web_permille;   /* of connections: inside WebSocket; 0: nobody listens for it */
    unsigned tls_permille;   /* of connections: inside TLS; 0: nobody listens for it */
    unsigned proxy_permille; /* of connections: behind a PROXY header; 0: nobody listens for it */
    unsigned herd;           /* steps of clients that the first of a worker's comes behind */
    unsigned topics;
    unsigned filters;
    unsigned groups;
    unsigned max_queued;
    unsigned max_queued_bytes;
    unsigned queue_policy;
    unsigned max_inflight;
    unsigned max_inflight_bytes;
    bool upgrades_qos;
    bool merges;       /* allow_duplicate_messages is off */
    bool queues_plain; /* QoS 0 for who is away */
    unsigned max_topic_alias;
    unsigned mail_high; /* entries; the low mark is below it */
    unsigned mail_high_bytes;
    unsigned deliveries; /* budgets of an iteration */
    unsigned searches;   /* steps of one at once */
    unsigned at_once;
    unsigned cleanups;
    unsigned timers;
    unsigned reclaims;
    unsigned events;
    unsigned store_permille;  /* how often the store's turn comes; 0: there is none */
    unsigned reload_permille; /* how often other settings are put in place */
    unsigned drain_permille;  /* how often some clients are sent away */
    unsigned death_permille;  /* the store dies in the middle; 1000: certainly */
    unsigned linger_s;
    unsigned linger_size;
    unsigned lingering; /* at once, 0: all */
    bool is_calm;       /* nobody is slow or late */
    bool has_observer;
    bool has_bad_clients;
    bool stops_early; /* in the middle of everything */
};

void run_draw(struct choice *choice, struct run_params *params_out);
void run_print(const struct run_params *params);

struct run_result run(struct choice *choice, const struct run_params *params);
