#include "mqtt/reasons.h"

#include "mqtt/packets.h"
#include "mqtt/websocket_codes.h"

#define IN_PUBLISH_ANSWERS   (MQTT_IN(PUBACK) | MQTT_IN(PUBREC))
#define IN_SUBSCRIBE_ANSWERS (MQTT_IN(SUBACK) | MQTT_IN(UNSUBACK))
#define IN_BOTH_ENDS         (MQTT_IN(CONNACK) | MQTT_IN(DISCONNECT))
#define IN_ANSWERS \
    (MQTT_IN(CONNACK) | IN_PUBLISH_ANSWERS | IN_SUBSCRIBE_ANSWERS | MQTT_IN(DISCONNECT))

/*
 * Table 2-6 of 5.0, by code. Return codes of 3.x: table 3.1 of 3.1.1. Codes of WebSocket:
 * docs/decisions/0027-close-codes-say-who-is-to-act.md.
 */
/* clang-format off */
static const struct mqtt_reason_row rows[] = {
    {MQTT_SUCCESS, "Success",
        MQTT_IN(CONNACK) | IN_PUBLISH_ANSWERS | MQTT_IN(PUBREL) | MQTT_IN(PUBCOMP)
        | IN_SUBSCRIBE_ANSWERS | MQTT_IN(DISCONNECT) | MQTT_IN(AUTH), 0, WEBSOCKET_NORMAL},
    {MQTT_GRANTED_QOS_1, "Granted QoS 1", MQTT_IN(SUBACK), 0, 0},
    {MQTT_GRANTED_QOS_2, "Granted QoS 2", MQTT_IN(SUBACK), 0, 0},
    {MQTT_DISCONNECT_WITH_WILL, "Disconnect with Will Message",
        MQTT_IN(DISCONNECT), 0, WEBSOCKET_NORMAL},
    {MQTT_NO_MATCHING_SUBSCRIBERS, "No matching subscribers", IN_PUBLISH_ANSWERS, 0, 0},
    {MQTT_NO_SUBSCRIPTION_EXISTED, "No subscription existed", MQTT_IN(UNSUBACK), 0, 0},
    {MQTT_CONTINUE_AUTHENTICATION, "Continue authentication", MQTT_IN(AUTH), 0, 0},
    {MQTT_REAUTHENTICATE, "Re-authenticate", MQTT_IN(AUTH), 0, 0},
    {MQTT_UNSPECIFIED_ERROR, "Unspecified error", IN_ANSWERS, 0, WEBSOCKET_INTERNAL},
    {MQTT_MALFORMED_PACKET, "Malformed Packet", IN_BOTH_ENDS, 0, WEBSOCKET_PROTOCOL_ERROR},
    {MQTT_PROTOCOL_ERROR, "Protocol Error", IN_BOTH_ENDS, 0, WEBSOCKET_PROTOCOL_ERROR},
    {MQTT_IMPLEMENTATION_SPECIFIC_ERROR, "Implementation specific error",
        IN_ANSWERS, 0, WEBSOCKET_INTERNAL},
    {MQTT_UNSUPPORTED_PROTOCOL_VERSION, "Unsupported Protocol Version",
        MQTT_IN(CONNACK), 1, WEBSOCKET_PROTOCOL_ERROR},
    {MQTT_CLIENT_ID_NOT_VALID, "Client Identifier not valid",
        MQTT_IN(CONNACK), 2, WEBSOCKET_POLICY},
    {MQTT_BAD_USERNAME_OR_PASSWORD, "Bad User Name or Password",
        MQTT_IN(CONNACK), 4, WEBSOCKET_POLICY},
    {MQTT_NOT_AUTHORIZED, "Not authorized", IN_ANSWERS, 5, WEBSOCKET_POLICY},
    {MQTT_SERVER_UNAVAILABLE, "Server unavailable", MQTT_IN(CONNACK), 3, WEBSOCKET_TRY_AGAIN},
    {MQTT_SERVER_BUSY, "Server busy", IN_BOTH_ENDS, 0, WEBSOCKET_TRY_AGAIN},
    {MQTT_BANNED, "Banned", MQTT_IN(CONNACK), 5, WEBSOCKET_POLICY},
    {MQTT_SERVER_SHUTTING_DOWN, "Server shutting down",
        MQTT_IN(DISCONNECT), 0, WEBSOCKET_GOING_AWAY},
    {MQTT_BAD_AUTHENTICATION_METHOD, "Bad authentication method",
        IN_BOTH_ENDS, 0, WEBSOCKET_POLICY},
    {MQTT_KEEP_ALIVE_TIMEOUT, "Keep Alive timeout", MQTT_IN(DISCONNECT), 0, WEBSOCKET_POLICY},
    {MQTT_SESSION_TAKEN_OVER, "Session taken over", MQTT_IN(DISCONNECT), 0, WEBSOCKET_NORMAL},
    {MQTT_TOPIC_FILTER_INVALID, "Topic Filter invalid",
        IN_SUBSCRIBE_ANSWERS | MQTT_IN(DISCONNECT), 0, WEBSOCKET_POLICY},
    {MQTT_TOPIC_NAME_INVALID, "Topic Name invalid",
        IN_BOTH_ENDS | IN_PUBLISH_ANSWERS, 0, WEBSOCKET_POLICY},
    {MQTT_PACKET_ID_IN_USE, "Packet Identifier in use",
        IN_PUBLISH_ANSWERS | IN_SUBSCRIBE_ANSWERS, 0, 0},
    {MQTT_PACKET_ID_NOT_FOUND, "Packet Identifier not found",
        MQTT_IN(PUBREL) | MQTT_IN(PUBCOMP), 0, 0},
    {MQTT_RECEIVE_MAXIMUM_EXCEEDED, "Receive Maximum exceeded",
        MQTT_IN(DISCONNECT), 0, WEBSOCKET_POLICY},
    {MQTT_TOPIC_ALIAS_INVALID, "Topic Alias invalid",
        MQTT_IN(DISCONNECT), 0, WEBSOCKET_PROTOCOL_ERROR},
    {MQTT_PACKET_TOO_LARGE, "Packet too large",
        IN_BOTH_ENDS, 5, WEBSOCKET_TOO_BIG}, /* Mosquitto's, of a will */
    {MQTT_MESSAGE_RATE_TOO_HIGH, "Message rate too high", MQTT_IN(DISCONNECT), 0, WEBSOCKET_POLICY},
    {MQTT_QUOTA_EXCEEDED, "Quota exceeded",
        IN_BOTH_ENDS | IN_PUBLISH_ANSWERS | MQTT_IN(SUBACK), 0, WEBSOCKET_POLICY},
    {MQTT_ADMINISTRATIVE_ACTION, "Administrative action", MQTT_IN(DISCONNECT), 0, WEBSOCKET_POLICY},
    {MQTT_PAYLOAD_FORMAT_INVALID, "Payload format invalid",
        IN_BOTH_ENDS | IN_PUBLISH_ANSWERS, 0, WEBSOCKET_MISMATCHED},
    {MQTT_RETAIN_NOT_SUPPORTED, "Retain not supported", IN_BOTH_ENDS, 0, WEBSOCKET_POLICY},
    {MQTT_QOS_NOT_SUPPORTED, "QoS not supported", IN_BOTH_ENDS, 0, WEBSOCKET_POLICY},
    {MQTT_USE_ANOTHER_SERVER, "Use another server", IN_BOTH_ENDS, 0, WEBSOCKET_GOING_AWAY},
    {MQTT_SERVER_MOVED, "Server moved", IN_BOTH_ENDS, 0, WEBSOCKET_GOING_AWAY},
    {MQTT_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, "Shared Subscriptions not supported",
        MQTT_IN(SUBACK) | MQTT_IN(DISCONNECT), 0, WEBSOCKET_POLICY},
    {MQTT_CONNECTION_RATE_EXCEEDED, "Connection rate exceeded",
        IN_BOTH_ENDS, 0, WEBSOCKET_TRY_AGAIN},
    {MQTT_MAXIMUM_CONNECT_TIME, "Maximum connect time", MQTT_IN(DISCONNECT), 0, WEBSOCKET_POLICY},
    {MQTT_SUBSCRIPTION_IDS_NOT_SUPPORTED, "Subscription Identifiers not supported",
        MQTT_IN(SUBACK) | MQTT_IN(DISCONNECT), 0, WEBSOCKET_POLICY},
    {MQTT_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED, "Wildcard Subscriptions not supported",
        MQTT_IN(SUBACK) | MQTT_IN(DISCONNECT), 0, WEBSOCKET_POLICY},
};
/* clang-format on */

const struct mqtt_reason_row *mqtt_reason_find(unsigned code)
{
    size_t low = 0;
    size_t high = ARRAY_LEN(rows);

    /* The first one is what is asked for nearly always. */
    if (code == rows[0].code) {
        return &rows[0];
    }
    while (low < high) {
        size_t middle = (low + high) / 2;

        if (rows[middle].code == code) {
            return &rows[middle];
        }
        if (rows[middle].code < code) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const struct mqtt_reason_row *mqtt_reason_table(size_t *len_out)
{
    *len_out = ARRAY_LEN(rows);
    return rows;
}

const char *mqtt_reason_name(unsigned code)
{
    const struct mqtt_reason_row *row = mqtt_reason_find(code);

    return row ? row->name : "Unknown reason";
}

bool mqtt_reason_is_allowed(unsigned code, unsigned packet_type)
{
    const struct mqtt_reason_row *row = mqtt_reason_find(code);

    assert(packet_type < MQTT_PACKET_TYPE_CAP);
    return row && (row->packets >> packet_type & 1) != 0;
}
