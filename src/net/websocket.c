#include "net/websocket.h"

#include "base/base64.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <openssl/sha.h>
#include <stdlib.h>

/*
 * Frames: a small machine that reads a head byte by byte, so that nothing of it need be kept, and
 * payloads in runs. Only a control frame that comes in pieces has memory of its own, until it is
 * whole.
 */

/* ---- the handshake (section 4.2) ---- */

#define KEY_SIZE 16

static const char *const protocols[] = {"mqtt", "mqttv3.1"};

static void fail_answer(struct websocket_answer *answer, enum http_status status, const char *text)
{
    answer->status = status;
    answer->text = text;
}

/* The first one of those that the client offers, in its order, that is served. */
static const char *choose_protocol(const struct http_request *request)
{
    size_t at = 0;
    struct slice list;
    struct slice offer;

    while (http_next(request, "Sec-WebSocket-Protocol", &at, &list)) {
        while (http_take_element(&list, &offer)) {
            for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
                if (slice_is_equal(offer, slice_of_text(protocols[i]))) {
                    return protocols[i];
                }
            }
        }
    }
    return NULL;
}

/* Compared byte by byte, as browsers write them: all in small letters. */
static bool origin_is_allowed(const struct http_request *request, const char *const *origins)
{
    struct slice origin;

    if (!origins || !http_find(request, "Origin", &origin)) {
        return true;
    }
    if (!http_has_one(request, "Origin", &origin)) {
        return false;
    }
    for (; *origins; origins++) {
        if (slice_is_equal(origin, slice_of_text(*origins))) {
            return true;
        }
    }
    return false;
}

static bool key_is_valid(const struct http_request *request, struct slice *key_out)
{
    uint8_t bytes[KEY_SIZE];
    size_t len;

    return http_has_one(request, "Sec-WebSocket-Key", key_out) &&
           base64_decode(*key_out, true, bytes, sizeof(bytes), &len) && len == KEY_SIZE;
}

static void make_accept(struct slice key, char accept[WEBSOCKET_ACCEPT_CAP])
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t text[BASE64_LEN(KEY_SIZE) + sizeof(magic) - 1];
    uint8_t digest[SHA_DIGEST_LENGTH];

    assert(key.len == BASE64_LEN(KEY_SIZE));
    memcpy(text, key.data, key.len);
    memcpy(text + key.len, magic, sizeof(magic) - 1);
    SHA1(text, sizeof(text), digest);
    accept[base64_encode(accept, slice_of(digest, sizeof(digest)), true)] = 0;
}

void websocket_answer(const struct http_request *request, const char *const *origins,
                      struct websocket_answer *answer_out)
{
    struct slice text;

    *answer_out = (struct websocket_answer){.status = HTTP_SWITCHING_PROTOCOLS};
    if (request->method != HTTP_GET) {
        fail_answer(answer_out, HTTP_METHOD_NOT_ALLOWED, "method is not GET");
    } else if (!request->is_version_1_1) {
        fail_answer(answer_out, HTTP_BAD_REQUEST, "upgrade in HTTP/1.0");
    } else if (!http_has_token(request, "Upgrade", "websocket") ||
               !http_has_token(request, "Connection", "upgrade")) {
        fail_answer(answer_out, HTTP_UPGRADE_REQUIRED, "no upgrade to WebSocket");
    } else if (!http_has_one(request, "Sec-WebSocket-Version", &text) ||
               !slice_is_equal(text, slice_of_text("13"))) {
        fail_answer(answer_out, HTTP_UPGRADE_REQUIRED, "version of WebSocket is not 13");
    } else if (!key_is_valid(request, &text)) {
        fail_answer(answer_out, HTTP_BAD_REQUEST, "not one valid Sec-WebSocket-Key");
    } else if (!origin_is_allowed(request, origins)) {
        fail_answer(answer_out, HTTP_FORBIDDEN, "origin is not allowed");
        answer_out->is_foreign_origin = true;
    } else {
        answer_out->protocol = choose_protocol(request);
        make_accept(text, answer_out->accept);
        if (!answer_out->protocol) {
            fail_answer(answer_out, HTTP_BAD_REQUEST, "no protocol that is served here");
        }
    }
}

/* ---- frames (section 5) ---- */

enum phase {
    PHASE_FIRST,
    PHASE_LENGTH,
    PHASE_LENGTH_16,
    PHASE_LENGTH_64,
    PHASE_MASK,
    PHASE_PAYLOAD
};

enum {
    BIT_FINAL = 0x80,
    BITS_RESERVED = 0x70,
    BIT_MASKED = 0x80,
    LENGTH_16 = 126,
    LENGTH_64 = 127
};

#define LENGTH_16_LEAST 126u
#define LENGTH_64_LEAST 65536u

void websocket_init(struct websocket *websocket)
{
    *websocket = (struct websocket){.phase = PHASE_FIRST, .need = 1};
}

void websocket_deinit(struct websocket *websocket)
{
    websocket->control = memory_free(websocket->control);
}

static enum websocket_verdict fail(struct websocket_event *event, enum websocket_code code,
                                   const char *text)
{
    *event = (struct websocket_event){.code = (uint16_t)code, .text = text};
    return WEBSOCKET_FAILED;
}

static bool is_control(const struct websocket *websocket)
{
    return websocket->opcode >= WEBSOCKET_CLOSE;
}

static void enter(struct websocket *websocket, enum phase phase, uint8_t need)
{
    websocket->phase = (uint8_t)phase;
    websocket->need = need;
}

/* Section 5.4: what may come behind what came before. */
static enum websocket_verdict on_first(struct websocket *websocket, uint8_t byte,
                                       struct websocket_event *event)
{
    uint8_t opcode = byte & 0x0F;

    if (byte & BITS_RESERVED) {
        return fail(event, WEBSOCKET_PROTOCOL_ERROR, "reserved bit in a frame");
    }
    websocket->is_final = byte & BIT_FINAL;
    websocket->opcode = opcode;
    switch (opcode) {
    case WEBSOCKET_CONTINUATION:
        if (!websocket->is_in_message) {
            return fail(event, WEBSOCKET_PROTOCOL_ERROR, "nothing to continue");
        }
        break;
    case WEBSOCKET_TEXT: return fail(event, WEBSOCKET_UNACCEPTABLE, "text frame");
    case WEBSOCKET_BINARY:
        if (websocket->is_in_message) {
            return fail(event, WEBSOCKET_PROTOCOL_ERROR, "message inside another");
        }
        break;
    case WEBSOCKET_CLOSE:
    case WEBSOCKET_PING:
    case WEBSOCKET_PONG:
        if (!websocket->is_final) {
            return fail(event, WEBSOCKET_PROTOCOL_ERROR, "control frame in fragments");
        }
        break;
    default: return fail(event, WEBSOCKET_PROTOCOL_ERROR, "unknown opcode");
    }
    if (!is_control(websocket)) {
        websocket->is_in_message = !websocket->is_final;
    }
    enter(websocket, PHASE_LENGTH, 1);
    return WEBSOCKET_MORE;
}

static void enter_mask(struct websocket *websocket)
{
    websocket->mask_at = 0;
    enter(websocket, PHASE_MASK, sizeof(websocket->mask));
}

static enum websocket_verdict on_length(struct websocket *websocket, uint8_t byte,
                                        struct websocket_event *event)
{
    uint8_t len = byte & 0x7F;

    if (!(byte & BIT_MASKED)) {
        return fail(event, WEBSOCKET_PROTOCOL_ERROR, "unmasked frame");
    }
    if (is_control(websocket) && len > WEBSOCKET_CONTROL_MAX) {
        return fail(event, WEBSOCKET_PROTOCOL_ERROR, "control frame is too long");
    }
    websocket->left = 0;
    if (len == LENGTH_16) {
        enter(websocket, PHASE_LENGTH_16, sizeof(uint16_t));
    } else if (len == LENGTH_64) {
        enter(websocket, PHASE_LENGTH_64, sizeof(uint64_t));
    } else {
        websocket->left = len;
        enter_mask(websocket);
    }
    return WEBSOCKET_MORE;
}

/* The shortest form must be used, and the first of 64 bits is zero. */
static enum websocket_verdict on_long_length(struct websocket *websocket, uint8_t byte,
                                             struct websocket_event *event)
{
    uint64_t least = websocket->phase == PHASE_LENGTH_16 ? LENGTH_16_LEAST : LENGTH_64_LEAST;

    if (websocket->need == sizeof(uint64_t) && byte & 0x80) {
        return fail(event, WEBSOCKET_PROTOCOL_ERROR, "length of more than 63 bits");
    }
    websocket->left = websocket->left << 8 | byte;
    if (--websocket->need > 0) {
        return WEBSOCKET_MORE;
    }
    if (websocket->left < least) {
        return fail(event, WEBSOCKET_PROTOCOL_ERROR, "length is not in its shortest form");
    }
    enter_mask(websocket);
    return WEBSOCKET_MORE;
}

/* The rule of section 5.3, eight bytes at a time. */
static void unmask(struct websocket *websocket, uint8_t *data, size_t len)
{
    uint8_t turned[8];
    uint64_t word;
    size_t i = 0;

    for (size_t j = 0; j < sizeof(turned); j++) {
        turned[j] = websocket->mask[(websocket->mask_at + j) & 3];
    }
    memcpy(&word, turned, sizeof(word));
    for (; i + sizeof(word) <= len; i += sizeof(word)) {
        uint64_t part;

        memcpy(&part, data + i, sizeof(part));
        part ^= word;
        memcpy(data + i, &part, sizeof(part));
    }
    for (; i < len; i++) {
        data[i] ^= turned[i & 7];
    }
    websocket->mask_at = (uint8_t)((websocket->mask_at + len) & 3);
}

/* Section 7.4: codes that may be sent in a frame. */
static bool code_is_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static enum websocket_verdict on_close(struct slice payload, struct websocket_event *event)
{
    unsigned code;

    *event = (struct websocket_event){.payload = payload, .code = WEBSOCKET_NO_CODE};
    if (payload.len == 0) {
        return WEBSOCKET_CLOSED;
    }
    if (payload.len == 1) {
        return fail(event, WEBSOCKET_PROTOCOL_ERROR, "close frame with half a code");
    }
    code = (unsigned)payload.data[0] << 8 | payload.data[1];
    if (!code_is_valid(code)) {
        return fail(event, WEBSOCKET_PROTOCOL_ERROR, "close frame with a code that can't be");
    }
    if (!utf8_is_well_formed(slice_skip(payload, 2))) {
        return fail(event, WEBSOCKET_MISMATCHED, "close frame with a reason that is no text");
    }
    event->code = (uint16_t)code;
    return WEBSOCKET_CLOSED;
}

static enum websocket_verdict on_control(struct websocket *websocket, struct slice payload,
                                         struct websocket_event *event)
{
    enter(websocket, PHASE_FIRST, 1);
    *event = (struct websocket_event){.payload = payload};
    switch (websocket->opcode) {
    case WEBSOCKET_PING: return WEBSOCKET_PINGED;
    case WEBSOCKET_PONG: return WEBSOCKET_PONGED;
    default: return on_close(payload, event);
    }
}

/* One that is all there is used where it lies; else its parts are gathered. */
static enum websocket_verdict take_control(struct websocket *websocket, struct slice *bytes,
                                           struct websocket_event *event)
{
    size_t len = MIN((size_t)websocket->left, bytes->len);
    struct slice part = slice_of(bytes->data, len);

    unmask(websocket, (uint8_t *)(uintptr_t)part.data, part.len);
    *bytes = slice_skip(*bytes, len);
    websocket->left -= len;
    if (websocket->left == 0 && websocket->control_len == 0) {
        return on_control(websocket, part, event);
    }
    if (!websocket->control) {
        websocket->control = memory_alloc(WEBSOCKET_CONTROL_MAX);
    }
    if (!websocket->control) {
        return WEBSOCKET_NO_MEMORY;
    }
    if (part.len) {
        memcpy(websocket->control + websocket->control_len, part.data, part.len);
    }
    websocket->control_len = (uint8_t)(websocket->control_len + part.len);
    if (websocket->left > 0) {
        return WEBSOCKET_MORE;
    }
    part = slice_of(websocket->control, websocket->control_len);
    websocket->control_len = 0;
    return on_control(websocket, part, event);
}

static enum websocket_verdict take_data(struct websocket *websocket, struct slice *bytes,
                                        struct websocket_event *event)
{
    size_t len = (size_t)MIN(websocket->left, (uint64_t)bytes->len);
    struct slice part = slice_of(bytes->data, len);

    unmask(websocket, (uint8_t *)(uintptr_t)part.data, part.len);
    *bytes = slice_skip(*bytes, len);
    websocket->left -= len;
    if (websocket->left == 0) {
        enter(websocket, PHASE_FIRST, 1);
    }
    *event = (struct websocket_event){.payload = part};
    return len ? WEBSOCKET_DATA : WEBSOCKET_MORE;
}

static enum websocket_verdict take_head_byte(struct websocket *websocket, uint8_t byte,
                                             struct websocket_event *event)
{
    switch ((enum phase)websocket->phase) {
    case PHASE_FIRST: return on_first(websocket, byte, event);
    case PHASE_LENGTH: return on_length(websocket, byte, event);
    case PHASE_LENGTH_16:
    case PHASE_LENGTH_64: return on_long_length(websocket, byte, event);
    case PHASE_MASK:
        websocket->mask[sizeof(websocket->mask) - websocket->need] = byte;
        if (--websocket->need == 0) {
            websocket->phase = PHASE_PAYLOAD;
        }
        return WEBSOCKET_MORE;
    case PHASE_PAYLOAD: break;
    }
    abort();
}

enum websocket_verdict websocket_take(struct websocket *websocket, struct slice *bytes,
                                      struct websocket_event *event_out)
{
    enum websocket_verdict verdict = WEBSOCKET_MORE;

    /* The payload that was told last is used by now. */
    if (websocket->control && websocket->control_len == 0) {
        websocket->control = memory_free(websocket->control);
    }
    while (verdict == WEBSOCKET_MORE) {
        bool is_payload = websocket->phase == PHASE_PAYLOAD;

        /* A frame without a payload is whole with its head. */
        if (bytes->len == 0 && !(is_payload && websocket->left == 0)) {
            break;
        }
        if (!is_payload) {
            verdict = take_head_byte(websocket, bytes->data[0], event_out);
            *bytes = slice_skip(*bytes, 1);
        } else if (is_control(websocket)) {
            verdict = take_control(websocket, bytes, event_out);
        } else {
            verdict = take_data(websocket, bytes, event_out);
        }
    }
    return verdict;
}

uint8_t *websocket_put_head(uint8_t *at, enum websocket_opcode opcode, uint64_t payload_size)
{
    unsigned bytes = payload_size < LENGTH_16_LEAST ? 0 : payload_size < LENGTH_64_LEAST ? 2 : 8;

    *at++ = (uint8_t)(BIT_FINAL | opcode);
    *at++ = (uint8_t)(bytes == 0 ? payload_size : bytes == 2 ? LENGTH_16 : LENGTH_64);
    for (unsigned i = bytes; i > 0; i--) {
        *at++ = (uint8_t)(payload_size >> (8 * (i - 1)));
    }
    return at;
}

uint8_t *websocket_put_close(uint8_t *at, uint16_t code)
{
    bool has_code = code != WEBSOCKET_NO_CODE;

    at = websocket_put_head(at, WEBSOCKET_CLOSE, has_code ? 2 : 0);
    if (has_code) {
        *at++ = (uint8_t)(code >> 8);
        *at++ = (uint8_t)code;
    }
    return at;
}
