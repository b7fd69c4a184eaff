#include "client/acks.h"

#include "base/memory.h"
#include "client/client.h"
#include "client/hub.h"
#include "client/trace.h"
#include "core/keep.h"

/*
 * The halves of the handshakes, and the queue of acknowledgements that wait for the store.
 *
 * Without a store an acknowledgement goes into the output at once. With one it waits until what it
 * promises is kept, and behind those of the packets before it. What waits outlives its client, for
 * the store and other workers hold on to it; whoever comes back for it meanwhile finds it.
 *
 * A client that publishes faster than the store commits is not read while too much waits: as with a
 * mailbox that is over its mark.
 */

/* An acknowledgement weighs 1, and 1 more for so much payload. */
#define WEIGHT_SIZE 16384u

/* Not read from so much on, and read again below half of it. */
#define WEIGHT_MAX 1024u

/* Owner: its client's worker. */
struct ack {
    struct ticket ticket;   /* first member */
    struct list_link link;  /* in the ring of its client's, oldest first */
    struct table_link open; /* of a PUBREC: in the hub's table, until its wait is over */
    struct hub *hub;
    struct client *client;   /* NULL: it has gone */
    struct session *session; /* pinned while the wait is open; NULL: none */
    uint32_t code_len;
    uint32_t weight;
    uint16_t packet_id;
    uint8_t type;
    uint8_t reason;
    bool is_over;
    uint8_t codes[]; /* of SUBACK and UNSUBACK */
};

struct ticket *ack_ticket(struct ack *ack)
{
    return ack ? &ack->ticket : NULL;
}

/* The client has facts. */
static void ring_push(struct client *client, struct ack *ack)
{
    struct ack *oldest = client->facts->acks;

    ack->client = client;
    client->facts->ack_weight += ack->weight;
    if (oldest) {
        list_push(&oldest->link, &ack->link);
    } else {
        client->facts->acks = ack;
    }
}

static void ring_remove(struct client *client, struct ack *ack)
{
    struct list_link *next = ack->link.next;

    if (ack == client_acks(client)) {
        client->facts->acks = next == &ack->link ? NULL : CONTAINER_OF(next, struct ack, link);
    }
    list_remove(&ack->link);
    ack->client = NULL;
    client->facts->ack_weight -= ack->weight;
}

/* The oldest one is taken out. */
static struct ack *ring_pop(struct client *client)
{
    struct ack *oldest = client_acks(client);

    ring_remove(client, oldest);
    return oldest;
}

static uint32_t ack_weight(const struct client *client)
{
    return client->facts ? client->facts->ack_weight : 0;
}

void client_pause_if_unkept(struct client *client)
{
    if (client->state == CLIENT_READY && !client->is_unkept && ack_weight(client) >= WEIGHT_MAX) {
        client->is_unkept = true;
        client_update_interest(client);
    }
}

/* The time in which it was not read does not count as silence. */
static void go_on_if_kept(struct client *client)
{
    if (client->is_unkept && ack_weight(client) < WEIGHT_MAX / 2) {
        client->is_unkept = false;
        client->last_seen = shard_now(client->hub->shard);
        client_update_interest(client);
    }
}

static void send_one(struct client *client, const struct ack *ack)
{
    switch (ack->type) {
    case MQTT_CONNACK: client_welcome(client); break;
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        client_send_codes(client, (enum mqtt_packet_type)ack->type, ack->packet_id,
                          slice_of(ack->codes, ack->code_len));
        break;
    default:
        client_send_ack(client, (enum mqtt_packet_type)ack->type, ack->packet_id,
                        (enum mqtt_reason)ack->reason);
        break;
    }
}

static void send_ready(struct client *client)
{
    while (client_acks(client) && client_acks(client)->is_over) {
        struct ack *ack = ring_pop(client);

        send_one(client, ack);
        memory_free(ack);
    }
    go_on_if_kept(client);
}

static void on_kept(struct store_wait *wait)
{
    struct ack *ack = CONTAINER_OF(wait, struct ack, ticket.wait);
    struct client *client = ack->client;

    if (ack->type == MQTT_PUBREC) {
        table_remove(&ack->hub->open_pubrecs, &ack->open);
    }
    if (ack->session) {
        session_unpin(TAKE(ack->session));
    }
    ack->is_over = true;
    if (!client) {
        memory_free(ack);
    } else if (wait->is_kept) {
        send_ready(client);
    } else {
        client_fail_unkept(client);
    }
}

void client_drop_acks(struct client *client)
{
    while (client_acks(client)) {
        struct ack *ack = ring_pop(client);

        if (ack->is_over) {
            memory_free(ack);
        }
    }
}

static struct ack *ack_new(struct client *client, enum mqtt_packet_type type, uint16_t packet_id,
                           struct slice codes)
{
    struct ack *ack =
        client_need_facts(client) ? memory_alloc_zero(1, sizeof(*ack) + codes.len) : NULL;

    if (!ack) {
        return NULL;
    }
    list_init(&ack->link);
    ack->hub = client->hub;
    ack->weight = 1;
    ack->type = (uint8_t)type;
    ack->packet_id = packet_id;
    ack->code_len = (uint32_t)codes.len;
    if (codes.len) {
        memcpy(ack->codes, codes.data, codes.len);
    }
    ring_push(client, ack);
    return ack;
}

static void begin_wait(struct client *client, struct ack *ack)
{
    struct hub *hub = client->hub;

    ticket_init(&ack->ticket, hub->shard, on_kept);
    if (client->session) {
        ack->session = client->session;
        session_pin(ack->session);
        ack->ticket.is_from_durable = client->session->expiry_interval != 0;
    }
}

static uint64_t pubrec_hash(const struct client *client, uint16_t packet_id)
{
    const void *session = client->session;
    uint8_t bytes[sizeof(session) + sizeof(packet_id)];

    memcpy(bytes, &session, sizeof(session));
    memcpy(bytes + sizeof(session), &packet_id, sizeof(packet_id));
    return hash_bytes(&client->hub->shard->core->key, slice_of(bytes, sizeof(bytes)));
}

int client_begin_ack(struct client *client, enum mqtt_packet_type type, uint16_t packet_id,
                     size_t size, struct ack **ack_out)
{
    struct ack *ack;

    *ack_out = NULL;
    if (!store_keeps(&client->hub->shard->store)) {
        return 0;
    }
    ack = ack_new(client, type, packet_id, slice_of(NULL, 0));
    if (!ack) {
        return -ENOMEM;
    }
    if (type == MQTT_PUBREC &&
        table_add(&client->hub->open_pubrecs, &ack->open, pubrec_hash(client, packet_id)) < 0) {
        ring_remove(client, ack);
        memory_free(ack);
        return -ENOMEM;
    }
    ack->weight += (uint32_t)(size / WEIGHT_SIZE);
    client->facts->ack_weight += ack->weight - 1;
    begin_wait(client, ack);
    *ack_out = ack;
    return 0;
}

void client_end_ack(struct client *client, struct ack *ack, enum mqtt_packet_type type,
                    uint16_t packet_id, enum mqtt_reason reason)
{
    if (!ack) {
        client_send_ack(client, type, packet_id, reason);
        return;
    }
    ack->reason = (uint8_t)reason;
    ticket_release(client->hub->shard, &ack->ticket);
}

void client_cancel_ack(struct client *client, struct ack *ack)
{
    ticket_release(client->hub->shard, ack_ticket(ack));
}

bool client_has_ack(struct client *client, uint16_t packet_id)
{
    struct table_link *link =
        table_find(&client->hub->open_pubrecs, pubrec_hash(client, packet_id));

    for (; link; link = table_find_next(link)) {
        struct ack *ack = CONTAINER_OF(link, struct ack, open);

        if (ack->packet_id != packet_id || ack->session != client->session) {
            continue;
        }
        if (!ack->client && client_need_facts(client)) {
            ring_push(client, ack);
        } else if (!ack->client) {
            client_set_failed(client);
        }
        return true;
    }
    return false;
}

/* Whether an acknowledgement of this session must wait: for the store, or for its turn. */
static bool must_wait(const struct client *client)
{
    return store_keeps(&client->hub->shard->store) &&
           (client_acks(client) || client->session->expiry_interval != 0);
}

/* Of a session that is not kept there is nothing to wait for but the others' turn. */
static void queue_ack(struct client *client, struct ack *ack)
{
    if (!ack) {
        client_fail(client, MQTT_QUOTA_EXCEEDED);
    } else if (client->session->expiry_interval == 0) {
        ack->is_over = true;
    } else {
        begin_wait(client, ack);
        ticket_release(client->hub->shard, &ack->ticket);
    }
}

void client_acknowledge(struct client *client, enum mqtt_packet_type type, uint16_t packet_id,
                        enum mqtt_reason reason)
{
    struct ack *ack;

    if (!must_wait(client)) {
        client_send_ack(client, type, packet_id, reason);
        return;
    }
    ack = ack_new(client, type, packet_id, slice_of(NULL, 0));
    if (ack) {
        ack->reason = (uint8_t)reason;
    }
    queue_ack(client, ack);
}

void client_acknowledge_codes(struct client *client, enum mqtt_packet_type type, uint16_t packet_id,
                              struct slice codes)
{
    if (!must_wait(client)) {
        client_send_codes(client, type, packet_id, codes);
        return;
    }
    queue_ack(client, ack_new(client, type, packet_id, codes));
}

/* PUBACK, PUBREC, PUBREL, PUBCOMP: the halves of the handshakes of MQTT 5.0 section 4.3. */

/* The message must not be sent again once the peer has seen PUBREL. */
static void on_pubrec(struct client *client, const struct mqtt_ack *ack)
{
    bool is_error = ack->reason >= MQTT_UNSPECIFIED_ERROR;
    enum ack_verdict verdict =
        session_on_pubrec(client->hub->shard, client->session, ack->packet_id, is_error);

    if (!is_error) {
        client_acknowledge(client, MQTT_PUBREL, ack->packet_id,
                           verdict == ACK_OK ? MQTT_SUCCESS : MQTT_PACKET_ID_NOT_FOUND);
    }
}

/* An identifier that is not held is answered all the same: the PUBCOMP may have been lost. */
static void on_pubrel(struct client *client, const struct mqtt_ack *ack)
{
    bool was_held = inbound_remove(&client->session->inbound, ack->packet_id);

    if (was_held) {
        keep_packet(client->hub->shard, client->session, STORE_RELEASED, ack->packet_id);
    }
    client_acknowledge(client, MQTT_PUBCOMP, ack->packet_id,
                       was_held ? MQTT_SUCCESS : MQTT_PACKET_ID_NOT_FOUND);
}

void client_on_ack(struct client *client, enum mqtt_packet_type type, struct slice body)
{
    struct shard *shard = client->hub->shard;
    UNINITIALIZED struct mqtt_ack ack;
    enum mqtt_reason reason = mqtt_decode_ack(client->version, type, body, &ack);

    if (reason != MQTT_SUCCESS) {
        client_fail(client, reason);
        return;
    }
    trace_received_ack(client, type, &ack);
    /* An acknowledgement of nothing is a late one: harmless, and no error of the peer. */
    switch (type) {
    case MQTT_PUBACK: session_on_puback(shard, client->session, ack.packet_id); break;
    case MQTT_PUBREC: on_pubrec(client, &ack); break;
    case MQTT_PUBREL: on_pubrel(client, &ack); break;
    case MQTT_PUBCOMP: session_on_pubcomp(shard, client->session, ack.packet_id); break;
    default: assert(false);
    }
}
