#include "base/test.h"
#include "net/forwarded.h"

#include <stdlib.h>

/* Proxies are 10.0.0.0/8 and fd00::/8. */

static const struct {
    const char *headers;
    const char *found; /* address and port; NULL: none */
} cases[] = {
    {"",                                                                 NULL               },
    {"X-Forwarded-For: 192.0.2.1\r\n",                                   "192.0.2.1 0"      },
    {"X-Forwarded-For: 192.0.2.1:80\r\n",                                "192.0.2.1 80"     },
    {"X-Forwarded-For: 2001:db8::1\r\n",                                 "2001:db8::1 0"    },
    {"X-Forwarded-For: [2001:db8::1]\r\n",                               "2001:db8::1 0"    },
    {"X-Forwarded-For: [2001:db8::1]:65535\r\n",                         "2001:db8::1 65535"},
    {"X-Forwarded-For: ::ffff:192.0.2.1\r\n",                            "192.0.2.1 0"      },
    {"X-Forwarded-For: 198.51.100.9, 192.0.2.1\r\n",                     "192.0.2.1 0"      },
    {"X-Forwarded-For: 192.0.2.1, 10.1.1.1\r\n",                         "192.0.2.1 0"      },
    {"X-Forwarded-For: 198.51.100.9,192.0.2.1 ,, 10.1.1.1, fd00::1\r\n", "192.0.2.1 0"      },
    {"X-Forwarded-For: 198.51.100.9\r\nx-forwarded-for: 192.0.2.1\r\n",  "192.0.2.1 0"      },
    {"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.1.1.1\r\n",      "192.0.2.1 0"      },
    {"X-Forwarded-For: 10.2.2.2, 10.1.1.1\r\n",                          "10.2.2.2 0"       },
    {"X-Forwarded-For: 192.0.2.1, unknown, 10.1.1.1\r\n",                "10.1.1.1 0"       },
    {"X-Forwarded-For: unknown, 192.0.2.1\r\n",                          "192.0.2.1 0"      },
    {"X-Forwarded-For: 192.0.2.1, unknown\r\n",                          NULL               },
    {"X-Forwarded-For: 192.0.2.1, 192.0.2.256\r\n",                      NULL               },
    {"X-Forwarded-For: \r\n",                                            NULL               },
    {"X-Forwarded-For: 192.0.2.1:\r\n",                                  NULL               },
    {"X-Forwarded-For: 192.0.2.1:65536\r\n",                             NULL               },
    {"X-Forwarded-For: 192.0.2.1:000001\r\n",                            NULL               },
    {"X-Forwarded-For: 192.0.2.1:8x\r\n",                                NULL               },
    {"X-Forwarded-For: [2001:db8::1]80\r\n",                             NULL               },
    {"X-Forwarded-For: [2001:db8::1]:\r\n",                              NULL               },
    {"X-Forwarded-For: [2001:db8::1\r\n",                                NULL               },
    {"X-Forwarded-For: []\r\n",                                          NULL               },
};

static void whom_the_header_names(void **state)
{
    static const struct http_limits limits = {.head_size = 1024, .header_len = 10};
    struct address_range ranges[2];
    struct forwarded_trust trust = {.ranges = ranges, .len = ARRAY_LEN(ranges)};

    (void)state;
    assert_int_equal(address_range_parse("10.0.0.0/8", &ranges[0]), ADDRESS_OK);
    assert_int_equal(address_range_parse("fd00::/8", &ranges[1]), ADDRESS_OK);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct http_request request;
        struct http_failure failure;
        struct address address;
        char text[ADDRESS_TEXT_CAP];
        char found[ADDRESS_TEXT_CAP + 10];
        char head[512];
        struct slice copy;
        bool is_found;

        snprintf(head, sizeof(head), "GET / HTTP/1.0\r\n%s\r\n", cases[i].headers);
        copy = bytes_copy(slice_of_text(head));
        assert_int_equal(http_parse(copy, 0, &limits, &request, &failure), HTTP_COMPLETE);
        is_found = forwarded_find(&request, &trust, &address);
        assert_int_equal(is_found, cases[i].found != NULL);
        if (is_found) {
            address_format(&address, text);
            snprintf(found, sizeof(found), "%s %u", text, address.port);
            assert_string_equal(found, cases[i].found);
        }
        bytes_free(copy);
    }
}

static void who_is_trusted(void **state)
{
    struct address_range range;
    struct forwarded_trust trust = {.ranges = &range, .len = 1};
    struct address address;

    (void)state;
    assert_int_equal(address_range_parse("10.0.0.0/8", &range), ADDRESS_OK);
    assert_int_equal(address_parse(slice_of_text("10.1.2.3"), &address), ADDRESS_OK);
    assert_true(forwarded_trusts(&trust, &address));
    trust.len = 0;
    assert_false(forwarded_trusts(&trust, &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whom_the_header_names),
        cmocka_unit_test(who_is_trusted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
