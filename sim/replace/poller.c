#include "loop/poller.h"

#include "base/memory.h"
#include "sim/fail.h"
#include "sim/network.h"
#include "sim/scheduler.h"

/*
 * src/loop/poller.h over the simulated network. A wait parks the worker. It may end with a part of
 * what is ready, in any order, or with nothing at all. A shared descriptor is reported to a worker
 * that looks; of those that sleep it wakes some, at least one, as EPOLLEXCLUSIVE does.
 */

#define WATCH_CAP 256

struct watch {
    void *source; /* NULL: free */
    int fd;
    unsigned bits;
    bool is_announced; /* POLLER_SHARED: may be reported to this sleeper */
};

struct poller {
    struct watch watches[WATCH_CAP];
    unsigned len;
    struct poller *next;
    bool is_woken;
    bool was_woken;
    bool is_asleep;
};

static struct poller *pollers;

int poller_new(struct poller **poller_out)
{
    struct poller *poller = memory_alloc_zero(1, sizeof(*poller));

    if (!poller) {
        return -ENOMEM;
    }
    poller->next = pollers;
    pollers = poller;
    *poller_out = poller;
    return 0;
}

struct poller *poller_free(struct poller *poller)
{
    struct poller **at = &pollers;

    if (!poller) {
        return NULL;
    }
    while (*at != poller) {
        at = &(*at)->next;
    }
    *at = poller->next;
    return memory_free(poller);
}

static struct watch *find_watch(struct poller *poller, int fd)
{
    for (unsigned i = 0; i < poller->len; i++) {
        if (poller->watches[i].source && poller->watches[i].fd == fd) {
            return &poller->watches[i];
        }
    }
    return NULL;
}

static struct watch *free_watch(struct poller *poller)
{
    for (unsigned i = 0; i < poller->len; i++) {
        if (!poller->watches[i].source) {
            return &poller->watches[i];
        }
    }
    if (poller->len == WATCH_CAP) {
        sim_fail("more descriptors than the simulator's poller takes");
    }
    return &poller->watches[poller->len++];
}

int poller_add(struct poller *poller, int fd, unsigned bits, void *source)
{
    assert(source);

    if (!network_is_listener(fd)) {
        network_find(fd);
    }
    if (find_watch(poller, fd)) {
        return -EEXIST;
    }
    *free_watch(poller) = (struct watch){.source = source, .fd = fd, .bits = bits};
    return 0;
}

int poller_change(struct poller *poller, int fd, unsigned bits, void *source)
{
    struct watch *watch = find_watch(poller, fd);

    assert(source);
    if (!watch) {
        return -ENOENT;
    }
    watch->bits = bits;
    watch->source = source;
    return 0;
}

void poller_remove(struct poller *poller, int fd)
{
    struct watch *watch = find_watch(poller, fd);

    if (!watch) {
        sim_fail("the server takes descriptor %d out of a poller where it is not", fd);
    }
    watch->source = NULL;
}

void poller_forget_descriptor(int fd)
{
    for (struct poller *poller = pollers; poller; poller = poller->next) {
        struct watch *watch = find_watch(poller, fd);

        if (watch) {
            watch->source = NULL;
        }
    }
}

void poller_announce(int fd)
{
    struct watch *last = NULL;
    bool is_announced = false;

    for (struct poller *poller = pollers; poller; poller = poller->next) {
        struct watch *watch = poller->is_asleep ? find_watch(poller, fd) : NULL;

        if (watch) {
            last = watch;
            watch->is_announced |= choice_chance(scheduler_choice(), 400);
            is_announced |= watch->is_announced;
        }
    }
    if (last && !is_announced) {
        last->is_announced = true;
    }
}

static unsigned ready_bits(const struct poller *poller, struct watch *watch)
{
    unsigned bits = network_events(watch->fd);

    if (bits == 0) {
        watch->is_announced = false;
    }
    if ((watch->bits & POLLER_SHARED) && poller->is_asleep && !watch->is_announced) {
        return 0;
    }
    return bits & (watch->bits | POLLER_HANGUP);
}

static bool is_ready(void *context)
{
    struct poller *poller = context;

    if (poller->is_woken) {
        return true;
    }
    for (unsigned i = 0; i < poller->len; i++) {
        if (poller->watches[i].source && ready_bits(poller, &poller->watches[i])) {
            return true;
        }
    }
    return false;
}

/* From a random one on, some of those that are ready; all of them half of the time. */
static unsigned collect(struct poller *poller, struct poller_event *events, unsigned cap)
{
    struct choice *choice = scheduler_choice();
    unsigned first = choice_below(choice, poller->len);
    unsigned keep_permille = choice_chance(choice, 500) ? 1000 : 600;
    unsigned written = 0;

    for (unsigned i = 0; i < poller->len && written < cap; i++) {
        struct watch *watch = &poller->watches[(first + i) % poller->len];
        unsigned bits = watch->source ? ready_bits(poller, watch) : 0;

        if (bits && (written == 0 || choice_chance(choice, keep_permille))) {
            events[written++] = (struct poller_event){.source = watch->source, .bits = bits};
        }
    }
    return written;
}

static void sleep_until(struct poller *poller, int timeout_ms)
{
    uint64_t deadline_ms =
        timeout_ms < 0 ? SCHEDULER_NEVER : scheduler_now_ms() + (unsigned)timeout_ms;

    if (choice_chance(scheduler_choice(), 10) || is_ready(poller)) {
        scheduler_point("poll");
        return;
    }
    poller->is_asleep = true;
    scheduler_wait("poll", is_ready, poller, deadline_ms);
}

unsigned poller_wait(struct poller *poller, struct poller_event *events, unsigned cap,
                     int timeout_ms)
{
    unsigned written;

    scheduler_point("before poll");
    if (timeout_ms != 0) {
        sleep_until(poller, timeout_ms);
    } else {
        scheduler_yield("poll without waiting");
    }
    written = collect(poller, events, cap);
    for (unsigned i = 0; i < poller->len; i++) {
        poller->watches[i].is_announced = false;
    }
    poller->is_asleep = false;
    poller->was_woken = poller->is_woken;
    poller->is_woken = false;
    scheduler_point("after poll");
    return written;
}

bool poller_was_woken(const struct poller *poller)
{
    return poller->was_woken;
}

void poller_wake(struct poller *poller)
{
    sim_trace("  a worker is woken");
    poller->is_woken = true;
}
