#pragma once

/*
 * Membership
 *
 * What a session knows of the groups that it is in: whether it can take, and which of them think
 * otherwise. Exists only while the session is in a group. Belongs to its session, which itself has
 * what is looked at for each message: `lacks_room` and `is_full`.
 */

#include "base/list.h"
#include "core/share.h"

/* Private to core/membership.c. */
struct membership {
    struct session *session;
    struct list_link filling; /* in the shard's list: without room since `full_at`, not full yet */
    uint32_t full_at;         /* iteration */
    uint32_t len;
    uint32_t cap;
    uint32_t passed_len; /* the first of `nodes`: groups that pass this member over */
    uint32_t *nodes;     /* of the groups */
};

/* Makes room for one more group, so that joining it can't fail here. -ENOMEM. */
int membership_reserve(struct session *session) MUST_CHECK;

/* Room that was made for a group which was not joined. */
void membership_drop_unused(struct session *session);

/* Answers the group's place. */
uint32_t membership_add(struct session *session, uint32_t node);
void membership_remove(struct shard *shard, struct session *session, uint32_t at);

enum share_state membership_state(const struct session *session);

/* A group found that its member is not able: it is passed over until membership_on_room(). */
void membership_pass_over(struct shard *shard, struct session *session, uint32_t at,
                          enum share_state state);

/* The session was served. */
void membership_on_delivery(struct shard *shard, struct session *session);

/* The peer has room again, or acknowledged something. Harmless without a membership. */
void membership_on_room(struct shard *shard, struct session *session);

/* A client has come, or is gone. Harmless without a membership. */
void membership_on_connect(struct shard *shard, struct session *session);
void membership_on_disconnect(struct shard *shard, struct session *session);

/* At the end of an iteration: those that had no room all through it are full. */
void membership_go_on(struct shard *shard);
