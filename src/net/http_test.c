#include "base/test.h"
#include "net/http.h"

#include <stdlib.h>

/*
 * Each head is looked at whole, byte by byte, and cut in two at every offset, always in copies on
 * the heap that end where the bytes end: the verdict must be the same, at the same byte.
 */

#define HOST "Host: a\r\n"

static const struct http_limits usual = {.head_size = 4096, .header_len = 100};

static enum http_verdict parse(struct slice bytes, size_t seen, const struct http_limits *limits,
                               struct http_request *request, struct http_failure *failure)
{
    struct slice copy = bytes_copy(bytes);
    enum http_verdict verdict = http_parse(copy, seen, limits, request, failure);

    bytes_free(copy);
    return verdict;
}

/* The first verdict but HTTP_MORE when the bytes come in steps; and the failure. */
static enum http_verdict parse_in_steps(struct slice bytes, size_t first, size_t step,
                                        struct http_failure *failure)
{
    enum http_verdict verdict = HTTP_MORE;
    struct http_request request;
    size_t seen = 0;

    for (size_t len = first; verdict == HTTP_MORE; len += step) {
        len = MIN(len, bytes.len);
        verdict = parse(slice_of(bytes.data, len), seen, &usual, &request, failure);
        seen = len;
        if (len == bytes.len) {
            break;
        }
    }
    return verdict;
}

static void check_cuts(struct slice bytes, enum http_verdict verdict, enum http_status status)
{
    struct http_failure failure = {0};

    assert_int_equal(parse_in_steps(bytes, 0, 1, &failure), verdict);
    assert_true(verdict != HTTP_REFUSED || failure.status == status);
    for (size_t cut = 0; cut <= bytes.len; cut++) {
        assert_int_equal(parse_in_steps(bytes, cut, bytes.len, &failure), verdict);
        assert_true(verdict != HTTP_REFUSED || failure.status == status);
    }
}

static const struct {
    const char *head;
    const char *path;
    const char *query;
    enum http_method method;
    bool is_kept_alive;
} good[] = {
    {"GET / HTTP/1.1\r\n" HOST "\r\n",                                "/",         "",      HTTP_GET,  true },
    {"HEAD /a/b.html?x=1&y HTTP/1.1\r\n" HOST "\r\n",                 "/a/b.html", "x=1&y", HTTP_HEAD, true },
    {"\r\nGET / HTTP/1.1\r\n" HOST "\r\n",                            "/",         "",      HTTP_GET,  true },
    {"GET / HTTP/1.0\r\n\r\n",                                        "/",         "",      HTTP_GET,  false},
    {"GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n",           "/",         "",      HTTP_GET,  true },
    {"GET / HTTP/1.9\r\n" HOST "Connection: CLOSE\r\n\r\n",           "/",         "",      HTTP_GET,  false},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n",                               "/",         "",      HTTP_GET,  true },
    {"GET / HTTP/1.1\r\nhOST: \t [::1]:80 \t \r\n\r\n",               "/",         "",      HTTP_GET,  true },
    {"GET http://h:80/p?q HTTP/1.1\r\n" HOST "\r\n",                  "/p",        "q",     HTTP_GET,  true },
    {"GET /%2e%2e/?a?b HTTP/1.1\r\n" HOST "\r\n",                     "/%2e%2e/",  "a?b",   HTTP_GET,  true },
    {"GET / HTTP/1.1\r\n" HOST "X:\xc3\xa4\r\nY:\r\nZ: a\tb\r\n\r\n", "/",         "",      HTTP_GET,  true },
    {"GET / HTTP/1.1\r\n" HOST "Content-Length: 000\r\n\r\n",         "/",         "",      HTTP_GET,  true },
};

static void what_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct slice head = slice_of_text(good[i].head);
        struct http_request request;
        struct http_failure failure;

        assert_int_equal(http_parse(head, 0, &usual, &request, &failure), HTTP_COMPLETE);
        assert_int_equal(request.size, head.len);
        assert_int_equal(request.method, good[i].method);
        assert_int_equal(request.is_kept_alive, good[i].is_kept_alive);
        assert_true(slice_is_equal(request.path, slice_of_text(good[i].path)));
        assert_true(slice_is_equal(request.query, slice_of_text(good[i].query)));
        check_cuts(head, HTTP_COMPLETE, 0);
    }
}

static const struct {
    enum http_status status;
    const char *head;
} bad[] = {
    {HTTP_BAD_REQUEST,           "\x10\x0c\0\4MQTT"                                                        },
    {HTTP_BAD_REQUEST,           " GET / HTTP/1.1\r\n"                                                     },
    {HTTP_BAD_REQUEST,           "\r\n\r\nGET / HTTP/1.1\r\n"                                              },
    {HTTP_BAD_REQUEST,           "\rGET"                                                                   },
    {HTTP_BAD_REQUEST,           "\n"                                                                      },
    {HTTP_BAD_REQUEST,           "GET\t/ HTTP/1.1\r\n"                                                     },
    {HTTP_BAD_REQUEST,           "AVERYLONGMETHODNAME"                                                     },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\n"                                                        },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\nHost: a\n"                                             },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\n" HOST "\n"                                            },
    {HTTP_BAD_REQUEST,           "GET  / HTTP/1.1\r\n" HOST "\r\n"                                         },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1 \r\n" HOST "\r\n"                                         },
    {HTTP_BAD_REQUEST,           "GET /\r\n\r\n"                                                           },
    {HTTP_BAD_REQUEST,           "GET / http/1.1\r\n" HOST "\r\n"                                          },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.10\r\n" HOST "\r\n"                                         },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1x1\r\n" HOST "\r\n"                                          },
    {HTTP_VERSION_NOT_SUPPORTED, "GET / HTTP/2.0\r\n" HOST "\r\n"                                          },
    {HTTP_BAD_REQUEST,           "GET x HTTP/1.1\r\n" HOST "\r\n"                                          },
    {HTTP_BAD_REQUEST,           "GET * HTTP/1.1\r\n" HOST "\r\n"                                          },
    {HTTP_BAD_REQUEST,           "GET ?x HTTP/1.1\r\n" HOST "\r\n"                                         },
    {HTTP_BAD_REQUEST,           "GET http://h HTTP/1.1\r\n" HOST "\r\n"                                   },
    {HTTP_BAD_REQUEST,           "GET https://h/ HTTP/1.1\r\n" HOST "\r\n"                                 },
    {HTTP_BAD_REQUEST,           "GET /#x HTTP/1.1\r\n" HOST "\r\n"                                        },
    {HTTP_BAD_REQUEST,           "GET /\x7f HTTP/1.1\r\n" HOST "\r\n"                                      },
    {HTTP_BAD_REQUEST,           "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n"                                  },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\n\r\n"                                                  },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\n" HOST HOST "\r\n"                                     },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.0\r\n" HOST HOST "\r\n"                                     },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"                                     },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\n" HOST "A : b\r\n\r\n"                                 },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\n" HOST "A\r\n\r\n"                                     },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n"                                   },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n"                            },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\n " HOST "\r\n"                                         },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n"                               },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\n" HOST "A: \x01\r\n\r\n"                               },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\n" HOST "A: \x7f\r\n\r\n"                               },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\n" HOST "Content-Length: \r\n\r\n"                      },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n"                    },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n"                  },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n"},
    {HTTP_CONTENT_TOO_LARGE,     "GET / HTTP/1.1\r\n" HOST "Content-Length: 010\r\n\r\n"                   },
    {HTTP_NOT_IMPLEMENTED,       "GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"            },
    {HTTP_BAD_REQUEST,           "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"                    },
    {HTTP_BAD_REQUEST,
     "GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"                   },
    {HTTP_METHOD_NOT_ALLOWED,    "POST / HTTP/1.1\r\n" HOST "\r\n"                                         },
    {HTTP_METHOD_NOT_ALLOWED,    "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"                                      },
    {HTTP_METHOD_NOT_ALLOWED,    "CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n"                                    },
    {HTTP_NOT_IMPLEMENTED,       "get / HTTP/1.1\r\n" HOST "\r\n"                                          },
    {HTTP_NOT_IMPLEMENTED,       "BREW / HTTP/1.1\r\n" HOST "\r\n"                                         },
};

static void what_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct slice head = slice_of_text(bad[i].head);
        struct http_request request;
        struct http_failure failure = {0};

        assert_int_equal(parse(head, 0, &usual, &request, &failure), HTTP_REFUSED);
        assert_int_equal(failure.status, bad[i].status);
        assert_non_null(failure.text);
        check_cuts(head, HTTP_REFUSED, bad[i].status);
    }
}

static void a_zero_byte_is_refused(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\n" HOST "A: \0\r\n\r\n";
    static const char host[] = "GET / HTTP/1.1\r\nHost: \0\r\n\r\n";

    (void)state;
    check_cuts(slice_of(head, sizeof(head) - 1), HTTP_REFUSED, HTTP_BAD_REQUEST);
    check_cuts(slice_of(host, sizeof(host) - 1), HTTP_REFUSED, HTTP_BAD_REQUEST);
}

static void what_goes_on(void **state)
{
    struct slice head = slice_of_text("\r\nGET / HTTP/1.1\r\n" HOST "A: b\r\n\r\n");
    struct http_request request;
    struct http_failure failure;

    (void)state;
    for (size_t len = 0; len < head.len; len++) {
        assert_int_equal(parse(slice_of(head.data, len), 0, &usual, &request, &failure), HTTP_MORE);
    }
}

/* A head of exactly `size` bytes; `is_target`: it is the target that is long. */
static struct slice make_long(char *text, size_t size, bool is_target)
{
    const char *front = is_target ? "GET /" : "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    const char *back = is_target ? " HTTP/1.1\r\nHost: a\r\n\r\n" : "\r\n\r\n";
    size_t front_len = strlen(front);
    size_t back_len = strlen(back);

    memset(text, 'x', size);
    memcpy(text, front, front_len);
    memcpy(text + size - back_len, back, back_len);
    return slice_of(text, size);
}

static void how_long_a_head_may_be(void **state)
{
    const struct http_limits limits = {.head_size = 300, .header_len = 2};
    struct http_request request;
    struct http_failure failure;
    char text[400];

    (void)state;
    for (int is_target = 0; is_target <= 1; is_target++) {
        enum http_status status = is_target ? HTTP_URI_TOO_LONG : HTTP_TOO_MANY_HEADERS;
        struct slice head = make_long(text, 300, is_target);

        assert_int_equal(parse(head, 0, &limits, &request, &failure), HTTP_COMPLETE);
        head = make_long(text, is_target ? 400 : 301, is_target);
        assert_int_equal(parse(slice_of(head.data, 299), 0, &limits, &request, &failure),
                         HTTP_MORE);
        assert_int_equal(parse(slice_of(head.data, 300), 299, &limits, &request, &failure),
                         HTTP_REFUSED);
        assert_int_equal(failure.status, status);
        assert_int_equal(parse(head, 0, &limits, &request, &failure), HTTP_REFUSED);
        assert_int_equal(failure.status, status);
    }
}

static void how_many_headers_there_may_be(void **state)
{
    const struct http_limits limits = {.head_size = 300, .header_len = 2};
    struct http_request request;
    struct http_failure failure;

    (void)state;
    assert_int_equal(http_parse(slice_of_text("GET / HTTP/1.1\r\n" HOST "A: b\r\n\r\n"), 0, &limits,
                                &request, &failure),
                     HTTP_COMPLETE);
    assert_int_equal(http_parse(slice_of_text("GET / HTTP/1.1\r\n" HOST "A: b\r\nC: d\r\n\r\n"), 0,
                                &limits, &request, &failure),
                     HTTP_REFUSED);
    assert_int_equal(failure.status, HTTP_TOO_MANY_HEADERS);
}

static void assert_text(struct slice text, const char *expected)
{
    assert_true(slice_is_equal(text, slice_of_text(expected)));
}

static void what_is_found(void **state)
{
    struct slice head = slice_of_text(
        "GET / HTTP/1.1\r\n" HOST "List:  a , ,\tB;q=1,\r\nOther: x\r\nlist: c\r\nEmpty:\r\n\r\n"
        "Behind: it\r\n");
    struct http_request request;
    struct http_failure failure;
    struct slice value;
    struct slice element;
    size_t at = 0;

    (void)state;
    assert_int_equal(http_parse(head, 0, &usual, &request, &failure), HTTP_COMPLETE);
    assert_int_equal(request.size, head.len - strlen("Behind: it\r\n"));
    assert_true(http_next(&request, "LIST", &at, &value));
    assert_text(value, "a , ,\tB;q=1,");
    assert_true(http_take_element(&value, &element));
    assert_text(element, "a");
    assert_true(http_take_element(&value, &element));
    assert_text(element, "B;q=1");
    assert_false(http_take_element(&value, &element));
    assert_true(http_next(&request, "List", &at, &value));
    assert_text(value, "c");
    assert_false(http_next(&request, "List", &at, &value));
    assert_false(http_has_one(&request, "List", &value));
    assert_true(http_has_one(&request, "Other", &value));
    assert_true(http_has_token(&request, "List", "C"));
    assert_false(http_has_token(&request, "List", "b"));
    assert_true(http_find(&request, "Empty", &value));
    assert_int_equal(value.len, 0);
    assert_false(http_find(&request, "Behind", &value));
    assert_false(http_find(&request, "Oth", &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_understood),     cmocka_unit_test(what_is_refused),
        cmocka_unit_test(a_zero_byte_is_refused), cmocka_unit_test(what_goes_on),
        cmocka_unit_test(how_long_a_head_may_be), cmocka_unit_test(how_many_headers_there_may_be),
        cmocka_unit_test(what_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
