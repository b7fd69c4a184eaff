#pragma once

/*
 * Wire
 *
 * What the fake clients say and hear, in short: packets as small records with the numbers that the
 * model needs, and the bytes they stand for. Every message has a payload of its own, by which it is
 * known wherever it turns up.
 */

#include "mqtt/decode.h"

#define WIRE_NO_MESSAGE UINT32_MAX
#define WIRE_FILTER_CAP 4

/* Subscription identifiers of one PUBLISH. */
#define WIRE_IDENTIFIER_CAP 20

struct wire_packet {
    size_t begin; /* offsets in its stream */
    size_t end;
    enum mqtt_packet_type type;
    uint16_t packet_id;
    uint8_t qos; /* PUBLISH */
    bool dup;
    bool retain;
    bool is_clean;            /* CONNECT; the CONNACK of a session that was there says false */
    uint8_t code;             /* CONNACK, acknowledgements, DISCONNECT */
    uint32_t message;         /* PUBLISH */
    uint16_t receive_maximum; /* CONNACK; 0: none given */
    uint16_t alias_maximum;   /* CONNACK: topic aliases that the client may use */
    uint16_t alias;           /* PUBLISH of a client; 0: none */
    bool is_alias_alone;      /* without the topic, which the alias stands for */
    bool has_expiry;          /* PUBLISH of a server, DISCONNECT */
    uint32_t expiry;          /* seconds; of the message, or that the session is to have */
    uint32_t identifier;      /* SUBSCRIBE, PUBLISH of a server: one of them; 0: none */
    unsigned identifier_len;  /* PUBLISH of a server */
    uint32_t identifiers[WIRE_IDENTIFIER_CAP];
    unsigned filter_len; /* SUBSCRIBE, UNSUBSCRIBE, and the codes of their answers */
    uint8_t filters[WIRE_FILTER_CAP];
    uint8_t codes[WIRE_FILTER_CAP]; /* SUBSCRIBE: the options byte */
};

/* The rest of a CONNECT. */
struct wire_connect {
    const char *client_id;
    unsigned version;
    bool is_clean;
    uint16_t keep_alive;
    uint16_t receive_maximum; /* 5.0; 0: not sent */
    uint32_t expiry_interval; /* 5.0; 0: not sent */
    uint32_t will;            /* a message, or WIRE_NO_MESSAGE */
    uint32_t will_delay;      /* 5.0 */
    uint16_t alias_maximum;   /* 5.0: topic aliases that the server may use */
    uint32_t packet_maximum;  /* 5.0: bytes; 0: not sent */
};

/* Payloads lie far enough from every limit that properties make no difference. */
#define WIRE_PACKET_ROOM 200u

static inline bool wire_fits(uint32_t packet_maximum, uint32_t payload_size)
{
    return packet_maximum == 0 || payload_size + WIRE_PACKET_ROOM <= packet_maximum;
}

/* The universe: what topics and filters there are. */
#define WORLD_TOPIC_LEN  12
#define WORLD_FILTER_LEN 16
#define WORLD_ALL        0u  /* the filter "#" */
#define WORLD_ALL_HIDDEN 13u /* "$x/#", which "#" does not match */

/* Behind the filters come those of shared subscriptions, which match as what is shared does. */
#define WORLD_GROUP_LEN 4
#define WORLD_NAME_LEN  (WORLD_FILTER_LEN + WORLD_GROUP_LEN)

const char *world_topic(unsigned topic);
const char *world_filter(unsigned filter);
bool world_matches(unsigned filter, unsigned topic);

static inline bool world_is_shared(unsigned filter)
{
    return filter >= WORLD_FILTER_LEN;
}

/* Messages by number: what they consist of on the wire. */
#define WIRE_MESSAGE_CAP 512

struct wire_message {
    unsigned topic;
    uint32_t size;   /* of the payload; 0: clears the topic's retained message */
    uint32_t expiry; /* 5.0: seconds; 0: none */
    uint8_t qos;
    bool retain;
};

/* What a server's topic aliases stand for on one connection. */
#define WIRE_ALIAS_CAP 8

struct wire_aliases {
    uint16_t maximum;
    uint8_t topics[WIRE_ALIAS_CAP]; /* 1 + topic; 0: not set */
};

/* The caller keeps them; valid until the next call. */
void wire_set_messages(const struct wire_message *messages, const unsigned *len);

/* The bytes of a client's packet; the caller frees them. */
uint8_t *wire_encode(unsigned version, const struct wire_packet *packet,
                     const struct wire_connect *connect, size_t *len_out);

/* Decodes one packet of the server; its size, or 0 when it is not whole. Fails the run when the
 * bytes are no packet, or not one that a server may send. */
size_t wire_decode(unsigned version, struct slice bytes, struct wire_aliases *aliases,
                   struct wire_packet *packet_out);

/* One line for the trace. */
const char *wire_describe(const struct wire_packet *packet);
