#include "app/sys_listeners.h"

#include "base/list.h"
#include "base/memory.h"
#include "client/bulletin.h"
#include "client/server.h"
#include "net/proxy.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Each listener has a bulletin of its own, so that one can go while another comes. A row gets its
 * topic when it first has something to say: most of the codes and reasons never have.
 *
 * After a reload names decide who goes on. Whoever has none any more says nothing in all its rows,
 * once, and is freed when that is published. Until nobody is left who does, no listener begins: it
 * might have the same name.
 */

#define NAMES_FRONT METRIC_TOPIC_FRONT "listener/"

struct sys_listener {
    struct bulletin bulletin;
    struct list_link in_leaving;
    bool goes_on; /* while others come */
    char *name;
    struct bulletin_row rows[METRIC_LISTENER_LEN];
    char *topics[METRIC_LISTENER_LEN]; /* the rows' */
};

/* Owner: main. */
struct sys_listeners {
    struct server *server;
    const struct settings *settings; /* that hold: looked at while it is stale */
    struct sys_listener **now;       /* one for each of the server's, but while it is stale */
    unsigned len;
    struct list_link leaving;
    bool is_stale; /* the server has others */
};

/* Names */

static bool is_plain(char c)
{
    return isalnum((unsigned char)c) || strchr("-._:[]", c);
}

/* As one level of a topic, whatever it is. */
static void put_level(FILE *file, const char *text)
{
    for (; *text; text++) {
        fprintf(file, is_plain(*text) ? "%c" : "%%%02X", (unsigned char)*text);
    }
}

static void put_address(FILE *file, const struct listener_settings *settings)
{
    const char *address = settings->bind_address;

    if (address && strchr(address, ':') && address[0] != '[') {
        fputc('[', file);
        put_level(file, address);
        fputs("]:", file);
    } else if (address) {
        put_level(file, address);
        fputc(':', file);
    }
}

static void put_name(FILE *file, const struct listener_settings *settings)
{
    if (settings->unix_path) {
        put_level(file, settings->unix_path);
        return;
    }
    put_address(file, settings);
    fprintf(file, "%u", settings->port);
    if (settings->bind_interface) {
        fputc('@', file);
        put_level(file, settings->bind_interface);
    }
    if (settings->domain != SETTINGS_DOMAIN_ANY) {
        fputs(settings->domain == SETTINGS_DOMAIN_IPV4 ? "-ipv4" : "-ipv6", file);
    }
}

/* The text is the caller's, to be given to free(). -ENOMEM. */
static int make_name(const struct listener_settings *settings, char **name_out)
{
    size_t size;
    FILE *file = open_memstream(name_out, &size);
    bool has_failed;

    if (!file) {
        return -ENOMEM;
    }
    put_name(file, settings);
    has_failed = ferror(file);
    if (fclose(file) != 0 || has_failed) {
        free(*name_out);
        return -ENOMEM;
    }
    return 0;
}

/* What a family calls one of its numbers. */
static void format_place(const struct metric_row *row, unsigned place, char *text, size_t cap)
{
    if (row->len == 1) {
        text[0] = '\0';
    } else if (row->first == METRIC_PROXY_REFUSED && place < PROXY_REFUSAL_LEN) {
        snprintf(text, cap, "/%s", proxy_refusal_word((enum proxy_refusal)place));
    } else {
        snprintf(text, cap, "/%u", place);
    }
}

static int make_topic(const struct sys_listener *listener, const struct metric_row *row,
                      unsigned place, char **topic_out)
{
    size_t cap = sizeof(NAMES_FRONT) + strlen(listener->name) + strlen(row->listener) + 32;
    char *topic = memory_alloc(cap);
    char last[24];

    if (!topic) {
        return -ENOMEM;
    }
    format_place(row, place, last, sizeof(last));
    snprintf(topic, cap, NAMES_FRONT "%s/%s%s", listener->name, row->listener, last);
    *topic_out = topic;
    return 0;
}

/* One listener */

static struct sys_listener *free_one(struct sys_listener *listener)
{
    if (listener) {
        for (unsigned i = 0; i < METRIC_LISTENER_LEN; i++) {
            memory_free(listener->topics[i]);
        }
        free(listener->name);
    }
    return memory_free(listener);
}

/* The name is its own then. */
static int new_one(char *name, struct sys_listener **listener_out)
{
    struct sys_listener *listener = memory_alloc_zero(1, sizeof(*listener));

    if (!listener) {
        return -ENOMEM;
    }
    listener->name = name;
    listener->bulletin.rows = listener->rows;
    listener->bulletin.row_len = METRIC_LISTENER_LEN;
    *listener_out = listener;
    return 0;
}

/* Of a family only what ever happened has something to say. */
static int say_metric(struct sys_listener *listener, const struct metric_row *row,
                      const uint64_t *values)
{
    unsigned first = row->first - METRIC_LISTENER_FIRST;

    for (unsigned i = 0; i < row->len; i++) {
        struct bulletin_row *at = &listener->rows[first + i];

        if (row->len > 1 && values[first + i] == 0 && at->len == 0) {
            continue;
        }
        if (!at->topic && make_topic(listener, row, i, &listener->topics[first + i]) < 0) {
            return -ENOMEM;
        }
        at->topic = listener->topics[first + i];
        bulletin_say(at, "%" PRIu64, values[first + i]);
    }
    return 0;
}

static int publish_if_due(const struct sys_listeners *listeners, struct sys_listener *listener)
{
    for (unsigned i = 0; i < METRIC_LISTENER_LEN; i++) {
        if (listener->rows[i].is_due) {
            return server_publish(listeners->server, &listener->bulletin);
        }
    }
    return 0;
}

static int publish_one(const struct sys_listeners *listeners, unsigned index)
{
    struct sys_listener *listener = listeners->now[index];
    uint64_t values[METRIC_LISTENER_LEN];
    int r = 0;

    if (bulletin_is_under_way(&listener->bulletin)) {
        return 0;
    }
    server_sum_listener(listeners->server, index, values);
    for (size_t i = 0; i < metric_row_len && r == 0; i++) {
        if (metric_rows[i].listener) {
            r = say_metric(listener, &metric_rows[i], values);
        }
    }
    return r == 0 ? publish_if_due(listeners, listener) : r;
}

/* All of them */

static struct sys_listener *find(const struct sys_listeners *listeners, const char *name)
{
    for (unsigned i = 0; i < listeners->len; i++) {
        struct sys_listener *listener = listeners->now[i];

        if (!listener->goes_on && strcmp(listener->name, name) == 0) {
            return listener;
        }
    }
    return NULL;
}

/* The one that goes on under this name, or a new one. */
static int pick(const struct sys_listeners *listeners, const struct listener_settings *settings,
                struct sys_listener **listener_out)
{
    char *name;
    int r = make_name(settings, &name);

    if (r < 0) {
        return r;
    }
    *listener_out = find(listeners, name);
    if (*listener_out) {
        (*listener_out)->goes_on = true;
        free(name);
        return 0;
    }
    r = new_one(name, listener_out);
    if (r < 0) {
        free(name);
    }
    return r;
}

/* Of a list that is given up: who goes on stands in the other one as well. */
static void let_go(struct sys_listener **all, unsigned len, struct list_link *leaving)
{
    for (unsigned i = 0; i < len; i++) {
        if (all[i]->goes_on) {
            all[i]->goes_on = false;
        } else if (leaving) {
            list_push(leaving, &all[i]->in_leaving);
        } else {
            free_one(all[i]);
        }
    }
    memory_free(all);
}

/* -ENOMEM: all is as before. */
static int renew(struct sys_listeners *listeners)
{
    const struct settings *settings = listeners->settings;
    struct sys_listener **next =
        memory_alloc_zero(MAX(settings->listener_len, 1u), sizeof(struct sys_listener *));
    unsigned len = 0;
    int r = next ? 0 : -ENOMEM;

    while (r == 0 && len < settings->listener_len) {
        r = pick(listeners, &settings->listeners[len], &next[len]);
        len += r == 0;
    }
    if (r < 0) {
        let_go(next, len, NULL);
        return r;
    }
    let_go(listeners->now, listeners->len, &listeners->leaving);
    listeners->now = next;
    listeners->len = len;
    listeners->is_stale = false;
    return 0;
}

/* True: it has, and that is published. */
static bool has_left(struct sys_listener *listener)
{
    bool has_left = !bulletin_is_under_way(&listener->bulletin);

    for (unsigned i = 0; i < METRIC_LISTENER_LEN && has_left; i++) {
        has_left = listener->rows[i].len == 0 && !listener->rows[i].is_due;
    }
    return has_left;
}

static int withdraw(const struct sys_listeners *listeners, struct sys_listener *listener)
{
    if (bulletin_is_under_way(&listener->bulletin)) {
        return 0;
    }
    for (unsigned i = 0; i < METRIC_LISTENER_LEN; i++) {
        bulletin_say_nothing(&listener->rows[i]);
    }
    return publish_if_due(listeners, listener);
}

static int retire(struct sys_listeners *listeners)
{
    struct list_link *link = listeners->leaving.next;
    int r = 0;

    while (link != &listeners->leaving && r == 0) {
        struct sys_listener *listener = CONTAINER_OF(link, struct sys_listener, in_leaving);

        link = link->next;
        if (has_left(listener)) {
            list_remove(&listener->in_leaving);
            free_one(listener);
        } else {
            r = withdraw(listeners, listener);
        }
    }
    return r;
}

int sys_listeners_publish(struct sys_listeners *listeners)
{
    int r = retire(listeners);

    if (r == 0 && listeners->is_stale && list_is_empty(&listeners->leaving)) {
        r = renew(listeners);
        if (r == 0) {
            r = retire(listeners);
        }
    }
    for (unsigned i = 0; i < listeners->len && r == 0 && !listeners->is_stale; i++) {
        r = publish_one(listeners, i);
    }
    return r;
}

/* Life */

struct sys_listeners *sys_listeners_new(struct server *server, const struct settings *settings)
{
    struct sys_listeners *listeners = memory_must_alloc_zero(1, sizeof(*listeners));

    listeners->server = server;
    list_init(&listeners->leaving);
    sys_listeners_take_over(listeners, settings);
    return listeners;
}

void sys_listeners_take_over(struct sys_listeners *listeners, const struct settings *settings)
{
    listeners->settings = settings;
    listeners->is_stale = true;
}

struct sys_listeners *sys_listeners_free(struct sys_listeners *listeners)
{
    struct list_link *link;

    if (!listeners) {
        return NULL;
    }
    while ((link = list_pop(&listeners->leaving)) != NULL) {
        free_one(CONTAINER_OF(link, struct sys_listener, in_leaving));
    }
    let_go(listeners->now, listeners->len, NULL);
    return memory_free(listeners);
}
