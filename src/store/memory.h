#pragma once

/*
 * The store in memory
 *
 * Keeps nothing beyond the process, so that every promise is kept at once: what core has in memory
 * is all there is to keep. It has no functions; nothing is handed over and nothing waits.
 */

#include "core/store.h"

struct store store_memory(void);
