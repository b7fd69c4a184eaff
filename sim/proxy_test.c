#include "base/test.h"
#include "net/proxy.h"
#include "sim/proxy.h"

/* What the server's parser makes of the headers, in pieces of any size. */

struct seen {
    unsigned versions[3];
    unsigned with_address;
};

static void take_header(struct choice *choice, struct slice bytes, struct seen *seen)
{
    const struct proxy_demands demands = {.accept = PROXY_ANY};
    enum proxy_verdict verdict = PROXY_MORE;
    struct proxy_parser *parser;
    struct proxy_info *info;
    size_t used;

    assert_int_equal(proxy_parser_new(&demands, &parser), 0);
    while (verdict == PROXY_MORE) {
        size_t len = MIN(bytes.len, 1 + choice_below(choice, 40));

        assert_true(len > 0);
        verdict = proxy_feed(parser, slice_of(bytes.data, len), &used);
        bytes = slice_skip(bytes, used);
    }
    assert_int_equal(verdict, PROXY_DONE);
    assert_int_equal(bytes.len, 1);
    info = proxy_take(parser);
    seen->versions[info->version]++;
    seen->with_address += info->has_address;
    assert_true(!info->has_address || info->source.ip[0] == 10);
    proxy_info_free(info);
    proxy_parser_free(parser);
}

static void test_is_understood(void **state)
{
    struct seen seen = {0};
    struct choice choice;

    (void)state;
    choice_from_seed(&choice, 1);
    for (unsigned i = 0; i < 200; i++) {
        struct bytes bytes = {0};

        sim_proxy_put(&choice, &bytes);
        bytes_write(&bytes, "x", 1);
        take_header(&choice, bytes_rest(&bytes), &seen);
        bytes_deinit(&bytes);
    }
    assert_in_range(seen.versions[1], 50, 150);
    assert_in_range(seen.versions[2], 50, 150);
    assert_in_range(seen.with_address, 100, 190);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_understood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
