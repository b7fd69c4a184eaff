#include "base/stress_test.h"
#include "core/message.h"

static struct message_parts parts_of(const char *topic, const char *properties, const char *payload)
{
    return (struct message_parts){
        .topic = slice_of_text(topic),
        .properties = slice_of_text(properties),
        .payload = slice_of_text(payload),
        .origin = 77,
        .topic_hash = 4711,
        .expires_at = 99,
        .expiry_interval = 90,
        .qos = 2,
        .retain = true,
    };
}

static void expect_slice(struct slice slice, const char *text)
{
    assert_int_equal(slice.len, strlen(text));
    assert_memory_equal(slice.data, text, slice.len);
}

static void expect_message(const struct message *message, const char *topic, const char *properties,
                           const char *payload)
{
    expect_slice(message_topic(message), topic);
    expect_slice(message_properties(message), properties);
    expect_slice(message_payload(message), payload);
    assert_int_equal(message->refs, 1);
    assert_int_equal(message->retained_number, 0);
    assert_int_equal(message->origin, 77);
    assert_int_equal(message->topic_hash, 4711);
    assert_int_equal(message->expires_at, 99);
    assert_int_equal(message->expiry_interval, 90);
    assert_int_equal(message->marks.qos, 2);
    assert_true(message->marks.retain);
}

static void test_new_copies_all_parts(void **state)
{
    static const char *const rows[][3] = {
        {"a/b",          "",           ""       },
        {"a/b",          "",           "payload"},
        {"t",            "properties", ""       },
        {"a/long/topic", "some",       "payload"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct message_parts parts = parts_of(rows[i][0], rows[i][1], rows[i][2]);
        size_t size = parts.topic.len + parts.properties.len + parts.payload.len;
        struct message *message;

        assert_int_equal(message_new(&parts, &message), 0);
        expect_message(message, rows[i][0], rows[i][1], rows[i][2]);
        assert_int_equal(message_size(message), MESSAGE_HEAD + size);
        message_unref(message);
        memory_fail_after(1);
        assert_int_equal(message_new(&parts, &message), -ENOMEM);
    }
    memory_fail_after(0);
}

static void test_last_reference_frees(void **state)
{
    struct message_parts parts = parts_of("t", "", "x");
    struct message *message;

    (void)state;
    assert_int_equal(message_new(&parts, &message), 0);
    assert_ptr_equal(message_ref(message), message);
    message_ref_many(message, 3);
    for (unsigned left = 5; left > 1; left--) {
        assert_int_equal(message->refs, left);
        assert_null(message_unref(message));
    }
    expect_message(message, "t", "", "x");
    message_unref(message); /* the leak check of the sanitizer sees the rest */
    assert_null(message_unref(NULL));
}

static struct message *common;

static void take_and_release(unsigned number)
{
    (void)number;
    for (unsigned i = 0; i < 200000; i++) {
        message_ref_many(common, 2);
        message_unref(common);
        message_unref(common);
    }
}

static void test_what_is_shared_is_counted_by_all(void **state)
{
    struct message_parts parts = parts_of("t", "", "x");
    struct stress_task tasks[] = {
        {take_and_release, 0, 0},
        {take_and_release, 1, 0}
    };

    (void)state;
    assert_int_equal(message_new(&parts, &common), 0);
    assert_false(common->marks.is_shared);
    message_share(common);
    stress_run(tasks, ARRAY_LEN(tasks));
    assert_int_equal(common->refs, 1);
    message_unref(common);
}

/* A packet body: length and topic, then properties of which not all are forwarded, then payload. */
static struct message *room_of(struct message_parts *parts, const char *body, const char *payload)
{
    size_t len = strlen(body) + strlen(payload);
    struct message *room = message_room_new(1);

    room = message_room_resize(room, len);
    assert_non_null(room);
    memcpy(room->data, body, strlen(body));
    memcpy(room->data + strlen(body), payload, strlen(payload));
    parts->payload = slice_of(room->data + strlen(body), strlen(payload));
    return room;
}

static void test_adopt_puts_all_before_the_payload(void **state)
{
    static const char *const forwarded[] = {"", "pp", "ppppp", "pppppp"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(forwarded); i++) {
        struct message_parts parts = parts_of("", forwarded[i], "");
        struct message *room = room_of(&parts, "..a/bPPPPPP", "payload");
        struct message *message;

        parts.topic = slice_of(room->data + 2, 3);
        message = message_adopt(room, &parts, 6);
        assert_ptr_equal(message, room);
        expect_message(message, "a/b", forwarded[i], "payload");
        message_unref(message);
    }
}

/* Properties that lie in the room themselves move behind themselves. */
static void test_adopt_moves_what_overlaps(void **state)
{
    struct message_parts parts = parts_of("", "", "");
    struct message *room = room_of(&parts, "..a/b12345678", "payload");

    (void)state;
    parts.topic = slice_of(room->data + 2, 3);
    parts.properties = slice_of(room->data + 5, 6);
    expect_message(message_adopt(room, &parts, 8), "a/b", "123456", "payload");
    message_unref(room);
    assert_null(message_room_free(message_room_new(10)));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_copies_all_parts),
        cmocka_unit_test(test_last_reference_frees),
        cmocka_unit_test(test_what_is_shared_is_counted_by_all),
        cmocka_unit_test(test_adopt_puts_all_before_the_payload),
        cmocka_unit_test(test_adopt_moves_what_overlaps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
