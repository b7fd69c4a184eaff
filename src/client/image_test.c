#include "base/test.h"
#include "client/image.h"

static struct image image;

static void test_the_copy_has_its_own_identifier(void **state)
{
    static const uint8_t packet[] = {0x32, 7, 0, 1, 't', 0x12, 0x34, 'p', 'q'};
    static const uint8_t copy[] = {0x32, 7, 0, 1, 't', 0xab, 0xcd, 'p', 'q'};
    struct publication publication = {0};
    uint8_t room[sizeof(packet)];

    (void)state;
    image_keep(&image, &publication, 1, slice_of(packet, sizeof(packet)), 5);
    assert_true(image_is_of(&image, &publication, 1));
    assert_ptr_equal(image_put(&image, room, 0xabcd), room + sizeof(room));
    assert_memory_equal(room, copy, sizeof(copy));
}

static void test_without_identifier_it_is_the_same(void **state)
{
    static const uint8_t packet[] = {0x30, 4, 0, 1, 't', 'p'};
    struct publication publication = {0};
    uint8_t room[sizeof(packet)];

    (void)state;
    image_keep(&image, &publication, 0, slice_of(packet, sizeof(packet)), 0);
    image_put(&image, room, 7);
    assert_memory_equal(room, packet, sizeof(packet));
}

static void test_each_publication_and_kind_has_its_own(void **state)
{
    static const uint8_t packet[] = {0x30, 4, 0, 1, 't', 'p'};
    struct publication first = {0};
    struct publication second = {0};

    (void)state;
    image_keep(&image, &first, 0, slice_of(packet, sizeof(packet)), 0);
    assert_false(image_is_of(&image, &first, 1));
    assert_false(image_is_of(&image, &second, 0));
    image_keep(&image, &second, 0, slice_of(packet, sizeof(packet)), 0);
    assert_true(image_is_of(&image, &second, 0));
    assert_false(image_is_of(&image, &first, 0));
}

static void test_what_is_too_long_is_not_kept(void **state)
{
    static const uint8_t packet[IMAGE_CAP + 1];
    struct publication publication = {0};

    (void)state;
    image_keep(&image, &publication, 0, slice_of(packet, sizeof(packet)), 0);
    assert_int_equal(publication.image, 0);
    image_keep(&image, &publication, 0, slice_of(packet, IMAGE_CAP), 0);
    assert_true(image_is_of(&image, &publication, 0));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_copy_has_its_own_identifier),
        cmocka_unit_test(test_without_identifier_it_is_the_same),
        cmocka_unit_test(test_each_publication_and_kind_has_its_own),
        cmocka_unit_test(test_what_is_too_long_is_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
