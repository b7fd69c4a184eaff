#pragma once

/*
 * Linger
 *
 * The end of a connection that was told something: our side is closed, and what the peer still
 * sends is read and thrown away until it closes as well. All of this belongs to the client's
 * worker.
 */

#include "base/base.h"

struct client;
struct hub;
struct server_listener;

/*
 * Its last words are written. True: it is a connection that lingers, and nothing else of the client
 * is left. False: it is to be freed now, for there is nothing to wait for.
 */
bool linger_begin(struct client *client) MUST_CHECK;

/* Of one that lingers: something came, or the peer is gone. */
void linger_on_event(struct client *client);

/* It has lingered for long enough: its place is free, its descriptor at the end of the iteration.
 */
void linger_end(struct client *client);

/* The oldest ends, where that frees a place of the listener, or any where that is NULL. False: none
 * does. */
bool linger_make_way(struct hub *hub, const struct server_listener *listener);

/* There is no descriptor: the oldest end. False: none lingers. */
bool linger_give_descriptors(struct hub *hub);

/* The worker stops. */
void linger_stop(struct hub *hub);
