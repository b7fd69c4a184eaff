#include "base/test.h"
#include "sim/model_state.h"

/*
 * Histories that a broker may have made, or must not: each says with which words the model must
 * complain, or that it must not.
 */

enum what {
    END,
    OPEN,
    SENT,
    READ,
    WRITTEN,
    TAKEN,
    ENDED,
    CLOSED,
    TOUCHED,
    FULL,
    LATE,
    WAIT,
    DROPPED,
    QUIET,
    STOPS,
    LAST
};

struct event {
    enum what what;
    unsigned connection;
    struct wire_packet packet;
    struct wire_connect connect;
    unsigned actor;
    uint64_t ms; /* WAIT; DROPPED: so many */
};

struct history {
    const char *name;
    const char *complaint; /* a part of it; NULL: none */
    struct model_params params;
    struct event events[48];
};

/* clang-format off */
/* The messages of all histories, by number: of actor 0, but for REPLY. */
static const struct wire_message messages[] = {
    {.topic = 0, .size = 20, .qos = 1},                 /* 0: "a" */
    {.topic = 0, .size = 20, .qos = 1},                 /* 1 */
    {.topic = 0, .size = 20, .qos = 2},                 /* 2 */
    {.topic = 0, .size = 20, .qos = 1, .retain = true}, /* 3 */
    {.topic = 0, .size = 20, .qos = 1, .retain = true}, /* 4 */
    {.topic = 1, .size = 20, .qos = 1},                 /* 5: "b" */
    {.topic = 0, .size = 20, .qos = 0},                 /* 6 */
    {.topic = 0, .size = 20, .qos = 1},                 /* 7: of actor 2 */
    {.topic = 0, .size = 20, .qos = 1, .expiry = 10},   /* 8 */
    {.topic = 0, .size = 20, .qos = 1, .retain = true, .expiry = 10}, /* 9 */
};

#define REPLY 7u
#define WILL  10u /* of actor 1, topic "a", QoS 1 */

#define PACKET(kind, ...) .packet = {.type = MQTT_##kind, .message = WIRE_NO_MESSAGE, __VA_ARGS__}

#define OPENS(c, a, clean, ...)                                                                     \
    {OPEN, c, PACKET(CONNECT, .is_clean = clean), .actor = a,                                       \
     .connect = {__VA_ARGS__}},                                            \
    {READ, c, PACKET(CONNECT, .is_clean = clean)}
#define WELCOMED(c, clean) {WRITTEN, c, PACKET(CONNACK, .is_clean = clean)}
#define CONNECTS(c, a) OPENS(c, a, true), WELCOMED(c, true)
#define DURABLE .expiry_interval = UINT32_MAX

#define ASKS(c, id, filter, options)                                                                \
    {SENT, c, PACKET(SUBSCRIBE, .packet_id = id, .filter_len = 1, .filters = {filter},              \
                     .codes = {options})},                                                          \
    {READ, c, PACKET(SUBSCRIBE, .packet_id = id, .filter_len = 1, .filters = {filter},              \
                     .codes = {options})}
#define ASKS_WITH(c, id, filter, options, sub)                                                      \
    {READ, c, PACKET(SUBSCRIBE, .packet_id = id, .filter_len = 1, .filters = {filter},              \
                     .codes = {options}, .identifier = sub)}
#define GRANTED(c, id, qos) {WRITTEN, c, PACKET(SUBACK, .packet_id = id, .filter_len = 1,           \
                                                .codes = {(qos) & 3})}
#define SUBSCRIBES(c, id, filter, qos) ASKS(c, id, filter, qos), GRANTED(c, id, qos)
#define UNSUBSCRIBES(c, id, filter)                                                                 \
    {SENT, c, PACKET(UNSUBSCRIBE, .packet_id = id, .filter_len = 1, .filters = {filter})},          \
    {READ, c, PACKET(UNSUBSCRIBE, .packet_id = id, .filter_len = 1, .filters = {filter})},          \
    {WRITTEN, c, PACKET(UNSUBACK, .packet_id = id)}

#define PUBLISH(c, step, m, id, q, ...)                                                             \
    {step, c, .packet = {.type = MQTT_PUBLISH, .message = m, .packet_id = id, .qos = q, __VA_ARGS__}}
#define PUBLISHES(c, m, id, q) PUBLISH(c, SENT, m, id, q), PUBLISH(c, READ, m, id, q)
#define ACKED(c, kind, m, id)                                                                       \
    {WRITTEN, c, PACKET(kind, .packet_id = id)},                                                    \
    {TAKEN, c, .packet = {.type = MQTT_##kind, .packet_id = id, .message = m}}
#define GETS(c, m, id, q) PUBLISH(c, WRITTEN, m, id, q), PUBLISH(c, TAKEN, m, id, q)
#define ANSWERS(c, kind, id)                                                                        \
    {SENT, c, PACKET(kind, .packet_id = id)}, {READ, c, PACKET(kind, .packet_id = id)}

#define LEAVES(c, ...) {READ, c, PACKET(DISCONNECT, .code = 0, __VA_ARGS__)}, {ENDED, c}, {CLOSED, c}
/* One publisher (0) and a group of two, of which the second stays. */
#define SHARED WORLD_FILTER_LEN
#define GROUP                                                                                       \
    CONNECTS(0, 0), CONNECTS(1, 1), OPENS(2, 2, true, DURABLE), WELCOMED(2, true),                  \
    SUBSCRIBES(1, 1, SHARED, 1), SUBSCRIBES(2, 1, SHARED, 1)
/* The same, the first with QoS 0. */
#define MIXED_GROUP                                                                                 \
    CONNECTS(0, 0), CONNECTS(1, 1), OPENS(2, 2, true, DURABLE), WELCOMED(2, true),                  \
    SUBSCRIBES(1, 1, SHARED, 0), SUBSCRIBES(2, 1, SHARED, 1)
/* The same, both with QoS 2. */
#define EXACT_GROUP                                                                                 \
    CONNECTS(0, 0), CONNECTS(1, 1), OPENS(2, 2, true, DURABLE), WELCOMED(2, true),                  \
    SUBSCRIBES(1, 1, SHARED, 2), SUBSCRIBES(2, 1, SHARED, 2)
/* Two subscriptions of "a", QoS 0 and 1. */
#define OVERLAPPING                                                                                 \
    CONNECTS(0, 0), CONNECTS(1, 1), ASKS_WITH(1, 1, 1, 0, 7), GRANTED(1, 1, 0),                     \
    ASKS_WITH(1, 2, 0, 1, 8), GRANTED(1, 2, 1)
/* CONNACK is late, and a message behind it. */
#define WAITS_TO_COME_BACK                                                                          \
    CONNECTS(0, 0), OPENS(1, 1, true, DURABLE), WELCOMED(1, true), SUBSCRIBES(1, 1, 1, 1),          \
    {ENDED, 1}, {CLOSED, 1}, PUBLISHES(0, 8, 1, 1), OPENS(2, 1, false, DURABLE),                    \
    {WAIT, .ms = 4000}, WELCOMED(2, false),                                                         \
    PUBLISH(2, WRITTEN, 8, 1, 1, .has_expiry = true, .expiry = 10)
#define LIMITED {.max_inflight = 1, .may_drop = true}

/* One publisher (0) and one subscriber (1) of "a" with QoS 2. */
#define TWO CONNECTS(0, 0), CONNECTS(1, 1), SUBSCRIBES(1, 1, 1, 2)

static const struct history histories[] = {
    {"delivered", NULL, {0},
     {TWO, PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1), GETS(1, 0, 1, 1), ANSWERS(1, PUBACK, 1),
      {QUIET}}},
    {"lost", "0 times in place of 1", {0},
     {TWO, PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1), {QUIET}}},
    {"lost by one of two subscriptions", "1 times in place of 2", {0},
     {TWO, SUBSCRIBES(1, 2, 0, 1), PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1),
      GETS(1, 0, 1, 1), ANSWERS(1, PUBACK, 1), {QUIET}}},
    {"not promised before SUBACK", NULL, {0},
     {CONNECTS(0, 0), CONNECTS(1, 1), ASKS(1, 1, 1, 2), PUBLISHES(0, 0, 1, 1), GRANTED(1, 1, 2),
      ACKED(0, PUBACK, 0, 1), {QUIET}}},
    {"not promised behind UNSUBSCRIBE", NULL, {0},
     {TWO, PUBLISHES(0, 0, 1, 1), UNSUBSCRIBES(1, 2, 1), ACKED(0, PUBACK, 0, 1), {QUIET}}},
    {"QoS 0 lost", "0 times in place of 1", {0}, {TWO, PUBLISHES(0, 6, 0, 0), {QUIET}}},
    {"QoS 2 twice", "2 times in place of 1", {0},
     {TWO, PUBLISHES(0, 2, 1, 2), GETS(1, 2, 1, 2), GETS(1, 2, 2, 2)}},
    {"QoS 1 twice for no reason", "2 times in place of 1", {0},
     {TWO, PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 1), GETS(1, 0, 2, 1)}},
    {"QoS 1 twice, published twice", NULL, {0},
     {TWO, PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 1), PUBLISHES(0, 0, 1, 1), GETS(1, 0, 2, 1)}},
    {"before it was published", "before it was published", {0}, {TWO, GETS(1, 0, 1, 1)}},
    {"nobody asked", "has no subscription", {0},
     {TWO, PUBLISHES(0, 5, 1, 1), GETS(1, 5, 1, 1)}},
    {"not any more", "has no subscription", {0},
     {TWO, UNSUBSCRIBES(1, 2, 1), PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 1)}},
    {"wrong QoS", "has no subscription", {0},
     {CONNECTS(0, 0), CONNECTS(1, 1), SUBSCRIBES(1, 1, 1, 0), PUBLISHES(0, 0, 1, 1),
      GETS(1, 0, 1, 1)}},
    {"out of order", "behind message 1 of the same client", {0},
     {TWO, PUBLISHES(0, 0, 1, 1), PUBLISHES(0, 1, 2, 1), GETS(1, 1, 1, 1), GETS(1, 0, 2, 1)}},
    {"effect before an acknowledged cause", "followed its acknowledgement", {0},
     {TWO, CONNECTS(2, 2), PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1), PUBLISHES(2, REPLY, 1, 1),
      GETS(1, REPLY, 1, 1), GETS(1, 0, 2, 1)}},
    {"effect before a received cause", "followed its reception", {0},
     {TWO, CONNECTS(2, 2), SUBSCRIBES(2, 1, 1, 1), PUBLISHES(0, 0, 1, 1), GETS(2, 0, 1, 1),
      PUBLISHES(2, REPLY, 1, 1), GETS(1, REPLY, 1, 1), GETS(1, 0, 2, 1)}},
    {"no cause", NULL, {0},
     {TWO, CONNECTS(2, 2), PUBLISHES(0, 0, 1, 1), PUBLISHES(2, REPLY, 1, 1), GETS(1, REPLY, 1, 1),
      GETS(1, 0, 2, 1)}},
    {"PUBACK for nothing", "nobody waits for", {0}, {TWO, ACKED(0, PUBACK, 0, 1)}},
    {"PUBACKs in the wrong order", "nobody waits for", {0},
     {TWO, PUBLISHES(0, 0, 1, 1), PUBLISHES(0, 1, 2, 1), ACKED(0, PUBACK, 1, 2)}},
    {"no PUBACK", "no answer", {0}, {TWO, PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 1), {QUIET}}},
    {"SUBACK with another QoS", "SUBACK code 1", {0},
     {CONNECTS(0, 0), ASKS(0, 1, 1, 2), GRANTED(0, 1, 1)}},
    {"before CONNACK", "before CONNACK", {0},
     {OPENS(0, 0, true), {WRITTEN, 0, PACKET(PINGRESP, .code = 0)}}},
    {"identifier in use", "is used for message", {0},
     {TWO, PUBLISHES(0, 0, 1, 1), PUBLISHES(0, 1, 2, 1), GETS(1, 0, 1, 1), GETS(1, 1, 1, 1)}},
    {"over the window", "its window is 1", {0},
     {CONNECTS(0, 0), OPENS(1, 1, true, .receive_maximum = 1), WELCOMED(1, true),
      SUBSCRIBES(1, 1, 1, 2), PUBLISHES(0, 0, 1, 1), PUBLISHES(0, 1, 2, 1), GETS(1, 0, 1, 1),
      GETS(1, 1, 2, 1)}},
    {"PUBREL for nothing", "without PUBREC", {0},
     {TWO, PUBLISHES(0, 2, 1, 2), GETS(1, 2, 1, 2), {WRITTEN, 1, PACKET(PUBREL, .packet_id = 1)}}},
    {"DUP for nothing", "which was never sent", {0},
     {TWO, PUBLISHES(0, 0, 1, 1), PUBLISH(1, WRITTEN, 0, 1, 1, .dup = true)}},
    {"sent again", NULL, {0},
     {CONNECTS(0, 0), OPENS(1, 1, true, DURABLE), WELCOMED(1, true), SUBSCRIBES(1, 1, 1, 2),
      PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 1), {ENDED, 1}, {CLOSED, 1},
      OPENS(2, 1, false, DURABLE), WELCOMED(2, false),
      PUBLISH(2, WRITTEN, 0, 1, 1, .dup = true)}},
    {"sent again without DUP", "is used for message 0", {0},
     {CONNECTS(0, 0), OPENS(1, 1, true, DURABLE), WELCOMED(1, true), SUBSCRIBES(1, 1, 1, 2),
      PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 1), {ENDED, 1}, {CLOSED, 1},
      OPENS(2, 1, false, DURABLE), WELCOMED(2, false), GETS(2, 0, 1, 1)}},
    {"forgotten in flight", "is forgotten", {0},
     {CONNECTS(0, 0), OPENS(1, 1, true, DURABLE), WELCOMED(1, true), SUBSCRIBES(1, 1, 1, 2),
      PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1), GETS(1, 0, 1, 1), {ENDED, 1}, {CLOSED, 1},
      OPENS(2, 1, false, DURABLE), WELCOMED(2, false), {QUIET}}},
    {"session lost", "its session was lost", {0},
     {OPENS(0, 1, true, DURABLE), WELCOMED(0, true), {ENDED, 0}, {CLOSED, 0},
      OPENS(1, 1, false, DURABLE), WELCOMED(1, true)}},
    {"session from nowhere", "there is no session", {0}, {OPENS(0, 1, false), WELCOMED(0, false)}},
    {"session kept in spite of Clean Start", "there is no session", {0},
     {OPENS(0, 1, true, DURABLE), WELCOMED(0, true), {ENDED, 0}, {CLOSED, 0},
      OPENS(1, 1, true, DURABLE), WELCOMED(1, false)}},
    {"session kept too long", "there is no session", {0},
     {OPENS(0, 1, true, .expiry_interval = 60), WELCOMED(0, true), {ENDED, 0}, {CLOSED, 0},
      {WAIT, .ms = 100000}, OPENS(1, 1, false, .expiry_interval = 60), WELCOMED(1, false)}},
    {"session ended too early", "its session was lost", {0},
     {OPENS(0, 1, true, .expiry_interval = 60), WELCOMED(0, true), {ENDED, 0}, {CLOSED, 0},
      {WAIT, .ms = 30000}, OPENS(1, 1, false, .expiry_interval = 60), WELCOMED(1, true)}},
    {"two connections with one id", "is read on", {0},
     {CONNECTS(0, 1), CONNECTS(1, 1), {TOUCHED, 0}}},
    {"the older one is closed", NULL, {0}, {CONNECTS(0, 1), CONNECTS(1, 1), {CLOSED, 0}}},
    {"closed for no reason", "for no reason", {0}, {CONNECTS(0, 1), {CLOSED, 0}}},
    {"closed too early", "for no reason", {0},
     {OPENS(0, 1, true, .keep_alive = 10), WELCOMED(0, true), {WAIT, .ms = 12900}, {CLOSED, 0}}},
    {"closed in time", NULL, {0},
     {OPENS(0, 1, true, .keep_alive = 10), WELCOMED(0, true), {WAIT, .ms = 15000}, {CLOSED, 0}}},
    {"will", NULL, {0},
     {CONNECTS(0, 0), SUBSCRIBES(0, 1, 1, 1), OPENS(1, 1, true, .will = WILL), WELCOMED(1, true),
      {ENDED, 1}, {CLOSED, 1}, GETS(0, WILL, 1, 1), ANSWERS(0, PUBACK, 1), {QUIET}}},
    {"will forgotten", "0 times in place of 1", {0},
     {CONNECTS(0, 0), SUBSCRIBES(0, 1, 1, 1), OPENS(1, 1, true, .will = WILL), WELCOMED(1, true),
      {ENDED, 1}, {CLOSED, 1}, {QUIET}}},
    {"will of who is still there", "did not break", {0},
     {CONNECTS(0, 0), SUBSCRIBES(0, 1, 1, 1), OPENS(1, 1, true, .will = WILL), WELCOMED(1, true),
      GETS(0, WILL, 1, 1)}},
    {"will behind DISCONNECT", "did not break", {0},
     {CONNECTS(0, 0), SUBSCRIBES(0, 1, 1, 1), OPENS(1, 1, true, .will = WILL), WELCOMED(1, true),
      ANSWERS(1, DISCONNECT, 0), {ENDED, 1}, {CLOSED, 1}, GETS(0, WILL, 1, 1)}},
    {"retained", NULL, {0},
     {TWO, PUBLISHES(0, 3, 1, 1), ACKED(0, PUBACK, 3, 1), GETS(1, 3, 1, 1),
      ANSWERS(1, PUBACK, 1), CONNECTS(2, 2), SUBSCRIBES(2, 1, 0, 2),
      PUBLISH(2, WRITTEN, 3, 1, 1, .retain = true), ANSWERS(2, PUBACK, 1), {LAST, 2}}},
    {"retained value missing", "is newer", {0},
     {CONNECTS(0, 0), PUBLISHES(0, 3, 1, 1), ACKED(0, PUBACK, 3, 1), CONNECTS(1, 2),
      SUBSCRIBES(1, 1, 0, 2), {LAST, 1}}},
    {"older retained value", "is newer", {0},
     {CONNECTS(0, 0), PUBLISHES(0, 3, 1, 1), ACKED(0, PUBACK, 3, 1), PUBLISHES(0, 4, 2, 1),
      ACKED(0, PUBACK, 4, 2), CONNECTS(1, 2), SUBSCRIBES(1, 1, 0, 2),
      PUBLISH(1, WRITTEN, 3, 1, 1, .retain = true), ANSWERS(1, PUBACK, 1), {LAST, 1}}},
    {"not the last live value", "saw message 3 last", {0},
     {TWO, CONNECTS(2, 2), PUBLISHES(0, 3, 1, 1), PUBLISHES(2, 4, 1, 1), ACKED(0, PUBACK, 3, 1),
      ACKED(2, PUBACK, 4, 1), GETS(1, 4, 1, 1), GETS(1, 3, 2, 1), ANSWERS(1, PUBACK, 1),
      ANSWERS(1, PUBACK, 2), CONNECTS(3, 3), SUBSCRIBES(3, 1, 0, 2),
      PUBLISH(3, WRITTEN, 4, 1, 1, .retain = true), ANSWERS(3, PUBACK, 1), {LAST, 3}}},
    {"a value twice in one replay", "2 times in place of 1", {0},
     {CONNECTS(0, 0), PUBLISHES(0, 3, 1, 1), CONNECTS(1, 1), SUBSCRIBES(1, 1, 1, 2),
      PUBLISH(1, WRITTEN, 3, 1, 1, .retain = true),
      PUBLISH(1, WRITTEN, 3, 2, 1, .retain = true)}},
    {"a value live and in the replay", "live and in a replay", {0},
     {CONNECTS(0, 0), PUBLISHES(0, 3, 1, 1), ACKED(0, PUBACK, 3, 1), CONNECTS(1, 1),
      SUBSCRIBES(1, 1, 1, 2), PUBLISH(1, WRITTEN, 3, 1, 1, .retain = true), GETS(1, 3, 2, 1),
      ANSWERS(1, PUBACK, 1), ANSWERS(1, PUBACK, 2), CONNECTS(2, 2), SUBSCRIBES(2, 1, 0, 2),
      PUBLISH(2, WRITTEN, 3, 1, 1, .retain = true), ANSWERS(2, PUBACK, 1), {LAST, 2}}},
    {"over the server's window", "its window is 1", LIMITED,
     {CONNECTS(0, 0), OPENS(1, 1, true, .receive_maximum = 5), WELCOMED(1, true),
      SUBSCRIBES(1, 1, 1, 2), PUBLISHES(0, 0, 1, 1), PUBLISHES(0, 1, 2, 1), GETS(1, 0, 1, 1),
      GETS(1, 1, 2, 1)}},
    {"dropped and counted", NULL, LIMITED,
     {TWO, PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1), {DROPPED, .ms = 1}, {QUIET}}},
    {"dropped and not counted", "2 deliveries are missing, and 1", LIMITED,
     {TWO, PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1), PUBLISHES(0, 1, 2, 1),
      ACKED(0, PUBACK, 1, 2), {DROPPED, .ms = 1}, {QUIET}}},
    {"dropped without a limit", "there is no limit", {0}, {TWO, {DROPPED, .ms = 1}, {QUIET}}},
    {"subscription identifier", NULL, {0},
     {CONNECTS(0, 0), CONNECTS(1, 1), ASKS_WITH(1, 1, 1, 1, 7), GRANTED(1, 1, 1),
      ASKS_WITH(1, 2, 0, 1, 8), GRANTED(1, 2, 1), PUBLISHES(0, 0, 1, 1),
      PUBLISH(1, WRITTEN, 0, 1, 1, .identifier = 8), PUBLISH(1, WRITTEN, 0, 2, 1, .identifier = 7),
      ANSWERS(1, PUBACK, 1), ANSWERS(1, PUBACK, 2), ACKED(0, PUBACK, 0, 1), {QUIET}}},
    {"the same identifier twice", "2 times in place of 1", {0},
     {CONNECTS(0, 0), CONNECTS(1, 1), ASKS_WITH(1, 1, 1, 1, 7), GRANTED(1, 1, 1),
      ASKS_WITH(1, 2, 0, 1, 8), GRANTED(1, 2, 1), PUBLISHES(0, 0, 1, 1),
      PUBLISH(1, WRITTEN, 0, 1, 1, .identifier = 7),
      PUBLISH(1, WRITTEN, 0, 2, 1, .identifier = 7)}},
    {"no subscription identifier", "has no subscription", {0},
     {CONNECTS(0, 0), CONNECTS(1, 1), ASKS_WITH(1, 1, 1, 1, 7), GRANTED(1, 1, 1),
      PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 1)}},
    {"retain as published", NULL, {0},
     {CONNECTS(0, 0), CONNECTS(1, 1), SUBSCRIBES(1, 1, 1, 2 | EPISODE_AS_PUBLISHED),
      PUBLISHES(0, 3, 1, 1), PUBLISH(1, WRITTEN, 3, 1, 1, .retain = true), PUBLISHES(0, 0, 2, 1),
      GETS(1, 0, 2, 1)}},
    {"retain not as published", "has no subscription", {0},
     {CONNECTS(0, 0), CONNECTS(1, 1), SUBSCRIBES(1, 1, 1, 2 | EPISODE_AS_PUBLISHED),
      PUBLISHES(0, 3, 1, 1), GETS(1, 3, 1, 1)}},
    {"retain that nobody asked for", "1 times in place of 0", {0},
     {TWO, PUBLISHES(0, 3, 1, 1), PUBLISH(1, WRITTEN, 3, 1, 1, .retain = true)}},
    {"retain as published behind a later message", "behind message 1 of the same client", {0},
     {CONNECTS(0, 0), CONNECTS(1, 1), SUBSCRIBES(1, 1, 1, 1 | EPISODE_AS_PUBLISHED),
      PUBLISHES(0, 3, 1, 1), PUBLISHES(0, 1, 2, 1), GETS(1, 1, 1, 1),
      PUBLISH(1, WRITTEN, 3, 2, 1, .retain = true)}},
    {"live with RETAIN, and replayed behind a later message", NULL, {0},
     {CONNECTS(0, 0), CONNECTS(1, 1), SUBSCRIBES(1, 1, 1, 1 | EPISODE_AS_PUBLISHED),
      PUBLISHES(0, 3, 1, 1), PUBLISHES(0, 1, 2, 1), SUBSCRIBES(1, 2, 1, 1),
      PUBLISH(1, WRITTEN, 3, 1, 1, .retain = true), GETS(1, 1, 2, 1),
      PUBLISH(1, WRITTEN, 3, 3, 1, .retain = true)}},
    {"live with RETAIN, and replayed twice", "2 times in place of 1", {0},
     {CONNECTS(0, 0), CONNECTS(1, 1), SUBSCRIBES(1, 1, 1, 1 | EPISODE_AS_PUBLISHED),
      PUBLISHES(0, 3, 1, 1), SUBSCRIBES(1, 2, 1, 1), PUBLISH(1, WRITTEN, 3, 1, 1, .retain = true),
      PUBLISH(1, WRITTEN, 3, 2, 1, .retain = true), PUBLISH(1, WRITTEN, 3, 3, 1, .retain = true)}},
    {"no local", "has no subscription", {0},
     {CONNECTS(0, 0), SUBSCRIBES(0, 1, 1, 2 | EPISODE_NO_LOCAL), PUBLISHES(0, 0, 1, 1),
      GETS(0, 0, 1, 1)}},
    {"expiring", NULL, {0},
     {TWO, PUBLISHES(0, 8, 1, 1), {WAIT, .ms = 4000},
      PUBLISH(1, WRITTEN, 8, 1, 1, .has_expiry = true, .expiry = 6)}},
    {"expired", "after it has expired", {0},
     {TWO, PUBLISHES(0, 8, 1, 1), {WAIT, .ms = 13000},
      PUBLISH(1, WRITTEN, 8, 1, 1, .has_expiry = true, .expiry = 1)}},
    {"expired in an output that was full", NULL, {0},
     {TWO, PUBLISHES(0, 8, 1, 1), {FULL, 1}, {WAIT, .ms = 13000},
      PUBLISH(1, WRITTEN, 8, 1, 1, .has_expiry = true, .expiry = 5)}},
    {"there when CONNECT was read, and told when it would be over", NULL, {.has_store = true},
     {OPENS(0, 1, true, .expiry_interval = 60), WELCOMED(0, true), {ENDED, 0}, {CLOSED, 0},
      OPENS(1, 1, false, .expiry_interval = 60), {WAIT, .ms = 100000}, WELCOMED(1, false)}},
    {"expired in what it took a part of", NULL, {0},
     {TWO, PUBLISHES(0, 8, 1, 1), {LATE, 1}, {WAIT, .ms = 13000},
      PUBLISH(1, WRITTEN, 8, 1, 1, .has_expiry = true, .expiry = 5)}},
    {"expiry told before the store let it go", NULL, {.has_store = true}, {WAITS_TO_COME_BACK}},
    {"expiry told long ago, and nothing to wait for", "has 10 s left", {0}, {WAITS_TO_COME_BACK}},
    {"expiry not counted down", "has 10 s left", {0},
     {TWO, PUBLISHES(0, 8, 1, 1), {WAIT, .ms = 4000},
      PUBLISH(1, WRITTEN, 8, 1, 1, .has_expiry = true, .expiry = 10)}},
    {"expiry counted down too far", "has 3 s left", {0},
     {TWO, PUBLISHES(0, 8, 1, 1), {WAIT, .ms = 4000},
      PUBLISH(1, WRITTEN, 8, 1, 1, .has_expiry = true, .expiry = 3)}},
    {"expiry forgotten", "has 0 s left", {0}, {TWO, PUBLISHES(0, 8, 1, 1), GETS(1, 8, 1, 1)}},
    {"expiry from nowhere", "was to stay", {0},
     {TWO, PUBLISHES(0, 0, 1, 1), PUBLISH(1, WRITTEN, 0, 1, 1, .has_expiry = true, .expiry = 10)}},
    {"expired and gone", NULL, {0},
     {TWO, PUBLISHES(0, 8, 1, 1), ACKED(0, PUBACK, 8, 1), {WAIT, .ms = 9000}, {QUIET}}},
    {"gone before its expiry", "0 times in place of 1", {0},
     {TWO, PUBLISHES(0, 8, 1, 1), ACKED(0, PUBACK, 8, 1), {WAIT, .ms = 7000}, {QUIET}}},
    {"retained and expired", NULL, {0},
     {CONNECTS(0, 0), PUBLISHES(0, 9, 1, 1), ACKED(0, PUBACK, 9, 1), {WAIT, .ms = 13000},
      CONNECTS(1, 2), SUBSCRIBES(1, 1, 0, 2), {LAST, 1}}},
    {"retained and not expired", "is newer", {0},
     {CONNECTS(0, 0), PUBLISHES(0, 9, 1, 1), ACKED(0, PUBACK, 9, 1), {WAIT, .ms = 7000},
      CONNECTS(1, 2), SUBSCRIBES(1, 1, 0, 2), {LAST, 1}}},
    {"will in time", NULL, {0},
     {CONNECTS(0, 0), SUBSCRIBES(0, 1, 1, 1),
      OPENS(1, 1, true, .will = WILL, .will_delay = 10, DURABLE), WELCOMED(1, true), {ENDED, 1},
      {CLOSED, 1}, {WAIT, .ms = 10000}, GETS(0, WILL, 1, 1)}},
    {"will too early", "before its delay", {0},
     {CONNECTS(0, 0), SUBSCRIBES(0, 1, 1, 1),
      OPENS(1, 1, true, .will = WILL, .will_delay = 10, DURABLE), WELCOMED(1, true), {ENDED, 1},
      {CLOSED, 1}, {WAIT, .ms = 7900}, GETS(0, WILL, 1, 1)}},
    {"will at the session's end", NULL, {0},
     {CONNECTS(0, 0), SUBSCRIBES(0, 1, 1, 1),
      OPENS(1, 1, true, .will = WILL, .will_delay = 10, .expiry_interval = 5), WELCOMED(1, true),
      {ENDED, 1}, {CLOSED, 1}, {WAIT, .ms = 5000}, GETS(0, WILL, 1, 1)}},
    {"will of a session that DISCONNECT ends", NULL, {0},
     {CONNECTS(0, 0), SUBSCRIBES(0, 1, 1, 1),
      OPENS(1, 1, true, .will = WILL, .will_delay = 10, DURABLE), WELCOMED(1, true),
      {READ, 1, PACKET(DISCONNECT, .code = 4, .has_expiry = true)}, {ENDED, 1}, {CLOSED, 1},
      GETS(0, WILL, 1, 1)}},
    {"will of who came back", "did not break", {0},
     {CONNECTS(0, 0), SUBSCRIBES(0, 1, 1, 1),
      OPENS(1, 1, true, .will = WILL, .will_delay = 10, DURABLE), WELCOMED(1, true), {ENDED, 1},
      {CLOSED, 1}, OPENS(2, 1, false, DURABLE), WELCOMED(2, false), {WAIT, .ms = 10000},
      GETS(0, WILL, 1, 1)}},
    {"will of who came back clean", NULL, {0},
     {CONNECTS(0, 0), SUBSCRIBES(0, 1, 1, 1),
      OPENS(1, 1, true, .will = WILL, .will_delay = 10, DURABLE), WELCOMED(1, true), {ENDED, 1},
      {CLOSED, 1}, OPENS(2, 1, true, DURABLE), WELCOMED(2, true), GETS(0, WILL, 1, 1)}},
    {"session ended by DISCONNECT", "there is no session", {0},
     {OPENS(0, 1, true, DURABLE), WELCOMED(0, true), LEAVES(0, .has_expiry = true),
      OPENS(1, 1, false, DURABLE), WELCOMED(1, false)}},
    {"session that DISCONNECT shortens", NULL, {0},
     {OPENS(0, 1, true, DURABLE), WELCOMED(0, true), LEAVES(0, .has_expiry = true, .expiry = 5),
      {WAIT, .ms = 10000}, OPENS(1, 1, false, DURABLE), WELCOMED(1, true)}},
    {"session that DISCONNECT lengthens", "its session was lost", {0},
     {OPENS(0, 1, true, .expiry_interval = 5), WELCOMED(0, true),
      LEAVES(0, .has_expiry = true, .expiry = 60), {WAIT, .ms = 10000},
      OPENS(1, 1, false, DURABLE), WELCOMED(1, true)}},
    {"one of a group", NULL, {0},
     {GROUP, PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1), GETS(1, 0, 1, 1), ANSWERS(1, PUBACK, 1),
      {QUIET}}},
    {"exactly once, gone with an output that was never written", NULL, {0},
     {EXACT_GROUP, PUBLISHES(0, 2, 1, 2), ACKED(0, PUBREC, 2, 1), {ENDED, 1}, {CLOSED, 1},
      {QUIET}}},
    {"exactly once, and nobody has gone", "lost message 2", {0},
     {EXACT_GROUP, PUBLISHES(0, 2, 1, 2), ACKED(0, PUBREC, 2, 1), {QUIET}}},
    {"too large for who takes less", NULL, {0},
     {CONNECTS(0, 0), OPENS(1, 1, true, .packet_maximum = 100), WELCOMED(1, true),
      SUBSCRIBES(1, 1, 1, 1), PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1), {QUIET}}},
    {"larger than the client takes", "and the client takes 100", {0},
     {CONNECTS(0, 0), OPENS(1, 1, true, .packet_maximum = 100), WELCOMED(1, true),
      SUBSCRIBES(1, 1, 1, 1), PUBLISHES(0, 0, 1, 1),
      PUBLISH(1, WRITTEN, 0, 1, 1, .begin = 0, .end = 101)}},
    {"two of a group", "2 times in place of 1", {0},
     {GROUP, PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 1), GETS(2, 0, 1, 1)}},
    {"none of a group", "lost message 0", {0},
     {GROUP, PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1), {QUIET}}},
    {"two groups", NULL, {0},
     {CONNECTS(0, 0), CONNECTS(1, 1), CONNECTS(2, 2), SUBSCRIBES(1, 1, SHARED, 1),
      SUBSCRIBES(2, 1, SHARED + 2, 1), PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 1), GETS(2, 0, 1, 1)}},
    {"a group and a subscription", NULL, {0},
     {GROUP, ASKS_WITH(1, 2, 1, 1, 7), GRANTED(1, 2, 1), PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 1),
      PUBLISH(1, WRITTEN, 0, 2, 1, .identifier = 7)}},
    {"a subscription lost behind a group", "0 times in place of 1", {0},
     {GROUP, ASKS_WITH(1, 2, 1, 1, 7), GRANTED(1, 2, 1), PUBLISHES(0, 0, 1, 1),
      ACKED(0, PUBACK, 0, 1), GETS(1, 0, 1, 1), ANSWERS(1, PUBACK, 1), {QUIET}}},
    {"to another, when the first has left", NULL, {0},
     {GROUP, PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 1), {ENDED, 1}, {CLOSED, 1}, GETS(2, 0, 1, 1)}},
    {"to another, when the first came back and was ended", NULL, {0},
     {CONNECTS(0, 0), OPENS(1, 1, true, DURABLE), WELCOMED(1, true), CONNECTS(2, 2),
      SUBSCRIBES(1, 1, SHARED, 1), SUBSCRIBES(2, 1, SHARED, 1), PUBLISHES(0, 0, 1, 1),
      GETS(1, 0, 1, 1), {ENDED, 1}, {CLOSED, 1}, OPENS(3, 1, false, DURABLE), WELCOMED(3, false),
      PUBLISH(3, WRITTEN, 0, 1, 1, .dup = true), {ENDED, 3}, {CLOSED, 3},
      OPENS(4, 1, true, DURABLE), WELCOMED(4, true), GETS(2, 0, 1, 1)}},
    {"to another, before the first hears that the broker stops", NULL, {0},
     {GROUP, PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 1), {STOPS}, GETS(2, 0, 1, 1)}},
    {"to nobody, when the first has left", "lost message 0", {0},
     {GROUP, PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1), GETS(1, 0, 1, 1), {ENDED, 1},
      {CLOSED, 1}, {QUIET}}},
    {"lost with the connection of a member with QoS 0", NULL, {0},
     {MIXED_GROUP, PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1), {ENDED, 1}, {CLOSED, 1},
      {QUIET}}},
    {"lost by a member with QoS 0", "lost message 0", {0},
     {MIXED_GROUP, PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1), {QUIET}}},
    {"lost when the member with QoS 0 had left", "lost message 0", {0},
     {MIXED_GROUP, {ENDED, 1}, {CLOSED, 1}, PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1),
      {QUIET}}},
    {"to another, though the first acknowledged", "2 times in place of 1", {0},
     {GROUP, PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 1), ANSWERS(1, PUBACK, 1), {ENDED, 1},
      {CLOSED, 1}, GETS(2, 0, 1, 1)}},
    {"to another, for the first was told to go before it acknowledged", NULL, {.drains = true},
     {GROUP, PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 1), ANSWERS(1, PUBACK, 1), {CLOSED, 1},
      GETS(2, 0, 1, 1)}},
    {"turn by turn", NULL, {0},
     {GROUP, {QUIET}, PUBLISHES(0, 0, 1, 1), PUBLISHES(0, 1, 2, 1), GETS(2, 0, 1, 1),
      GETS(1, 1, 1, 1), ACKED(0, PUBACK, 0, 1), ACKED(0, PUBACK, 1, 2), ANSWERS(1, PUBACK, 1),
      ANSWERS(2, PUBACK, 1), {QUIET}}},
    {"out of turn", "one member 2 messages, and another 0", {0},
     {GROUP, {QUIET}, PUBLISHES(0, 0, 1, 1), PUBLISHES(0, 1, 2, 1), GETS(2, 0, 1, 1),
      GETS(2, 1, 2, 1), ACKED(0, PUBACK, 0, 1), ACKED(0, PUBACK, 1, 2), ANSWERS(2, PUBACK, 1),
      ANSWERS(2, PUBACK, 2), {QUIET}}},
    {"out of turn with a full window", NULL, {.max_inflight = 1},
     {GROUP, {QUIET}, PUBLISHES(0, 0, 1, 1), PUBLISHES(0, 1, 2, 1), GETS(2, 0, 1, 1),
      ANSWERS(2, PUBACK, 1), GETS(2, 1, 2, 1), ACKED(0, PUBACK, 0, 1), ACKED(0, PUBACK, 1, 2),
      ANSWERS(2, PUBACK, 2), {QUIET}}},
    {"merged", NULL, {.merges = true},
     {OVERLAPPING, PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1),
      PUBLISH(1, WRITTEN, 0, 1, 1, .identifier_len = 2, .identifiers = {8, 7}),
      ANSWERS(1, PUBACK, 1), {QUIET}}},
    {"merged and lost", "0 times in place of 1", {.merges = true},
     {OVERLAPPING, PUBLISHES(0, 0, 1, 1), ACKED(0, PUBACK, 0, 1), {QUIET}}},
    {"not merged", "2 times in place of 1", {.merges = true},
     {OVERLAPPING, PUBLISHES(0, 0, 1, 1),
      PUBLISH(1, WRITTEN, 0, 1, 1, .identifier_len = 2, .identifiers = {8, 7}),
      PUBLISH(1, WRITTEN, 0, 2, 1, .identifier_len = 2, .identifiers = {8, 7})}},
    {"merged without an identifier", "say together", {.merges = true},
     {OVERLAPPING, PUBLISHES(0, 0, 1, 1),
      PUBLISH(1, WRITTEN, 0, 1, 1, .identifier_len = 1, .identifiers = {8})}},
    {"merged with the lower QoS", "say together", {.merges = true},
     {OVERLAPPING, PUBLISHES(0, 0, 1, 1),
      PUBLISH(1, WRITTEN, 0, 0, 0, .identifier_len = 2, .identifiers = {8, 7})}},
    {"merged with a foreign identifier", "say together", {.merges = true},
     {OVERLAPPING, PUBLISHES(0, 0, 1, 1),
      PUBLISH(1, WRITTEN, 0, 1, 1, .identifier_len = 3, .identifiers = {8, 7, 9})}},
    {"merged and not asked for", "with 2 identifiers", {0},
     {OVERLAPPING, PUBLISHES(0, 0, 1, 1),
      PUBLISH(1, WRITTEN, 0, 1, 1, .identifier = 8, .identifier_len = 2,
              .identifiers = {7, 8})}},
    {"more bytes in flight", "with 20 bytes in flight", {.max_inflight_bytes = 20},
     {TWO, PUBLISHES(0, 0, 1, 1), PUBLISHES(0, 1, 2, 1), GETS(1, 0, 1, 1), GETS(1, 1, 2, 1)}},
    {"no more bytes than may be in flight", NULL, {.max_inflight_bytes = 21},
     {TWO, PUBLISHES(0, 0, 1, 1), PUBLISHES(0, 1, 2, 1), GETS(1, 0, 1, 1), GETS(1, 1, 2, 1)}},
    {"QoS upgraded", NULL, {.upgrades_qos = true},
     {TWO, PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 2)}},
    {"QoS not upgraded", "has no subscription", {.upgrades_qos = true},
     {TWO, PUBLISHES(0, 0, 1, 1), GETS(1, 0, 1, 1)}},
    {"closed with a full queue", NULL, {.may_drop = true, .may_overflow = true},
     {CONNECTS(0, 1), {CLOSED, 0}}},
    {"refused before a word", NULL, {.may_refuse = true},
     {{OPEN, 0, PACKET(CONNECT, .is_clean = true), .actor = 1}, {CLOSED, 0}}},
    {"refused with descriptors", "for no reason", {0}, {{OPEN, 0, PACKET(CONNECT, .is_clean = true), .actor = 1}, {CLOSED, 0}}},
    {"refused after CONNECT", "for no reason", {.may_refuse = true},
     {CONNECTS(0, 1), {CLOSED, 0}}},
    {"keep alive not kept", "is long over", {0},
     {OPENS(0, 1, true, .keep_alive = 10), WELCOMED(0, true), {WAIT, .ms = 20000}, {QUIET}}},
};
/* clang-format on */

static char complaints[2000];

static void complain(void *context, const char *text)
{
    size_t len = strlen(complaints);

    (void)context;
    snprintf(complaints + len, sizeof(complaints) - len, "%s; ", text);
}

static bool is_eager(void *context, unsigned connection)
{
    (void)context;
    (void)connection;
    return true;
}

static void open_connection(struct model *model, const struct event *event)
{
    struct wire_connect connect = event->connect;

    connect.will = connect.will ? connect.will : WIRE_NO_MESSAGE;
    connect.version = MQTT_5_0;
    connect.is_clean = event->packet.is_clean;
    model_on_open(model, event->connection, event->actor, &connect);
}

static void play(struct model *model, const struct event *event, uint64_t *now_ms)
{
    switch (event->what) {
    case OPEN: open_connection(model, event); break;
    case SENT: model_on_sent(model, event->connection, &event->packet); break;
    case READ:
        model_on_touched(model, event->connection);
        model_on_read(model, event->connection, &event->packet);
        break;
    case WRITTEN: model_on_written(model, event->connection, &event->packet); break;
    case TAKEN: model_on_taken(model, event->connection, &event->packet); break;
    case ENDED: model_on_ended(model, event->connection); break;
    case CLOSED: model_on_closed(model, event->connection); break;
    case TOUCHED: model_on_touched(model, event->connection); break;
    case FULL: model_on_full(model, event->connection); break;
    case LATE: model_on_late(model, event->connection, true); break;
    case DROPPED: model_set_drops(model, event->ms); break;
    case WAIT: model_set_time(model, *now_ms += event->ms); break;
    case QUIET: model_check_quiet(model, is_eager, NULL); break;
    case STOPS: model_on_stop(model); break;
    case LAST: model_check_end(model, is_eager, NULL, event->connection); break;
    case END: break;
    }
}

static void play_history(const struct history *history)
{
    struct model_params params = history->params;
    struct model *model;
    const unsigned *len;
    const struct wire_message *known;
    struct wire_message will = {.topic = 0, .size = 20, .qos = 1};
    uint64_t now_ms = 1000;

    params.complain = complain;
    model = model_new(&params);
    known = model_messages(model, &len);
    complaints[0] = '\0';
    wire_set_messages(known, len);
    model_set_time(model, now_ms);
    for (unsigned i = 0; i < ARRAY_LEN(messages); i++) {
        model_new_message(model, i == REPLY ? 2 : 0, &messages[i], false);
    }
    assert_int_equal(model_new_message(model, 1, &will, true), WILL);
    for (const struct event *event = history->events; event->what != END; event++) {
        play(model, event, &now_ms);
    }
    model_free(model);
}

static void test_histories(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(histories); i++) {
        const struct history *history = &histories[i];

        play_history(history);
        if (history->complaint && !strstr(complaints, history->complaint)) {
            fail_msg("%s: no complaint about \"%s\", but: %s", history->name, history->complaint,
                     complaints);
        }
        if (!history->complaint && complaints[0]) {
            fail_msg("%s: %s", history->name, complaints);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
