#include "base/test.h"
#include "client/decisions.h"

/* The i-th topic: of all lengths that are remembered. */
static struct slice topic_of(uint32_t i, char copy[DECISION_TOPIC_MAX + 1])
{
    size_t len = 10 + i % (DECISION_TOPIC_MAX - 9);

    memset(copy, 'x', DECISION_TOPIC_MAX);
    snprintf(copy, 11, "%010u", i);
    copy[10] = 'x';
    return slice_of(copy, len);
}

static unsigned rights_of(uint64_t group, uint32_t i)
{
    return (unsigned)(group * 7 + i) % 4;
}

/* A hash of which many topics have the same: only their bytes tell them apart. */
static uint32_t hash_of(uint32_t i)
{
    return i % 1000;
}

static void keep(struct decisions *decisions, uint64_t group, uint32_t i)
{
    char copy[DECISION_TOPIC_MAX + 1];

    decisions_keep(decisions, group, topic_of(i, copy), hash_of(i), rights_of(group, i));
}

/* The short way finds the same or nothing. */
static const struct decision *find_both(const struct decisions *decisions, uint64_t group,
                                        struct slice topic, uint32_t hash)
{
    const struct decision *decision = decisions_find(decisions, group, topic, hash);
    const struct decision *first =
        decisions->places ? decisions_find_first(decisions, group, topic, hash) : NULL;

    assert_true(!first || first == decision);
    if (decision == &decisions->places[decision_place(group, hash) & decisions->mask]) {
        assert_true((first != NULL) == (decision && topic.len >= sizeof(uint64_t)));
    }
    return decision;
}

static const struct decision *find(const struct decisions *decisions, uint64_t group, uint32_t i)
{
    char copy[DECISION_TOPIC_MAX + 1];
    struct slice topic = bytes_copy(topic_of(i, copy));
    const struct decision *decision = find_both(decisions, group, topic, hash_of(i));

    bytes_free(topic);
    return decision;
}

static void test_each_is_found_as_it_was_kept(void **state)
{
    enum { LEN = 3000 };
    struct decisions decisions = {0};

    (void)state;
    assert_null(find(&decisions, 1, 1));
    for (uint32_t i = 0; i < LEN; i++) {
        assert_null(find(&decisions, 1, i));
        assert_null(find(&decisions, 2, i));
        keep(&decisions, 1, i);
        keep(&decisions, 2, i);
    }
    for (uint32_t i = 0; i < LEN; i++) {
        for (uint64_t group = 1; group <= 2; group++) {
            const struct decision *decision = find(&decisions, group, i);

            assert_non_null(decision);
            assert_int_equal(decision->rights, rights_of(group, i));
        }
        assert_null(find(&decisions, 3, i));
        assert_null(find(&decisions, 1, LEN + i));
    }
    decisions_forget(&decisions);
    assert_null(find(&decisions, 1, 1));
}

/* All the bytes count, in topics shorter than a word, too. */
static void test_every_byte_counts(void **state)
{
    char text[DECISION_TOPIC_MAX];
    struct decisions decisions = {0};

    (void)state;
    memset(text, 'a', sizeof(text));
    for (size_t len = 1; len <= sizeof(text); len++) {
        struct slice topic = slice_of(text, len);

        decisions_keep(&decisions, 1, topic, 5, 3);
        assert_non_null(find_both(&decisions, 1, topic, 5));
        for (size_t i = 0; i < len; i++) {
            text[i] = 'b';
            assert_null(find_both(&decisions, 1, topic, 5));
            text[i] = 'a';
        }
        decisions_forget(&decisions);
    }
}

static void test_too_long(void **state)
{
    char text[DECISION_TOPIC_MAX + 256] = {0};
    struct decisions decisions = {0};

    (void)state;
    memset(text, 'a', sizeof(text));
    decisions_keep(&decisions, 1, slice_of(text, DECISION_TOPIC_MAX + 1), 5, 3);
    assert_null(decisions.places);
    decisions_keep(&decisions, 1, slice_of(text, 10), 5, 3);
    assert_null(find_both(&decisions, 1, slice_of(text, 10 + 256), 5));
    decisions_forget(&decisions);
}

/* An eighth is never exceeded, nor the most that there may be. */
static void test_full(void **state)
{
    struct decisions decisions = {0};

    (void)state;
    for (uint32_t i = 0; i < DECISIONS_MAX; i++) {
        uint64_t group = 1 + i / 1000; /* else all had the same places */

        keep(&decisions, group, i);
        assert_int_equal(decisions.len, i + 1);
        assert_true(decisions.len <= (decisions.mask + 1) / 8);
    }
    assert_non_null(find(&decisions, 1, 0));
    keep(&decisions, 99, 0);
    assert_int_equal(decisions.len, 1);
    assert_null(find(&decisions, 1, 0));
    assert_non_null(find(&decisions, 99, 0));
    decisions_forget(&decisions);
}

/* What there is stays, and what comes is not remembered. */
static void test_no_memory(void **state)
{
    struct decisions decisions = {0};
    uint32_t len;

    (void)state;
    memory_fail_after(1);
    keep(&decisions, 1, 0);
    assert_null(find(&decisions, 1, 0));
    for (len = 0; !decisions.places || len < (decisions.mask + 1) / 8; len++) {
        keep(&decisions, 1, len);
    }
    memory_fail_after(1);
    keep(&decisions, 1, len);
    memory_fail_after(0);
    assert_null(find(&decisions, 1, len));
    for (uint32_t i = 0; i < len; i++) {
        assert_non_null(find(&decisions, 1, i));
    }
    keep(&decisions, 1, len);
    assert_non_null(find(&decisions, 1, len));
    decisions_forget(&decisions);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_found_as_it_was_kept),
        cmocka_unit_test(test_every_byte_counts),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
