#pragma once

/*
 * Rights
 *
 * What the client of a session may read and write by the rules of its listener (access/acl.h).
 * Known for as long as the session is, also while nobody is connected: what may not be read must
 * not wait. Rules change at a reload; then all of it is looked up anew. All of the session's
 * worker.
 */

#include "access/acl.h"
#include "base/hash.h"
#include "core/session.h"

struct client;

/* What a client of these would be asked by: of its listener, and its name. NULL: no memory. */
struct rights *rights_new(const struct client *client);
struct rights *rights_free(struct rights *known);

/* As peer_ops wants it. */
bool rights_may(struct shard *shard, struct session *session, struct slice topic,
                uint32_t topic_hash, enum peer_right right);

/* Makes those of a connected client if there are none; before it leaves, they must be there. */
void rights_ensure(struct client *client);

/*
 * Who publishes, to be kept with a retained message: lasts as long as the client's session. Empty:
 * no memory.
 */
struct slice rights_author(struct client *client);

/* The same of one that has no session yet, on the heap: the caller frees `data`. */
struct slice rights_new_author(const struct client *client);

/* As peer_ops wants it. Of a listener that has closed nobody knows, and it may. */
bool rights_author_may(struct shard *shard, const struct message *message);

/* Whether a filter may be subscribed to, where that is asked. */
bool rights_cover(struct client *client, struct slice filter);
