#include "base/list.h"
#include "base/random_test.h"
#include "base/test.h"

#define LINK_LEN 12
#define LIST_LEN 3

/* Lists of link numbers, as an array says it. */
struct naive {
    unsigned members[LIST_LEN][LINK_LEN];
    unsigned len[LIST_LEN];
};

static void naive_remove(struct naive *naive, unsigned link)
{
    for (unsigned i = 0; i < LIST_LEN; i++) {
        unsigned kept = 0;

        for (unsigned j = 0; j < naive->len[i]; j++) {
            if (naive->members[i][j] != link) {
                naive->members[i][kept++] = naive->members[i][j];
            }
        }
        naive->len[i] = kept;
    }
}

static void naive_push(struct naive *naive, unsigned list, unsigned link)
{
    naive->members[list][naive->len[list]++] = link;
}

static void check(const struct naive *naive, struct list_link *lists, struct list_link *links)
{
    for (unsigned i = 0; i < LIST_LEN; i++) {
        struct list_link *at = &lists[i];

        assert_int_equal(list_is_empty(&lists[i]), naive->len[i] == 0);
        for (unsigned j = 0; j < naive->len[i]; j++) {
            assert_ptr_equal(at->next, &links[naive->members[i][j]]);
            assert_ptr_equal(at->next->previous, at);
            at = at->next;
            assert_true(list_is_linked(at));
        }
        assert_ptr_equal(at->next, &lists[i]);
        assert_ptr_equal(lists[i].previous, at);
    }
}

static void splice(struct naive *naive, struct list_link *lists, unsigned to, unsigned from)
{
    list_splice(&lists[to], &lists[from]);
    for (unsigned i = 0; i < naive->len[from]; i++) {
        naive_push(naive, to, naive->members[from][i]);
    }
    naive->len[from] = 0;
}

static void pop(struct naive *naive, struct list_link *lists, struct list_link *links,
                unsigned list)
{
    struct list_link *popped = list_pop(&lists[list]);

    if (naive->len[list] == 0) {
        assert_null(popped);
        return;
    }
    assert_ptr_equal(popped, &links[naive->members[list][0]]);
    assert_false(list_is_linked(popped));
    naive_remove(naive, naive->members[list][0]);
}

static void is_as_an_array_says(void **state)
{
    struct list_link lists[LIST_LEN];
    struct list_link links[LINK_LEN];
    struct naive naive = {0};
    struct dice dice = {1};

    (void)state;
    for (unsigned i = 0; i < LIST_LEN; i++) {
        list_init(&lists[i]);
    }
    for (unsigned i = 0; i < LINK_LEN; i++) {
        list_init(&links[i]);
    }
    for (unsigned turn = 0; turn < 20000; turn++) {
        unsigned list = dice_below(&dice, LIST_LEN);
        unsigned link = dice_below(&dice, LINK_LEN);

        switch (dice_below(&dice, 8)) {
        case 0: splice(&naive, lists, list, (list + 1) % LIST_LEN); break;
        case 1: pop(&naive, lists, links, list); break;
        case 2:
            list_remove(&links[link]);
            naive_remove(&naive, link);
            break;
        default:
            list_remove(&links[link]);
            naive_remove(&naive, link);
            list_push(&lists[list], &links[link]);
            naive_push(&naive, list, link);
        }
        check(&naive, lists, links);
    }
}

static void removing_what_is_in_no_list_is_harmless(void **state)
{
    struct list_link link;

    (void)state;
    list_init(&link);
    list_remove(&link);
    list_remove(&link);
    assert_false(list_is_linked(&link));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_as_an_array_says),
        cmocka_unit_test(removing_what_is_in_no_list_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
