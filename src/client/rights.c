#include "client/rights.h"

#include "base/memory.h"
#include "client/client.h"
#include "client/hub.h"
#include "client/trust.h"

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
#define TOPIC_MAX 58

struct decision {
    uint32_t hash;
    uint8_t rights;    /* bits of enum acl_right */
    uint8_t topic_len; /* 0: there is none */
    uint8_t topic[TOPIC_MAX];
};

static_assert(sizeof(struct decision) == CACHE_LINE, "one line of the cache for each");
static_assert((unsigned)PEER_READ == ACL_READ && (unsigned)PEER_WRITE == ACL_WRITE,
              "the same bits: they are compared for every message");

/* Owner: its session. */
struct rights {
    struct server_places *places; /* counted */
    struct access *access;        /* counted; what the following two are about; NULL: nothing */
    struct acl_who who;           /* its id is the session's; its `tls` is ours, and stays */
    struct decision *decisions;   /* NULL: none yet */
    struct slice author;          /* empty: not asked for yet */
    bool has_username;
    uint16_t username_len;
    char username[];
};

static uint8_t *put(uint8_t *at, struct slice bytes)
{
    return bytes.len > 0 ? mempcpy(at, bytes.data, bytes.len) : at;
}

/* What is known of the client's TLS: it may go before its session does. NULL, with 0: nothing. */
static int copy_tls(const struct client *client, struct acl_tls **tls_out)
{
    struct trust_facts facts;
    struct acl_tls *tls;
    uint8_t *bytes;

    *tls_out = NULL;
    trust_describe(client, &facts);
    if (facts.authority.len + facts.alpn.len == 0) {
        return 0;
    }
    tls = memory_alloc(sizeof(*tls) + facts.authority.len + facts.alpn.len);
    if (!tls) {
        return -ENOMEM;
    }
    bytes = (uint8_t *)(tls + 1);
    *tls = (struct acl_tls){
        .authority = slice_of(bytes, facts.authority.len),
        .alpn = slice_of(bytes + facts.authority.len, facts.alpn.len),
    };
    put(put(bytes, facts.authority), facts.alpn);
    *tls_out = tls;
    return 0;
}

struct rights *rights_new(const struct client *client)
{
    const char *username = client_username(client);
    size_t len = username ? strlen(username) : 0;
    struct rights *rights = memory_alloc_zero(1, sizeof(*rights) + len);
    struct acl_tls *tls;

    if (!rights || copy_tls(client, &tls) < 0) {
        return memory_free(rights);
    }
    rights->who.tls = tls;
    rights->places = server_places_ref(client->listener->places);
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
        memory_free((void *)(uintptr_t)rights->who.tls);
        memory_free((void *)(uintptr_t)rights->author.data);
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
    acl_look_up(access_acl(access), id, rights->has_username ? &username : NULL, rights->who.tls,
                &rights->who);
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

static ALWAYS_INLINE bool is_same_word(const uint8_t *a, const uint8_t *b)
{
    uint64_t x;
    uint64_t y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x == y;
}

/* In words, the last of which may overlap the one before: a call of memcmp(), and the saving of
 * registers for it, costs more. */
static ALWAYS_INLINE bool is_same(const uint8_t *a, const uint8_t *b, size_t len)
{
    if (len < sizeof(uint64_t)) {
        while (len > 0 && a[len - 1] == b[len - 1]) {
            len--;
        }
        return len == 0;
    }
    for (size_t at = 0; at + sizeof(uint64_t) < len; at += sizeof(uint64_t)) {
        if (!is_same_word(a + at, b + at)) {
            return false;
        }
    }
    return is_same_word(a + len - sizeof(uint64_t), b + len - sizeof(uint64_t));
}

static ALWAYS_INLINE bool is_of(const struct decision *decision, const struct message_parts *parts)
{
    return decision->hash == parts->topic_hash && decision->topic_len == parts->topic.len &&
           is_same(decision->topic, parts->topic.data, parts->topic.len);
}

static unsigned ask(struct rights *rights, const struct message_parts *parts)
{
    unsigned bits = acl_rights(access_acl(rights->access), &rights->who, parts->topic);
    struct decision *decision = place_of(rights, parts);

    if (decision) {
        *decision = (struct decision){.hash = parts->topic_hash,
                                      .rights = (uint8_t)bits,
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

    if (!rights && session->client) {
        rights = session->rights = rights_new(session->client);
    }
    if (!rights) {
        return NULL;
    }
    *access_out = rights->places->accesses[worker];
    if (!access_acl(*access_out)) {
        *access_out = NULL;
    } else if (rights->access != *access_out) {
        turn(rights, *access_out, session_id(session));
    }
    return rights;
}

/* What is not remembered: a call of its own, so that what is needs no registers saved. */
static NO_INLINE bool judge(struct shard *shard, struct session *session,
                            const struct message_parts *parts, enum peer_right right)
{
    struct access *access;
    struct rights *rights = find(shard->worker, session, &access);

    if (!rights) {
        return false;
    }
    return !access || (ask(rights, parts) & right) != 0;
}

bool rights_may(struct shard *shard, struct session *session, const struct message_parts *parts,
                enum peer_right right)
{
    const struct rights *rights = session->rights;

    if (likely(rights && rights->decisions &&
               rights->access == rights->places->accesses[shard->worker])) {
        const struct decision *decision = &rights->decisions[parts->topic_hash % CACHE_LEN];

        if (likely(is_of(decision, parts))) {
            return (decision->rights & right) != 0;
        }
    }
    return judge(shard, session, parts, right);
}

void rights_ensure(struct client *client)
{
    struct session *session = client->session;

    if (client->hub->shard->limits.asks_rights && session && !session->rights) {
        session->rights = rights_new(client);
    }
}

/*
 * Authors: what a retained message says of who published it. Its listener, which may have closed
 * and opened again meanwhile, is known by where clients find it.
 */
struct author {
    uint64_t listener;
    uint16_t id_len; /* behind it, and then the others */
    uint16_t username_len;
    uint8_t authority_len;
    uint8_t alpn_len;
    bool has_username;
};

static uint64_t listener_hash(const struct listener_settings *listener)
{
    const char *texts[] = {listener->bind_address, listener->unix_path};
    uint64_t hash = listener->port;
    struct hash_key key;

    hash_key_make(&key, 4);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        hash = hash_chain(hash, hash_bytes(&key, slice_of_text(texts[i] ? texts[i] : "")));
    }
    return hash;
}

struct slice rights_new_author(const struct client *client)
{
    const char *name = client_username(client);
    struct slice username = slice_of_text(name ? name : "");
    struct slice id = client_id(client);
    struct trust_facts facts;
    struct author author;
    uint8_t *bytes;
    uint8_t *at;
    size_t size;

    trust_describe(client, &facts);
    size = sizeof(author) + id.len + username.len + facts.authority.len + facts.alpn.len;
    bytes = size <= UINT16_MAX ? memory_alloc_zero(1, size) : NULL;
    if (!bytes) {
        return slice_of(NULL, 0);
    }
    assert(facts.authority.len <= UINT8_MAX && facts.alpn.len <= UINT8_MAX);
    author = (struct author){.listener = listener_hash(client->listener->settings),
                             .id_len = (uint16_t)id.len,
                             .username_len = (uint16_t)username.len,
                             .authority_len = (uint8_t)facts.authority.len,
                             .alpn_len = (uint8_t)facts.alpn.len,
                             .has_username = name != NULL};
    at = mempcpy(bytes, &author, sizeof(author));
    put(put(put(put(at, id), username), facts.authority), facts.alpn);
    return slice_of(bytes, size);
}

struct slice rights_author(struct client *client)
{
    struct session *session = client->session;

    if (!session->rights) {
        session->rights = rights_new(client);
    }
    if (!session->rights) {
        return slice_of(NULL, 0);
    }
    if (session->rights->author.len == 0) {
        session->rights->author = rights_new_author(client);
    }
    return session->rights->author;
}

/* The rules that hold now at the listener of an author; NULL: there are none, or it has closed. */
static const struct acl *rules_of(const struct hub *hub, uint64_t listener)
{
    for (struct list_link *link = hub->listeners.next; link != &hub->listeners; link = link->next) {
        const struct server_listener *now = CONTAINER_OF(link, struct hub_listener, in_hub)->shared;

        if (listener_hash(now->settings) == listener) {
            return access_acl(now->access);
        }
    }
    return NULL;
}

static struct slice take(struct slice *bytes, size_t len)
{
    struct slice front = slice_of(bytes->data, len);

    *bytes = slice_skip(*bytes, len);
    return front;
}

bool rights_author_may(struct shard *shard, const struct message *message)
{
    struct slice bytes = message_author(message);
    struct slice id;
    struct slice username;
    struct author author;
    const struct acl *acl;
    struct acl_tls tls;
    struct acl_who who;

    assert(bytes.len >= sizeof(author));
    memcpy(&author, bytes.data, sizeof(author));
    acl = rules_of(shard->peer_context, author.listener);
    if (!acl) {
        return true;
    }
    bytes = slice_skip(bytes, sizeof(author));
    id = take(&bytes, author.id_len);
    username = take(&bytes, author.username_len);
    tls.authority = take(&bytes, author.authority_len);
    tls.alpn = take(&bytes, author.alpn_len);
    acl_look_up(acl, id, author.has_username ? &username : NULL, &tls, &who);
    return (acl_rights(acl, &who, message_topic(message)) & ACL_WRITE) != 0;
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
