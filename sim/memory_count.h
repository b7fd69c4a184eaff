#pragma once

/*
 * Memory count
 *
 * How many allocations of the server are alive: 0 when it is gone.
 */

#include <stddef.h>

size_t memory_live(void);
