#include "base/base64.h"

#include <openssl/evp.h>

size_t base64_encode(char *text, struct slice bytes, bool is_padded)
{
    unsigned char terminated[BASE64_TEXT_MAX + 1];
    size_t len;

    assert(BASE64_LEN(bytes.len) <= BASE64_TEXT_MAX);
    len = (size_t)EVP_EncodeBlock(terminated, bytes.data, (int)bytes.len);
    while (!is_padded && len > 0 && terminated[len - 1] == '=') {
        len--;
    }
    memcpy(text, terminated, len);
    return len;
}

/* OpenSSL's decoder forgives much: what does not encode to the same text was none. */
bool base64_decode(struct slice text, bool is_padded, uint8_t *bytes, size_t cap, size_t *len_out)
{
    unsigned char padded[BASE64_TEXT_MAX];
    uint8_t decoded[BASE64_TEXT_MAX / 4 * 3];
    char again[BASE64_TEXT_MAX];
    size_t len = text.len;
    size_t size;
    int decoded_len;

    if (text.len > sizeof(padded) - 3) {
        return false;
    }
    memcpy(padded, text.data, text.len);
    while (!is_padded && len % 4 != 0) {
        padded[len++] = '=';
    }
    decoded_len = EVP_DecodeBlock(decoded, padded, (int)len);
    if (decoded_len < 0) {
        return false;
    }
    /* The padding is counted as bytes. */
    size = (size_t)decoded_len;
    for (size_t i = len; i > 0 && i + 2 > len && padded[i - 1] == '=' && size > 0; i--) {
        size--;
    }
    if (size > cap || base64_encode(again, slice_of(decoded, size), is_padded) != text.len ||
        memcmp(again, text.data, text.len) != 0) {
        return false;
    }
    memcpy(bytes, decoded, size);
    *len_out = size;
    return true;
}
