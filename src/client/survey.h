#pragma once

/*
 * Survey
 *
 * What the broker has, as text for the operator: clients, subscriptions, retained topics. Main asks
 * for one piece after the other; workers write it between their other work, each in a call of a
 * bounded length, and nobody waits for anybody.
 */

#include "core/census.h"
#include "core/post.h"

#include <stdatomic.h>

struct worker_group;

/* Longer names are cut. */
#define SURVEY_LINE_CAP 1100
#define SURVEY_ROW_CAP  CENSUS_NODE_CAP
#define SURVEY_TEXT_CAP (SURVEY_ROW_CAP * SURVEY_LINE_CAP)

enum survey_kind { SURVEY_CLIENTS, SURVEY_FILTERS, SURVEY_RETAINED };

/* Owner: main, but for the time between survey_ask() and `is_answered`. */
struct survey {
    struct post_call call;
    enum survey_kind kind;
    unsigned worker_len;
    unsigned worker; /* of SURVEY_CLIENTS: whose; of SURVEY_FILTERS: who counts */
    struct census census;
    bool is_over;            /* this worker, or the tree, has no more */
    bool is_cut;             /* memory ran out on the way */
    void (*on_answer)(void); /* on a worker: main is to look */
    _Atomic bool is_answered;
    size_t len;
    char text[SURVEY_TEXT_CAP];
};

int survey_ask(struct worker_group *group, struct survey *survey) MUST_CHECK;
