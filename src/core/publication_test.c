#include "base/test.h"
#include "core/publication.h"

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
    assert_int_equal(message->marks.qos, 2);
    assert_true(message->marks.retain);
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

/* Nothing that it was made of is needed any more. */
static void expect_parts_of_message(const struct publication *publication)
{
    const struct message_parts *parts = &publication->parts;

    assert_ptr_equal(parts->topic.data, message_topic(publication->message).data);
    assert_ptr_equal(parts->properties.data, message_properties(publication->message).data);
    assert_ptr_equal(parts->payload.data, message_payload(publication->message).data);
}

static void test_makes_its_message_once(void **state)
{
    struct publication publication = {.parts = parts_of("t", "p", "x"), .topic_hash = 5};
    struct message *message;

    (void)state;
    memory_fail_after(1);
    assert_int_equal(publication_need_message(&publication), -ENOMEM);
    publication_deinit(&publication);
    assert_int_equal(publication_need_message(&publication), 0);
    memory_fail_after(1);
    message = publication.message;
    assert_int_equal(publication_need_message(&publication), 0);
    memory_fail_after(0);
    assert_ptr_equal(publication.message, message);
    expect_message(message, "t", "p", "x");
    expect_parts_of_message(&publication);
    message_ref(message);
    publication_deinit(&publication);
    publication_deinit(&publication);
    assert_int_equal(message->refs, 1);
    message_unref(message);
}

static void test_adopts_its_room(void **state)
{
    struct publication publication = {.parts = parts_of("", "pp", ""), .properties_cap = 4};

    (void)state;
    publication.room = room_of(&publication.parts, "..a/bPPPP", "payload");
    publication.parts.topic = slice_of(publication.room->data + 2, 3);
    memory_fail_after(1);
    assert_int_equal(publication_need_message(&publication), 0);
    memory_fail_after(0);
    assert_null(publication.room);
    expect_message(publication.message, "a/b", "pp", "payload");
    expect_parts_of_message(&publication);
    publication_deinit(&publication);
}

static void test_of_borrows(void **state)
{
    struct message_parts parts = parts_of("t", "p", "x");
    struct publication publication;
    struct message *message;

    (void)state;
    assert_int_equal(message_new(&parts, &message), 0);
    message->retained_number = 12;
    publication_of(&publication, message, 5);
    assert_int_equal(publication.retained_number, 12);
    assert_int_equal(publication.topic_hash, 5);
    assert_int_equal(publication.parts.origin, 77);
    assert_int_equal(publication.parts.topic_hash, 4711);
    assert_int_equal(publication.parts.expires_at, 99);
    assert_int_equal(publication.parts.expiry_interval, 90);
    assert_int_equal(publication.parts.qos, 2);
    assert_true(publication.parts.retain);
    expect_slice(publication.parts.topic, "t");
    expect_slice(publication.parts.properties, "p");
    expect_slice(publication.parts.payload, "x");
    assert_int_equal(publication_need_message(&publication), 0);
    publication_deinit(&publication);
    assert_int_equal(message->refs, 1);
    message_unref(message);
}

/* Nothing but the reference that is handed over; of a room, and of what others hold, too. */
static void test_hands_its_message_over(void **state)
{
    struct publication plain = {.parts = parts_of("t", "p", "x")};
    struct publication adopted = {.parts = parts_of("", "pp", ""), .properties_cap = 4};
    struct publication borrowed;
    struct message *message;

    (void)state;
    memory_fail_after(1);
    assert_int_equal(publication_hand_over(&plain, &message), -ENOMEM);
    assert_int_equal(publication_hand_over(&plain, &message), 0);
    publication_deinit(&plain);
    expect_message(message, "t", "p", "x");
    message_unref(message);

    adopted.room = room_of(&adopted.parts, "..a/bPPPP", "payload");
    adopted.parts.topic = slice_of(adopted.room->data + 2, 3);
    assert_int_equal(publication_hand_over(&adopted, &message), 0);
    assert_null(adopted.room);
    publication_deinit(&adopted);
    expect_message(message, "a/b", "pp", "payload");

    publication_of(&borrowed, message, 5);
    assert_int_equal(publication_hand_over(&borrowed, &message), 0);
    publication_deinit(&borrowed);
    assert_int_equal(message->refs, 2);
    message_unref(message);
    message_unref(message);
}

/* Only its own reference, only where it is for one, and only once. */
static void test_who_keeps_it_has_a_reference(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct publication publication = {.parts = parts_of("t", "p", "x"), .is_for_one = i & 1};
        struct message *message;

        assert_int_equal(publication_need_message(&publication), 0);
        message = publication.message;
        publication.owns_message = i & 2;
        assert_ptr_equal(publication_ref(&publication), message);
        assert_int_equal(message->refs, i == 3 ? 1 : 2);
        assert_ptr_equal(publication_ref(&publication), message);
        assert_int_equal(message->refs, i == 3 ? 2 : 3);
        publication_deinit(&publication);
        while (message->refs > 1) {
            message_unref(message);
        }
        message_unref(message);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_makes_its_message_once),
        cmocka_unit_test(test_adopts_its_room),
        cmocka_unit_test(test_of_borrows),
        cmocka_unit_test(test_hands_its_message_over),
        cmocka_unit_test(test_who_keeps_it_has_a_reference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
