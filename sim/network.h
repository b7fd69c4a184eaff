#pragma once

/*
 * Network
 *
 * Descriptors that no kernel knows: one listener, and the connections of the fake clients, each two
 * runs of bytes. What the server does with its end goes through src/net/socket.h and
 * src/loop/poller.h, which this module implements; reads are cut, writes are short and connections
 * break by chance.
 */

#include "sim/wire.h"

#define NETWORK_CONNECTION_CAP 512

struct connection;

/* What the server did, told at once; the connection's own state has it already. */
struct network_ops {
    void (*on_read)(struct connection *connection, const struct wire_packet *packet);
    void (*on_written)(struct connection *connection, const struct wire_packet *packet);
    void (*on_closed)(struct connection *connection);
    void (*on_touched)(struct connection *connection); /* read, whatever it was */
    void (*on_full)(struct connection *connection);    /* could not be written to */
};

struct network_params {
    const struct network_ops *ops;
    unsigned cut_permille;            /* of reads */
    unsigned short_permille;          /* of writes */
    unsigned no_descriptors_permille; /* of accepts */
    size_t window;                    /* bytes that a client's side takes unread */
};

/* Bytes of one direction, kept from the first to the last. */
struct stream {
    uint8_t *data;
    size_t cap;
    size_t written;
    size_t read;
};

/* Packets of one direction, as far as they are known whole. */
struct packet_log {
    struct wire_packet *packets;
    unsigned cap;
    unsigned len;
    unsigned read; /* those that the other side has read whole */
};

struct connection {
    unsigned number;
    unsigned actor;
    unsigned version; /* of MQTT */
    int fd;           /* -1: not accepted yet, or closed */
    bool is_accepted;
    bool is_closed;   /* by the server */
    bool is_left;     /* the server sends nothing more, and drops what it reads */
    bool is_finished; /* by the client, properly */
    bool is_reset;    /* by the client or its network */
    bool was_cut;     /* bytes that the server had written got lost */
    struct stream to_server;
    struct stream to_client;
    struct packet_log sent;     /* by the client */
    struct packet_log received; /* from the server; `read` is what the client has looked at */
    size_t decoded;             /* bytes of to_client that are in `received` */
    struct wire_aliases aliases;
};

void network_start(const struct network_params *params);

/* Frees everything. The server has closed all of its descriptors, or the run fails. */
void network_end(void);

int network_listener(void);

/* A client connects; it waits in the listener's queue. NULL: too many already. */
struct connection *network_open(unsigned actor, unsigned version);
unsigned network_len(void);
struct connection *network_connection(unsigned number);

/* The client writes a packet; its end is set. */
void network_send(struct connection *connection, struct wire_packet *packet,
                  const struct wire_connect *connect);

/* Bytes that are no packet. */
void network_send_bytes(struct connection *connection, const void *bytes, size_t len);

/* The client takes up to `max` bytes; packets that are whole then are those before received.read.
 */
void network_take(struct connection *connection, size_t max);
size_t network_waiting(const struct connection *connection);

void network_finish(struct connection *connection);
void network_reset(struct connection *connection);

/* The server's side, for replace/socket.c and replace/poller.c. */

/* Takes the next connection off the listener's queue: NULL when there is none. */
struct connection *network_accept(void);

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

/* replace/poller.c: a descriptor is gone; somebody stands in the listener's queue. */
void poller_forget_descriptor(int fd);
void poller_announce(int fd);

/* Whether the client still has its end. */
static inline bool connection_is_open(const struct connection *connection)
{
    return !connection->is_finished && !connection->is_reset;
}
