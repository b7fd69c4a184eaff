/*
 * Everyone connects at once, as after a restart of whatever stood between: n clients that were
 * connected end and open their connections again while one publisher's messages go to the others.
 * There is one for every so many clients, and not so many a second: a broker that takes longer, or
 * has neighbours, must not get more to do for it.
 *
 * A client's time runs from its connect() to its CONNACK; a SYN that the broker's backlog did not
 * take, and the seconds that the kernel waits then, are in it: 1, 2, 4, 8 and 16, so the patience
 * should be beyond their sum.
 *
 * Who has none by then counts as having waited that long, in this storm and those that follow. It
 * does not come again: what it left in the backlog bears its client id, and if the broker reads
 * that after the new CONNECT, it closes the new connection for the old one.
 */

#include "bench/histogram.h"
#include "bench/ledger.h"
#include "bench/meter.h"
#include "bench/scale.h"
#include "bench/swarm.h"

#include <stdio.h>
#include <stdlib.h>

enum { SUBSCRIBER_LEN = 1000, STORMS = 3, OPENED_PER_TURN = 16, OPENED_PER_MESSAGE = 500 };

#define TOPIC    "bench/site/shared/value"
#define STALL_NS (10 * NS_PER_SECOND) /* without any message: what did not arrive is lost */

struct storm {
    const struct plan *plan;
    struct swarm swarm;
    struct ledger ledger;
    struct histogram waits;
    uint64_t *opened_ns; /* by client */
    bool *is_out;        /* by client: it gave up */
    uint32_t out_len;
    uint32_t sent;
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

static void rest(struct swarm *swarm, double seconds)
{
    uint64_t until_ns = tool_now_ns() + (uint64_t)(seconds * (double)NS_PER_SECOND);

    while (tool_now_ns() < until_ns) {
        swarm_turn(swarm, 5);
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

static uint64_t patience_ns(const struct storm *storm)
{
    return (uint64_t)(storm->plan->patience * (double)NS_PER_SECOND);
}

static void open_clients(struct storm *storm)
{
    struct swarm *swarm = &storm->swarm;

    for (uint32_t i = 0; i < storm->plan->n; i++) {
        if (!storm->is_out[i]) {
            storm->opened_ns[i] = tool_now_ns();
            swarm_open(swarm, &swarm->peers[first_client() + i]);
        }
        if (i % OPENED_PER_MESSAGE == 0) {
            publish_one(storm);
            swarm_flush(swarm);
        }
        if (i % OPENED_PER_TURN == 0) {
            swarm_turn(swarm, 0);
        }
    }
}

/* Those who just gave up, and those who did before. */
static void count_unanswered(struct storm *storm)
{
    struct swarm *swarm = &storm->swarm;

    for (uint32_t i = first_client(); i < swarm->len; i++) {
        bool *is_out = &storm->is_out[i - first_client()];

        if (!*is_out && swarm->peers[i].state != PEER_READY) {
            swarm_close(swarm, &swarm->peers[i]);
            *is_out = true;
            storm->out_len++;
        }
        if (*is_out) {
            histogram_add(&storm->waits, patience_ns(storm));
        }
    }
}

static void rage(struct storm *storm)
{
    struct swarm *swarm = &storm->swarm;
    uint64_t deadline_ns;

    close_clients(swarm);
    rest(swarm, 0.3);
    open_clients(storm);
    deadline_ns = tool_now_ns() + patience_ns(storm);
    while (swarm->ready_len < swarm->len - storm->out_len && tool_now_ns() < deadline_ns) {
        swarm_turn(swarm, 5);
    }
    count_unanswered(storm);
}

static void init_storm(struct storm *storm, const struct plan *plan)
{
    if (plan->qos) {
        tool_die("storm is for --qos 0");
    }
    *storm = (struct storm){.plan = plan};
    ledger_init(&storm->ledger, LEDGER_FAN_OUT, SUBSCRIBER_LEN, plan->payload_size);
    storm->opened_ns = tool_alloc(plan->n, sizeof(*storm->opened_ns));
    storm->is_out = tool_alloc(plan->n, sizeof(*storm->is_out));
    swarm_init(&storm->swarm, plan, first_client() + plan->n);
    storm->swarm.context = storm;
    storm->swarm.is_timed = true;
    storm->swarm.handlers = (struct swarm_handlers){
        .filter = filter,
        .on_ready = on_ready,
        .on_publish = on_publish,
    };
    swarm_open_all(&storm->swarm);
}

/* Messages that were sent must still arrive: they may take their time, if only some come. */
static void drain(struct storm *storm)
{
    uint64_t wanted = (uint64_t)storm->sent * SUBSCRIBER_LEN;
    uint64_t received = storm->ledger.received;
    uint64_t deadline_ns = tool_now_ns() + STALL_NS;

    while (storm->ledger.received < wanted && tool_now_ns() < deadline_ns) {
        swarm_turn(&storm->swarm, 5);
        if (storm->ledger.received != received) {
            received = storm->ledger.received;
            deadline_ns = tool_now_ns() + STALL_NS;
        }
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
           (double)histogram_find(waits, 0.99) / 1e6, (double)waits->max / 1e6, storm->out_len,
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
        rest(&storm.swarm, 0.2);
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
    free(storm.is_out);
    ledger_deinit(&storm.ledger);
    swarm_deinit(&storm.swarm);
    return is_clean ? 0 : 1;
}
