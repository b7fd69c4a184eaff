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

/* A PUBLISH on its way in. */
struct intake {
    struct mqtt_publish packet;
    uint64_t topic_hash;
    bool is_found; /* who subscribes to it was in the match cache */
    struct match_found found;
};

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

/* Puts the topic in place of its alias, where it has only that. */
static enum mqtt_reason resolve_alias(const struct client *client, struct mqtt_publish *publish)
{
    const struct client_facts *facts = client->facts;
    uint16_t alias = publish->properties.topic_alias;

    if (alias == 0 || alias > client->listener->settings->max_topic_alias) {
        return MQTT_TOPIC_ALIAS_INVALID;
    }
    if (publish->topic.len > 0) {
        return MQTT_SUCCESS;
    }
    if (!facts || !facts->aliases || !facts->aliases[alias - 1].data) {
        return MQTT_PROTOCOL_ERROR;
    }
    publish->topic = facts->aliases[alias - 1];
    return MQTT_SUCCESS;
}

static void look_up(const struct client *client, struct intake *intake)
{
    struct shard *shard = client->hub->shard;

    intake->topic_hash = shard_topic_hash(shard, intake->packet.topic);
    intake->is_found =
        match_cached(shard, intake->packet.topic, intake->topic_hash, &intake->found);
}

/* The topic as it is in the broker, without alias and with the mount point. What the cache has was
 * valid when it came there: not to check it again saves a tenth of the instructions of QoS 0. */
static enum mqtt_reason resolve_topic(struct client *client, struct intake *intake)
{
    struct mqtt_publish *packet = &intake->packet;
    bool has_alias = mqtt_properties_has(&packet->properties, MQTT_TOPIC_ALIAS);
    bool sets_alias = has_alias && packet->topic.len > 0;
    enum mqtt_reason reason = has_alias ? resolve_alias(client, packet) : MQTT_SUCCESS;

    if (reason == MQTT_SUCCESS) {
        look_up(client, intake);
        reason = likely(intake->is_found) ? MQTT_SUCCESS : check_topic(packet->topic);
    }
    if (reason == MQTT_SUCCESS && sets_alias) {
        reason = set_alias(client, packet->properties.topic_alias, packet->topic);
    }
    if (reason == MQTT_SUCCESS && unlikely(client->listener->mount.len > 0)) {
        reason = mount_topic(client, &packet->topic);
        look_up(client, intake);
    }
    return reason;
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
static enum mqtt_reason check_publish(struct client *client, struct intake *intake)
{
    const struct settings *settings = client->hub->settings;
    const struct mqtt_publish *publish = &intake->packet;

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
    return resolve_topic(client, intake);
}

static enum mqtt_reason check_rights(const struct client *client, struct intake *intake)
{
    struct message_parts parts = {
        .topic = intake->packet.topic,
        .topic_hash = (uint32_t)intake->topic_hash,
    };

    return session_may(client->hub->shard, client->session, &parts, PEER_WRITE,
                       &intake->found.groups)
               ? access_publish(parts.topic)
               : MQTT_NOT_AUTHORIZED;
}

/* Errors of the message alone, which is dropped; the acknowledgement tells. */
static enum mqtt_reason check_message(const struct client *client, struct intake *intake)
{
    const struct mqtt_publish *publish = &intake->packet;
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
    return memory_is_short() ? MQTT_QUOTA_EXCEEDED : check_rights(client, intake);
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

static int publish_message(struct client *client, const struct intake *intake, struct ack *ack)
{
    const struct mqtt_publish *publish = &intake->packet;
    struct hub *hub = client->hub;
    UNINITIALIZED struct publication publication;
    struct slice properties;
    bool has_room;
    int r = forward_properties(hub, &publish->properties, &properties);

    if (r < 0) {
        return r;
    }
    publication_init(&publication, intake->topic_hash);
    publication.parts = (struct message_parts){
        .topic = publish->topic,
        .topic_hash = (uint32_t)intake->topic_hash,
        .properties = properties,
        .payload = publish->payload,
        .origin = session_origin(client->session),
        .expires_at = forward_expiry(&publish->properties, hub->shard->now_ms),
        .expiry_interval = publish->properties.message_expiry_interval,
        .qos = publish->qos,
        .retain = publish->retain,
    };
    publication.found = likely(intake->is_found) ? &intake->found : NULL;
    publication.groups = intake->found.groups;
    publication.ticket = ack_ticket(ack);
    publication.room = room_of(client, publish);
    publication.properties_cap = publish->properties.raw.len;
    if (unlikely(publish->retain && hub->settings->clients.check_retain_source) &&
        add_author(client, &publication) < 0) {
        return -ENOMEM;
    }
    has_room = publication.room != NULL;
    r = shard_publish(hub->shard, &publication);
    if (has_room && !publication.room) {
        /* It is the message's now. */
        client->facts->input->room = NULL;
    }
    if (unlikely(publication.groups.is_new)) {
        match_keep_groups(hub->shard, publication.parts.topic, intake->topic_hash,
                          &publication.groups);
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
static enum mqtt_reason accept_publish(struct client *client, struct intake *intake,
                                       struct ack *ack)
{
    enum mqtt_reason reason = check_message(client, intake);
    int r;

    if (reason != MQTT_SUCCESS) {
        return count_dropped(client, reason);
    }
    r = publish_message(client, intake, ack);
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

static void publish_once(struct client *client, struct intake *intake)
{
    const struct mqtt_publish *publish = &intake->packet;
    enum mqtt_reason reason;
    struct ack *ack = NULL;

    if (publish->qos == 1 &&
        client_begin_ack(client, MQTT_PUBACK, publish->packet_id, publish->payload.len, &ack) < 0) {
        client_fail(client, MQTT_QUOTA_EXCEEDED);
        return;
    }
    reason = accept_publish(client, intake, ack);
    if (must_close(client, reason)) {
        client_fail(client, reason);
        client_cancel_ack(client, ack);
    } else if (publish->qos == 1) {
        client_end_ack(client, ack, MQTT_PUBACK, publish->packet_id, reason);
    }
}

/* The identifier is kept before anybody can see the message: its repeat must be known as one. */
static enum mqtt_reason accept_exactly_once(struct client *client, struct intake *intake,
                                            struct ack *ack)
{
    uint16_t packet_id = intake->packet.packet_id;
    struct shard *shard = client->hub->shard;
    struct inbound *inbound = &client->session->inbound;
    enum mqtt_reason reason;

    if (inbound_add(inbound, packet_id) < 0) {
        return MQTT_QUOTA_EXCEEDED;
    }
    keep_packet(shard, client->session, STORE_RECEIVED, packet_id);
    reason = accept_publish(client, intake, ack);
    /* A PUBREC that says no ends the exchange; version 3 goes on to PUBREL all the same. */
    if (is_error(reason) && (client->version >= MQTT_5_0 || must_close(client, reason))) {
        inbound_remove(inbound, packet_id);
        keep_packet(shard, client->session, STORE_RELEASED, packet_id);
    }
    return reason;
}

/* A repeat is answered, not published (MQTT 5.0 section 4.3.3). */
static void publish_exactly_once(struct client *client, struct intake *intake)
{
    const struct mqtt_publish *publish = &intake->packet;
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
        reason = accept_exactly_once(client, intake, ack);
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
    UNINITIALIZED struct intake intake;
    struct mqtt_publish *publish = &intake.packet;
    enum mqtt_reason reason =
        mqtt_decode_publish(client->version, frame->flags, body, false, publish);

    if (reason == MQTT_SUCCESS) {
        metrics_add(client->hub->metrics, METRIC_PUBLISH_BYTES_RECEIVED, publish->payload.len);
        reason = check_publish(client, &intake);
    }
    if (reason != MQTT_SUCCESS) {
        client_fail(client, reason);
        return;
    }
    trace_received_publish(client, publish);
    if (is_one_too_many(client, publish)) {
        client_send_ack(client, MQTT_PUBREC, publish->packet_id,
                        count_dropped(client, MQTT_QUOTA_EXCEEDED));
    } else if (publish->qos == 2) {
        publish_exactly_once(client, &intake);
    } else {
        publish_once(client, &intake);
    }
}
