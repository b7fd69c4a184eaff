#include "base/random_test.h"
#include "base/test.h"
#include "net/websocket.h"

#include <stdarg.h>
#include <stdlib.h>

/* ---- the handshake ---- */

#define FRONT \
    "GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
#define KEY      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION  "Sec-WebSocket-Version: 13\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: mqtt\r\n"

static const char *const origins[] = {"https://a.example", "http://localhost:8080", NULL};

static struct websocket_answer answer_to(const char *head, const char *const *allowed)
{
    static const struct http_limits limits = {.head_size = 4096, .header_len = 100};
    struct websocket_answer answer;
    struct http_request request;
    struct http_failure failure;

    assert_int_equal(http_parse(slice_of_text(head), 0, &limits, &request, &failure),
                     HTTP_COMPLETE);
    websocket_answer(&request, allowed, &answer);
    return answer;
}

static const struct {
    const char *head;
    enum http_status status;
    bool is_asked_for_origin;
    const char *protocol;
} handshakes[] = {
    {FRONT KEY VERSION PROTOCOL "\r\n",                                                             101, false, "mqtt"    },
    {FRONT KEY VERSION "Sec-WebSocket-Protocol: mqttv3.1\r\n\r\n",                                  101, false, "mqttv3.1"},
    {FRONT KEY VERSION "Sec-WebSocket-Protocol: x, mqttv3.1 ,mqtt\r\n\r\n",                         101, false, "mqttv3.1"},
    {FRONT KEY VERSION "Sec-WebSocket-Protocol: x\r\n" PROTOCOL "\r\n",                             101, false, "mqtt"    },
    {FRONT KEY VERSION PROTOCOL "Origin: http://b\r\n\r\n",                                         101, false, "mqtt"    },
    {FRONT KEY VERSION PROTOCOL "Origin: https://a.example\r\n\r\n",                                101, true,  "mqtt"    },
    {FRONT KEY VERSION PROTOCOL "Origin: http://localhost:8080\r\n\r\n",                            101, true,  "mqtt"    },
    {FRONT KEY VERSION PROTOCOL "\r\n",                                                             101, true,  "mqtt"    },
    {FRONT KEY VERSION PROTOCOL "Origin: https://a.example.evil\r\n\r\n",                           403, true,  NULL      },
    {FRONT KEY VERSION PROTOCOL "Origin: https://a\r\n\r\n",                                        403, true,  NULL      },
    {FRONT KEY VERSION PROTOCOL "Origin: null\r\n\r\n",                                             403, true,  NULL      },
    {FRONT KEY VERSION PROTOCOL "Origin: https://a.example\r\nOrigin: b\r\n\r\n",                   403, true,  NULL      },
    {FRONT KEY VERSION "\r\n",                                                                      400, false, NULL      },
    {FRONT KEY VERSION "Sec-WebSocket-Protocol: MQTT, mqttv5\r\n\r\n",                              400, false, NULL      },
    {FRONT VERSION PROTOCOL "\r\n",                                                                 400, false, NULL      },
    {FRONT KEY KEY VERSION PROTOCOL "\r\n",                                                         400, false, NULL      },
    {FRONT "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n" VERSION PROTOCOL "\r\n",                 400, false,
     NULL                                                                                                                 },
    {FRONT "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n" VERSION PROTOCOL "\r\n",                   400, false, NULL      },
    {FRONT "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWVl\r\n" VERSION PROTOCOL "\r\n",               400, false,
     NULL                                                                                                                 },
    {FRONT KEY PROTOCOL "\r\n",                                                                     426, false, NULL      },
    {FRONT KEY "Sec-WebSocket-Version: 8\r\n" PROTOCOL "\r\n",                                      426, false, NULL      },
    {FRONT KEY VERSION VERSION PROTOCOL "\r\n",                                                     426, false, NULL      },
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",                                                           426, false, NULL      },
    {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",                    426, false, NULL      },
    {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n",                426, false,
     NULL                                                                                                                 },
    {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",                                                          405, false, NULL      },
    {"GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" KEY VERSION PROTOCOL "\r\n",
     400,                                                                                                false, NULL      },
};

static void who_is_upgraded(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(handshakes); i++) {
        struct websocket_answer answer =
            answer_to(handshakes[i].head, handshakes[i].is_asked_for_origin ? origins : NULL);

        assert_int_equal(answer.status, handshakes[i].status);
        assert_int_equal(answer.is_foreign_origin, answer.status == HTTP_FORBIDDEN);
        assert_true((answer.text != NULL) == (answer.status != HTTP_SWITCHING_PROTOCOLS));
        if (handshakes[i].protocol) {
            assert_string_equal(answer.protocol, handshakes[i].protocol);
            /* Section 1.3. */
            assert_string_equal(answer.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        }
    }
}

/* ---- frames ---- */

#define TOLD_CAP  4096
#define BYTES_CAP 4096

/* All that was told of a run of frames: the bytes of the stream, and control frames in words. */
struct told {
    size_t len;
    char words[TOLD_CAP];
    size_t data_len;
    uint8_t data[BYTES_CAP];
};

PRINTF_LIKE(2, 3)
static void say(struct told *told, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    told->len +=
        (size_t)vsnprintf(told->words + told->len, TOLD_CAP - told->len, format, arguments);
    va_end(arguments);
    assert_true(told->len < TOLD_CAP);
}

static void say_event(struct told *told, enum websocket_verdict verdict,
                      const struct websocket_event *event)
{
    struct slice payload = event->payload;

    switch (verdict) {
    case WEBSOCKET_DATA:
        assert_true(payload.len > 0 && told->data_len + payload.len <= BYTES_CAP);
        memcpy(told->data + told->data_len, payload.data, payload.len);
        told->data_len += payload.len;
        break;
    case WEBSOCKET_PINGED:
        say(told, "[%zu ping %.*s]", told->data_len, (int)payload.len, payload.data);
        break;
    case WEBSOCKET_PONGED:
        say(told, "[%zu pong %.*s]", told->data_len, (int)payload.len, payload.data);
        break;
    case WEBSOCKET_CLOSED: say(told, "[%zu close %d]", told->data_len, event->code); break;
    case WEBSOCKET_FAILED:
        assert_non_null(event->text);
        say(told, "[%zu failed %d]", told->data_len, event->code);
        break;
    case WEBSOCKET_MORE:
    case WEBSOCKET_NO_MEMORY: break;
    }
}

/* False: nothing may come behind this. */
static bool feed_piece(struct websocket *websocket, struct slice piece, struct told *told)
{
    struct slice copy = bytes_copy(piece);
    struct slice rest = copy;
    struct websocket_event event;
    enum websocket_verdict verdict;

    do {
        verdict = websocket_take(websocket, &rest, &event);
        say_event(told, verdict, &event);
    } while (verdict == WEBSOCKET_DATA || verdict == WEBSOCKET_PINGED ||
             verdict == WEBSOCKET_PONGED);
    assert_true(verdict != WEBSOCKET_MORE || rest.len == 0);
    bytes_free(copy);
    return verdict == WEBSOCKET_MORE;
}

/* In pieces of 1 to `piece_max` bytes. */
static void feed(struct slice bytes, size_t piece_max, uint64_t seed, struct told *told_out)
{
    struct dice dice = {seed};
    struct websocket websocket;
    bool goes_on = true;

    memset(told_out, 0, sizeof(*told_out));
    websocket_init(&websocket);
    while (goes_on && bytes.len) {
        size_t len = piece_max == SIZE_MAX ? bytes.len : 1 + dice_below(&dice, (uint32_t)piece_max);

        len = MIN(len, bytes.len);
        goes_on = feed_piece(&websocket, slice_of(bytes.data, len), told_out);
        bytes = slice_skip(bytes, len);
    }
    websocket_deinit(&websocket);
}

struct writer {
    size_t len;
    uint8_t bytes[BYTES_CAP];
};

static void put(struct writer *writer, uint8_t byte)
{
    assert_true(writer->len < BYTES_CAP);
    writer->bytes[writer->len++] = byte;
}

/* A masked frame of a client; the mask is another one each time. */
static void put_frame(struct writer *writer, unsigned first, struct slice payload)
{
    uint8_t mask[4] = {(uint8_t)(writer->len + 1), 0x5A, (uint8_t)(writer->len * 7), 0xFF};
    uint8_t head[WEBSOCKET_HEAD_MAX];
    size_t len = (size_t)(websocket_put_head(head, WEBSOCKET_BINARY, payload.len) - head);

    head[0] = (uint8_t)first;
    head[1] |= 0x80;
    for (size_t i = 0; i < len; i++) {
        put(writer, head[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        put(writer, mask[i]);
    }
    for (size_t i = 0; i < payload.len; i++) {
        put(writer, payload.data[i] ^ mask[i & 3]);
    }
}

static void put_text(struct writer *writer, unsigned first, const char *payload)
{
    put_frame(writer, first, slice_of_text(payload));
}

/* However the bytes are cut, the same is told. */
static void check(const struct writer *writer, const char *data, const char *words)
{
    struct slice bytes = slice_of(writer->bytes, writer->len);
    struct told told;

    for (uint64_t seed = 0; seed < 60; seed++) {
        feed(bytes, seed == 0 ? SIZE_MAX : seed, seed, &told);
        assert_string_equal(told.words, words);
        assert_true(slice_is_equal(slice_of(told.data, told.data_len), slice_of_text(data)));
    }
    for (size_t cut = 0; cut <= writer->len; cut++) {
        struct websocket websocket;

        memset(&told, 0, sizeof(told));
        websocket_init(&websocket);
        if (feed_piece(&websocket, slice_of(bytes.data, cut), &told)) {
            feed_piece(&websocket, slice_skip(bytes, cut), &told);
        }
        websocket_deinit(&websocket);
        assert_string_equal(told.words, words);
        assert_true(slice_is_equal(slice_of(told.data, told.data_len), slice_of_text(data)));
    }
}

static void frames_are_one_stream(void **state)
{
    struct writer writer = {0};

    (void)state;
    put_text(&writer, 0x82, "whole,");
    put_text(&writer, 0x02, "in ");
    put_text(&writer, 0x00, "");
    put_text(&writer, 0x89, "between");
    put_text(&writer, 0x00, "fragments");
    put_text(&writer, 0x8A, "");
    put_text(&writer, 0x80, ",");
    put_text(&writer, 0x82, "");
    put_text(&writer, 0x82, "end");
    put_text(&writer, 0x88,
             "\x03\xe8"
             "bye \xc3\xa4");
    put_text(&writer, 0x82, "never seen");
    check(&writer, "whole,in fragments,end", "[9 ping between][18 pong ][22 close 1000]");
}

static void lengths(void **state)
{
    static const size_t sizes[] = {0, 1, 124, 125, 126, 127, 128, 1000, 3000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct writer writer = {0};
        char *text = memory_must_alloc(sizes[i] + 1);

        memset(text, 'x', sizes[i]);
        text[sizes[i]] = 0;
        put_text(&writer, 0x82, text);
        assert_int_equal(writer.len, sizes[i] + (sizes[i] < 126 ? 6 : 8));
        check(&writer, text, "");
        memory_free(text);
    }
}

/* No frame of more than 4 GiB is made here; but its beginning is understood. */
static void a_long_length(void **state)
{
    static const uint8_t head[] = {0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                   0xFF, 0xFF, 0,    0,    0,    0,    'a',  'b'};
    struct told told;

    (void)state;
    feed(slice_of(head, sizeof(head)), SIZE_MAX, 0, &told);
    assert_int_equal(told.data_len, 2);
    assert_string_equal(told.words, "");
}

static const struct {
    const char *words;
    const char *frame; /* in hex, behind a fragment that is not the last if it begins with a plus */
} bad[] = {
    {"[0 failed 1003]", "818000000000"                }, /* text */
    {"[0 failed 1002]", "820161"                      }, /* no mask */
    {"[0 failed 1002]", "c28000000000"                }, /* reserved bits */
    {"[0 failed 1002]", "a28000000000"                },
    {"[0 failed 1002]", "928000000000"                },
    {"[0 failed 1002]", "808000000000"                }, /* nothing to continue */
    {"[0 failed 1002]", "008000000000"                },
    {"[1 failed 1002]", "+828000000000"               }, /* a message inside another */
    {"[1 failed 1002]", "+028000000000"               },
    {"[0 failed 1002]", "838000000000"                }, /* unknown opcodes */
    {"[0 failed 1002]", "878000000000"                },
    {"[0 failed 1002]", "8b8000000000"                },
    {"[0 failed 1002]", "8f8000000000"                },
    {"[0 failed 1002]", "098000000000"                }, /* fragments of control frames */
    {"[0 failed 1002]", "088000000000"                },
    {"[0 failed 1002]", "0a8000000000"                },
    {"[0 failed 1002]", "89fe007e00000000"            }, /* too long ones */
    {"[0 failed 1002]", "88ff000000000000000000000000"},
    {"[0 failed 1002]", "82fe007d00000000"            }, /* not the shortest form */
    {"[0 failed 1002]", "82fe000000000000"            },
    {"[0 failed 1002]", "82ff000000000000ffff00000000"},
    {"[0 failed 1002]", "82ff000000000000007d00000000"},
    {"[0 failed 1002]", "82ff800000000000000000000000"}, /* 64 bits */
    {"[0 close 1005]",  "888000000000"                },
    {"[0 close 1001]",  "88820000000003e9"            },
    {"[0 close 1014]",  "88820000000003f6"            },
    {"[0 close 3000]",  "8882000000000bb8"            },
    {"[0 close 4999]",  "888200000000"
                       "1387"   },
    {"[0 failed 1002]", "88810000000003"              }, /* half a code */
    {"[0 failed 1002]", "8882000000000000"            }, /* codes that can't be */
    {"[0 failed 1002]", "88820000000003e7"            },
    {"[0 failed 1002]", "88820000000003ec"            },
    {"[0 failed 1002]", "88820000000003ed"            },
    {"[0 failed 1002]", "88820000000003ee"            },
    {"[0 failed 1002]", "88820000000003f7"            },
    {"[0 failed 1002]", "8882000000000bb7"            },
    {"[0 failed 1002]", "888200000000"
                        "1388" },
    {"[0 failed 1007]", "88830000000003e8ff"          }, /* a reason that is no text */
    {"[0 failed 1007]", "88850000000003e8eda080"      },
};

static void frames_that_end_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *hex = bad[i].frame;
        struct writer writer = {0};
        bool is_behind = *hex == '+';

        if (is_behind) {
            put_text(&writer, 0x02, "a");
            hex++;
        }
        for (; *hex; hex += 2) {
            char pair[3] = {hex[0], hex[1], 0};

            put(&writer, (uint8_t)strtoul(pair, NULL, 16));
        }
        check(&writer, is_behind ? "a" : "", bad[i].words);
    }
}

static void the_longest_ping(void **state)
{
    struct writer writer = {0};
    char payload[WEBSOCKET_CONTROL_MAX + 1];
    char words[200];

    (void)state;
    memset(payload, 'p', sizeof(payload) - 1);
    payload[sizeof(payload) - 1] = 0;
    put_text(&writer, 0x89, payload);
    snprintf(words, sizeof(words), "[0 ping %s]", payload);
    check(&writer, "", words);
}

static void a_ping_in_pieces_without_memory(void **state)
{
    struct writer writer = {0};
    struct websocket websocket;
    struct websocket_event event;
    struct slice bytes;

    (void)state;
    put_text(&writer, 0x89, "ping");
    websocket_init(&websocket);
    bytes = slice_of(writer.bytes, writer.len - 1);
    memory_fail_after(1);
    assert_int_equal(websocket_take(&websocket, &bytes, &event), WEBSOCKET_NO_MEMORY);
    memory_fail_after(0);
    websocket_deinit(&websocket);
}

static void heads_of_our_own(void **state)
{
    static const struct {
        uint64_t size;
        size_t len;
        uint8_t head[WEBSOCKET_HEAD_MAX];
    } heads[] = {
        {0,          2,  {0x82, 0}                                      },
        {125,        2,  {0x82, 125}                                    },
        {126,        4,  {0x82, 126, 0, 126}                            },
        {65535,      4,  {0x82, 126, 0xFF, 0xFF}                        },
        {65536,      10, {0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}            },
        {0xFFFFFFFF, 10, {0x82, 127, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF}},
    };
    uint8_t bytes[WEBSOCKET_HEAD_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        assert_ptr_equal(websocket_put_head(bytes, WEBSOCKET_BINARY, heads[i].size),
                         bytes + heads[i].len);
        assert_memory_equal(bytes, heads[i].head, heads[i].len);
    }
    assert_ptr_equal(websocket_put_close(bytes, WEBSOCKET_GOING_AWAY), bytes + 4);
    assert_memory_equal(bytes, "\x88\x02\x03\xe9", 4);
    assert_ptr_equal(websocket_put_close(bytes, WEBSOCKET_NO_CODE), bytes + 2);
    assert_memory_equal(bytes, "\x88\x00", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_upgraded),
        cmocka_unit_test(frames_are_one_stream),
        cmocka_unit_test(lengths),
        cmocka_unit_test(a_long_length),
        cmocka_unit_test(frames_that_end_it),
        cmocka_unit_test(the_longest_ping),
        cmocka_unit_test(a_ping_in_pieces_without_memory),
        cmocka_unit_test(heads_of_our_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
