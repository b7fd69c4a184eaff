#pragma once

/*
 * Bytes in tests
 *
 * Packets written readably, and the driver of tables of them.
 */

#include "base/test.h"
#include "mqtt/decode.h"

/*
 * Bytes from text: pairs of hex digits, and 'abc' for a field of two length bytes and "abc". On the
 * heap, exactly as long as they are; bytes_free() them.
 */
static inline UNUSED struct slice bytes_parse(const char *text)
{
    uint8_t bytes[512];
    size_t len = 0;

    while (*text) {
        unsigned value;

        if (*text == ' ') {
            text++;
        } else if (*text == '\'') {
            size_t size = strcspn(text + 1, "'");

            bytes[len] = 0;
            bytes[len + 1] = (uint8_t)size;
            memcpy(bytes + len + 2, text + 1, size);
            len += 2 + size;
            text += size + 2;
        } else {
            if (sscanf(text, "%2x", &value) != 1) {
                fail_msg("bad bytes in a test: %s", text);
            }
            bytes[len++] = (uint8_t)value;
            text += 2;
        }
        assert_true(len < sizeof(bytes) - 64);
    }
    return bytes_copy(slice_of(bytes, len));
}

static inline UNUSED void assert_bytes(struct slice actual, const char *expected)
{
    struct slice bytes = bytes_parse(expected);

    assert_int_equal(actual.len, bytes.len);
    if (bytes.len) {
        assert_memory_equal(actual.data, bytes.data, bytes.len);
    }
    bytes_free(bytes);
}

static inline UNUSED void assert_text(struct slice actual, const char *expected)
{
    assert_int_equal(actual.len, strlen(expected));
    assert_memory_equal(actual.len ? actual.data : (const uint8_t *)"", expected, actual.len);
}

struct wire_case {
    const char *name;
    const char *versions; /* each of its digits: "345" */
    const char *bytes;
    enum mqtt_reason expected;
};

typedef enum mqtt_reason (*decode_function)(unsigned version, struct slice body);

/*
 * Decodes the body, and its front cut at every byte on the heap, so that the address sanitizer sees
 * a read behind the end. Answers how many of the cut ones were accepted.
 */
static inline UNUSED unsigned wire_case_run(const struct wire_case *test, unsigned version,
                                            decode_function decode)
{
    struct slice body = bytes_parse(test->bytes);
    enum mqtt_reason reason = decode(version, body);
    unsigned accepted = 0;

    if (reason != test->expected) {
        fail_msg("%s, version %u: 0x%02x instead of 0x%02x", test->name, version, (unsigned)reason,
                 (unsigned)test->expected);
    }
    for (size_t len = 0; len < body.len; len++) {
        struct slice cut = bytes_copy(slice_of(body.data, len));

        accepted += decode(version, cut) == MQTT_SUCCESS ? 1 : 0;
        bytes_free(cut);
    }
    bytes_free(body);
    return accepted;
}

static inline UNUSED void wire_cases_run(const struct wire_case *tests, size_t len,
                                         decode_function decode)
{
    for (size_t i = 0; i < len; i++) {
        for (const char *version = tests[i].versions; *version; version++) {
            wire_case_run(&tests[i], (unsigned)(*version - '0'), decode);
        }
    }
}
