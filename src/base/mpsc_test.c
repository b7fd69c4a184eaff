#include "base/mpsc.h"
#include "base/test.h"

#define NODE_LEN 50

static void assert_run(const struct mpsc_node *taken, const struct mpsc_node *nodes, unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        assert_ptr_equal(taken, &nodes[i]);
        taken = taken->next;
    }
    assert_null(taken);
}

static void first_in_is_first_out(void **state)
{
    struct mpsc_node nodes[NODE_LEN];
    struct mpsc queue;

    (void)state;
    mpsc_init(&queue);
    for (unsigned len = 0; len <= NODE_LEN; len++) {
        assert_true(mpsc_is_empty(&queue));
        for (unsigned i = 0; i < len; i++) {
            mpsc_push(&queue, &nodes[i]);
            assert_false(mpsc_is_empty(&queue));
        }
        assert_run(mpsc_take_all(&queue), nodes, len);
    }
    assert_null(mpsc_take_all(&queue));
}

/* A taken run is the receiver's: pushing anew does not touch what is left of it. */
static void what_was_taken_stands_apart(void **state)
{
    struct mpsc_node nodes[4];
    struct mpsc_node *taken;
    struct mpsc queue;

    (void)state;
    mpsc_init(&queue);
    mpsc_push(&queue, &nodes[0]);
    mpsc_push(&queue, &nodes[1]);
    taken = mpsc_take_all(&queue);
    mpsc_push(&queue, &nodes[2]);
    mpsc_push(&queue, &nodes[3]);
    assert_run(taken, nodes, 2);
    assert_run(mpsc_take_all(&queue), nodes + 2, 2);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_in_is_first_out),
        cmocka_unit_test(what_was_taken_stands_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
