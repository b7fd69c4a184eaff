#include "base/address.h"
#include "base/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

static struct address make(const char *text, uint16_t port)
{
    struct address address = {0};

    assert_int_equal(address_parse(slice_of_text(text), &address), ADDRESS_OK);
    address.port = port;
    return address;
}

/* The address as text, and its family. */
struct parse_case {
    const char *text;
    int family;
    const char *formatted; /* NULL: as written */
};

static void parses_and_formats(void **state)
{
    static const struct parse_case cases[] = {
        {"192.0.2.1",                                      ADDRESS_IPV4, NULL             },
        {"0.0.0.0",                                        ADDRESS_IPV4, NULL             },
        {"255.255.255.255",                                ADDRESS_IPV4, NULL             },
        {"::",                                             ADDRESS_IPV6, NULL             },
        {"::1",                                            ADDRESS_IPV6, NULL             },
        {"2001:DB8::00a",                                  ADDRESS_IPV6, "2001:db8::a"    },
        {"::ffff:192.0.2.1",                               ADDRESS_IPV4, "192.0.2.1"      },
        {"::ffff:c000:201",                                ADDRESS_IPV4, "192.0.2.1"      },
        {"::fffe:192.0.2.1",                               ADDRESS_IPV6, "::fffe:c000:201"},
        {"1:ffff:ffff:ffff:ffff:ffff:255.255.255.255",     ADDRESS_IPV6,
         "1:ffff:ffff:ffff:ffff:ffff:ffff:ffff"                                           },
        {"",                                               ADDRESS_NONE, NULL             },
        {"1.2.3",                                          ADDRESS_NONE, NULL             },
        {"1.2.3.4.5",                                      ADDRESS_NONE, NULL             },
        {"01.2.3.4",                                       ADDRESS_NONE, NULL             },
        {"256.2.3.4",                                      ADDRESS_NONE, NULL             },
        {"1.2.3.4 ",                                       ADDRESS_NONE, NULL             },
        {" 1.2.3.4",                                       ADDRESS_NONE, NULL             },
        {":::",                                            ADDRESS_NONE, NULL             },
        {"fe80::1%lo",                                     ADDRESS_NONE, NULL             },
        {"localhost",                                      ADDRESS_NONE, NULL             },
        {"1111:2222:3333:4444:5555:6666:255.255.255.2555", ADDRESS_NONE, NULL             },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice copy = bytes_copy(slice_of_text(cases[i].text));
        struct address address = {.family = ADDRESS_NONE};
        char text[ADDRESS_TEXT_CAP];
        bool is_good = address_parse(copy, &address) == ADDRESS_OK;
        size_t len = address_format(&address, text);

        assert_int_equal(is_good, cases[i].family != ADDRESS_NONE);
        assert_int_equal(address.family, cases[i].family);
        assert_int_equal(len, strlen(text));
        if (is_good) {
            assert_string_equal(text, cases[i].formatted ? cases[i].formatted : cases[i].text);
        }
        bytes_free(copy);
    }
}

static void refuses_a_zero_byte(void **state)
{
    struct address address;

    (void)state;
    assert_int_equal(address_parse(slice_of("1.2.3.4\0x", 9), &address), ADDRESS_INVALID);
}

static void reads_socket_addresses(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(1883)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(8883)};
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/x"};
    struct address expected = make("192.0.2.7", 1883);
    struct address got;

    (void)state;
    inet_pton(AF_INET, "192.0.2.7", &in.sin_addr);
    got = address_of_sockaddr((struct sockaddr *)&in, sizeof(in));
    assert_true(address_is_equal(&got, &expected));

    inet_pton(AF_INET6, "::ffff:192.0.2.7", &in6.sin6_addr);
    expected.port = 8883;
    got = address_of_sockaddr((struct sockaddr *)&in6, sizeof(in6));
    assert_true(address_is_equal(&got, &expected));

    inet_pton(AF_INET6, "2001:db8::7", &in6.sin6_addr);
    expected = make("2001:db8::7", 8883);
    got = address_of_sockaddr((struct sockaddr *)&in6, sizeof(in6));
    assert_true(address_is_equal(&got, &expected));

    got = address_of_sockaddr((struct sockaddr *)&un, sizeof(sa_family_t));
    assert_int_equal(got.family, ADDRESS_UNIX);
    assert_int_equal(got.port, 0);
}

static void refuses_short_socket_addresses(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr other = {.sa_family = AF_PACKET};

    (void)state;
    assert_int_equal(address_of_sockaddr((struct sockaddr *)&in, sizeof(in) - 1).family, 0);
    assert_int_equal(address_of_sockaddr((struct sockaddr *)&in6, sizeof(in6) - 1).family, 0);
    assert_int_equal(address_of_sockaddr((struct sockaddr *)&in, 1).family, 0);
    assert_int_equal(address_of_sockaddr(&other, sizeof(other)).family, 0);
}

static void compares_all_parts(void **state)
{
    struct address a = make("192.0.2.7", 1);
    struct address same = make("::ffff:192.0.2.7", 1);
    struct address port = make("192.0.2.7", 2);
    struct address ip = make("192.0.2.8", 1);
    struct address none = {0};
    struct address zero = make("0.0.0.0", 0);

    (void)state;
    assert_true(address_is_equal(&a, &same));
    assert_false(address_is_equal(&a, &port));
    assert_false(address_is_equal(&a, &ip));
    assert_false(address_is_equal(&none, &zero));
}

struct range_case {
    const char *range;
    const char *inside;  /* NULL: the range is wrong */
    const char *outside; /* NULL: there is none */
    int verdict;
};

static void checks_ranges(void **state)
{
    static const struct range_case cases[] = {
        {"10.0.0.0/8",          "10.255.255.255",   "11.0.0.0",         0                     },
        {"10.0.0.0/8",          "::ffff:10.1.2.3",  "::a00:1",          0                     },
        {"192.0.2.1",           "192.0.2.1",        "192.0.2.0",        0                     },
        {"192.0.2.1/32",        "192.0.2.1",        "192.0.2.3",        0                     },
        {"192.0.2.128/25",      "192.0.2.200",      "192.0.2.127",      0                     },
        {"192.0.2.2/31",        "192.0.2.3",        "192.0.2.4",        0                     },
        {"0.0.0.0/0",           "255.1.2.3",        "::1",              0                     },
        {"::/0",                "ffff::1",          "192.0.2.1",        0                     },
        {"::1",                 "::1",              "::2",              0                     },
        {"2001:db8::/33",       "2001:db8:7fff::1", "2001:db8:8000::1", 0                     },
        {"fe80::/10",           "febf::1",          "fec0::1",          0                     },
        {"::ffff:10.0.0.0/104", "10.9.9.9",         "11.0.0.0",         0                     },
        {"::ffff:0.0.0.0/96",   "10.9.9.9",         "::1",              0                     },
        {"::ffff:192.0.2.1",    "192.0.2.1",        "192.0.2.2",        0                     },
        {"",                    NULL,               NULL,               ADDRESS_INVALID       },
        {"unixx",               NULL,               NULL,               ADDRESS_INVALID       },
        {"unix/8",              NULL,               NULL,               ADDRESS_INVALID       },
        {"/8",                  NULL,               NULL,               ADDRESS_INVALID       },
        {"10.0.0/8",            NULL,               NULL,               ADDRESS_INVALID       },
        {"10.0.0.0/",           NULL,               NULL,               ADDRESS_INVALID_PREFIX},
        {"10.0.0.0/33",         NULL,               NULL,               ADDRESS_INVALID_PREFIX},
        {"10.0.0.0/-1",         NULL,               NULL,               ADDRESS_INVALID_PREFIX},
        {"10.0.0.0/08",         NULL,               NULL,               ADDRESS_INVALID_PREFIX},
        {"10.0.0.0/8/8",        NULL,               NULL,               ADDRESS_INVALID_PREFIX},
        {"10.0.0.0/ 8",         NULL,               NULL,               ADDRESS_INVALID_PREFIX},
        {"10.0.0.0/4294967304", NULL,               NULL,               ADDRESS_INVALID_PREFIX},
        {"10.0.0.0/255.0.0.0",  NULL,               NULL,               ADDRESS_INVALID_PREFIX},
        {"::/129",              NULL,               NULL,               ADDRESS_INVALID_PREFIX},
        {"10.0.0.1/8",          NULL,               NULL,               ADDRESS_HAS_HOST_BITS },
        {"10.1.0.0/15",         NULL,               NULL,               ADDRESS_HAS_HOST_BITS },
        {"0.0.0.1/0",           NULL,               NULL,               ADDRESS_HAS_HOST_BITS },
        {"192.0.2.129/25",      NULL,               NULL,               ADDRESS_HAS_HOST_BITS },
        {"2001:db8::1/64",      NULL,               NULL,               ADDRESS_HAS_HOST_BITS },
        {"::1/127",             NULL,               NULL,               ADDRESS_HAS_HOST_BITS },
        {"::ffff:10.0.0.0/95",  NULL,               NULL,               ADDRESS_HAS_HOST_BITS },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct address_range range;
        struct address inside = cases[i].inside ? make(cases[i].inside, 7) : (struct address){0};
        struct address outside = cases[i].outside ? make(cases[i].outside, 7) : (struct address){0};
        int verdict = (int)address_range_parse(cases[i].range, &range);

        if (verdict != cases[i].verdict) {
            fail_msg("%s: %s", cases[i].range, address_complaint((enum address_verdict)verdict));
        }
        if (cases[i].inside && (!address_range_contains(&range, &inside) ||
                                address_range_contains(&range, &outside))) {
            fail_msg("%s, %s, %s", cases[i].range, cases[i].inside, cases[i].outside);
        }
    }
}

static void knows_unix_sockets(void **state)
{
    struct address_range range;
    struct address_range everybody;
    struct address local = {.family = ADDRESS_UNIX};
    struct address remote = make("0.0.0.0", 0);
    char text[ADDRESS_TEXT_CAP] = "x";

    (void)state;
    assert_int_equal(address_range_parse("unix", &range), ADDRESS_OK);
    assert_int_equal(address_range_parse("0.0.0.0/0", &everybody), ADDRESS_OK);
    assert_true(address_range_contains(&range, &local));
    assert_false(address_range_contains(&range, &remote));
    assert_false(address_range_contains(&everybody, &local));
    assert_int_equal(address_format(&local, text), 0);
    assert_string_equal(text, "");
}

static void has_words_for_every_verdict(void **state)
{
    (void)state;
    for (int verdict = ADDRESS_OK; verdict <= ADDRESS_HAS_HOST_BITS; verdict++) {
        assert_string_not_equal(address_complaint((enum address_verdict)verdict), "unknown");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_and_formats),     cmocka_unit_test(refuses_a_zero_byte),
        cmocka_unit_test(reads_socket_addresses), cmocka_unit_test(refuses_short_socket_addresses),
        cmocka_unit_test(compares_all_parts),     cmocka_unit_test(checks_ranges),
        cmocka_unit_test(knows_unix_sockets),     cmocka_unit_test(has_words_for_every_verdict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
