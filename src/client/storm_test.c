#include "client/broker_test.h"
#include "client/hub.h"

#include <dirent.h>
#include <malloc.h>
#include <poll.h>

/*
 * Storms: clients on threads of their own do the same thing at once, thousands of times. What must
 * hold is counted while they do it, and when they are gone nothing is left behind them.
 */

#define STORMER_LEN   8
#define TAKE_OVER_LEN 1000  /* of a storm */
#define MESSAGE_LEN   1000  /* of a storm */
#define CHURN_LEN     300   /* of each client */
#define HEAP_SLACK    65536 /* bytes; caches fill up to what they may hold */

/* Nothing is refused, so that everything can be counted. */
#define NO_LIMITS "max_queued_messages 0\nmax_inflight_messages 0\n"

struct storm {
    struct broker *broker;
    const char *connect;
    _Atomic unsigned turns;             /* begun */
    _Atomic unsigned active;            /* stormers that still have turns */
    _Atomic unsigned welcome_len;       /* connections that were accepted */
    _Atomic bool seen[MESSAGE_LEN + 1]; /* messages that somebody has got */
    pthread_t threads[STORMER_LEN];
};

struct stormer {
    struct storm *storm;
    unsigned number;
};

/* Of all storms. */
static unsigned long take_over_total;
static unsigned long churn_total;

static void run_storm(struct storm *storm, void *(*run)(void *))
{
    struct stormer stormers[STORMER_LEN];

    storm->active = STORMER_LEN;
    for (unsigned i = 0; i < STORMER_LEN; i++) {
        stormers[i] = (struct stormer){.storm = storm, .number = i};
        assert_int_equal(pthread_create(&storm->threads[i], NULL, run, &stormers[i]), 0);
    }
    for (unsigned i = 0; i < STORMER_LEN; i++) {
        pthread_join(storm->threads[i], NULL);
    }
}

/* What is left behind */

struct gauges {
    size_t subscription_len;
    size_t descriptor_len;
    size_t heap; /* bytes; 0 under a sanitizer, which looks for leaks itself */
};

static struct gauges read_gauges(const struct broker *broker)
{
    struct gauges gauges = {.heap = mallinfo2().uordblks};
    DIR *folder = opendir("/proc/self/fd");

    gauges.subscription_len = core_count(server_core(broker->server), METRIC_SUBSCRIPTIONS);
    assert_non_null(folder);
    while (readdir(folder)) {
        gauges.descriptor_len++;
    }
    closedir(folder);
    return gauges;
}

/* Workers take their time to notice that clients are gone. */
static void await_gauges(const struct broker *broker, const struct gauges *wanted)
{
    struct gauges now;

    for (unsigned i = 0; i < PATIENCE_S * 1000; i++) {
        now = read_gauges(broker);
        if (now.subscription_len == wanted->subscription_len &&
            now.descriptor_len == wanted->descriptor_len && now.heap <= wanted->heap) {
            return;
        }
        usleep(1000);
    }
    fail_msg("%zu subscriptions, %zu descriptors and %zu bytes, where %zu, %zu and %zu should be",
             now.subscription_len, now.descriptor_len, now.heap, wanted->subscription_len,
             wanted->descriptor_len, wanted->heap);
}

/* What is made once and kept, such as caches, is there after so many times. */
#define WARM_UP 2

/* Nothing that is freed is kept: it would hide what is not. */
static void repeat_with(void (*storm)(struct broker *broker), const char *options,
                        const struct server_budgets *chosen)
{
    struct server_budgets budgets = *chosen;

    budgets.worker.spare_bytes = 0;
    for (unsigned worker_len = 1; worker_len <= WORKER_MAX; worker_len *= 2) {
        struct broker *broker =
            broker_new_budgeted(options, worker_len, 0, &(struct store){.ops = NULL}, &budgets);
        struct gauges gauges = read_gauges(broker);

        gauges.heap = SIZE_MAX;
        gauges.descriptor_len += worker_len; /* in reserve, once somebody has come */
        for (unsigned i = 0; i < WARM_UP; i++) {
            storm(broker);
            await_gauges(broker, &gauges);
        }
        gauges.heap = read_gauges(broker).heap + HEAP_SLACK;
        storm(broker);
        await_gauges(broker, &gauges);
        broker_free(broker);
    }
}

static void repeat(void (*storm)(struct broker *broker), const char *options)
{
    repeat_with(storm, options, &server_budgets_default);
}

/* Take-over */

/* The number of a delivery of 't' to a client of 3.1.1, acknowledged. */
static void take_message(struct storm *storm, struct peer *peer)
{
    unsigned number = (unsigned)peer->body[5] << 8 | peer->body[6];
    char id[8];

    assert_int_equal(peer->type & 0xF6, 0x32); /* perhaps once more */
    assert_int_equal(peer->len, 7);
    assert_true(number <= MESSAGE_LEN);
    storm->seen[number] = true;
    snprintf(id, sizeof(id), "%02x%02x", peer->body[3], peer->body[4]);
    put(peer, 0x40, id);
}

/* Whether there is something to read; the last of all stormers waits for nobody. */
static bool has_more(const struct storm *storm, const struct peer *peer)
{
    struct pollfd entry = {.fd = peer->fd, .events = POLLIN};

    while (poll(&entry, 1, 10) == 0) {
        if (storm->active == 1) {
            return false;
        }
    }
    return true;
}

static void live_until_taken_over(struct storm *storm, struct peer *peer)
{
    while (has_more(storm, peer) && get(peer)) {
        if (peer->type == 0xE0) {
            assert_int_equal(peer->body[0], 0x8E); /* [MQTT-3.1.4-3] */
        } else {
            take_message(storm, peer);
        }
    }
}

/* Some leave by themselves, and leave unread what was sent to them. */
static void *take_over(void *argument)
{
    const struct stormer *stormer = argument;
    struct storm *storm = stormer->storm;
    unsigned turn = storm->turns++;

    for (; turn < TAKE_OVER_LEN; turn = storm->turns++) {
        struct peer *peer = peer_new(storm->broker);

        storm->welcome_len += say(peer, 0x10, storm->connect, 0x20);
        if (turn % 3 != 0) {
            live_until_taken_over(storm, peer);
        }
        peer_free(peer);
    }
    storm->active--;
    return NULL;
}

static void *run_take_overs(void *argument)
{
    run_storm(argument, take_over);
    return NULL;
}

/* Every connection is accepted, and every one that ends leaves its will: once. */
static void storm_of_wills(struct broker *broker)
{
    struct storm *storm = memory_must_alloc_zero(1, sizeof(*storm));
    struct peer *witness = peer_new(broker);
    pthread_t thread;

    storm->broker = broker;
    storm->connect = "'MQTT' 05 0e 0000 00 'one' 00 'w' 'x'";
    assert_true(say(witness, 0x10, "'MQTT' 04 02 0000 'witness'", 0x20));
    assert_true(say(witness, 0x82, "0001 'w' 00", 0x90));
    assert_int_equal(pthread_create(&thread, NULL, run_take_overs, storm), 0);
    for (unsigned i = 0; i < TAKE_OVER_LEN; i++) {
        assert_true(get(witness));
        assert_int_equal(witness->type, 0x30);
    }
    pthread_join(thread, NULL);
    put(witness, 0xC0, "");
    assert_answer(witness, 0xD0, ""); /* and no will before it */
    assert_int_equal(storm->welcome_len, TAKE_OVER_LEN);
    take_over_total += TAKE_OVER_LEN;
    peer_free(witness);
    memory_free(storm);
}

static bool has_seen_all(const struct storm *storm)
{
    for (unsigned i = 1; i <= MESSAGE_LEN; i++) {
        if (!storm->seen[i]) {
            return false;
        }
    }
    return true;
}

/* What the last connection of the session had not acknowledged; then the session goes. */
static void take_the_rest(struct storm *storm)
{
    struct peer *peer = peer_new(storm->broker);

    assert_true(say(peer, 0x10, storm->connect, 0x20));
    while (!has_seen_all(storm)) {
        assert_true(get(peer));
        take_message(storm, peer);
    }
    peer_free(peer);
    peer = peer_new(storm->broker);
    assert_true(say(peer, 0x10, "'MQTT' 04 02 0000 'one'", 0x20));
    peer_free(peer);
}

/* A session that is handed on from one connection to the next loses no message. */
static void storm_of_messages(struct broker *broker)
{
    struct storm *storm = memory_must_alloc_zero(1, sizeof(*storm));
    struct peer *peer = peer_new(broker);
    pthread_t thread;

    storm->broker = broker;
    storm->connect = "'MQTT' 04 00 0000 'one'";
    assert_true(say(peer, 0x10, storm->connect, 0x20));
    assert_true(say(peer, 0x82, "0001 't' 01", 0x90));
    peer_free(peer);
    peer = peer_new(broker);
    assert_true(say(peer, 0x10, "'MQTT' 04 02 0000 'publisher'", 0x20));
    assert_int_equal(pthread_create(&thread, NULL, run_take_overs, storm), 0);
    for (unsigned i = 1; i <= MESSAGE_LEN; i++) {
        char body[32];

        snprintf(body, sizeof(body), "'t' %04x %04x", i, i);
        assert_true(say(peer, 0x32, body, 0x40));
    }
    peer_free(peer);
    pthread_join(thread, NULL);
    assert_int_equal(storm->welcome_len, TAKE_OVER_LEN);
    take_over_total += TAKE_OVER_LEN;
    take_the_rest(storm);
    memory_free(storm);
}

static void test_take_overs_with_wills(void **state)
{
    (void)state;
    repeat(storm_of_wills, NO_LIMITS);
}

static void test_take_overs_with_messages(void **state)
{
    (void)state;
    repeat(storm_of_messages, NO_LIMITS);
}

static void test_take_overs_in_slices(void **state)
{
    struct server_budgets budgets = small_budgets();

    (void)state;
    repeat_with(storm_of_messages, NO_LIMITS, &budgets);
}

/* Subscribing and unsubscribing */

/* A client that publishes to its own topic, and must get exactly what it asked for. */
struct churner {
    struct storm *storm;
    unsigned number;
    struct peer *peer;
    unsigned turn;
    unsigned copy_len; /* of this turn's message */
};

/* Nobody was to get it when it was published; it may still lie in a mailbox when the subscription
 * of the next turn is made, and match that. */
static bool is_late(const struct churner *churner, const uint8_t *body)
{
    return body[10] == 'n' && (body[8] << 8 | body[9]) + 1 == (int)churner->turn;
}

/* Others' messages come too, through wildcards; only our own say 'y' or 'n' to us. */
static void take_churned(struct churner *churner)
{
    const uint8_t *body = churner->peer->body;
    char id[8];

    /* Topic 's/N', id, then N, the turn, and whether it was asked for. */
    assert_int_equal(churner->peer->type, 0x32);
    assert_int_equal(churner->peer->len, 5 + 2 + 4);
    if (body[7] == churner->number && !is_late(churner, body)) {
        assert_int_equal(body[8] << 8 | body[9], churner->turn);
        assert_int_equal(body[10], 'y');
        churner->copy_len++;
    }
    snprintf(id, sizeof(id), "%02x%02x", body[5], body[6]);
    put(churner->peer, 0x40, id);
}

/* Takes deliveries until the answer comes. */
static void ask(struct churner *churner, uint8_t type, const char *body, uint8_t answer)
{
    put(churner->peer, type, body);
    for (;;) {
        assert_true(get(churner->peer));
        if (churner->peer->type == answer) {
            return;
        }
        take_churned(churner);
    }
}

static void publish_churned(struct churner *churner, char wanted)
{
    char body[64];

    snprintf(body, sizeof(body), "'s/%u' 0001 %02x %04x %02x", churner->number, churner->number,
             churner->turn, (unsigned)wanted);
    ask(churner, 0x32, body, 0x40);
}

/* One of those that match the client's own topic. */
static void choose_filter(const struct churner *churner, char filter[16])
{
    static const char *const wildcards[] = {"s/+", "s/#", "#"};
    unsigned choice = (churner->turn + churner->number) % 5;

    if (choice < ARRAY_LEN(wildcards)) {
        snprintf(filter, 16, "%s", wildcards[choice]);
    } else {
        snprintf(filter, 16, "%s/%u", choice == 3 ? "s" : "+", churner->number);
    }
}

static void churn_once(struct churner *churner)
{
    char filter[16];
    char body[64];

    choose_filter(churner, filter);
    churner->copy_len = 0;
    snprintf(body, sizeof(body), "0002 '%s' 01", filter);
    ask(churner, 0x82, body, 0x90);
    publish_churned(churner, 'y');
    while (churner->copy_len == 0) {
        assert_true(get(churner->peer));
        take_churned(churner);
    }
    snprintf(body, sizeof(body), "0003 '%s'", filter);
    ask(churner, 0xA2, body, 0xB0);
    assert_int_equal(churner->copy_len, 1);
    publish_churned(churner, 'n');
}

static void *churn(void *argument)
{
    const struct stormer *stormer = argument;
    struct churner churner = {.storm = stormer->storm, .number = stormer->number};
    char body[64];

    churner.peer = peer_new(stormer->storm->broker);
    snprintf(body, sizeof(body), "'MQTT' 04 02 0000 'churner%u'", churner.number);
    ask(&churner, 0x10, body, 0x20);
    for (churner.turn = 0; churner.turn < CHURN_LEN; churner.turn++) {
        churn_once(&churner);
    }
    peer_free(churner.peer);
    return NULL;
}

static void storm_of_subscriptions(struct broker *broker)
{
    struct storm *storm = memory_must_alloc_zero(1, sizeof(*storm));

    storm->broker = broker;
    run_storm(storm, churn);
    churn_total += STORMER_LEN * CHURN_LEN;
    memory_free(storm);
}

/* From SUBACK on everything comes, from UNSUBACK on nothing, whatever others do. */
static void test_subscriptions_that_come_and_go(void **state)
{
    (void)state;
    repeat(storm_of_subscriptions, NO_LIMITS);
}

/* The same, with every search and every fan-out cut. */
static void test_subscriptions_in_slices(void **state)
{
    struct server_budgets budgets = small_budgets();

    (void)state;
    repeat_with(storm_of_subscriptions, NO_LIMITS, &budgets);
}

int main(void)
{
    const struct log_options quiet = {0};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_overs_with_wills),
        cmocka_unit_test(test_take_overs_with_messages),
        cmocka_unit_test(test_take_overs_in_slices),
        cmocka_unit_test(test_subscriptions_that_come_and_go),
        cmocka_unit_test(test_subscriptions_in_slices),
    };
    int failed;

    log_init(&quiet);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    print_message("%lu take-overs, %lu subscriptions that came and went\n", take_over_total,
                  churn_total);
    return failed;
}
