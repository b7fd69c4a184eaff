#pragma once

/*
 * Merge
 *
 * One copy of a message for a session that several of the matched filters lead to: at the highest
 * QoS among them and with the identifiers of all (allow_duplicate_messages false; MQTT 5.0 section
 * 3.3.4). Lives on the stack of whoever serves; belongs to its worker.
 */

#include "core/publication.h"

struct session;
struct shard;
struct subscriber;

struct merge {
    struct session *session;         /* borrowed */
    struct publication *publication; /* borrowed */
    uint32_t *identifiers;           /* `room`, or on the heap */
    uint32_t len;
    uint32_t cap;
    uint8_t qos;
    bool retain;
    bool is_any;        /* at least one subscription takes the message */
    bool out_of_memory; /* an identifier is missing */
    uint32_t room[8];
};

void merge_init(struct merge *merge, struct session *session, struct publication *publication);
void merge_deinit(struct merge *merge);

/* One more subscription of the session, which takes the message at this QoS, retained or not. */
void merge_add(struct merge *merge, uint32_t identifier, uint8_t qos, bool retain);

/*
 * What all of them together get: the publication with all identifiers but the first in front of its
 * properties; the first goes the usual way. Its message, if it comes to need one, is its own: the
 * caller ends it with publication_deinit() and frees `*properties_out`. -ENOMEM.
 */
int merge_publication(const struct merge *merge, struct publication *merged_out,
                      uint8_t **properties_out) MUST_CHECK;
