#include "base/test.h"
#include "loop/mailbox.h"

static const struct mail_marks marks = {
    .high_entries = 100, .low_entries = 50, .high_bytes = 10000, .low_bytes = 5000};

static struct mail_batch *batch_of(unsigned first, unsigned len, uint32_t size)
{
    struct mail_batch *batch = mail_batch_new();

    assert_non_null(batch);
    for (unsigned i = 0; i < len; i++) {
        batch->entries[i] = (struct post_entry){.object = (void *)(uintptr_t)(first + i),
                                                .size = size,
                                                .kind = (first + i) % 64,
                                                .node = (first + i) % (1u << POST_NODE_BITS)};
        batch->size += size;
    }
    batch->len = len;
    return batch;
}

static struct mailbox *mailbox_new(void)
{
    struct mailbox *mailbox = memory_must_alloc_aligned(sizeof(*mailbox));

    mailbox_init(mailbox);
    return mailbox;
}

/* Takes one entry, which must be `number`; answers whether its batch is empty now. */
static bool take(struct mailbox *mailbox, unsigned number)
{
    struct post_entry entry;
    struct mail_batch *batch;
    bool is_last;

    assert_false(mailbox_is_empty(mailbox));
    assert_true(mailbox_take(mailbox, &entry, &batch));
    assert_int_equal((uintptr_t)entry.object, number);
    assert_int_equal(entry.kind, number % 64);
    assert_int_equal(entry.node, number);
    is_last = mail_batch_is_over(batch);
    if (is_last) {
        mail_batch_free(batch);
    }
    return is_last;
}

static void assert_nothing(struct mailbox *mailbox)
{
    struct post_entry entry;
    struct mail_batch *batch;

    assert_true(mailbox_is_empty(mailbox));
    assert_false(mailbox_take(mailbox, &entry, &batch));
}

static void entries_come_in_the_order_of_pushes(void **state)
{
    struct mailbox *mailbox = mailbox_new();
    unsigned at = 0;

    (void)state;
    assert_nothing(mailbox);
    mailbox_push(mailbox, batch_of(0, 3, 1));
    mailbox_push(mailbox, batch_of(3, MAIL_BATCH_CAP, 1));
    assert_false(take(mailbox, at++));
    /* Pushed behind what is being taken. */
    mailbox_push(mailbox, batch_of(3 + MAIL_BATCH_CAP, 1, 1));
    while (at < 4 + MAIL_BATCH_CAP) {
        bool is_last = at == 2 || at == 2 + MAIL_BATCH_CAP || at == 3 + MAIL_BATCH_CAP;

        assert_int_equal(take(mailbox, at), is_last);
        at++;
    }
    assert_nothing(mailbox);
    memory_free(mailbox);
}

static void the_level_falls_when_entries_are_settled(void **state)
{
    struct mailbox *mailbox = mailbox_new();
    struct worker_set waiting;

    (void)state;
    assert_false(mailbox_is_over(mailbox, &marks, 100, 10000));
    assert_true(mailbox_is_over(mailbox, &marks, 101, 0));
    assert_true(mailbox_is_over(mailbox, &marks, 0, 10001));
    for (unsigned i = 0; i < 2; i++) {
        mailbox_push(mailbox, batch_of(i * 60, 60, 10));
    }
    assert_true(mailbox_is_over(mailbox, &marks, 0, 0));
    assert_false(mailbox_is_low(mailbox, &marks));
    for (unsigned i = 0; i < 120; i++) {
        take(mailbox, i);
        assert_true(mailbox_is_over(mailbox, &marks, 0, 0) == (i < 20));
        assert_true(mailbox_is_low(mailbox, &marks) == (i >= 70));
        waiting = mailbox_settle(mailbox, &marks);
        assert_int_equal(worker_set_len(&waiting), 0);
        assert_true(mailbox_is_over(mailbox, &marks, 0, 0) == (i < 19));
        assert_true(mailbox_is_low(mailbox, &marks) == (i >= 69));
    }
    assert_int_equal(mailbox->level, 0);
    memory_free(mailbox);
}

/* Few entries, many bytes. */
static void bytes_count_as_entries_do(void **state)
{
    struct mailbox *mailbox = mailbox_new();

    (void)state;
    mailbox_push(mailbox, batch_of(0, 3, 3000));
    assert_false(mailbox_is_over(mailbox, &marks, 0, 0));
    assert_true(mailbox_is_over(mailbox, &marks, 0, 1001));
    mailbox_push(mailbox, batch_of(3, 1, UINT32_MAX));
    assert_true(mailbox_is_over(mailbox, &marks, 0, 0));
    for (unsigned i = 0; i < 4; i++) {
        assert_false(mailbox_is_low(mailbox, &marks));
        take(mailbox, i);
    }
    mailbox_settle(mailbox, &marks);
    assert_true(mailbox_is_low(mailbox, &marks));
    memory_free(mailbox);
}

static void who_waits_is_told_once_at_the_low_mark(void **state)
{
    static const unsigned workers[] = {0, 63, 64, 200, WORKER_CAP - 1};
    struct mailbox *mailbox = mailbox_new();
    struct worker_set waiting;

    (void)state;
    mailbox_push(mailbox, batch_of(0, 52, 1));
    for (unsigned i = 0; i < ARRAY_LEN(workers); i++) {
        mailbox_wait(mailbox, workers[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        take(mailbox, i);
        waiting = mailbox_settle(mailbox, &marks);
        assert_int_equal(worker_set_len(&waiting), i == 1 ? ARRAY_LEN(workers) : 0);
        for (unsigned j = 0; i == 1 && j < ARRAY_LEN(workers); j++) {
            assert_int_equal(worker_set_pop(&waiting), workers[j]);
        }
    }
    /* Nothing was handled: nobody is told. */
    mailbox_wait(mailbox, 5);
    waiting = mailbox_settle(mailbox, &marks);
    assert_int_equal(worker_set_len(&waiting), 0);
    for (unsigned i = 4; i < 52; i++) {
        take(mailbox, i);
    }
    waiting = mailbox_settle(mailbox, &marks);
    assert_int_equal(worker_set_pop(&waiting), 5);
    memory_free(mailbox);
}

static void one_sender_wakes_the_sleeper(void **state)
{
    struct mailbox *mailbox = mailbox_new();

    (void)state;
    assert_false(mailbox_needs_wake(mailbox));
    mailbox_end_sleep(mailbox);
    mailbox_announce_sleep(mailbox);
    assert_true(mailbox_needs_wake(mailbox));
    assert_false(mailbox_needs_wake(mailbox));
    mailbox_announce_sleep(mailbox);
    mailbox_end_sleep(mailbox);
    assert_false(mailbox_needs_wake(mailbox));
    memory_free(mailbox);
}

/* A push to several mailboxes is handled nowhere before its round is complete. */
static void rounds_wait_until_they_are_complete(void **state)
{
    struct mailbox *mailbox = mailbox_new();
    _Atomic uint64_t rounds = 6;
    struct post_entry entry;
    struct mail_batch *batch;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        static const uint64_t of[] = {6, 7, 0};

        batch = batch_of(2 * i, 2, 1);
        batch->rounds = &rounds;
        batch->round = of[i];
        mailbox_push(mailbox, batch);
    }
    take(mailbox, 0);
    take(mailbox, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_false(mailbox_take(mailbox, &entry, &batch));
        assert_false(mailbox_is_empty(mailbox));
    }
    atomic_store(&rounds, 7);
    for (unsigned i = 2; i < 6; i++) {
        take(mailbox, i);
    }
    assert_nothing(mailbox);
    memory_free(mailbox);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_in_the_order_of_pushes),
        cmocka_unit_test(the_level_falls_when_entries_are_settled),
        cmocka_unit_test(bytes_count_as_entries_do),
        cmocka_unit_test(who_waits_is_told_once_at_the_low_mark),
        cmocka_unit_test(one_sender_wakes_the_sleeper),
        cmocka_unit_test(rounds_wait_until_they_are_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
