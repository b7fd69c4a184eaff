#include "client/rights.h"

#include "base/memory.h"
#include "client/client.h"
#include "client/hub.h"

#include <string.h>

/*
 * A decision is remembered with its topic, so that most messages cost a comparison instead of a
 * walk through the rules. What is remembered is about one set of rules: it is the address of these
 * that tells whether it still holds, and a reference keeps that address from being used again.
 *
 * The rules that hold now are the listener's on this worker, see struct server_places: a worker
 * takes them over between two packets, so that no packet is judged by two sets.
 */

#define CACHE_LEN 8 /* a power of two */

/* Longer topics are not remembered. */
#define TOPIC_MAX 57

struct decision {
    uint32_t hash;
    uint8_t rights; /* bits of enum acl_right */
    uint8_t is_set;
    uint8_t topic_len;
    char topic[TOPIC_MAX];
};

static_assert(sizeof(struct decision) == CACHE_LINE, "one line of the cache for each");

/* Owner: its session. */
struct rights {
    struct server_places *places; /* counted */
    struct access *access;        /* counted; what the following two are about; NULL: nothing */
    struct acl_who who;           /* its id is the session's */
    struct decision *decisions;   /* NULL: none yet */
    bool has_username;
    uint16_t username_len;
    char username[];
};

struct rights *rights_new(const struct client *client)
{
    const char *username = client->facts->username;
    size_t len = username ? strlen(username) : 0;
    struct rights *rights = memory_alloc_zero(1, sizeof(*rights) + len);

    if (!rights) {
        return NULL;
    }
    rights->places = server_places_ref(client->facts->listener->places);
    rights->has_username = username != NULL;
    rights->username_len = (uint16_t)len;
    if (len > 0) {
        memcpy(rights->username, username, len);
    }
    return rights;
}

struct rights *rights_free(struct rights *rights)
{
    if (rights) {
        access_unref(rights->access);
        server_places_unref(rights->places);
        memory_free(rights->decisions);
        memory_free(rights);
    }
    return NULL;
}

/* Other rules: nothing that was known holds. */
static void turn(struct rights *rights, struct access *access, struct slice id)
{
    struct slice username = slice_of(rights->username, rights->username_len);

    access_unref(rights->access);
    rights->access = access_ref(access);
    acl_look_up(access_acl(access), id, rights->has_username ? &username : NULL, &rights->who);
    rights->decisions = memory_free(rights->decisions);
}

/* Where a topic's decision is, or would be; NULL: it is not remembered. */
static struct decision *place_of(struct rights *rights, const struct message_parts *parts)
{
    if (parts->topic.len > TOPIC_MAX) {
        return NULL;
    }
    if (!rights->decisions) {
        rights->decisions = memory_alloc_zero(CACHE_LEN, sizeof(*rights->decisions));
    }
    return rights->decisions ? &rights->decisions[parts->topic_hash % CACHE_LEN] : NULL;
}

static bool is_of(const struct decision *decision, const struct message_parts *parts)
{
    return decision->hash == parts->topic_hash && decision->is_set &&
           decision->topic_len == parts->topic.len &&
           memcmp(decision->topic, parts->topic.data, parts->topic.len) == 0;
}

static unsigned ask(struct rights *rights, const struct message_parts *parts)
{
    struct decision *decision = place_of(rights, parts);
    unsigned bits;

    if (decision && likely(is_of(decision, parts))) {
        return decision->rights;
    }
    bits = acl_rights(access_acl(rights->access), &rights->who, parts->topic);
    if (decision) {
        *decision = (struct decision){.hash = parts->topic_hash,
                                      .rights = (uint8_t)bits,
                                      .is_set = true,
                                      .topic_len = (uint8_t)parts->topic.len};
        memcpy(decision->topic, parts->topic.data, parts->topic.len);
    }
    return bits;
}

/* Those of the session that are about the rules that hold now. `access_out`: NULL, there are no
 * rules. NULL: nobody knows. */
static struct rights *find(unsigned worker, struct session *session, struct access **access_out)
{
    struct rights *rights = session->rights;

    if (unlikely(!rights) && session->client) {
        rights = session->rights = rights_new(session->client);
    }
    if (unlikely(!rights)) {
        return NULL;
    }
    *access_out = rights->places->accesses[worker];
    if (!access_acl(*access_out)) {
        *access_out = NULL;
    } else if (unlikely(rights->access != *access_out)) {
        turn(rights, *access_out, session_id(session));
    }
    return rights;
}

bool rights_may(struct shard *shard, struct session *session, const struct message_parts *parts,
                enum peer_right right)
{
    struct access *access;
    struct rights *rights = find(shard->worker, session, &access);

    if (!rights) {
        return false;
    }
    return !access || (ask(rights, parts) & (right == PEER_READ ? ACL_READ : ACL_WRITE)) != 0;
}

void rights_ensure(struct client *client)
{
    struct session *session = client->session;

    if (client->hub->shard->limits.asks_rights && session && !session->rights) {
        session->rights = rights_new(client);
    }
}

bool rights_cover(struct client *client, struct slice filter)
{
    struct access *access;
    struct rights *rights = find(client->hub->shard->worker, client->session, &access);

    if (!rights) {
        return false;
    }
    return !access || acl_covers(access_acl(access), &rights->who, filter);
}
