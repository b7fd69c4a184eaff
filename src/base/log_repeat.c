#include "base/log_repeat.h"

static uint32_t second_of(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

static uint32_t over(uint64_t state, uint32_t limit)
{
    uint32_t len = (uint32_t)state;

    return len > limit ? len - limit : 0;
}

struct log_repeat_answer log_repeat_take(struct log_repeat *repeat, uint32_t now_s, uint32_t limit)
{
    uint64_t before = atomic_load_explicit(&repeat->state, memory_order_relaxed);
    uint64_t after;
    bool is_new;

    do {
        is_new = second_of(before) != now_s;
        if (is_new) {
            after = (uint64_t)now_s << 32 | 1;
        } else if ((uint32_t)before == UINT32_MAX) {
            return (struct log_repeat_answer){0};
        } else {
            after = before + 1;
        }
    } while (!atomic_compare_exchange_weak_explicit(&repeat->state, &before, after,
                                                    memory_order_relaxed, memory_order_relaxed));
    return (struct log_repeat_answer){
        .is_let_through = over(after, limit) == 0,
        .is_first_left_out = over(after, limit) == 1,
        .left_out = is_new ? over(before, limit) : 0,
    };
}

uint32_t log_repeat_flush(struct log_repeat *repeat, uint32_t now_s, uint32_t limit)
{
    uint64_t before = atomic_load_explicit(&repeat->state, memory_order_relaxed);

    while (second_of(before) != now_s && over(before, limit) > 0) {
        if (atomic_compare_exchange_weak_explicit(&repeat->state, &before, (uint64_t)now_s << 32,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return over(before, limit);
        }
    }
    return 0;
}

bool log_repeat_is_pending(const struct log_repeat *repeat, uint32_t limit)
{
    return over(atomic_load_explicit(&repeat->state, memory_order_relaxed), limit) > 0;
}
