#include "base/stress_test.h"
#include "loop/mailbox.h"
#include "loop/poller.h"

/*
 * An owner that really sleeps whenever its mailbox is empty, for ever if nobody wakes it, and
 * senders that really sleep while it is over its mark. Whatever wake-up is lost ends as a hang.
 */

#define SENDER_LEN 3
#define OWNER      SENDER_LEN /* its poller is behind those of the senders */

enum mail_kind { MAIL_MORE, MAIL_LAST };

static const struct mail_marks marks = {
    .high_entries = 60, .low_entries = 8, .high_bytes = 3000, .low_bytes = 400};

static struct mailbox mailbox;
static struct poller *pollers[SENDER_LEN + 1];
static _Atomic uint64_t handled CACHE_ALIGNED;
static uint64_t received[SENDER_LEN];
static uint64_t end_ms;
static unsigned sender_len;
static _Atomic uint64_t sleeps;
static _Atomic uint64_t waits;

static void sleep_on(unsigned number)
{
    struct poller_event event;
    unsigned len = poller_wait(pollers[number], &event, 1, -1);

    assert(len == 0);
}

/* The owner */

static void take_entry(const struct post_entry *entry, struct mail_batch *batch)
{
    uint64_t *number = entry->object;
    unsigned sender = entry->size % 20;

    assert(*number == received[sender] + 1);
    received[sender] = *number;
    memory_free(number);
    if (mail_batch_is_over(batch)) {
        mail_batch_free(batch);
    }
}

/* Answers how many entries were somebody's last. */
static unsigned take_some(struct dice *dice)
{
    struct post_entry entry;
    struct mail_batch *batch;
    unsigned last = 0;

    for (unsigned i = 1 + dice_below(dice, 40); i > 0; i--) {
        if (!mailbox_take(&mailbox, &entry, &batch)) {
            break;
        }
        last += entry.kind == MAIL_LAST;
        take_entry(&entry, batch);
        atomic_fetch_add_explicit(&handled, 1, memory_order_release);
    }
    return last;
}

static void wake_waiting(void)
{
    struct worker_set waiting = mailbox_settle(&mailbox, &marks);
    unsigned sender;

    while ((sender = worker_set_pop(&waiting)) < WORKER_CAP) {
        poller_wake(pollers[sender]);
    }
}

/* Spins and stores make the moments longer in which a sender may come between. */
static void fall_asleep(uint64_t *far, struct dice *dice)
{
    stress_spin(dice_below(dice, 400));
    stress_far_store(far, dice);
    mailbox_announce_sleep(&mailbox);
    if (mailbox_is_empty(&mailbox)) {
        atomic_fetch_add_explicit(&sleeps, 1, memory_order_relaxed);
        sleep_on(OWNER);
    }
    mailbox_end_sleep(&mailbox);
}

static void own(unsigned number)
{
    uint64_t *far = stress_far_new();
    struct dice dice = {number};
    unsigned last = 0;

    for (;;) {
        last += take_some(&dice);
        wake_waiting();
        if (last == sender_len) {
            break;
        }
        if (mailbox_is_empty(&mailbox)) {
            fall_asleep(far, &dice);
        }
    }
    memory_free(far);
}

/* Senders */

/* The size of an entry tells its sender, too. */
static void send(unsigned sender, uint64_t *sent, unsigned len, enum mail_kind kind)
{
    struct mail_batch *batch = mail_batch_new();

    assert(batch);
    for (batch->len = 0; batch->len < len; batch->len++) {
        uint64_t *number = memory_must_alloc(sizeof(*number));

        *number = ++*sent;
        batch->entries[batch->len] =
            (struct post_entry){.object = number, .size = 40 + sender, .kind = kind & 63u};
        batch->size += 40 + sender;
    }
    mailbox_push(&mailbox, batch);
    if (mailbox_needs_wake(&mailbox)) {
        poller_wake(pollers[OWNER]);
    }
}

static void wait_while_over(unsigned sender)
{
    if (!mailbox_is_over(&mailbox, &marks, 0, 0)) {
        return;
    }
    for (;;) {
        mailbox_wait(&mailbox, sender);
        if (mailbox_is_low(&mailbox, &marks)) {
            return;
        }
        atomic_fetch_add_explicit(&waits, 1, memory_order_relaxed);
        sleep_on(sender);
    }
}

static void send_much(unsigned sender)
{
    struct dice dice = {sender};
    uint64_t sent = 0;

    while (stress_now_ms() < end_ms) {
        for (unsigned i = 0; i < 20; i++) {
            wait_while_over(sender);
            send(sender, &sent, 1 + dice_below(&dice, 9), MAIL_MORE);
        }
        if (dice_below(&dice, 50) == 0) {
            usleep(100);
        }
    }
    send(sender, &sent, 1, MAIL_LAST);
}

/* One at a time, and each at another moment of the owner's falling asleep. */
static void send_singly(unsigned sender)
{
    struct dice dice = {sender};
    uint64_t sent = 0;

    while (stress_now_ms() < end_ms) {
        for (unsigned i = 0; i < 50; i++) {
            send(sender, &sent, 1, MAIL_MORE);
            while (atomic_load_explicit(&handled, memory_order_acquire) < sent) {
            }
            stress_spin(dice_below(&dice, 20000));
        }
    }
    send(sender, &sent, 1, MAIL_LAST);
}

static void run(void (*sender)(unsigned), unsigned len)
{
    struct stress_task tasks[SENDER_LEN + 1] = {{.run = own}};

    mailbox_init(&mailbox);
    handled = 0;
    sleeps = 0;
    waits = 0;
    sender_len = len;
    memset(received, 0, sizeof(received));
    for (unsigned i = 0; i <= SENDER_LEN; i++) {
        assert_int_equal(poller_new(&pollers[i]), 0);
    }
    for (unsigned i = 0; i < len; i++) {
        tasks[i + 1] = (struct stress_task){.run = sender, .number = i};
    }
    end_ms = stress_now_ms() + STRESS_MS;
    stress_run(tasks, len + 1);
    for (unsigned i = 0; i <= SENDER_LEN; i++) {
        poller_free(pollers[i]);
    }
    assert_true(mailbox_is_empty(&mailbox));
    assert_int_equal(mailbox.level, 0);
    assert_true(sleeps > 0);
}

static void nobody_sleeps_over_a_batch(void **state)
{
    (void)state;
    run(send_singly, 1);
}

static void who_waits_is_woken(void **state)
{
    (void)state;
    run(send_much, SENDER_LEN);
    assert_true(waits > 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_sleeps_over_a_batch),
        cmocka_unit_test(who_waits_is_woken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
