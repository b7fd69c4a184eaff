/*
 * Everyone connects at once, as after a restart of whatever stood between: n clients that were
 * connected end and open their connections again while one publisher's messages go to the others.
 * A client's time runs from its connect() to its CONNACK; a SYN that the broker's backlog did not
 * take, and the second that the kernel waits then, are in it. Who has none after STALL_NS counts as
 * having waited that long, and tries no more in this storm.
 */

#include "bench/histogram.h"
#include "bench/ledger.h"
#include "bench/meter.h"
#include "bench/scale.h"
#include "bench/swarm.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SUBSCRIBER_LEN = 1000,
    STORMS = 3,
    PUBLISH_RATE = 20, /* a second, so 20,000 deliveries: far from what a broker can do */
    OPENED_PER_TURN = 16
};

#define TOPIC    "bench/site/shared/value"
#define STALL_NS (10 * NS_PER_SECOND)

struct storm {
    const struct plan *plan;
    struct swarm swarm;
    struct ledger ledger;
    struct histogram waits;
    uint64_t *opened_ns; /* by client */
    uint64_t start_ns;
    uint32_t sent;
    uint32_t unanswered;
    bool is_raging;
};

static size_t filter(void *context, uint32_t index, char *filter_out)
{
    (void)context;
    return index >= 1 && index <= SUBSCRIBER_LEN
               ? (size_t)snprintf(filter_out, SWARM_TOPIC_MAX, TOPIC)
               : 0;
}

static uint32_t first_client(void)
{
    return 1 + SUBSCRIBER_LEN;
}

static void on_ready(void *context, struct peer *peer)
{
    struct storm *storm = context;

    if (storm->is_raging && peer->index >= first_client()) {
        histogram_add(&storm->waits,
                      storm->swarm.received_ns - storm->opened_ns[peer->index - first_client()]);
    }
}

static void on_publish(void *context, struct peer *peer, const struct wire_publish *publish)
{
    struct storm *storm = context;
    struct ledger_stamp stamp;

    (void)ledger_book(&storm->ledger, peer->index - 1, publish->payload, &stamp);
}

static void publish_one(struct storm *storm)
{
    const struct plan *plan = storm->plan;
    struct ledger_stamp stamp = {.number = storm->sent++};
    size_t room = WIRE_FRONT_MAX + sizeof(TOPIC) + plan->payload_size;
    struct peer *peer = &storm->swarm.peers[0];
    uint8_t *at = swarm_append(&storm->swarm, peer, room);
    size_t used = wire_put_publish(at, plan->target.version, plan->qos,
                                   slice_of(TOPIC, sizeof(TOPIC) - 1), plan->payload_size);

    memset(at + used, LEDGER_FILL, plan->payload_size);
    memcpy(at + used, &stamp, sizeof(stamp));
    peer->out.len -= room - used - plan->payload_size;
}

/* One turn, and what the clock wants published. */
static void turn(struct storm *storm, int timeout_ms)
{
    uint64_t due = (tool_now_ns() - storm->start_ns) * PUBLISH_RATE / NS_PER_SECOND;

    while (storm->sent < due) {
        publish_one(storm);
    }
    swarm_flush(&storm->swarm);
    swarm_turn(&storm->swarm, timeout_ms);
    swarm_flush(&storm->swarm);
}

static void rest(struct storm *storm, double seconds)
{
    uint64_t until_ns = tool_now_ns() + (uint64_t)(seconds * (double)NS_PER_SECOND);

    while (tool_now_ns() < until_ns) {
        turn(storm, 5);
    }
}

static void close_clients(struct swarm *swarm)
{
    for (uint32_t i = first_client(); i < swarm->len; i++) {
        if (swarm->peers[i].state != PEER_CLOSED) {
            swarm_close(swarm, &swarm->peers[i]);
        }
    }
}

static void give_up_on_the_rest(struct storm *storm)
{
    struct swarm *swarm = &storm->swarm;

    for (uint32_t i = first_client(); i < swarm->len; i++) {
        if (swarm->peers[i].state != PEER_READY) {
            histogram_add(&storm->waits, STALL_NS);
            storm->unanswered++;
            swarm_close(swarm, &swarm->peers[i]);
        }
    }
}

static void rage(struct storm *storm)
{
    struct swarm *swarm = &storm->swarm;
    uint64_t deadline_ns;

    close_clients(swarm);
    rest(storm, 0.3);
    for (uint32_t i = first_client(); i < swarm->len; i++) {
        storm->opened_ns[i - first_client()] = tool_now_ns();
        swarm_open(swarm, &swarm->peers[i]);
        if (i % OPENED_PER_TURN == 0) {
            turn(storm, 0);
        }
    }
    deadline_ns = tool_now_ns() + STALL_NS;
    while (swarm->ready_len < swarm->len && tool_now_ns() < deadline_ns) {
        turn(storm, 5);
    }
    give_up_on_the_rest(storm);
}

static void init_storm(struct storm *storm, const struct plan *plan)
{
    if (plan->qos) {
        tool_die("storm is for --qos 0");
    }
    *storm = (struct storm){.plan = plan};
    ledger_init(&storm->ledger, LEDGER_FAN_OUT, SUBSCRIBER_LEN, plan->payload_size);
    storm->opened_ns = tool_alloc(plan->n, sizeof(*storm->opened_ns));
    swarm_init(&storm->swarm, plan, first_client() + plan->n);
    storm->swarm.context = storm;
    storm->swarm.is_timed = true;
    storm->swarm.handlers = (struct swarm_handlers){
        .filter = filter,
        .on_ready = on_ready,
        .on_publish = on_publish,
    };
    swarm_open_all(&storm->swarm);
    storm->start_ns = tool_now_ns();
}

/* Messages that were sent must still arrive, though no more are. */
static void drain(struct storm *storm)
{
    uint64_t wanted = (uint64_t)storm->sent * SUBSCRIBER_LEN;
    uint64_t deadline_ns = tool_now_ns() + STALL_NS;

    while (storm->ledger.received < wanted && tool_now_ns() < deadline_ns) {
        swarm_turn(&storm->swarm, 5);
    }
    storm->ledger.lost += wanted - MIN(wanted, storm->ledger.received);
}

static void print_result(const struct storm *storm, const struct meter_span *span)
{
    const struct histogram *waits = &storm->waits;
    double len = waits->total ? (double)waits->total : 1;

    printf("{\"scenario\": \"storm\", \"connections\": %lu, \"cpu_us\": %.3f, \"p50_ms\": %.3f, "
           "\"p99_ms\": %.3f, \"max_ms\": %.3f, \"unanswered\": %u, \"deliveries\": %lu, "
           "\"generator_share\": %.3f, "
           "\"lost\": %lu, \"doubled\": %lu, \"stray\": %lu}\n",
           waits->total, span->cpu_us / len, (double)histogram_find(waits, 0.5) / 1e6,
           (double)histogram_find(waits, 0.99) / 1e6, (double)waits->max / 1e6, storm->unanswered,
           storm->ledger.received, span->own_share, storm->ledger.lost, storm->ledger.doubled,
           storm->ledger.stray);
}

int storm_run(const struct plan *plan)
{
    static struct storm storm;
    struct meter_span span;
    struct meter from;
    struct meter to;
    bool is_clean;

    init_storm(&storm, plan);
    meter_read(plan->pid, &from);
    storm.is_raging = true;
    for (int i = 0; i < STORMS; i++) {
        rage(&storm);
        rest(&storm, 0.2);
    }
    meter_read(plan->pid, &to);
    span = meter_between(&from, &to);
    drain(&storm);
    print_result(&storm, &span);
    is_clean = ledger_is_clean(&storm.ledger);
    if (!is_clean) {
        fprintf(stderr, "bench-load: FAILED: %lu lost, %lu doubled, %lu stray\n", storm.ledger.lost,
                storm.ledger.doubled, storm.ledger.stray);
    }
    free(storm.opened_ns);
    ledger_deinit(&storm.ledger);
    swarm_deinit(&storm.swarm);
    return is_clean ? 0 : 1;
}
