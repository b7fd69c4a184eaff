#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(char *at, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t three = (uint32_t)bytes.data[i] << 16;

        three |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        three |= left > 2 ? bytes.data[i + 2] : 0;
        *at++ = alphabet[three >> 18];
        *at++ = alphabet[three >> 12 & 63];
        *at++ = left > 1 ? alphabet[three >> 6 & 63] : '=';
        *at++ = left > 2 ? alphabet[three & 63] : '=';
    }
    return at;
}

/* 64: none of the alphabet. */
static uint32_t value_of(uint8_t character)
{
    const char *at = character ? strchr(alphabet, character) : NULL;

    return at ? (uint32_t)(at - alphabet) : 64;
}

bool base64_decode(struct slice text, uint8_t *bytes, size_t cap, size_t *len_out)
{
    size_t padding = 0;
    uint32_t bits = 0;
    size_t len = 0;

    while (padding < 2 && padding < text.len && text.data[text.len - 1 - padding] == '=') {
        padding++;
    }
    if (text.len % 4 != 0 || text.len / 4 * 3 - padding > cap) {
        return false;
    }
    for (size_t i = 0; i < text.len - padding; i++) {
        uint32_t value = value_of(text.data[i]);

        if (value == 64) {
            return false;
        }
        bits = bits << 6 | value;
        if (i % 4 != 0) {
            bytes[len++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
        }
    }
    *len_out = len;
    /* What is behind the last whole byte must be zero, or there were two texts for one value. */
    return padding == 0 || (bits & (padding == 1 ? 3u : 15u)) == 0;
}
