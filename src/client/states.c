#include "client/states.h"

#include "mqtt/packets.h"

#define TO(state)    (1u << (state))
#define PACKET(type) (1u << (type))

#define PACKETS_OF_A_CLIENT                                                                   \
    (PACKET(MQTT_PUBLISH) | PACKET(MQTT_PUBACK) | PACKET(MQTT_PUBREC) | PACKET(MQTT_PUBREL) | \
     PACKET(MQTT_PUBCOMP) | PACKET(MQTT_SUBSCRIBE) | PACKET(MQTT_UNSUBSCRIBE) |               \
     PACKET(MQTT_PINGREQ) | PACKET(MQTT_DISCONNECT))

/* AUTH is in no state: a server that offers no method never expects one. */
static const struct client_state_row rows[] = {
    [CLIENT_PROXY] = {.name = "proxy",                                                   .next = TO(CLIENT_FRESH) | TO(CLIENT_CLOSING)},
    [CLIENT_FRESH] = {.name = "fresh",
                      .next = TO(CLIENT_LOGIN) | TO(CLIENT_MOVING) | TO(CLIENT_CLOSING),
                      .packets = PACKET(MQTT_CONNECT)},
    [CLIENT_LOGIN] = {.name = "login",
                      .next = TO(CLIENT_FRESH) | TO(CLIENT_MOVING) | TO(CLIENT_CLOSING)},
    [CLIENT_MOVING] = {.name = "moving",                                                                 .next = TO(CLIENT_READY) | TO(CLIENT_CLOSING)},
    [CLIENT_READY] = {.name = "ready",
                      .next = TO(CLIENT_LEAVING) | TO(CLIENT_CLOSING),
                      .packets = PACKETS_OF_A_CLIENT},
    [CLIENT_LEAVING] = {.name = "leaving",                                                  .next = TO(CLIENT_CLOSING)},
    [CLIENT_CLOSING] = {.name = "closing",                                                                 .next = TO(CLIENT_LINGERING)},
    [CLIENT_LINGERING] = {.name = "lingering"                  },
};

static_assert(ARRAY_LEN(rows) == CLIENT_STATE_LEN, "every state has its row");

const struct client_state_row *client_state_row(enum client_state state)
{
    assert(state < CLIENT_STATE_LEN);
    return &rows[state];
}

bool client_state_allows(enum client_state state, unsigned packet_type)
{
    return (client_state_row(state)->packets >> packet_type & 1) != 0;
}

void client_state_change(uint8_t *state, enum client_state next)
{
    assert((client_state_row(*state)->next >> next & 1) != 0);
    *state = (uint8_t)next;
}
