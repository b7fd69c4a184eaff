#pragma once

/*
 * Listeners
 *
 * The listeners while the configuration is being read: where each of their options was written,
 * and, at the end, what they inherit, whether their options agree, and what is worth a warning.
 */

#include "config/report.h"
#include "config/settings.h"

struct option;

/* Owner: the reader. Lives in its scratch arena; the texts of the settings live in theirs. */
struct listener_draft {
    struct listener_settings settings;
    struct listener_draft *next;
    struct report_place place;   /* where it began */
    struct report_place *places; /* of each option, by option_index(); line 0: not written */
};

struct listener_drafts {
    struct listener_draft *first;
    struct listener_draft *last;
    struct listener_draft *fallback; /* the default listener */
    unsigned len;
    struct arena *scratch;
    struct arena *arena; /* of the settings */
    const struct report *report;
};

/* What a listener that begins at this place would be without options; not yet added. */
int listeners_new_draft(struct listener_drafts *drafts, const struct report_place *place,
                        struct listener_draft **draft_out) MUST_CHECK;
void listeners_add(struct listener_drafts *drafts, struct listener_draft *draft);

/* The default listener, made when it is first asked for. */
int listeners_get_fallback(struct listener_drafts *drafts, const struct report_place *place,
                           struct listener_draft **draft_out) MUST_CHECK;

/*
 * Puts all listeners into the settings. 0, 1 when their options contradict each other (reported),
 * or -ENOMEM.
 */
int listeners_finish(struct listener_drafts *drafts, struct settings *settings) MUST_CHECK;

/* Puts listeners for these ports on the loopback into settings that have none. */
int listeners_add_loopback(struct settings *settings, const uint16_t *ports,
                           unsigned port_len) MUST_CHECK;
