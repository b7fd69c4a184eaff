/*
 * Things are numbered 0 to total - 1, and thing k belongs to connection k % n: its subscription, or
 * its retained message. The connection behind those n publishes to subscriptions, or subscribes to
 * what is retained.
 *
 * Of the subscriptions, one in ten has a '+' and one in a hundred a '#', yet each topic has exactly
 * one that matches. A message to thing k must reach connection k % n and nobody else. The floor
 * knows no wildcards and is asked for --exact.
 */

#include "bench/scale.h"

#include "bench/bystander.h"
#include "bench/ledger.h"
#include "bench/meter.h"
#include "bench/swarm.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    BATCH = 50, /* filters in a SUBSCRIBE */
    WIDTH = 1000,
    SAMPLE_EVERY = 16, /* turns of a replay for each look at the memory */
    WILDCARD_ROUNDS = 3
};

#define STALL_NS    (20 * NS_PER_SECOND)
#define QUIET_NS    (500 * NS_PER_MS)
#define PATIENCE_NS (60 * NS_PER_SECOND)

struct scale {
    const struct plan *plan;
    struct swarm swarm;
    struct peer *other; /* the connection behind the others */
    uint64_t total;
    uint64_t answered; /* granted subscriptions, or acknowledged messages */
    uint64_t asked;
    uint32_t *loaded; /* for each connection: how many of its things it has sent */
    struct ledger ledger;
    uint32_t sent;
    uint8_t *seen; /* retained: by thing */
    uint8_t *payload;
    uint64_t random;
    bool is_loading;
};

static uint64_t next_random(struct scale *scale)
{
    scale->random ^= scale->random << 13;
    scale->random ^= scale->random >> 7;
    scale->random ^= scale->random << 17;
    return scale->random % scale->total;
}

static size_t put_topic(uint64_t thing, char *at)
{
    return (size_t)snprintf(at, SWARM_TOPIC_MAX, "site/%lu/device/%lu/value", thing / WIDTH,
                            thing % WIDTH);
}

static size_t put_filter(const struct scale *scale, uint64_t thing, char *at)
{
    unsigned long site = thing / WIDTH;
    unsigned long device = thing % WIDTH;

    if (!scale->plan->is_exact && thing % 10 == 3) {
        return (size_t)snprintf(at, SWARM_TOPIC_MAX, "site/%lu/+/%lu/value", site, device);
    }
    if (!scale->plan->is_exact && thing % 100 == 5) {
        return (size_t)snprintf(at, SWARM_TOPIC_MAX, "site/%lu/device/%lu/#", site, device);
    }
    return put_topic(thing, at);
}

/* How many things belong to the connection. */
static uint32_t share_of(const struct scale *scale, uint32_t index)
{
    uint32_t n = scale->plan->n;

    return (uint32_t)((scale->total + n - 1 - index) / n);
}

static uint64_t thing_of(const struct scale *scale, uint32_t index, uint32_t number)
{
    return (uint64_t)number * scale->plan->n + index;
}

static void subscribe_more(struct scale *scale, struct peer *peer)
{
    char texts[BATCH][SWARM_TOPIC_MAX];
    struct slice filters[BATCH];
    uint32_t share = share_of(scale, peer->index);
    uint32_t *loaded = &scale->loaded[peer->index];
    size_t len = 0;

    for (; len < BATCH && *loaded < share; len++, (*loaded)++) {
        filters[len] = slice_of(
            texts[len], put_filter(scale, thing_of(scale, peer->index, *loaded), texts[len]));
    }
    if (len) {
        swarm_subscribe(&scale->swarm, peer, filters, len);
    }
}

static void on_granted(void *context, struct peer *peer, size_t len)
{
    struct scale *scale = context;

    scale->answered += len;
    if (scale->is_loading) {
        subscribe_more(scale, peer);
    }
}

/* A PUBLISH to thing's topic. */
static void publish(struct scale *scale, struct peer *peer, uint64_t thing, bool is_retained)
{
    const struct plan *plan = scale->plan;
    struct ledger_stamp stamp = {.number = scale->sent++, .time_ns = thing};
    char topic[SWARM_TOPIC_MAX];
    size_t topic_len = put_topic(thing, topic);
    size_t room = WIRE_FRONT_MAX + topic_len + plan->payload_size;
    uint8_t *at = swarm_append(&scale->swarm, peer, room);
    size_t used = wire_put_publish(at, plan->target.version, plan->qos, slice_of(topic, topic_len),
                                   plan->payload_size);

    at[0] |= is_retained;
    if (plan->qos) {
        wire_put_two(at + used - (plan->target.version == 5) - 2, (uint16_t)(1 + thing % 60000));
    }
    memcpy(at + used, scale->payload, plan->payload_size);
    memcpy(at + used, &stamp, sizeof(stamp));
    peer->out.len -= room - used - plan->payload_size;
    scale->asked++;
}

static void init_scale(struct scale *scale, const struct plan *plan)
{
    if (!plan->pid || !plan->count || plan->window > LEDGER_REACH) {
        tool_die("%s needs --pid, --count and a --window of at most %u", plan->scenario,
                 LEDGER_REACH);
    }
    *scale = (struct scale){.plan = plan, .total = plan->count, .random = 88172645463325252u};
    scale->loaded = tool_alloc(plan->n, sizeof(*scale->loaded));
    scale->payload = tool_alloc(1, plan->payload_size);
    memset(scale->payload, LEDGER_FILL, plan->payload_size);
    ledger_init(&scale->ledger, LEDGER_ONE_OF, 1, plan->payload_size);
    swarm_init(&scale->swarm, plan, plan->n + 1);
    scale->swarm.context = scale;
    scale->other = &scale->swarm.peers[plan->n];
}

static void deinit_scale(struct scale *scale)
{
    free(scale->loaded);
    free(scale->payload);
    free(scale->seen);
    ledger_deinit(&scale->ledger);
    swarm_deinit(&scale->swarm);
}

/* Turns until the count is what it shall be; ends the process when nothing moves any more. */
static void run_until(struct scale *scale, const uint64_t *count, uint64_t wanted)
{
    uint64_t before = *count;
    uint64_t progress_ns = tool_now_ns();

    swarm_flush(&scale->swarm);
    while (*count < wanted) {
        swarm_turn(&scale->swarm, 50);
        swarm_flush(&scale->swarm);
        if (*count != before) {
            before = *count;
            progress_ns = tool_now_ns();
        } else if (tool_now_ns() - progress_ns > STALL_NS) {
            tool_die("%s: came to a halt at %lu of %lu", scale->plan->scenario, *count, wanted);
        }
    }
}

static void rest(struct scale *scale, uint64_t ns)
{
    uint64_t until_ns = tool_now_ns() + ns;

    while (tool_now_ns() < until_ns) {
        swarm_turn(&scale->swarm, 20);
        swarm_flush(&scale->swarm);
    }
}

/* What loading took, for each thing. */
struct loading {
    struct meter from, to;
    uint64_t before, after; /* resident */
};

static void begin_loading(const struct scale *scale, struct loading *loading)
{
    loading->before = meter_resident_bytes(scale->plan->pid);
    meter_read(scale->plan->pid, &loading->from);
}

static void end_loading(struct scale *scale, struct loading *loading)
{
    meter_read(scale->plan->pid, &loading->to);
    rest(scale, QUIET_NS);
    loading->after = meter_resident_bytes(scale->plan->pid);
}

static void print_loading(const struct scale *scale, const struct loading *loading)
{
    struct meter_span span = meter_between(&loading->from, &loading->to);
    double total = (double)scale->total;

    printf("{\"scenario\": \"%s\", \"total\": %lu, \"load_seconds\": %.3f, \"load_us\": %.4f, "
           "\"bytes\": %.1f",
           scale->plan->scenario, scale->total, span.seconds, span.cpu_us / total,
           ((double)loading->after - (double)loading->before) / total);
}

static void print_messages(const struct meter_span *span, uint64_t messages)
{
    double each = messages ? (double)messages : 1;

    printf(", \"messages\": %lu, \"rate\": %.0f, \"cpu_us\": %.4f, \"user_us\": %.4f, "
           "\"kernel_us\": %.4f, \"generator_share\": %.3f",
           messages, (double)messages / span->seconds, span->cpu_us / each, span->user_us / each,
           span->kernel_us / each, span->own_share);
}

/* Bursts to random things until the time is over; `count` tells when a burst is through. */
static uint64_t run_random(struct scale *scale, const uint64_t *count, double seconds,
                           struct meter_span *span_out)
{
    uint64_t until_ns = tool_now_ns() + (uint64_t)(seconds * (double)NS_PER_SECOND);
    bool is_retained = scale->seen != NULL;
    uint64_t messages = 0;
    struct meter from;
    struct meter to;

    meter_read(scale->plan->pid, &from);
    while (tool_now_ns() < until_ns) {
        uint64_t wanted = *count + scale->plan->window;

        for (uint32_t i = 0; i < scale->plan->window; i++) {
            publish(scale, scale->other, next_random(scale), is_retained);
        }
        run_until(scale, count, wanted);
        messages += scale->plan->window;
    }
    meter_read(scale->plan->pid, &to);
    *span_out = meter_between(&from, &to);
    return messages;
}

static void on_delivery(void *context, struct peer *peer, const struct wire_publish *publish)
{
    struct scale *scale = context;
    struct ledger_stamp stamp;

    if (ledger_book(&scale->ledger, 0, publish->payload, &stamp) &&
        stamp.time_ns % scale->plan->n != peer->index) {
        scale->ledger.stray++;
    }
}

static int finish(struct scale *scale)
{
    const struct ledger *ledger = &scale->ledger;
    int code = ledger_is_clean(ledger) ? 0 : 1;

    printf(", \"lost\": %lu, \"doubled\": %lu, \"stray\": %lu}\n", ledger->lost, ledger->doubled,
           ledger->stray);
    if (code) {
        fprintf(stderr, "bench-load: FAILED: %lu lost, %lu doubled, %lu stray\n", ledger->lost,
                ledger->doubled, ledger->stray);
    }
    deinit_scale(scale);
    return code;
}

int subscriptions_run(const struct plan *plan)
{
    struct scale scale;
    struct loading loading;
    struct meter_span span;
    uint64_t messages;

    init_scale(&scale, plan);
    scale.swarm.handlers =
        (struct swarm_handlers){.on_granted = on_granted, .on_publish = on_delivery};
    swarm_open_all(&scale.swarm);
    begin_loading(&scale, &loading);
    scale.is_loading = true;
    for (uint32_t i = 0; i < plan->n; i++) {
        subscribe_more(&scale, &scale.swarm.peers[i]);
    }
    run_until(&scale, &scale.answered, scale.total);
    end_loading(&scale, &loading);
    (void)run_random(&scale, &scale.ledger.received, plan->warm_up, &span);
    messages = run_random(&scale, &scale.ledger.received, plan->seconds, &span);
    print_loading(&scale, &loading);
    print_messages(&span, messages);
    return finish(&scale);
}

static void publish_more(struct scale *scale, struct peer *peer)
{
    uint32_t share = share_of(scale, peer->index);
    uint32_t *loaded = &scale->loaded[peer->index];

    for (uint32_t i = 0; i < scale->plan->window && *loaded < share; i++, (*loaded)++) {
        publish(scale, peer, thing_of(scale, peer->index, *loaded), true);
    }
}

/* Everyone has a burst on its way; the next one follows when all of them are acknowledged. */
static void load_retained(struct scale *scale)
{
    while (scale->asked < scale->total) {
        for (uint32_t i = 0; i < scale->plan->n; i++) {
            publish_more(scale, &scale->swarm.peers[i]);
        }
        run_until(scale, &scale->answered, scale->asked);
    }
}

static void on_acknowledged(void *context, struct peer *peer, uint16_t packet_id)
{
    struct scale *scale = context;

    (void)peer;
    (void)packet_id;
    scale->answered++;
}

static void on_retained(void *context, struct peer *peer, const struct wire_publish *publish)
{
    struct scale *scale = context;
    struct ledger *ledger = &scale->ledger;
    struct ledger_stamp stamp = {0};

    (void)peer;
    if (publish->payload.len == scale->plan->payload_size) {
        memcpy(&stamp, publish->payload.data, sizeof(stamp));
    }
    if (publish->payload.len != scale->plan->payload_size || stamp.time_ns >= scale->total) {
        ledger->stray++;
    } else if (scale->seen[stamp.time_ns]) {
        ledger->doubled++;
    } else {
        scale->seen[stamp.time_ns] = 1;
    }
    ledger->received++;
}

struct replay {
    struct meter_span span;
    uint64_t grown; /* bytes, at most, while it ran */
    double stall_ms;
};

static void replay_all(struct scale *scale, struct replay *replay)
{
    const struct slice all = slice_of("#", 1);
    const pid_t pid = scale->plan->pid;
    uint64_t before = meter_resident_bytes(pid);
    uint64_t most = before;
    struct bystander bystander;
    struct meter from;
    struct meter to;

    bystander_start(&bystander, &scale->plan->target);
    rest(scale, QUIET_NS / 5);
    bystander_forget(&bystander);
    meter_read(pid, &from);
    scale->swarm.granted_qos = 0;
    swarm_subscribe(&scale->swarm, scale->other, &all, 1);
    while (scale->ledger.received < scale->total) {
        uint64_t wanted = MIN(scale->total, scale->ledger.received + (uint64_t)SAMPLE_EVERY * 1024);

        run_until(scale, &scale->ledger.received, wanted);
        most = MAX(most, meter_resident_bytes(pid));
    }
    meter_read(pid, &to);
    replay->span = meter_between(&from, &to);
    replay->grown = most - before;
    replay->stall_ms = bystander_stop(&bystander);
}

int retained_run(const struct plan *plan)
{
    struct scale scale;
    struct loading loading;
    struct replay replay;
    struct meter_span span;
    uint64_t messages;

    if (plan->qos != 1) {
        tool_die("retained needs --qos 1");
    }
    init_scale(&scale, plan);
    scale.swarm.handlers =
        (struct swarm_handlers){.on_done = on_acknowledged, .on_publish = on_retained};
    scale.seen = tool_alloc(scale.total, 1);
    swarm_open_all(&scale.swarm);
    begin_loading(&scale, &loading);
    load_retained(&scale);
    end_loading(&scale, &loading);
    messages = run_random(&scale, &scale.answered, plan->seconds, &span);
    replay_all(&scale, &replay);
    print_loading(&scale, &loading);
    print_messages(&span, messages);
    printf(", \"replay_us\": %.4f, \"replay_seconds\": %.3f, \"grown\": %lu, \"stall_ms\": %.3f",
           replay.span.cpu_us / (double)scale.total, replay.span.seconds, replay.grown,
           replay.stall_ms);
    return finish(&scale);
}

static const char *const levels[] = {"home", "floor", "room", "wall", "box", "part", "value"};

/* The filter that has a '+' where `mask` has a bit. */
static size_t put_masked(uint32_t mask, char *at)
{
    size_t used = 0;

    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        used += (size_t)snprintf(at + used, SWARM_TOPIC_MAX - used, "%s%s", i ? "/" : "",
                                 mask >> i & 1 ? "+" : levels[i]);
    }
    return used;
}

static void subscribe_masked(struct scale *scale, struct peer *peer)
{
    char text[SWARM_TOPIC_MAX];
    struct slice filter;

    for (uint32_t mask = 1; mask <= scale->total; mask++) {
        filter = slice_of(text, put_masked(mask, text));
        swarm_subscribe(&scale->swarm, peer, &filter, 1);
    }
}

static void on_any(void *context, struct peer *peer, const struct wire_publish *publish)
{
    struct scale *scale = context;

    (void)publish;
    scale->ledger.received++;
    scale->loaded[peer->index]++;
}

static void publish_to_all(struct scale *scale)
{
    char topic[SWARM_TOPIC_MAX];
    size_t topic_len = put_masked(0, topic);
    uint8_t *at = swarm_append(&scale->swarm, scale->other, WIRE_FRONT_MAX + topic_len + 64);
    size_t used =
        wire_put_publish(at, scale->plan->target.version, 0, slice_of(topic, topic_len), 64);

    memset(at + used, LEDGER_FILL, 64);
    scale->other->out.len -= WIRE_FRONT_MAX + topic_len - used;
    swarm_flush(&scale->swarm);
}

static uint32_t count_without(const struct scale *scale)
{
    uint32_t len = 0;

    for (uint32_t i = 0; i < scale->plan->n; i++) {
        len += scale->loaded[i] == 0;
    }
    return len;
}

/*
 * A broker may send one copy or one for each filter: all that comes until it is quiet. It is quiet,
 * too, while it looks for those concerned, which takes some of them seconds.
 */
static void await_quiet(struct scale *scale)
{
    uint64_t until_ns = tool_now_ns() + PATIENCE_NS;
    uint64_t before;

    do {
        before = scale->ledger.received;
        rest(scale, QUIET_NS);
    } while (scale->ledger.received != before ||
             (count_without(scale) > 0 && tool_now_ns() < until_ns));
    scale->ledger.lost += count_without(scale);
    memset(scale->loaded, 0, scale->plan->n * sizeof(*scale->loaded));
}

int wildcards_run(const struct plan *plan)
{
    struct bystander bystander;
    struct meter_span span;
    struct meter from;
    struct meter to;
    struct scale scale;
    double stall_ms;

    init_scale(&scale, plan);
    if (scale.total >= 1u << ARRAY_LEN(levels)) {
        tool_die("wildcards: --count is at most %u", (1u << ARRAY_LEN(levels)) - 1);
    }
    scale.swarm.handlers = (struct swarm_handlers){.on_granted = on_granted, .on_publish = on_any};
    swarm_open_all(&scale.swarm);
    for (uint32_t i = 0; i < plan->n; i++) {
        subscribe_masked(&scale, &scale.swarm.peers[i]);
        run_until(&scale, &scale.answered, scale.total * (i + 1));
    }
    bystander_start(&bystander, &plan->target);
    rest(&scale, QUIET_NS / 5);
    bystander_forget(&bystander);
    meter_read(plan->pid, &from);
    for (int i = 0; i < WILDCARD_ROUNDS; i++) {
        publish_to_all(&scale);
        await_quiet(&scale);
    }
    meter_read(plan->pid, &to);
    stall_ms = bystander_stop(&bystander);
    span = meter_between(&from, &to);
    printf("{\"scenario\": \"wildcards\", \"stall_ms\": %.3f", stall_ms);
    print_messages(&span, scale.ledger.received);
    return finish(&scale);
}
