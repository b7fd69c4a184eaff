#include "fuzz.h"
#include "net/http_path.h"
#include "net/websocket.h"

/*
 * The first two bytes choose the limits and how the rest is cut. A head that is looked at whole and
 * one that comes in pieces must have one verdict, at the same byte; and what is found in a head
 * lies in it. A head that is understood is also asked for an upgrade to WebSocket.
 */

struct result {
    enum http_verdict verdict;
    size_t at; /* bytes that were there when it fell */
    struct http_request request;
    struct http_failure failure;
};

static void parse(struct slice bytes, const struct http_limits *limits, size_t step,
                  struct result *result_out)
{
    size_t seen = 0;

    *result_out = (struct result){.verdict = HTTP_MORE};
    while (result_out->verdict == HTTP_MORE && seen < bytes.len) {
        size_t len = seen + MIN(step, bytes.len - seen);
        struct slice copy = fuzz_copy(slice_of(bytes.data, len));

        result_out->verdict =
            http_parse(copy, seen, limits, &result_out->request, &result_out->failure);
        fuzz_free(copy);
        seen = len;
    }
    result_out->at = seen;
}

static void compare(const struct result *whole, const struct result *cut)
{
    assert(whole->verdict == cut->verdict);
    if (whole->verdict == HTTP_REFUSED) {
        assert(whole->failure.status == cut->failure.status);
        assert(whole->failure.text == cut->failure.text);
    } else if (whole->verdict == HTTP_COMPLETE) {
        assert(whole->request.size == cut->request.size && whole->request.size <= cut->at);
        assert(whole->request.is_kept_alive == cut->request.is_kept_alive);
    }
}

static void check_header(const struct http_request *request, struct slice head, const char *name)
{
    struct slice value;
    struct slice element;
    size_t at = 0;
    unsigned len = 0;
    unsigned first_len = 0;

    while (http_next(request, name, &at, &value)) {
        len++;
        fuzz_assert_inside(value, head);
        while (http_take_element(&value, &element)) {
            assert(element.len > 0);
            fuzz_assert_inside(element, head);
        }
    }
    first_len += http_find(request, name, &value);
    assert(first_len == (len > 0) && http_has_one(request, name, &value) == (len == 1));
}

static void check_answer(const struct http_request *request)
{
    static const char *const origins[] = {"http://a", NULL};
    struct websocket_answer answer;
    struct websocket_answer strict;

    websocket_answer(request, NULL, &answer);
    websocket_answer(request, origins, &strict);
    assert(http_status_text(answer.status)[0] && http_status_text(strict.status)[0]);
    assert(!answer.is_foreign_origin);
    assert((answer.status == HTTP_SWITCHING_PROTOCOLS) ==
           (answer.protocol && !answer.text && strlen(answer.accept) == WEBSOCKET_ACCEPT_CAP - 1));
    assert(strict.is_foreign_origin || strict.status == answer.status);
}

/* One that is decoded leads nowhere but down. */
static void check_path(struct slice path)
{
    char decoded[HTTP_PATH_CAP + 1];

    decoded[0] = '/';
    if (http_path_decode(path, decoded + 1)) {
        assert(strlen(decoded) <= path.len && strlen(decoded) < HTTP_PATH_CAP);
        assert(!strstr(decoded, "/.") && !strstr(decoded, "//"));
        assert(strchr(http_path_type(decoded), '/'));
    }
}

static void check_request(const struct http_request *request, struct slice head)
{
    static const char *const names[] = {"Host",           "Connection",        "Upgrade",
                                        "Content-Length", "Sec-WebSocket-Key", "X"};

    assert(request->path.len > 0 && request->path.data[0] == '/');
    assert(request->method == HTTP_GET || request->method == HTTP_HEAD);
    fuzz_assert_inside(request->path, head);
    fuzz_assert_inside(request->query, head);
    fuzz_assert_inside(request->headers, head);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        check_header(request, head, names[i]);
    }
    check_answer(request);
    check_path(request->path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_limits limits;
    struct result whole;
    struct result cut;
    struct slice copy;
    struct slice bytes;

    if (size < 2) {
        return 0;
    }
    limits = (struct http_limits){.head_size = HTTP_HEAD_LEAST + data[0] * 2u,
                                  .header_len = data[0] & 15u};
    bytes = slice_of(data + 2, size - 2);
    copy = fuzz_copy(bytes);
    parse(copy, &limits, SIZE_MAX, &whole);
    for (size_t step = 1; step <= 64; step *= 8) {
        parse(bytes, &limits, step + data[1] % 8, &cut);
        compare(&whole, &cut);
    }
    if (whole.verdict == HTTP_COMPLETE) {
        /* Once more, for slices that live. */
        assert(http_parse(copy, 0, &limits, &whole.request, &whole.failure) == HTTP_COMPLETE);
        check_request(&whole.request, slice_of(copy.data, whole.request.size));
    }
    fuzz_free(copy);
    return 0;
}
