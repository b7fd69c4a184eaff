#include "net/proxy.h"

#include "base/memory.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/*
 * The first byte chooses what is asked of the header and how the rest is cut into pieces. A
 * header that is fed whole and one that is fed in pieces must have one result, byte for byte; and
 * what follows a header must never change what was understood of it.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All zero, but for what the verdict has. */
struct result {
    enum proxy_verdict verdict;
    enum proxy_refusal refusal;
    size_t used;
    struct address source;
    struct address destination;
    struct proxy_info *info;
};

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* A copy on the heap that ends where the piece ends. */
static enum proxy_verdict feed_copy(struct proxy_parser *parser, struct slice piece,
                                    size_t *used_out)
{
    uint8_t *copy = memory_must_alloc(piece.len);
    enum proxy_verdict verdict;

    memcpy(copy, piece.data, piece.len);
    verdict = proxy_feed(parser, slice_of(copy, piece.len), used_out);
    assert(*used_out <= piece.len);
    assert(verdict != PROXY_MORE || *used_out == piece.len);
    memory_free(copy);
    return verdict;
}

static void take_result(struct proxy_parser *parser, struct result *result)
{
    if (result->verdict == PROXY_DONE) {
        result->destination = proxy_destination(parser);
        result->info = proxy_take(parser);
    } else if (result->verdict == PROXY_REFUSED) {
        const struct address *source = proxy_refused_source(parser);

        result->refusal = proxy_refusal(parser);
        if (source) {
            result->source = *source;
        }
    }
}

/* In pieces of 1 to `piece_cap` bytes. */
static void feed(const struct proxy_demands *demands, struct slice bytes, size_t piece_cap,
                 uint32_t seed, struct result *result_out)
{
    CLEANUP(proxy_parser_free) struct proxy_parser *parser = NULL;
    int r = proxy_parser_new(demands, &parser);

    assert(r == 0);
    *result_out = (struct result){.verdict = PROXY_MORE};
    while (result_out->verdict == PROXY_MORE && result_out->used < bytes.len) {
        size_t len = 1 + next_random(&seed) % piece_cap;
        size_t left = bytes.len - result_out->used;
        struct slice piece = slice_of(bytes.data + result_out->used, MIN(len, left));
        size_t used;

        result_out->verdict = feed_copy(parser, piece, &used);
        result_out->used += used;
    }
    take_result(parser, result_out);
}

/* Byte by byte, and for ASCII alone: what is said of other names is left to the tests of UTF-8. */
static void check_name(const struct proxy_info *info)
{
    struct slice name = proxy_find(info, PROXY_COMMON_NAME);
    bool is_ascii = true;
    bool is_unfit = false;
    bool has_slash = false;
    enum proxy_name expected = PROXY_NAME_NONE;

    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = name.data[i];

        is_ascii &= byte < 0x80;
        is_unfit |= byte < 0x20 || byte == 0x7F || byte == '+' || byte == '#';
        has_slash |= byte == '/';
    }
    if (info->is_certificate_verified && name.len > 0) {
        expected = is_unfit ? PROXY_NAME_UNFIT : has_slash ? PROXY_NAME_SLASHED : PROXY_NAME_FIT;
    }
    assert(info->common_name == expected || (!is_ascii && info->common_name == PROXY_NAME_UNFIT));
}

static void check_info(const struct proxy_info *info)
{
    assert(info->has_address == (info->source.family != ADDRESS_NONE));
    assert(info->has_address || (info->kept_size == 0 && !info->is_tls));
    assert(!info->is_certificate_verified || (info->is_tls && info->verify == 0));
    check_name(info);
    for (int field = PROXY_ALPN; field <= PROXY_DESTINATION_PATH; field++) {
        struct slice value = proxy_find(info, (enum proxy_field)field);
        char text[64];

        assert(text_escape(text, sizeof(text), value) < sizeof(text));
    }
}

/* Behind the addresses there is no padding. */
static void compare_infos(const struct proxy_info *a, const struct proxy_info *b)
{
    size_t from = offsetof(struct proxy_info, verify);
    size_t size = offsetof(struct proxy_info, kept) + a->kept_size - from;

    assert(a->kept_size == b->kept_size);
    assert(address_is_equal(&a->source, &b->source));
    assert(memcmp((const uint8_t *)a + from, (const uint8_t *)b + from, size) == 0);
}

static void compare(const struct result *a, const struct result *b)
{
    assert(a->verdict == b->verdict && a->refusal == b->refusal && a->used == b->used);
    assert(address_is_equal(&a->source, &b->source));
    assert(address_is_equal(&a->destination, &b->destination));
    if (a->info) {
        compare_infos(a->info, b->info);
    }
}

static void free_result(struct result *result)
{
    result->info = proxy_info_free(result->info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum proxy_versions versions[] = {PROXY_ANY, PROXY_V1, PROXY_V2, PROXY_ANY};
    struct result whole;
    struct result cut;
    struct slice bytes;
    struct proxy_demands demands = {.subject_type = 0xE1, .wants_certificate = true};

    if (size == 0) {
        return 0;
    }
    demands.accept = versions[data[0] & 3];
    demands.wants_rest = !(data[0] & 4);
    bytes = slice_of(data + 1, size - 1);
    feed(&demands, bytes, SIZE_MAX, 0, &whole);
    for (size_t piece_cap = 1; piece_cap <= 64; piece_cap *= 4) {
        feed(&demands, bytes, piece_cap, data[0], &cut);
        compare(&whole, &cut);
        free_result(&cut);
    }
    if (whole.info) {
        check_info(whole.info);
        feed(&demands, slice_of(bytes.data, whole.used), SIZE_MAX, 0, &cut);
        compare(&whole, &cut);
        free_result(&cut);
    }
    free_result(&whole);
    return 0;
}
