#include "core/search.h"

#include "base/point.h"

/*
 * Depth first: from a node there are two ways down, by the topic's level and by '+'. So a place in
 * the walk is known by which of the two was taken at each depth, and everything before it is done.
 * That is all that a search keeps between two slices: no node, which the end of the read section
 * may free. The next slice goes down that way again, and takes note of what it leaves open on both
 * sides. If the way is not there any more, neither is anything that was still to be found below it.
 */

/* One place on the stack. */
struct search_step {
    struct tree_place place;
    unsigned depth;
    bool is_plus; /* how it was come by */
};

/* Every step takes one off the stack and puts two on it at most, one level deeper. */
struct search_walk {
    const struct tree *tree;
    struct search_visitor visitor;
    bool is_internal; /* the topic begins with '$' */
    unsigned len;
    struct tree_levels levels;
    struct search_step stack[TREE_LEVEL_CAP + 2];
    uint8_t is_plus[TREE_LEVEL_CAP + 1]; /* of the last step, and of those above it */
};

static void walk_init(struct search_walk *walk, const struct tree *tree, struct slice topic,
                      struct search_visitor visitor)
{
    walk->tree = tree;
    walk->visitor = visitor;
    walk->is_internal = topic.data[0] == '$';
    walk->len = 0;
    tree_cut(tree, topic, &walk->levels);
}

static void visit_node(const struct search_walk *walk, uint32_t node)
{
    uint64_t word = node == TREE_NO_NODE ? 0 : tree_word(walk->tree, node);

    if (word != 0) {
        walk->visitor.visit(walk->visitor.context, node, word);
    }
}

static void push(struct search_walk *walk, struct tree_place place, unsigned depth, bool is_plus)
{
    if (place.number != TREE_NO_NODE) {
        walk->stack[walk->len++] = (struct search_step){place, depth, is_plus};
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

/* What matches here, and the ways down. */
static void take_step(struct search_walk *walk, struct search_step at)
{
    if (has_wildcards(walk, at.depth)) {
        visit_node(walk, tree_hash(walk->tree, at.place).number);
    }
    if (at.depth == walk->levels.len) {
        visit_node(walk, at.place.number);
        return;
    }
    if (has_wildcards(walk, at.depth)) {
        push(walk, tree_plus(walk->tree, at.place), at.depth + 1, true);
    }
    push(walk, plain_child(walk, at.place, at.depth), at.depth + 1, false);
}

/* Answers how many steps it took. */
static unsigned run(struct search_walk *walk, unsigned max)
{
    unsigned steps = 0;

    while (walk->len > 0 && steps < max) {
        struct search_step at = walk->stack[--walk->len];

        walk->is_plus[at.depth] = at.is_plus;
        take_step(walk, at);
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
    push(&walk, tree_root(tree), 0, false);
    *steps = run(&walk, *steps);
    return walk.len == 0;
}

void search_init(struct search *search)
{
    search->depth = 0;
    search->is_plus[0] = false;
}

/* The stack as it was: at each depth the plain way came first, and left that by '+' open. */
static void restore(struct search_walk *walk, const struct search *search)
{
    struct tree_place place = tree_root(walk->tree);

    walk->is_plus[0] = false;
    for (unsigned depth = 0; depth < search->depth; depth++) {
        bool is_plus = search->is_plus[depth + 1];
        struct tree_place plus = {.number = TREE_NO_NODE};

        if (has_wildcards(walk, depth)) {
            plus = tree_plus(walk->tree, place);
        }
        if (!is_plus) {
            push(walk, plus, depth + 1, true);
        }
        walk->is_plus[depth + 1] = is_plus;
        place = is_plus ? plus : plain_child(walk, place, depth);
        if (place.number == TREE_NO_NODE) {
            return;
        }
    }
    push(walk, place, search->depth, search->is_plus[search->depth]);
}

static void save(const struct search_walk *walk, struct search *search)
{
    const struct search_step *next = &walk->stack[walk->len - 1];

    search->depth = next->depth;
    memcpy(search->is_plus, walk->is_plus, next->depth);
    search->is_plus[next->depth] = next->is_plus;
}

bool search_go_on(struct search *search, const struct tree *tree, struct slice topic,
                  unsigned *steps, struct search_visitor visitor)
{
    UNINITIALIZED struct search_walk walk;

    walk_init(&walk, tree, topic, visitor);
    restore(&walk, search);
    *steps = run(&walk, *steps);
    if (walk.len > 0) {
        save(&walk, search);
    }
    return walk.len == 0;
}
