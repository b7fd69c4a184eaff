#include "net/proxy.h"

#include "base/crc32c.h"
#include "base/memory.h"
#include "base/spares.h"
#include "base/text.h"
#include "net/proxy_line.h"
#include "net/proxy_rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * A header is read as a chain of pieces of known size (prefix, addresses, head of a TLV) and of
 * values that are kept or skipped as they stream by. Each piece has a function that looks at it
 * when it is whole and says what comes next; only in a line of version 1 is every byte looked at
 * alone. So how the bytes were cut never matters, and memory is constant: the largest piece, plus
 * what is kept, which grows with what has arrived and never with what was announced.
 *
 * Two lengths bound a TLV: what is left of the header, and inside the SSL TLV what is left of that.
 * A TLV that does not fit where it stands is refused as soon as its head is known.
 *
 * A header that gives us no address (LOCAL, UNSPEC, families that we don't serve) tells nothing: an
 * HAProxy that checks a TLS server describes its own TLS there. Its TLVs are walked only to find
 * the checksum, and leniently, since nobody says what such a block has to look like: where the walk
 * ends in nonsense the rest is skipped and nothing is verified.
 */

#define SIGNATURE_LEN  12
#define PREFIX_LEN     4 /* command, family, length */
#define TLV_HEAD_LEN   3
#define SSL_HEAD_LEN   5
#define KEPT_HEAD_LEN  3 /* in kept[]: field, length; then the value */
#define KEPT_CAP_LEAST 96
#define ADDRESSES_CAP  216
#define PATH_LEN       108
#define CLOUD_SUBTYPE  1 /* the id of the endpoint, for AWS and Azure */

enum { TYPE_CRC32C = 0x03, TYPE_SSL = 0x20 };

enum { CLIENT_SSL = 1, CLIENT_CERT_CONNECTION = 2, CLIENT_CERT_SESSION = 4 };

enum state {
    STATE_SIGNATURE,
    STATE_LINE,
    STATE_PIECE, /* on_piece() is called when it is whole */
    STATE_KEEP,  /* a value that is kept */
    STATE_SKIP,  /* a value that is not */
    STATE_DONE,
    STATE_REFUSED
};

/* Things that a header may say once. */
enum { SEEN_SSL = 1, SEEN_CRC = 2, SEEN_FIELD = 4 /* << enum proxy_field */ };

typedef void (*piece_fn)(struct proxy_parser *parser);

struct piece {
    piece_fn on_piece;
    uint16_t need;
    uint16_t len;
    uint8_t bytes[ADDRESSES_CAP];
};

/* Owner: the connection whose header it reads. */
struct proxy_parser {
    struct proxy_info *info; /* NULL until the version is known */
    struct address destination;
    size_t kept_cap;
    struct proxy_demands demands;
    uint8_t state; /* enum state */
    uint8_t refusal;
    bool is_lenient;   /* no address: nothing is kept and nothing is refused but a wrong checksum */
    bool is_in_ssl;    /* between the sub-TLVs of SSL */
    bool is_crc_value; /* the piece is the checksum, which counts as zeros */
    uint8_t family;    /* as in the header */
    uint8_t client;    /* bits of the SSL TLV */
    uint32_t seen;
    uint32_t crc;
    uint32_t crc_told;
    uint32_t left;       /* bytes of the header that are still to come */
    uint32_t ssl_left;   /* of them inside the SSL TLV, when in it */
    uint32_t value_left; /* of them inside the value that is kept or skipped */
    struct piece piece;
};

static const uint8_t signature_v2[SIGNATURE_LEN] = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                                    0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
static const uint8_t signature_v1[] = {'P', 'R', 'O', 'X', 'Y', ' '};

static void begin_tlv(struct proxy_parser *parser);

static void refuse(struct proxy_parser *parser, enum proxy_refusal refusal)
{
    parser->state = STATE_REFUSED;
    parser->refusal = (uint8_t)refusal;
}

static void await_piece(struct proxy_parser *parser, uint16_t need, piece_fn on_piece)
{
    assert(need > 0 && need <= sizeof(parser->piece.bytes));

    parser->state = STATE_PIECE;
    parser->piece.on_piece = on_piece;
    parser->piece.need = need;
    parser->piece.len = 0;
}

static uint16_t load_16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t load_32(const uint8_t *at)
{
    return (uint32_t)load_16(at) << 16 | load_16(at + 2);
}

/* Every byte behind the signature passes here before anybody looks at it. */
static void account(struct proxy_parser *parser, struct slice bytes)
{
    static const uint8_t zeros[sizeof(uint32_t)];

    assert(bytes.len <= parser->left);
    assert(!parser->is_in_ssl || bytes.len <= parser->ssl_left);

    parser->left -= (uint32_t)bytes.len;
    parser->ssl_left -= parser->is_in_ssl ? (uint32_t)bytes.len : 0;
    parser->crc =
        crc32c_add(parser->crc, parser->is_crc_value ? slice_of(zeros, bytes.len) : bytes);
}

/* ---- what is kept ---- */

static bool keep(struct proxy_parser *parser, struct slice bytes)
{
    struct proxy_info *info = parser->info;
    size_t size = info->kept_size + bytes.len;

    if (size > parser->kept_cap) {
        size_t least = MAX(2 * parser->kept_cap, (size_t)KEPT_CAP_LEAST);
        size_t cap = MAX(size, least);

        info = memory_resize(info, sizeof(*info) + cap);
        if (!info) {
            refuse(parser, PROXY_REFUSAL_MEMORY);
            return false;
        }
        parser->info = info;
        parser->kept_cap = cap;
    }
    memcpy(info->kept + info->kept_size, bytes.data, bytes.len);
    info->kept_size = (uint32_t)size;
    return true;
}

static bool keep_head(struct proxy_parser *parser, enum proxy_field field, uint16_t len)
{
    uint8_t head[KEPT_HEAD_LEN] = {(uint8_t)field, (uint8_t)(len >> 8), (uint8_t)len};

    return keep(parser, slice_of(head, sizeof(head)));
}

/* A path ends at its first zero byte, an abstract name, which begins with one, at its last. */
static bool keep_path(struct proxy_parser *parser, enum proxy_field field, const uint8_t *bytes)
{
    size_t len = strnlen((const char *)bytes, PATH_LEN);

    if (len == 0) {
        len = PATH_LEN;
        while (len > 0 && bytes[len - 1] == 0) {
            len--;
        }
    }
    return len == 0 ||
           (keep_head(parser, field, (uint16_t)len) && keep(parser, slice_of(bytes, len)));
}

const char *proxy_cloud_text(const struct proxy_info *info, char text[PROXY_CLOUD_CAP])
{
    struct slice aws = proxy_find(info, PROXY_AWS);
    struct slice azure = proxy_find(info, PROXY_AZURE);
    struct slice gcp = proxy_find(info, PROXY_GCP);

    text[0] = '\0';
    if (aws.len > 1 && aws.data[0] == CLOUD_SUBTYPE) {
        text_escape(text, PROXY_CLOUD_CAP, slice_skip(aws, 1));
    } else if (azure.len == 1 + sizeof(uint32_t) && azure.data[0] == CLOUD_SUBTYPE) {
        const uint8_t *at = azure.data + 1; /* little endian, as Azure has it */

        snprintf(text, PROXY_CLOUD_CAP, "%" PRIu32,
                 at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
    } else if (gcp.len == sizeof(uint64_t)) {
        snprintf(text, PROXY_CLOUD_CAP, "%" PRIu64,
                 (uint64_t)load_32(gcp.data) << 32 | load_32(gcp.data + 4));
    }
    return text;
}

struct slice proxy_find(const struct proxy_info *info, enum proxy_field field)
{
    const uint8_t *at = info->kept;
    const uint8_t *end = info->kept + info->kept_size;

    while (at < end) {
        uint16_t len = load_16(at + 1);

        if (at[0] == field) {
            return slice_of(at + KEPT_HEAD_LEN, len);
        }
        at += KEPT_HEAD_LEN + len;
    }
    return slice_of(NULL, 0);
}

/* ---- the end of a header ---- */

/* Gives back what was reserved and not used; a failure leaves it as it is. */
static void shrink(struct proxy_parser *parser)
{
    struct proxy_info *info = parser->info;

    if (parser->kept_cap > info->kept_size) {
        info = memory_resize(info, sizeof(*info) + info->kept_size);
        parser->info = info ? info : parser->info;
    }
}

/*
 * Only bit 0 proves TLS; the TLV is there on plain connections, too. A verify of 0 is success only
 * together with a certificate, seen on this connection or, after a resumption, on an earlier one.
 */
static void settle_tls(struct proxy_parser *parser)
{
    struct proxy_info *info = parser->info;
    bool has_certificate = parser->client & (CLIENT_CERT_CONNECTION | CLIENT_CERT_SESSION);
    struct slice name = proxy_find(info, PROXY_COMMON_NAME);

    info->is_tls = parser->client & CLIENT_SSL;
    info->is_certificate_verified = info->is_tls && has_certificate && info->verify == 0;
    info->common_name =
        info->is_certificate_verified ? (uint8_t)proxy_judge_name(name) : PROXY_NAME_NONE;
}

/* What speaks of no client needs no proof. */
static bool lacks_crc(const struct proxy_parser *parser)
{
    return parser->demands.requires_crc && parser->info->version == 2 && !parser->is_lenient &&
           !(parser->seen & SEEN_CRC);
}

static void finish(struct proxy_parser *parser)
{
    if (((parser->seen & SEEN_CRC) && parser->crc != parser->crc_told) || lacks_crc(parser)) {
        refuse(parser, PROXY_REFUSAL_CRC);
        return;
    }
    settle_tls(parser);
    shrink(parser);
    parser->state = STATE_DONE;
}

/* ---- TLVs ---- */

static void begin_value(struct proxy_parser *parser, enum state state, uint16_t len)
{
    parser->state = (uint8_t)state;
    parser->value_left = len;
    if (len == 0) {
        begin_tlv(parser);
    }
}

/* The rest of a block without an address that makes no sense: any content is fine, and no proof. */
static void skip_rest(struct proxy_parser *parser)
{
    parser->seen &= ~(uint32_t)SEEN_CRC;
    parser->value_left = parser->left;
    parser->state = STATE_SKIP;
    if (parser->left == 0) {
        finish(parser);
    }
}

static void on_broken_tlv(struct proxy_parser *parser)
{
    if (parser->is_lenient) {
        skip_rest(parser);
    } else {
        refuse(parser, PROXY_REFUSAL_TLV);
    }
}

/* Whether this is the first of its kind. */
static bool see(struct proxy_parser *parser, uint32_t bit)
{
    bool is_first = !(parser->seen & bit);

    parser->seen |= bit;
    return is_first;
}

static void on_crc(struct proxy_parser *parser)
{
    parser->is_crc_value = false;
    parser->crc_told = load_32(parser->piece.bytes);
    begin_tlv(parser);
}

static void begin_crc(struct proxy_parser *parser, uint16_t len)
{
    if (len != sizeof(parser->crc_told) || !see(parser, SEEN_CRC)) {
        on_broken_tlv(parser);
        return;
    }
    parser->is_crc_value = true;
    await_piece(parser, len, on_crc);
}

static void on_ssl_head(struct proxy_parser *parser)
{
    parser->client = parser->piece.bytes[0];
    parser->info->verify = load_32(parser->piece.bytes + 1);
    begin_tlv(parser);
}

static void begin_ssl(struct proxy_parser *parser, uint16_t len)
{
    if (len < SSL_HEAD_LEN || !see(parser, SEEN_SSL)) {
        on_broken_tlv(parser);
        return;
    }
    parser->is_in_ssl = true;
    parser->ssl_left = len;
    await_piece(parser, SSL_HEAD_LEN, on_ssl_head);
}

/* A value that is too long is refused or, where nothing depends on it, not kept; never cut. */
static void begin_field(struct proxy_parser *parser, const struct proxy_rule *rule, uint16_t len)
{
    bool is_first = see(parser, (uint32_t)SEEN_FIELD << rule->field);

    if ((!is_first && rule->is_single) || (len > rule->cap && rule->is_cap_strict)) {
        refuse(parser, PROXY_REFUSAL_TLV);
    } else if (!is_first || len > rule->cap) {
        begin_value(parser, STATE_SKIP, len);
    } else if (keep_head(parser, rule->field, len)) {
        begin_value(parser, STATE_KEEP, len);
    }
}

static void count_custom(struct proxy_parser *parser, uint8_t type)
{
    if (!parser->is_in_ssl && type >= PROXY_CUSTOM_FIRST && type <= PROXY_CUSTOM_LAST) {
        parser->info->custom_len++;
    }
}

static bool is_wanted(const struct proxy_demands *demands, enum proxy_field field)
{
    switch (field) {
    case PROXY_CLIENT_CERTIFICATE: return demands->wants_certificate;
    case PROXY_SIGNATURE_ALGORITHM:
    case PROXY_KEY_ALGORITHM: return demands->wants_rest;
    default: return true;
    }
}

/* NULL: the value is skipped. */
static const struct proxy_rule *find_rule(const struct proxy_parser *parser, uint8_t type)
{
    const struct proxy_demands *demands = &parser->demands;
    const struct proxy_rule *rule;

    if (!parser->is_in_ssl && type == demands->subject_type && type != 0) {
        return &proxy_subject_rule;
    }
    rule = proxy_find_rule(type, parser->is_in_ssl);
    return rule && is_wanted(demands, rule->field) ? rule : NULL;
}

static void on_tlv_head(struct proxy_parser *parser)
{
    uint8_t type = parser->piece.bytes[0];
    uint16_t len = load_16(parser->piece.bytes + 1);
    const struct proxy_rule *rule = find_rule(parser, type);

    if (len > (parser->is_in_ssl ? parser->ssl_left : parser->left)) {
        on_broken_tlv(parser);
    } else if (type == TYPE_CRC32C && !parser->is_in_ssl) {
        begin_crc(parser, len);
    } else if (parser->is_lenient) {
        begin_value(parser, STATE_SKIP, len);
    } else if (type == TYPE_SSL && !parser->is_in_ssl) {
        begin_ssl(parser, len);
    } else if (rule) {
        begin_field(parser, rule, len);
    } else {
        count_custom(parser, type);
        begin_value(parser, STATE_SKIP, len);
    }
}

/* What comes next between two TLVs. */
static void begin_tlv(struct proxy_parser *parser)
{
    if (parser->is_in_ssl && parser->ssl_left == 0) {
        parser->is_in_ssl = false;
    }
    if (parser->left == 0) {
        finish(parser);
    } else if ((parser->is_in_ssl ? parser->ssl_left : parser->left) < TLV_HEAD_LEN) {
        on_broken_tlv(parser);
    } else {
        await_piece(parser, TLV_HEAD_LEN, on_tlv_head);
    }
}

/* ---- version 2: prefix and addresses ---- */

static void set_addresses(struct proxy_parser *parser, struct address source,
                          struct address destination)
{
    parser->info->source = source;
    parser->info->has_address = true;
    parser->destination = destination;
}

static void on_ipv4(struct proxy_parser *parser)
{
    const uint8_t *at = parser->piece.bytes;

    set_addresses(parser, address_of_ipv4(at, load_16(at + 8)),
                  address_of_ipv4(at + 4, load_16(at + 10)));
    begin_tlv(parser);
}

static void on_ipv6(struct proxy_parser *parser)
{
    const uint8_t *at = parser->piece.bytes;

    set_addresses(parser, address_of_ipv6(at, load_16(at + 32)),
                  address_of_ipv6(at + 16, load_16(at + 34)));
    begin_tlv(parser);
}

static void on_unix(struct proxy_parser *parser)
{
    const uint8_t *at = parser->piece.bytes;
    struct address none = {.family = ADDRESS_UNIX};

    set_addresses(parser, none, none);
    if (!parser->demands.wants_rest || (keep_path(parser, PROXY_SOURCE_PATH, at) &&
                                        keep_path(parser, PROXY_DESTINATION_PATH, at + PATH_LEN))) {
        begin_tlv(parser);
    }
}

struct family {
    uint16_t size; /* of both addresses */
    piece_fn on_addresses;
};

static const struct family families[] = {
    {0,             NULL   }, /* UNSPEC */
    {12,            on_ipv4},
    {36,            on_ipv6},
    {ADDRESSES_CAP, on_unix},
};

enum { TRANSPORT_UNSPEC, TRANSPORT_STREAM, TRANSPORT_DATAGRAM };

/*
 * No address of ours: real endpoints, and no facts. Behind addresses of a known size the TLVs can
 * still be found. LOCAL with a family is the exception: the text has the receiver ignore it, so
 * nobody knows whether addresses are there.
 */
static void begin_without_address(struct proxy_parser *parser, bool is_family_ignored)
{
    uint16_t size = families[is_family_ignored ? 0 : parser->family >> 4].size;

    parser->is_lenient = true;
    if (size > parser->left || (is_family_ignored && parser->family != 0)) {
        skip_rest(parser);
    } else {
        begin_value(parser, STATE_SKIP, size);
    }
}

static void begin_addresses(struct proxy_parser *parser)
{
    const struct family *family = &families[parser->family >> 4];

    if (parser->left < family->size) {
        refuse(parser, PROXY_REFUSAL_LENGTH);
    } else {
        await_piece(parser, family->size, family->on_addresses);
    }
}

static void begin_block(struct proxy_parser *parser)
{
    uint8_t family = parser->family >> 4;
    uint8_t transport = parser->family & 0x0F;

    if (parser->info->command == PROXY_COMMAND_LOCAL) {
        begin_without_address(parser, true);
    } else if (family >= ARRAY_LEN(families) || transport > TRANSPORT_DATAGRAM) {
        refuse(parser, PROXY_REFUSAL_FAMILY);
    } else if (family == 0 || transport != TRANSPORT_STREAM) {
        begin_without_address(parser, false);
    } else {
        begin_addresses(parser);
    }
}

static void on_prefix(struct proxy_parser *parser)
{
    const uint8_t *at = parser->piece.bytes;

    parser->info->command = at[0] & 0x0F;
    parser->family = at[1];
    parser->left = load_16(at + 2);
    if (at[0] >> 4 != 2) {
        refuse(parser, PROXY_REFUSAL_VERSION);
    } else if (parser->info->command > PROXY_COMMAND_PROXY) {
        refuse(parser, PROXY_REFUSAL_COMMAND);
    } else {
        begin_block(parser);
    }
}

/* ---- the first bytes, and version 1 ---- */

static bool make_info(struct proxy_parser *parser, uint8_t version)
{
    parser->info = memory_alloc_zero(1, sizeof(*parser->info));
    if (!parser->info) {
        refuse(parser, PROXY_REFUSAL_MEMORY);
        return false;
    }
    parser->info->version = version;
    parser->info->command = PROXY_COMMAND_PROXY;
    return true;
}

static void on_signature(struct proxy_parser *parser, uint8_t version)
{
    unsigned needed = version == 1 ? PROXY_V1 : PROXY_V2;

    if (!(parser->demands.accept & needed)) {
        refuse(parser, PROXY_REFUSAL_VERSION);
    } else if (make_info(parser, version)) {
        if (version == 1) {
            parser->state = STATE_LINE;
        } else {
            parser->crc = crc32c_add(0, slice_of(signature_v2, sizeof(signature_v2)));
            parser->left = PREFIX_LEN;
            await_piece(parser, PREFIX_LEN, on_prefix);
        }
    }
}

/* The first byte decides which signature the others must continue. */
static size_t match_signature(struct proxy_parser *parser, struct slice input)
{
    struct piece *piece = &parser->piece;
    bool is_v1 = (piece->len > 0 ? piece->bytes[0] : input.data[0]) == signature_v1[0];
    const uint8_t *signature = is_v1 ? signature_v1 : signature_v2;
    size_t size = is_v1 ? sizeof(signature_v1) : sizeof(signature_v2);
    bool is_alike = true;
    size_t used = 0;

    while (is_alike && used < input.len && piece->len < size) {
        is_alike = input.data[used] == signature[piece->len];
        piece->bytes[piece->len++] = input.data[used++];
    }
    if (!is_alike) {
        refuse(parser, PROXY_REFUSAL_SIGNATURE);
    } else if (piece->len == size) {
        on_signature(parser, is_v1 ? 1 : 2);
    }
    return used;
}

static void finish_line(struct proxy_parser *parser)
{
    struct slice line = slice_of(parser->piece.bytes, parser->piece.len);
    struct proxy_line parsed = {0};
    enum proxy_refusal refusal = proxy_line_parse(line, &parsed);

    if (refusal != PROXY_REFUSAL_NONE) {
        refuse(parser, refusal);
        return;
    }
    if (parsed.source.family != ADDRESS_NONE) {
        set_addresses(parser, parsed.source, parsed.destination);
    }
    finish(parser);
}

/* Bare CR, bare LF and a line that can't end in time are refused at the byte that shows it. */
static void add_to_line(struct proxy_parser *parser, uint8_t byte)
{
    struct piece *piece = &parser->piece;
    bool is_behind_cr = piece->bytes[piece->len - 1] == '\r';

    piece->bytes[piece->len++] = byte;
    if (is_behind_cr != (byte == '\n')) {
        refuse(parser, PROXY_REFUSAL_LINE);
    } else if (byte == '\n') {
        finish_line(parser);
    } else if (piece->len == PROXY_LINE_CAP) {
        refuse(parser, PROXY_REFUSAL_LINE);
    }
}

/* ---- feeding ---- */

static size_t fill_piece(struct proxy_parser *parser, struct slice input)
{
    struct piece *piece = &parser->piece;
    size_t len = MIN(input.len, (size_t)(piece->need - piece->len));

    memcpy(piece->bytes + piece->len, input.data, len);
    piece->len = (uint16_t)(piece->len + len);
    account(parser, slice_of(input.data, len));
    if (piece->len == piece->need) {
        piece->on_piece(parser);
    }
    return len;
}

static size_t pass_value(struct proxy_parser *parser, struct slice input)
{
    struct slice part = slice_of(input.data, MIN(input.len, (size_t)parser->value_left));

    account(parser, part);
    parser->value_left -= (uint32_t)part.len;
    if (parser->state == STATE_KEEP && !keep(parser, part)) {
        return part.len;
    }
    if (parser->value_left == 0) {
        begin_tlv(parser);
    }
    return part.len;
}

static size_t step(struct proxy_parser *parser, struct slice input)
{
    switch ((enum state)parser->state) {
    case STATE_SIGNATURE: return match_signature(parser, input);
    case STATE_LINE: add_to_line(parser, input.data[0]); return 1;
    case STATE_PIECE: return fill_piece(parser, input);
    case STATE_KEEP:
    case STATE_SKIP: return pass_value(parser, input);
    case STATE_DONE:
    case STATE_REFUSED: break;
    }
    abort();
}

int proxy_parser_new(const struct proxy_demands *demands, struct proxy_parser **parser_out)
{
    struct proxy_parser *parser = spares_alloc_zero(sizeof(*parser));

    assert(demands->accept != 0 && (demands->accept & ~(unsigned)PROXY_ANY) == 0);
    if (!parser) {
        return -ENOMEM;
    }
    parser->demands = *demands;
    *parser_out = parser;
    return 0;
}

struct proxy_parser *proxy_parser_free(struct proxy_parser *parser)
{
    if (parser) {
        proxy_info_free(parser->info);
        spares_free(parser, sizeof(*parser));
    }
    return NULL;
}

enum proxy_verdict proxy_feed(struct proxy_parser *parser, struct slice input, size_t *used_out)
{
    size_t used = 0;

    assert(parser->state != STATE_DONE && parser->state != STATE_REFUSED);
    while (used < input.len && parser->state != STATE_DONE && parser->state != STATE_REFUSED) {
        used += step(parser, slice_skip(input, used));
    }
    *used_out = used;
    return parser->state == STATE_DONE      ? PROXY_DONE
           : parser->state == STATE_REFUSED ? PROXY_REFUSED
                                            : PROXY_MORE;
}

struct proxy_info *proxy_take(struct proxy_parser *parser)
{
    assert(parser->state == STATE_DONE && parser->info);

    return TAKE(parser->info);
}

struct address proxy_destination(const struct proxy_parser *parser)
{
    assert(parser->state == STATE_DONE);

    return parser->destination;
}

enum proxy_refusal proxy_refusal(const struct proxy_parser *parser)
{
    assert(parser->state == STATE_REFUSED);

    return parser->refusal;
}

const struct address *proxy_refused_source(const struct proxy_parser *parser)
{
    assert(parser->state == STATE_REFUSED);

    return parser->info && parser->info->has_address ? &parser->info->source : NULL;
}

struct proxy_info *proxy_info_free(struct proxy_info *info)
{
    return memory_free(info);
}
