#include "base/random_test.h"
#include "base/test.h"
#include "base/wheel.h"

#define TIMER_LEN 400
#define KIND      7

/* A timer, and what a list of deadlines says about it. */
struct naive {
    struct wheel_timer timer;
    uint32_t due;
    bool is_armed;
};

struct fixture {
    struct wheel wheel;
    struct dice dice;
    uint32_t now;
    struct naive timers[TIMER_LEN];
};

static void fixture_init(struct fixture *f, uint64_t seed)
{
    f->dice.state = seed;
    f->now = dice_below(&f->dice, 3) * 100000;
    wheel_init(&f->wheel, f->now);
    for (unsigned i = 0; i < TIMER_LEN; i++) {
        wheel_timer_init(&f->timers[i].timer, KIND);
        f->timers[i].is_armed = false;
    }
}

/* Sooner, at a turn's end, or turns away; sometimes past. */
static uint32_t draw_due(struct fixture *f)
{
    static const uint32_t bases[] = {0, 1, WHEEL_SLOT_LEN, 2 * WHEEL_SLOT_LEN, 40000};
    uint32_t far = bases[dice_below(&f->dice, ARRAY_LEN(bases))] + dice_below(&f->dice, 4);

    return f->now >= 2 && dice_below(&f->dice, 8) == 0 ? f->now - 2 : f->now + far;
}

static void change(struct fixture *f, struct naive *naive)
{
    if (dice_below(&f->dice, 3) == 0) {
        wheel_disarm(&naive->timer);
        naive->is_armed = false;
    } else {
        uint32_t due = draw_due(f);

        wheel_arm(&f->wheel, &naive->timer, due);
        naive->is_armed = true;
        naive->due = MAX(due, f->now + 1);
    }
    assert_int_equal(wheel_timer_is_armed(&naive->timer), naive->is_armed);
}

/* Whether the wheel had nothing more to look at. */
static bool pop_some(struct fixture *f, unsigned budget)
{
    struct wheel_timer *timer;

    while ((timer = wheel_pop(&f->wheel, &budget)) != NULL) {
        struct naive *naive = CONTAINER_OF(timer, struct naive, timer);

        assert_true(naive->is_armed && naive->due <= f->now);
        assert_int_equal(timer->kind, KIND);
        assert_false(wheel_timer_is_armed(timer));
        naive->is_armed = false;
        if (dice_below(&f->dice, 4) == 0) {
            change(f, naive);
        }
    }
    assert_int_equal(wheel_has_due(&f->wheel) && budget > 0, false);
    return !wheel_has_due(&f->wheel);
}

static void assert_none_is_late(const struct fixture *f)
{
    for (unsigned i = 0; i < TIMER_LEN; i++) {
        assert_int_equal(wheel_timer_is_armed(&f->timers[i].timer), f->timers[i].is_armed);
        assert_false(f->timers[i].is_armed && f->timers[i].due <= f->now);
    }
}

static uint32_t draw_step(struct fixture *f)
{
    static const uint32_t steps[] = {0, 1, 1, 1, 2, 3, 100, 511, 512, 513, 1024, 50000};

    return steps[dice_below(&f->dice, ARRAY_LEN(steps))];
}

static void is_as_a_list_of_deadlines_says(void **state)
{
    struct fixture *f = memory_must_alloc_zero(1, sizeof(*f));

    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        fixture_init(f, seed);
        for (unsigned turn = 0; turn < 300; turn++) {
            for (unsigned i = dice_below(&f->dice, 30); i > 0; i--) {
                change(f, &f->timers[dice_below(&f->dice, TIMER_LEN)]);
            }
            f->now += draw_step(f);
            wheel_advance(&f->wheel, f->now);
            if (pop_some(f, dice_below(&f->dice, 50) + (turn % 3 == 0 ? 10000 : 0))) {
                assert_none_is_late(f);
            }
        }
        for (unsigned i = 0; i < TIMER_LEN; i++) {
            wheel_disarm(&f->timers[i].timer);
        }
    }
    memory_free(f);
}

/* Second by second, each timer comes in its second. */
static void no_second_is_missed(void **state)
{
    struct fixture *f = memory_must_alloc_zero(1, sizeof(*f));

    (void)state;
    fixture_init(f, 1);
    for (unsigned i = 0; i < TIMER_LEN; i++) {
        wheel_arm(&f->wheel, &f->timers[i].timer, f->now + 1 + 7 * i);
    }
    for (unsigned i = 1; i <= 1 + 7 * (TIMER_LEN - 1); i++) {
        unsigned budget = TIMER_LEN;
        struct wheel_timer *timer;

        wheel_advance(&f->wheel, f->now + i);
        timer = wheel_pop(&f->wheel, &budget);
        assert_ptr_equal(timer, i % 7 == 1 ? &f->timers[i / 7].timer : NULL);
        assert_null(wheel_pop(&f->wheel, &budget));
    }
    memory_free(f);
}

static void a_budget_bounds_what_is_looked_at(void **state)
{
    struct fixture *f = memory_must_alloc_zero(1, sizeof(*f));
    unsigned budget = 60;
    unsigned none = 0;
    unsigned popped = 0;

    (void)state;
    fixture_init(f, 2);
    for (unsigned i = 0; i < 100; i++) {
        wheel_arm(&f->wheel, &f->timers[i].timer, f->now + 5 + (i < 50 ? WHEEL_SLOT_LEN : 0));
    }
    wheel_advance(&f->wheel, f->now + 5);
    assert_null(wheel_pop(&f->wheel, &none));
    while (wheel_pop(&f->wheel, &budget)) {
        popped++;
    }
    assert_int_equal(popped, 10);
    assert_int_equal(budget, 0);
    assert_true(wheel_has_due(&f->wheel));
    budget = 1000;
    while (wheel_pop(&f->wheel, &budget)) {
        popped++;
    }
    assert_int_equal(popped, 50);
    assert_int_equal(budget, 960);
    memory_free(f);
}

/* Arming and disarming take a timer out of what is due, too. */
static void what_is_due_can_still_change(void **state)
{
    struct fixture *f = memory_must_alloc_zero(1, sizeof(*f));
    unsigned budget = 10;

    (void)state;
    fixture_init(f, 3);
    for (unsigned i = 0; i < 3; i++) {
        wheel_arm(&f->wheel, &f->timers[i].timer, f->now + 1);
    }
    wheel_advance(&f->wheel, f->now + 1);
    assert_true(wheel_has_due(&f->wheel));
    wheel_disarm(&f->timers[0].timer);
    wheel_arm(&f->wheel, &f->timers[1].timer, f->now + 2);
    assert_ptr_equal(wheel_pop(&f->wheel, &budget), &f->timers[2].timer);
    assert_false(wheel_has_due(&f->wheel));
    wheel_advance(&f->wheel, f->now + 2);
    assert_ptr_equal(wheel_pop(&f->wheel, &budget), &f->timers[1].timer);
    assert_null(wheel_pop(&f->wheel, &budget));
    memory_free(f);
}

static void the_clock_does_not_go_back(void **state)
{
    struct fixture *f = memory_must_alloc_zero(1, sizeof(*f));
    unsigned budget = 10;

    (void)state;
    fixture_init(f, 4);
    wheel_advance(&f->wheel, f->now + 10);
    wheel_arm(&f->wheel, &f->timers[0].timer, f->now + 3);
    wheel_advance(&f->wheel, f->now + 3);
    assert_int_equal(f->wheel.now, f->now + 10);
    assert_null(wheel_pop(&f->wheel, &budget));
    wheel_advance(&f->wheel, f->now + 11);
    assert_ptr_equal(wheel_pop(&f->wheel, &budget), &f->timers[0].timer);
    memory_free(f);
}

static void no_deadline_is_early(void **state)
{
    static const struct {
        uint64_t now_ms;
        uint64_t interval_ms;
        uint32_t due;
    } cases[] = {
        {1,    0,                     1          },
        {1000, 0,                     1          },
        {1001, 0,                     2          },
        {1000, 1,                     2          },
        {1000, 1000,                  2          },
        {1001, 999,                   2          },
        {1999, 1000,                  3          },
        {2000, 1000,                  3          },
        {5,    1500,                  2          },
        {1u,   0xFFFFFFFFu,           4294968    },
        {1000, 4294967294u * 1000ull, 4294967295u},
        {1000, 4294967295u * 1000ull, 4294967295u},
        {1000, UINT64_MAX / 2,        4294967295u},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(wheel_deadline(cases[i].now_ms, cases[i].interval_ms), cases[i].due);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_as_a_list_of_deadlines_says),
        cmocka_unit_test(no_second_is_missed),
        cmocka_unit_test(a_budget_bounds_what_is_looked_at),
        cmocka_unit_test(what_is_due_can_still_change),
        cmocka_unit_test(the_clock_does_not_go_back),
        cmocka_unit_test(no_deadline_is_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
