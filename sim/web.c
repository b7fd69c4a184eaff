#include "sim/web.h"

#include "base/base64.h"
#include "sim/fail.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#define KEY_SIZE 16
#define HEAD_MAX 2000u

enum {
    OPCODE_CONTINUATION = 0,
    OPCODE_BINARY = 2,
    OPCODE_CLOSE = 8,
    OPCODE_PING = 9,
    OPCODE_PONG = 10
};

/* ---- the handshake ---- */

void sim_web_request(struct sim_web *web, struct choice *choice, struct bytes *to)
{
    uint8_t key[KEY_SIZE];
    char text[300];
    int len;

    for (unsigned i = 0; i < sizeof(key); i++) {
        key[i] = (uint8_t)choice_below(choice, 256);
    }
    web->key[base64_encode(web->key, slice_of(key, sizeof(key)), true)] = 0;
    len = snprintf(text, sizeof(text),
                   "GET /mqtt HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
                   web->key);
    bytes_write(to, text, (size_t)len);
}

static void check_answer(struct sim_web *web)
{
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[WEB_KEY_CAP + sizeof(magic)];
    char wanted[80] = "\r\nSec-WebSocket-Accept: ";
    uint8_t digest[SHA_DIGEST_LENGTH];
    int len = snprintf(text, sizeof(text), "%s%s", web->key, magic);
    char *at = wanted + strlen(wanted);

    SHA1((const unsigned char *)text, (size_t)len, digest);
    at += base64_encode(at, slice_of(digest, sizeof(digest)), true);
    memcpy(at, "\r\n", 3);
    bytes_write(&web->head, "", 1);
    if (strncmp((const char *)web->head.data, "HTTP/1.1 101 ", 13) != 0 ||
        !strstr((const char *)web->head.data, wanted) ||
        !strstr((const char *)web->head.data, "\r\nSec-WebSocket-Protocol: mqtt\r\n")) {
        sim_fail("the server answers a request for WebSocket with %s", web->head.data);
    }
    web->is_open = true;
    web->head.written = 0;
}

static void take_answer_byte(struct sim_web *web, uint8_t byte)
{
    bytes_write(&web->head, &byte, 1);
    if (web->head.written >= HEAD_MAX) {
        sim_fail("the server's answer to a request for WebSocket has no end");
    }
    if (web->head.written >= 4 &&
        memcmp(web->head.data + web->head.written - 4, "\r\n\r\n", 4) == 0) {
        check_answer(web);
    }
}

/* ---- what goes out ---- */

static void put_frame(struct choice *choice, unsigned first, struct slice payload, struct bytes *to)
{
    unsigned len_bytes = payload.len < 126 ? 0 : payload.len < 65536 ? 2 : 8;
    uint32_t mask = (uint32_t)choice_next(choice);
    uint8_t head[14] = {
        (uint8_t)first,
        (uint8_t)(0x80 | (len_bytes == 0   ? payload.len
                          : len_bytes == 2 ? 126
                                           : 127)),
    };
    size_t begin;

    for (unsigned i = 0; i < len_bytes; i++) {
        head[2 + i] = (uint8_t)((uint64_t)payload.len >> 8 * (len_bytes - 1 - i));
    }
    for (unsigned i = 0; i < 4; i++) {
        head[2 + len_bytes + i] = (uint8_t)(mask >> 8 * i);
    }
    bytes_write(to, head, 6 + len_bytes);
    begin = to->written;
    bytes_write(to, payload.data, payload.len);
    for (size_t i = 0; i < payload.len; i++) {
        to->data[begin + i] ^= (uint8_t)(mask >> 8 * (i % 4));
    }
}

/* What a ping holds follows from its number. */
static struct slice ping_payload(unsigned number, uint8_t payload[WEB_CONTROL_MAX])
{
    unsigned len = number % 3 == 0 ? number * 41 % (WEB_CONTROL_MAX + 1) : number % 3;

    for (unsigned i = 0; i < len; i++) {
        payload[i] = (uint8_t)(number * 5 + i);
    }
    return slice_of(payload, len);
}

static void put_control(struct sim_web *web, struct choice *choice, struct bytes *to)
{
    uint8_t payload[WEB_CONTROL_MAX];

    if (choice_chance(choice, 200)) {
        put_frame(choice, 0x80 | OPCODE_PONG,
                  ping_payload(choice_below(choice, WEB_CONTROL_MAX), payload), to);
    } else {
        put_frame(choice, 0x80 | OPCODE_PING, ping_payload(web->ping_len++, payload), to);
    }
}

size_t sim_web_put(struct sim_web *web, struct choice *choice, struct slice payload,
                   struct bytes *to)
{
    unsigned opcode = web->is_in_message ? OPCODE_CONTINUATION : OPCODE_BINARY;
    size_t len = payload.len;

    if (choice_chance(choice, 150)) {
        put_control(web, choice, to);
    }
    if (choice_chance(choice, 300)) {
        len = choice_below(choice, (unsigned)MIN(len, choice_chance(choice, 500) ? 8 : len) + 1);
    }
    web->is_in_message = choice_chance(choice, 300);
    put_frame(choice, (web->is_in_message ? 0 : 0x80) | opcode, slice_of(payload.data, len), to);
    return len;
}

void sim_web_put_close(struct sim_web *web, struct choice *choice, struct bytes *to)
{
    static const uint16_t codes[] = {1000, 1001, 3000, 4999};
    uint16_t code = codes[choice_below(choice, ARRAY_LEN(codes))];
    uint8_t payload[] = {(uint8_t)(code >> 8), (uint8_t)code};

    web->has_closed = true;
    web->code = choice_chance(choice, 500) ? code : 0;
    put_frame(choice, 0x80 | OPCODE_CLOSE, slice_of(payload, web->code ? 2 : 0), to);
}

/* ---- what comes in ---- */

/* The server's own word, with a code that a server may send, or its answer to ours. */
static void check_close(const struct sim_web *web)
{
    static const uint16_t codes[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1013};
    struct slice payload = bytes_rest(&web->control);
    uint16_t code = payload.len == 2 ? (uint16_t)(payload.data[0] << 8 | payload.data[1]) : 0;

    if ((payload.len == 0 || payload.len == 2) && web->has_closed && code == web->code) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (codes[i] == code) {
            return;
        }
    }
    sim_fail("the server closes with %zu bytes and the code %u", payload.len, code);
}

static void check_control(struct sim_web *web)
{
    uint8_t payload[WEB_CONTROL_MAX];

    if (web->opcode == OPCODE_CLOSE) {
        check_close(web);
        web->is_closed = true;
        return;
    }
    if (web->pong_len == web->ping_len ||
        !slice_is_equal(bytes_rest(&web->control), ping_payload(web->pong_len, payload))) {
        sim_fail("the server sends a pong of %zu bytes for ping %u of %u", web->control.written,
                 web->pong_len, web->ping_len);
    }
    web->pong_len++;
    web->control.written = 0;
}

static void check_first(uint8_t first)
{
    if (first != (0x80 | OPCODE_BINARY) && first != (0x80 | OPCODE_CLOSE) &&
        first != (0x80 | OPCODE_PONG)) {
        sim_fail("the server begins a frame with the byte %02X", first);
    }
}

static size_t head_size(const struct bytes *head)
{
    unsigned len = head->written < 2 ? 0 : head->data[1];

    return len == 126 ? 4 : len == 127 ? 10 : 2;
}

static void take_head_byte(struct sim_web *web, uint8_t byte)
{
    struct bytes *head = &web->head;
    size_t size;

    bytes_write(head, &byte, 1);
    size = head_size(head);
    if (head->written < size) {
        return;
    }
    check_first(head->data[0]);
    web->opcode = head->data[0] & 0x0F;
    web->left = size == 2 ? head->data[1] : 0;
    for (size_t i = 2; i < size; i++) {
        web->left = web->left << 8 | head->data[i];
    }
    if (head->data[1] & 0x80 || (size == 4 && web->left < 126) ||
        (size == 10 && web->left < 65536) ||
        (web->opcode >= OPCODE_CLOSE && web->left > WEB_CONTROL_MAX)) {
        sim_fail("the server sends a frame with a length that it must not have");
    }
    head->written = 0;
    web->has_head = true;
}

static void take_payload(struct sim_web *web, struct slice *bytes, struct slice *data_out)
{
    struct slice part = slice_of(bytes->data, (size_t)MIN(web->left, (uint64_t)bytes->len));

    *bytes = slice_skip(*bytes, part.len);
    web->left -= part.len;
    if (web->opcode == OPCODE_BINARY) {
        *data_out = part;
    } else {
        bytes_write(&web->control, part.data, part.len);
    }
    if (web->left == 0) {
        web->has_head = false;
        if (web->opcode != OPCODE_BINARY) {
            check_control(web);
        }
    }
}

struct slice sim_web_take(struct sim_web *web, struct slice *bytes)
{
    struct slice data = slice_of(NULL, 0);

    while (data.len == 0 && (bytes->len > 0 || (web->has_head && web->left == 0))) {
        if (web->has_head) {
            take_payload(web, bytes, &data);
            continue;
        }
        if (web->is_closed) {
            sim_fail("the server talks on behind its close frame");
        }
        if (web->is_open) {
            take_head_byte(web, bytes->data[0]);
        } else {
            take_answer_byte(web, bytes->data[0]);
        }
        *bytes = slice_skip(*bytes, 1);
    }
    return data;
}

void sim_web_deinit(struct sim_web *web)
{
    bytes_deinit(&web->head);
    bytes_deinit(&web->control);
}
