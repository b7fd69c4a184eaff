#include "bench/histogram.h"

#include <math.h>

/* Below 128 each value has its own bucket; above, the leading seven bits choose it. */
static size_t bucket_of(uint64_t value)
{
    unsigned shift;
    size_t bucket;

    if (value < 128) {
        return (size_t)value;
    }
    shift = (unsigned)(57 - __builtin_clzll(value));
    bucket = 64 * (size_t)shift + (size_t)(value >> shift);
    return bucket < HISTOGRAM_CAP ? bucket : HISTOGRAM_CAP - 1;
}

/* The first value behind the bucket. */
static uint64_t end_of(size_t bucket)
{
    size_t shift = bucket < 128 ? 0 : bucket / 64 - 1;

    return (uint64_t)(bucket - 64 * shift + 1) << shift;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->counts[bucket_of(value)]++;
    histogram->total++;
    histogram->max = MAX(histogram->max, value);
}

uint64_t histogram_find(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * (double)histogram->total);
    uint64_t seen = 0;

    for (size_t i = 0; i < HISTOGRAM_CAP; i++) {
        seen += histogram->counts[i];
        if (seen && seen >= wanted) {
            return MIN(end_of(i), histogram->max);
        }
    }
    return histogram->max;
}
