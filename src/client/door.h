#pragma once

/*
 * Door
 *
 * Who may come in, between a listening socket and CONNECT: what happens when descriptors or memory
 * run out, how many connections may be without a CONNECT, and what one address may have.
 */

#include "base/hash.h"
#include "base/wheel.h"

#include <stdatomic.h>

struct addresses;
struct client;
struct hub;
struct hub_listener;
struct reserve;

/* What runs out. */
enum shortage_kind { SHORTAGE_DESCRIPTORS, SHORTAGE_MEMORY, SHORTAGE_LEN };

/* From the first connection that could not be had until none was for a while. Any worker. */
struct shortage {
    _Atomic uint32_t last_s;  /* second of the latest one; 0: there is enough */
    _Atomic uint32_t refused; /* connections, since the first */
};

/* What all workers share. Owner: the server. */
struct door {
    struct shortage shortages[SHORTAGE_LEN];
    struct reserve *reserve;
    struct addresses *addresses;
    struct addresses *proxies;  /* connections whose PROXY header is not complete */
    uint32_t pending_default;   /* max_pending_connections where it is not set; 0: no limit */
    uint32_t lingering_default; /* max_lingering_connections likewise */
    uint32_t worker_len;
    unsigned long file_limit; /* files that the process may open; 0: unknown */
    /* Connections without a CONNECT, and such as linger. Apart from what all workers only read. */
    _Atomic uint32_t pending_len CACHE_ALIGNED;
    _Atomic uint32_t lingering_len;
};

/* `file_limit`: the files that the process may open; 0: unknown. -ENOMEM. */
int door_init(struct door *door, const struct hash_key *key, unsigned worker_len,
              unsigned long file_limit) MUST_CHECK;
void door_deinit(struct door *door);

/* reserve.c */

/* What one worker refuses for want of something. Owner: it. */
struct refusing {
    uint32_t second; /* `len` is of this one */
    uint32_t len;
    struct wheel_timer timer; /* to see the end of a shortage */
};

/* Empty: to be filled. -ENOMEM. */
int reserve_new(unsigned worker_len, struct reserve **reserve_out) MUST_CHECK;
struct reserve *reserve_free(struct reserve *reserve);

/* Takes what is missing. False: there is no descriptor for that, and so none for a client. */
bool reserve_fill(struct reserve *reserve);

/*
 * There was no descriptor, or no memory, for who waits at the listener: takes and closes them, so
 * that they need not wait for nothing. False: somebody may still wait and can't be taken now.
 */
bool reserve_refuse(struct hub_listener *listener, enum shortage_kind kind);

/* The same about one connection that was closed already; the next one may have better luck. False:
 * there were too many in this second. */
bool reserve_on_refused(struct hub_listener *listener, enum shortage_kind kind);

/* Of `refusing`. */
void reserve_on_timer(struct hub *hub);

/* pending.c */

/* No CONNECT has come yet. Closes the oldest such connection when there are too many. */
void pending_begin(struct client *client);

/* CONNECT was accepted, or the connection is over. Nothing for one that is not pending. */
void pending_end(struct client *client);

/* How many may be; 0: no limit. */
uint32_t pending_limit(const struct hub *hub);

/* admit.c */

/*
 * A PROXY header must come first, and is waited for: counts the connection, which will be pending,
 * among those of its proxy that are at that, or refuses and closes it. False: it is closed.
 */
bool admit_header(struct client *client) MUST_CHECK;

/* The header is complete, or the connection is over: before its state changes, and it is pending no
 * more. Nothing for one that was not waited for at its header. */
void admit_header_end(const struct client *client);

/*
 * The address is known: counts the connection, or refuses and closes it. False: it is closed. An
 * address that is not the client's own is not to be given: its proxy would be limited.
 */
bool admit_client(struct client *client) MUST_CHECK;

/* CONNECT has come with a password. False: its address was banned meanwhile, and it is closed. */
bool admit_login(struct client *client) MUST_CHECK;

/* Its login has failed; before it is told. */
void admit_failed(struct client *client);

/* The connection is over. */
void admit_end(const struct client *client);
