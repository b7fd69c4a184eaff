#include "config/settings.h"
#include "sim/run.h"
#include "sim/wire.h"

#include <stdio.h>

/* What a run is left to: drawn before it begins, and printed for who watches. */

static void draw_limits(struct choice *choice, struct run_params *params)
{
    params->max_queued = choice_chance(choice, 100) ? choice_between(choice, 1, 20) : 0;
    params->max_queued_bytes = choice_chance(choice, 50) ? choice_between(choice, 20, 5000) : 0;
    params->queue_policy = PICK(choice, SETTINGS_QUEUE_DROP_NEWEST, SETTINGS_QUEUE_DROP_OLDEST,
                                SETTINGS_QUEUE_DISCONNECT);
    /* Clients that are disconnected send again what was not acknowledged, to each other. */
    if (params->queue_policy == SETTINGS_QUEUE_DISCONNECT && params->max_queued > 0) {
        params->max_queued += 10;
    }
    params->upgrades_qos = choice_chance(choice, 100);
    params->merges = choice_chance(choice, 200);
    params->queues_plain = choice_chance(choice, 200);
    params->max_inflight = PICK(choice, 0, 1, 3, 20, 20);
    params->max_inflight_bytes = choice_chance(choice, 100) ? choice_between(choice, 1, 200) : 0;
    params->max_topic_alias = PICK(choice, 0, 1, 10);
    params->mail_high = PICK(choice, 1, 3, 10, 1000, 1000);
    params->mail_high_bytes = PICK(choice, 200, 5000, 1000000, 1000000);
    params->deliveries = PICK(choice, 1, 2, 5, 30, 4000);
    params->at_once = PICK(choice, 1, 2, 64);
    params->searches = PICK(choice, 1, 2, 4, 8, 1024, 1024);
    params->cleanups = PICK(choice, 1, 3, 1000);
    params->timers = PICK(choice, 1, 4, 1000);
    params->reclaims = PICK(choice, 1, 8, 1000);
    params->events = PICK(choice, 1, 3, 256);
}

/* Every message meets two groups, each of which has its turn in an iteration of its own. */
static void deal_in_slices(struct run_params *params)
{
    params->groups = 2;
    params->topics = 1;
    params->filters = 1;
    params->max_queued = 0;
    params->max_queued_bytes = 0;
    params->searches = 1;
    params->deliveries = 1;
    params->at_once = 1;
}

/*
 * Clients that stay and talk, on workers that keep up: what is left to chance is the order in which
 * messages get about.
 */
static void calm_down(struct choice *choice, struct run_params *params)
{
    params->workers = PICK(choice, 2, 3, 3, 4, 5);
    params->actors = choice_between(choice, 4, 7);
    params->echo_permille = 900;
    params->window = 100000;
    params->chaos = 0;
    params->churn = 0;
    params->max_queued = 0;
    params->max_queued_bytes = 0;
    params->max_inflight = 20;
    params->max_inflight_bytes = 0;
    params->deliveries = 4000;
    params->mail_high = 1000;
    params->mail_high_bytes = 1000000;
    params->events = 256;
    params->no_descriptors_permille = 0;
    params->has_observer = true;
    params->has_bad_clients = false;
    params->is_calm = true;
}

void run_draw(struct choice *choice, struct run_params *params)
{
    *params = (struct run_params){
        .workers = PICK(choice, 1, 2, 2, 3, 3, 4, 5, 8),
        .actors = choice_between(choice, 2, 7),
        .client_steps = PICK(choice, 300, 1000, 2500),
        .client_permille = PICK(choice, 60, 150, 300),
        .time_permille = PICK(choice, 0, 1, 5),
        .switch_permille = PICK(choice, 0, 50, 200, 500),
        .stall_permille = PICK(choice, 0, 10, 100),
        .hold_permille = PICK(choice, 15, 50, 200),
        .cut_permille = PICK(choice, 0, 100, 500),
        .short_permille = PICK(choice, 0, 50, 300),
        .no_descriptors_permille = PICK(choice, 0, 0, 0, 50),
        .window = PICK(choice, 100, 2000, 100000, 100000),
        .retained_permille = PICK(choice, 0, 200, 600),
        .large_permille = PICK(choice, 0, 0, 30),
        .expiry_permille = PICK(choice, 0, 0, 100, 500),
        .echo_permille = PICK(choice, 0, 300, 900),
        .chaos = PICK(choice, 0, 1, 2, 6),
        .churn = PICK(choice, 0, 0, 2, 10),
        .topics = PICK(choice, 1, 2, 4, 7, WORLD_TOPIC_LEN),
        .filters = choice_between(choice, 1, WORLD_FILTER_LEN),
        .groups = PICK(choice, 0, 0, 1, 2, WORLD_GROUP_LEN),
        .has_observer = choice_chance(choice, 800),
        .has_bad_clients = choice_chance(choice, 100),
        .stops_early = choice_chance(choice, 100),
    };
    if (params->large_permille > 0) {
        /* Or a run would be nothing but the transport of large payloads in small bites. */
        params->window = MAX(params->window, 5000u);
        params->cut_permille = MIN(params->cut_permille, 100u);
    }
    draw_limits(choice, params);
    if (choice_chance(choice, 500)) {
        calm_down(choice, params);
    }
    if (choice_chance(choice, 100)) {
        deal_in_slices(params);
    }
    if (params->stops_early) {
        params->client_steps = choice_between(choice, 1, params->client_steps);
    }
    params->store_permille = PICK(choice, 0, 20, 200, 800);
    params->reload_permille = PICK(choice, 0, 0, 5, 30, 200);
    params->death_permille = PICK(choice, 0, 0, 0, 1000);
    params->drain_permille = PICK(choice, 0, 0, 0, 5, 30);
    params->web_permille = PICK(choice, 0, 0, 300, 900);
    params->tls_permille = PICK(choice, 0, 0, 0, 0, 0, 0, 300, 900);
    params->proxy_permille = PICK(choice, 0, 0, 0, 0, 0, 0, 300, 900);
    params->linger_s = PICK(choice, 0, 1, 3, 3, 4, 4);
    params->linger_size = PICK(choice, 10, 300, 1000000, 1000000);
    params->lingering = PICK(choice, 0, 0, 0, 1, 2);
    /* What is no TLS has ways of its own through the stages. */
    params->has_bad_clients |= params->tls_permille > 0 && choice_chance(choice, 300);
    params->herd = PICK(choice, 0, 0, 50);
}

void run_print(const struct run_params *params)
{
    printf("workers %u, actors %u, client steps %u (%u per mille), time %u, switch %u, stall %u, "
           "hold %u\n",
           params->workers, params->actors, params->client_steps, params->client_permille,
           params->time_permille, params->switch_permille, params->stall_permille,
           params->hold_permille);
    printf("cut %u, short %u, no descriptors %u, window %u, retained %u, large %u, echo %u, chaos "
           "%u, churn %u\n",
           params->cut_permille, params->short_permille, params->no_descriptors_permille,
           params->window, params->retained_permille, params->large_permille, params->echo_permille,
           params->chaos, params->churn);
    printf("topics %u, filters %u, groups %u, expiry %u, aliases %u, marks %u and %u bytes\n",
           params->topics, params->filters, params->groups, params->expiry_permille,
           params->max_topic_alias, params->mail_high, params->mail_high_bytes);
    printf("max queued %u and %u bytes (policy %u), inflight %u and %u bytes%s%s%s\n",
           params->max_queued, params->max_queued_bytes, params->queue_policy, params->max_inflight,
           params->max_inflight_bytes, params->upgrades_qos ? ", upgrades QoS" : "",
           params->queues_plain ? ", queues QoS 0" : "", params->merges ? ", merges" : "");
    printf("deliveries %u, searches %u, at once %u, cleanups %u, timers %u, reclaims %u, events "
           "%u%s%s%s\n",
           params->deliveries, params->searches, params->at_once, params->cleanups, params->timers,
           params->reclaims, params->events, params->has_observer ? ", observer" : "",
           params->has_bad_clients ? ", bad clients" : "",
           params->stops_early ? ", stops early" : "");
    printf("store %u, death %u, reload %u, drain %u, web %u, TLS %u, PROXY %u, herd %u\n",
           params->store_permille, params->death_permille, params->reload_permille,
           params->drain_permille, params->web_permille, params->tls_permille,
           params->proxy_permille, params->herd);
    printf("linger %u s, %u bytes, %u at once\n", params->linger_s, params->linger_size,
           params->lingering);
}
