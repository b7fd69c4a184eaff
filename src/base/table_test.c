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

static struct member *walk_on(struct table *table, struct table_place *place, struct dice *dice)
{
    struct table_link *link = NULL;

    while (!link && !place->is_over) {
        unsigned budget = 1 + dice_below(dice, 20);
        unsigned before = budget;

        link = table_walk(table, place, &budget);
        assert_true(budget < before && (link || place->is_over || budget == 0));
    }
    return link ? CONTAINER_OF(link, struct member, link) : NULL;
}

/* Half of them stay, while the others come and go and the table grows a hundredfold. */
static void a_walk_meets_who_stays_once(void **state)
{
    enum { STAY = 40 };
    struct member *members = memory_must_alloc_zero(MEMBER_LEN, sizeof(*members));
    uint64_t hashes[MEMBER_LEN];

    (void)state;
    for (unsigned seed = 0; seed < 50; seed++) {
        struct dice dice = {seed};
        struct table_place place = {0};
        struct member *member;
        struct table table;
        unsigned met[MEMBER_LEN] = {0};

        table_init(&table);
        for (unsigned i = 0; i < MEMBER_LEN; i++) {
            hashes[i] = spread_hash(&dice);
            if (i < STAY) {
                change(&table, &members[i], hashes[i]);
            }
        }
        while ((member = walk_on(&table, &place, &dice)) != NULL) {
            assert_true(member->is_in);
            assert_int_equal(met[member - members]++, 0);
            for (unsigned i = 0; i < dice_below(&dice, 100); i++) {
                unsigned other = STAY + dice_below(&dice, MEMBER_LEN - STAY);

                change(&table, &members[other], hashes[other]);
            }
        }
        for (unsigned i = 0; i < STAY; i++) {
            assert_int_equal(met[i], 1);
        }
        empty_it(&table, members);
        table_deinit(&table);
    }
    memory_free(members);
}

static void a_walk_meets_all_of_one_hash(void **state)
{
    struct member *members = memory_must_alloc_zero(MEMBER_LEN, sizeof(*members));
    struct dice dice = {3};
    struct table_place place = {0};
    struct member *member;
    struct table table;

    (void)state;
    table_init(&table);
    assert_null(walk_on(&table, &place, &dice));
    for (unsigned i = 0; i < MEMBER_LEN; i++) {
        change(&table, &members[i], crowded_hash(&dice));
    }
    place = (struct table_place){0};
    for (unsigned i = 0; i < MEMBER_LEN; i++) {
        member = walk_on(&table, &place, &dice);
        assert_true(member && !member->is_seen);
        member->is_seen = true;
    }
    assert_null(walk_on(&table, &place, &dice));
    assert_null(walk_on(&table, &place, &dice));
    empty_it(&table, members);
    table_deinit(&table);
    memory_free(members);
}

/* The first and the last of all places. */
static void a_walk_ends(void **state)
{
    struct member members[2];
    struct dice dice = {4};
    struct table_place place = {0};
    struct table table;

    (void)state;
    table_init(&table);
    assert_int_equal(table_add(&table, &members[0].link, UINT64_MAX), 0);
    assert_int_equal(table_add(&table, &members[1].link, 0), 0);
    assert_ptr_equal(walk_on(&table, &place, &dice), &members[1]);
    assert_ptr_equal(walk_on(&table, &place, &dice), &members[0]);
    assert_null(walk_on(&table, &place, &dice));
    place = (struct table_place){.at = UINT64_MAX, .met = UINT32_MAX};
    assert_null(walk_on(&table, &place, &dice));
    table_remove(&table, &members[0].link);
    table_remove(&table, &members[1].link);
    table_deinit(&table);
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
        cmocka_unit_test(a_walk_meets_who_stays_once),
        cmocka_unit_test(a_walk_meets_all_of_one_hash),
        cmocka_unit_test(a_walk_ends),
        cmocka_unit_test(a_member_without_memory_is_not_in),
        cmocka_unit_test(growth_without_memory_only_makes_it_slower),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
