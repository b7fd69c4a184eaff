#include "base/death_test.h"
#include "metrics/metrics.h"

#include <string.h>

#define BLOCK_LEN 3

static bool is_of(const char *text, const char *letters)
{
    return text[0] && strspn(text, letters) == strlen(text);
}

/* Each number belongs to one row. */
static void test_rows_follow_each_other(void **state)
{
    unsigned next = 0;

    (void)state;
    for (size_t i = 0; i < metric_row_len; i++) {
        assert_int_equal(metric_rows[i].first, next);
        assert_true(metric_rows[i].len >= 1);
        next += metric_rows[i].len;
    }
    assert_int_equal(next, METRIC_LEN);
}

static void test_what_rows_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < metric_row_len; i++) {
        const struct metric_row *row = &metric_rows[i];

        assert_true(row->unit && row->text);
        assert_false(strchr(row->text, '|'));
        assert_int_equal(row->len > 1, row->label != NULL);
        assert_true(!row->labels || !row->label);
        assert_true(!row->load || row->kind == METRIC_COUNTER);
        assert_true(!row->alias || row->topic);
        assert_true(is_of(row->name, "abcdefghijklmnopqrstuvwxyz_"));
    }
}

/* Those that a listener counts, and no others, have a topic of its own; no two the same. */
static void test_listeners(void **state)
{
    (void)state;
    for (size_t i = 0; i < metric_row_len; i++) {
        const struct metric_row *row = &metric_rows[i];
        bool is_counted = row->first >= METRIC_LISTENER_FIRST &&
                          row->first < METRIC_LISTENER_FIRST + METRIC_LISTENER_LEN;

        assert_int_equal(is_counted, row->listener != NULL);
        assert_true(!row->listener || is_of(row->listener, "abcdefghijklmnopqrstuvwxyz_/"));
        for (size_t j = 0; row->listener && j < i; j++) {
            const char *other = metric_rows[j].listener;

            assert_true(!other || strcmp(row->listener, other) != 0);
        }
    }
}

static void test_sums_of_a_listener(void **state)
{
    struct metrics_of_listener blocks[BLOCK_LEN] = {0};
    uint64_t values[METRIC_LISTENER_LEN];

    (void)state;
    metrics_count_of_listener(&blocks[0], METRIC_SOCKETS, 1);
    metrics_count_of_listener(&blocks[2], METRIC_SOCKETS, 41);
    metrics_count_of_listener(&blocks[1], METRIC_PENDING, 1);
    metrics_count_of_listener(&blocks[1], METRIC_PENDING, -1);
    metrics_count_of_listener(&blocks[0], METRIC_PENDING, -1);
    metrics_count_of_listener(&blocks[1], METRIC_CONNECT_REFUSED_LAST, 3);
    metrics_sum_listener(blocks, BLOCK_LEN, values);
    assert_int_equal(values[METRIC_SOCKETS - METRIC_LISTENER_FIRST], 42);
    assert_int_equal(values[METRIC_PENDING - METRIC_LISTENER_FIRST], 0);
    assert_int_equal(values[METRIC_LISTENER_LEN - 1], 3);
}

/* All that may stand behind the front, each once: no wildcard, no level that is empty. */
static void test_topics(void **state)
{
    const char *topics[512];
    size_t len = 0;

    (void)state;
    for (size_t i = 0; i < metric_row_len; i++) {
        const char *of_row[] = {metric_rows[i].topic, metric_rows[i].alias, metric_rows[i].load};

        for (size_t j = 0; j < ARRAY_LEN(of_row); j++) {
            if (of_row[j]) {
                topics[len++] = of_row[j];
            }
        }
    }
    for (size_t i = 0; i < len; i++) {
        assert_true(is_of(topics[i], "abcdefghijklmnopqrstuvwxyz_/ "));
        assert_false(strstr(topics[i], "//") || topics[i][0] == '/');
        assert_true(topics[i][strlen(topics[i]) - 1] != '/');
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(topics[i], topics[j]);
        }
    }
}

/* A name stands once, or with different labels and everything else the same. */
static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < metric_row_len; i++) {
        const struct metric_row *a = &metric_rows[i];

        for (size_t j = 0; j < i; j++) {
            const struct metric_row *b = &metric_rows[j];

            if (strcmp(a->name, b->name) == 0) {
                assert_true(a->labels && b->labels && a->kind == b->kind);
                assert_string_not_equal(a->labels, b->labels);
            }
        }
    }
}

static void test_sums(void **state)
{
    struct metrics blocks[BLOCK_LEN] = {0};
    uint64_t values[METRIC_LEN];

    (void)state;
    metrics_count(&blocks[0], METRIC_SOCKETS);
    metrics_add(&blocks[2], METRIC_SOCKETS, 41);
    metrics_count(&blocks[1], METRIC_ENDED + 255);
    metrics_set(&blocks[1], METRIC_SOCKET_BYTES, 7);
    metrics_set(&blocks[1], METRIC_SOCKET_BYTES, 5);
    /* Raised on one worker, lowered on another. */
    metrics_add(&blocks[0], METRIC_STORED_BYTES, 10);
    metrics_sub(&blocks[1], METRIC_STORED_BYTES, 4);
    metrics_sub(&blocks[1], METRIC_RETAINED, 1);
    assert_int_equal(metrics_sum(blocks, BLOCK_LEN, METRIC_SOCKETS), 42);
    assert_int_equal((int64_t)metrics_sum(blocks, BLOCK_LEN, METRIC_RETAINED), -1);
    metrics_sum_all(blocks, BLOCK_LEN, values);
    assert_int_equal(values[METRIC_SOCKETS], 42);
    assert_int_equal(values[METRIC_ENDED + 255], 1);
    assert_int_equal(values[METRIC_SOCKET_BYTES], 5);
    assert_int_equal(values[METRIC_STORED_BYTES], 6);
    assert_int_equal(values[METRIC_RETAINED], 0);
    assert_int_equal(values[METRIC_BYTES_SENT], 0);
}

static void test_derived_ones(void **state)
{
    uint64_t values[METRIC_LEN];

    (void)state;
    for (unsigned i = 0; i < METRIC_LEN; i++) {
        values[i] = 1;
    }
    values[METRIC_SESSIONS] = 10;
    values[METRIC_CLIENTS_CONNECTED] = 7;
    metrics_derive(values);
    assert_int_equal(values[METRIC_PACKETS_RECEIVED], 15);
    assert_int_equal(values[METRIC_PACKETS_SENT], 15);
    assert_int_equal(values[METRIC_DROPPED], 3);
    assert_int_equal(values[METRIC_OUT_PACKETS], 2);
    assert_int_equal(values[METRIC_OUT_BYTES], 2);
    assert_int_equal(values[METRIC_CLIENTS_DISCONNECTED], 3);
    assert_int_equal(values[METRIC_KEEP_ALIVE_EXPIRED], 1);
    assert_int_equal(values[METRIC_CLIENTS_EXPIRED], 2);
    values[METRIC_SESSIONS] = 6;
    metrics_derive(values);
    assert_int_equal(values[METRIC_CLIENTS_DISCONNECTED], 0);
}

/* No row that says so is forgotten. */
static void test_every_derived_one_is(void **state)
{
    uint64_t values[METRIC_LEN];

    (void)state;
    for (size_t i = 0; i < metric_row_len; i++) {
        const struct metric_row *row = &metric_rows[i];

        memset(values, 0, sizeof(values));
        values[row->first] = 4711;
        metrics_derive(values);
        assert_int_equal(values[row->first], row->source == METRIC_DERIVED ? 0 : 4711);
    }
}

static void sum_a_number_that_is_none(void)
{
    struct metrics block = {0};

    metrics_sum(&block, 1, METRIC_LEN);
}

static void count_what_no_listener_does(void)
{
    struct metrics_of_listener block = {0};

    metrics_count_of_listener(&block, METRIC_BYTES_RECEIVED, 1);
}

static void test_contracts(void **state)
{
    (void)state;
    assert_true(is_deadly(count_what_no_listener_does));
    assert_true(is_deadly(sum_a_number_that_is_none));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_follow_each_other),
        cmocka_unit_test(test_what_rows_say),
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_listeners),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_sums_of_a_listener),
        cmocka_unit_test(test_derived_ones),
        cmocka_unit_test(test_every_derived_one_is),
        cmocka_unit_test(test_contracts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
