#include "client/agent.h"

#include "base/memory.h"
#include "client/hub.h"
#include "net/socket.h"

#include <stdio.h>

/*
 * The weight is what is left of whatever is scarcest: connections, sessions, memory, or the time of
 * the busiest worker. Never 0, which HAProxy takes for a drain: a broker that is full is better
 * tried last than never.
 */

/* What is said instead of a weight; NULL: nothing. */
static const char *drain_word(enum drain_state state)
{
    switch (state) {
    case DRAIN_NONE: return NULL;
    case DRAIN_OVER: return "down #drained\n";
    default: return "drain\n";
    }
}

size_t agent_format(const struct agent_report *report, char text[AGENT_TEXT_CAP])
{
    unsigned full = MIN(report->full_permille, 1000u);
    const char *word = drain_word(report->drain);
    unsigned weight = MAX((1000 - full) / 10, 1u);
    int len;

    if (word) {
        return (size_t)snprintf(text, AGENT_TEXT_CAP, "%s", word);
    }
    len = snprintf(text, AGENT_TEXT_CAP, "up ready %u%%", weight);
    if (report->max_connections >= 0) {
        len += snprintf(text + len, AGENT_TEXT_CAP - (size_t)len, " maxconn:%d",
                        MAX(report->max_connections, 1));
    }
    len += snprintf(text + len, AGENT_TEXT_CAP - (size_t)len, "\n");
    assert(len > 0 && len < AGENT_TEXT_CAP);
    return (size_t)len;
}

/* Without a limit nothing is ever full. */
static unsigned permille_of(uint64_t len, uint64_t max)
{
    return max > 0 ? (unsigned)MIN((uint64_t)((double)len * 1000 / (double)max), UINT64_C(1000))
                   : 0;
}

static unsigned fullest_listener(const struct hub *hub)
{
    unsigned full = 0;

    for (struct list_link *link = hub->listeners.next; link != &hub->listeners; link = link->next) {
        const struct server_listener *shared =
            CONTAINER_OF(link, struct hub_listener, in_hub)->shared;
        uint32_t len = atomic_load_explicit(&shared->places->len, memory_order_relaxed);
        int32_t max = MAX(shared->settings->max_connections, 0);
        unsigned this_full = permille_of(len, (uint64_t)max);

        full = MAX(full, this_full);
    }
    return full;
}

/* Somebody is refused for want of descriptors or memory, or was a moment ago. */
static bool is_short(const struct hub *hub)
{
    const struct door *door = server_door(hub->server);

    for (unsigned kind = 0; kind < SHORTAGE_LEN; kind++) {
        if (atomic_load_explicit(&door->shortages[kind].last_s, memory_order_relaxed) != 0) {
            return true;
        }
    }
    return false;
}

static unsigned how_full(const struct hub *hub)
{
    const struct settings_limits *limits = &hub->settings->limits;
    const struct core *core = server_core(hub->server);
    uint64_t connection_max = limits->global_max_connections > 0
                                  ? (uint64_t)limits->global_max_connections
                                  : server_door(hub->server)->file_limit;
    uint32_t connections =
        atomic_load_explicit(server_connection_len(hub->server), memory_order_relaxed);
    uint32_t sessions = atomic_load_explicit(&core->session_len, memory_order_relaxed);
    int32_t session_max = limits->global_max_clients;
    uint64_t most;
    const unsigned parts[] = {
        permille_of(connections, connection_max),
        fullest_listener(hub),
        permille_of(sessions, session_max > 0 ? (uint64_t)session_max : 0),
        permille_of(memory_used(&most), limits->memory_limit),
        worker_group_busy_permille(server_group(hub->server)),
    };
    unsigned full = is_short(hub) ? 1000 : 0;

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        full = MAX(full, parts[i]);
    }
    return full;
}

bool agent_is_asked(const struct hub_listener *listener)
{
    return listener->shared->settings->protocol == SETTINGS_PROTOCOL_AGENT;
}

/* What HAProxy's agent-send may have sent is read, since closing over it would be a reset, and that
 * may overtake the line. */
void agent_answer(const struct hub_listener *listener, int fd)
{
    const struct hub *hub = listener->hub;
    struct agent_report report = {
        .drain = server_drain(hub->server),
        .full_permille = how_full(hub),
        .max_connections = hub->settings->limits.global_max_connections,
    };
    char text[AGENT_TEXT_CAP];
    ssize_t unread;
    struct iovec line = {.iov_base = text, .iov_len = agent_format(&report, text)};

    if (socket_send(fd, &line, 1) > 0) {
        socket_finish(fd);
    }
    unread = socket_receive(fd, text, sizeof(text));
    (void)unread;
    socket_close(fd);
}
