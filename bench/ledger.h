#pragma once

/*
 * Ledger
 *
 * Who shall receive what: every message carries its publisher's number, its own number and a time,
 * and every receiver expects the numbers of a publisher one after the other. A gap is a loss, a
 * number that was there before is a double (or came out of order), and a message at the wrong
 * receiver, or with a wrong payload, is a stray.
 */

#include "base/slice.h"

/* Who receives a publisher's messages. */
enum ledger_shape {
    LEDGER_PAIRS,   /* the subscriber with the publisher's number */
    LEDGER_FAN_OUT, /* everyone; there is one publisher */
    LEDGER_FAN_IN,  /* the only subscriber */
    LEDGER_ONE_OF   /* whichever subscriber, so in any order among them */
};

/* What stands at the front of a payload. */
struct ledger_stamp {
    uint32_t publisher;
    uint32_t number;
    uint64_t time_ns;
};

struct ledger {
    enum ledger_shape shape;
    uint32_t publisher_len;
    uint32_t payload_size;
    uint32_t *next; /* expected number, for each receiver and publisher */
    uint64_t *seen; /* one of: bit k stands for number `next` + k */
    uint64_t received;
    uint64_t lost;
    uint64_t doubled;
    uint64_t stray;
};

/* One of: how far a message may be before another of its publisher. */
#define LEDGER_REACH 64u

#define LEDGER_FILL 0x2e /* the rest of each payload */

/* `n`: pairs, subscribers or publishers, as the shape has it. */
void ledger_init(struct ledger *ledger, enum ledger_shape shape, uint32_t n, uint32_t payload_size);
void ledger_deinit(struct ledger *ledger);

/* Books a payload that arrived at a subscriber; false: a stray. */
bool ledger_book(struct ledger *ledger, uint32_t subscriber, struct slice payload,
                 struct ledger_stamp *stamp_out);

static inline bool ledger_is_clean(const struct ledger *ledger)
{
    return ledger->lost + ledger->doubled + ledger->stray == 0;
}
