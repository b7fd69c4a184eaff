#include "base/text.h"

#include "base/utf8.h"

/* The longest piece of output: one byte as \xNN, or one character. */
#define UNIT_CAP 4
#define CUT      "..."

/* Characters that utf8_is_valid() accepts and that would still deceive who reads the log. */
struct point_range {
    uint32_t first;
    uint32_t last;
};

/* clang-format off */
static const struct point_range hidden[] = {
    {0x00AD, 0x00AD},   /* soft hyphen */
    {0x061C, 0x061C},   /* Arabic letter mark */
    {0x180E, 0x180E},   /* Mongolian vowel separator */
    {0x200B, 0x200F},   /* zero width, direction marks */
    {0x2028, 0x202E},   /* line and paragraph separators, embeddings, overrides */
    {0x2060, 0x206F},   /* invisible operators, isolates */
    {0xFEFF, 0xFEFF},   /* byte order mark */
    {0xFFF9, 0xFFFB},   /* interlinear annotations */
    {0xE0000, 0xE0FFF}, /* tags, variation selectors */
};
/* clang-format on */

static bool is_hidden(uint32_t point)
{
    for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
        if (point >= hidden[i].first && point <= hidden[i].last) {
            return true;
        }
    }
    return false;
}

static size_t announced_size(uint8_t lead)
{
    return lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

static uint32_t decode_point(const uint8_t *at, size_t size)
{
    uint32_t point = size == 1 ? at[0] : at[0] & (0x7Fu >> size);

    for (size_t i = 1; i < size; i++) {
        point = point << 6 | (at[i] & 0x3Fu);
    }
    return point;
}

/* Bytes of the character in front that may stand as it is; 0 when its first byte is to be escaped.
 */
static size_t plain_size(struct slice bytes)
{
    size_t size = announced_size(bytes.data[0]);

    if (size > bytes.len || !utf8_is_valid(slice_of(bytes.data, size)) ||
        is_hidden(decode_point(bytes.data, size))) {
        return 0;
    }
    return size;
}

static size_t write_byte(char *unit, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";

    unit[0] = '\\';
    unit[1] = 'x';
    unit[2] = digits[byte >> 4];
    unit[3] = digits[byte & 0x0F];
    return 4;
}

/* Writes one character of the output; answers its size and how many bytes it stands for. */
static size_t write_unit(char unit[UNIT_CAP], struct slice bytes, size_t *used_out)
{
    size_t size = plain_size(bytes);

    *used_out = size == 0 ? 1 : size;
    if (size == 0) {
        return write_byte(unit, bytes.data[0]);
    }
    if (bytes.data[0] == '\\') {
        unit[0] = '\\';
        unit[1] = '\\';
        return 2;
    }
    memcpy(unit, bytes.data, size);
    return size;
}

size_t text_escape(char *buf, size_t cap, struct slice bytes)
{
    size_t len = 0;
    size_t cut = 0; /* where "..." still fits */

    assert(cap >= 8);
    while (bytes.len > 0) {
        char unit[UNIT_CAP];
        size_t used;
        size_t size = write_unit(unit, bytes, &used);

        if (len + size >= cap) {
            memcpy(buf + cut, CUT, sizeof(CUT));
            return cut + strlen(CUT);
        }
        memcpy(buf + len, unit, size);
        len += size;
        if (len + sizeof(CUT) <= cap) {
            cut = len;
        }
        bytes = slice_skip(bytes, used);
    }
    buf[len] = '\0';
    return len;
}
