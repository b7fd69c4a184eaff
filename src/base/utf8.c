#include "base/utf8.h"

/*
 * Runs over every topic, so the common case is fast: eight bytes of printable ASCII are accepted by
 * one test. Everything else goes character by character.
 *
 * Control characters and non-characters: the standard advises against them and lets a receiver
 * close. Mosquitto closes (seen on 2.0.11, in topics, filters, client ids, user names and
 * properties alike), and so do we: a client library that refuses them would drop off again and
 * again because of one retained message.
 */

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* Whether all eight bytes are U+0020..U+007E. */
static bool is_plain(uint64_t word)
{
    uint64_t below_space = (word - EACH_BYTE(0x20)) & ~word;
    uint64_t above_tilde = word | (word + EACH_BYTE(0x01));

    return ((below_space | above_tilde) & EACH_BYTE(0x80)) == 0;
}

static uint64_t load_word(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return word;
}

static bool is_character(uint32_t point)
{
    return point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
}

static bool is_allowed(uint32_t point)
{
    bool is_control = point < 0x20 || (point >= 0x7F && point <= 0x9F);
    bool is_non_character = (point >= 0xFDD0 && point <= 0xFDEF) || (point & 0xFFFE) == 0xFFFE;

    return !is_control && !is_non_character && is_character(point);
}

/* Bytes of the character at the front of `at`, which has at least one; 0 when it is refused. */
static size_t character_size(const uint8_t *at, size_t len, bool (*allows)(uint32_t))
{
    static const uint32_t least[] = {[2] = 0x80, [3] = 0x800, [4] = 0x10000};
    uint8_t lead = at[0];
    size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    uint32_t point = lead & (0x7Fu >> size);

    if (lead < 0x80) {
        return allows(lead) ? 1 : 0;
    }
    if (lead < 0xC0 || lead > 0xF7 || size > len) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xC0) != 0x80) {
            return 0;
        }
        point = point << 6 | (at[i] & 0x3Fu);
    }
    return point >= least[size] && allows(point) ? size : 0;
}

/* Bytes at `i` that are plain, as far as a word tells: the last few are looked at together with
 * those before them. */
static size_t plain_size(struct slice text, size_t i)
{
    const size_t word = sizeof(uint64_t);
    size_t size = MIN(text.len - i, word);

    return text.len >= word && is_plain(load_word(text.data + i + size - word)) ? size : 0;
}

static bool has_only(struct slice text, bool (*allows)(uint32_t))
{
    size_t i = 0;

    while (i < text.len) {
        size_t size = plain_size(text, i);

        if (size == 0) {
            size = character_size(text.data + i, text.len - i, allows);
        }
        if (size == 0) {
            return false;
        }
        i += size;
    }
    return true;
}

bool utf8_is_valid(struct slice text)
{
    return has_only(text, is_allowed);
}

bool utf8_is_well_formed(struct slice text)
{
    return has_only(text, is_character);
}
