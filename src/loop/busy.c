#include "loop/busy.h"

/* Each second counts for a quarter of what is told: a single one does not turn clients away. */
#define PERIOD_MS 1000
#define PART      4

void busy_begin(struct busy *busy, uint64_t now_ms, uint64_t slept_ms)
{
    uint64_t passed_ms = now_ms - busy->since_ms;
    uint32_t before = busy_permille(busy);
    uint32_t now;

    if (busy->since_ms == 0) {
        busy->since_ms = now_ms;
        return;
    }
    busy->slept_ms += slept_ms;
    if (passed_ms < PERIOD_MS) {
        return;
    }
    now = (uint32_t)((passed_ms - MIN(busy->slept_ms, passed_ms)) * 1000 / passed_ms);
    atomic_store_explicit(&busy->permille, (before * (PART - 1) + now) / PART,
                          memory_order_relaxed);
    busy->since_ms = now_ms;
    busy->slept_ms = 0;
}
