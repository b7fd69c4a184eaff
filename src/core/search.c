#include "core/search.h"

#include "base/point.h"

#include <limits.h>

/*
 * Depth first: from a node there are two ways down, by the topic's level and by '+'. A way that
 * leads into a label of several levels is followed to its end at once, so every place on the stack
 * is a node, and known by which of the two was taken at each depth; everything before it is done.
 * That is all that a search keeps between two slices: no node, which the end of the read section
 * may free. The next slice goes down that way again, and takes note of what it leaves open on both
 * sides. If the way is not there any more, neither is anything that was still to be found below it.
 */

/* One place on the stack. */
struct search_step {
    struct tree_place place;
    unsigned depth; /* BELOW_ALL: its path ends with a '#' that has matched */
};

#define BELOW_ALL UINT_MAX

/* Every step takes one off the stack and puts two on it at most, one level deeper or more. */
struct search_walk {
    const struct tree *tree;
    struct search_visitor visitor;
    bool is_internal; /* the topic begins with '$' */
    unsigned len;
    struct tree_levels levels;
    struct search_step stack[TREE_LEVEL_CAP + 2];
};

static void walk_init(struct search_walk *walk, const struct tree *tree, struct slice topic,
                      struct search_visitor visitor)
{
    walk->tree = tree;
    walk->visitor = visitor;
    walk->is_internal = topic.data[0] == '$';
    walk->len = 0;
    tree_cut(tree, topic, &walk->levels);
    tree_prefetch(tree, &walk->levels);
}

static void visit_node(const struct search_walk *walk, uint32_t node)
{
    uint64_t word = node == TREE_NO_NODE ? 0 : tree_word(walk->tree, node);

    if (word != 0) {
        walk->visitor.visit(walk->visitor.context, node, word);
    }
}

/* Down to the end of the label that the place is in. False: it leads elsewhere. */
static NO_INLINE bool follow(const struct search_walk *walk, struct search_step *at)
{
    struct slice label = tree_rest(walk->tree, at->place);

    for (;;) {
        struct slice level = slice_of("+", 1);
        uint64_t hash;

        if (label.len == 1 && label.data[0] == '#') {
            at->depth = BELOW_ALL;
            at->place.has_wildcards = false;
            break;
        }
        if (at->depth == walk->levels.len) {
            return false;
        }
        if (tree_begins_with(label, level)) {
            hash = tree_plus_hash(walk->tree);
        } else {
            level = walk->levels.level[at->depth];
            hash = walk->levels.hash[at->depth];
            if (!tree_begins_with(label, level)) {
                return false;
            }
        }
        at->place.hash = hash_chain(at->place.hash, hash);
        at->depth++;
        if (label.len == level.len) {
            break;
        }
        label = slice_skip(label, level.len + 1);
    }
    at->place.rest = 0;
    return true;
}

static ALWAYS_INLINE void push(struct search_walk *walk, struct tree_place place, unsigned depth)
{
    struct search_step *at = &walk->stack[walk->len];

    if (place.number != TREE_NO_NODE) {
        at->place = place;
        at->depth = depth;
        walk->len += place.rest == 0 || follow(walk, at);
    }
}

/* Nothing that begins with '$' is found by a wildcard at the front [MQTT-4.7.2-1]. */
static bool has_wildcards(const struct search_walk *walk, unsigned depth)
{
    return !(depth == 0 && walk->is_internal);
}

static struct tree_place plain_child(const struct search_walk *walk, struct tree_place place,
                                     unsigned depth)
{
    return tree_child(walk->tree, place, walk->levels.level[depth], walk->levels.hash[depth]);
}

/* The way by '+' waits on the stack: what it leads to is fetched meanwhile. */
static void push_plus(struct search_walk *walk, struct tree_place place, unsigned depth)
{
    struct tree_place plus = tree_plus(walk->tree, place);

    if (plus.number != TREE_NO_NODE && depth < walk->levels.len) {
        tree_prefetch_child(walk->tree, plus, walk->levels.hash[depth]);
    }
    push(walk, plus, depth);
}

/* What matches here, and the ways down. */
static void take_step(struct search_walk *walk, struct search_step at)
{
    bool has_wild = at.place.has_wildcards && has_wildcards(walk, at.depth);

    if (has_wild) {
        visit_node(walk, tree_at(tree_hash(walk->tree, at.place)));
    }
    if (at.depth >= walk->levels.len) {
        visit_node(walk, at.place.number);
        return;
    }
    if (has_wild) {
        push_plus(walk, at.place, at.depth + 1);
    }
    push(walk, plain_child(walk, at.place, at.depth), at.depth + 1);
}

/*
 * Member by member. A copy of the whole reads wider than push() wrote, and has to wait until all
 * that was written before is through to the cache, behind every miss on the way: a fifth of the
 * time of a search among a million filters.
 */
static struct search_step pop(struct search_walk *walk)
{
    const struct search_step *at = &walk->stack[--walk->len];
    struct search_step step;

    step.place.number = at->place.number;
    step.place.rest = 0;
    step.place.has_wildcards = at->place.has_wildcards;
    step.place.hash = at->place.hash;
    step.depth = at->depth;
    return step;
}

/* Answers how many steps it took. */
static unsigned run(struct search_walk *walk, unsigned max)
{
    unsigned steps = 0;

    while (walk->len > 0 && steps < max) {
        take_step(walk, pop(walk));
        steps++;
        point("match step");
    }
    return steps;
}

bool search_at_once(const struct tree *tree, struct slice topic, unsigned *steps,
                    struct search_visitor visitor)
{
    UNINITIALIZED struct search_walk walk;

    walk_init(&walk, tree, topic, visitor);
    push(&walk, tree_root(tree), 0);
    *steps = run(&walk, *steps);
    return walk.len == 0;
}

void search_init(struct search *search)
{
    search->depth = 0;
}

/* The stack as it was: at each depth the plain way came first, and left that by '+' open. */
static void restore(struct search_walk *walk, const struct search *search)
{
    struct tree_place place = tree_root(walk->tree);

    for (unsigned depth = 0; depth < search->depth; depth++) {
        struct tree_place plus = {.number = TREE_NO_NODE};

        if (has_wildcards(walk, depth)) {
            plus = tree_plus(walk->tree, place);
        }
        if (!search->is_plus[depth]) {
            push(walk, plus, depth + 1);
        }
        place = search->is_plus[depth] ? plus : plain_child(walk, place, depth);
        if (place.number == TREE_NO_NODE) {
            return;
        }
    }
    push(walk, place, search->depth);
}

/* The way to the next place. What is below a '#' has no such way, and is visited instead. */
static void save(struct search_walk *walk, struct search *search)
{
    unsigned depth;

    while (walk->len > 0 && walk->stack[walk->len - 1].depth == BELOW_ALL) {
        take_step(walk, pop(walk));
    }
    if (walk->len == 0) {
        return;
    }
    depth = walk->stack[walk->len - 1].depth;
    search->depth = depth;
    for (uint32_t number = walk->stack[walk->len - 1].place.number; depth > 0;) {
        struct tree_edge edge = tree_edge(walk->tree, number);
        struct slice level;

        number = edge.parent;
        depth -= edge.len;
        for (unsigned i = 0; i < edge.len; i++) {
            (void)tree_take_level(&edge.label, &level);
            search->is_plus[depth + i] = level.len == 1 && level.data[0] == '+';
        }
    }
}

bool search_go_on(struct search *search, const struct tree *tree, struct slice topic,
                  unsigned *steps, struct search_visitor visitor)
{
    UNINITIALIZED struct search_walk walk;

    walk_init(&walk, tree, topic, visitor);
    restore(&walk, search);
    *steps = run(&walk, *steps);
    save(&walk, search);
    return walk.len == 0;
}
