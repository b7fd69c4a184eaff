#include "net/proxy_line.h"

#define PORT_DIGITS 5

/* One word; words are separated by exactly one blank, so a word may not be empty. */
static struct slice take_word(struct slice *rest)
{
    size_t len = 0;
    struct slice word;

    while (len < rest->len && rest->data[len] != ' ') {
        len++;
    }
    word = slice_of(rest->data, len);
    *rest = slice_skip(*rest, len);
    return word;
}

static bool take_blank(struct slice *rest)
{
    if (rest->len == 0 || rest->data[0] != ' ') {
        return false;
    }
    *rest = slice_skip(*rest, 1);
    return true;
}

static bool is_word(struct slice word, const char *text)
{
    return slice_is_equal(word, slice_of_text(text));
}

/*
 * The written family counts: an IPv4-mapped address stands in a TCP6 line, and no address of the
 * other shape may stand in either.
 */
static bool parse_address(struct slice word, bool is_ipv6, struct address *address_out)
{
    bool has_colon = word.len > 0 && memchr(word.data, ':', word.len);

    return has_colon == is_ipv6 && address_parse(word, address_out) == ADDRESS_OK;
}

/* No sign, no leading zero; 0 itself is legal and real. */
static bool parse_port(struct slice word, uint16_t *port_out)
{
    uint32_t port = 0;

    if (word.len == 0 || word.len > PORT_DIGITS || (word.len > 1 && word.data[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '9') {
            return false;
        }
        port = port * 10 + (word.data[i] - (uint32_t)'0');
    }
    *port_out = (uint16_t)port;
    return port <= UINT16_MAX;
}

static enum proxy_refusal parse_words(const struct slice words[4], bool is_ipv6,
                                      struct proxy_line *line_out)
{
    bool is_good = parse_address(words[0], is_ipv6, &line_out->source) &&
                   parse_address(words[1], is_ipv6, &line_out->destination) &&
                   parse_port(words[2], &line_out->source.port) &&
                   parse_port(words[3], &line_out->destination.port);

    return is_good ? PROXY_REFUSAL_NONE : PROXY_REFUSAL_ADDRESS;
}

static enum proxy_refusal parse_tcp(struct slice rest, bool is_ipv6, struct proxy_line *line_out)
{
    struct slice words[4];

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (!take_blank(&rest)) {
            return PROXY_REFUSAL_LINE;
        }
        words[i] = take_word(&rest);
        if (words[i].len == 0) {
            return PROXY_REFUSAL_LINE;
        }
    }
    return rest.len == 0 ? parse_words(words, is_ipv6, line_out) : PROXY_REFUSAL_LINE;
}

enum proxy_refusal proxy_line_parse(struct slice line, struct proxy_line *line_out)
{
    static const size_t head_len = sizeof("PROXY ") - 1;
    static const size_t end_len = sizeof("\r\n") - 1;
    struct slice rest = slice_skip(slice_of(line.data, line.len - end_len), head_len);
    struct slice family = take_word(&rest);

    assert(line.len >= head_len + end_len && line.len <= PROXY_LINE_CAP);
    if (is_word(family, "UNKNOWN")) {
        return PROXY_REFUSAL_NONE; /* whatever follows is to be ignored */
    }
    if (is_word(family, "TCP4") || is_word(family, "TCP6")) {
        return parse_tcp(rest, is_word(family, "TCP6"), line_out);
    }
    return PROXY_REFUSAL_FAMILY;
}
