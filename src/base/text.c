#include "base/text.h"

#include "base/utf8.h"

/* The longest piece of output: two units of UTF-16, as \uNNNN each. */
#define UNIT_CAP 12
#define CUT      "..."

/* Writes one character of the output; answers its size and how many bytes it stands for. */
typedef size_t unit_fn(char unit[UNIT_CAP], struct slice bytes, size_t *used_out);

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

static size_t write_unit(char unit[UNIT_CAP], struct slice bytes, size_t *used_out)
{
    size_t size = plain_size(bytes);

    *used_out = size == 0 ? 1 : size;
    if (size == 0) {
        return write_byte(unit, bytes.data[0]);
    }
    memcpy(unit, bytes.data, size);
    return size;
}

static size_t write_text_unit(char unit[UNIT_CAP], struct slice bytes, size_t *used_out)
{
    if (bytes.data[0] == '\\') {
        unit[0] = '\\';
        unit[1] = '\\';
        *used_out = 1;
        return 2;
    }
    return write_unit(unit, bytes, used_out);
}

static size_t write_utf16(char *unit, uint32_t word)
{
    static const char digits[] = "0123456789abcdef";

    unit[0] = '\\';
    unit[1] = 'u';
    for (unsigned i = 0; i < 4; i++) {
        unit[2 + i] = digits[word >> (12 - 4 * i) & 0x0F];
    }
    return 6;
}

static size_t write_point(char unit[UNIT_CAP], uint32_t point)
{
    if (point < 0x10000) {
        return write_utf16(unit, point);
    }
    point -= 0x10000;
    write_utf16(unit, 0xD800 | point >> 10);
    return 6 + write_utf16(unit + 6, 0xDC00 | (point & 0x3FF));
}

/* What is well-formed and would deceive the reader of a log is a character all the same. */
static size_t hidden_size(struct slice bytes)
{
    size_t size = announced_size(bytes.data[0]);

    return size <= bytes.len && utf8_is_valid(slice_of(bytes.data, size)) ? size : 0;
}

static size_t write_json_unit(char unit[UNIT_CAP], struct slice bytes, size_t *used_out)
{
    uint8_t byte = bytes.data[0];
    size_t size = hidden_size(bytes);

    *used_out = 1;
    if (byte == '"' || byte == '\\') {
        unit[0] = '\\';
        unit[1] = (char)byte;
        return 2;
    }
    if (size == 0) {
        return write_point(unit, byte < 0x80 ? byte : 0xFFFD);
    }
    *used_out = size;
    if (plain_size(bytes) == 0) {
        return write_point(unit, decode_point(bytes.data, size));
    }
    memcpy(unit, bytes.data, size);
    return size;
}

static size_t escape(char *buf, size_t cap, struct slice bytes, unit_fn *write)
{
    size_t len = 0;
    size_t cut = 0; /* where "..." still fits */

    assert(cap >= 8);
    while (bytes.len > 0) {
        char unit[UNIT_CAP];
        size_t used;
        size_t size = write(unit, bytes, &used);

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

size_t text_escape(char *buf, size_t cap, struct slice bytes)
{
    return escape(buf, cap, bytes, write_text_unit);
}

size_t text_escape_json(char *buf, size_t cap, struct slice bytes)
{
    return escape(buf, cap, bytes, write_json_unit);
}

static bool is_plain_byte(uint8_t byte)
{
    return (byte >= 0x20 && byte < 0x7F) || byte == '\t';
}

size_t text_clean(char *buf, size_t cap, struct slice bytes)
{
    size_t len = 0;

    assert(cap >= 1);
    while (bytes.len > 0) {
        char unit[UNIT_CAP] = {(char)bytes.data[0]};
        size_t used = 1;
        size_t size = is_plain_byte(bytes.data[0]) ? 1 : write_unit(unit, bytes, &used);

        if (len + size >= cap) {
            break;
        }
        memcpy(buf + len, unit, size);
        len += size;
        bytes = slice_skip(bytes, used);
    }
    buf[len] = '\0';
    return len;
}

int text_hex_digit(uint8_t byte)
{
    uint8_t letter = byte | 0x20;

    return byte >= '0' && byte <= '9'       ? byte - '0'
           : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10
                                            : -1;
}

bool text_is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}
