#include "net/forwarded.h"

bool forwarded_trusts(const struct forwarded_trust *trust, const struct address *address)
{
    for (unsigned i = 0; i < trust->len; i++) {
        if (address_range_contains(&trust->ranges[i], address)) {
            return true;
        }
    }
    return false;
}

/* Five digits at most; an empty one is none. */
static bool parse_port(struct slice text, uint16_t *port_out)
{
    uint32_t port = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t digit = text.data[i];

        if (digit < '0' || digit > '9' || i == 5) {
            return false;
        }
        port = port * 10 + digit - '0';
    }
    *port_out = (uint16_t)port;
    return text.len > 0 && port <= UINT16_MAX;
}

/* Cuts `text` at the colon in front of a port; one of IPv6 has a port only behind brackets. */
static bool split_port(struct slice *text, struct slice *port_out)
{
    const uint8_t *colon = text->len ? memchr(text->data, ':', text->len) : NULL;
    size_t len = colon ? (size_t)(colon - text->data) : text->len;

    *port_out = slice_of(NULL, 0);
    if (text->len && text->data[0] == '[') {
        const uint8_t *end = memchr(text->data, ']', text->len);

        if (!end) {
            return false;
        }
        len = (size_t)(end - text->data);
        *port_out = slice_skip(*text, len + 1);
        *text = slice_of(text->data + 1, len - 1);
        if (port_out->len == 0) {
            return true;
        }
        *port_out = slice_skip(*port_out, 1);
        return end[1] == ':' && port_out->len > 0;
    }
    if (colon && !memchr(colon + 1, ':', text->len - len - 1)) {
        *port_out = slice_skip(*text, len + 1);
        *text = slice_of(text->data, len);
        return port_out->len > 0;
    }
    return true;
}

static bool parse_element(struct slice text, struct address *address_out)
{
    struct slice port;
    uint16_t number = 0;

    if (!split_port(&text, &port) || address_parse(text, address_out) != ADDRESS_OK ||
        (port.len && !parse_port(port, &number))) {
        return false;
    }
    address_out->port = number;
    return true;
}

/*
 * From the front, although the list is believed from its end: a proxy that is trusted keeps what
 * stands in front of it, anybody else takes its place, and behind what is no address ("unknown") it
 * begins anew.
 */
bool forwarded_find(const struct http_request *request, const struct forwarded_trust *trust,
                    struct address *address_out)
{
    bool is_found = false;
    size_t at = 0;
    struct slice list;
    struct slice element;

    while (http_next(request, "X-Forwarded-For", &at, &list)) {
        while (http_take_element(&list, &element)) {
            struct address address;

            if (!parse_element(element, &address)) {
                is_found = false;
            } else if (!is_found || !forwarded_trusts(trust, &address)) {
                *address_out = address;
                is_found = true;
            }
        }
    }
    return is_found;
}
