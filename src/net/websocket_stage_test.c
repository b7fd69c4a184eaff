#include "base/test.h"
#include "net/websocket_stage.h"

#include <stdarg.h>
#include <stdlib.h>

/*
 * A stream whose only stage is WebSocket. What comes in is cut at every place: the bytes of the
 * stream and the answers must be the same, to the byte.
 */

#define BYTES_CAP 262144

#define HEAD(more)                                                                   \
    "GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" more "\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: mqtt\r\n"

#define UPGRADED                                                                        \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"

/* Masked with zeros. */
#define MASK "\0\0\0\0"

struct fixture {
    struct output_pool pool;
    struct output plain;
    struct stream *stream;
    struct websocket_rules rules;
    struct address peer; /* that a stage has told */
    bool has_peer;
    enum stage_upgrade upgrade;
    size_t data_len;
    size_t wire_len;
    uint8_t data[BYTES_CAP];
    uint8_t wire[BYTES_CAP];
};

static void restart(struct fixture *f)
{
    struct stage *stage;

    output_deinit(&f->plain, &f->pool);
    f->stream = stream_free(f->stream, &f->pool);
    f->data_len = 0;
    f->wire_len = 0;
    f->has_peer = false;
    f->upgrade = STAGE_NOT_ASKED;
    assert_int_equal(stream_new(&f->stream), 0);
    assert_int_equal(websocket_stage_new(&f->rules, &stage), 0);
    stream_push(f->stream, stage);
}

static int setup(void **state)
{
    struct fixture *f = memory_must_alloc_zero(1, sizeof(*f));

    output_pool_init(&f->pool);
    output_init(&f->plain);
    f->rules.limits = (struct http_limits){.head_size = 1024, .header_len = 20};
    restart(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    output_deinit(&f->plain, &f->pool);
    stream_free(f->stream, &f->pool);
    output_pool_deinit(&f->pool);
    memory_free(f);
    return 0;
}

static struct stage_io make_io(struct fixture *f)
{
    return (struct stage_io){.pool = &f->pool};
}

/* What the socket would take. */
static void collect(struct fixture *f)
{
    struct output *wire = stream_wire(f->stream);
    struct iovec vector[16];

    while (!output_is_empty(wire)) {
        unsigned len = output_vector(wire, vector, ARRAY_LEN(vector));
        size_t size = 0;

        for (unsigned i = 0; i < len; i++) {
            assert_true(f->wire_len + vector[i].iov_len <= BYTES_CAP);
            memcpy(f->wire + f->wire_len, vector[i].iov_base, vector[i].iov_len);
            f->wire_len += vector[i].iov_len;
            size += vector[i].iov_len;
        }
        output_consume(wire, &f->pool, size);
    }
}

static void open_piece(struct fixture *f, struct slice piece)
{
    struct slice copy = bytes_copy(piece);
    struct slice bytes = copy;
    struct stage_io io = make_io(f);

    stream_open(f->stream, &bytes, &io);
    assert_true(f->data_len + bytes.len <= BYTES_CAP);
    if (bytes.len) {
        memcpy(f->data + f->data_len, bytes.data, bytes.len);
    }
    f->data_len += bytes.len;
    if (io.upgrade != STAGE_NOT_ASKED) {
        f->upgrade = io.upgrade;
    }
    if (io.has_peer) {
        f->has_peer = true;
        f->peer = io.peer;
    }
    bytes_free(copy);
    collect(f);
}

/* What `plain` holds goes out. */
static void seal(struct fixture *f)
{
    struct stage_io io = make_io(f);

    while (!output_is_empty(&f->plain)) {
        assert_int_equal(stream_seal(f->stream, &f->plain, &io), 0);
        collect(f);
    }
}

static void write_plain(struct fixture *f, size_t size)
{
    uint8_t *at = output_reserve(&f->plain, &f->pool, size);

    assert_non_null(at);
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(i * 7);
    }
    output_commit(&f->plain, &f->pool, at + size, true);
}

static void end(struct fixture *f)
{
    struct stage_io io = make_io(f);

    stream_end(f->stream, &io);
    collect(f);
}

static void assert_data(const struct fixture *f, const char *expected)
{
    assert_true(slice_is_equal(slice_of(f->data, f->data_len), slice_of_text(expected)));
}

static void assert_wire(const struct fixture *f, struct slice expected)
{
    assert_int_equal(f->wire_len, expected.len);
    assert_memory_equal(f->wire, expected.data, expected.len);
}

struct exchange {
    struct slice sent;
    struct slice answered;
    const char *data;
    enum stage_verdict verdict;
};

#define BYTES(text)                               \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }

static const struct exchange exchanges[] = {
    {BYTES(HEAD(PROTOCOL)),                                                                     BYTES(UPGRADED),                    "",     STAGE_OK    },
    {BYTES(HEAD(PROTOCOL) "\x82\x83" MASK "abc\x82\x81" MASK "d"),                              BYTES(UPGRADED),                    "abcd",
     STAGE_OK                                                                                                                                           },
    {BYTES(HEAD(PROTOCOL) "\x02\x81" MASK "a\x89\x82" MASK "hi\x80\x81" MASK "b\x8a\x80" MASK),
     BYTES(UPGRADED "\x8a\x02hi"),                                                                                                  "ab",   STAGE_OK    },
    {BYTES(HEAD(PROTOCOL) "\x82\x81" MASK "a\x88\x82" MASK "\x0b\xb8\x82\x81" MASK "b"),
     BYTES(UPGRADED "\x88\x02\x0b\xb8"),                                                                                            "a",    STAGE_END   },
    {BYTES(HEAD(PROTOCOL) "\x88\x80" MASK),                                                     BYTES(UPGRADED "\x88\x00"),         "",     STAGE_END   },
    {BYTES(HEAD(PROTOCOL) "\x82\x81" MASK "a\x81\x81" MASK "b\x82\x81" MASK "c"),
     BYTES(UPGRADED "\x88\x02\x03\xeb"),                                                                                            "a",    STAGE_FAILED},
    {BYTES(HEAD(PROTOCOL) "\x82\x01z"),                                                         BYTES(UPGRADED "\x88\x02\x03\xea"), "",     STAGE_FAILED},
    {BYTES(HEAD("") "\x82\x81" MASK "a"),
     BYTES("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n"
           "Content-Length: 32\r\n\r\nno protocol that is served here\n"),
     "",                                                                                                                                    STAGE_FAILED},
    {BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
     BYTES("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n"
           "Sec-WebSocket-Version: 13\r\nContent-Type: text/plain\r\nContent-Length: 24\r\n\r\n"
           "no upgrade to WebSocket\n"),
     "",                                                                                                                                    STAGE_FAILED},
    {BYTES("POST / HTTP/1.1\r\nHost: a\r\n\r\n"),
     BYTES("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nConnection: close\r\n"
           "Content-Type: text/plain\r\nContent-Length: 18\r\n\r\nmethod is not GET\n"),
     "",                                                                                                                                    STAGE_FAILED},
    {BYTES("\x10\x0c\0\4MQTT\4\2\0\x3c\0\0"),
     BYTES("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n"
           "Content-Length: 17\r\n\r\nmalformed method\n"),
     "",                                                                                                                                    STAGE_FAILED},
};

static void check_exchange(struct fixture *f, const struct exchange *exchange)
{
    assert_data(f, exchange->data);
    assert_wire(f, exchange->answered);
    assert_int_equal(f->stream->verdict, exchange->verdict);
    assert_true((exchange->verdict == STAGE_FAILED) == (f->stream->text != NULL));
    assert_int_equal(f->upgrade, memcmp(f->wire, "HTTP/1.1 101", 12) == 0 ? STAGE_UPGRADED
                                                                          : STAGE_NOT_UPGRADED);
    end(f);
    if (exchange->verdict != STAGE_OK) {
        /* All was said. */
        assert_wire(f, exchange->answered);
    } else {
        assert_memory_equal(f->wire + exchange->answered.len, "\x88\x02\x03\xe8", 4);
    }
}

static void whole_and_cut(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(exchanges); i++) {
        const struct exchange *exchange = &exchanges[i];

        for (size_t cut = 0; cut <= exchange->sent.len; cut++) {
            restart(f);
            open_piece(f, slice_of(exchange->sent.data, cut));
            open_piece(f, slice_skip(exchange->sent, cut));
            check_exchange(f, exchange);
        }
        restart(f);
        for (size_t at = 0; at < exchange->sent.len; at++) {
            open_piece(f, slice_of(exchange->sent.data + at, 1));
        }
        check_exchange(f, exchange);
    }
}

static void a_head_that_is_too_long(void **state)
{
    struct fixture *f = *state;
    struct slice line =
        slice_of_text("X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");

    open_piece(f, slice_of_text("GET / HTTP/1.1\r\n"));
    for (int i = 0; i < 100 && f->stream->verdict == STAGE_OK; i++) {
        open_piece(f, line);
    }
    assert_int_equal(f->stream->verdict, STAGE_FAILED);
    assert_memory_equal(f->wire, "HTTP/1.1 431 ", 13);
}

static void a_foreign_origin_gets_no_byte(void **state)
{
    static const char *const origins[] = {"http://a", NULL};
    struct fixture *f = *state;

    f->rules.origins = origins;
    restart(f);
    open_piece(f, slice_of_text(HEAD(PROTOCOL "Origin: http://b\r\n")));
    end(f);
    assert_int_equal(f->stream->verdict, STAGE_FAILED);
    assert_int_equal(f->wire_len, 0);
    restart(f);
    open_piece(f, slice_of_text(HEAD(PROTOCOL "Origin: http://a\r\n")));
    assert_wire(f, slice_of_text(UPGRADED));
}

static void who_the_client_is(void **state)
{
    struct fixture *f = *state;
    struct slice head = slice_of_text(HEAD(PROTOCOL "X-Forwarded-For: 192.0.2.1\r\n"));
    struct address_range range;
    struct address expected;

    assert_int_equal(address_range_parse("10.0.0.0/8", &range), ADDRESS_OK);
    assert_int_equal(address_parse(slice_of_text("192.0.2.1"), &expected), ADDRESS_OK);
    assert_int_equal(address_parse(slice_of_text("10.0.0.1"), &f->rules.peer), ADDRESS_OK);
    restart(f);
    open_piece(f, slice_of(head.data, head.len - 1));
    assert_false(f->has_peer);
    open_piece(f, slice_skip(head, head.len - 1));
    assert_false(f->has_peer);
    f->rules.proxies = (struct forwarded_trust){.ranges = &range, .len = 1};
    restart(f);
    open_piece(f, head);
    assert_true(f->has_peer && address_is_equal(&f->peer, &expected));
    restart(f);
    open_piece(f, slice_of_text(HEAD(PROTOCOL)));
    assert_false(f->has_peer);
    assert_int_equal(f->upgrade, STAGE_UPGRADED);
}

static void nothing_goes_out_before_the_upgrade(void **state)
{
    struct fixture *f = *state;
    struct stage_io io = make_io(f);

    write_plain(f, 10);
    assert_int_equal(stream_seal(f->stream, &f->plain, &io), 0);
    assert_int_equal(output_size(&f->plain), 10);
    assert_int_equal(stream_size(f->stream), 0);
}

/* Takes the head of a frame of ours apart; answers the size of its payload. */
static size_t read_head(const uint8_t *wire, size_t *head_size_out)
{
    size_t bytes = wire[1] == 127 ? 8 : wire[1] == 126 ? 2 : 0;
    size_t size = bytes ? 0 : wire[1];

    assert_int_equal(wire[0], 0x82);
    for (size_t i = 0; i < bytes; i++) {
        size = size << 8 | wire[2 + i];
    }
    *head_size_out = 2 + bytes;
    return size;
}

static void frames_go_out(void **state)
{
    static const size_t sizes[] = {1, 125, 126, 1000, 65535, 65536, 70000};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        size_t head_size;

        restart(f);
        open_piece(f, slice_of_text(HEAD(PROTOCOL)));
        f->wire_len = 0;
        write_plain(f, sizes[i]);
        seal(f);
        assert_int_equal(read_head(f->wire, &head_size), sizes[i]);
        assert_int_equal(f->wire_len, head_size + sizes[i]);
        for (size_t j = 0; j < sizes[i]; j++) {
            assert_int_equal(f->wire[head_size + j], (uint8_t)(j * 7));
        }
    }
}

/* Packets that wait together leave in few frames, whose bytes are theirs in order. */
static void many_packets_in_few_frames(void **state)
{
    struct fixture *f = *state;
    size_t total = 0;
    size_t at = 0;
    size_t frame_len = 0;

    open_piece(f, slice_of_text(HEAD(PROTOCOL)));
    f->wire_len = 0;
    for (size_t i = 1; i <= 400; i++) {
        write_plain(f, i);
        total += i;
    }
    seal(f);
    while (at < f->wire_len) {
        size_t head_size;
        size_t size = read_head(f->wire + at, &head_size);

        at += head_size + size;
        total -= size;
        frame_len++;
    }
    assert_int_equal(total, 0);
    assert_true(frame_len <= 5);
}

/* What is not said otherwise is the normal end; nothing is said before the upgrade. */
static void the_code_of_our_close(void **state)
{
    static const struct {
        uint16_t code;
        const char *frame;
    } cases[] = {
        {0,                    "\x88\x02\x03\xe8"},
        {WEBSOCKET_NORMAL,     "\x88\x02\x03\xe8"},
        {WEBSOCKET_GOING_AWAY, "\x88\x02\x03\xe9"},
        {WEBSOCKET_POLICY,     "\x88\x02\x03\xf0"},
        {WEBSOCKET_TOO_BIG,    "\x88\x02\x03\xf1"},
        {WEBSOCKET_INTERNAL,   "\x88\x02\x03\xf3"},
        {WEBSOCKET_TRY_AGAIN,  "\x88\x02\x03\xf5"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        restart(f);
        f->stream->code = cases[i].code;
        end(f);
        assert_int_equal(f->wire_len, 0);

        restart(f);
        open_piece(f, slice_of_text(HEAD(PROTOCOL)));
        f->wire_len = 0;
        f->stream->code = cases[i].code;
        end(f);
        end(f);
        assert_wire(f, slice_of(cases[i].frame, 4));
    }
}

/* The peer's own code, whatever we would have said. */
static void the_code_of_its_close(void **state)
{
    struct fixture *f = *state;

    open_piece(f, slice_of_text(HEAD(PROTOCOL)));
    f->wire_len = 0;
    open_piece(f, slice_of("\x88\x82" MASK "\x0f\xa0", 8));
    f->stream->code = WEBSOCKET_GOING_AWAY;
    end(f);
    assert_wire(f, slice_of("\x88\x02\x0f\xa0", 4));
}

static void nothing_goes_out_behind_our_close(void **state)
{
    struct fixture *f = *state;
    size_t before;

    open_piece(f, slice_of_text(HEAD(PROTOCOL)));
    open_piece(f, slice_of("\x88\x80" MASK, 6));
    before = f->wire_len;
    write_plain(f, 100);
    seal(f);
    end(f);
    assert_int_equal(f->wire_len, before);
}

/* Whichever allocation fails: it fails, or all is as it should be. */
static void without_memory(void **state)
{
    static const struct slice ping = BYTES("\x89\x83" MASK "abc");
    struct fixture *f = *state;
    struct slice head = slice_of_text(HEAD(PROTOCOL));
    bool has_failed = true;

    for (unsigned long nth = 1; has_failed; nth++) {
        restart(f);
        output_pool_deinit(&f->pool);
        memory_fail_after(nth);
        open_piece(f, slice_of(head.data, 10));
        open_piece(f, slice_skip(head, 10));
        open_piece(f, slice_of(ping.data, ping.len - 1));
        open_piece(f, slice_skip(ping, ping.len - 1));
        memory_fail_after(0);
        has_failed = f->stream->verdict == STAGE_FAILED;
        assert_true(!has_failed || strcmp(f->stream->text, "out of memory") == 0);
        assert_true(nth < 20);
    }
    assert_data(f, "");
    assert_memory_equal(f->wire + f->wire_len - 5,
                        "\x8a\x03"
                        "abc",
                        5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whole_and_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(a_head_that_is_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(a_foreign_origin_gets_no_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(who_the_client_is, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_goes_out_before_the_upgrade, setup, teardown),
        cmocka_unit_test_setup_teardown(frames_go_out, setup, teardown),
        cmocka_unit_test_setup_teardown(many_packets_in_few_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(the_code_of_our_close, setup, teardown),
        cmocka_unit_test_setup_teardown(the_code_of_its_close, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_goes_out_behind_our_close, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
