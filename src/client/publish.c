#include "access/access.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "client/acks.h"
#include "client/client.h"
#include "client/forward.h"
#include "client/hub.h"
#include "client/mount.h"
#include "client/rights.h"
#include "client/trace.h"
#include "core/keep.h"
#include "mqtt/topics.h"

/* Topic aliases that the peer has set (MQTT 5.0 section 3.3.2.3.4) */

void client_aliases_free(struct client *client)
{
    struct slice *aliases = client->facts->aliases;
    uint16_t max = client->listener->settings->max_topic_alias;

    for (unsigned i = 0; aliases && i < max; i++) {
        memory_free((void *)(uintptr_t)aliases[i].data);
    }
    client->facts->aliases = memory_free(aliases);
}

static enum mqtt_reason set_alias(struct client *client, uint16_t alias, struct slice topic)
{
    struct client_facts *facts = client_need_facts(client);
    struct slice *place;
    uint8_t *copy;

    if (!facts) {
        return MQTT_QUOTA_EXCEEDED;
    }
    if (!facts->aliases) {
        facts->aliases =
            memory_alloc_zero(client->listener->settings->max_topic_alias, sizeof(*facts->aliases));
    }
    copy = memory_alloc(topic.len);
    if (!facts->aliases || !copy) {
        memory_free(copy);
        return MQTT_QUOTA_EXCEEDED;
    }
    memcpy(copy, topic.data, topic.len);
    place = &facts->aliases[alias - 1];
    memory_free((void *)(uintptr_t)place->data);
    *place = slice_of(copy, topic.len);
    return MQTT_SUCCESS;
}

/* Text that is none makes the packet malformed [MQTT-1.5.4-1]; other mistakes are of the name. */
static enum mqtt_reason check_topic(struct slice topic)
{
    if (mqtt_topic_is_valid(topic)) {
        return MQTT_SUCCESS;
    }
    return utf8_is_valid(topic) ? MQTT_TOPIC_NAME_INVALID : MQTT_MALFORMED_PACKET;
}

/* Puts the topic in place of its alias, or remembers it. */
static enum mqtt_reason resolve_topic(struct client *client, struct mqtt_publish *publish)
{
    const struct client_facts *facts = client->facts;
    uint16_t alias = publish->properties.topic_alias;
    enum mqtt_reason reason;

    if (!mqtt_properties_has(&publish->properties, MQTT_TOPIC_ALIAS)) {
        return check_topic(publish->topic);
    }
    if (alias == 0 || alias > client->listener->settings->max_topic_alias) {
        return MQTT_TOPIC_ALIAS_INVALID;
    }
    if (publish->topic.len == 0) {
        if (!facts || !facts->aliases || !facts->aliases[alias - 1].data) {
            return MQTT_PROTOCOL_ERROR;
        }
        publish->topic = facts->aliases[alias - 1];
        return MQTT_SUCCESS;
    }
    reason = check_topic(publish->topic);
    return reason == MQTT_SUCCESS ? set_alias(client, alias, publish->topic) : reason;
}

/* Whether a new QoS 2 message is more than the Receive Maximum that version 5 was told. */
static bool is_one_too_many(const struct client *client, const struct mqtt_publish *publish)
{
    uint16_t max = client->listener->terms->limits.max_inflight_messages;
    const struct inbound *inbound = &client->session->inbound;

    return publish->qos == 2 && client->version >= MQTT_5_0 && max && inbound_len(inbound) >= max &&
           !inbound_has(inbound, publish->packet_id);
}

/* Errors that end the connection. */
static enum mqtt_reason check_publish(struct client *client, struct mqtt_publish *publish)
{
    const struct settings *settings = client->hub->settings;
    enum mqtt_reason reason;

    if (publish->qos > client->listener->settings->max_qos) {
        return MQTT_QOS_NOT_SUPPORTED;
    }
    if (publish->retain && !client->listener->terms->clients.retain_available) {
        return MQTT_RETAIN_NOT_SUPPORTED;
    }
    if (settings->limits.receive_maximum_exceeded == SETTINGS_RECEIVE_DISCONNECT &&
        is_one_too_many(client, publish)) {
        return MQTT_RECEIVE_MAXIMUM_EXCEEDED;
    }
    reason = resolve_topic(client, publish);
    return reason == MQTT_SUCCESS ? mount_topic(client, &publish->topic) : reason;
}

static enum mqtt_reason check_rights(const struct client *client,
                                     const struct mqtt_publish *publish, uint64_t topic_hash)
{
    struct message_parts parts = {.topic = publish->topic, .topic_hash = (uint32_t)topic_hash};

    return shard_may(client->hub->shard, client->session, &parts, PEER_WRITE)
               ? access_publish(publish->topic)
               : MQTT_NOT_AUTHORIZED;
}

/* Errors of the message alone, which is dropped; the acknowledgement tells. */
static enum mqtt_reason check_message(const struct client *client,
                                      const struct mqtt_publish *publish, uint64_t topic_hash)
{
    const struct settings *settings = client->hub->settings;
    uint32_t size_max = settings->limits.message_size_limit;

    if (size_max && publish->payload.len > size_max) {
        /* Mosquitto's code sends 0x95 here, which no acknowledgement may carry; its manual names
         * this one. */
        return MQTT_IMPLEMENTATION_SPECIFIC_ERROR;
    }
    if (settings->clients.check_payload_format &&
        mqtt_properties_has(&publish->properties, MQTT_PAYLOAD_FORMAT_INDICATOR) &&
        publish->properties.payload_format_indicator == 1 &&
        !utf8_is_well_formed(publish->payload)) {
        return MQTT_PAYLOAD_FORMAT_INVALID;
    }
    return memory_is_short() ? MQTT_QUOTA_EXCEEDED : check_rights(client, publish, topic_hash);
}

/* The packet's own memory may become the message, when topic and payload lie in it. */
static struct message *room_of(const struct client *client, const struct mqtt_publish *publish)
{
    const struct client_input *input = client_input(client);
    bool is_inside = input && input->total && publish->topic.data >= input->room->data &&
                     publish->topic.data < input->room->data + input->len;

    return is_inside && publish->payload.len > 0 ? input->room : NULL;
}

/* There is no room for it in the packet. */
static int add_author(struct client *client, struct publication *publication)
{
    publication->room = NULL;
    publication->parts.author = rights_author(client);
    return publication->parts.author.len > 0 ? 0 : -ENOMEM;
}

static int publish_message(struct client *client, const struct mqtt_publish *publish,
                           uint64_t topic_hash, struct ack *ack)
{
    struct hub *hub = client->hub;
    struct publication publication = {
        .parts =
            {
                    .topic = publish->topic,
                    .payload = publish->payload,
                    .origin = session_origin(client->session),
                    .expires_at = forward_expiry(&publish->properties, hub->shard->now_ms),
                    .expiry_interval = publish->properties.message_expiry_interval,
                    .qos = publish->qos,
                    .retain = publish->retain,
                    },
        .topic_hash = topic_hash,
        .ticket = ack_ticket(ack),
        .room = room_of(client, publish),
        .properties_cap = publish->properties.raw.len,
    };
    bool has_room;
    int r = forward_properties(hub, &publish->properties, &publication.parts.properties);

    if (r < 0) {
        return r;
    }
    if (unlikely(publish->retain && hub->settings->clients.check_retain_source) &&
        add_author(client, &publication) < 0) {
        return -ENOMEM;
    }
    has_room = publication.room != NULL;
    publication.parts.topic_hash = (uint32_t)publication.topic_hash;
    r = shard_publish(hub->shard, &publication);
    if (has_room && !publication.room) {
        /* It is the message's now. */
        client->facts->input->room = NULL;
    }
    publication_deinit(&publication);
    return r;
}

static enum mqtt_reason count_dropped(struct client *client, enum mqtt_reason reason)
{
    metrics_count(client->hub->metrics, METRIC_PUBLISH_REFUSED + reason);
    return reason;
}

/* Publishes; the answer is what the acknowledgement says. */
static enum mqtt_reason accept_publish(struct client *client, const struct mqtt_publish *publish,
                                       struct ack *ack)
{
    uint64_t topic_hash = shard_topic_hash(client->hub->shard, publish->topic);
    enum mqtt_reason reason = check_message(client, publish, topic_hash);
    int r;

    if (reason != MQTT_SUCCESS) {
        return count_dropped(client, reason);
    }
    r = publish_message(client, publish, topic_hash, ack);
    if (r < 0) {
        return count_dropped(client, MQTT_QUOTA_EXCEEDED);
    }
    if (unlikely(r == PUBLISH_LEFT)) {
        client_await_turn(client);
    }
    return r == PUBLISH_UNMATCHED ? MQTT_NO_MATCHING_SUBSCRIBERS : MQTT_SUCCESS;
}

static bool is_error(enum mqtt_reason reason)
{
    return reason >= MQTT_UNSPECIFIED_ERROR;
}

/* Version 3 has no word for "no": what can't be kept must not be acknowledged. */
static bool must_close(const struct client *client, enum mqtt_reason reason)
{
    return reason == MQTT_QUOTA_EXCEEDED && client->version < MQTT_5_0;
}

static void publish_once(struct client *client, const struct mqtt_publish *publish)
{
    enum mqtt_reason reason;
    struct ack *ack = NULL;

    if (publish->qos == 1 &&
        client_begin_ack(client, MQTT_PUBACK, publish->packet_id, publish->payload.len, &ack) < 0) {
        client_fail(client, MQTT_QUOTA_EXCEEDED);
        return;
    }
    reason = accept_publish(client, publish, ack);
    if (must_close(client, reason)) {
        client_fail(client, reason);
        client_cancel_ack(client, ack);
    } else if (publish->qos == 1) {
        client_end_ack(client, ack, MQTT_PUBACK, publish->packet_id, reason);
    }
}

/* The identifier is kept before anybody can see the message: its repeat must be known as one. */
static enum mqtt_reason accept_exactly_once(struct client *client,
                                            const struct mqtt_publish *publish, struct ack *ack)
{
    struct shard *shard = client->hub->shard;
    struct inbound *inbound = &client->session->inbound;
    enum mqtt_reason reason;

    if (inbound_add(inbound, publish->packet_id) < 0) {
        return MQTT_QUOTA_EXCEEDED;
    }
    keep_packet(shard, client->session, STORE_RECEIVED, publish->packet_id);
    reason = accept_publish(client, publish, ack);
    /* A PUBREC that says no ends the exchange; version 3 goes on to PUBREL all the same. */
    if (is_error(reason) && (client->version >= MQTT_5_0 || must_close(client, reason))) {
        inbound_remove(inbound, publish->packet_id);
        keep_packet(shard, client->session, STORE_RELEASED, publish->packet_id);
    }
    return reason;
}

/* A repeat is answered, not published (MQTT 5.0 section 4.3.3). */
static void publish_exactly_once(struct client *client, const struct mqtt_publish *publish)
{
    bool is_repeat = inbound_has(&client->session->inbound, publish->packet_id);
    enum mqtt_reason reason = MQTT_SUCCESS;
    struct ack *ack;

    if (is_repeat && client_has_ack(client, publish->packet_id)) {
        return;
    }
    if (client_begin_ack(client, MQTT_PUBREC, publish->packet_id, publish->payload.len, &ack) < 0) {
        client_fail(client, MQTT_QUOTA_EXCEEDED);
        return;
    }
    if (!is_repeat) {
        reason = accept_exactly_once(client, publish, ack);
    }
    if (must_close(client, reason)) {
        client_fail(client, reason);
        client_cancel_ack(client, ack);
    } else {
        client_end_ack(client, ack, MQTT_PUBREC, publish->packet_id, reason);
    }
}

void client_on_publish(struct client *client, const struct mqtt_frame *frame, struct slice body)
{
    UNINITIALIZED struct mqtt_publish publish;
    enum mqtt_reason reason =
        mqtt_decode_publish(client->version, frame->flags, body, false, &publish);

    if (reason == MQTT_SUCCESS) {
        metrics_add(client->hub->metrics, METRIC_PUBLISH_BYTES_RECEIVED, publish.payload.len);
        reason = check_publish(client, &publish);
    }
    if (reason != MQTT_SUCCESS) {
        client_fail(client, reason);
        return;
    }
    trace_received_publish(client, &publish);
    if (is_one_too_many(client, &publish)) {
        client_send_ack(client, MQTT_PUBREC, publish.packet_id,
                        count_dropped(client, MQTT_QUOTA_EXCEEDED));
    } else if (publish.qos == 2) {
        publish_exactly_once(client, &publish);
    } else {
        publish_once(client, &publish);
    }
}
