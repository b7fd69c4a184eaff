#include "core/match.h"

#include "base/memory.h"
#include "base/point.h"
#include "core/router.h"
#include "core/shard.h"

#include <limits.h>

/*
 * Each worker keeps the answers of its latest searches. An answer is good while two versions hold,
 * that of the topic's hash slot and that of all wildcard filters, which are read before the search
 * begins: a writer raises them after its change is visible, and before it retires anything.
 */

#define CACHE_SET_LEN 2048
#define CACHE_WAYS    2
#define CACHE_TOPIC   88

/* 128 bytes: two lines. */
struct match_entry {
    uint64_t topic_hash;
    uint64_t wildcard_version; /* 0: never filled */
    uint32_t version;
    uint8_t topic_len;
    uint8_t node_len;
    uint32_t nodes[MATCH_CACHE_NODES];
    uint8_t topic[CACHE_TOPIC];
};

/* Apart from the entries, and looked at only where rights are asked for. A topic's groups are right
 * for as long as it has its entry, whatever becomes of that: what they may do never changes. */
struct match_known {
    uint64_t reader;
    uint64_t writer;
};

struct match_cache {
    struct match_entry entries[CACHE_SET_LEN][CACHE_WAYS];
    struct match_known known[CACHE_SET_LEN * CACHE_WAYS]; /* in the order of the entries */
};

static_assert(sizeof(struct match_entry) == 128, "an entry is two cache lines");

struct match_cache *match_cache_new(void)
{
    return memory_must_alloc_zero(1, sizeof(struct match_cache));
}

struct match_cache *match_cache_free(struct match_cache *cache)
{
    return memory_free(cache);
}

/* So many steps of a search cost as much of the budget as one delivery: filters with wildcards at
 * every level can make it long. The first few are paid for by what is searched for. */
#define STEPS_OF_A_DELIVERY 2
#define STEPS_PAID          8

/* Fills a cache entry while the caller's visitor sees the nodes. */
struct match_fill {
    struct match_entry *entry;
    bool too_many;
    struct search_visitor visitor;
};

static void fill_visit(void *context, uint32_t node, uint64_t word)
{
    struct match_fill *fill = context;

    if (fill->entry->node_len < MATCH_CACHE_NODES) {
        fill->entry->nodes[fill->entry->node_len++] = node;
    } else {
        fill->too_many = true;
    }
    fill->visitor.visit(fill->visitor.context, node, word);
}

static uint64_t wildcard_version(const struct router *router)
{
    return atomic_load_explicit(&router->wildcard_version, memory_order_acquire);
}

static uint32_t version_of(const struct router *router, uint64_t topic_hash)
{
    return atomic_load_explicit(&router->versions[topic_hash % ROUTER_VERSION_LEN],
                                memory_order_acquire);
}

static bool entry_is_valid(const struct router *router, const struct match_entry *entry)
{
    return entry->wildcard_version == wildcard_version(router) &&
           entry->version == version_of(router, entry->topic_hash);
}

static bool entry_is_for(const struct match_entry *entry, struct slice topic, uint64_t topic_hash)
{
    return entry->topic_hash == topic_hash &&
           slice_is_equal(slice_of(entry->topic, entry->topic_len), topic);
}

static struct match_entry *set_of(const struct shard *shard, uint64_t topic_hash)
{
    return shard->cache->entries[topic_hash / ROUTER_VERSION_LEN % CACHE_SET_LEN];
}

/* Nothing is found then, and nothing need be remembered: up to a fifth of what it takes to load
 * retained values before anybody subscribes, where neighbours empty the caches. */
static bool is_without_filters(const struct shard *shard)
{
    return tree_len(shard->core->router.tree) == 0;
}

void match_prefetch(const struct shard *shard, uint64_t topic_hash)
{
    const struct match_entry *set = set_of(shard, topic_hash);

    if (is_without_filters(shard)) {
        return;
    }
    for (unsigned way = 0; way < CACHE_WAYS; way++) {
        PREFETCH(&set[way].topic_hash);
        PREFETCH(&set[way].topic[CACHE_TOPIC - 1]);
    }
}

/* The entry of a topic, valid or not; NULL: it has none. */
static ALWAYS_INLINE struct match_entry *entry_of(const struct shard *shard, struct slice topic,
                                                  uint64_t topic_hash)
{
    struct match_entry *set = set_of(shard, topic_hash);

    for (unsigned way = 0; way < CACHE_WAYS; way++) {
        if (entry_is_for(&set[way], topic, topic_hash)) {
            return &set[way];
        }
    }
    return NULL;
}

static ALWAYS_INLINE struct match_known *known_of(const struct shard *shard,
                                                  const struct match_entry *entry)
{
    return &shard->cache->known[entry - shard->cache->entries[0]];
}

/* What this worker remembers of the topic, if that still holds; else NULL. */
static ALWAYS_INLINE const struct match_entry *
entry_that_holds(const struct shard *shard, struct slice topic, uint64_t topic_hash)
{
    const struct match_entry *entry = entry_of(shard, topic, topic_hash);

    return likely(entry && entry_is_valid(&shard->core->router, entry)) ? entry : NULL;
}

/* The topic's own, else that of the older way; what is used again moves up when it is filled again.
 */
static struct match_entry *entry_to_fill(const struct shard *shard, struct slice topic,
                                         uint64_t topic_hash)
{
    struct match_entry *entry = entry_of(shard, topic, topic_hash);
    struct match_entry *set = set_of(shard, topic_hash);

    if (!entry) {
        set[1] = set[0];
        *known_of(shard, &set[1]) = *known_of(shard, &set[0]);
        entry = &set[0];
        *known_of(shard, entry) = (struct match_known){0};
    }
    entry->topic_hash = topic_hash;
    entry->node_len = 0;
    entry->topic_len = (uint8_t)topic.len;
    memcpy(entry->topic, topic.data, topic.len);
    return entry;
}

bool match_cached(struct shard *shard, struct slice topic, uint64_t topic_hash,
                  struct match_found *found_out)
{
    const struct match_entry *entry =
        is_without_filters(shard) ? NULL : entry_that_holds(shard, topic, topic_hash);

    assert_owner(shard->worker);
    found_out->len = 0;
    found_out->groups = (struct match_groups){0};
    if (unlikely(!entry)) {
        return false;
    }
    if (unlikely(shard->limits.asks_rights)) {
        const struct match_known *known = known_of(shard, entry);

        found_out->groups.reader = known->reader;
        found_out->groups.writer = known->writer;
    }
    for (unsigned i = 0; i < entry->node_len; i++) {
        uint64_t word;

        point("cached match");
        word = tree_word(shard->core->router.tree, entry->nodes[i]);
        point("word read");
        if (word != 0) {
            match_found_add(found_out, entry->nodes[i], word);
        }
    }
    return true;
}

void match_keep_groups(struct shard *shard, struct slice topic, uint64_t topic_hash,
                       const struct match_groups *groups)
{
    const struct match_entry *entry = entry_of(shard, topic, topic_hash);

    assert_owner(shard->worker);
    if (entry) {
        *known_of(shard, entry) =
            (struct match_known){.reader = groups->reader, .writer = groups->writer};
    }
}

static NO_INLINE bool match_uncached(struct shard *shard, struct slice topic, unsigned steps,
                                     struct search_visitor visitor)
{
    bool is_whole = search_at_once(shard->core->router.tree, topic, &steps, visitor);

    if (steps > STEPS_PAID) {
        shard_charge_many(shard, (steps - STEPS_PAID) / STEPS_OF_A_DELIVERY);
    }
    return is_whole;
}

/* The versions are read before the search: whatever changes meanwhile makes the entry void. */
static NO_INLINE bool match_and_fill(struct shard *shard, struct match_entry *entry,
                                     struct slice topic, unsigned steps,
                                     struct search_visitor visitor)
{
    struct router *router = &shard->core->router;
    struct match_fill fill = {.entry = entry, .visitor = visitor};
    bool is_whole;

    entry->wildcard_version = wildcard_version(router);
    entry->version = version_of(router, entry->topic_hash);
    point("versions read");
    is_whole = match_uncached(shard, topic, steps, (struct search_visitor){fill_visit, &fill});
    if (fill.too_many || !is_whole) {
        entry->wildcard_version = 0;
    }
    return is_whole;
}

static bool match(struct shard *shard, struct slice topic, uint64_t topic_hash, unsigned steps,
                  struct search_visitor visitor)
{
    UNINITIALIZED struct match_found found;

    assert_owner(shard->worker);
    if (is_without_filters(shard)) {
        return true;
    }
    if (topic.len > CACHE_TOPIC) {
        return match_uncached(shard, topic, steps, visitor);
    }
    if (!match_cached(shard, topic, topic_hash, &found)) {
        return match_and_fill(shard, entry_to_fill(shard, topic, topic_hash), topic, steps,
                              visitor);
    }
    for (unsigned i = 0; i < found.len; i++) {
        visitor.visit(visitor.context, found.nodes[i].number, found.nodes[i].word);
    }
    return true;
}

bool match_nodes(struct shard *shard, struct slice topic, uint64_t topic_hash,
                 search_visit_fn visit, void *context)
{
    unsigned steps = shard->limits.search_steps;

    return match(shard, topic, topic_hash, steps ? steps : UINT_MAX,
                 (struct search_visitor){visit, context});
}

void match_all_nodes(struct shard *shard, struct slice topic, uint64_t topic_hash,
                     search_visit_fn visit, void *context)
{
    bool is_whole =
        match(shard, topic, topic_hash, UINT_MAX, (struct search_visitor){visit, context});

    assert(is_whole);
}

/* In slices */

void match_search_init(struct shard *shard, struct match_search *search, uint64_t topic_hash)
{
    search_init(&search->search);
    search->wildcard_version = wildcard_version(&shard->core->router);
    search->version = version_of(&shard->core->router, topic_hash);
    search->node_len = 0;
}

/* Context of a slice. */
struct slice_walk {
    struct match_search *search;
    struct search_visitor visitor;
};

static void slice_visit(void *context, uint32_t node, uint64_t word)
{
    struct slice_walk *walk = context;
    struct match_search *search = walk->search;

    if (search->node_len < MATCH_CACHE_NODES) {
        search->nodes[search->node_len] = node;
    }
    search->node_len++;
    walk->visitor.visit(walk->visitor.context, node, word);
}

/* A long search that finds little is worth most. Where anything has changed since it began the
 * entry is void from the start. */
static void keep_answer(struct shard *shard, const struct match_search *search, struct slice topic,
                        uint64_t topic_hash)
{
    struct match_entry *entry;

    if (topic.len > CACHE_TOPIC || search->node_len > MATCH_CACHE_NODES ||
        entry_that_holds(shard, topic, topic_hash)) {
        return;
    }
    entry = entry_to_fill(shard, topic, topic_hash);
    entry->wildcard_version = search->wildcard_version;
    entry->version = search->version;
    entry->node_len = (uint8_t)search->node_len;
    memcpy(entry->nodes, search->nodes, sizeof(entry->nodes));
}

bool match_search_go_on(struct shard *shard, struct match_search *search, struct slice topic,
                        uint64_t topic_hash, struct search_visitor visitor)
{
    struct slice_walk walk = {search, visitor};
    unsigned steps = MIN(shard->budget, UINT_MAX / STEPS_OF_A_DELIVERY) * STEPS_OF_A_DELIVERY;
    bool is_over;

    assert_owner(shard->worker);
    is_over = search_go_on(&search->search, shard->core->router.tree, topic, &steps,
                           (struct search_visitor){slice_visit, &walk});
    shard_charge_many(shard, (steps + STEPS_OF_A_DELIVERY - 1) / STEPS_OF_A_DELIVERY);
    point("search slice");
    if (is_over) {
        keep_answer(shard, search, topic, topic_hash);
    }
    return is_over;
}
