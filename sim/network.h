#pragma once

/*
 * Network
 *
 * Descriptors that no kernel knows: listeners, and the connections of the fake clients, each two
 * runs of bytes. What the server does with its end goes through src/net/socket.h and
 * src/loop/poller.h, which this module implements; reads are cut, writes are short and connections
 * break by chance. Behind listeners that are not plain the client's end puts MQTT into frames of
 * WebSocket and these into records of TLS, behind a PROXY header (network_stage.c), and whoever
 * looks at packets sees none of that.
 */

#include "sim/bytes.h"
#include "sim/tls.h"
#include "sim/web.h"
#include "sim/wire.h"

#define NETWORK_CONNECTION_CAP 512

struct connection;

/* The listeners: one for each set of these. */
enum network_port {
    NETWORK_PLAIN = 0,
    NETWORK_WEB = 1,
    NETWORK_TLS = 2,
    NETWORK_PROXY = 4,
    NETWORK_PORT_LEN = 8
};

/* What the server did, told at once; the connection's own state has it already. */
struct network_ops {
    void (*on_read)(struct connection *connection, const struct wire_packet *packet);
    void (*on_written)(struct connection *connection, const struct wire_packet *packet);
    void (*on_closed)(struct connection *connection);
    void (*on_touched)(struct connection *connection); /* read, whatever it was */
    void (*on_full)(struct connection *connection);    /* could not be written to */
    /* Is about to be written to, and if `is_late` more of what it took only a part of. */
    void (*on_writing)(struct connection *connection, bool is_late);
};

struct network_params {
    const struct network_ops *ops;
    unsigned cut_permille;            /* of reads */
    unsigned short_permille;          /* of writes */
    unsigned no_descriptors_permille; /* of accepts */
    size_t window;                    /* bytes that a client's side takes unread */
    unsigned
        linger_ms; /* how long the server has to wait for a client that it has left, at least */
    size_t linger_size; /* bytes that it may read of one meanwhile, but for the last read */
    bool lingers_all;   /* however many there are */
};

/* A packet, and where it ends among the bytes that the other side reads; in a record that is the
 * record's end. */
struct logged_packet {
    struct wire_packet packet;
    size_t wire_end; /* until it is `on_wire`: among the framed ones */
};

/* Packets of one direction, as far as they are known whole. */
struct packet_log {
    struct logged_packet *packets;
    unsigned cap;
    unsigned len;
    unsigned framed;  /* those that are ready for TLS, or on the wire without it */
    unsigned on_wire; /* those whose `wire_end` is known */
    unsigned read;    /* those that the other side has read whole */
};

struct connection {
    unsigned number;
    unsigned actor;
    unsigned version; /* of MQTT */
    unsigned port;    /* of enum network_port */
    int fd;           /* -1: not accepted yet, or closed */
    bool is_accepted;
    bool is_closed; /* by the server */
    bool is_left;   /* the server sends nothing more, and drops what it reads */
    uint64_t left_ms;
    size_t dropped;
    bool is_finished; /* by the client, properly */
    bool is_reset;    /* by the client or its network */
    bool was_cut;     /* bytes that the server had written got lost */
    bool is_behind;   /* it took only a part of what was written last */
    struct bytes to_server;
    struct bytes to_client;
    struct packet_log sent;     /* by the client */
    struct packet_log received; /* from the server; `read` is what the client has looked at */
    struct bytes said;          /* MQTT of the client; what is read is on its way to the server */
    struct bytes heard;         /* MQTT of the server; what is read is in `received` */
    struct wire_aliases aliases;

    /* With WebSocket. */
    struct sim_web web;
    bool is_hasty;     /* sends frames without waiting for the server to agree */
    size_t agreed_end; /* of the server's answer, in to_client; 0: has not come */

    /* With TLS. */
    struct sim_tls tls;
    struct bytes framed; /* of the client; what is read is in records */
    size_t asked_end;    /* in to_client, of what the handshake goes on from */
};

void network_start(const struct network_params *params);

/* Frees everything. The server has closed all of its descriptors, or the run fails. */
void network_end(void);

/* From now on the server waits for nobody. */
void network_on_stop(void);

/* Of what the server read and wrote so far, and in which order. */
uint64_t network_digest(void);

/* Descriptors of all listeners, and whether it is one. */
int network_listener(unsigned port);
bool network_is_listener(int fd);

/* A client connects; it waits in the listener's queue. NULL: too many already. */
struct connection *network_open(unsigned actor, unsigned version, unsigned port);
unsigned network_len(void);
struct connection *network_connection(unsigned number);

/* The client writes a packet; its end is set. */
void network_send(struct connection *connection, struct wire_packet *packet,
                  const struct wire_connect *connect);

/* Bytes that are no packet. */
void network_send_bytes(struct connection *connection, const void *bytes, size_t len);

/* Through TLS that has stood: what can't be opened, behind all that waits, and nothing any more. */
void network_spoil(struct connection *connection);

/*
 * What a client has said to a listener that is not plain may wait, to go out with more: sends it
 * on, as far as it may. False: nothing waits, or it must.
 */
bool network_push(struct connection *connection);

/* Whether all that the client said, its handshakes as well, was read by the server. */
bool network_is_read(const struct connection *connection);

/* The client takes up to `max` bytes; packets that are whole then are those before received.read.
 */
void network_take(struct connection *connection, size_t max);
size_t network_waiting(const struct connection *connection);

void network_finish(struct connection *connection);
void network_reset(struct connection *connection);

/* The server's side, for replace/socket.c and replace/poller.c. */

/* How many connections are in a listener's queue. */
unsigned network_waiting_len(int listener_fd);

/* Takes the next connection off a listener's queue: NULL when there is none. */
struct connection *network_accept(int listener_fd);

/* The connection behind a descriptor. Fails the run when there is none. */
struct connection *network_find(int fd);
const struct network_params *network_settings(void);

/* Bits of enum poller_bits that hold for a descriptor. */
unsigned network_events(int fd);

/* The server has taken `len` bytes; has written this; will say nothing more; has closed. */
void network_on_read(struct connection *connection, size_t len);
void network_on_written(struct connection *connection, const uint8_t *bytes, size_t len);
void network_on_left(struct connection *connection);
void network_on_closed(struct connection *connection);

/*
 * network_stage.c: the client's side of what is between MQTT and a connection. A connection begins;
 * `said` goes on; bytes from `from` on came and their MQTT goes to `heard`, each part told with its
 * end in to_client; the client ends properly, or with what is no TLS; whether nothing waits that is
 * not MQTT.
 */
typedef void (*stage_heard_fn)(struct connection *connection, size_t wire_end);
void stage_begin(struct connection *connection);
bool stage_push(struct connection *connection);
void stage_hear(struct connection *connection, size_t from, stage_heard_fn on_heard);
void stage_finish(struct connection *connection);
void stage_spoil(struct connection *connection);
bool stage_is_done(const struct connection *connection);

/* replace/poller.c: a descriptor is gone; somebody stands in the listener's queue. */
void poller_forget_descriptor(int fd);
void poller_announce(int fd);

/* Whether the client still has its end. */
static inline bool connection_is_open(const struct connection *connection)
{
    return !connection->is_finished && !connection->is_reset;
}
