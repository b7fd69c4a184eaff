#include "core/membership.h"

#include "base/memory.h"
#include "core/session_extras.h"
#include "core/shard.h"

/*
 * A member without room is not passed over at once: its acknowledgements may lie unread in the
 * socket. It is noted, and a whole iteration later, when all that had arrived was read, it is full.
 * Its groups are told: all when they are few, else each when it next comes across the member. When
 * there is room again exactly those are told that pass it over, so what is paid then was paid for
 * before by a message each.
 */

#define FIRST_CAP    2u
#define TELL_AT_ONCE 64u

static struct membership *need_membership(struct session *session)
{
    struct session_extras *extras = session_need_extras(session);

    if (extras && !extras->membership) {
        extras->membership = memory_alloc_zero(1, sizeof(*extras->membership));
        if (!extras->membership) {
            session_drop_extras(session);
            return NULL;
        }
        extras->membership->session = session;
        list_init(&extras->membership->filling);
    }
    return extras ? extras->membership : NULL;
}

int membership_reserve(struct session *session)
{
    struct membership *membership = need_membership(session);
    uint32_t cap;
    uint32_t *nodes;

    if (!membership) {
        return -ENOMEM;
    }
    if (membership->len < membership->cap) {
        return 0;
    }
    cap = membership->cap ? membership->cap * 2 : FIRST_CAP;
    nodes = memory_resize(membership->nodes, cap * sizeof(*nodes));
    if (!nodes) {
        membership_drop_unused(session);
        return -ENOMEM;
    }
    membership->nodes = nodes;
    membership->cap = cap;
    return 0;
}

static void forget_lack(struct session *session)
{
    session->lacks_room = false;
    session->is_full = false;
    list_remove(&session_membership(session)->filling);
}

void membership_drop_unused(struct session *session)
{
    struct membership *membership = session_membership(session);

    if (membership && membership->len == 0) {
        forget_lack(session);
        memory_free(membership->nodes);
        session->extras->membership = memory_free(membership);
        session_drop_extras(session);
    }
}

uint32_t membership_add(struct session *session, uint32_t node)
{
    struct membership *membership = session_membership(session);

    assert(membership->len < membership->cap);
    membership->nodes[membership->len] = node;
    return membership->len++;
}

/* A group's place changes: its member row has to know. */
static void set_place(struct shard *shard, struct membership *membership, uint32_t at,
                      uint32_t node)
{
    membership->nodes[at] = node;
    share_member(shard, router_share(shard, node), membership->session)->at = at;
}

static void swap_places(struct shard *shard, struct membership *membership, uint32_t a, uint32_t b)
{
    uint32_t node = membership->nodes[a];

    if (a != b) {
        set_place(shard, membership, a, membership->nodes[b]);
        set_place(shard, membership, b, node);
    }
}

void membership_remove(struct shard *shard, struct session *session, uint32_t at)
{
    struct membership *membership = session_membership(session);

    if (at < membership->passed_len) {
        membership->passed_len--;
        swap_places(shard, membership, at, membership->passed_len);
        at = membership->passed_len;
    }
    swap_places(shard, membership, at, membership->len - 1);
    membership->len--;
    membership_drop_unused(session);
}

enum share_state membership_state(const struct session *session)
{
    if (session->is_over) {
        return SHARE_GONE;
    }
    if (!session->client) {
        return SHARE_AWAY;
    }
    return session->is_full ? SHARE_FULL : SHARE_ABLE;
}

void membership_pass_over(struct shard *shard, struct session *session, uint32_t at,
                          enum share_state state)
{
    struct membership *membership = session_membership(session);
    struct share *share = router_share(shard, membership->nodes[at]);

    if (at >= membership->passed_len) {
        swap_places(shard, membership, at, membership->passed_len);
        membership->passed_len++;
    }
    share_set_state(shard, share, session, state);
}

static void pass_over_in_all(struct shard *shard, struct session *session)
{
    struct membership *membership = session_membership(session);

    for (uint32_t at = 0; membership->len <= TELL_AT_ONCE && at < membership->len; at++) {
        membership_pass_over(shard, session, at, membership_state(session));
    }
}

/* All groups count the member in again. */
static void restore(struct shard *shard, struct session *session)
{
    struct membership *membership = session_membership(session);

    forget_lack(session);
    while (membership->passed_len > 0) {
        uint32_t node = membership->nodes[--membership->passed_len];

        share_set_state(shard, router_share(shard, node), session, SHARE_ABLE);
    }
}

void membership_on_delivery(struct shard *shard, struct session *session)
{
    struct membership *membership;

    if (!session->client || session->lacks_room || session_has_room(shard, session)) {
        return;
    }
    session->lacks_room = true;
    membership = session_membership(session);
    membership->full_at = shard->iteration;
    list_push(&shard->filling, &membership->filling);
}

void membership_on_room(struct shard *shard, struct session *session)
{
    if (session->lacks_room && session->client && session_has_room(shard, session)) {
        restore(shard, session);
    }
}

void membership_on_connect(struct shard *shard, struct session *session)
{
    if (session_membership(session)) {
        restore(shard, session);
        membership_on_delivery(shard, session);
    }
}

void membership_on_disconnect(struct shard *shard, struct session *session)
{
    if (session_membership(session)) {
        forget_lack(session);
        pass_over_in_all(shard, session);
    }
}

/* They stand in the order in which they became full. */
void membership_go_on(struct shard *shard)
{
    while (!list_is_empty(&shard->filling)) {
        struct membership *membership =
            CONTAINER_OF(shard->filling.next, struct membership, filling);

        if (membership->full_at == shard->iteration) {
            return;
        }
        list_remove(&membership->filling);
        membership->session->is_full = true;
        pass_over_in_all(shard, membership->session);
    }
}
