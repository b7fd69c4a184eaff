#include "client/broker_test.h"
#include "client/hub.h"

#include <stdatomic.h>

/*
 * What a message costs in the steady state, and a connection that comes and goes: blocks of memory,
 * hashes, locks, texts that are put together. The linker gives this test the calls of the broker to
 * count (`wrapped` in meson.build); those of the test's own thread, which is all clients, do not
 * count. System calls are held by tests/publish/steady.py and tests/connect/cost.py.
 */

#define ROUND_LEN      20
#define CROSSING_LEN   400 /* rounds before */
#define CROSSING_TRIES 5
#define TOLERANCE      1.1 /* nothing is nothing all the same */
#define BURST_MAX      32
#define SUBSCRIBER_MAX 100
#define HEAD_MAX       32 /* what a PUBLISH has before its payload */

enum counted { COUNTED_BLOCKS, COUNTED_HASHES, COUNTED_LOCKS, COUNTED_TEXTS, COUNTED_LEN };

static const char *const counted_names[COUNTED_LEN] = {"blocks", "hashes", "locks", "texts"};

static _Atomic unsigned long counts[COUNTED_LEN];
static _Thread_local bool is_client;

static void note(enum counted counted)
{
    if (!is_client) {
        atomic_fetch_add(&counts[counted], 1);
    }
}

/* Declarations that the linker's names need: __wrap_x is called for x, __real_x is x. */
#define WRAP(counted, type, name, declared, passed) \
    type __real_##name declared;                    \
    type __wrap_##name declared;                    \
    type __wrap_##name declared                     \
    {                                               \
        note(counted);                              \
        return __real_##name passed;                \
    }

WRAP(COUNTED_BLOCKS, void *, malloc, (size_t size), (size))
WRAP(COUNTED_BLOCKS, void *, calloc, (size_t len, size_t size), (len, size))
WRAP(COUNTED_BLOCKS, void *, realloc, (void *memory, size_t size), (memory, size))
WRAP(COUNTED_BLOCKS, void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size))
WRAP(COUNTED_BLOCKS, char *, strdup, (const char *text), (text))
WRAP(COUNTED_HASHES, uint64_t, hash_bytes, (const struct hash_key *key, struct slice bytes),
     (key, bytes))
WRAP(COUNTED_LOCKS, int, pthread_mutex_lock, (pthread_mutex_t * mutex), (mutex))
WRAP(COUNTED_TEXTS, size_t, text_escape, (char *to, size_t cap, struct slice text), (to, cap, text))
WRAP(COUNTED_TEXTS, size_t, address_format, (const struct address *address, char *text),
     (address, text))

/* In a round, the publisher sends a burst at once, and every client its answers at once. */
struct load {
    unsigned subscriber_len;
    unsigned burst_len;
    uint8_t qos;
    unsigned size; /* of a payload */
    bool is_group; /* the subscribers divide the messages among them */
    bool crosses;  /* there are two workers, and the publisher has another one than the rest */
};

struct flow {
    struct load load;
    uint8_t level;
    struct broker *broker;
    struct peer *publisher;
    struct peer *subscribers[SUBSCRIBER_MAX];
};

#define PROXY_HEADER "0d0a0d0a 000d0a51 5549540a 21 11 000c c0000207 c0000201 0457 075b"

static struct peer *come(const struct flow *flow, bool is_proxied, unsigned number)
{
    struct peer *peer = peer_new(flow->broker);
    char body[64];

    if (is_proxied) {
        struct slice header = bytes_parse(PROXY_HEADER);

        put_bytes(peer, header.data, header.len);
        bytes_free(header);
    }
    snprintf(body, sizeof(body), "'MQTT' %02x 02 0000 %s 'c%u'", flow->level,
             flow->level == 5 ? "00" : "", number);
    assert_true(say(peer, 0x10, body, 0x20));
    return peer;
}

static unsigned home_of(const struct flow *flow, unsigned number)
{
    char id[16];

    snprintf(id, sizeof(id), "c%u", number);
    return core_home(server_core(flow->broker->server), slice_of_text(id));
}

/* The next client behind this one that lives on another worker than the publisher, if it has to. */
static unsigned next_number(const struct flow *flow, unsigned number)
{
    do {
        number++;
    } while (flow->load.crosses && home_of(flow, number) == home_of(flow, 0));
    return number;
}

static void flow_open(struct flow *flow, const char *options)
{
    bool is_proxied = strstr(options, "proxy") != NULL;
    unsigned number = 0;
    char body[64];

    flow->broker = broker_new(options, flow->load.crosses ? 2 : 1, 0);
    flow->publisher = come(flow, is_proxied, number);
    snprintf(body, sizeof(body), "0001 %s '%s' %02x", flow->level == 5 ? "00" : "",
             flow->load.is_group ? "$share/g/steady/+" : "steady/0", flow->load.qos);
    for (unsigned i = 0; i < flow->load.subscriber_len; i++) {
        number = next_number(flow, number);
        flow->subscribers[i] = come(flow, is_proxied, number);
        assert_true(say(flow->subscribers[i], 0x82, body, 0x90));
    }
}

static void flow_close(struct flow *flow)
{
    for (unsigned i = 0; i < flow->load.subscriber_len; i++) {
        peer_free(flow->subscribers[i]);
    }
    peer_free(flow->publisher);
    broker_free(flow->broker);
}

/* A PUBLISH up to its payload; answers how long that is. */
static size_t put_head(const struct flow *flow, unsigned packet_id, uint8_t *bytes)
{
    static const char topic[] = "steady/0";
    uint8_t qos = flow->load.qos;
    uint32_t rest = (uint32_t)sizeof(topic) + 1 + (qos ? 2 : 0) + (flow->level == 5 ? 1 : 0);
    uint8_t *at = bytes;

    *at++ = (uint8_t)(0x30 | qos << 1);
    at = mqtt_put_variable(at, rest + flow->load.size);
    *at++ = 0;
    *at++ = sizeof(topic) - 1;
    memcpy(at, topic, sizeof(topic) - 1);
    at += sizeof(topic) - 1;
    if (qos) {
        *at++ = 0;
        *at++ = (uint8_t)packet_id;
    }
    if (flow->level == 5) {
        *at++ = 0; /* no properties */
    }
    return (size_t)(at - bytes);
}

static void put_burst(const struct flow *flow)
{
    uint8_t *bytes = memory_must_alloc_zero(flow->load.burst_len, HEAD_MAX + flow->load.size);
    size_t len = 0;

    for (unsigned i = 1; i <= flow->load.burst_len; i++) {
        len += put_head(flow, i, bytes + len) + flow->load.size;
    }
    put_bytes(flow->publisher, bytes, len);
    memory_free(bytes);
}

/* The identifier of the packet that came last. */
static const uint8_t *packet_id(const struct peer *peer)
{
    return peer->body + ((peer->type & 0xF0) == 0x30 ? 2 + peer->body[1] : 0);
}

/* So many packets of this kind, and the answer to all at once; 0: none. */
static void get_burst(struct peer *peer, unsigned packet_len, uint8_t type, uint8_t answer)
{
    uint8_t bytes[BURST_MAX * 4];
    size_t len = 0;

    for (unsigned i = 0; i < packet_len; i++) {
        assert_true(get(peer));
        assert_int_equal(peer->type, type);
        bytes[len++] = answer;
        bytes[len++] = 2;
        memcpy(bytes + len, packet_id(peer), 2);
        len += 2;
    }
    if (answer) {
        put_bytes(peer, bytes, len);
    }
}

static void play_round(const struct flow *flow)
{
    static const uint8_t answers[] = {0, 0x40, 0x50};
    uint8_t qos = flow->load.qos;
    unsigned sent_len = flow->load.burst_len;
    unsigned got_len = flow->load.is_group ? sent_len / flow->load.subscriber_len : sent_len;

    put_burst(flow);
    for (unsigned i = 0; i < flow->load.subscriber_len; i++) {
        get_burst(flow->subscribers[i], got_len, (uint8_t)(0x30 | qos << 1), answers[qos]);
    }
    if (qos == 1) {
        get_burst(flow->publisher, sent_len, 0x40, 0);
    } else if (qos == 2) {
        get_burst(flow->publisher, sent_len, 0x50, 0x62);
        get_burst(flow->publisher, sent_len, 0x70, 0);
        for (unsigned i = 0; i < flow->load.subscriber_len; i++) {
            get_burst(flow->subscribers[i], got_len, 0x62, 0x70);
        }
    }
}

/* What a round takes, in the mean of many. */
static void count_rounds(const struct flow *flow, double *means)
{
    /* Caches are filled, tables have their sizes, and what one worker frees is with the other. */
    for (unsigned i = flow->load.crosses ? CROSSING_LEN : 1; i > 0; i--) {
        play_round(flow);
    }
    assert_true(is_alive(flow->subscribers[0]));
    for (unsigned i = 0; i < COUNTED_LEN; i++) {
        counts[i] = 0;
    }
    for (unsigned i = 0; i < ROUND_LEN; i++) {
        play_round(flow);
    }
    for (unsigned i = 0; i < COUNTED_LEN; i++) {
        means[i] = (double)counts[i] / ROUND_LEN;
    }
}

/*
 * The most that a round may take. A message that is only passed on needs no memory; one that waits
 * for an acknowledgement is one block, for however many it waits. One that does not fit into the
 * buffer for receiving is one block as well, and one more notes that it is being sent; now and then
 * it comes in pieces. A topic is looked up by one hash, with all the
 * levels it has. No lock: subscribing takes one, publishing what is not retained takes none. A
 * group's turn needs none of that either. A message for another worker is a block, and so is what
 * it is posted in, but those that were freed there come back: of some thirty, hardly one is new.
 */
static const struct row {
    const char *title;
    struct load load;
    unsigned limits[COUNTED_LEN];
} rows[] = {
    {"one, QoS 0",     {1, 1, 0, 64, false},            {0, 1, 0}  },
    {"one, QoS 1",     {1, 1, 1, 64, false},            {1, 1, 0}  },
    {"one, QoS 2",     {1, 1, 2, 64, false},            {1, 1, 0}  },
    {"burst, QoS 0",   {1, 32, 0, 64, false},           {0, 32, 0} },
    {"burst, QoS 1",   {1, 32, 1, 64, false},           {32, 32, 0}},
    {"burst, QoS 2",   {1, 32, 2, 64, false},           {32, 32, 0}},
    {"fan-out, QoS 0", {100, 1, 0, 64, false},          {0, 1, 0}  },
    {"fan-out, QoS 1", {100, 1, 1, 64, false},          {1, 1, 0}  },
    {"group, QoS 0",   {8, 32, 0, 64, true},            {0, 32, 0} },
    {"group, QoS 1",   {8, 32, 1, 64, true},            {32, 32, 0}},
    {"group, QoS 2",   {8, 32, 2, 64, true},            {32, 32, 0}},
    {"large, QoS 0",   {1, 1, 0, 60000, false},         {2, 1, 0}  },
    {"large, QoS 1",   {1, 1, 1, 60000, false},         {2, 1, 0}  },
    {"large, group",   {1, 1, 0, 60000, true},          {2, 1, 0}  },
    {"crosses, QoS 0", {1, 32, 0, 64, .crosses = true}, {1, 32, 0} },
    {"crosses, QoS 1", {1, 32, 1, 64, .crosses = true}, {1, 32, 0} },
};

static const struct way {
    const char *title;
    const char *options;
    uint8_t level;
} ways[] = {
    {"3.1.1",        "",                          4},
    {"5.0",          "",                          5},
    {"behind PROXY", "enable_proxy_protocol 2\n", 4},
};

static bool fits(const double *means, const unsigned *limits)
{
    for (unsigned i = 0; i < COUNTED_LEN; i++) {
        if (means[i] > limits[i] * TOLERANCE) {
            return false;
        }
    }
    return true;
}

/*
 * Answers whether it takes no more than it may. What crosses comes back late while a busy machine
 * holds up one of the workers: then it is counted again, and once has to fit.
 */
static bool hold(const struct row *row, const struct way *way)
{
    struct flow flow = {.load = row->load, .level = way->level};
    double means[COUNTED_LEN];
    char options[128];
    unsigned tries = row->load.crosses ? CROSSING_TRIES : 1;
    bool is_good;

    snprintf(options, sizeof(options), "%smax_inflight_messages 100\nconnection_messages false\n",
             way->options);
    flow_open(&flow, options);
    do {
        count_rounds(&flow, means);
        is_good = fits(means, row->limits);
    } while (!is_good && --tries > 0);
    flow_close(&flow);
    for (unsigned i = 0; i < COUNTED_LEN && !is_good; i++) {
        print_error("%s, %s: %.2f %s in a round, %u at most\n", way->title, row->title, means[i],
                    counted_names[i], row->limits[i]);
    }
    return is_good;
}

/*
 * A client that comes, leaves and closes, and nobody wants lines about it: the connection, what it
 * has until CONNACK, its login and its session are blocks that an earlier one has left. Its id is
 * hashed to find its home, its session, and the one that it takes over. The header of a proxy is a
 * block, and the proxy's entry among those whose header is awaited another.
 */
static const unsigned connection_limits[ARRAY_LEN(ways)][COUNTED_LEN] = {
    {0, 3, 0, 0},
    {0, 3, 0, 0},
    {2, 5, 2, 0}
};

static void come_and_go(const struct flow *flow, const struct way *way)
{
    struct peer *peer = come(flow, strstr(way->options, "proxy") != NULL, 1);

    put(peer, 0xE0, "");
    assert_false(get(peer)); /* the broker has closed: it is all over */
    peer_free(peer);
}

static unsigned hold_connection(const struct way *way, const unsigned limits[COUNTED_LEN])
{
    struct flow flow = {.level = way->level};
    char options[128];
    unsigned excess = 0;

    snprintf(options, sizeof(options), "%sconnection_messages false\n", way->options);
    flow.broker = broker_new(options, 1, 0);
    come_and_go(&flow, way);
    memset(counts, 0, sizeof(counts));
    for (unsigned i = 0; i < ROUND_LEN; i++) {
        come_and_go(&flow, way);
    }
    for (unsigned i = 0; i < COUNTED_LEN; i++) {
        double mean = (double)counts[i] / ROUND_LEN;

        if (mean > limits[i] * TOLERANCE) {
            print_error("%s: %.2f %s for a connection, not %u\n", way->title, mean,
                        counted_names[i], limits[i]);
            excess++;
        }
    }
    broker_free(flow.broker);
    return excess;
}

static void test_what_a_connection_takes(void **state)
{
    unsigned excess = 0;

    (void)state;
    is_client = true;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        excess += hold_connection(&ways[i], connection_limits[i]);
    }
    assert_int_equal(excess, 0);
}

static void test_what_a_message_takes(void **state)
{
    unsigned excess = 0;

    (void)state;
    is_client = true;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
            excess += !hold(&rows[k], &ways[i]);
        }
    }
    assert_int_equal(excess, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_message_takes),
        cmocka_unit_test(test_what_a_connection_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
