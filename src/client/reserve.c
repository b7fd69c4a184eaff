#include "base/log.h"
#include "base/memory.h"
#include "client/agent.h"
#include "client/hub.h"
#include "net/socket.h"

/*
 * Without a descriptor accept() fails, and whoever waits goes on waiting: a client that hangs can't
 * try another server. So descriptors are kept in reserve, one for each worker. A worker that finds
 * none for a client gives one of them up, takes who waits one by one into its place, closes them,
 * and opens it again.
 *
 * Meanwhile another thread may take that place. While anything is missing no worker accepts a
 * client: what becomes free goes to the reserve first. So only who was about to accept already can
 * take a place, and they are fewer than the reserve is large. When it is empty all the same,
 * accepting pauses until a descriptor is closed here, or for a second.
 *
 * Refusing costs time as well. So a worker refuses only so many in a second, and then it pauses,
 * however many there are: what a flood costs has a bound.
 *
 * The log has two lines for all workers together: one when the first connection could not be had,
 * one with their number when none was refused for some seconds. A worker that has refused one looks
 * every second whether that is so; the first that sees it writes.
 */

#define REFUSED_PER_SECOND 256
#define REFUSED_AT_ONCE    64
#define QUIET_S            5

/* Told to programs and to people. */
static const struct {
    enum log_event event;
    enum metric metric;
    const char *name;
    const char *text;
} words[SHORTAGE_LEN] = {
    [SHORTAGE_DESCRIPTORS] = {LOG_EVENT_ACCEPT_PAUSED, METRIC_NO_DESCRIPTORS, "descriptors",
                              "file descriptors"                                                     },
    [SHORTAGE_MEMORY] = {LOG_EVENT_OUT_OF_MEMORY, METRIC_NO_MEMORY,      "memory",      "memory"},
};

/* Any worker. */
struct reserve {
    _Atomic int32_t missing; /* of those in `fds` */
    unsigned len;
    _Atomic int fds[]; /* -1: given up */
};

/* The reserve */

int reserve_new(unsigned worker_len, struct reserve **reserve_out)
{
    struct reserve *reserve =
        memory_alloc_zero(1, sizeof(*reserve) + worker_len * sizeof(reserve->fds[0]));

    if (!reserve) {
        return -ENOMEM;
    }
    reserve->len = worker_len;
    reserve->missing = (int32_t)worker_len;
    for (unsigned i = 0; i < worker_len; i++) {
        reserve->fds[i] = -1;
    }
    *reserve_out = reserve;
    return 0;
}

/* One is closed, if there is any. */
static bool give_up(struct reserve *reserve)
{
    for (unsigned i = 0; i < reserve->len; i++) {
        int fd = atomic_exchange(&reserve->fds[i], -1);

        if (fd >= 0) {
            atomic_fetch_add(&reserve->missing, 1);
            socket_close(fd);
            return true;
        }
    }
    return false;
}

struct reserve *reserve_free(struct reserve *reserve)
{
    while (reserve && give_up(reserve)) {
    }
    return memory_free(reserve);
}

/* Into a place that is empty; somebody else may have filled them all. */
static bool put(struct reserve *reserve, int fd)
{
    for (unsigned i = 0; i < reserve->len; i++) {
        int empty = -1;

        if (atomic_compare_exchange_strong(&reserve->fds[i], &empty, fd)) {
            atomic_fetch_sub(&reserve->missing, 1);
            return true;
        }
    }
    return false;
}

bool reserve_fill(struct reserve *reserve)
{
    while (atomic_load_explicit(&reserve->missing, memory_order_relaxed) > 0) {
        int fd;

        if (socket_reserve(&fd) < 0) {
            return false;
        }
        if (!put(reserve, fd)) {
            socket_close(fd);
            return true;
        }
    }
    return true;
}

/* A shortage */

/* Never 0, which stands for none. */
static uint32_t second_of(const struct hub *hub)
{
    return MAX(hub->shard->wheel.now, 1u);
}

static void say_begun(const struct hub_listener *listener, enum shortage_kind kind)
{
    const struct log_field fields[] = {
        log_field_number("listener", listener->shared->settings->port),
        log_field_text("reason", slice_of_text(words[kind].name)),
    };

    log_event(LOG_WARNING, &(struct log_facts){words[kind].event, ARRAY_LEN(fields), fields},
              "Warning: Out of %s on port %u, refusing new connections for now.", words[kind].text,
              listener->shared->settings->port);
}

static void say_ended(enum shortage_kind kind, uint32_t refused)
{
    const struct log_field fields[] = {
        log_field_text("reason", slice_of_text(words[kind].name)),
        log_field_number("refused", refused),
    };

    log_event(LOG_NOTICE, &(struct log_facts){LOG_EVENT_ACCEPT_RESUMED, ARRAY_LEN(fields), fields},
              "Accepting connections again: %u were refused for want of %s.", refused,
              words[kind].text);
}

static void feel(struct hub_listener *listener, enum shortage_kind kind, uint32_t refused)
{
    struct hub *hub = listener->hub;
    struct shortage *shortage = &server_door(hub->server)->shortages[kind];

    hub_count(hub, listener->shared, words[kind].metric, refused);
    atomic_fetch_add(&shortage->refused, refused);
    if (atomic_exchange(&shortage->last_s, second_of(hub)) == 0) {
        say_begun(listener, kind);
    }
    if (!wheel_timer_is_armed(&hub->refusing.timer)) {
        wheel_arm(&hub->shard->wheel, &hub->refusing.timer, hub->shard->wheel.now + 1);
    }
}

/* Whether it goes on. */
static bool goes_on(struct hub *hub, enum shortage_kind kind)
{
    struct shortage *shortage = &server_door(hub->server)->shortages[kind];
    uint32_t last_s = atomic_load(&shortage->last_s);

    if (last_s == 0 || second_of(hub) < last_s + QUIET_S) {
        return last_s != 0;
    }
    if (!atomic_compare_exchange_strong(&shortage->last_s, &last_s, 0)) {
        return last_s != 0;
    }
    say_ended(kind, atomic_exchange(&shortage->refused, 0));
    return false;
}

void reserve_on_timer(struct hub *hub)
{
    bool is_short = false;

    for (unsigned kind = 0; kind < SHORTAGE_LEN; kind++) {
        is_short |= goes_on(hub, kind);
    }
    if (is_short) {
        wheel_arm(&hub->shard->wheel, &hub->refusing.timer, hub->shard->wheel.now + 1);
    }
}

/* Refusing */

static bool may_refuse(struct hub *hub)
{
    struct refusing *refusing = &hub->refusing;

    if (refusing->second != second_of(hub)) {
        refusing->second = second_of(hub);
        refusing->len = 0;
    }
    return refusing->len < REFUSED_PER_SECOND;
}

/* How many were refused: who asks an agent gets the answer. */
static uint32_t turn_away(const struct hub_listener *listener, int fd)
{
    if (agent_is_asked(listener)) {
        agent_answer(listener, fd);
        return 0;
    }
    socket_close(fd);
    return 1;
}

bool reserve_refuse(struct hub_listener *listener, enum shortage_kind kind)
{
    struct hub *hub = listener->hub;
    struct reserve *reserve = server_door(hub->server)->reserve;
    struct address peer;
    uint32_t refused = 0;
    int r = SOCKET_OK;
    int fd;

    give_up(reserve);
    while (r == SOCKET_OK && refused < REFUSED_AT_ONCE && may_refuse(hub)) {
        r = socket_accept(listener->fd, &fd, &peer);
        if (r == SOCKET_OK) {
            refused += turn_away(listener, fd);
            hub->refusing.len++;
        }
    }
    reserve_fill(reserve);
    /* Linux says that there is no descriptor before it looks whether anybody waits. */
    if (refused > 0 || r != SOCKET_AGAIN) {
        feel(listener, kind, refused);
    }
    return r == SOCKET_AGAIN || (r == SOCKET_OK && may_refuse(hub));
}

bool reserve_on_refused(struct hub_listener *listener, enum shortage_kind kind)
{
    bool may_go_on = may_refuse(listener->hub);

    listener->hub->refusing.len++;
    feel(listener, kind, 1);
    return may_go_on;
}
