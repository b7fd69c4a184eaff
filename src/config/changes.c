#include "config/changes.h"

#include "base/text.h"
#include "config/values.h"

#include <stdio.h>
#include <stdlib.h>

/* The two sides of a comparison: both settings, or a listener of each. */
struct pair {
    struct option_source now;
    struct option_target next;
    const char *prefix; /* of its lines */
    const struct report *report;
    unsigned len; /* differences */
    bool renews;  /* one of them is for new connections */
};

/* Listeners */

typedef bool is_same_fn(const struct listener_settings *a, const struct listener_settings *b);

/* Where clients find it. */
static bool is_same_place(const struct listener_settings *a, const struct listener_settings *b)
{
    return a->port == b->port && a->is_loopback == b->is_loopback &&
           text_is_same(a->bind_address, b->bind_address) &&
           text_is_same(a->unix_path, b->unix_path);
}

/* Several may share a place by these. */
static bool is_same_socket(const struct listener_settings *a, const struct listener_settings *b)
{
    return is_same_place(a, b) && a->domain == b->domain &&
           text_is_same(a->bind_interface, b->bind_interface);
}

static unsigned find_same(const struct settings *now, const struct listener_settings *listener,
                          const struct changes *changes, is_same_fn *is_same)
{
    for (unsigned i = 0; i < now->listener_len; i++) {
        if (!changes->stays[i] && is_same(&now->listeners[i], listener)) {
            return i;
        }
    }
    return CHANGES_NONE;
}

/* One of the old listeners goes on as one of the new ones at most. */
static void match(const struct settings *now, const struct settings *next, struct changes *changes,
                  is_same_fn *is_same)
{
    for (unsigned i = 0; i < next->listener_len; i++) {
        if (changes->listeners[i] == CHANGES_NONE) {
            changes->listeners[i] = find_same(now, &next->listeners[i], changes, is_same);
        }
        if (changes->listeners[i] != CHANGES_NONE) {
            changes->stays[changes->listeners[i]] = true;
        }
    }
}

/* "listener 1884", with the address where there is one, or the path. */
static void name_listener(const struct listener_settings *listener, char *name, size_t cap)
{
    if (listener->unix_path) {
        snprintf(name, cap, "listener 0 %s", listener->unix_path);
    } else {
        snprintf(name, cap, "listener %u%s%s", listener->port, listener->bind_address ? " " : "",
                 listener->bind_address ? listener->bind_address : "");
    }
}

static void say_listener(const struct report *report, const struct listener_settings *listener,
                         const char *what)
{
    char name[256];

    name_listener(listener, name, sizeof(name));
    report_line(report, LOG_INFORMATION, "%s: %s", name, what);
}

/* Options */

static bool is_of_listener(const struct option *option)
{
    return option->scope == OPTION_LISTENER || option->scope == OPTION_DEFAULT_LISTENER;
}

static int keep(struct pair *pair, const struct option *option)
{
    report_line(pair->report, LOG_WARNING, "Warning: %s%s: needs a restart.", pair->prefix,
                option->name);
    pair->len++;
    return value_copy(option, &pair->now, &pair->next);
}

static int compare(struct pair *pair, const struct option *option)
{
    struct option_source next = {pair->next.settings, pair->next.listener};
    char *before = NULL;
    char *after = NULL;
    int r = value_format(option, &pair->now, &before);

    if (r == 0) {
        r = value_format(option, &next, &after);
    }
    if (r == 0 && strcmp(before, after) != 0) {
        if (option->reload == OPTION_NEVER) {
            r = keep(pair, option);
        } else {
            report_line(pair->report, LOG_INFORMATION, "%s%s %s -> %s", pair->prefix, option->name,
                        report_excerpt(before).text, report_excerpt(after).text);
            pair->len++;
            pair->renews |= is_of_listener(option) || option->reload == OPTION_RELOAD_LISTENER;
        }
    }
    free(before);
    free(after);
    return r;
}

/* Options that are no values (blocks, include_dir) have nothing to compare. */
static bool has_value(const struct option *option)
{
    return !option->alias_of && option->status == OPTION_BUILT &&
           (option->parse || option->storage != OPTION_STORE_NONE);
}

static int compare_all(struct pair *pair)
{
    bool wants_listener = pair->now.listener != NULL;

    for (size_t i = 0; i < option_len; i++) {
        const struct option *option = &options[i];

        if (has_value(option) && is_of_listener(option) == wants_listener) {
            int r = compare(pair, option);

            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

/* `renews`: an option of the broker has changed for all new connections. */
static int compare_listeners(const struct settings *now, struct settings *next, bool renews,
                             const struct report *report, struct changes *changes)
{
    for (unsigned i = 0; i < next->listener_len; i++) {
        char prefix[300];
        char name[256];
        struct pair pair = {.report = report, .prefix = prefix, .renews = renews};
        int r;

        if (changes->listeners[i] == CHANGES_NONE) {
            say_listener(report, &next->listeners[i], "opens");
            changes->len++;
            continue;
        }
        name_listener(&next->listeners[i], name, sizeof(name));
        snprintf(prefix, sizeof(prefix), "%s: ", name);
        pair.now = (struct option_source){now, &now->listeners[changes->listeners[i]]};
        pair.next = (struct option_target){
            .settings = next, .listener = &next->listeners[i], .arena = &next->arena};
        r = compare_all(&pair);
        if (r < 0) {
            return r;
        }
        changes->len += pair.len;
        changes->renews[i] = pair.renews;
    }
    return 0;
}

static void say_closed(const struct settings *now, const struct report *report,
                       struct changes *changes)
{
    for (unsigned i = 0; i < now->listener_len; i++) {
        if (!changes->stays[i]) {
            say_listener(report, &now->listeners[i], "closes");
            changes->len++;
        }
    }
}

int changes_settle(const struct settings *now, struct settings *next, const struct report *report,
                   struct changes *changes_out)
{
    struct pair pair = {
        .now = {.settings = now       },
        .next = { .settings = next, .arena = &next->arena},
        .prefix = "",
        .report = report,
    };
    int r;

    *changes_out = (struct changes){
        .listeners = arena_alloc_array(&next->arena, MAX(next->listener_len, 1u),
                                       sizeof(*changes_out->listeners)),
        .renews = arena_alloc_array(&next->arena, MAX(next->listener_len, 1u),
                                    sizeof(*changes_out->renews)),
        .stays = arena_alloc_array(&next->arena, MAX(now->listener_len, 1u),
                                   sizeof(*changes_out->stays)),
    };
    if (!changes_out->listeners || !changes_out->renews || !changes_out->stays) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < next->listener_len; i++) {
        changes_out->listeners[i] = CHANGES_NONE;
    }
    match(now, next, changes_out, is_same_socket);
    match(now, next, changes_out, is_same_place);
    r = compare_all(&pair);
    changes_out->len += pair.len;
    if (r == 0) {
        r = compare_listeners(now, next, pair.renews, report, changes_out);
    }
    if (r == 0) {
        say_closed(now, report, changes_out);
    }
    return r;
}
