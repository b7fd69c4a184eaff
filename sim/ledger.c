#include "sim/ledger.h"

#include "core/session.h"
#include "core/shard.h"
#include "sim/fail.h"
#include "sim/model.h"
#include "sim/store.h"

#include <stdlib.h>

/*
 * A queue holds what is not over, and, above QoS 0, what is over behind something that is not: so
 * packet ids follow from the place, as core/store.h says.
 */

#define ID_LEN    65535u
#define GROUP_CAP 64

struct row {
    uint32_t message;
    uint32_t group; /* 0: none */
    uint8_t qos;
    bool is_over;
};

struct queue {
    struct row *rows;
    unsigned len;
    unsigned cap;
    uint32_t first; /* running number of the first above QoS 0 */
};

static struct {
    struct queue queues[MODEL_ACTOR_CAP];
    char *groups[GROUP_CAP]; /* names */
    unsigned group_len;
    uint16_t handed_on[GROUP_CAP][WIRE_MESSAGE_CAP]; /* of each group: without a session */
} self;

void ledger_start(void)
{
    memset(&self, 0, sizeof(self));
}

void ledger_end(void)
{
    for (unsigned i = 0; i < MODEL_ACTOR_CAP; i++) {
        free(self.queues[i].rows);
    }
    for (unsigned i = 0; i < self.group_len; i++) {
        free(self.groups[i]);
    }
}

/* From 1 on; 0 is none. */
static uint32_t group_number(struct slice name)
{
    if (name.len == 0) {
        return 0;
    }
    for (unsigned i = 0; i < self.group_len; i++) {
        if (slice_is_equal(slice_of_text(self.groups[i]), name)) {
            return i + 1;
        }
    }
    assert(self.group_len + 1 < GROUP_CAP);
    self.groups[self.group_len] = calloc(1, name.len + 1);
    assert(self.groups[self.group_len]);
    memcpy(self.groups[self.group_len], name.data, name.len);
    return ++self.group_len;
}

/* A queue's rows */

static void remove_row(struct queue *queue, unsigned at)
{
    queue->len--;
    memmove(&queue->rows[at], &queue->rows[at + 1], (queue->len - at) * sizeof(struct row));
}

/* The place of the n-th row above QoS 0; `len`: there is none. */
static unsigned ranked(const struct queue *queue, uint32_t n)
{
    unsigned at = 0;

    while (at < queue->len && (queue->rows[at].qos == 0 || n-- > 0)) {
        at++;
    }
    return at;
}

static unsigned by_id(const struct queue *queue, uint16_t packet_id)
{
    unsigned at = ranked(queue, (packet_id + ID_LEN - 1 - queue->first % ID_LEN) % ID_LEN);

    return at < queue->len && !queue->rows[at].is_over ? at : queue->len;
}

static unsigned oldest_plain(const struct queue *queue)
{
    unsigned at = 0;

    while (at < queue->len && queue->rows[at].qos > 0) {
        at++;
    }
    return at;
}

/* The latest, for what was sent stands before what was not. */
static unsigned latest_of(const struct queue *queue, const struct row *like)
{
    for (unsigned at = queue->len; at-- > 0;) {
        const struct row *row = &queue->rows[at];

        if (!row->is_over && row->message == like->message && row->group == like->group &&
            row->qos == like->qos) {
            return at;
        }
    }
    return queue->len;
}

static void pop_over(struct queue *queue)
{
    unsigned at = ranked(queue, 0);

    while (at < queue->len && queue->rows[at].is_over) {
        remove_row(queue, at);
        queue->first++;
        at = ranked(queue, 0);
    }
}

/* Comparing */

struct comparison {
    const struct queue *queue;
    unsigned at;
    unsigned actor;
};

static void compare_one(void *context, const struct delivery *delivery)
{
    struct comparison *comparison = context;
    const struct queue *queue = comparison->queue;

    while (comparison->at < queue->len && queue->rows[comparison->at].is_over) {
        comparison->at++;
    }
    if (comparison->at == queue->len) {
        sim_fail("client %u has deliveries that the store does not have", comparison->actor);
    }
    if (queue->rows[comparison->at].qos != delivery->qos ||
        (delivery->message &&
         queue->rows[comparison->at].message != sim_store_message(delivery->message))) {
        sim_fail("client %u has other deliveries than the store", comparison->actor);
    }
    comparison->at++;
}

static void compare(const struct shard *shard, struct slice client_id, unsigned actor)
{
    struct comparison comparison = {&self.queues[actor], 0, actor};
    struct table_link *link =
        table_find(&shard->sessions, hash_bytes(&shard->core->key, client_id));
    const struct session *session = CONTAINER_OF(link, struct session, link);

    outbound_each(&session->outbound, compare_one, &comparison);
    while (comparison.at < comparison.queue->len && comparison.queue->rows[comparison.at].is_over) {
        comparison.at++;
    }
    if (comparison.at < comparison.queue->len) {
        sim_fail("the store has deliveries that client %u has not: message %u", actor,
                 comparison.queue->rows[comparison.at].message);
    }
}

/* Records */

/* A message without a number is told from no other. */
static void take_from_group(uint32_t group, uint32_t message)
{
    if (message == WIRE_NO_MESSAGE) {
        return;
    }
    if (self.handed_on[group][message] == 0) {
        sim_fail("message %u is handed on, and was nobody's in between", message);
    }
    self.handed_on[group][message]--;
}

static void give_to_group(struct queue *queue, const struct row *row)
{
    unsigned at = latest_of(queue, row);

    if (at < queue->len) {
        remove_row(queue, at);
    }
    if (row->message != WIRE_NO_MESSAGE) {
        self.handed_on[row->group][row->message]++;
    }
}

static void add(struct queue *queue, const struct row *row)
{
    if (queue->len == queue->cap) {
        unsigned cap = queue->cap ? queue->cap * 2 : 16;
        struct row *rows = realloc(queue->rows, cap * sizeof(*rows));

        if (!rows) {
            sim_fail("out of memory");
        }
        queue->rows = rows;
        queue->cap = cap;
    }
    queue->rows[queue->len++] = *row;
}

static void end_delivery(struct queue *queue, const struct store_record *record, unsigned actor)
{
    unsigned at = record->packet_id ? by_id(queue, record->packet_id) : oldest_plain(queue);

    if (at == queue->len) {
        sim_fail("the store has no delivery %u of client %u that could be over", record->packet_id,
                 actor);
    }
    if (record->kind == STORE_DROPPED) {
        remove_row(queue, at);
    } else {
        queue->rows[at].is_over = true;
        pop_over(queue);
    }
}

void ledger_put(const struct shard *shard, const struct store_record *record, uint32_t message)
{
    unsigned actor = record->client_id.len > 0 ? sim_store_actor(record->client_id) : 0;
    struct queue *queue = &self.queues[actor];
    struct row row = {message, group_number(record->group), record->qos, false};

    switch (record->kind) {
    case STORE_CONNECTED: compare(shard, record->client_id, actor); break;
    case STORE_ENDED:
        queue->len = 0;
        queue->first = 0;
        break;
    case STORE_DELIVERY:
        if (record->is_handed_on) {
            take_from_group(row.group, message);
        }
        add(queue, &row);
        break;
    case STORE_DELIVERED:
    case STORE_DROPPED: end_delivery(queue, record, actor); break;
    case STORE_HANDED_ON: give_to_group(queue, &row); break;
    case STORE_UNSHARED: take_from_group(row.group, message); break;
    default: break;
    }
}
