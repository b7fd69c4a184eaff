#pragma once

/*
 * Search
 *
 * The nodes of the filter tree that a topic matches: at once, or in slices that lie in different
 * read sections. Any worker.
 */

#include "core/tree.h"

/* Called with each node that matches and has a word. Must not change the tree. */
typedef void (*search_visit_fn)(void *context, uint32_t node, uint64_t word);

struct search_visitor {
    search_visit_fn visit;
    void *context;
};

/*
 * Takes `*steps` at most; answers whether that was enough to visit every node, and in `*steps` how
 * many it took. Inside one read section.
 */
bool search_at_once(const struct tree *tree, struct slice topic, unsigned *steps,
                    struct search_visitor visitor) MUST_CHECK;

/* Where a search goes on. Private to core/search.c. Owner: whoever searches. */
struct search {
    unsigned depth;                  /* of that place */
    uint8_t is_plus[TREE_LEVEL_CAP]; /* the way there: of each level whether it is by '+' */
};

void search_init(struct search *search);

/*
 * Goes on with the same topic, like search_at_once(). Of what stays in the tree from the first
 * slice to the last each node is visited once; what comes or goes meanwhile once or not at all.
 */
bool search_go_on(struct search *search, const struct tree *tree, struct slice topic,
                  unsigned *steps, struct search_visitor visitor) MUST_CHECK;
