#pragma once

/*
 * Metrics
 *
 * What the broker counts, from the one table metrics/metrics.def: counters, gauges and their names
 * outside. Every worker has a block of numbers of its own and is the only one to write there;
 * whoever wants to know sums the blocks, at any time, while the workers run. A gauge that one
 * worker raises and another lowers is right as a sum.
 */

#include "base/base.h"

#include <stdatomic.h>

/* METRIC_NAME is the place of a row's first number, METRIC_NAME_LAST that of its last one. */
enum metric {
#define METRIC(NAME, LEN, ...) METRIC_##NAME, METRIC_##NAME##_LAST = METRIC_##NAME + (LEN)-1,
#include "metrics/metrics.def"
#undef METRIC
    METRIC_LEN
};

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

/* Where a row's numbers come from. */
enum metric_source {
    METRIC_COUNTED, /* the blocks of the workers */
    METRIC_DERIVED, /* others: metrics_derive() */
    METRIC_ASKED    /* whoever sums knows them, or somebody above */
};

struct metric_row {
    unsigned first; /* enum metric */
    unsigned len;
    enum metric_kind kind;
    enum metric_source source;
    const char *name;   /* for Prometheus and InfluxDB */
    const char *labels; /* LABEL="VALUE", for Prometheus; NULL: none */
    const char *label;  /* of a family: what the place in it is called; NULL: one number alone */
    const char *unit;
    const char *topic;    /* behind METRIC_TOPIC_FRONT; NULL: none */
    const char *alias;    /* an older name of the topic, or one that Mosquitto only documents */
    const char *listener; /* the topic of the same number of one listener, behind its name */
    const char *load;     /* the topic of its averages, without the period; NULL: none */
    const char *text;
};

#define METRIC_TOPIC_FRONT "$SYS/broker/"

/* The numbers that each listener has of its own, too. */
#define METRIC_LISTENER_FIRST METRIC_SOCKETS
#define METRIC_LISTENER_LEN   (METRIC_CONNECT_REFUSED_LAST - METRIC_LISTENER_FIRST + 1)

extern const struct metric_row metric_rows[];
extern const size_t metric_row_len;

/* Owner: its worker; any thread may read. */
struct metrics {
    CACHE_ALIGNED _Atomic uint64_t values[METRIC_LEN];
};

/* What a worker has counted of one listener. The same. */
struct metrics_of_listener {
    CACHE_ALIGNED _Atomic uint64_t values[METRIC_LISTENER_LEN];
};

static ALWAYS_INLINE uint64_t metrics_get(const struct metrics *metrics, unsigned metric)
{
    return atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
}

/* Of the worker alone: there is no other writer, so that this is no atomic addition. */
static ALWAYS_INLINE void metrics_set(struct metrics *metrics, unsigned metric, uint64_t value)
{
    atomic_store_explicit(&metrics->values[metric], value, memory_order_relaxed);
}

static ALWAYS_INLINE void metrics_add(struct metrics *metrics, unsigned metric, uint64_t value)
{
    metrics_set(metrics, metric, metrics_get(metrics, metric) + value);
}

static ALWAYS_INLINE void metrics_sub(struct metrics *metrics, unsigned metric, uint64_t value)
{
    metrics_set(metrics, metric, metrics_get(metrics, metric) - value);
}

static ALWAYS_INLINE void metrics_count(struct metrics *metrics, unsigned metric)
{
    metrics_add(metrics, metric, 1);
}

/* More, or fewer of a gauge. Of the worker alone. */
static inline void metrics_count_of_listener(struct metrics_of_listener *metrics, unsigned metric,
                                             int64_t change)
{
    unsigned index = metric - METRIC_LISTENER_FIRST;

    assert(metric >= METRIC_LISTENER_FIRST && index < METRIC_LISTENER_LEN);
    atomic_store_explicit(&metrics->values[index],
                          atomic_load_explicit(&metrics->values[index], memory_order_relaxed) +
                              (uint64_t)change,
                          memory_order_relaxed);
}

/* One number of all workers; a gauge may be below 0 while they run. Any thread. */
uint64_t metrics_sum(const struct metrics *blocks, unsigned block_len, unsigned metric);

/* All that the workers count, none below 0; the rest is 0. Any thread. */
void metrics_sum_all(const struct metrics *blocks, unsigned block_len,
                     uint64_t values_out[METRIC_LEN]);

/* The same of one listener: METRIC_LISTENER_FIRST is the first. */
void metrics_sum_listener(const struct metrics_of_listener *blocks, unsigned block_len,
                          uint64_t values_out[METRIC_LISTENER_LEN]);

/* The derived ones, once everything else is there. */
void metrics_derive(uint64_t values[METRIC_LEN]);
