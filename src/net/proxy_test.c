#include "base/crc32c.h"
#include "base/test.h"
#include "net/proxy.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Headers and what is to be understood of them stand in tests/fixtures/proxy.txt. Each line is fed
 * whole, byte by byte, cut in two at every offset and cut at random, always from copies on the heap
 * that are exactly as long as the piece. The result, told in words, must be the same every time.
 */

#define OUTCOME_CAP 4096
#define LINE_CAP    8192
#define BYTES_CAP   (LINE_CAP / 2)

struct outcome {
    size_t used;
    size_t len;
    char words[OUTCOME_CAP];
};

PRINTF_LIKE(2, 3)
static void say(struct outcome *outcome, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    outcome->len += (size_t)vsnprintf(outcome->words + outcome->len, OUTCOME_CAP - outcome->len,
                                      format, arguments);
    va_end(arguments);
    assert_true(outcome->len < OUTCOME_CAP);
}

static void say_bytes(struct outcome *outcome, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = bytes.data[i];

        say(outcome, byte > ' ' && byte < 0x7F && byte != '\\' ? "%c" : "\\x%02x", byte);
    }
}

static void say_address(struct outcome *outcome, const struct address *address)
{
    char text[ADDRESS_TEXT_CAP];

    address_format(address, text);
    if (address->family == ADDRESS_UNIX) {
        say(outcome, " unix");
    } else {
        say(outcome, " %s %u", text, address->port);
    }
}

static void say_fields(struct outcome *outcome, const struct proxy_info *info)
{
    static const struct {
        enum proxy_field field;
        const char *word;
    } fields[] = {
        {PROXY_ALPN,                "alpn"     },
        {PROXY_AUTHORITY,           "authority"},
        {PROXY_UNIQUE_ID,           "id"       },
        {PROXY_COMMON_NAME,         "cn"       },
        {PROXY_TLS_VERSION,         "version"  },
        {PROXY_CIPHER,              "cipher"   },
        {PROXY_SIGNATURE_ALGORITHM, "sig"      },
        {PROXY_KEY_ALGORITHM,       "key"      },
        {PROXY_SOURCE_PATH,         "from"     },
        {PROXY_DESTINATION_PATH,    "to"       },
    };

    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct slice value = proxy_find(info, fields[i].field);

        if (value.data) {
            say(outcome, " %s=", fields[i].word);
            say_bytes(outcome, value);
        }
    }
    if (proxy_find(info, PROXY_CLIENT_CERTIFICATE).data) {
        say(outcome, " certificate=%zu", proxy_find(info, PROXY_CLIENT_CERTIFICATE).len);
    }
}

static void say_cloud(struct outcome *outcome, const struct proxy_info *info)
{
    char text[PROXY_CLOUD_CAP];

    if (*proxy_cloud_text(info, text)) {
        say(outcome, " endpoint=%s", text);
    }
}

static void say_info(struct outcome *outcome, const struct proxy_info *info,
                     const struct address *destination)
{
    static const char *const names[] = {
        [PROXY_NAME_NONE] = "",
        [PROXY_NAME_UNFIT] = " unfit",
        [PROXY_NAME_SLASHED] = " slashed",
        [PROXY_NAME_FIT] = " named",
    };

    say(outcome, "v%u %s", info->version, info->command == PROXY_COMMAND_LOCAL ? "local" : "proxy");
    if (info->has_address) {
        say_address(outcome, &info->source);
        say_address(outcome, destination);
    } else {
        say(outcome, " none");
    }
    say(outcome, "%s%s%s", info->is_tls ? " tls" : "",
        info->is_certificate_verified ? " verified" : "", names[info->common_name]);
    if (info->verify) {
        say(outcome, " verify=%u", info->verify);
    }
    say_fields(outcome, info);
    say_cloud(outcome, info);
    if (info->custom_len) {
        say(outcome, " custom=%u", info->custom_len);
    }
}

static void say_end(struct outcome *outcome, struct proxy_parser *parser,
                    enum proxy_verdict verdict)
{
    if (verdict == PROXY_DONE) {
        struct address destination = proxy_destination(parser);
        CLEANUP(proxy_info_free) struct proxy_info *info = proxy_take(parser);

        say_info(outcome, info, &destination);
    } else if (verdict == PROXY_REFUSED) {
        const struct address *source = proxy_refused_source(parser);

        say(outcome, "refused %s", proxy_refusal_word(proxy_refusal(parser)));
        if (source) {
            say_address(outcome, source);
        }
    } else {
        say(outcome, "more");
    }
}

/* Feeds the bytes cut at each offset where `cuts` is set. */
static void feed(enum proxy_versions accept, struct slice bytes, const bool *cuts,
                 struct outcome *outcome)
{
    CLEANUP(proxy_parser_free) struct proxy_parser *parser = NULL;
    struct proxy_demands demands = {
        .accept = accept, .wants_certificate = true, .wants_rest = true};
    enum proxy_verdict verdict = PROXY_MORE;
    size_t at = 0;

    *outcome = (struct outcome){0};
    assert_int_equal(proxy_parser_new(&demands, &parser), 0);
    while (verdict == PROXY_MORE && at < bytes.len) {
        size_t end = at + 1;
        struct slice piece;
        size_t used;

        while (end < bytes.len && !cuts[end]) {
            end++;
        }
        piece = bytes_copy(slice_of(bytes.data + at, end - at));
        verdict = proxy_feed(parser, piece, &used);
        assert_true(used <= piece.len);
        assert_true(verdict != PROXY_MORE || used == piece.len);
        outcome->used += used;
        bytes_free(piece);
        at = end;
    }
    say_end(outcome, parser, verdict);
}

struct fixture {
    const char *name;
    size_t used;
    const char *words;
    struct slice bytes;
};

static void check(const struct fixture *fixture, const bool *cuts, const char *how, size_t detail)
{
    static struct outcome outcome;

    feed(PROXY_ANY, fixture->bytes, cuts, &outcome);
    if (outcome.used != fixture->used || strcmp(outcome.words, fixture->words) != 0) {
        fail_msg("%s, %s %zu:\n  expected %zu %s\n  got      %zu %s", fixture->name, how, detail,
                 fixture->used, fixture->words, outcome.used, outcome.words);
    }
}

static void check_all_cuts(const struct fixture *fixture)
{
    static bool cuts[BYTES_CAP];
    unsigned seed = 1;

    memset(cuts, 0, sizeof(cuts));
    check(fixture, cuts, "whole", 0);
    for (size_t i = 0; i < fixture->bytes.len; i++) {
        cuts[i] = true;
        check(fixture, cuts, "cut at", i);
        cuts[i] = false;
    }
    for (size_t run = 0; run < 32; run++) {
        for (size_t i = 0; i < fixture->bytes.len; i++) {
            cuts[i] = rand_r(&seed) % 8 == 0;
        }
        check(fixture, cuts, "cut at random", run);
    }
    memset(cuts, true, sizeof(cuts));
    check(fixture, cuts, "byte by byte", 0);
}

static unsigned nibble(char digit)
{
    assert_true(isxdigit((unsigned char)digit));
    return (unsigned)(isdigit((unsigned char)digit) ? digit - '0' : digit - 'a' + 10);
}

static struct slice decode_hex(const char *hex, uint8_t bytes[BYTES_CAP])
{
    size_t len = strlen(hex) / 2;

    assert_true(len <= BYTES_CAP);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
    }
    return slice_of(bytes, len);
}

static void read_fixture(char *line, uint8_t bytes[BYTES_CAP], struct fixture *fixture_out)
{
    const char *columns[4];

    line[strcspn(line, "\n")] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        columns[i] = strsep(&line, "\t");
        assert_non_null(columns[i]);
    }
    fixture_out->name = columns[0];
    fixture_out->used = strtoul(columns[1], NULL, 10);
    fixture_out->words = columns[2];
    fixture_out->bytes = decode_hex(columns[3], bytes);
}

/* The file is found from where this one was compiled. */
static FILE *open_fixtures(void)
{
    static const char file[] = __FILE__;
    char path[sizeof(file) + 64];
    int root_len = (int)(strlen(file) - strlen("src/net/proxy_test.c"));
    FILE *fixtures;

    snprintf(path, sizeof(path), "%.*stests/fixtures/proxy.txt", root_len, file);
    fixtures = fopen(path, "r");
    if (!fixtures) {
        fail_msg("can't open %s: run it in the build folder", path);
    }
    return fixtures;
}

typedef void (*fixture_fn)(const struct fixture *fixture);

static void for_each_fixture(fixture_fn function)
{
    static char line[LINE_CAP];
    static uint8_t bytes[BYTES_CAP];
    FILE *fixtures = open_fixtures();
    size_t len = 0;

    while (fgets(line, sizeof(line), fixtures)) {
        struct fixture fixture;

        if (line[0] != '#' && line[0] != '\n') {
            read_fixture(line, bytes, &fixture);
            function(&fixture);
            len++;
        }
    }
    fclose(fixtures);
    assert_true(len > 200);
}

static void understands_fixtures_however_cut(void **state)
{
    (void)state;
    for_each_fixture(check_all_cuts);
}

/* A header is accepted only in the versions that the listener has. */
static void check_versions(const struct fixture *fixture)
{
    static const bool cuts[BYTES_CAP];
    static struct outcome outcome;
    bool is_v1 = strncmp(fixture->words, "v1", 2) == 0;

    if (fixture->words[0] != 'v') {
        return;
    }
    feed(is_v1 ? PROXY_V1 : PROXY_V2, fixture->bytes, cuts, &outcome);
    assert_string_equal(outcome.words, fixture->words);
    feed(is_v1 ? PROXY_V2 : PROXY_V1, fixture->bytes, cuts, &outcome);
    assert_string_equal(outcome.words, "refused version");
    assert_int_equal(outcome.used, is_v1 ? 6 : 12);
}

static void accepts_only_asked_versions(void **state)
{
    (void)state;
    for_each_fixture(check_versions);
}

/* Each allocation fails in turn, until one run needs none more: refused, nothing leaks. */
static void check_without_memory(const struct fixture *fixture)
{
    static const bool cuts[BYTES_CAP];
    static struct outcome outcome;
    struct proxy_parser *parser = NULL;
    bool is_last = false;

    memory_fail_after(1);
    assert_int_equal(proxy_parser_new(&(struct proxy_demands){.accept = PROXY_ANY}, &parser),
                     -ENOMEM);
    for (unsigned long n = 2; !is_last; n++) {
        memory_fail_after(n);
        feed(PROXY_ANY, fixture->bytes, cuts, &outcome);
        is_last = strcmp(outcome.words, fixture->words) == 0;
        if (!is_last) {
            assert_non_null(strstr(outcome.words, "refused memory"));
        }
        assert_true(n < 16);
    }
    memory_fail_after(0);
}

static void refuses_without_memory(void **state)
{
    (void)state;
    for_each_fixture(check_without_memory);
}

/* ---- headers too large for a text file ---- */

#define HEADER_CAP (16 + UINT16_MAX)

struct header {
    size_t len;
    uint8_t bytes[HEADER_CAP];
};

static void begin_header(struct header *header)
{
    static const uint8_t start[] = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49,
                                    0x54, 0x0A, 0x21, 0x11, 0x00, 0x00, 192,  0,    2,    1,
                                    192,  0,    2,    2,    0x04, 0x57, 0x08, 0xAE};

    memcpy(header->bytes, start, sizeof(start));
    header->len = sizeof(start);
}

static void add_tlv_head(struct header *header, uint8_t type, size_t len)
{
    uint8_t *at = header->bytes + header->len;

    at[0] = type;
    at[1] = (uint8_t)(len >> 8);
    at[2] = (uint8_t)len;
    header->len += 3;
}

static void add_filler(struct header *header, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        header->bytes[header->len++] = (uint8_t)(i * 7);
    }
}

static void end_header(struct header *header)
{
    size_t len = header->len - 16;

    assert_true(header->len <= HEADER_CAP);
    header->bytes[14] = (uint8_t)(len >> 8);
    header->bytes[15] = (uint8_t)len;
}

/* In pieces of `step` bytes. */
static const struct proxy_demands plain = {.accept = PROXY_V2};

static struct proxy_info *feed_header(const struct proxy_demands *demands,
                                      const struct header *header, size_t step)
{
    CLEANUP(proxy_parser_free) struct proxy_parser *parser = NULL;
    enum proxy_verdict verdict = PROXY_MORE;
    size_t at = 0;

    assert_int_equal(proxy_parser_new(demands, &parser), 0);
    while (verdict == PROXY_MORE && at < header->len) {
        size_t used;

        verdict =
            proxy_feed(parser, slice_of(header->bytes + at, MIN(step, header->len - at)), &used);
        at += used;
    }
    assert_int_equal(verdict, PROXY_DONE);
    assert_int_equal(at, header->len);
    return proxy_take(parser);
}

/* The largest header that the format has, around the largest certificate that fits. */
static void keeps_the_largest_certificate(void **state)
{
    static struct header header;
    static const size_t steps[] = {1, 7, 1000, 16384, HEADER_CAP};
    static const struct proxy_demands demands = {.accept = PROXY_V2, .wants_certificate = true};
    size_t len = HEADER_CAP - 16 - 12 - 3 - 5 - 3;

    (void)state;
    begin_header(&header);
    add_tlv_head(&header, 0x20, len + 8);
    memcpy(header.bytes + header.len, "\x03\0\0\0\0", 5);
    header.len += 5;
    add_tlv_head(&header, 0x28, len);
    add_filler(&header, len);
    end_header(&header);
    assert_int_equal(header.len, HEADER_CAP);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        CLEANUP(proxy_info_free) struct proxy_info *info = feed_header(&demands, &header, steps[i]);
        CLEANUP(proxy_info_free) struct proxy_info *other = feed_header(&plain, &header, steps[i]);
        struct slice certificate = proxy_find(info, PROXY_CLIENT_CERTIFICATE);

        assert_int_equal(other->kept_size, 0);
        assert_int_equal(certificate.len, len);
        assert_memory_equal(certificate.data, header.bytes + HEADER_CAP - len, len);
        assert_true(info->is_certificate_verified);
        assert_int_equal(info->common_name, PROXY_NAME_NONE);
    }
}

static void add_checksum(struct header *header, size_t at)
{
    uint32_t crc = crc32c_add(0, slice_of(header->bytes, header->len));

    for (size_t i = 0; i < 4; i++) {
        header->bytes[at + i] = (uint8_t)(crc >> (24 - 8 * i));
    }
}

/* What is skipped takes no memory, however long it is, and counts in the checksum. */
static void skips_what_it_does_not_know(void **state)
{
    static struct header header;
    size_t crc_at;

    (void)state;
    begin_header(&header);
    add_tlv_head(&header, 0x03, 4);
    crc_at = header.len;
    header.len += 4;
    memset(header.bytes + crc_at, 0, 4);
    for (size_t i = 1; i < 10; i++) {
        add_tlv_head(&header, (uint8_t)(0xE0 + i), 6000);
        add_filler(&header, 6000);
    }
    end_header(&header);
    add_checksum(&header, crc_at);
    for (size_t step = 1; step < header.len; step *= 3) {
        CLEANUP(proxy_info_free) struct proxy_info *info = feed_header(&plain, &header, step);

        assert_int_equal(info->custom_len, 9);
        assert_int_equal(info->kept_size, 0);
    }
}

/* A header with these TLVs, all understood. */
static struct proxy_info *understand(const struct proxy_demands *demands, const uint8_t *tlvs,
                                     size_t len)
{
    static struct header header;

    begin_header(&header);
    memcpy(header.bytes + header.len, tlvs, len);
    header.len += len;
    end_header(&header);
    return feed_header(demands, &header, 5);
}

static void keeps_the_subject_that_is_asked_for(void **state)
{
    static const uint8_t tlvs[] = "\xE1\0\4CN=x\xE2\0\1y";
    static const struct proxy_demands demands = {.accept = PROXY_V2, .subject_type = 0xE1};
    CLEANUP(proxy_info_free)
    struct proxy_info *without = understand(&plain, tlvs, sizeof(tlvs) - 1);
    CLEANUP(proxy_info_free) struct proxy_info *with = understand(&demands, tlvs, sizeof(tlvs) - 1);

    (void)state;
    assert_null(proxy_find(without, PROXY_SUBJECT).data);
    assert_int_equal(without->custom_len, 2);
    assert_true(slice_is_equal(proxy_find(with, PROXY_SUBJECT), slice_of_text("CN=x")));
    assert_int_equal(with->custom_len, 1);
}

/* What no client is known by costs a connection nothing. */
static void keeps_the_rest_if_that_is_asked_for(void **state)
{
    static const uint8_t tlvs[] = {0x20, 0, 13, 1,   0, 0, 0, 0, /* TLS, no certificate */
                                   0x24, 0, 1,  's',             /* signature algorithm */
                                   0x25, 0, 1,  'k'};            /* key algorithm */
    static const struct proxy_demands all = {.accept = PROXY_V2, .wants_rest = true};
    struct proxy_info *info = understand(&plain, tlvs, sizeof(tlvs));
    struct proxy_info *whole = understand(&all, tlvs, sizeof(tlvs));

    (void)state;
    assert_true(info->is_tls && whole->is_tls);
    assert_int_equal(info->kept_size, 0);
    assert_true(slice_is_equal(proxy_find(whole, PROXY_SIGNATURE_ALGORITHM), slice_of_text("s")));
    assert_true(slice_is_equal(proxy_find(whole, PROXY_KEY_ALGORITHM), slice_of_text("k")));
    proxy_info_free(info);
    proxy_info_free(whole);
}

static void tells_of_clouds(void **state)
{
    struct cloud {
        const char *tlv;
        size_t len;
        const char *text;
    };
#define CLOUD(tlv, text)           \
    {                              \
        tlv, sizeof(tlv) - 1, text \
    }
    /* clang-format off */
    static const struct cloud cases[] = {
        CLOUD("\xEA\0\7\1vpce-1", "vpce-1"),
        CLOUD("\xEA\0\7\2vpce-1", ""),
        CLOUD("\xEA\0\3\1\n\\", "\\x0a\\\\"),
        CLOUD("\xEE\0\5\1\4\3\2\1", "16909060"),
        CLOUD("\xEE\0\4\1\4\3\2", ""),
        CLOUD("\xE0\0\x08\1\0\0\0\0\0\0\1", "72057594037927937"),
        CLOUD("\xE0\0\1\1", ""),
    };
    /* clang-format on */
#undef CLOUD

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(proxy_info_free)
        struct proxy_info *info = understand(&plain, (const uint8_t *)cases[i].tlv, cases[i].len);
        char text[PROXY_CLOUD_CAP];

        assert_string_equal(proxy_cloud_text(info, text), cases[i].text);
    }
}

static void has_a_word_for_every_refusal(void **state)
{
    (void)state;
    for (int i = 0; i < PROXY_REFUSAL_LEN; i++) {
        assert_non_null(proxy_refusal_word((enum proxy_refusal)i));
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(proxy_refusal_word((enum proxy_refusal)i),
                                    proxy_refusal_word((enum proxy_refusal)j));
        }
    }
}

static void is_small(void **state)
{
    (void)state;
    /* What malloc has in a block of 64 bytes; a million connections may come through a proxy. */
    assert_true(sizeof(struct proxy_info) <= 56);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(understands_fixtures_however_cut),
        cmocka_unit_test(accepts_only_asked_versions),
        cmocka_unit_test(refuses_without_memory),
        cmocka_unit_test(keeps_the_largest_certificate),
        cmocka_unit_test(skips_what_it_does_not_know),
        cmocka_unit_test(keeps_the_subject_that_is_asked_for),
        cmocka_unit_test(keeps_the_rest_if_that_is_asked_for),
        cmocka_unit_test(tells_of_clouds),
        cmocka_unit_test(has_a_word_for_every_refusal),
        cmocka_unit_test(is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
