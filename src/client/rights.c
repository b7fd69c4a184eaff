#include "client/rights.h"

#include "base/memory.h"
#include "client/client.h"
#include "client/hub.h"
#include "client/trust.h"

#include <string.h>

/*
 * The rules that hold now are the listener's on this worker, see struct server_rules: a worker
 * takes them over between two packets, so that no packet is judged by two sets.
 *
 * Decisions are remembered for a group: all who have the same rights by these rules. Where a
 * pattern names somebody nobody is known to be like another, and each session is a group of its
 * own. Each set of rules on a worker, of whichever listener, has numbers for its groups that no
 * other has, and greater ones than those before: so a session knows by its number that the rules
 * have changed, and whoever remembers what a group may do, as the match cache does, can't be wrong.
 */

/* Numbers of one set of rules: as many for the groups that they tell as for single sessions. */
#define GROUPS_EACH (2 * ACL_GROUP_MAX)

static_assert((unsigned)PEER_READ == ACL_READ && (unsigned)PEER_WRITE == ACL_WRITE,
              "the same bits: they are compared for every message");

/* Owner: its session. */
struct client_rights {
    struct rights known;          /* what core looks at; the member that the session points to */
    struct server_rules *rules;   /* of `places`, on the session's worker */
    struct acl_who who;           /* its id is the session's; its `tls` is ours, and stays */
    struct server_places *places; /* counted */
    struct slice author;          /* empty: not asked for yet */
    bool has_username;
    uint16_t username_len;
    char username[];
};

static struct client_rights *all_of(struct rights *known)
{
    static_assert(offsetof(struct client_rights, known) == 0, "NULL stays NULL");
    return (struct client_rights *)known;
}

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
    struct client_rights *rights = memory_alloc_zero(1, sizeof(*rights) + len);
    struct acl_tls *tls;

    if (!rights || copy_tls(client, &tls) < 0) {
        return memory_free(rights);
    }
    rights->who.tls = tls;
    rights->places = server_places_ref(client->listener->places);
    rights->rules = &rights->places->rules[client->hub->shard->worker];
    rights->known.group_min = &rights->rules->group_min;
    rights->has_username = username != NULL;
    rights->username_len = (uint16_t)len;
    if (len > 0) {
        memcpy(rights->username, username, len);
    }
    return &rights->known;
}

struct rights *rights_free(struct rights *known)
{
    struct client_rights *rights = all_of(known);

    if (rights) {
        server_places_unref(rights->places);
        memory_free((void *)(uintptr_t)rights->who.tls);
        memory_free((void *)(uintptr_t)rights->author.data);
        memory_free(rights);
    }
    return NULL;
}

/* The number that a group of these rules has, among those of all rules on this worker. */
static uint64_t number_of(struct shard *shard, struct server_rules *rules, uint64_t group)
{
    if (rules->group_min == UINT64_MAX) {
        rules->group_min = ++shard->rules_len * GROUPS_EACH;
    }
    if (group == 0) {
        group = ACL_GROUP_MAX + rules->drawn++;
    }
    assert(group < GROUPS_EACH && shard->rules_len < UINT64_MAX / GROUPS_EACH);
    return rules->group_min + group;
}

/* Other rules (NULL: none, and all may all): nothing that was known holds. */
static void turn(struct shard *shard, struct client_rights *rights, const struct acl *acl,
                 struct slice id)
{
    struct slice username = slice_of(rights->username, rights->username_len);
    uint64_t group = 1;

    if (acl) {
        acl_look_up(acl, id, rights->has_username ? &username : NULL, rights->who.tls,
                    &rights->who);
        group = rights->who.group;
    }
    rights->known.group = number_of(shard, rights->rules, group);
}

/* Those of the session that are about the rules that hold now. `acl_out`: NULL, there are no rules.
 * NULL: nobody knows. */
static struct client_rights *find(struct shard *shard, struct session *session,
                                  const struct acl **acl_out)
{
    struct client_rights *rights;

    if (!session->rights && session->client) {
        session->rights = rights_new(session->client);
    }
    rights = all_of(session->rights);
    if (!rights) {
        return NULL;
    }
    assert(rights->rules == &rights->places->rules[shard->worker]);
    *acl_out = access_acl(rights->rules->access);
    if (!rights_hold(&rights->known)) {
        turn(shard, rights, *acl_out, session_id(session));
    }
    return rights;
}

static unsigned ask(struct client_rights *rights, const struct acl *acl, struct slice topic,
                    uint32_t topic_hash)
{
    struct decisions *decisions = &rights->rules->decisions;
    uint64_t group = rights->known.group;
    const struct decision *decision = decisions_find(decisions, group, topic, topic_hash);
    unsigned bits;

    if (decision) {
        return decision->rights;
    }
    bits = acl_rights(acl, &rights->who, topic);
    decisions_keep(decisions, group, topic, topic_hash, bits);
    return bits;
}

/* What is not where it was looked for at once: a call of its own, so that the rest needs no
 * registers saved. */
static NO_INLINE bool judge(struct shard *shard, struct session *session, struct slice topic,
                            uint32_t topic_hash, enum peer_right right)
{
    const struct acl *acl;
    struct client_rights *rights = find(shard, session, &acl);

    if (!rights || !acl) {
        return rights != NULL;
    }
    return (ask(rights, acl, topic, topic_hash) & right) != 0;
}

bool rights_may(struct shard *shard, struct session *session, struct slice topic,
                uint32_t topic_hash, enum peer_right right)
{
    const struct client_rights *rights = all_of(session->rights);

    if (likely(rights_hold(session->rights) && rights->rules->decisions.places)) {
        const struct decision *decision =
            decisions_find_first(&rights->rules->decisions, rights->known.group, topic, topic_hash);

        if (likely(decision)) {
            return (decision->rights & right) != 0;
        }
    }
    return judge(shard, session, topic, topic_hash, right);
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
    struct client_rights *rights;

    if (!session->rights) {
        session->rights = rights_new(client);
    }
    rights = all_of(session->rights);
    if (!rights) {
        return slice_of(NULL, 0);
    }
    if (rights->author.len == 0) {
        rights->author = rights_new_author(client);
    }
    return rights->author;
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
    const struct acl *acl;
    struct client_rights *rights = find(client->hub->shard, client->session, &acl);

    if (!rights) {
        return false;
    }
    return !acl || acl_covers(acl, &rights->who, filter);
}
