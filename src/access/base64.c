#include "access/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(uint8_t byte)
{
    const char *at = byte ? strchr(alphabet, byte) : NULL;

    return at ? (int)(at - alphabet) : -1;
}

/* Without the padding, which must be what makes whole groups of four. */
static bool strip_padding(struct slice *text)
{
    size_t len = text->len;

    if (len % 4 != 0) {
        return false;
    }
    for (unsigned i = 0; i < 2 && len > 0 && text->data[len - 1] == '='; i++) {
        len--;
    }
    text->len = len;
    return true;
}

bool base64_decode(struct slice text, bool padded, uint8_t *bytes, size_t cap, size_t *len_out)
{
    uint32_t bits = 0;
    unsigned bit_len = 0;
    size_t len = 0;

    if ((padded && !strip_padding(&text)) || text.len % 4 == 1) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.data[i]);

        if (value < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
        bit_len += 6;
        if (bit_len >= 8) {
            if (len == cap) {
                return false;
            }
            bit_len -= 8;
            bytes[len++] = (uint8_t)(bits >> bit_len);
        }
    }
    *len_out = len;
    /* What is left over of the last letter. */
    return (bits & ((1u << bit_len) - 1)) == 0;
}

size_t base64_encode(char *text, struct slice bytes, bool padded)
{
    size_t len = 0;

    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t group = MIN(bytes.len - i, (size_t)3);
        uint32_t bits = 0;

        for (size_t j = 0; j < 3; j++) {
            bits = bits << 8 | (j < group ? bytes.data[i + j] : 0u);
        }
        for (size_t j = 0; j <= group; j++) {
            text[len++] = alphabet[bits >> (18 - 6 * j) & 63];
        }
        for (size_t j = group; padded && j < 3; j++) {
            text[len++] = '=';
        }
    }
    return len;
}
