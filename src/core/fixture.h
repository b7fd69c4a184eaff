#pragma once

/*
 * Fixture of the core's tests
 *
 * A core with one to three workers on one thread. The fixture is the mailbox between them, the
 * clock, and the peer behind every session: a peer that keeps what it was sent. What it allocates
 * never fails, so that memory_fail_after() counts the core's allocations alone.
 */

#include "base/test.h"
#include "core/replay.h"
#include "core/session.h"
#include "core/shard.h"
#include "core/ticket.h"

#include <stdio.h>

#define FIXTURE_WORKER_CAP 3
#define FIXTURE_BUDGET     1000

/* Of all sessions, those in groups as well. */
static inline UNUSED uint64_t fixture_subscriptions(const struct core *core)
{
    return core_count(core, METRIC_SUBSCRIPTIONS) + core_count(core, METRIC_SHARED_SUBSCRIPTIONS);
}

/* Random numbers that are the same in every run. */
static inline UNUSED uint32_t fixture_random(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % below;
}

struct fixture_entry {
    enum post_kind kind;
    unsigned to;
    void *object;
    uint32_t node;
    uint64_t changes;
};

struct fixture_queue {
    struct fixture_entry *entries;
    size_t at;
    size_t len;
    size_t cap;
};

struct fixture;

struct fixture_worker {
    struct fixture *fixture;
    struct shard *shard;
    struct fixture_queue pending; /* posted, not pushed */
    struct fixture_queue mailbox;
    unsigned worker;
    unsigned pending_to_self;
};

struct fixture {
    struct core *core;
    struct fixture_worker workers[FIXTURE_WORKER_CAP];
    struct client *clients;
    uint64_t now_ms;
    bool refuses_room;
    bool is_never_quiet;
};

/* One packet that a peer was sent. Payloads of tests are the bytes of a number. */
struct sent {
    struct delivery_head head;
    uint32_t number;
    size_t properties_len;
    bool is_pubrel;
    char topic[40];
};

/* The peer of a session. */
struct client {
    struct client *next;
    struct fixture *fixture;
    struct session *session;
    struct sent *sent;
    size_t sent_len;
    size_t sent_cap;
    size_t pending;            /* what it says that waits in its output */
    enum peer_verdict verdict; /* what it answers */
    enum mqtt_reason reason;   /* why it was ended */
    unsigned worker;
    unsigned overflows; /* how often its queue was full */
    bool is_ended;
    bool writes_early; /* has room again in the middle of a PUBLISH */
    char id[24];
};

/* The mailbox */

static inline void fixture_queue_push(struct fixture_queue *queue, struct fixture_entry entry)
{
    if (queue->len == queue->cap) {
        size_t cap = queue->cap ? queue->cap * 2 : 16;
        struct fixture_entry *entries = memory_must_alloc(cap * sizeof(*entries));

        if (queue->len) {
            memcpy(entries, queue->entries, queue->len * sizeof(*entries));
        }
        memory_free(queue->entries);
        queue->entries = entries;
        queue->cap = cap;
    }
    queue->entries[queue->len++] = entry;
}

static inline bool fixture_queue_take(struct fixture_queue *queue, struct fixture_entry *entry_out)
{
    if (queue->at == queue->len) {
        queue->at = queue->len = 0;
        return false;
    }
    *entry_out = queue->entries[queue->at++];
    return true;
}

static inline UNUSED size_t fixture_queue_len(const struct fixture_queue *queue)
{
    return queue->len - queue->at;
}

static inline int fixture_reserve(void *context)
{
    const struct fixture_worker *worker = context;

    return worker->fixture->refuses_room ? -ENOMEM : 0;
}

static inline void fixture_entry(void *context, unsigned to, struct post_entry entry)
{
    struct fixture_worker *worker = context;

    assert_true(entry.size > 0 && to < worker->fixture->core->worker_len);
    worker->pending_to_self += to == worker->worker;
    fixture_queue_push(&worker->pending,
                       (struct fixture_entry){(enum post_kind)entry.kind, to, entry.object,
                                              entry.node, worker->shard->changes});
}

static inline void fixture_push(void *context)
{
    struct fixture_worker *worker = context;
    struct fixture_entry entry;

    while (fixture_queue_take(&worker->pending, &entry)) {
        /* No replay may send what does not stand in every mailbox. */
        assert_false(entry.kind == POST_MESSAGE && message_is_posted(entry.object));
        assert_false(entry.kind == POST_TICKET &&
                     message_is_posted(((struct ticket *)entry.object)->message));
        fixture_queue_push(&worker->fixture->workers[entry.to].mailbox, entry);
    }
    worker->pending_to_self = 0;
}

static inline bool fixture_is_quiet(void *context)
{
    const struct fixture_worker *worker = context;

    return !worker->fixture->is_never_quiet && fixture_queue_len(&worker->mailbox) == 0 &&
           worker->pending_to_self == 0;
}

/* Nobody sleeps. */
static inline void fixture_wake(void *context)
{
    (void)context;
}

static inline const struct post_ops *fixture_post_ops(void)
{
    static const struct post_ops ops = {
        .reserve = fixture_reserve,
        .entry = fixture_entry,
        .push = fixture_push,
        .is_quiet = fixture_is_quiet,
        .wake = fixture_wake,
    };

    return &ops;
}

/* Peers */

static inline struct sent *fixture_new_sent(struct client *client)
{
    if (client->sent_len == client->sent_cap) {
        size_t cap = client->sent_cap ? client->sent_cap * 2 : 4;
        struct sent *sent = memory_must_alloc(cap * sizeof(*sent));

        if (client->sent_len) {
            memcpy(sent, client->sent, client->sent_len * sizeof(*sent));
        }
        memory_free(client->sent);
        client->sent = sent;
        client->sent_cap = cap;
    }
    client->sent[client->sent_len] = (struct sent){.number = 0};
    return &client->sent[client->sent_len++];
}

static inline enum peer_verdict fixture_on_publish(struct client *client,
                                                   struct publication *publication,
                                                   const struct delivery_head *head)
{
    struct slice payload = publication->parts.payload;
    struct slice topic = publication->parts.topic;
    struct sent *sent;

    assert_false(client->is_ended);
    assert_int_equal(head->packet_id == 0, head->qos == 0);
    if (client->verdict != PEER_SENT) {
        return client->verdict;
    }
    sent = fixture_new_sent(client);
    sent->head = *head;
    sent->properties_len = publication->parts.properties.len;
    memcpy(&sent->number, payload.data, MIN(payload.len, sizeof(sent->number)));
    memcpy(sent->topic, topic.data, MIN(topic.len, sizeof(sent->topic) - 1));
    if (client->writes_early) {
        session_on_room(client->fixture->workers[client->worker].shard, client->session);
    }
    return PEER_SENT;
}

static inline void fixture_on_pubrel(struct client *client, uint16_t packet_id)
{
    struct sent *sent = fixture_new_sent(client);

    assert_false(client->is_ended);
    sent->is_pubrel = true;
    sent->head.packet_id = packet_id;
}

static inline size_t fixture_pending(const struct client *client)
{
    return client->pending;
}

static inline void fixture_on_overflow(struct client *client)
{
    assert_false(client->is_ended);
    client->overflows++;
}

static inline void fixture_on_end(struct client *client, enum mqtt_reason reason)
{
    assert_false(client->is_ended);
    client->is_ended = true;
    client->reason = reason;
    client->session = NULL;
}

static inline const struct peer_ops *fixture_peer_ops(void)
{
    static const struct peer_ops ops = {
        .publish = fixture_on_publish,
        .pubrel = fixture_on_pubrel,
        .pending = fixture_pending,
        .overflow = fixture_on_overflow,
        .end = fixture_on_end,
    };

    return &ops;
}

/* Workers */

/* From here on the thread is this worker. */
static inline struct shard *fixture_enter(struct fixture *fixture, unsigned worker)
{
    struct shard *shard = fixture->workers[worker].shard;

    owner_self = &shard->owner;
    return shard;
}

static inline struct fixture *fixture_new(unsigned worker_len, const struct core_limits *limits)
{
    struct core_limits usual = {
        .delivery_budget = FIXTURE_BUDGET, .at_once = 64, .cleanup_budget = 100};
    struct fixture *fixture = memory_must_alloc_zero(1, sizeof(*fixture));
    struct hash_key key;

    assert_true(worker_len <= FIXTURE_WORKER_CAP);
    hash_key_make(&key, 7);
    fixture->now_ms = 10000;
    assert_int_equal(core_new(&key, worker_len, limits ? limits : &usual, &fixture->core), 0);
    for (unsigned i = 0; i < worker_len; i++) {
        struct fixture_worker *worker = &fixture->workers[i];

        worker->fixture = fixture;
        worker->worker = i;
        worker->shard = shard_new(fixture->core, i, fixture_peer_ops());
        shard_set_post(worker->shard, &(struct post){fixture_post_ops(), worker});
    }
    for (unsigned i = 0; i < worker_len; i++) {
        struct shard *shard = fixture_enter(fixture, i);

        rcu_online(&shard->reader);
        shard_begin(shard, fixture->now_ms);
    }
    fixture_enter(fixture, 0);
    return fixture;
}

static inline void fixture_handle(struct shard *shard, const struct fixture_entry *entry)
{
    if (entry->kind == POST_ECHO) {
        replay_on_echo(shard, entry->object);
    } else if (entry->kind == POST_TICKET) {
        shard_on_ticket(shard, entry->object);
    } else if (entry->kind == POST_SHARED) {
        shard_on_shared(shard, entry->object);
    } else {
        assert_int_equal(entry->kind, POST_MESSAGE);
        shard_on_message(shard, entry->object, entry->node, entry->changes);
    }
}

/* Hands over what waits in a worker's mailbox, as far as fan-outs and the budget allow. */
static inline void fixture_drain(struct fixture *fixture, unsigned worker)
{
    struct shard *shard = fixture_enter(fixture, worker);
    struct fixture_entry entry;

    while (!shard_is_in_fanout(shard) && shard->budget > 0 &&
           fixture_queue_take(&fixture->workers[worker].mailbox, &entry)) {
        shard->budget--;
        fixture_handle(shard, &entry);
    }
}

/* One iteration of a worker, its steps in the order of a real one. */
static inline void fixture_iterate(struct fixture *fixture, unsigned worker)
{
    struct shard *shard = fixture_enter(fixture, worker);
    struct wheel_timer *timer;
    unsigned budget = 1000;

    shard_begin(shard, fixture->now_ms);
    fanout_go_on(shard);
    fixture_drain(fixture, worker);
    store_collect(shard);
    shard_share_budget(shard);
    while (shard->budget > 0 && (timer = wheel_pop(&shard->wheel, &budget)) != NULL) {
        assert_int_equal(timer->kind, SHARD_TIMER_SESSION);
        shard_on_timer(shard, timer);
    }
    shard_go_on(shard);
    fixture_push(&fixture->workers[worker]);
    rcu_quiescent(&shard->reader);
    rcu_reclaim(&shard->reader, SIZE_MAX);
}

static inline bool fixture_has_work(const struct fixture *fixture)
{
    for (unsigned i = 0; i < fixture->core->worker_len; i++) {
        const struct fixture_worker *worker = &fixture->workers[i];

        if (fixture_queue_len(&worker->pending) || fixture_queue_len(&worker->mailbox) ||
            shard_has_work(worker->shard) || wheel_has_due(&worker->shard->wheel) ||
            rcu_waiting(&worker->shard->reader)) {
            return true;
        }
    }
    return false;
}

/* Iterates all workers until nothing is left to do. */
static inline void fixture_settle(struct fixture *fixture)
{
    unsigned rounds = 0;

    do {
        for (unsigned i = 0; i < fixture->core->worker_len; i++) {
            fixture_iterate(fixture, i);
        }
        assert_true(++rounds < 100000);
    } while (fixture_has_work(fixture));
}

/* Time passes, a second an iteration. */
static inline UNUSED void fixture_wait(struct fixture *fixture, unsigned ms)
{
    for (; ms > 0; ms -= MIN(ms, 1000u)) {
        fixture->now_ms += MIN(ms, 1000u);
        fixture_settle(fixture);
    }
}

/* Sessions */

static inline struct client *fixture_client(struct fixture *fixture, unsigned worker,
                                            const char *id)
{
    struct client *client = memory_must_alloc_zero(1, sizeof(*client));

    client->fixture = fixture;
    client->worker = worker;
    client->verdict = PEER_SENT;
    snprintf(client->id, sizeof(client->id), "%s", id);
    client->next = fixture->clients;
    fixture->clients = client;
    return client;
}

/* Connects a new peer of worker 0, or of the one set in `worker`; answers session_connect()'s. */
static inline int fixture_connect(struct client *client, const struct session_request *request)
{
    struct shard *shard = fixture_enter(client->fixture, client->worker);
    struct session_request whole = *request;
    int r;

    whole.client_id = slice_of_text(client->id);
    r = session_connect(shard, client, &whole, &client->session);
    if (r == SESSION_CREATED || r == SESSION_RESUMED) {
        session_start(shard, client->session);
    }
    return r;
}

/* A client with a session that ends with its connection. */
static inline UNUSED struct client *fixture_connected(struct fixture *fixture, unsigned worker,
                                                      const char *id)
{
    struct client *client = fixture_client(fixture, worker, id);
    struct session_request request = {.clean_start = true};

    assert_int_equal(fixture_connect(client, &request), SESSION_CREATED);
    return client;
}

static inline UNUSED void fixture_disconnect(struct client *client, enum session_leave how)
{
    struct shard *shard = fixture_enter(client->fixture, client->worker);

    session_disconnect(shard, TAKE(client->session), how);
    client->is_ended = true;
}

/* As SUBSCRIBE does, with values replayed unless `silent`. */
static inline UNUSED int fixture_subscribe_with(struct client *client, const char *filter,
                                                uint8_t options, uint32_t identifier, bool silent)
{
    struct shard *shard = fixture_enter(client->fixture, client->worker);
    struct subscribed subscribed;
    struct replay_request request = {
        .filter = slice_of_text(filter),
        .identifier = identifier,
        .options = options,
        .silent = silent,
    };
    int r =
        router_subscribe(shard, request.filter, NULL,
                         (struct subscriber){client->session, identifier, options}, &subscribed);

    if (r < 0) {
        return r;
    }
    request.node = subscribed.node;
    request.replaced = subscribed.replaced;
    return replay_start(shard, client->session, &request);
}

static inline UNUSED void fixture_subscribe(struct client *client, const char *filter,
                                            uint8_t options)
{
    assert_int_equal(fixture_subscribe_with(client, filter, options, 0, false), 0);
}

static inline UNUSED bool fixture_unsubscribe(struct client *client, const char *filter)
{
    struct shard *shard = fixture_enter(client->fixture, client->worker);
    uint32_t node;

    if (!router_unsubscribe(shard, client->session, slice_of_text(filter), &node)) {
        return false;
    }
    replay_stop(shard, client->session, node);
    return true;
}

/* Publishing */

/* A publication whose payload is the number; nothing with 0. Borrows topic and number. */
static inline struct publication fixture_publication(const struct shard *shard, const char *topic,
                                                     const uint32_t *number)
{
    struct publication publication = {
        .parts =
            {
                    .topic = slice_of_text(topic),
                    .payload = slice_of(number, *number ? sizeof(*number) : 0),
                    .expires_at = MESSAGE_NEVER,
                    },
        .topic_hash = shard_topic_hash(shard, slice_of_text(topic)),
    };

    publication.parts.topic_hash = (uint32_t)publication.topic_hash;
    return publication;
}

static inline struct message *fixture_message(const char *topic, uint32_t number, uint8_t qos,
                                              bool retain)
{
    struct message_parts parts = {
        .topic = slice_of_text(topic),
        .payload = slice_of(&number, number ? sizeof(number) : 0),
        .expires_at = MESSAGE_NEVER,
        .qos = qos,
        .retain = retain,
    };
    struct message *message;

    assert_int_equal(message_new(&parts, &message), 0);
    return message;
}

/* Publishes from a worker, which asks its match cache before, as a client does; answers
 * shard_publish()'s. */
static inline UNUSED int fixture_publish(struct fixture *fixture, unsigned worker,
                                         const char *topic, uint32_t number, uint8_t qos)
{
    struct shard *shard = fixture_enter(fixture, worker);
    struct publication publication = fixture_publication(shard, topic, &number);
    struct match_found found;
    int r;

    publication.parts.qos = qos;
    if (match_cached(shard, publication.parts.topic, publication.topic_hash, &found)) {
        publication.found = &found;
    }
    r = shard_publish(shard, &publication);
    publication_deinit(&publication);
    return r;
}

static inline UNUSED int fixture_retain(struct fixture *fixture, unsigned worker, const char *topic,
                                        uint32_t number, uint8_t qos)
{
    struct shard *shard = fixture_enter(fixture, worker);
    struct publication publication = fixture_publication(shard, topic, &number);
    int r;

    publication.parts.qos = qos;
    publication.parts.retain = true;
    r = shard_publish(shard, &publication);
    publication_deinit(&publication);
    return r;
}

/* What was sent */

/*
 * A packet as text: its number, then what is not usual: `q` and QoS, `@` and packet id, `s` and
 * subscription identifier, `r` retained, `d` a repeat. PUBREL is `rel`.
 */
static inline size_t fixture_format(const struct sent *sent, char *text, size_t cap)
{
    char qos[8] = "";
    char packet_id[8] = "";
    char identifier[16] = "";

    if (sent->is_pubrel) {
        return (size_t)snprintf(text, cap, "rel@%u", sent->head.packet_id);
    }
    if (sent->head.qos) {
        snprintf(qos, sizeof(qos), "q%u", sent->head.qos);
        snprintf(packet_id, sizeof(packet_id), "@%u", sent->head.packet_id);
    }
    if (sent->head.identifier) {
        snprintf(identifier, sizeof(identifier), "s%u", sent->head.identifier);
    }
    return (size_t)snprintf(text, cap, "%u%s%s%s%s%s", sent->number, qos, packet_id, identifier,
                            sent->head.retain ? "r" : "", sent->head.dup ? "d" : "");
}

/* All that the client was sent since the last time is this: packets with a space between. */
static inline UNUSED void fixture_expect(struct client *client, const char *expected)
{
    char text[4096] = "";
    size_t len = 0;

    for (size_t i = 0; i < client->sent_len; i++) {
        if (i > 0) {
            text[len++] = ' ';
        }
        len += fixture_format(&client->sent[i], text + len, sizeof(text) - len);
        assert_true(len < sizeof(text) - 1);
    }
    assert_string_equal(text, expected);
    client->sent_len = 0;
}

/* How often the client was sent this number. */
static inline UNUSED unsigned fixture_count(const struct client *client, uint32_t number)
{
    unsigned count = 0;

    for (size_t i = 0; i < client->sent_len; i++) {
        count += client->sent[i].number == number;
    }
    return count;
}

/* The end */

static inline void fixture_drop_mail(struct fixture *fixture, unsigned worker)
{
    struct shard *shard = fixture_enter(fixture, worker);
    struct fixture_entry entry;

    while (fixture_queue_take(&fixture->workers[worker].mailbox, &entry)) {
        if (entry.kind == POST_ECHO) {
            replay_on_echo(shard, entry.object);
        } else if (entry.kind == POST_TICKET) {
            shard_drop_ticket(shard, entry.object);
        } else if (entry.kind == POST_SHARED) {
            shard_drop_shared(shard, entry.object);
        } else {
            message_unref(entry.object);
        }
    }
}

static inline void fixture_drop_clients(struct fixture *fixture)
{
    while (fixture->clients) {
        struct client *client = fixture->clients;

        if (client->session) {
            fixture_disconnect(client, SESSION_LEAVE_QUIETLY);
        }
        fixture->clients = client->next;
        memory_free(client->sent);
        memory_free(client);
    }
}

/* Ends everything in the order of core/shard.h; nothing may be left. */
static inline struct fixture *fixture_free(struct fixture *fixture)
{
    struct core *core = fixture->core;

    fixture_drop_clients(fixture);
    for (unsigned i = 0; i < core->worker_len; i++) {
        shard_clear(fixture_enter(fixture, i));
    }
    core_clear(core);
    assert_int_equal(tree_len(core->router.tree), 0);
    assert_int_equal(tree_len(core->retained.tree), 0);
    assert_int_equal(fixture_subscriptions(core), 0);
    assert_int_equal(core->router.share_len, 0);
    assert_int_equal(core_count(core, METRIC_RETAINED), 0);
    for (unsigned i = 0; i < core->worker_len; i++) {
        struct shard *shard = fixture_enter(fixture, i);

        rcu_offline(&shard->reader);
        shard_flush(shard);
    }
    for (unsigned i = 0; i < core->worker_len; i++) {
        fixture_enter(fixture, i);
        fixture_push(&fixture->workers[i]);
    }
    for (unsigned i = 0; i < core->worker_len; i++) {
        struct fixture_worker *worker = &fixture->workers[i];

        fixture_drop_mail(fixture, i);
        assert_int_equal(worker->shard->echo_len, 0);
        memory_free(worker->pending.entries);
        memory_free(worker->mailbox.entries);
    }
    for (unsigned i = 0; i < core->worker_len; i++) {
        shard_free(fixture->workers[i].shard);
    }
    owner_self = NULL;
    core_free(core);
    return memory_free(fixture);
}
