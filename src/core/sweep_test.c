#include "core/fixture.h"

#define INTERVAL_S 60
#define BUDGET     10

static struct fixture *fixture_with_sweep(unsigned worker_len)
{
    struct core_limits limits = {
        .delivery_budget = FIXTURE_BUDGET,
        .at_once = 64,
        .cleanup_budget = BUDGET,
        .sweep_interval_s = INTERVAL_S,
    };
    struct fixture *fixture = fixture_new(worker_len, &limits);

    /* The first sweep, of the empty tree. */
    fixture_settle(fixture);
    return fixture;
}

/* Retains a value that lives for so many seconds; for ever with MESSAGE_NEVER. */
static void retain_for(struct fixture *fixture, unsigned worker, const char *topic, uint32_t life_s)
{
    struct shard *shard = fixture_enter(fixture, worker);
    uint32_t number = 1;
    struct publication publication = fixture_publication(shard, topic, &number);

    publication.parts.retain = true;
    if (life_s != MESSAGE_NEVER) {
        publication.parts.expires_at = shard_now(shard) + life_s;
    }
    assert_int_equal(shard_publish(shard, &publication), PUBLISH_UNMATCHED);
    publication_deinit(&publication);
}

static bool has(const struct fixture *fixture, const char *topic)
{
    return retained_has(&fixture->core->retained, slice_of_text(topic));
}

/* Another interval holds at once: a sweep comes no later than one of the new ones from now. */
static void test_interval_changes(void **state)
{
    struct fixture *fixture = fixture_with_sweep(2);
    struct core_limits limits = fixture->workers[0].shard->limits;

    (void)state;
    retain_for(fixture, 1, "a", 1);
    limits.sweep_interval_s = 0;
    shard_change_limits(fixture_enter(fixture, 0), &limits);
    fixture_wait(fixture, 2 * INTERVAL_S * 1000);
    assert_int_equal(core_count(fixture->core, METRIC_RETAINED), 1);
    limits.sweep_interval_s = 10;
    shard_change_limits(fixture_enter(fixture, 0), &limits);
    fixture_wait(fixture, 9 * 1000);
    assert_int_equal(core_count(fixture->core, METRIC_RETAINED), 1);
    fixture_wait(fixture, 1000);
    assert_int_equal(core_count(fixture->core, METRIC_RETAINED), 0);
    fixture_free(fixture);
}

static void test_expired_values_go(void **state)
{
    struct fixture *fixture = fixture_with_sweep(2);
    const struct retained *retained = &fixture->core->retained;

    (void)state;
    retain_for(fixture, 0, "a/b/c", 10);
    retain_for(fixture, 1, "a/b", INTERVAL_S - 1);
    retain_for(fixture, 1, "$x/y", 1);
    retain_for(fixture, 0, "a/later", INTERVAL_S + 1);
    retain_for(fixture, 0, "a/kept", MESSAGE_NEVER);
    retain_for(fixture, 0, "again", 1);
    retain_for(fixture, 0, "again", 1000);
    fixture_wait(fixture, (INTERVAL_S - 1) * 1000);
    assert_int_equal(core_count(fixture->core, METRIC_RETAINED), 6);
    fixture_wait(fixture, 1000);
    assert_int_equal(core_count(fixture->core, METRIC_RETAINED), 3);
    assert_true(has(fixture, "a/later") && has(fixture, "a/kept") && has(fixture, "again"));
    assert_int_equal(tree_len(retained->tree), 4);
    assert_int_equal(metrics_get(fixture->workers[0].shard->metrics, METRIC_RETAINED_EXPIRED), 3);
    fixture_wait(fixture, INTERVAL_S * 1000);
    assert_int_equal(core_count(fixture->core, METRIC_RETAINED), 2);
    fixture_free(fixture);
}

static void test_nothing_is_swept_without_an_interval(void **state)
{
    struct fixture *fixture = fixture_new(1, NULL);

    (void)state;
    retain_for(fixture, 0, "t", 1);
    fixture_wait(fixture, 200000);
    assert_true(has(fixture, "t"));
    fixture_free(fixture);
}

static void retain_many(struct fixture *fixture, unsigned len, uint32_t life_s)
{
    char topic[32];

    for (unsigned i = 0; i < len; i++) {
        snprintf(topic, sizeof(topic), "t/%u", i);
        retain_for(fixture, i % fixture->core->worker_len, topic, life_s);
    }
}

/* One worker looks at so many nodes an iteration; another never does. */
static void test_slices_keep_to_the_budget(void **state)
{
    struct fixture *fixture = fixture_with_sweep(2);
    const struct shard *shard = fixture->workers[0].shard;

    (void)state;
    retain_many(fixture, 100, 1);
    fixture->now_ms += INTERVAL_S * 1000;
    fixture_iterate(fixture, 1);
    assert_int_equal(core_count(fixture->core, METRIC_RETAINED), 100);
    assert_false(shard_has_work(fixture->workers[1].shard));
    for (unsigned i = 1; i <= 10; i++) {
        fixture_iterate(fixture, 0);
        /* The node of "t" is one of those that are looked at. */
        assert_int_equal(core_count(fixture->core, METRIC_RETAINED), 100 - i * BUDGET + 1);
        assert_true(shard_has_work(shard));
    }
    fixture_iterate(fixture, 0);
    assert_int_equal(core_count(fixture->core, METRIC_RETAINED), 0);
    assert_false(sweep_is_under_way(&shard->sweep));
    fixture_free(fixture);
}

/* The end in the middle of one. */
static void test_stops_with_its_worker(void **state)
{
    struct fixture *fixture = fixture_with_sweep(1);

    (void)state;
    retain_many(fixture, 100, MESSAGE_NEVER);
    fixture->now_ms += INTERVAL_S * 1000;
    fixture_iterate(fixture, 0);
    assert_true(sweep_is_under_way(&fixture->workers[0].shard->sweep));
    fixture_free(fixture);
}

/* Whoever waited for the lock looks again: a fresh value has come meanwhile. */
static void test_fresh_values_stay(void **state)
{
    struct fixture *fixture = fixture_with_sweep(1);
    const struct retained *retained = &fixture->core->retained;
    uint32_t node;

    (void)state;
    retain_for(fixture, 0, "t", 1000);
    node = tree_find(retained->tree, slice_of_text("t"));
    assert_true(tree_pin(retained->tree, node));
    retained_remove_expired(fixture_enter(fixture, 0), node);
    assert_true(has(fixture, "t"));
    tree_unpin(retained->tree, node);
    fixture_free(fixture);
}

#define TOPIC_LEN 60

/* What the naive model knows: when each topic's value expires; 0 = there is none. */
struct model {
    struct fixture *fixture;
    uint64_t seed;
    uint32_t expires_at[TOPIC_LEN];
};

static void put_topic(unsigned number, char topic[32])
{
    snprintf(topic, 32, "%u/a/%u", number % 7, number / 7);
}

static void change_one(struct model *model, uint32_t now)
{
    unsigned number = fixture_random(&model->seed, TOPIC_LEN);
    uint32_t life_s = 1 + fixture_random(&model->seed, 2 * INTERVAL_S);
    char topic[32];

    put_topic(number, topic);
    if (fixture_random(&model->seed, 3) == 0) {
        fixture_retain(model->fixture, 0, topic, 0, 0);
        model->expires_at[number] = 0;
    } else {
        retain_for(model->fixture, fixture_random(&model->seed, 2), topic, life_s);
        model->expires_at[number] = now + life_s;
    }
}

/* No fresh value is missing; what had expired when the last whole sweep began is gone. */
static void check(const struct model *model, uint32_t now, uint32_t swept)
{
    char topic[32];

    for (unsigned i = 0; i < TOPIC_LEN; i++) {
        put_topic(i, topic);
        if (model->expires_at[i] > now) {
            assert_true(has(model->fixture, topic));
        } else if (model->expires_at[i] <= swept) {
            assert_false(has(model->fixture, topic));
        }
    }
}

static void run_random(uint64_t seed)
{
    struct model model = {.fixture = fixture_with_sweep(2), .seed = seed};
    const struct shard *shard = model.fixture->workers[0].shard;
    uint32_t began = 0;
    uint32_t swept = 0;

    for (unsigned i = 0; i < 2000; i++) {
        uint32_t now;

        model.fixture->now_ms += fixture_random(&model.seed, 4) * 500;
        now = (uint32_t)(model.fixture->now_ms / 1000);
        fixture_iterate(model.fixture, 0);
        fixture_iterate(model.fixture, 1);
        began = began == 0 && sweep_is_under_way(&shard->sweep) ? now : began;
        if (began && !sweep_is_under_way(&shard->sweep)) {
            swept = began;
            began = 0;
        }
        check(&model, now, swept);
        change_one(&model, now);
    }
    assert_true(swept > 0);
    fixture_free(model.fixture);
}

static void test_random_changes_during_sweeps(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run_random(seed);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interval_changes),
        cmocka_unit_test(test_expired_values_go),
        cmocka_unit_test(test_nothing_is_swept_without_an_interval),
        cmocka_unit_test(test_slices_keep_to_the_budget),
        cmocka_unit_test(test_stops_with_its_worker),
        cmocka_unit_test(test_fresh_values_stay),
        cmocka_unit_test(test_random_changes_during_sweeps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
