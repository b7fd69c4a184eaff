#pragma once

/*
 * Histogram
 *
 * Counts durations in buckets whose width grows with the value: 64 for each power of two, so that
 * what is read back is at most 1.6 % too large.
 */

#include "base/base.h"

#define HISTOGRAM_CAP ((size_t)64 * 36)

struct histogram {
    uint64_t counts[HISTOGRAM_CAP];
    uint64_t total;
    uint64_t max;
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The value below which `share` (0 to 1) of everything lies; 0 when empty. */
uint64_t histogram_find(const struct histogram *histogram, double share);
