/*
 * Publishers come first in the swarm, subscribers behind them. A run has four parts: everyone is
 * opened, warm-up, the measured interval, and a drain in which nothing more is published and all
 * that is under way must arrive.
 *
 * In the closed scenarios a publisher has at most `window` messages in flight. A message is in
 * flight until every receiver has it and, above QoS 0, the broker has acknowledged it. What is due
 * is published once a turn of the loop, so a burst that was received is followed by a burst.
 *
 * In the open one (latency) the k-th message is due at a time that depends on k alone, and that
 * time is what the receiver measures from: a broker, or a generator, that falls behind is not
 * forgiven. The loop spins there, since a sleep would cost more than what is measured.
 */

#include "bench/flow.h"

#include "bench/histogram.h"
#include "bench/ledger.h"
#include "bench/meter.h"
#include "bench/swarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STALL_NS (5 * NS_PER_SECOND)

struct flow_row {
    const char *name;
    enum ledger_shape shape;
    bool is_open;
};

static const struct flow_row rows[] = {
    {"p2p",     LEDGER_PAIRS,   false},
    {"fanout",  LEDGER_FAN_OUT, false},
    {"fanin",   LEDGER_FAN_IN,  false},
    {"latency", LEDGER_PAIRS,   true },
    {"shared",  LEDGER_ONE_OF,  false},
};

struct publisher {
    struct peer *peer;
    uint32_t window;
    uint32_t sent;
    uint32_t acknowledged;
    uint64_t awaited; /* answers to what was sent: deliveries and acknowledgements */
    bool is_due;
    struct publisher *next_due;
    uint8_t front[WIRE_FRONT_MAX + SWARM_TOPIC_MAX]; /* a PUBLISH up to its payload */
    uint32_t front_size;
    uint32_t id_at;
};

struct flow {
    const struct plan *plan;
    const struct flow_row *row;
    struct swarm swarm;
    struct ledger ledger;
    struct publisher *publishers;
    struct publisher *due;
    uint8_t *payload;
    uint32_t publisher_len;
    uint32_t receiver_len; /* of each message */
    uint64_t sent;         /* by all publishers */
    uint64_t done;         /* acknowledgements of the broker */
    uint64_t count_max;    /* for each publisher */
    bool is_draining;
    uint64_t latency_from_ns;
    struct histogram latency;
};

static const struct flow_row *find_row(const char *scenario)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].name, scenario) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

bool flow_has(const char *scenario)
{
    return find_row(scenario) != NULL;
}

/* The topic that the publisher or subscriber of this number uses. */
static size_t put_topic(const struct flow *flow, uint32_t number, char *at)
{
    if (flow->row->shape == LEDGER_FAN_OUT || flow->row->shape == LEDGER_FAN_IN) {
        return (size_t)snprintf(at, SWARM_TOPIC_MAX, "bench/site/shared/value");
    }
    return (size_t)snprintf(at, SWARM_TOPIC_MAX, "bench/device/%05u/value", number);
}

static size_t filter(void *context, uint32_t index, char *filter_out)
{
    const struct flow *flow = context;

    if (index < flow->publisher_len) {
        return 0;
    }
    if (flow->row->shape == LEDGER_ONE_OF) {
        return (size_t)snprintf(filter_out, SWARM_TOPIC_MAX, "$share/bench/bench/device/+/value");
    }
    return put_topic(flow, index - flow->publisher_len, filter_out);
}

static void make_due(struct flow *flow, struct publisher *publisher)
{
    if (!publisher->is_due) {
        publisher->is_due = true;
        publisher->next_due = flow->due;
        flow->due = publisher;
    }
}

/* A delivery or an acknowledgement; the last one makes the publisher due. */
static void on_answer(struct flow *flow, struct publisher *publisher)
{
    if (publisher->awaited && --publisher->awaited == 0 && !flow->row->is_open) {
        make_due(flow, publisher);
    }
}

static void on_publish(void *context, struct peer *peer, const struct wire_publish *publish)
{
    struct flow *flow = context;
    struct ledger_stamp stamp;

    if (!ledger_book(&flow->ledger, peer->index - flow->publisher_len, publish->payload, &stamp)) {
        return;
    }
    on_answer(flow, &flow->publishers[stamp.publisher]);
    if (flow->row->is_open && stamp.time_ns >= flow->latency_from_ns) {
        histogram_add(&flow->latency, flow->swarm.received_ns - stamp.time_ns);
    }
}

static uint16_t packet_id_of(uint32_t number)
{
    return (uint16_t)(number % UINT16_MAX + 1);
}

/* The standard wants acknowledgements in the order of what they acknowledge. */
static void on_done(void *context, struct peer *peer, uint16_t packet_id)
{
    struct flow *flow = context;
    struct publisher *publisher = &flow->publishers[peer->index];

    if (peer->index >= flow->publisher_len || packet_id != packet_id_of(publisher->acknowledged)) {
        flow->ledger.stray++;
        return;
    }
    publisher->acknowledged++;
    flow->done++;
    on_answer(flow, publisher);
}

static void publish(struct flow *flow, struct publisher *publisher, uint64_t time_ns)
{
    uint32_t payload_size = flow->plan->payload_size;
    uint8_t *at = swarm_append(&flow->swarm, publisher->peer, publisher->front_size + payload_size);
    struct ledger_stamp stamp = {
        .publisher = publisher->peer->index,
        .number = publisher->sent,
        .time_ns = time_ns,
    };

    memcpy(at, publisher->front, publisher->front_size);
    memcpy(at + publisher->front_size, flow->payload, payload_size);
    memcpy(at + publisher->front_size, &stamp, sizeof(stamp));
    if (flow->plan->qos) {
        wire_put_two(at + publisher->id_at, packet_id_of(publisher->sent));
    }
    publisher->awaited += flow->receiver_len + (flow->plan->qos > 0);
    publisher->sent++;
    flow->sent++;
}

static void publish_due(struct flow *flow)
{
    while (flow->due) {
        struct publisher *publisher = flow->due;

        flow->due = publisher->next_due;
        publisher->is_due = false;
        for (uint32_t i = 0;
             i < publisher->window && !flow->is_draining && publisher->sent < flow->count_max;
             i++) {
            publish(flow, publisher, 0);
        }
    }
}

static void init_publisher(struct flow *flow, uint32_t number)
{
    struct publisher *publisher = &flow->publishers[number];
    const struct plan *plan = flow->plan;
    char topic[SWARM_TOPIC_MAX];
    size_t topic_len = put_topic(flow, number, topic);

    publisher->peer = &flow->swarm.peers[number];
    publisher->front_size =
        (uint32_t)wire_put_publish(publisher->front, plan->target.version, plan->qos,
                                   slice_of(topic, topic_len), plan->payload_size);
    publisher->id_at = publisher->front_size - (plan->target.version == 5) - 2;
    publisher->window = plan->window;
    if (flow->row->shape == LEDGER_ONE_OF) {
        publisher->window = MIN(publisher->window, LEDGER_REACH);
    }
    if (plan->qos) {
        publisher->window = MIN(publisher->window, publisher->peer->receive_maximum);
    }
    if (!flow->row->is_open) {
        make_due(flow, publisher);
    }
}

static void init_flow(struct flow *flow, const struct plan *plan)
{
    uint32_t subscriber_len;

    flow->plan = plan;
    flow->row = find_row(plan->scenario);
    flow->publisher_len = flow->row->shape == LEDGER_FAN_OUT ? 1 : plan->n;
    subscriber_len = flow->row->shape == LEDGER_FAN_IN ? 1 : plan->n;
    flow->receiver_len = flow->row->shape == LEDGER_FAN_OUT ? plan->n : 1;
    flow->count_max = plan->count ? plan->count : UINT32_MAX;
    flow->latency_from_ns = UINT64_MAX;
    flow->payload = tool_alloc(1, plan->payload_size);
    memset(flow->payload, LEDGER_FILL, plan->payload_size);
    ledger_init(&flow->ledger, flow->row->shape, plan->n, plan->payload_size);
    swarm_init(&flow->swarm, plan, flow->publisher_len + subscriber_len);
    flow->swarm.context = flow;
    flow->swarm.handlers = (struct swarm_handlers){
        .filter = filter,
        .on_publish = on_publish,
        .on_done = on_done,
    };
    flow->swarm.is_timed = flow->row->is_open;
    flow->publishers = tool_alloc(flow->publisher_len, sizeof(*flow->publishers));
    swarm_open_all(&flow->swarm);
    for (uint32_t i = 0; i < flow->publisher_len; i++) {
        init_publisher(flow, i);
    }
}

static void deinit_flow(struct flow *flow)
{
    free(flow->publishers);
    free(flow->payload);
    ledger_deinit(&flow->ledger);
    swarm_deinit(&flow->swarm);
}

/* Everything that was sent has arrived everywhere and is acknowledged. */
static bool is_complete(const struct flow *flow)
{
    return flow->ledger.received >= flow->sent * flow->receiver_len &&
           (!flow->plan->qos || flow->done >= flow->sent);
}

static bool is_counted_out(const struct flow *flow)
{
    return flow->plan->count && flow->sent >= flow->publisher_len * flow->plan->count;
}

/* Runs the closed loop until `until_ns`, or until it is complete; false: it came to a halt. */
static bool run_closed(struct flow *flow, uint64_t until_ns)
{
    uint64_t progress = flow->ledger.received + flow->done;
    uint64_t progress_ns = tool_now_ns();

    for (;;) {
        uint64_t now;

        publish_due(flow);
        swarm_flush(&flow->swarm);
        if ((flow->is_draining || is_counted_out(flow)) && is_complete(flow)) {
            return true;
        }
        swarm_turn(&flow->swarm, 50);
        now = tool_now_ns();
        if (now >= until_ns) {
            return true;
        }
        if (flow->ledger.received + flow->done != progress) {
            progress = flow->ledger.received + flow->done;
            progress_ns = now;
        } else if (now - progress_ns > STALL_NS) {
            return false;
        }
    }
}

/* Publishes what is due by the clock, from `start_ns` on, until `until_ns`. */
static void run_open(struct flow *flow, uint64_t start_ns, uint64_t until_ns)
{
    uint64_t now;

    while ((now = tool_now_ns()) < until_ns) {
        for (;;) {
            uint64_t due_ns = start_ns + flow->sent * NS_PER_SECOND / flow->plan->rate;

            if (due_ns > now) {
                break;
            }
            publish(flow, &flow->publishers[flow->sent % flow->publisher_len], due_ns);
        }
        swarm_flush(&flow->swarm);
        swarm_turn(&flow->swarm, 0);
    }
}

struct interval {
    struct meter from, to;
    uint64_t received_from, received_to;
};

static bool run_parts(struct flow *flow, struct interval *interval)
{
    uint64_t start_ns = tool_now_ns();
    double warm_up = flow->plan->count ? 0 : flow->plan->warm_up;
    uint64_t from_ns = start_ns + (uint64_t)(warm_up * (double)NS_PER_SECOND);
    uint64_t to_ns = from_ns + (uint64_t)(flow->plan->seconds * (double)NS_PER_SECOND);
    bool is_alive = true;

    if (flow->row->is_open) {
        run_open(flow, start_ns, from_ns);
    } else if (warm_up > 0) {
        is_alive = run_closed(flow, from_ns);
    }
    meter_read(flow->plan->pid, &interval->from);
    interval->received_from = flow->ledger.received;
    flow->latency_from_ns = from_ns;
    if (flow->row->is_open) {
        run_open(flow, start_ns, to_ns);
    } else {
        is_alive = is_alive && run_closed(flow, flow->plan->count ? UINT64_MAX : to_ns);
    }
    meter_read(flow->plan->pid, &interval->to);
    interval->received_to = flow->ledger.received;
    flow->is_draining = true;
    return is_alive && run_closed(flow, UINT64_MAX);
}

static void print_latency(const struct histogram *latency)
{
    printf(", \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
           "\"max_us\": %.1f",
           (double)histogram_find(latency, 0.5) / 1e3, (double)histogram_find(latency, 0.9) / 1e3,
           (double)histogram_find(latency, 0.99) / 1e3,
           (double)histogram_find(latency, 0.999) / 1e3, (double)latency->max / 1e3);
}

static void print_result(const struct flow *flow, const struct interval *interval)
{
    struct meter_span span = meter_between(&interval->from, &interval->to);
    uint64_t messages = interval->received_to - interval->received_from;
    double each = messages ? (double)messages : 1;

    printf("{\"scenario\": \"%s\", \"messages\": %lu, \"seconds\": %.3f, \"rate\": %.0f, "
           "\"cpu_us\": %.4f, \"user_us\": %.4f, \"kernel_us\": %.4f, \"broker_share\": %.3f, "
           "\"generator_share\": %.3f, \"wakeups\": %.4f",
           flow->plan->scenario, messages, span.seconds, (double)messages / span.seconds,
           span.cpu_us / each, span.user_us / each, span.kernel_us / each,
           span.cpu_us / 1e6 / span.seconds, span.own_share, span.sleeps / each);
    if (flow->row->is_open) {
        print_latency(&flow->latency);
    }
    printf(", \"lost\": %lu, \"doubled\": %lu, \"stray\": %lu}\n", flow->ledger.lost,
           flow->ledger.doubled, flow->ledger.stray);
}

/* After a halt: what is on neither side's books is lost. */
static void book_missing(struct flow *flow)
{
    uint64_t awaited = flow->sent * flow->receiver_len;

    fprintf(stderr, "bench-load: the flow came to a halt: %lu of %lu messages, %lu of %lu acks\n",
            flow->ledger.received, awaited, flow->done, flow->plan->qos ? flow->sent : 0);
    if (awaited > flow->ledger.received && flow->ledger.lost == 0) {
        flow->ledger.lost = awaited - flow->ledger.received;
    }
}

int flow_run(const struct plan *plan)
{
    static struct flow flow;
    struct interval interval = {0};
    bool is_alive;

    init_flow(&flow, plan);
    is_alive = run_parts(&flow, &interval);
    if (!is_alive) {
        book_missing(&flow);
    }
    print_result(&flow, &interval);
    if (!ledger_is_clean(&flow.ledger)) {
        fprintf(stderr, "bench-load: FAILED: %lu lost, %lu doubled, %lu stray\n", flow.ledger.lost,
                flow.ledger.doubled, flow.ledger.stray);
        is_alive = false;
    }
    deinit_flow(&flow);
    return is_alive ? 0 : 1;
}
