#include "base/random_test.h"
#include "base/table.h"
#include "base/test.h"

#define MEMBER_LEN 2000

struct member {
    struct table_link link;
    uint64_t hash;
    bool is_in;
    bool is_seen;
};

/* Few different hashes, which share now their part, now their bucket, now both. */
static uint64_t crowded_hash(struct dice *dice)
{
    return (uint64_t)dice_below(dice, 3) << 58 | (uint64_t)dice_below(dice, 2) << 40 |
           (uint64_t)dice_below(dice, 40);
}

static uint64_t spread_hash(struct dice *dice)
{
    return dice_throw(dice);
}

/* Every member with this hash is found, once, and nothing else. */
static void check_hash(const struct table *table, struct member *members, uint64_t hash)
{
    unsigned found = 0;
    unsigned expected = 0;

    for (struct table_link *link = table_find(table, hash); link; link = table_find_next(link)) {
        struct member *member = CONTAINER_OF(link, struct member, link);

        assert_true(member->is_in && member->hash == hash && !member->is_seen);
        member->is_seen = true;
        found++;
    }
    for (unsigned i = 0; i < MEMBER_LEN; i++) {
        expected += members[i].is_in && members[i].hash == hash;
        members[i].is_seen = false;
    }
    assert_int_equal(found, expected);
}

static void change(struct table *table, struct member *member, uint64_t hash)
{
    if (member->is_in) {
        table_remove(table, &member->link);
        member->is_in = false;
    } else {
        member->hash = hash;
        assert_int_equal(table_add(table, &member->link, hash), 0);
        member->is_in = true;
    }
}

static size_t naive_len(const struct member *members)
{
    size_t len = 0;

    for (unsigned i = 0; i < MEMBER_LEN; i++) {
        len += members[i].is_in;
    }
    return len;
}

/* Takes out what is left by way of table_any(). */
static void empty_it(struct table *table, struct member *members)
{
    struct table_link *link;

    while ((link = table_any(table)) != NULL) {
        struct member *member = CONTAINER_OF(link, struct member, link);

        assert_true(member->is_in);
        member->is_in = false;
        table_remove(table, link);
        assert_int_equal(table->len, naive_len(members));
    }
    assert_int_equal(table->len, 0);
    assert_int_equal(naive_len(members), 0);
}

static void holds_what_was_added(void **state)
{
    static uint64_t (*const hashes[])(struct dice *) = {crowded_hash, spread_hash};
    struct member *members = memory_must_alloc_zero(MEMBER_LEN, sizeof(*members));

    (void)state;
    for (unsigned i = 0; i < 2 * ARRAY_LEN(hashes); i++) {
        struct dice dice = {i};
        struct table table;

        table_init(&table);
        for (unsigned turn = 0; turn < 5000; turn++) {
            struct member *member = &members[dice_below(&dice, MEMBER_LEN)];

            change(&table, member, hashes[i / 2](&dice));
            if (turn % 4 == 0) {
                check_hash(&table, members, member->hash);
                check_hash(&table, members, hashes[i / 2](&dice));
            }
        }
        assert_int_equal(table.len, naive_len(members));
        empty_it(&table, members);
        table_deinit(&table);
    }
    memory_free(members);
}

/* table_any() goes by what it has seen empty: additions in between must not be overlooked. */
static void any_finds_what_comes_later(void **state)
{
    struct member *members = memory_must_alloc_zero(MEMBER_LEN, sizeof(*members));
    struct dice dice = {7};
    struct table table;

    (void)state;
    table_init(&table);
    for (unsigned turn = 0; turn < 20000; turn++) {
        struct member *member = &members[dice_below(&dice, 300)];
        struct table_link *any = table_any(&table);

        assert_int_equal(any != NULL, table.len > 0);
        if (any && dice_below(&dice, 2) == 0) {
            member = CONTAINER_OF(any, struct member, link);
        }
        change(&table, member, spread_hash(&dice));
    }
    empty_it(&table, members);
    table_deinit(&table);
    memory_free(members);
}

static void a_member_without_memory_is_not_in(void **state)
{
    struct table table;
    struct member member = {0};

    (void)state;
    table_init(&table);
    memory_fail_after(1);
    assert_int_equal(table_add(&table, &member.link, 5), -ENOMEM);
    assert_int_equal(table.len, 0);
    assert_null(table_find(&table, 5));
    assert_null(table_any(&table));
    assert_int_equal(table_add(&table, &member.link, 5), 0);
    assert_ptr_equal(table_find(&table, 5), &member.link);
    table_remove(&table, &member.link);
    table_deinit(&table);
}

/* One part alone, so that every power of two is a growth. */
static void growth_without_memory_only_makes_it_slower(void **state)
{
    struct member members[600];
    struct table table;

    (void)state;
    table_init(&table);
    for (unsigned i = 0; i < ARRAY_LEN(members); i++) {
        memory_fail_after(i > 0 && i < 300 ? 1 : 0);
        assert_int_equal(table_add(&table, &members[i].link, i), 0);
        memory_fail_after(0);
        for (unsigned j = 0; j < ARRAY_LEN(members); j++) {
            assert_ptr_equal(table_find(&table, j), j <= i ? &members[j].link : NULL);
        }
    }
    for (unsigned i = 0; i < ARRAY_LEN(members); i++) {
        table_remove(&table, &members[i].link);
        assert_null(table_find(&table, i));
    }
    table_deinit(&table);
    table_deinit(&table);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_added),
        cmocka_unit_test(any_finds_what_comes_later),
        cmocka_unit_test(a_member_without_memory_is_not_in),
        cmocka_unit_test(growth_without_memory_only_makes_it_slower),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
