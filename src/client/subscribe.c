#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "client/acks.h"
#include "client/client.h"
#include "client/hub.h"
#include "client/mount.h"
#include "client/rights.h"
#include "client/trace.h"
#include "core/keep.h"
#include "core/replay.h"
#include "mqtt/encode.h"
#include "mqtt/topics.h"

/* A filter taken apart. */
struct target {
    struct slice group; /* empty: an ordinary subscription */
    struct slice filter;
};

/* Invalid filters end the connection, as in Mosquitto; shared ones are refused one by one. */
static bool is_malformed(struct slice filter)
{
    struct target target;

    return mqtt_share_parse(filter, &target.group, &target.filter) == MQTT_SHARE_NONE &&
           !mqtt_filter_is_valid(filter);
}

/* A filter that is not malformed. */
static enum mqtt_reason take_apart(struct slice filter, struct target *target_out)
{
    enum mqtt_share_verdict verdict =
        mqtt_share_parse(filter, &target_out->group, &target_out->filter);

    return verdict == MQTT_SHARE_NONE ||
                   (verdict == MQTT_SHARE_GROUP && mqtt_filter_is_valid(target_out->filter))
               ? MQTT_SUCCESS
               : MQTT_TOPIC_FILTER_INVALID;
}

static NO_INLINE void tell_filter(const struct client *client, enum log_type type, const char *qos,
                                  struct slice filter)
{
    enum log_event event = type == LOG_SUBSCRIBE ? LOG_EVENT_SUBSCRIBED : LOG_EVENT_UNSUBSCRIBED;
    struct log_field fields[] = {
        log_field_text("client", session_id(client->session)),
        log_field_text("filter", filter),
    };
    struct log_facts facts = {event, ARRAY_LEN(fields), fields};
    char id[256];
    char text[700];

    text_escape(id, sizeof(id), session_id(client->session));
    text_escape(text, sizeof(text), filter);
    log_event(type, &facts, "%s %s%s", id, qos, text);
}

static void say_filter(const struct client *client, enum log_type type, const char *qos,
                       struct slice filter)
{
    if (log_is_on(type)) {
        tell_filter(client, type, qos, filter);
    }
}

static uint8_t options_of(const struct client *client, const struct mqtt_filter *filter,
                          const struct target *target)
{
    bool no_local = (filter->no_local || client->is_bridge) && target->group.len == 0;
    bool as_published = filter->retain_as_published || client->is_bridge;
    bool no_internal = mount_is_before_wildcard(client, target->filter);

    return (uint8_t)(filter->qos | (no_local ? SUBSCRIBE_NO_LOCAL : 0) |
                     (as_published ? SUBSCRIBE_AS_PUBLISHED : 0) |
                     (no_internal ? SUBSCRIBE_NO_INTERNAL : 0));
}

static int replay(struct client *client, const struct mqtt_filter *filter,
                  const struct subscriber *row, const struct subscribed *subscribed)
{
    struct replay_request request = {
        .filter = filter->filter,
        .node = subscribed->node,
        .identifier = row->identifier,
        .options = row->options,
        .replaced = subscribed->replaced,
        .silent =
            filter->retain_handling == 2 || (filter->retain_handling == 1 && subscribed->replaced),
    };

    return replay_start(client->hub->shard, client->session, &request);
}

/* -ENOMEM: nothing has changed. */
static int subscribe(struct client *client, const struct mqtt_filter *filter,
                     const struct tree_levels *levels, const struct subscriber *row)
{
    struct shard *shard = client->hub->shard;
    struct subscribed subscribed;
    uint32_t node;
    int r = router_subscribe(shard, filter->filter, levels, *row, &subscribed);

    if (r < 0) {
        return r;
    }
    r = replay(client, filter, row, &subscribed);
    if (r < 0 && !subscribed.replaced) {
        router_unsubscribe(shard, client->session, filter->filter, &node);
    }
    return r;
}

/* Nothing is replayed (MQTT 5.0 section 4.8.2). */
static int join(struct client *client, const struct target *target, const struct subscriber *row)
{
    struct subscribed subscribed;

    return share_subscribe(client->hub->shard, target->group, target->filter, *row, &subscribed);
}

/* All filters are looked at before the first is acted upon. */
static enum mqtt_reason check_filters(const struct mqtt_subscribe *packet,
                                      bool (*next)(struct slice *, struct mqtt_filter *))
{
    struct slice filters = packet->filters;
    struct mqtt_filter filter;

    while (next(&filters, &filter)) {
        if (is_malformed(filter.filter)) {
            return MQTT_MALFORMED_PACKET;
        }
    }
    return MQTT_SUCCESS;
}

/* What is not to be answered must not be done [MQTT-3.1.2-24]. */
static enum mqtt_reason check_answer(const struct client *client, enum mqtt_packet_type type,
                                     const struct mqtt_subscribe *packet)
{
    return mqtt_suback_size(client->version, type, packet->filter_count) > client_packet_max(client)
               ? MQTT_PACKET_TOO_LARGE
               : MQTT_SUCCESS;
}

void client_send_codes(struct client *client, enum mqtt_packet_type type, uint16_t packet_id,
                       struct slice codes)
{
    uint8_t *at;

    trace_sending(client, type);
    at = client_reserve(client, mqtt_suback_size(client->version, type, codes.len));
    if (at) {
        client_commit(client, at + mqtt_encode_suback(at, client->version, type, packet_id, codes));
    }
}

/* As Mosquitto, unless it is asked for: every subscription is taken, and what it brings is looked
 * at.
 */
static bool may_subscribe(struct client *client, struct slice filter)
{
    return !client->hub->shard->limits.asks_rights ||
           !client->hub->settings->access.acl_deny_subscribe || rights_cover(client, filter);
}

/* The next filter, which is not malformed. Without levels: it will get a mount point, or is a
 * group's. */
static bool look_ahead(const struct client *client, struct mqtt_subscribe *packet,
                       struct mqtt_filter *next_out, struct tree_levels *levels_out)
{
    struct target target;

    if (!mqtt_subscribe_next(&packet->filters, next_out)) {
        return false;
    }
    levels_out->len = 0;
    if (client->listener->mount.len == 0 &&
        mqtt_share_parse(next_out->filter, &target.group, &target.filter) == MQTT_SHARE_NONE) {
        router_look_ahead(client->hub->shard, next_out->filter, levels_out);
    }
    return true;
}

/* One filter; the answer is its code in SUBACK. */
static enum mqtt_reason subscribe_one(struct client *client, struct mqtt_filter *filter,
                                      const struct tree_levels *levels,
                                      const struct mqtt_subscribe *packet)
{
    struct subscriber row = {client->session, packet->properties.subscription_identifier, 0};
    struct target target;
    enum mqtt_reason reason =
        memory_is_short() ? MQTT_QUOTA_EXCEEDED : mount_filter(client, &filter->filter);
    int r;

    if (reason == MQTT_SUCCESS) {
        reason = take_apart(filter->filter, &target);
    }
    if (reason == MQTT_SUCCESS && !may_subscribe(client, target.filter)) {
        reason = MQTT_NOT_AUTHORIZED;
    }
    if (reason != MQTT_SUCCESS) {
        return reason;
    }
    filter->qos = (uint8_t)MIN(filter->qos, client->listener->settings->max_qos);
    row.options = options_of(client, filter, &target);
    r = target.group.len > 0 ? join(client, &target, &row)
                             : subscribe(client, filter, levels->len > 0 ? levels : NULL, &row);
    if (r < 0) {
        return MQTT_QUOTA_EXCEEDED;
    }
    keep_filter(client->hub->shard, client->session, STORE_SUBSCRIBED, filter->filter, row.options);
    say_filter(client, LOG_SUBSCRIBE, (const char *[]){"0 ", "1 ", "2 "}[filter->qos],
               filter->filter);
    return (enum mqtt_reason)filter->qos;
}

/* Among a million filters each waits for memory, so the next one is looked ahead to while one is
 * entered. Answers how many there were. */
static size_t subscribe_all(struct client *client, struct mqtt_subscribe *packet, uint8_t *codes)
{
    UNINITIALIZED struct tree_levels levels[2];
    struct mqtt_filter next;
    size_t len = 0;
    bool has_next = look_ahead(client, packet, &next, &levels[0]);

    while (has_next) {
        struct mqtt_filter filter = next;

        has_next = look_ahead(client, packet, &next, &levels[(len + 1) % 2]);
        trace_filter(filter.filter, filter.qos);
        shard_charge(client->hub->shard);
        codes[len] = (uint8_t)subscribe_one(client, &filter, &levels[len % 2], packet);
        len++;
    }
    return len;
}

void client_on_subscribe(struct client *client, struct slice body)
{
    struct mqtt_subscribe packet;
    enum mqtt_reason reason = mqtt_decode_subscribe(client->version, body, &packet);
    uint8_t *codes;
    size_t len;

    if (reason == MQTT_SUCCESS) {
        reason = check_filters(&packet, mqtt_subscribe_next);
    }
    if (reason == MQTT_SUCCESS) {
        reason = check_answer(client, MQTT_SUBACK, &packet);
    }
    codes = reason == MQTT_SUCCESS ? hub_scratch(client->hub, packet.filter_count) : NULL;
    if (!codes) {
        client_fail(client, reason == MQTT_SUCCESS ? MQTT_QUOTA_EXCEEDED : reason);
        return;
    }
    trace_received(client, MQTT_SUBSCRIBE);
    len = subscribe_all(client, &packet, codes);
    client_acknowledge_codes(client, MQTT_SUBACK, packet.packet_id, slice_of(codes, len));
}

static bool unsubscribe(struct client *client, struct slice filter)
{
    struct shard *shard = client->hub->shard;
    uint32_t node;

    if (!router_unsubscribe(shard, client->session, filter, &node)) {
        return false;
    }
    replay_stop(shard, client->session, node);
    return true;
}

static bool leave(struct client *client, const struct target *target)
{
    return share_unsubscribe(client->hub->shard, client->session, target->group, target->filter);
}

static enum mqtt_reason unsubscribe_one(struct client *client, struct slice filter)
{
    struct target target;
    enum mqtt_reason reason = mount_filter(client, &filter);

    if (reason == MQTT_SUCCESS) {
        reason = take_apart(filter, &target);
    }
    if (reason != MQTT_SUCCESS) {
        /* UNSUBACK has no code for a quota. */
        return reason == MQTT_QUOTA_EXCEEDED ? MQTT_UNSPECIFIED_ERROR : reason;
    }
    if (target.group.len > 0 ? !leave(client, &target) : !unsubscribe(client, filter)) {
        return MQTT_NO_SUBSCRIPTION_EXISTED;
    }
    keep_filter(client->hub->shard, client->session, STORE_UNSUBSCRIBED, filter, 0);
    say_filter(client, LOG_UNSUBSCRIBE, "", filter);
    return MQTT_SUCCESS;
}

void client_on_unsubscribe(struct client *client, struct slice body)
{
    struct mqtt_subscribe packet;
    struct mqtt_filter filter;
    enum mqtt_reason reason = mqtt_decode_unsubscribe(client->version, body, &packet);
    uint8_t *codes;
    size_t len = 0;

    if (reason == MQTT_SUCCESS) {
        reason = check_filters(&packet, mqtt_unsubscribe_next);
    }
    if (reason == MQTT_SUCCESS) {
        reason = check_answer(client, MQTT_UNSUBACK, &packet);
    }
    codes = reason == MQTT_SUCCESS ? hub_scratch(client->hub, packet.filter_count) : NULL;
    if (!codes) {
        client_fail(client, reason == MQTT_SUCCESS ? MQTT_QUOTA_EXCEEDED : reason);
        return;
    }
    trace_received(client, MQTT_UNSUBSCRIBE);
    while (mqtt_unsubscribe_next(&packet.filters, &filter)) {
        trace_filter(filter.filter, -1);
        shard_charge(client->hub->shard);
        codes[len++] = (uint8_t)unsubscribe_one(client, filter.filter);
    }
    client_acknowledge_codes(client, MQTT_UNSUBACK, packet.packet_id, slice_of(codes, len));
}
