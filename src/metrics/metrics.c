#include "metrics/metrics.h"

/*
 * The workers do not stand still while they are summed: a gauge may have been lowered on one of
 * them and not been seen raised on another. Such a sum is below 0 for a moment, and is told as 0.
 */

#define COUNTER(NAME, UNIT) .kind = METRIC_COUNTER, .name = (NAME), .unit = (UNIT)
#define GAUGE(NAME, UNIT)   .kind = METRIC_GAUGE, .name = (NAME), .unit = (UNIT)

const struct metric_row metric_rows[] = {
#define METRIC(NAME, LEN, ...) {.first = METRIC_##NAME, .len = (LEN), __VA_ARGS__},
#include "metrics/metrics.def"
#undef METRIC
};

const size_t metric_row_len = ARRAY_LEN(metric_rows);

/* Keep alive timeouts are among the connections that were ended, under this code of MQTT 5.0. */
#define KEEP_ALIVE_TIMEOUT 0x8D

static uint64_t at_least_0(uint64_t gauge)
{
    return gauge > INT64_MAX ? 0 : gauge;
}

uint64_t metrics_sum(const struct metrics *blocks, unsigned block_len, unsigned metric)
{
    uint64_t sum = 0;

    assert(metric < METRIC_LEN);
    for (unsigned i = 0; i < block_len; i++) {
        sum += metrics_get(&blocks[i], metric);
    }
    return sum;
}

void metrics_sum_all(const struct metrics *blocks, unsigned block_len,
                     uint64_t values_out[METRIC_LEN])
{
    for (unsigned metric = 0; metric < METRIC_LEN; metric++) {
        values_out[metric] = at_least_0(metrics_sum(blocks, block_len, metric));
    }
}

void metrics_sum_listener(const struct metrics_of_listener *blocks, unsigned block_len,
                          uint64_t values_out[METRIC_LISTENER_LEN])
{
    for (unsigned i = 0; i < METRIC_LISTENER_LEN; i++) {
        uint64_t sum = 0;

        for (unsigned block = 0; block < block_len; block++) {
            sum += atomic_load_explicit(&blocks[block].values[i], memory_order_relaxed);
        }
        values_out[i] = at_least_0(sum);
    }
}

static uint64_t sum_of(const uint64_t *values, unsigned first, unsigned last)
{
    uint64_t sum = 0;

    for (unsigned metric = first; metric <= last; metric++) {
        sum += values[metric];
    }
    return sum;
}

void metrics_derive(uint64_t values[METRIC_LEN])
{
    values[METRIC_PACKETS_RECEIVED] = sum_of(values, METRIC_CONNECT_RECEIVED, METRIC_AUTH_RECEIVED);
    values[METRIC_PACKETS_SENT] = sum_of(values, METRIC_CONNECT_SENT, METRIC_AUTH_SENT);
    values[METRIC_OUT_PACKETS] = values[METRIC_SOCKET_PACKETS] + values[METRIC_AWAY_PACKETS];
    values[METRIC_OUT_BYTES] = values[METRIC_SOCKET_BYTES] + values[METRIC_AWAY_BYTES];
    values[METRIC_DROPPED] = sum_of(values, METRIC_DROPPED_QUEUE_FULL, METRIC_DROPPED_UNSHARED);
    values[METRIC_CLIENTS_DISCONNECTED] =
        at_least_0(values[METRIC_SESSIONS] - values[METRIC_CLIENTS_CONNECTED]);
    values[METRIC_KEEP_ALIVE_EXPIRED] = values[METRIC_ENDED + KEEP_ALIVE_TIMEOUT];
    values[METRIC_CLIENTS_EXPIRED] =
        values[METRIC_SESSIONS_EXPIRED] + values[METRIC_KEEP_ALIVE_EXPIRED];
}
