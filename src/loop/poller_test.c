#include "base/stress_test.h"
#include "loop/poller.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* A poller and a pair of sockets, of which it may watch the first. */
struct fixture {
    struct poller *poller;
    int fds[2];
    struct poller_event events[8];
};

static int setup(void **state)
{
    struct fixture *f = memory_must_alloc_zero(1, sizeof(*f));

    assert_int_equal(poller_new(&f->poller), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, f->fds), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    assert_null(poller_free(f->poller));
    close(f->fds[0]);
    close(f->fds[1]);
    memory_free(f);
    return 0;
}

static void assert_events(struct fixture *f, unsigned bits)
{
    unsigned len = poller_wait(f->poller, f->events, ARRAY_LEN(f->events), 0);

    assert_int_equal(len, bits ? 1 : 0);
    if (bits) {
        assert_ptr_equal(f->events[0].source, f);
        assert_int_equal(f->events[0].bits, bits);
    }
}

static void tells_what_is_asked_as_long_as_it_holds(void **state)
{
    struct fixture *f = *state;
    char byte;

    assert_int_equal(poller_add(f->poller, f->fds[0], POLLER_READ, f), 0);
    assert_events(f, 0);
    assert_int_equal(write(f->fds[1], "x", 1), 1);
    assert_events(f, POLLER_READ);
    assert_events(f, POLLER_READ);
    assert_int_equal(poller_change(f->poller, f->fds[0], POLLER_READ | POLLER_WRITE, f), 0);
    assert_events(f, POLLER_READ | POLLER_WRITE);
    assert_int_equal(poller_change(f->poller, f->fds[0], 0, f), 0);
    assert_events(f, 0);
    assert_int_equal(poller_change(f->poller, f->fds[0], POLLER_READ, f), 0);
    assert_int_equal(read(f->fds[0], &byte, 1), 1);
    assert_events(f, 0);
    poller_remove(f->poller, f->fds[0]);
    assert_int_equal(write(f->fds[1], "x", 1), 1);
    assert_events(f, 0);
}

/* Also to who asked for nothing. */
static void always_tells_a_hangup(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(poller_add(f->poller, f->fds[0], 0, f), 0);
    assert_events(f, 0);
    assert_int_equal(shutdown(f->fds[0], SHUT_RDWR), 0);
    assert_events(f, POLLER_HANGUP);
}

static void no_more_events_than_there_is_room_for(void **state)
{
    struct fixture *f = *state;
    unsigned seen[2] = {0};

    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(poller_add(f->poller, f->fds[i], POLLER_WRITE, &seen[i]), 0);
    }
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(poller_wait(f->poller, f->events, 1, 0), 1);
        *(unsigned *)f->events[0].source += 1;
    }
    assert_int_equal(seen[0], 5);
    assert_int_equal(seen[1], 5);
}

/* Whether before the wait or in it; once for all wake-ups until then; without an event. */
static void is_woken(void **state)
{
    struct fixture *f = *state;
    uint64_t before_wait;

    for (unsigned i = 0; i < 100; i++) {
        uint64_t before = stress_now_ms();

        poller_wake(f->poller);
        if (i % 2 == 0) {
            poller_wake(f->poller);
        }
        assert_int_equal(poller_wait(f->poller, f->events, 8, 5000), 0);
        assert_true(poller_was_woken(f->poller));
        assert_true(stress_now_ms() < before + 4000);
    }
    before_wait = stress_now_ms();
    assert_int_equal(poller_wait(f->poller, f->events, 8, 20), 0);
    assert_true(stress_now_ms() >= before_wait + 19);
    assert_false(poller_was_woken(f->poller));
}

static void a_wakeup_stands_until_there_is_room_to_see_it(void **state)
{
    struct fixture *f = *state;
    uint64_t before = stress_now_ms();

    assert_int_equal(poller_add(f->poller, f->fds[0], POLLER_WRITE, f), 0);
    poller_wake(f->poller);
    (void)poller_wait(f->poller, f->events, 1, 0);
    (void)poller_wait(f->poller, f->events, 1, 0);
    poller_remove(f->poller, f->fds[0]);
    poller_wake(f->poller);
    assert_int_equal(poller_wait(f->poller, f->events, 1, 5000), 0);
    assert_true(stress_now_ms() < before + 4000);
}

static void a_timeout_is_waited_for(void **state)
{
    struct fixture *f = *state;
    uint64_t before = stress_now_ms();

    assert_int_equal(poller_wait(f->poller, f->events, 8, 30), 0);
    assert_true(stress_now_ms() >= before + 29);
}

static _Atomic uint64_t asked;
static _Atomic uint64_t answered;
static struct poller *ping_pong[2];

static void play(unsigned number)
{
    struct poller_event event;

    for (uint64_t i = 1; i <= 2000; i++) {
        if (number == 0) {
            atomic_store(&asked, i);
            poller_wake(ping_pong[1]);
        }
        while (atomic_load(number == 0 ? &answered : &asked) < i) {
            assert(poller_wait(ping_pong[number], &event, 1, -1) == 0);
        }
        if (number == 1) {
            atomic_store(&answered, i);
            poller_wake(ping_pong[0]);
        }
    }
}

/* A wake-up that got lost would be a hang. */
static void threads_wake_each_other(void **state)
{
    struct stress_task tasks[2] = {
        {.run = play, .number = 0},
        {.run = play, .number = 1}
    };

    (void)state;
    assert_int_equal(poller_new(&ping_pong[0]), 0);
    assert_int_equal(poller_new(&ping_pong[1]), 0);
    stress_run(tasks, 2);
    assert_int_equal(answered, 2000);
    poller_free(ping_pong[0]);
    poller_free(ping_pong[1]);
}

/* The kernel changes no interest in a descriptor that wakes one of several. */
static void shared_descriptors_wake_one(void **state)
{
    struct fixture *f = *state;
    struct poller *other;

    assert_int_equal(poller_new(&other), 0);
    assert_int_equal(poller_add(f->poller, f->fds[0], POLLER_READ | POLLER_SHARED, f), 0);
    assert_int_equal(poller_add(other, f->fds[0], POLLER_READ | POLLER_SHARED, f), 0);
    assert_int_equal(poller_change(f->poller, f->fds[0], POLLER_READ, f), -EINVAL);
    assert_int_equal(write(f->fds[1], "x", 1), 1);
    assert_events(f, POLLER_READ);
    poller_free(other);
}

static void tells_what_the_kernel_refuses(void **state)
{
    struct fixture *f = *state;
    int file = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(poller_add(f->poller, f->fds[0], POLLER_READ, f), 0);
    assert_int_equal(poller_add(f->poller, f->fds[0], POLLER_READ, f), -EEXIST);
    assert_int_equal(poller_add(f->poller, -1, POLLER_READ, f), -EBADF);
    assert_int_equal(poller_add(f->poller, file, POLLER_READ, f), -EPERM);
    assert_int_equal(poller_change(f->poller, f->fds[1], POLLER_READ, f), -ENOENT);
    close(file);
}

static int lowest_free_fd(void)
{
    int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    close(fd);
    return fd;
}

static void without_memory_or_descriptors_there_is_none(void **state)
{
    struct rlimit before;
    struct rlimit few;
    struct poller *poller;
    int free_fd = lowest_free_fd();

    (void)state;
    memory_fail_after(1);
    assert_int_equal(poller_new(&poller), -ENOMEM);
    memory_fail_after(0);
    getrlimit(RLIMIT_NOFILE, &before);
    for (rlim_t extra = 0; extra < 2; extra++) {
        few = (struct rlimit){(rlim_t)free_fd + extra, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        assert_int_equal(poller_new(&poller), -EMFILE);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(lowest_free_fd(), free_fd);
    }
    assert_int_equal(poller_new(&poller), 0);
    poller_free(poller);
    assert_int_equal(lowest_free_fd(), free_fd);
    assert_null(poller_free(NULL));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tells_what_is_asked_as_long_as_it_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(always_tells_a_hangup, setup, teardown),
        cmocka_unit_test_setup_teardown(no_more_events_than_there_is_room_for, setup, teardown),
        cmocka_unit_test_setup_teardown(is_woken, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wakeup_stands_until_there_is_room_to_see_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_timeout_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(shared_descriptors_wake_one, setup, teardown),
        cmocka_unit_test_setup_teardown(tells_what_the_kernel_refuses, setup, teardown),
        cmocka_unit_test(threads_wake_each_other),
        cmocka_unit_test(without_memory_or_descriptors_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
