#include "bench/ledger.h"

#include "bench/tool.h"

#include <stdlib.h>

void ledger_init(struct ledger *ledger, enum ledger_shape shape, uint32_t n, uint32_t payload_size)
{
    assert(payload_size >= sizeof(struct ledger_stamp));
    *ledger = (struct ledger){
        .shape = shape,
        .publisher_len = shape == LEDGER_FAN_OUT ? 1 : n,
        .payload_size = payload_size,
        .next = tool_alloc(n, sizeof(*ledger->next)),
        .seen = tool_alloc(n, sizeof(*ledger->seen)),
    };
}

void ledger_deinit(struct ledger *ledger)
{
    free(ledger->next);
    free(ledger->seen);
}

static bool is_stray(const struct ledger *ledger, uint32_t subscriber, struct slice payload,
                     const struct ledger_stamp *stamp)
{
    return stamp->publisher >= ledger->publisher_len || payload.len != ledger->payload_size ||
           (ledger->shape == LEDGER_PAIRS && stamp->publisher != subscriber) ||
           (payload.len > sizeof(*stamp) && payload.data[payload.len - 1] != LEDGER_FILL);
}

/* Slides over what is there; what is still missing beyond the reach is lost. */
static void book_one_of(struct ledger *ledger, const struct ledger_stamp *stamp)
{
    uint32_t *next = &ledger->next[stamp->publisher];
    uint64_t *seen = &ledger->seen[stamp->publisher];

    if (stamp->number < *next ||
        (stamp->number - *next < LEDGER_REACH && *seen >> (stamp->number - *next) & 1)) {
        ledger->doubled++;
        return;
    }
    for (; stamp->number - *next >= LEDGER_REACH; (*next)++) {
        ledger->lost += !(*seen & 1);
        *seen >>= 1;
    }
    *seen |= (uint64_t)1 << (stamp->number - *next);
    for (; *seen & 1; (*next)++) {
        *seen >>= 1;
    }
}

bool ledger_book(struct ledger *ledger, uint32_t subscriber, struct slice payload,
                 struct ledger_stamp *stamp_out)
{
    uint32_t *next;

    ledger->received++;
    if (unlikely(payload.len < sizeof(*stamp_out))) {
        ledger->stray++;
        return false;
    }
    memcpy(stamp_out, payload.data, sizeof(*stamp_out));
    if (unlikely(is_stray(ledger, subscriber, payload, stamp_out))) {
        ledger->stray++;
        return false;
    }
    if (ledger->shape == LEDGER_ONE_OF) {
        book_one_of(ledger, stamp_out);
        return true;
    }
    next = &ledger->next[ledger->shape == LEDGER_FAN_IN ? stamp_out->publisher : subscriber];
    if (likely(stamp_out->number == *next)) {
        (*next)++;
    } else if (stamp_out->number < *next) {
        ledger->doubled++;
    } else {
        ledger->lost += stamp_out->number - *next;
        *next = stamp_out->number + 1;
    }
    return true;
}
