#include "client/roster.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"
#include "client/hub.h"
#include "client/trust.h"
#include "client/web.h"
#include "core/worker_set.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/*
 * Nothing of a list is kept between two pages. Where the next one begins is a place in the tables
 * of sessions, which go by the hash of the client id: it stays what it is while clients come and
 * go, so who is connected all the time is listed once, and no client id twice. The hash is keyed,
 * and of the key a cursor tells nothing; who may see the list may know which ids share a bucket.
 *
 * A page under way belongs to one worker at a time. It is handed on without asking for memory, by
 * links of its own, so it always comes back. Who asked and goes away meanwhile strikes itself off
 * it.
 */

#define LIMIT_DEFAULT 100u
#define LIMIT_MAX     1000u

/* A page that has become so long ends before its limit. */
#define PAGE_SIZE ((size_t)256 * 1024)

/* Pages under way for the clients of one worker. */
#define ASKED_MAX 16u

/* What an iteration writes: so many clients, or bytes, and so many looks into the table for them.
 */
#define SLICE_LEN   50u
#define SLICE_SIZE  ((size_t)32 * 1024)
#define SLICE_LOOKS 1000u

/* Worker, place, links that were met there, as hexadecimal digits. */
#define CURSOR_LEN 26

static_assert(WORKER_CAP <= 256, "a worker is two digits");

/* Owner: the worker that it has come to; `asker` and `is_back` are for the one who asked. */
struct roster {
    struct mpsc_node node;
    struct list_link link;
    struct hub *home; /* of who asked */
    struct client *asker;
    bool is_back;
    _Atomic bool is_void; /* nobody waits for it any more */
    unsigned worker;      /* whose clients come next */
    struct table_place place;
    unsigned left; /* clients that it may still have */
    struct json json;
};

static struct roster *roster_free(struct roster *roster)
{
    json_deinit(&roster->json);
    return memory_free(roster);
}

/* Life of a worker's */

void rosters_init(struct rosters *rosters)
{
    mpsc_init(&rosters->posted);
    list_init(&rosters->here);
}

static void fetch(struct rosters *rosters)
{
    struct mpsc_node *node = mpsc_take_all(&rosters->posted);

    while (node) {
        struct roster *roster = CONTAINER_OF(node, struct roster, node);

        node = node->next;
        list_push(&rosters->here, &roster->link);
    }
}

void rosters_deinit(struct rosters *rosters)
{
    struct list_link *link;

    fetch(rosters);
    while ((link = list_pop(&rosters->here)) != NULL) {
        roster_free(CONTAINER_OF(link, struct roster, link));
    }
}

bool rosters_wait(const struct rosters *rosters)
{
    return !mpsc_is_empty(&rosters->posted) || !list_is_empty(&rosters->here);
}

/* Clients */

/* A client of a Unix socket has the path that it came by. */
static void add_address(struct json *json, const struct client *client, const struct address *from)
{
    const char *path = client->listener->settings->unix_path;
    char ip[ADDRESS_TEXT_CAP];

    if (from->family == ADDRESS_UNIX || from->family == ADDRESS_NONE) {
        json_add_text(json, "path", slice_of_text(path ? path : ""));
        return;
    }
    address_format(from, ip);
    json_add_text(json, "address", slice_of_text(ip));
    json_add_number(json, "port", from->port);
}

static void add_proxy(struct json *json, const struct client *client)
{
    struct address peer = client_peer(client);
    struct address socket = client_socket(client);

    if (address_is_equal(&peer, &socket)) {
        json_add_null(json, "proxy");
        return;
    }
    json_open(json, "proxy", '{');
    add_address(json, client, &socket);
    json_close(json, '}');
}

static void add_listener(struct json *json, const struct listener_settings *listener)
{
    json_open(json, "listener", '{');
    if (listener->unix_path) {
        json_add_text(json, "path", slice_of_text(listener->unix_path));
    } else {
        json_add_number(json, "port", listener->port);
    }
    json_close(json, '}');
}

static void add_time(struct json *json, const char *name, uint32_t wall_s)
{
    time_t seconds = (time_t)wall_s;
    char text[32];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_add_text(json, name, slice_of_text(text));
}

static void add_known(struct json *json, const char *name, struct slice text)
{
    if (text.len > 0) {
        json_add_text(json, name, text);
    } else {
        json_add_null(json, name);
    }
}

static void add_common_name(struct json *json, const struct client *client)
{
    char *name = NULL;
    int r = trust_common_name(client, &name);

    json->has_failed |= r == -ENOMEM;
    add_known(json, "common_name", slice_of_text(name ? name : ""));
    memory_free(name);
}

static void add_tls(struct json *json, const struct client *client, const struct trust_facts *facts)
{
    if (!facts->is_tls) {
        json_add_null(json, "tls");
        return;
    }
    json_open(json, "tls", '{');
    json_add_text(json, "ends_at", slice_of_text(facts->is_proxys ? "proxy" : "broker"));
    add_known(json, "version", facts->version);
    add_known(json, "cipher", facts->cipher);
    json_add_bool(json, "verified", facts->has_certificate);
    add_common_name(json, client);
    json_close(json, '}');
}

static void add_client(struct json *json, const struct client *client)
{
    const char *username = client_username(client);
    struct address peer = client_peer(client);
    const struct listener_settings *listener = client->listener->settings;
    bool is_web = listener->protocol == SETTINGS_PROTOCOL_WEBSOCKETS;
    struct trust_facts trust;

    trust_describe(client, &trust);
    json_open(json, NULL, '{');
    json_add_text(json, "clientid", client_id(client));
    if (username) {
        json_add_text(json, "username", slice_of_text(username));
    } else {
        json_add_null(json, "username");
    }
    add_address(json, client, &peer);
    add_proxy(json, client);
    add_listener(json, listener);
    json_add_text(json, "protocol", slice_of_text(is_web ? "websockets" : "mqtt"));
    json_add_number(json, "protocol_version", client->version);
    json_add_number(json, "keepalive", client->keep_alive);
    add_time(json, "connected_at", client->connected_at);
    add_tls(json, client, &trust);
    add_known(json, "authority", trust.authority);
    add_known(json, "alpn", trust.alpn);
    json_close(json, '}');
}

/* Pages */

static bool is_complete(const struct roster *roster)
{
    return roster->left == 0 || roster->json.len >= PAGE_SIZE || roster->json.has_failed ||
           roster->worker == server_worker_len(roster->home->server) ||
           atomic_load_explicit(&roster->is_void, memory_order_relaxed);
}

static void write_slice(struct hub *hub, struct roster *roster)
{
    size_t end = roster->json.len + SLICE_SIZE;
    unsigned looks = SLICE_LOOKS;

    for (unsigned i = 0; i < SLICE_LEN && roster->json.len < end && !is_complete(roster);) {
        const struct session *session = session_walk(hub->shard, &roster->place, &looks);
        const struct client *client = session ? session_client(session) : NULL;

        if (!session) {
            break;
        }
        if (client && client->state == CLIENT_READY) {
            add_client(&roster->json, client);
            roster->left--;
            i++;
        }
    }
    if (roster->place.is_over) {
        roster->place = (struct table_place){0};
        roster->worker++;
    }
}

static void finish(struct roster *roster)
{
    struct json *json = &roster->json;
    char cursor[CURSOR_LEN + 1];

    json_close(json, ']');
    if (roster->worker == server_worker_len(roster->home->server)) {
        json_add_null(json, "cursor");
    } else {
        snprintf(cursor, sizeof(cursor), "%02x%016" PRIx64 "%08" PRIx32, roster->worker,
                 roster->place.at, roster->place.met);
        json_add_text(json, "cursor", slice_of_text(cursor));
    }
    json_close(json, '}');
}

static void hand_on(struct roster *roster, const struct hub *from, struct hub *to)
{
    const struct post *post = &to->shard->post;

    if (to == from) {
        list_push(&to->rosters.here, &roster->link);
        return;
    }
    mpsc_push(&to->rosters.posted, &roster->node);
    post->ops->wake(post->context);
}

static void come_back(struct hub *hub, struct roster *roster)
{
    struct client *client = roster->asker;

    assert(roster->home == hub);
    hub->rosters.asked_len--;
    if (!client) {
        roster_free(roster);
        return;
    }
    roster->is_back = true;
    if (client->state == CLIENT_LOGIN) {
        finish(roster);
        web_go_on(client);
    }
}

void roster_go_on(struct hub *hub)
{
    struct list_link *link;
    struct roster *roster;

    fetch(&hub->rosters);
    link = list_pop(&hub->rosters.here);
    if (!link) {
        return;
    }
    roster = CONTAINER_OF(link, struct roster, link);
    if (!is_complete(roster)) {
        write_slice(hub, roster);
    }
    if (!is_complete(roster)) {
        hand_on(roster, hub, server_hub(hub->server, roster->worker));
    } else if (roster->home != hub) {
        hand_on(roster, hub, roster->home);
    } else {
        come_back(hub, roster);
    }
}

/* Asking */

/* The next "NAME=VALUE". False: there is none. */
static bool take_parameter(struct slice *query, struct slice *name_out, struct slice *value_out)
{
    const uint8_t *end = query->len ? memchr(query->data, '&', query->len) : NULL;
    struct slice pair = slice_of(query->data, end ? (size_t)(end - query->data) : query->len);
    const uint8_t *equals = pair.len ? memchr(pair.data, '=', pair.len) : NULL;
    size_t name_len = equals ? (size_t)(equals - pair.data) : pair.len;

    if (query->len == 0) {
        return false;
    }
    *query = slice_skip(*query, pair.len + (end ? 1 : 0));
    *name_out = slice_of(pair.data, name_len);
    *value_out = slice_skip(pair, MIN(name_len + 1, pair.len));
    return true;
}

static bool read_limit(struct slice text, struct roster *roster)
{
    unsigned limit = 0;

    for (size_t i = 0; i < text.len && limit <= LIMIT_MAX; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        limit = limit * 10 + (unsigned)(text.data[i] - '0');
    }
    roster->left = limit;
    return limit > 0 && limit <= LIMIT_MAX;
}

static bool read_hex(const uint8_t *digits, unsigned len, uint64_t *number_out)
{
    *number_out = 0;
    for (unsigned i = 0; i < len; i++) {
        int digit = text_hex_digit(digits[i]);

        if (digit < 0) {
            return false;
        }
        *number_out = *number_out << 4 | (uint64_t)digit;
    }
    return true;
}

static bool read_cursor(struct slice text, struct roster *roster)
{
    uint64_t worker;
    uint64_t met;

    if (text.len != CURSOR_LEN || !read_hex(text.data, 2, &worker) ||
        !read_hex(text.data + 2, 16, &roster->place.at) || !read_hex(text.data + 18, 8, &met)) {
        return false;
    }
    roster->worker = (unsigned)worker;
    roster->place.met = (uint32_t)met;
    return worker < server_worker_len(roster->home->server);
}

/* NULL: it is right; else what is wrong with it. */
static const char *read_query(struct roster *roster, struct slice query)
{
    static const struct {
        const char *name;
        bool (*read)(struct slice text, struct roster *roster);
        const char *complaint;
    } rows[] = {
        {"limit",  read_limit,  "limit is a number from 1 to 1000\n"      },
        {"cursor", read_cursor, "cursor is not one of an earlier answer\n"},
    };
    bool was_given[ARRAY_LEN(rows)] = {false};
    struct slice name;
    struct slice value;

    while (take_parameter(&query, &name, &value)) {
        size_t row = 0;

        while (row < ARRAY_LEN(rows) && !slice_is_equal(name, slice_of_text(rows[row].name))) {
            row++;
        }
        if (row == ARRAY_LEN(rows) || was_given[row]) {
            return "there are the parameters limit and cursor, each once\n";
        }
        was_given[row] = true;
        if (!rows[row].read(value, roster)) {
            return rows[row].complaint;
        }
    }
    return NULL;
}

int roster_ask(struct client *client, struct slice query, const char **complaint_out)
{
    struct hub *hub = client->hub;
    struct roster *roster;

    assert(client->is_web && !client->is_listing);
    if (hub->rosters.asked_len == ASKED_MAX) {
        return ROSTER_FULL;
    }
    roster = memory_alloc_zero(1, sizeof(*roster));
    if (!roster) {
        return -ENOMEM;
    }
    list_init(&roster->link);
    roster->home = hub;
    roster->asker = client;
    roster->left = LIMIT_DEFAULT;
    *complaint_out = read_query(roster, query);
    if (*complaint_out) {
        roster_free(roster);
        return ROSTER_WRONG;
    }
    json_open(&roster->json, NULL, '{');
    json_open(&roster->json, "clients", '[');
    hub->rosters.asked_len++;
    client->facts->roster = roster;
    client->is_listing = true;
    hand_on(roster, hub, server_hub(hub->server, roster->worker));
    return ROSTER_ASKED;
}

char *roster_take(struct client *client)
{
    struct roster *roster = TAKE(client->facts->roster);
    char *text;

    assert(client->is_listing && roster->is_back);
    client->is_listing = false;
    text = json_take(&roster->json);
    roster_free(roster);
    return text;
}

void roster_leave(struct client *client)
{
    struct roster *roster;

    if (!client->is_listing) {
        return;
    }
    roster = TAKE(client->facts->roster);
    client->is_listing = false;
    if (roster->is_back) {
        roster_free(roster);
    } else {
        roster->asker = NULL;
        atomic_store_explicit(&roster->is_void, true, memory_order_relaxed);
    }
}
