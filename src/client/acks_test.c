#include "client/broker_test.h"

/* A store that keeps when it is told to */

#define WAIT_CAP 4096

struct slow_store {
    pthread_mutex_t lock;
    pthread_cond_t came;
    struct store_wait *waits[WAIT_CAP];
    unsigned len;
    bool is_quick; /* waits end at once */
    bool is_dead;
};

static void on_put(void *context, struct shard *shard, const struct store_record *record)
{
    (void)context;
    (void)shard;
    assert_true(record->kind >= STORE_CONNECTED && record->kind <= STORE_RETAINED);
}

static void on_await(void *context, struct store_wait *wait)
{
    struct slow_store *store = context;

    pthread_mutex_lock(&store->lock);
    if (store->is_quick) {
        store_end_wait(wait, !store->is_dead);
    } else {
        assert_true(store->len < WAIT_CAP);
        store->waits[store->len++] = wait;
        pthread_cond_signal(&store->came);
    }
    pthread_mutex_unlock(&store->lock);
}

static const struct store_ops slow_ops = {.put = on_put, .await = on_await};

/* When exactly so many wait. */
static void commit(struct slow_store *store, unsigned len)
{
    pthread_mutex_lock(&store->lock);
    while (store->len < len) {
        pthread_cond_wait(&store->came, &store->lock);
    }
    assert_int_equal(store->len, len);
    for (unsigned i = 0; i < len; i++) {
        store_end_wait(store->waits[i], true);
    }
    store->len = 0;
    pthread_mutex_unlock(&store->lock);
}

static void await_waits(struct slow_store *store, unsigned len)
{
    pthread_mutex_lock(&store->lock);
    while (store->len < len) {
        pthread_cond_wait(&store->came, &store->lock);
    }
    pthread_mutex_unlock(&store->lock);
}

static void be_quick(struct slow_store *store, bool is_dead)
{
    pthread_mutex_lock(&store->lock);
    store->is_quick = true;
    store->is_dead = is_dead;
    for (unsigned i = 0; i < store->len; i++) {
        store_end_wait(store->waits[i], !is_dead);
    }
    store->len = 0;
    pthread_mutex_unlock(&store->lock);
}

#define SLOW_STORE                                                          \
    {                                                                       \
        .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER \
    }

/* A session that stays, resumed when it is there. */
#define DURABLE_CONNECT "'MQTT' 05 00 0000 05 11 00000e10 'keeper'"

/* One that stays and begins anew. */
#define CLEAN_CONNECT "'MQTT' 05 02 0000 05 11 00000e10 'keeper'"

static void test_acknowledgements_wait_for_the_store(void **state)
{
    struct slow_store store = SLOW_STORE;
    struct broker *broker = broker_new_with("", 4, 0, &(struct store){&slow_ops, &store});
    struct peer *peer = peer_new(broker);
    uint8_t byte;

    (void)state;
    put(peer, 0x10, DURABLE_CONNECT);
    put(peer, 0xC0, "");
    await_waits(&store, 1);
    assert_int_equal(recv(peer->fd, &byte, 1, MSG_DONTWAIT), -1);
    commit(&store, 1);
    assert_true(get(peer) && peer->type == 0x20);
    assert_answer(peer, 0xD0, "");
    put(peer, 0x32, "'p' 0001 00 61");
    put(peer, 0x82, "0002 00 'f' 01");
    put(peer, 0x34, "'p' 0003 00 62");
    put(peer, 0xA2, "0004 00 'f'");
    put(peer, 0x62, "0003");
    put(peer, 0xC0, "");
    assert_answer(peer, 0xD0, "");
    commit(&store, 5);
    assert_answer(peer, 0x40, "0001 10");
    assert_answer(peer, 0x90, "0002 00 01");
    assert_answer(peer, 0x50, "0003 10");
    assert_answer(peer, 0xB0, "0004 00 00");
    assert_answer(peer, 0x70, "0003");
    be_quick(&store, false);
    peer_free(peer);
    broker_free(broker);
}

/* Nor does the answer to a repeat come before what it repeats is kept. */
static void test_a_repeat_waits_for_the_first(void **state)
{
    struct slow_store store = SLOW_STORE;
    struct broker *broker = broker_new_with("", 2, 0, &(struct store){&slow_ops, &store});
    struct peer *first = peer_new(broker);
    struct peer *second = peer_new(broker);

    (void)state;
    put(first, 0x10, DURABLE_CONNECT);
    commit(&store, 1);
    assert_true(await(first, 0x20));
    put(first, 0x34, "'p' 0003 00 62");
    put(first, 0xC0, "");
    assert_answer(first, 0xD0, "");
    put(second, 0x10, DURABLE_CONNECT);
    put(second, 0x3C, "'p' 0003 00 62");
    put(second, 0xC0, "");
    await_waits(&store, 2);
    be_quick(&store, false);
    assert_true(await(second, 0x20));
    assert_true(await(second, 0x50));
    assert_bytes(slice_of(second->body, 2), "0003");
    /* One answer, and then that of the next packet. */
    put(second, 0x62, "0003");
    assert_true(get(second) && (second->type == 0xD0 || second->type == 0x70));
    assert_true(second->type == 0x70 || await(second, 0x70));
    peer_free(first);
    peer_free(second);
    broker_free(broker);
}

/* A new session uses the same packet ids as the one that it replaced, whose answers still wait. */
static void test_a_repeat_waits_for_its_own_session(void **state)
{
    struct slow_store store = SLOW_STORE;
    struct broker *broker = broker_new_with("", 2, 0, &(struct store){&slow_ops, &store});
    struct peer *replaced = peer_new(broker);
    struct peer *first = peer_new(broker);
    struct peer *second = peer_new(broker);

    (void)state;
    put(replaced, 0x10, DURABLE_CONNECT);
    put(replaced, 0x34, "'p' 0003 00 62");
    await_waits(&store, 2);
    put(first, 0x10, CLEAN_CONNECT);
    put(first, 0x82, "0002 00 'f' 00");
    put(first, 0x34, "'f' 0003 00 63");
    await_waits(&store, 5);
    put(second, 0x10, DURABLE_CONNECT);
    put(second, 0x3C, "'f' 0003 00 63");
    put(second, 0x82, "0004 00 'f' 00");
    await_waits(&store, 7);
    be_quick(&store, false);
    assert_true(await(second, 0x20));
    /* The replaced session's says that nobody subscribes. */
    assert_answer(second, 0x50, "0003");
    assert_answer(second, 0x90, "0004 00 00");
    peer_free(replaced);
    peer_free(first);
    peer_free(second);
    broker_free(broker);
}

static void test_what_is_not_kept_is_not_acknowledged(void **state)
{
    struct slow_store store = SLOW_STORE;
    struct broker *broker = broker_new_with("", 2, 0, &(struct store){&slow_ops, &store});
    struct peer *peer = peer_new(broker);
    struct peer *late = peer_new(broker);

    (void)state;
    put(peer, 0x10, DURABLE_CONNECT);
    commit(&store, 1);
    assert_true(await(peer, 0x20));
    put(peer, 0x32, "'p' 0001 00 61");
    put(peer, 0xC0, "");
    assert_answer(peer, 0xD0, "");
    be_quick(&store, true);
    assert_answer(peer, 0xE0, "83");
    assert_false(get(peer));
    put(late, 0x10, DURABLE_CONNECT);
    assert_answer(late, 0x20, "00 88 00");
    assert_false(get(late));
    peer_free(peer);
    peer_free(late);
    broker_free(broker);
}

/* Bytes of a PUBLISH as below, and packets that one read may bring. */
#define SMALL_SIZE 10u
#define READ_MAX   (16384 / SMALL_SIZE + 1)

/* Who publishes faster than the store commits is not read for ever, and loses nothing. */
static void test_a_store_that_does_not_come(void **state)
{
    struct slow_store store = SLOW_STORE;
    struct broker *broker = broker_new_with("", 1, 0, &(struct store){&slow_ops, &store});
    struct peer *peer = peer_new(broker);
    struct peer *other = peer_new(broker);
    const unsigned len = 8000;
    char body[32];

    (void)state;
    put(peer, 0x10, DURABLE_CONNECT);
    put(other, 0x10, "'MQTT' 04 02 0000 'other'");
    commit(&store, 2);
    assert_true(await(peer, 0x20) && await(other, 0x20));
    for (unsigned i = 1; i <= len; i++) {
        snprintf(body, sizeof(body), "'p' %04x 00 6161", i);
        put(peer, 0x32, body);
    }
    await_waits(&store, 1024);
    for (unsigned i = 0; i < 20; i++) {
        assert_true(is_alive(other));
    }
    pthread_mutex_lock(&store.lock);
    assert_in_range(store.len, 1024, 1024 + READ_MAX);
    pthread_mutex_unlock(&store.lock);
    be_quick(&store, false);
    for (unsigned i = 1; i <= len; i++) {
        snprintf(body, sizeof(body), "%04x 10", i);
        assert_answer(peer, 0x40, body);
    }
    peer_free(peer);
    peer_free(other);
    broker_free(broker);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acknowledgements_wait_for_the_store),
        cmocka_unit_test(test_a_repeat_waits_for_the_first),
        cmocka_unit_test(test_a_repeat_waits_for_its_own_session),
        cmocka_unit_test(test_what_is_not_kept_is_not_acknowledged),
        cmocka_unit_test(test_a_store_that_does_not_come),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
