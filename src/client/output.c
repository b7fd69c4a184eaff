#include "client/aliases.h"
#include "client/client.h"
#include "client/hub.h"
#include "client/image.h"
#include "client/mount.h"
#include "client/rights.h"
#include "client/trace.h"
#include "mqtt/encode.h"
#include "net/socket.h"

#include <string.h>

/*
 * Everything for one peer goes into its output and leaves in one write at the end of the iteration.
 * Past 64 KiB it leaves earlier, and then what this worker has posted is pushed first: no
 * acknowledgement may leave before its message stands in every mailbox. A socket that does not take
 * it all is waited for; until then nothing is written to it.
 *
 * Deliveries to a peer that does not read are bounded by its window and by max_queued_messages. Its
 * own requests are bounded by this: while too many answers lie unread, nothing more is read.
 */

#define EARLY_WRITE (64u * 1024)
#define VECTOR_CAP  64

/* Answers that a peer may leave unread, beyond what the kernel holds for it. */
#define ANSWERS_MAX (1024u * 1024)

/* The front of a PUBLISH without topic and properties: first byte, length, lengths, id, expiry, id.
 */
#define PUBLISH_EXTRA 32

void client_set_failed(struct client *client)
{
    client->has_failed = true;
    if (!list_is_linked(&client->link)) {
        list_push(&client->hub->dirty, &client->link);
    }
}

uint8_t *client_reserve(struct client *client, size_t size)
{
    uint8_t *at = output_reserve(&client->output, &client->hub->pool, size);

    if (!at) {
        client_set_failed(client);
    }
    return at;
}

/* A client that is closing stands in a list already, and is written once more from there. */
static ALWAYS_INLINE void mark_dirty(struct client *client, bool is_reached)
{
    if (client->is_blocked || client->state == CLIENT_CLOSING) {
        return;
    }
    if (!list_is_linked(&client->link)) {
        list_push(&client->hub->dirty, &client->link);
        shard_charge_write(client->hub->shard);
        client->hub->shard->spread.reached_len += is_reached;
    }
    if (output_size(&client->output) > EARLY_WRITE) {
        worker_push(client->hub->worker);
        client_flush(client);
    }
    hub_flush(client->hub);
}

void client_mark_dirty(struct client *client)
{
    mark_dirty(client, false);
}

void client_commit(struct client *client, const uint8_t *end)
{
    uint32_t size = output_commit(&client->output, &client->hub->pool, end, true);

    metrics_count(client->hub->metrics, METRIC_SENT(*(end - size) >> 4));
    client->answer_size += size;
    client_mark_dirty(client);
}

unsigned client_interest(const struct client *client)
{
    return (client_is_stopped(client) ? 0u : POLLER_READ) |
           (client->is_blocked ? POLLER_WRITE : 0u);
}

void client_update_interest(struct client *client)
{
    if (client->state != CLIENT_CLOSING && client->is_polled &&
        poller_change(worker_poller(client->hub->worker), client->fd, client_interest(client),
                      client) < 0) {
        client_set_failed(client);
    }
}

void client_hold_if_unread(struct client *client)
{
    if (client->state == CLIENT_READY && client->is_blocked && !client->is_held &&
        client->answer_size > ANSWERS_MAX) {
        client->is_held = true;
        client_update_interest(client);
    }
}

/* Whether the socket is watched for room changes with `is_blocked`. */
static void set_blocked(struct client *client, bool is_blocked)
{
    if (client->is_blocked == is_blocked) {
        return;
    }
    client->is_blocked = is_blocked;
    client->is_held = client->is_held && (is_blocked || client->is_finishing);
    client_update_interest(client);
}

static void drop_output(struct client *client)
{
    output_deinit(&client->output, &client->hub->pool);
    if (client->is_staged && client_stream(client)) {
        stream_drop(client_stream(client), &client->hub->pool);
    }
}

/* False: the socket takes no more, or is broken. */
static bool write_once(struct client *client, struct output *output)
{
    UNINITIALIZED struct iovec vector[VECTOR_CAP];
    unsigned len = output_vector(output, vector, VECTOR_CAP);
    size_t wanted = 0;
    ssize_t size;

    for (unsigned i = 0; i < len; i++) {
        wanted += vector[i].iov_len;
    }
    size = socket_send(client->fd, vector, len);
    if (size == -ENOMEM || size == -ENOBUFS) {
        /* The connection stands, and the read side would never tell. */
        client_set_failed(client);
        return false;
    }
    if (size < 0 && size != -EAGAIN && size != -EINTR) {
        /* The read side tells the end, in order with what the peer has still sent. */
        client->is_cut = true;
        drop_output(client);
        set_blocked(client, false);
        return false;
    }
    if (size > 0) {
        client->is_told = true;
        metrics_add(client->hub->metrics, METRIC_BYTES_SENT, (uint64_t)size);
        output_consume(output, &client->hub->pool, (size_t)size);
    }
    if (size > 0 && client->is_held) {
        /* Of one that is not read, the keep alive sees that it reads. */
        client->last_seen = shard_now(client->hub->shard);
    }
    if (size < 0 || (size_t)size < wanted) {
        set_blocked(client, true);
        return false;
    }
    return true;
}

/* Output that waits for its CONNACK stays plain, and what the stages say leaves: when it has, there
 * is no use in room in the socket. */
static bool write_sealed(struct client *client)
{
    struct stream *stream = client_stream(client);

    if (!stream || !client_seal(client)) {
        return false;
    }
    if (output_is_empty(stream_wire(stream))) {
        set_blocked(client, false);
        return false;
    }
    return write_once(client, stream_wire(stream));
}

static bool write_some(struct client *client)
{
    if (unlikely(client->is_staged)) {
        return write_sealed(client);
    }
    return !client->is_unwelcome && write_once(client, &client->output);
}

void client_flush(struct client *client)
{
    if (client->state != CLIENT_CLOSING && !client->has_failed) {
        list_remove(&client->link);
    }
    while (client_has_output(client) && write_some(client)) {
    }
    if (!client_has_output(client)) {
        client->answer_size = 0;
        set_blocked(client, false);
        if (client->is_finishing && client->state != CLIENT_CLOSING) {
            client_set_failed(client);
        }
    }
    if (client->session && client->state == CLIENT_READY && !client->is_blocked) {
        session_on_room(client->hub->shard, client->session);
    }
}

void client_welcome(struct client *client)
{
    client->is_unwelcome = false;
    client_mark_dirty(client);
}

/* Packets */

void client_send_ack(struct client *client, enum mqtt_packet_type type, uint16_t packet_id,
                     enum mqtt_reason reason)
{
    struct slice text = client_reason_text(client, reason);
    bool is_told = text.len > 0 && mqtt_told_ack_size(reason, text) <= client_packet_max(client);
    uint8_t *at =
        client_reserve(client, is_told ? mqtt_told_ack_size(reason, text) : MQTT_ACK_SIZE_MAX);
    size_t size;

    trace_sending_ack(client, type, packet_id, reason);
    if (at) {
        size = is_told ? mqtt_encode_told_ack(at, type, packet_id, reason, text)
                       : mqtt_encode_ack(at, client->version, type, packet_id, reason);
        client_commit(client, at + size);
    }
}

struct slice client_server_reference(const struct client *client, enum mqtt_reason reason)
{
    const char *reference = client->hub->settings->drain.server_reference;

    return slice_of_text(
        reference && (reason == MQTT_USE_ANOTHER_SERVER || reason == MQTT_SERVER_MOVED) ? reference
                                                                                        : "");
}

void client_send_disconnect(struct client *client, enum mqtt_reason reason)
{
    struct slice none = slice_of(NULL, 0);
    struct slice text = client_reason_text(client, reason);
    struct slice reference = client_server_reference(client, reason);
    uint8_t *at;

    if (client->version < MQTT_5_0) {
        return;
    }
    if (mqtt_disconnect_size(reason, text, reference) > client_packet_max(client)) {
        text = none;
        reference = none;
    }
    at = client_reserve(client, mqtt_disconnect_size(reason, text, reference));
    if (at) {
        client_commit(client, at + mqtt_encode_disconnect(at, reason, text, reference));
    }
}

/* Deliveries */

/* How a PUBLISH for this peer is laid out. */
struct publish_form {
    struct slice topic; /* empty where the alias stands for it */
    uint32_t expiry;    /* seconds that are left, with has_expiry */
    uint32_t properties_size;
    uint32_t body_size;
    uint16_t alias; /* 0: none */
    bool has_expiry;
};

/* A topic alias as a property. */
#define ALIAS_SIZE 3

/* The end is rounded up, and the worker that took the message may know a later time than this one:
 * but no more is told than came [MQTT-3.3.2-6]. */
static uint32_t seconds_left(const struct client *client, const struct message_parts *parts)
{
    uint64_t ends_ms = (uint64_t)parts->expires_at * 1000;
    uint64_t now_ms = client->hub->shard->now_ms;
    uint64_t left = ends_ms > now_ms + 1000 ? (ends_ms - now_ms) / 1000 : 1;

    if (parts->expires_at == MESSAGE_LATEST) {
        return parts->expiry_interval;
    }
    return (uint32_t)MIN(left, parts->expiry_interval);
}

static void measure_properties(const struct client *client, struct publish_form *form,
                               const struct message_parts *parts, const struct delivery_head *head)
{
    form->properties_size = (uint32_t)parts->properties.len;
    if (parts->expires_at != MESSAGE_NEVER) {
        form->has_expiry = true;
        form->expiry = seconds_left(client, parts);
        form->properties_size += 5;
    }
    if (head->identifier) {
        form->properties_size += 1 + mqtt_variable_size(head->identifier);
    }
    if (form->alias) {
        form->properties_size += ALIAS_SIZE;
    }
}

static void measure(const struct client *client, struct publish_form *form,
                    const struct message_parts *parts, const struct delivery_head *head)
{
    form->body_size =
        (uint32_t)(2 + form->topic.len + parts->payload.len + (head->qos > 0 ? 2 : 0));
    if (client->version >= MQTT_5_0) {
        measure_properties(client, form, parts, head);
        form->body_size += mqtt_variable_size(form->properties_size) + form->properties_size;
    }
}

/* Topic aliases that the peer may be sent. */
static uint16_t alias_max(const struct client *client)
{
    return client->facts ? client->facts->alias_max : 0;
}

static struct publish_form form_of(const struct client *client, struct slice topic,
                                   const struct message_parts *parts,
                                   const struct delivery_head *head)
{
    struct publish_form form = {.topic = topic};

    if (alias_max(client) > 0) {
        form.alias = aliases_find(client->facts->sent_aliases, form.topic, parts->topic_hash);
    }
    if (form.alias) {
        form.topic = slice_of(NULL, 0);
    }
    measure(client, &form, parts, head);
    return form;
}

static bool fits(const struct client *client, const struct publish_form *form)
{
    return mqtt_packet_size(form->body_size) <= client_packet_max(client) &&
           form->body_size <= MQTT_REMAINING_MAX;
}

/* A topic that has no alias gets one with this packet, if one is left and the packet may be as much
 * longer. */
static void introduce_alias(struct client *client, struct publish_form *form,
                            const struct message_parts *parts, const struct delivery_head *head)
{
    struct publish_form longer = *form;

    if (alias_max(client) == 0 || form->alias || form->topic.len < ALIASES_TOPIC_MIN) {
        return;
    }
    longer.alias = 1;
    measure(client, &longer, parts, head);
    if (!fits(client, &longer)) {
        return;
    }
    longer.alias = aliases_add(&client->facts->sent_aliases, alias_max(client), form->topic,
                               parts->topic_hash);
    if (longer.alias) {
        *form = longer;
    }
}

static uint8_t *put_properties(uint8_t *at, const struct publish_form *form,
                               const struct message_parts *parts, const struct delivery_head *head)
{
    at = mqtt_put_variable(at, form->properties_size);
    if (form->alias) {
        at = mqtt_put_two(mqtt_put_byte(at, MQTT_TOPIC_ALIAS), form->alias);
    }
    if (form->has_expiry) {
        at = mqtt_put_four(mqtt_put_byte(at, MQTT_MESSAGE_EXPIRY_INTERVAL), form->expiry);
    }
    if (head->identifier) {
        at = mqtt_put_variable(mqtt_put_byte(at, MQTT_SUBSCRIPTION_IDENTIFIER), head->identifier);
    }
    return mqtt_put_bytes(at, parts->properties);
}

static uint8_t *put_front(uint8_t *at, const struct client *client, const struct publish_form *form,
                          const struct message_parts *parts, const struct delivery_head *head)
{
    uint8_t flags = (uint8_t)(head->dup << 3 | head->qos << 1 | (head->retain ? 1 : 0));

    at = mqtt_put_header(at, MQTT_PUBLISH, flags, form->body_size);
    at = mqtt_put_field(at, form->topic);
    if (head->qos > 0) {
        at = mqtt_put_two(at, head->packet_id);
    }
    return client->version < MQTT_5_0 ? at : put_properties(at, form, parts, head);
}

/* Payloads that are referenced need a message to hold on to. */
static bool is_referenced(const struct publication *publication)
{
    return publication->message && publication->parts.payload.len > MESSAGE_COPY_MAX;
}

/* What must be the same for the same bytes to go out, in one number. */
static uint8_t image_kind(const struct client *client, const struct delivery_head *head)
{
    return (uint8_t)((client->version >= MQTT_5_0) << 3 | (head->retain ? 1 : 0) << 2 | head->qos);
}

/* Whether the packet has nothing in it that is of this client or this moment alone. */
static bool is_common(const struct client *client, const struct publication *publication,
                      const struct delivery_head *head)
{
    return client->listener->mount.len == 0 && alias_max(client) == 0 && !head->identifier &&
           !head->dup && publication->parts.expires_at == MESSAGE_NEVER;
}

/* The second client that gets the same makes it likely that there are more. */
static void note_image(struct client *client, struct publication *publication,
                       const struct delivery_head *head, struct slice packet)
{
    if (!publication->is_repeated) {
        publication->is_repeated = true;
    } else if (is_common(client, publication, head)) {
        size_t id_at = packet.len - publication->parts.payload.len - 2;

        if (client->version >= MQTT_5_0) {
            size_t len = publication->parts.properties.len;

            id_at -= len + mqtt_variable_size((uint32_t)len);
        }
        image_keep(&client->hub->image, publication, image_kind(client, head), packet,
                   head->qos > 0 ? (uint16_t)id_at : 0);
    }
}

/* The packet is in the output, but for what was to be counted and written. */
static void end_publish(struct client *client, const struct publication *publication)
{
    struct metrics *metrics = client->hub->metrics;

    metrics_count(metrics, METRIC_PUBLISH_SENT);
    metrics_add(metrics, METRIC_PUBLISH_BYTES_SENT, publication->parts.payload.len);
    mark_dirty(client, true);
}

static void put_publish(struct client *client, struct publication *publication,
                        const struct publish_form *form, const struct delivery_head *head)
{
    struct output_pool *pool = &client->hub->pool;
    const struct message_parts *parts = &publication->parts;
    bool refers = is_referenced(publication);
    size_t front = PUBLISH_EXTRA + form->topic.len + form->properties_size;
    uint8_t *at = client_reserve(client, front + (refers ? 0 : parts->payload.len));
    uint8_t *end;

    if (!at) {
        return;
    }
    end = put_front(at, client, form, parts, head);
    if (refers) {
        output_commit(&client->output, pool, end, false);
        if (output_refer(&client->output, pool, publication->message, parts->payload) < 0) {
            client_set_failed(client);
        }
    } else {
        end = mqtt_put_bytes(end, parts->payload);
        note_image(client, publication, head, slice_of(at, (size_t)(end - at)));
        output_commit(&client->output, pool, end, true);
    }
    end_publish(client, publication);
}

/* What others got before; that saves half of what a delivery takes. False: there is none for this
 * client. */
static bool put_image(struct client *client, struct publication *publication,
                      const struct delivery_head *head)
{
    const struct image *image = &client->hub->image;
    uint8_t *at;

    if (!image_is_of(image, publication, image_kind(client, head)) ||
        !is_common(client, publication, head) || image->size > client_packet_max(client)) {
        return false;
    }
    at = client_reserve(client, image->size);
    if (at) {
        output_commit(&client->output, &client->hub->pool, image_put(image, at, head->packet_id),
                      true);
        end_publish(client, publication);
    }
    return true;
}

/* One that does not read is not to get more of QoS 0 than may be queued. */
static bool is_busy(const struct client *client, const struct delivery_head *head)
{
    uint32_t max_queued = client->hub->settings->limits.max_queued_messages;

    return head->qos == 0 && unlikely(client->is_blocked) && max_queued &&
           output_packet_len(&client->output) >= max_queued;
}

/* A packet of its own for this client. */
static NO_INLINE enum peer_verdict publish_own(struct client *client,
                                               struct publication *publication,
                                               const struct delivery_head *head)
{
    struct slice topic = publication->parts.topic;
    struct publish_form form;

    if (!mount_strip(client, &topic)) {
        return PEER_OUTSIDE;
    }
    form = form_of(client, topic, &publication->parts, head);
    if (!fits(client, &form)) {
        return PEER_TOO_LARGE;
    }
    if (is_busy(client, head)) {
        return PEER_BUSY;
    }
    introduce_alias(client, &form, &publication->parts, head);
    trace_sending_publish(client, &publication->parts, head);
    put_publish(client, publication, &form, head);
    return PEER_SENT;
}

/* The same bytes as for others, if they are this client's. */
static NO_INLINE enum peer_verdict publish_image(struct client *client,
                                                 struct publication *publication,
                                                 const struct delivery_head *head)
{
    if (!is_busy(client, head) && put_image(client, publication, head)) {
        trace_sending_publish(client, &publication->parts, head);
        return PEER_SENT;
    }
    return publish_own(client, publication, head);
}

/* Each way has a function of its own: with all in one, a delivery of a fan-out costs a tenth more.
 */
static enum peer_verdict peer_publish(struct client *client, struct publication *publication,
                                      const struct delivery_head *head)
{
    return publication->image ? publish_image(client, publication, head)
                              : publish_own(client, publication, head);
}

static void peer_overflow(struct client *client)
{
    client->is_over_quota = true;
    client_set_failed(client);
}

static void peer_pubrel(struct client *client, uint16_t packet_id)
{
    client_send_ack(client, MQTT_PUBREL, packet_id, MQTT_SUCCESS);
}

static size_t peer_pending(const struct client *client)
{
    return output_size(&client->output);
}

static void peer_forget(struct rights *rights)
{
    rights_free(rights);
}

const struct peer_ops client_peer_ops = {
    .publish = peer_publish,
    .pubrel = peer_pubrel,
    .pending = peer_pending,
    .overflow = peer_overflow,
    .may = rights_may,
    .author_may = rights_author_may,
    .forget = peer_forget,
    .end = client_end,
};
