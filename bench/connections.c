#include "bench/connections.h"

#include "bench/meter.h"
#include "bench/swarm.h"

#include <stdio.h>

#define STALL_NS (5 * NS_PER_SECOND)

struct churn {
    struct swarm swarm;
    uint64_t cycles;
};

/* CONNACK is here: DISCONNECT, close, and the next one takes the place. */
static void on_connected(void *context, struct peer *peer)
{
    struct churn *churn = context;

    swarm_close(&churn->swarm, peer);
    churn->cycles++;
    swarm_open(&churn->swarm, peer);
}

static void run_churn(struct churn *churn, double seconds)
{
    uint64_t until_ns = tool_now_ns() + (uint64_t)(seconds * (double)NS_PER_SECOND);
    uint64_t cycles = churn->cycles;
    uint64_t progress_ns = tool_now_ns();
    uint64_t now;

    while ((now = tool_now_ns()) < until_ns) {
        swarm_turn(&churn->swarm, 50);
        if (churn->cycles != cycles) {
            cycles = churn->cycles;
            progress_ns = now;
        } else if (now - progress_ns > STALL_NS) {
            tool_die("the broker answers no CONNECT any more");
        }
    }
}

static void print_span(const char *scenario, const struct meter_span *span, uint64_t len)
{
    double each = len ? (double)len : 1;

    printf("{\"scenario\": \"%s\", \"connections\": %lu, \"seconds\": %.3f, \"rate\": %.0f, "
           "\"cpu_us\": %.3f, \"user_us\": %.3f, \"kernel_us\": %.3f, \"broker_share\": %.3f, "
           "\"generator_share\": %.3f, \"busiest_share\": %.3f",
           scenario, len, span->seconds, (double)len / span->seconds, span->cpu_us / each,
           span->user_us / each, span->kernel_us / each, span->cpu_us / 1e6 / span->seconds,
           span->own_share, span->busiest_share);
}

int churn_run(const struct plan *plan)
{
    struct churn churn = {0};
    struct meter from;
    struct meter to;
    struct meter_span span;
    uint64_t before;

    swarm_init(&churn.swarm, plan, plan->n);
    churn.swarm.context = &churn;
    churn.swarm.handlers.on_ready = on_connected;
    for (uint32_t i = 0; i < plan->n; i++) {
        swarm_open(&churn.swarm, &churn.swarm.peers[i]);
    }
    run_churn(&churn, plan->warm_up);
    before = churn.cycles;
    meter_read(plan->pid, &from);
    run_churn(&churn, plan->seconds);
    meter_read(plan->pid, &to);
    span = meter_between(&from, &to);
    print_span("connect", &span, churn.cycles - before);
    printf("}\n");
    swarm_deinit(&churn.swarm);
    return 0;
}

static size_t own_topic(void *context, uint32_t index, char *filter_out)
{
    (void)context;
    return (size_t)snprintf(filter_out, SWARM_TOPIC_MAX, "bench/device/%05u/value", index);
}

/* Lets everyone be for a while; the broker may finish what it does behind the last answer. */
static void rest(struct swarm *swarm, double seconds)
{
    uint64_t until_ns = tool_now_ns() + (uint64_t)(seconds * (double)NS_PER_SECOND);

    while (tool_now_ns() < until_ns) {
        swarm_turn(swarm, 50);
    }
}

/*
 * What the broker needs once, however many come: as many as swarm_open_all() has on their way at
 * the same time come and go, so that the room for their handshakes is there. With TLS that is some
 * megabytes.
 */
static void visit(const struct plan *plan)
{
    struct swarm swarm;

    swarm_init(&swarm, plan, SWARM_OPENING_MAX);
    swarm_open_all(&swarm);
    for (uint32_t i = 0; i < swarm.len; i++) {
        swarm_close(&swarm, &swarm.peers[i]);
    }
    rest(&swarm, 0.2);
    swarm_deinit(&swarm);
}

int idle_run(const struct plan *plan)
{
    struct swarm swarm;
    struct meter from;
    struct meter opened;
    struct meter settled;
    struct meter to;
    struct meter_span opening;
    struct meter_span idle;
    uint64_t before;
    uint64_t after;

    if (!plan->pid) {
        tool_die("idle needs --pid");
    }
    visit(plan);
    swarm_init(&swarm, plan, plan->n);
    swarm.handlers.filter = plan->subscribes ? own_topic : NULL;
    before = meter_resident_bytes(plan->pid);
    meter_read(plan->pid, &from);
    swarm_open_all(&swarm);
    meter_read(plan->pid, &opened);
    rest(&swarm, 0.5);
    after = meter_resident_bytes(plan->pid);
    meter_read(plan->pid, &settled);
    rest(&swarm, plan->seconds);
    meter_read(plan->pid, &to);
    opening = meter_between(&from, &opened);
    idle = meter_between(&settled, &to);
    print_span("idle", &opening, plan->n);
    printf(", \"rss_before\": %lu, \"rss_after\": %lu, \"bytes\": %.0f, \"idle_share\": %.4f}\n",
           before, after, ((double)after - (double)before) / plan->n,
           idle.cpu_us / 1e6 / idle.seconds);
    swarm_deinit(&swarm);
    return 0;
}
