#pragma once

/*
 * Client
 *
 * One connected peer, from accept to close. It owns no session until its CONNECT has arrived at the
 * worker that the client id lives on; it moves there, once. Private to the folder, apart from the
 * pointer.
 */

#include "base/address.h"
#include "base/log.h"
#include "client/server_listener.h"
#include "client/states.h"
#include "core/session.h"
#include "loop/worker.h"
#include "metrics/metrics.h"
#include "mqtt/decode.h"
#include "net/forwarded.h"
#include "net/output.h"
#include "net/proxy.h"
#include "net/stream.h"

struct aliases;
struct hub;
struct hub_listener;
struct ack;
struct login;
struct roster;
struct verification;

/* What an event's source is: the first member of everything that is given to a poller. */
enum source_kind { SOURCE_LISTENER = 1, SOURCE_CLIENT, SOURCE_LINES };

/* The number of the packets of a type; the rows stand in the order of the types. */
#define METRIC_RECEIVED(type) (METRIC_CONNECT_RECEIVED + (unsigned)(type)-MQTT_CONNECT)
#define METRIC_SENT(type)     (METRIC_CONNECT_SENT + (unsigned)(type)-MQTT_CONNECT)

static_assert(METRIC_RECEIVED(MQTT_AUTH) == METRIC_AUTH_RECEIVED, "a row for each type");
static_assert(METRIC_RECEIVED(MQTT_PUBLISH) == METRIC_PUBLISH_RECEIVED, "in their order");
static_assert(METRIC_SENT(MQTT_AUTH) == METRIC_AUTH_SENT, "a row for each type");
static_assert(METRIC_SENT(MQTT_PUBLISH) == METRIC_PUBLISH_SENT, "in their order");

/* An incomplete packet; or all that was read and not handled yet. */
struct client_input {
    struct list_link put_off; /* in the hub's list of the latter */
    struct client *client;
    struct message *room; /* its bytes so far are in room->data */
    uint32_t len;
    uint32_t cap;
    uint32_t total; /* of the packet; 0 while that is not known */
};

/*
 * What a client has from accept to CONNACK, and later only now and then: on the heap as long as
 * there is any of it, since a million idle ones would pay for the room. See client_need_facts().
 */
struct client_facts {
    struct client_input *input;
    struct client_pause *pause; /* of one that is_paused */
    union {
        struct proxy_parser *parser; /* while the header arrives */
        struct client_turn *turn;    /* of one that is_searching; else NULL */
        struct roster *roster;       /* of one that is_listing */
    };
    struct stream *stream;    /* of one that is_staged, from its first byte on */
    struct login *login;      /* from CONNECT until CONNACK */
    struct ack *acks;         /* the oldest of those that wait; NULL: none does */
    uint32_t ack_weight;      /* of all that wait, see client_pause_if_unkept() */
    uint32_t max_packet_size; /* that the peer accepts; UINT32_MAX: any */
    char *username;
    struct slice *aliases; /* topics by alias - 1, each on the heap; NULL until one is used */
    struct aliases *sent_aliases; /* those that it was sent; NULL until one is */
    uint64_t deadline_ms;         /* for the header, CONNECT and the look at its password */
    uint64_t credential;          /* that it was let in by: see access_still_may() */
    uint16_t alias_max;           /* topic aliases that it may be sent */
    struct address told;          /* its own, if that is known, but from no PROXY header */
};

/* What struct client has of the socket's other end. */
enum client_from {
    CLIENT_FROM_IPV4,
    CLIENT_FROM_OTHER, /* `other` */
    CLIENT_FROM_PROXY  /* `proxy`, which has it, too */
};

/* Stands in the worker's list of those that wait for a mailbox, or in the hub's for handshakes.
 * Owner: its client. */
struct client_pause {
    struct list_link link;
    struct client *client;
};

/* Owner: its worker; nobody's while it is in a mailbox. */
struct client {
    uint8_t source; /* SOURCE_CLIENT */
    uint8_t state;  /* enum client_state */
    uint8_t version;
    bool is_blocked; /* the socket takes no more for now */
    int fd;
    struct session *session;
    struct output output;
    struct list_link link; /* in the hub's list of dirty or closing ones */
    struct hub *hub;
    struct server_listener *listener; /* counted */
    struct client_facts *facts;       /* NULL: none. Always there until CONNACK */

    /* What a delivery looks at is above. */

    uint32_t last_seen;    /* second in which something was last read */
    uint32_t connected_at; /* of one that is ready: since then, by the system's clock */
    union {
        uint32_t answer_size;   /* bytes of answers since the output was last empty */
        uint32_t lingered_size; /* of one that is CLIENT_LINGERING: bytes thrown away */
    };
    uint16_t keep_alive;    /* seconds; 0 = none */
    uint8_t large_pages;    /* of its latest packet, if that was large: see client/input.c */
    bool is_polled : 1;     /* the descriptor is in the hub's poller */
    bool is_bridge : 1;     /* another broker: hears nothing of its own, sees retain as published */
    bool is_known : 1;      /* the log has told of the connection */
    bool has_failed : 1;    /* no memory for output: closed when the iteration writes */
    bool is_over_quota : 1; /* the same, because too much waits for it */
    bool is_unwelcome : 1;  /* its CONNACK waits for the store: nothing is written */
    bool is_unkept : 1;     /* not read: too much waits for the store */
    bool is_pending : 1;    /* CONNECT has not come: in the hub's list of these */
    bool is_counted : 1;    /* among the connections of its address */
    bool is_queued : 1;     /* its pause is in the hub's queue for handshakes */
    bool is_staged : 1;     /* its bytes go through the stages of a stream */
    bool is_web : 1;        /* it speaks HTTP, and will never be more: client/web.h */
    bool is_finishing : 1;  /* closed when what it was answered has left */
    uint8_t web_login : 2;  /* enum web_login, of the request that was put off for it */
    bool is_vouched : 1;    /* its user name is that of a certificate */
    bool is_held : 1;       /* not read: it does not read our answers */
    bool is_searching : 1;  /* not read: see client_await_turn() */
    bool is_listing : 1;    /* of one that is_web: what it asked for is made, see client/roster.h */
    bool is_told : 1;       /* something was written to it */
    bool is_cut : 1;        /* its end is not waited for: it has come, or needs no last words */
    bool is_paused : 1;     /* not read: a mailbox is over its mark, or is_queued */
    bool wants_reasons : 1; /* asked for texts beside reason codes */
    uint8_t from : 2;       /* enum client_from */

    struct wheel_timer timer;
    struct list_link in_hub;
    union {
        struct {
            uint8_t ip[4];
            uint16_t port;
        } ipv4;
        struct address *other;
        struct proxy_info *proxy;
    };
};

static_assert(sizeof(struct client) <= 136, "an idle connection is paid for a million times");
static_assert(sizeof(struct client_facts) <= 120, "what malloc has in 128 bytes");

/* NULL: no memory. */
struct client_facts *client_need_facts(struct client *client) MUST_CHECK;

/* Frees them if there are none any more. Not under somebody who looks at them: at the end of a
 * login, and when a keep alive is looked at. */
void client_drop_facts(struct client *client);

static inline struct client_input *client_input(const struct client *client)
{
    return client->facts ? client->facts->input : NULL;
}

static inline struct stream *client_stream(const struct client *client)
{
    return client->facts ? client->facts->stream : NULL;
}

/* The oldest of the acknowledgements that wait. */
static inline struct ack *client_acks(const struct client *client)
{
    return client->facts ? client->facts->acks : NULL;
}

static inline char *client_username(const struct client *client)
{
    return client->facts ? client->facts->username : NULL;
}

/* The size of the largest packet that the peer accepts. */
static inline uint32_t client_packet_max(const struct client *client)
{
    return client->facts ? client->facts->max_packet_size : UINT32_MAX;
}

/* Of the PROXY header; NULL without one. */
static inline const struct proxy_info *client_proxy(const struct client *client)
{
    return client->from == CLIENT_FROM_PROXY ? client->proxy : NULL;
}

/* It is_paused, and its place is in no list yet. NULL: no memory. */
struct client_pause *client_pause_new(struct client *client);

/* It is not paused any more. */
void client_pause_end(struct client_pause *pause);

/* The real address, as far as it is known, and that of the socket's other end: the proxy's. */
struct address client_peer(const struct client *client);
struct address client_socket(const struct client *client);

/* The header, which is taken over. */
void client_set_proxy(struct client *client, struct proxy_info *proxy);

/* Takes a descriptor that was accepted, and its place at the listener. False: no memory, closed. */
bool client_accept(struct hub_listener *listener, int fd, const struct address *peer);

/* client.c */

/* The PROXY header is complete: CONNECT is next. */
void client_on_header(struct client *client);

void client_on_event(struct client *client, unsigned bits);
void client_on_timer(struct client *client);

/* Has the poller watch the descriptor for these bits, whether it did or not. -errno. */
int client_watch(struct client *client, unsigned bits) MUST_CHECK;

/* Frees everything and closes the descriptor. Not before the end of the iteration. */
void client_free(struct client *client);

/* Frees all that only a client needs that is more than a connection. */
void client_strip(struct client *client);

/* Its place among the connections of its listener and its address is another's. */
void client_give_place(struct client *client);

/* The mailbox that the client was paused for has room. */
void client_resume(struct client_pause *pause);

/* "ID [ADDR:PORT]" as it stands in log lines; before CONNECT the address alone is the id. */
#define CLIENT_ADDRESS_CAP 160
#define CLIENT_LABEL_CAP   512
struct slice client_id(const struct client *client); /* raw; empty before CONNECT */
const char *client_label(const struct client *client, char label[CLIENT_LABEL_CAP]);

/* "ADDR:PORT". */
const char *client_address(const struct client *client, char text[CLIENT_ADDRESS_CAP]);

/* " via ADDR:PORT" of the proxy, where there is one; else nothing. */
const char *client_via(const struct client *client, char text[CLIENT_ADDRESS_CAP]);

/* "New connection from ...", once. */
void client_say_new(struct client *client);

/* say.c */

/* Whether lines of this type about a connection are written: ask before names are put together for
 * one. */
bool client_is_logged(const struct client *client, enum log_type type);

/* A line about a connection: written when connection_messages is on. `reason`: NULL if it has none.
 */
void client_log(const struct client *client, enum log_type type, enum log_event event,
                const char *reason, const char *format, ...) PRINTF_LIKE(5, 6);

/* close.c: every way to go */

/* The peer closed, or the socket broke: `text` as in "disconnected: TEXT.". */
#define CLIENT_OUT_OF_MEMORY "out of memory" /* is always told */
void client_lose(struct client *client, const char *text);

/* The peer made a mistake: version 5 is told the reason, the line is logged, the will is sent. */
void client_fail(struct client *client, enum mqtt_reason reason);

/* DISCONNECT came. */
void client_leave(struct client *client, enum session_leave how);

/* Another connection has taken the session, or the server goes: no session is left to leave. */
void client_end(struct client *client, enum mqtt_reason reason);

/*
 * Told to go, by a drain. It has some seconds to take what it was sent before. The session stays as
 * for one that is lost.
 */
void client_send_away(struct client *client, enum mqtt_reason reason);

/* The server stops. */
void client_stop(struct client *client);

/* The PROXY header is not to be had: one line, with the real address where it is known. */
void client_refuse_header(struct client *client, enum proxy_refusal refusal);

/* A text beside the reason code, for a peer that asked for texts; else empty. */
struct slice client_reason_text(const struct client *client, enum mqtt_reason reason);

/* Refuses a CONNECT: CONNACK and close. */
void client_refuse(struct client *client, enum mqtt_reason reason);

/* The same, because there is no room for it now; `text` as in "disconnected: TEXT.". */
void client_refuse_busy(struct client *client, const char *text);

/* What was promised can't be kept: nothing is acknowledged any more. */
void client_fail_unkept(struct client *client);

/* The way they all end: buried at the end of the iteration. */
void client_close(struct client *client);

/* input.c */

/* Something can be read. */
void client_read(struct client *client);

/* The same, but a handshake has to wait for its turn. */
void client_on_readable(struct client *client);

/* Bytes that are to be looked at again when more has come, or in the next iteration. */
void client_keep(struct client *client, struct slice bytes);
void client_put_off(struct client *client, struct slice bytes);

/* Bytes that came with CONNECT are handled as if just read. */
void client_take(struct client *client, struct slice bytes);
void client_input_free(struct client *client);

/* turn.c */

/* What it has published is a long search: nothing more is taken from it before that is over. */
void client_await_turn(struct client *client);

/* Of one that is_searching: it is the drain's turn when that is over. It is the `turns`-th search
 * that it waits for. */
void client_go_after_turn(struct client *client, unsigned turns);
bool client_goes_after_turn(const struct client *client);

/* It is about to be freed. */
void client_leave_turn(struct client *client);

/* input.c, once more */

/* Whether packets that were read wait for the next iteration's budget; handles them. */
bool client_is_put_off(const struct client *client);

/* Handles it now, whatever it costs, as far as it need not wait for a search. */
void client_hear_out(struct client *client);
void client_go_on(struct client *client);

/* Its request for an upgrade was answered; a proxy's may tell whose it is. False: who that is may
 * not come in. */
bool client_on_upgrade(struct client *client, const struct stage_io *io);

/* wire.c: of clients that are staged */

/* Whose word about the client's address is taken from HTTP. */
struct forwarded_trust client_forwarders(const struct client *client);

/* What the bytes of the socket hold for MQTT takes their place. False: the client is lost. */
bool client_open(struct client *client, struct slice *bytes);

/* All that it sent is handled: the end of its stream, or what is wrong with it, is now its own. */
void client_check_stream(struct client *client);

/* Moves output into the stages. False: there was no memory, which is noted. */
bool client_seal(struct client *client);

/*
 * Whether what it sends may be a handshake's, which is work for as long as thousands of packets:
 * one is taken in an iteration, the others wait for their turn.
 */
bool client_must_queue(const struct client *client);
void client_queue(struct client *client);

/* Its turn has come. */
void client_take_turn(struct client_pause *pause);

/* Why it will end, for a stage that can say so: the first reason counts. */
void client_set_reason(struct client *client, enum mqtt_reason reason);

/* The last words of its stages, when all that could be written was. */
void client_end_stream(struct client *client);

/* Of any client: whether something of it is still to be written. */
bool client_has_output(const struct client *client);
size_t client_output_size(const struct client *client);

/* output.c */

/* There is something to be written. */
void client_mark_dirty(struct client *client);

/* Whether nothing is read from it for now. */
static inline bool client_is_stopped(const struct client *client)
{
    return client->is_paused || client->is_held || client->is_unkept || client->is_searching ||
           client->state == CLIENT_LOGIN;
}

/* What the poller is to watch the descriptor for. */
unsigned client_interest(const struct client *client);

/* Makes the poller watch for that. */
void client_update_interest(struct client *client);

/* After its packets were handled: a peer that does not read the answers is not read either. */
void client_hold_if_unread(struct client *client);

/* Room for a packet of up to `size` bytes; NULL: no memory, and the client will be closed. */
uint8_t *client_reserve(struct client *client, size_t size);

/* The answer is complete up to `end`: it leaves at the end of the iteration. */
void client_commit(struct client *client, const uint8_t *end);

/* Writes what the socket takes. Never closes the client: it may be in the middle of a fan-out. */
void client_flush(struct client *client);

/* There was no memory for its output: it will be closed when the iteration writes. */
void client_set_failed(struct client *client);

/* One packet each. */
void client_send_ack(struct client *client, enum mqtt_packet_type type, uint16_t packet_id,
                     enum mqtt_reason reason);
void client_send_codes(struct client *client, enum mqtt_packet_type type, uint16_t packet_id,
                       struct slice codes);
void client_send_disconnect(struct client *client, enum mqtt_reason reason);

/* Where it shall go, if the reason is about that; else empty. */
struct slice client_server_reference(const struct client *client, enum mqtt_reason reason);

extern const struct peer_ops client_peer_ops;

/* packets: one file each */

void client_on_connect(struct client *client, struct slice body, struct slice rest);
void client_on_publish(struct client *client, const struct mqtt_frame *frame, struct slice body);
void client_on_subscribe(struct client *client, struct slice body);
void client_on_unsubscribe(struct client *client, struct slice body);
void client_on_ack(struct client *client, enum mqtt_packet_type type, struct slice body);
void client_on_pingreq(struct client *client, struct slice body);
void client_on_disconnect(struct client *client, struct slice body);

/*
 * arrive.c: at home, after the move or at once, and then with what the buffer still holds; or
 * later, from the hub's list of those that are arriving.
 */
void client_arrive(struct client *client, struct slice rest);

/* Whether the CONNACK that it would get is one that it bears. */
bool client_connack_fits(const struct client *client);

/* client.c: the first second at which one and a half times the keep alive has certainly passed in
 * silence [MQTT-3.1.2-22]. */
uint32_t client_silence_ends(const struct client *client);

/* connect.c: instead of a welcome, also at home. */
void client_refuse_without_memory(struct client *client);
void client_refuse_for_drain(struct client *client);

/*
 * Whether a client that was let in would be let in again, by what its listener says now. One whose
 * listener has closed stays.
 */
bool client_is_allowed(const struct client *client);

/* verify.c */

/*
 * Has the password of a CONNECT looked at; the client waits for that in CLIENT_LOGIN. A verdict, or
 * -ENOMEM: nothing is under way.
 */
enum verify_verdict {
    VERIFY_ASKED,
    VERIFY_FULL /* as many wait as may */
};

int verify_begin(struct client *client, struct access *access, struct slice given) MUST_CHECK;

/* An answer that is about other files than hold now: the same once more. The verdict. */
int verify_again(struct client *client, struct verification *verification,
                 struct access *access) MUST_CHECK;

/* Handles the answers that have come. */
void verify_collect(struct hub *hub);

/* connect.c: the answer. It is the client's to free or to ask again. */
void client_on_verified(struct client *client, struct verification *verification);

/* Its session is kept: what waits in the output may leave, CONNACK first. */
void client_welcome(struct client *client);

/* The expiry interval that a session gets of what its client asked for. */
uint32_t client_cap_expiry(const struct client *client, uint32_t asked);

void client_aliases_free(struct client *client);
