#include "app/listening.h"

#include "base/log.h"
#include "base/memory.h"

/* The first port that everybody may open. */
#define PORT_OPEN 1024

static enum address_family family_of(enum settings_domain domain)
{
    switch (domain) {
    case SETTINGS_DOMAIN_IPV4: return ADDRESS_IPV4;
    case SETTINGS_DOMAIN_IPV6: return ADDRESS_IPV6;
    default: return ADDRESS_NONE;
    }
}

/* A connection without a byte is of no use before the time for CONNECT is over; but who asks an
 * agent need not send any. */
static struct listener_params params_of(const struct settings *settings,
                                        const struct listener_settings *listener)
{
    return (struct listener_params){
        .port = listener->port,
        .is_loopback = listener->is_loopback,
        .bind_address = listener->bind_address,
        .bind_interface = listener->bind_interface,
        .unix_path = listener->unix_path,
        .family = family_of(listener->domain),
        .backlog = (int)listener->backlog,
        .defer_accept_s = listener->defer_accept && listener->protocol != SETTINGS_PROTOCOL_AGENT
                              ? settings->limits.connect_timeout_s
                              : 0,
    };
}

static void say_passed(const struct listener_settings *settings, const struct listener *listener)
{
    if (settings->unix_path) {
        log_line(LOG_INFORMATION, "The service manager has opened the listen socket on path %s.",
                 settings->unix_path);
    } else {
        log_line(LOG_INFORMATION, "The service manager has opened %u listen sockets on port %u.",
                 listener->len, settings->port);
    }
}

static void say_opened(const struct listener_settings *settings, const struct listener *listener)
{
    if (listener->is_passed) {
        say_passed(settings, listener);
        return;
    }
    for (unsigned i = 0; i < listener->len; i++) {
        switch (listener->sockets[i].bound.family) {
        case ADDRESS_UNIX:
            log_line(LOG_INFORMATION, "Opening unix listen socket on path %s.",
                     settings->unix_path);
            break;
        case ADDRESS_IPV6:
            log_line(LOG_INFORMATION, "Opening ipv6 listen socket on port %u.", settings->port);
            break;
        default:
            log_line(LOG_INFORMATION, "Opening ipv4 listen socket on port %u.", settings->port);
            break;
        }
    }
}

/* `passed`: NULL at a reload, when they are all taken. */
static int open_listener(const struct settings *settings, unsigned index,
                         const struct activation *passed, struct listener *listener)
{
    struct listener_params params = params_of(settings, &settings->listeners[index]);
    char error[LISTENER_ERROR_CAP];
    int r;

    if (passed) {
        params.passed = passed->sockets;
        params.passed_len = passed->len;
    }
    r = listener_open(&params, listener, error);
    if (r < 0) {
        log_line(LOG_ERROR, "Error: %s", error);
    }
    return r;
}

static int make_room(unsigned len, struct listening *listening)
{
    listening->listeners = memory_alloc_zero(MAX(len, 1u), sizeof(*listening->listeners));
    listening->len = listening->listeners ? len : 0;
    if (!listening->listeners) {
        log_line(LOG_ERROR, "Error: Out of memory for listeners.");
    }
    return listening->listeners ? 0 : -ENOMEM;
}

int listening_open(const struct settings *settings, const struct activation *passed,
                   struct listening *listening_out)
{
    int r = make_room(settings->listener_len, listening_out);

    for (unsigned i = 0; i < listening_out->len && r == 0; i++) {
        r = open_listener(settings, i, passed, &listening_out->listeners[i]);
        if (r == 0) {
            say_opened(&settings->listeners[i], &listening_out->listeners[i]);
        }
    }
    if (r == 0) {
        r = activation_check(passed);
    }
    if (r < 0) {
        listening_close(listening_out);
    }
    return r;
}

/* The next configuration */

static bool has_port(const struct listening *listening, uint16_t port)
{
    for (unsigned i = 0; i < listening->len; i++) {
        const struct listener *listener = &listening->listeners[i];

        for (unsigned j = 0; j < listener->len; j++) {
            const struct address *bound = &listener->sockets[j].bound;

            if (bound->family != ADDRESS_UNIX && bound->port == port) {
                return true;
            }
        }
    }
    return false;
}

/* What is different from a start. */
static void explain(const struct listener_settings *settings, const struct listening *now, int r)
{
    if (r == -EACCES && settings->port > 0 && settings->port < PORT_OPEN) {
        log_line(LOG_ERROR, "Error: Listeners below port 1024 can only be opened at the start, "
                            "before privileges are given up.");
    }
    if (r == -EADDRINUSE && settings->port > 0 && has_port(now, settings->port)) {
        log_line(LOG_ERROR,
                 "Error: Port %u is open already: a listener gets another address of the same port "
                 "only by a restart, or by two reloads that close it first.",
                 settings->port);
    }
}

int listening_prepare(const struct settings *next, const struct changes *changes,
                      const struct listening *now, struct listening *next_out)
{
    int r = make_room(next->listener_len, next_out);

    for (unsigned i = 0; i < next_out->len && r == 0; i++) {
        if (changes->listeners[i] == CHANGES_NONE) {
            r = open_listener(next, i, NULL, &next_out->listeners[i]);
            explain(&next->listeners[i], now, r);
        }
    }
    if (r < 0) {
        listening_close(next_out);
    }
    return r;
}

void listening_take_over(const struct settings *next, const struct changes *changes,
                         struct listening *now, struct listening *next_listening)
{
    for (unsigned i = 0; i < next_listening->len; i++) {
        struct listener *listener = &next_listening->listeners[i];

        if (changes->listeners[i] == CHANGES_NONE) {
            say_opened(&next->listeners[i], listener);
        } else {
            assert(listener->len == 0);
            *listener = now->listeners[changes->listeners[i]];
            now->listeners[changes->listeners[i]] = (struct listener){0};
        }
    }
}

void listening_close(struct listening *listening)
{
    for (unsigned i = 0; i < listening->len; i++) {
        listener_close(&listening->listeners[i]);
    }
    memory_free(listening->listeners);
    *listening = (struct listening){0};
}
