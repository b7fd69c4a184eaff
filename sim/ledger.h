#pragma once

/*
 * Ledger
 *
 * The queues of durable sessions as a restart would find them: rebuilt from the store's records
 * alone. Says so when a record is about what the store does not have, when a message that one
 * member of a group handed on to another was nobody's in between, and when a session's queue and
 * what the store has of it are two things.
 */

#include "core/store.h"

void ledger_start(void);
void ledger_end(void);

/* `message` is its number. */
void ledger_put(const struct shard *shard, const struct store_record *record, uint32_t message);
