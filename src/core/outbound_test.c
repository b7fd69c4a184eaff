#include "base/test.h"
#include "core/fixture.h"
#include "core/outbound.h"

/* What is in a delivery's message here: its running number. */
static struct delivery delivery_of(uint32_t number, uint8_t qos)
{
    return (struct delivery){
        .message = fixture_message("t", number, qos, false),
        .identifier = number,
        .qos = qos,
        .state = DELIVERY_QUEUED,
    };
}

static void push(struct outbound *outbound, uint32_t number, uint8_t qos)
{
    struct delivery delivery = delivery_of(number, qos);

    assert_int_equal(outbound_push(outbound, &delivery), 0);
}

/* Sends the next one, which must be this one with this packet id. */
static void expect_sent(struct outbound *outbound, uint32_t window, uint32_t number,
                        uint16_t packet_id)
{
    uint16_t id = 0;
    struct delivery *delivery = outbound_next(outbound, window, &id);

    assert_non_null(delivery);
    assert_int_equal(delivery->identifier, number);
    assert_int_equal(id, packet_id);
    outbound_sent(outbound);
    assert_int_equal(outbound_find(outbound, packet_id)->identifier, number);
}

static void expect_none(struct outbound *outbound, uint32_t window)
{
    uint16_t id;

    assert_null(outbound_next(outbound, window, &id));
}

static void finish(struct outbound *outbound, uint16_t packet_id)
{
    struct delivery *delivery = outbound_find(outbound, packet_id);

    assert_non_null(delivery);
    outbound_finish(outbound, delivery);
    assert_null(outbound_find(outbound, packet_id));
}

static void test_window_bounds_what_is_in_flight(void **state)
{
    struct outbound outbound = {0};

    (void)state;
    expect_none(&outbound, 0);
    for (uint32_t i = 1; i <= 5; i++) {
        push(&outbound, i, 1);
    }
    assert_int_equal(outbound_queued(&outbound), 5);
    expect_sent(&outbound, 2, 1, 1);
    expect_sent(&outbound, 2, 2, 2);
    expect_none(&outbound, 2);
    assert_null(outbound_find(&outbound, 3));
    assert_null(outbound_find(&outbound, 0));
    finish(&outbound, 2); /* a hole: the window has room all the same */
    expect_sent(&outbound, 2, 3, 3);
    expect_none(&outbound, 2);
    finish(&outbound, 1);
    finish(&outbound, 3);
    assert_int_equal(outbound_queued(&outbound), 2);
    expect_sent(&outbound, 0, 4, 4);
    expect_sent(&outbound, 0, 5, 5);
    expect_none(&outbound, 0);
    outbound_deinit(&outbound);
}

static void test_rewind_sends_again_in_order(void **state)
{
    struct outbound outbound = {0};
    uint16_t id;

    (void)state;
    for (uint32_t i = 1; i <= 4; i++) {
        push(&outbound, i, i == 2 ? 2 : 1);
        expect_sent(&outbound, 0, i, (uint16_t)i);
    }
    push(&outbound, 5, 1);
    outbound_release(&outbound, outbound_find(&outbound, 2));
    finish(&outbound, 3);
    outbound_rewind(&outbound);
    assert_null(outbound_find(&outbound, 1));
    expect_sent(&outbound, 3, 1, 1);
    assert_int_equal(outbound_next(&outbound, 3, &id)->state, DELIVERY_RELEASED);
    assert_null(outbound_next(&outbound, 3, &id)->message);
    expect_sent(&outbound, 3, 2, 2);
    expect_sent(&outbound, 3, 4, 4);
    expect_none(&outbound, 3);
    assert_int_equal(outbound_find(&outbound, 4)->state, DELIVERY_SENT);
    finish(&outbound, 1);
    expect_sent(&outbound, 3, 5, 5);
    outbound_deinit(&outbound);
}

static void test_skipped_takes_its_identifier_along(void **state)
{
    struct outbound outbound = {0};
    uint16_t id;

    (void)state;
    push(&outbound, 1, 1);
    push(&outbound, 2, 1);
    push(&outbound, 3, 1);
    assert_non_null(outbound_next(&outbound, 1, &id));
    outbound_skip(&outbound);
    assert_int_equal(outbound_len(&outbound), 2);
    assert_null(outbound_find(&outbound, 1));
    expect_sent(&outbound, 1, 2, 2);
    expect_none(&outbound, 1);
    finish(&outbound, 2);
    expect_sent(&outbound, 1, 3, 3);
    outbound_deinit(&outbound);
}

/* Without an identifier there is none to use up [MQTT-2.2.1-2]. */
static void test_qos_0_uses_up_no_identifier(void **state)
{
    struct outbound outbound = {0};
    uint16_t id;

    (void)state;
    push(&outbound, 1, 1);
    push(&outbound, 2, 0);
    push(&outbound, 3, 0);
    push(&outbound, 4, 1);
    expect_sent(&outbound, 0, 1, 1);
    for (uint32_t i = 2; i <= 3; i++) {
        assert_int_equal(outbound_next(&outbound, 0, &id)->identifier, i);
        outbound_skip(&outbound);
    }
    push(&outbound, 5, 0); /* the ring is full but for the gap */
    push(&outbound, 6, 1);
    expect_sent(&outbound, 0, 4, 2);
    finish(&outbound, 1);
    assert_int_equal(outbound_next(&outbound, 0, &id)->identifier, 5);
    outbound_skip(&outbound);
    expect_sent(&outbound, 0, 6, 3);
    finish(&outbound, 2);
    finish(&outbound, 3);
    assert_int_equal(outbound_len(&outbound), 0);
    outbound_deinit(&outbound);
}

/* Holds 3.1.1: MQTT-2.3.1-4 5.0: MQTT-2.2.1-4. */
static void test_packet_ids_wrap_past_zero(void **state)
{
    static const uint32_t last = 3 * 65535;
    struct outbound outbound = {0};

    (void)state;
    for (uint32_t i = 1; i <= last; i++) {
        push(&outbound, i, 1);
        expect_sent(&outbound, 3, i, (uint16_t)((i - 1) % 65535 + 1));
        if (i <= last - 2) { /* the last two stay, so that the span lies over the end */
            finish(&outbound, (uint16_t)((i - 1) % 65535 + 1));
        }
    }
    push(&outbound, 1001, 1);
    push(&outbound, 1002, 1);
    expect_sent(&outbound, 0, 1001, 1);
    expect_sent(&outbound, 0, 1002, 2);
    assert_null(outbound_find(&outbound, 3));
    assert_null(outbound_find(&outbound, 65533));
    assert_int_equal(outbound_find(&outbound, 65534)->identifier, last - 1);
    assert_int_equal(outbound_find(&outbound, 65535)->identifier, last);
    finish(&outbound, 1);
    finish(&outbound, 65534);
    finish(&outbound, 65535);
    assert_int_equal(outbound_find(&outbound, 2)->identifier, 1002);
    finish(&outbound, 2);
    assert_int_equal(outbound_len(&outbound), 0);
    outbound_deinit(&outbound);
}

/* One that is never acknowledged lets so many pass, and no more. */
static void test_span_is_bounded(void **state)
{
    struct outbound outbound = {0};

    (void)state;
    for (uint32_t i = 1; i <= OUTBOUND_SPAN_MAX; i++) {
        push(&outbound, i, 1);
        expect_sent(&outbound, 2, i, (uint16_t)i);
        if (i > 1) {
            finish(&outbound, (uint16_t)i);
        }
    }
    push(&outbound, 20000, 1);
    expect_none(&outbound, 2);
    expect_none(&outbound, 0);
    finish(&outbound, 1);
    expect_sent(&outbound, 2, 20000, OUTBOUND_SPAN_MAX + 1);
    finish(&outbound, OUTBOUND_SPAN_MAX + 1);
    assert_null(outbound.ring); /* a large ring goes when it is empty */
    outbound_deinit(&outbound);
}

static void test_no_memory_takes_no_reference(void **state)
{
    struct outbound outbound = {0};
    unsigned refused = 0;

    (void)state;
    for (uint32_t i = 0; i < 40; i++) {
        struct delivery delivery = delivery_of(i + 1, 1);

        memory_fail_after(1);
        if (outbound_push(&outbound, &delivery) < 0) {
            refused++;
            assert_int_equal(outbound_len(&outbound), i);
            assert_int_equal(delivery.message->refs, 1);
            assert_int_equal(outbound_push(&outbound, &delivery), 0);
        }
        memory_fail_after(0);
        assert_int_equal(outbound_len(&outbound), i + 1);
    }
    assert_int_equal(refused, 5); /* rings of 4, 8, 16, 32 and 64 */
    outbound_deinit(&outbound);
}

/* The naive model: every delivery ever made, in order. */

#define MODEL_CAP 4000

struct model_delivery {
    uint32_t number;
    enum delivery_state state;
    bool is_sent_here; /* on this connection */
    uint8_t qos;
};

struct model {
    struct outbound outbound;
    struct model_delivery deliveries[MODEL_CAP];
    uint32_t len;
    uint32_t number; /* of the next */
    uint64_t seed;
};

static bool is_waiting(const struct model_delivery *delivery)
{
    return delivery->state != DELIVERY_DONE && !delivery->is_sent_here;
}

/* The sums and counts that the queue keeps. Payloads are four bytes until PUBREC. */
static void model_check(const struct model *model)
{
    uint64_t queued = 0;
    uint64_t unacked = 0;
    bool has_plain = false;

    for (uint32_t i = 0; i < model->len; i++) {
        const struct model_delivery *delivery = &model->deliveries[i];
        bool has_payload = delivery->state == DELIVERY_QUEUED || delivery->state == DELIVERY_SENT;

        queued += is_waiting(delivery) && has_payload ? 4 : 0;
        unacked += delivery->is_sent_here && has_payload ? 4 : 0;
        has_plain = has_plain || (delivery->qos == 0 && is_waiting(delivery));
    }
    assert_int_equal(outbound_queued_bytes(&model->outbound), queued);
    assert_int_equal(outbound_unacked_bytes(&model->outbound), unacked);
    assert_int_equal(outbound_has_plain(&model->outbound), has_plain);
}

static uint16_t id_of(uint32_t at)
{
    return (uint16_t)(at % 65535 + 1);
}

/* Takes one out whose place the others take. */
static void model_remove(struct model *model, uint32_t at)
{
    model->len--;
    memmove(&model->deliveries[at], &model->deliveries[at + 1],
            (model->len - at) * sizeof(model->deliveries[0]));
}

static void model_push(struct model *model)
{
    uint8_t qos = (uint8_t)fixture_random(&model->seed, 3);

    push(&model->outbound, ++model->number, qos);
    model->deliveries[model->len++] = (struct model_delivery){.number = model->number, .qos = qos};
}

/* Those behind it have no identifier yet: they take the places. */
static void model_drop_oldest(struct model *model)
{
    uint32_t at = model->len;
    uint16_t id;

    while (at > 0 && model->deliveries[at - 1].state == DELIVERY_QUEUED) {
        at--;
    }
    assert_int_equal(outbound_drop_oldest(&model->outbound, &id), at < model->len);
    if (at < model->len) {
        assert_int_equal(id, model->deliveries[at].qos > 0 ? id_of(at) : 0);
        model_remove(model, at);
    }
}

/* The next that is to be sent under this window; `len` when there is none. */
static uint32_t model_next(const struct model *model, uint32_t window)
{
    uint32_t in_flight = 0;
    uint32_t next = model->len;

    for (uint32_t i = model->len; i-- > 0;) {
        const struct model_delivery *delivery = &model->deliveries[i];

        if (delivery->state != DELIVERY_DONE && delivery->is_sent_here) {
            in_flight++;
        } else if (delivery->state != DELIVERY_DONE) {
            next = i;
        }
    }
    return window && in_flight >= window ? model->len : next;
}

static void model_send(struct model *model)
{
    uint32_t window = fixture_random(&model->seed, 6);
    uint32_t wanted = model_next(model, window);
    uint16_t id = 0;
    struct delivery *delivery = outbound_next(&model->outbound, window, &id);

    if (wanted == model->len) {
        assert_null(delivery);
        return;
    }
    assert_non_null(delivery);
    assert_int_equal(delivery->identifier, model->deliveries[wanted].number);
    assert_true(delivery->qos == 0 || id == id_of(wanted));
    assert_int_equal(delivery->state, model->deliveries[wanted].state);
    if (delivery->qos == 0) {
        outbound_skip(&model->outbound);
        model_remove(model, wanted);
        return;
    }
    if (fixture_random(&model->seed, 8) == 0) {
        outbound_skip(&model->outbound);
        model->deliveries[wanted].state = DELIVERY_DONE;
        return;
    }
    outbound_sent(&model->outbound);
    model->deliveries[wanted].is_sent_here = true;
    if (model->deliveries[wanted].state == DELIVERY_QUEUED) {
        model->deliveries[wanted].state = DELIVERY_SENT;
    }
}

/* An acknowledgement for any of the last ones, in flight or not. */
static void model_acknowledge(struct model *model)
{
    uint32_t at = model->len - 1 - fixture_random(&model->seed, MIN(model->len, 30u));
    struct model_delivery *expected = &model->deliveries[at];
    struct delivery *delivery = outbound_find(&model->outbound, id_of(at));

    if (!expected->is_sent_here || expected->state == DELIVERY_DONE) {
        assert_null(delivery);
        return;
    }
    assert_non_null(delivery);
    assert_int_equal(delivery->identifier, expected->number);
    assert_int_equal(delivery->state, expected->state);
    if (expected->qos == 2 && expected->state == DELIVERY_SENT) {
        outbound_release(&model->outbound, delivery);
        expected->state = DELIVERY_RELEASED;
    } else {
        outbound_finish(&model->outbound, delivery);
        expected->state = DELIVERY_DONE;
    }
}

static void model_rewind(struct model *model)
{
    outbound_rewind(&model->outbound);
    for (uint32_t i = 0; i < model->len; i++) {
        model->deliveries[i].is_sent_here = false;
    }
}

static void test_random_against_a_naive_queue(void **state)
{
    static struct model model;

    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        memset(&model, 0, sizeof(model));
        model.seed = seed;
        while (model.len < MODEL_CAP / 4) {
            uint32_t what = fixture_random(&model.seed, 100);

            if (what < 32) {
                model_push(&model);
            } else if (what < 34) {
                model_drop_oldest(&model);
            } else if (what < 60) {
                model_send(&model);
            } else if (what < 99 && model.len > 0) {
                model_acknowledge(&model);
            } else if (what == 99) {
                model_rewind(&model);
            }
            model_check(&model);
        }
        outbound_deinit(&model.outbound);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_bounds_what_is_in_flight),
        cmocka_unit_test(test_rewind_sends_again_in_order),
        cmocka_unit_test(test_skipped_takes_its_identifier_along),
        cmocka_unit_test(test_qos_0_uses_up_no_identifier),
        cmocka_unit_test(test_packet_ids_wrap_past_zero),
        cmocka_unit_test(test_span_is_bounded),
        cmocka_unit_test(test_no_memory_takes_no_reference),
        cmocka_unit_test(test_random_against_a_naive_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
