#include "base/mpsc.h"
#include "base/stress_test.h"

#include <sched.h>

/*
 * Senders in pairs: the first pushes, tells the second through an atomic, and the second pushes
 * then. The receiver must see each sender's nodes in their order, and never what a second pushed
 * before what its first had pushed until then.
 */

#define PAIR_LEN   2
#define SENDER_LEN (2 * PAIR_LEN)
#define AHEAD_MAX  2000 /* nodes of one sender that wait */

struct node {
    struct mpsc_node node;
    unsigned sender;
    uint64_t number; /* of the sender's nodes */
    uint64_t after;  /* of the first of a pair: nodes that stand before this one for certain */
};

static struct mpsc queue;
static _Atomic bool is_over;
static _Atomic unsigned done_len;
static _Atomic uint64_t told[PAIR_LEN];
static _Atomic uint64_t received[SENDER_LEN];

static void push(unsigned sender, uint64_t number, uint64_t after)
{
    struct node *node = memory_must_alloc(sizeof(*node));

    *node = (struct node){.sender = sender, .number = number, .after = after};
    mpsc_push(&queue, &node->node);
}

/* Waits while the receiver is behind; relaxed, so that nothing is ordered by it. */
static bool may_push(unsigned sender, uint64_t number)
{
    while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
        if (number - atomic_load_explicit(&received[sender], memory_order_relaxed) < AHEAD_MAX) {
            return true;
        }
        sched_yield();
    }
    return false;
}

static void send_first(unsigned sender)
{
    for (uint64_t number = 1; may_push(sender, number); number++) {
        push(sender, number, 0);
        atomic_store_explicit(&told[sender / 2], number, memory_order_release);
    }
}

static void send_second(unsigned sender)
{
    for (uint64_t number = 1; may_push(sender, number); number++) {
        push(sender, number, atomic_load_explicit(&told[sender / 2], memory_order_acquire));
    }
}

static void send(unsigned sender)
{
    if (sender % 2 == 0) {
        send_first(sender);
    } else {
        send_second(sender);
    }
    atomic_fetch_add(&done_len, 1);
}

static uint64_t followed; /* by nodes that were preceded by something new */

static uint64_t received_of(unsigned sender)
{
    return atomic_load_explicit(&received[sender], memory_order_relaxed);
}

static void receive_all(void)
{
    struct mpsc_node *at = mpsc_take_all(&queue);

    while (at) {
        struct node *node = CONTAINER_OF(at, struct node, node);

        at = at->next;
        assert(node->number == received_of(node->sender) + 1);
        assert(node->sender % 2 == 0 || node->after <= received_of(node->sender - 1));
        atomic_store_explicit(&received[node->sender], node->number, memory_order_relaxed);
        followed += node->after > 0;
        memory_free(node);
    }
}

static void receive(unsigned number)
{
    uint64_t end = stress_now_ms() + STRESS_MS;

    (void)number;
    while (stress_now_ms() < end) {
        receive_all();
    }
    atomic_store(&is_over, true);
    while (atomic_load(&done_len) < SENDER_LEN) {
        receive_all();
    }
    receive_all();
    assert(mpsc_is_empty(&queue));
}

static void what_follows_comes_after(void **state)
{
    struct stress_task tasks[SENDER_LEN + 1] = {{.run = receive}};

    (void)state;
    mpsc_init(&queue);
    for (unsigned i = 0; i < SENDER_LEN; i++) {
        tasks[i + 1] = (struct stress_task){.run = send, .number = i};
    }
    stress_run(tasks, SENDER_LEN + 1);
    for (unsigned i = 0; i < SENDER_LEN; i++) {
        assert_true(received_of(i) > 0);
    }
    assert_true(followed > 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(what_follows_comes_after)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
