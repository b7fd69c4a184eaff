#pragma once

/*
 * The model's state: private to model*.c.
 */

#include "sim/model.h"

#define NEVER         UINT64_MAX
#define KNOWN_WORDS   (WIRE_MESSAGE_CAP / 64)
#define NO_SESSION    UINT32_MAX
#define NO_CONNECTION UINT32_MAX

/* Virtual time may pass within one iteration of a worker, which knows the time of its beginning. */
#define TIME_SLACK_MS 2000

/* So long a client that was sent away may take to close, and a tick. */
#define LEAVING_MS 6000

struct known {
    uint64_t words[KNOWN_WORDS];
};

struct model_message {
    unsigned publisher; /* actor; a will is a publisher of its own */
    uint64_t first_sent;
    uint64_t last_sent;
    uint64_t acked; /* PUBACK or PUBREC written; 0: not yet */
    uint64_t first_read_ms;
    uint64_t last_read_ms;
    unsigned sent_len;
    unsigned read_len;
    unsigned session_len; /* sessions of its publisher that it was read in, one behind the other */
    unsigned session;     /* the latest of them */
    unsigned connection;  /* the last one it was sent on */
    bool is_will;
    bool will_must; /* it is due */
    bool will_must_not;
    struct known known; /* what its publisher knew of when it was first sent */
};

/* An answer that the server owes. */
struct awaited {
    enum mqtt_packet_type type;
    uint16_t packet_id;
    uint32_t message; /* of a PUBLISH */
    uint64_t read;
    struct wire_packet of; /* SUBSCRIBE, UNSUBSCRIBE */
};

struct model_connection {
    unsigned actor;
    unsigned version;
    unsigned session;
    bool is_clean;
    uint16_t keep_alive;
    uint32_t window; /* 0: none */
    uint32_t packet_maximum;
    uint32_t expiry;
    uint32_t will;
    uint32_t will_delay;
    uint64_t opened;
    uint64_t connect_read;
    uint64_t connack; /* written, with success */
    uint64_t disconnect_sent;
    uint64_t disconnect_read;
    uint8_t disconnect_code;
    bool disconnect_has_expiry;
    uint64_t ended;    /* by the client */
    uint64_t closed;   /* by the server */
    uint64_t replaced; /* CONNACK written to another one with this id */
    uint64_t opened_ms;
    uint64_t connack_ms;
    uint64_t connect_read_ms;
    uint64_t last_read_ms;
    uint64_t closed_ms;
    uint64_t
        will_due_ms; /* time moves in leaps: the first after closing when it could be noticed */
    bool was_full;
    bool is_late; /* what is written to it now was begun before */
    bool sent_garbage;
    bool refused;
    struct awaited *awaited;
    unsigned awaited_len;
    unsigned awaited_cap;
};

/* Bits of a SUBSCRIBE's options; above them is Retain Handling. */
#define EPISODE_NO_LOCAL     4u
#define EPISODE_AS_PUBLISHED 8u

/* One subscription of a session, from SUBSCRIBE to UNSUBACK. */
struct episode {
    unsigned filter;
    uint8_t options;
    uint32_t identifier;
    unsigned connection;
    unsigned subscribe_len; /* SUBSCRIBEs that made or replaced it */
    unsigned suback_len;
    uint64_t sub_sent;
    uint64_t sub_acked;
    uint64_t last_acked; /* the latest SUBACK */
    uint64_t unsub_sent;
    uint64_t unsub_acked;
};

enum flight_state {
    FLIGHT_SENT,
    FLIGHT_RECEIVED, /* PUBREC read */
    FLIGHT_DONE      /* PUBACK or PUBCOMP read */
};

struct flight {
    uint16_t packet_id;
    uint8_t qos;
    enum flight_state state;
    uint32_t message;
    unsigned connection; /* last sent on */
    unsigned group;      /* the shared filter that it came of; 0: none */
};

/* Something that was written to a session for the first time. */
struct instance {
    uint32_t message;
    uint32_t identifier;
    uint8_t group; /* the shared filter that it came of; 0: none */
    uint8_t qos;
    bool retain;
    bool is_replay;
    bool may_be_replay;
    bool may_be_live;
    bool is_first; /* of this message and QoS class, live */
};

struct model_session {
    unsigned actor;
    unsigned connection; /* holder, or the last one */
    unsigned connection_len;
    bool is_over;
    uint32_t expiry;
    uint64_t left_ms; /* when the last connection was closed; 0: connected */
    struct episode *episodes;
    unsigned episode_len;
    unsigned episode_cap;
    struct flight *flights;
    unsigned flight_len;
    unsigned flight_cap;
    struct instance *log;
    unsigned log_len;
    unsigned log_cap;
    uint16_t live[3][WIRE_MESSAGE_CAP]; /* instances by QoS */
    uint16_t replayed[3][WIRE_MESSAGE_CAP];
};

/* Since when nothing has happened to the members of a group that would change whose turn it is. */
struct model_group {
    uint64_t calm_since; /* a quiet moment; 0: there was none since */
};

struct model {
    struct model_params params;
    uint64_t now_ms;
    uint64_t stamp;
    bool is_stopping;
    uint64_t drop_len; /* deliveries that the server says it dropped for a limit */
    unsigned message_len;
    struct wire_message wire[WIRE_MESSAGE_CAP];
    struct model_message messages[WIRE_MESSAGE_CAP];
    struct model_connection connections[MODEL_CONNECTION_CAP];
    unsigned connection_len;
    struct model_session **sessions;
    unsigned session_len;
    unsigned session_cap;
    unsigned session_of[MODEL_ACTOR_CAP];
    uint64_t last_connack[MODEL_ACTOR_CAP];
    struct model_group groups[WORLD_GROUP_LEN];
    struct known known_by[MODEL_ACTOR_CAP]; /* received by this actor */
    struct known acked;                     /* acknowledged to anybody */
};

void model_complain(struct model *model, const char *format, ...) PRINTF_LIKE(2, 3);
void *model_grow(void *array, unsigned len, unsigned *cap, size_t size);

static inline struct model_session *model_session(struct model *model, unsigned number)
{
    return number == NO_SESSION ? NULL : model->sessions[number];
}

static inline void known_add(struct known *known, uint32_t message)
{
    known->words[message / 64] |= UINT64_C(1) << message % 64;
}

static inline bool known_has(const struct known *known, uint32_t message)
{
    return (known->words[message / 64] >> message % 64 & 1) != 0;
}

static inline void known_merge(struct known *known, const struct known *other)
{
    for (unsigned i = 0; i < KNOWN_WORDS; i++) {
        known->words[i] |= other->words[i];
    }
}

static inline unsigned qos_class(unsigned qos)
{
    return qos > 0;
}

/* Instances of a class: QoS 0, or QoS 1 and 2. */
static inline unsigned session_live(const struct model_session *session, unsigned class,
                                    uint32_t message)
{
    return class == 0 ? session->live[0][message]
                      : session->live[1][message] + (unsigned)session->live[2][message];
}

/* Whether another connection with the same client id may have taken this one's place. */
bool model_has_rival(const struct model *model, unsigned connection);

/* model_wills.c */

/* The connection is closed: what becomes of its will. */
void model_judge_will(struct model *model, unsigned connection);

/* Another connection has the session now, before the will's delay was over. */
void model_forget_delayed(struct model *model, unsigned connection);

/* A will is delivered. */
void model_check_will(struct model *model, uint32_t message);

/* Expiry of messages. A worker may be up to TIME_SLACK_MS behind or have the next second begun. */

/* When it was published, at the earliest and at the latest. */
uint64_t model_first_published_ms(const struct model *model, uint32_t message);
uint64_t model_last_published_ms(const struct model *model, uint32_t message);

/* Whether the client takes packets as large as the message. */
bool model_fits(const struct model *model, const struct model_session *session, uint32_t message);

/* It may be over. */
bool model_may_be_expired(const struct model *model, uint32_t message);

/* model_merged.c: one copy for all subscriptions that match. */

/* As allowed_copies(), of whatever form. */
unsigned model_merged_copies(const struct model *model, const struct model_session *session,
                             const struct instance *like);

/* The copy has the highest QoS, RETAIN and the identifiers of the subscriptions that stand. */
void model_check_merged(struct model *model, const struct model_session *session,
                        const struct wire_packet *packet);

/* model_groups.c */

/* Whether what comes may be a group's: `instance->group` is set. */
bool model_is_of_group(const struct model *model, const struct model_session *session,
                       struct instance *instance);

/* An instance that is of a group. */
void model_on_shared(struct model *model, struct model_session *session, struct instance *instance,
                     uint16_t packet_id);

/* Something has happened to a session that may change what its groups give it; NULL: to all. */
void model_disturb(struct model *model, const struct model_session *session);

/* At a quiet moment. */
void model_check_groups(struct model *model,
                        bool (*is_settled)(void *context, const struct model_session *session),
                        void *context, bool is_end);

/* model_check.c: a message that every subscriber must have by now. */
bool model_is_due(const struct model *model, uint32_t message, bool is_end);

/* model.c */

/* A session may be over by time: 1 yes, 0 no, -1 who knows. */
int model_is_expired(const struct model *model, const struct model_session *session);

/* model_delivery.c */
struct flight *model_find_flight(struct model_session *session, uint16_t packet_id);
void log_instance(struct model_session *session, const struct instance *instance);
unsigned publications_of(const struct model *model, uint32_t message);
int options_qos(const struct model *model, unsigned options, unsigned published);

void model_on_publish_written(struct model *model, unsigned connection,
                              const struct wire_packet *packet);
void model_on_pubrel_written(struct model *model, unsigned connection,
                             const struct wire_packet *packet);
void model_on_ack_read(struct model *model, unsigned connection, const struct wire_packet *packet);

/* What an episode makes of a message: the QoS of its delivery; -1 when it does not match. */
int episode_qos(const struct model *model, const struct model_session *session,
                const struct episode *episode, uint32_t message);

/* Not of a group, and matches. */
static inline bool episode_covers(const struct episode *episode, unsigned topic)
{
    return !world_is_shared(episode->filter) && world_matches(episode->filter, topic);
}

/* model_check.c uses: whether the subscription stood before the message was sent, and stands. */
static inline bool episode_is_certain(const struct episode *episode, uint64_t first_sent)
{
    return episode->sub_acked && episode->sub_acked < first_sent && !episode->unsub_sent;
}
