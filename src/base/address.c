#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define IPV4_BITS   32
#define IPV6_BITS   128
#define MAPPED_BITS 96

static const uint8_t mapped_prefix[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

static_assert(sizeof(mapped_prefix) * 8 == MAPPED_BITS, "the part in front of the IPv4 address");

struct address address_of_ipv4(const uint8_t ip[4], uint16_t port)
{
    struct address address = {.family = ADDRESS_IPV4, .port = port};

    memcpy(address.ip, ip, 4);
    return address;
}

struct address address_of_ipv6(const uint8_t ip[16], uint16_t port)
{
    struct address address = {.family = ADDRESS_IPV6, .port = port};

    if (memcmp(ip, mapped_prefix, sizeof(mapped_prefix)) == 0) {
        return address_of_ipv4(ip + sizeof(mapped_prefix), port);
    }
    memcpy(address.ip, ip, sizeof(address.ip));
    return address;
}

static struct address of_sockaddr_in(const struct sockaddr *sockaddr)
{
    struct sockaddr_in in;

    memcpy(&in, sockaddr, sizeof(in));
    return address_of_ipv4((const uint8_t *)&in.sin_addr, ntohs(in.sin_port));
}

static struct address of_sockaddr_in6(const struct sockaddr *sockaddr)
{
    struct sockaddr_in6 in6;

    memcpy(&in6, sockaddr, sizeof(in6));
    return address_of_ipv6((const uint8_t *)&in6.sin6_addr, ntohs(in6.sin6_port));
}

struct address address_of_sockaddr(const struct sockaddr *sockaddr, socklen_t len)
{
    sa_family_t family = AF_UNSPEC;

    if (len >= offsetof(struct sockaddr, sa_family) + sizeof(family)) {
        memcpy(&family, &sockaddr->sa_family, sizeof(family));
    }
    if (family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        return of_sockaddr_in(sockaddr);
    }
    if (family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
        return of_sockaddr_in6(sockaddr);
    }
    return (struct address){.family = family == AF_UNIX ? ADDRESS_UNIX : ADDRESS_NONE};
}

/* inet_pton() wants a terminator; a text with a zero byte inside must not pass as a shorter one. */
static bool copy_text(char copy[ADDRESS_TEXT_CAP], struct slice text)
{
    if (text.len == 0 || text.len >= ADDRESS_TEXT_CAP || memchr(text.data, 0, text.len)) {
        return false;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    return true;
}

enum address_verdict address_parse(struct slice text, struct address *address_out)
{
    char copy[ADDRESS_TEXT_CAP];
    uint8_t ip[16];

    if (!copy_text(copy, text)) {
        return ADDRESS_INVALID;
    }
    if (inet_pton(AF_INET, copy, ip) == 1) {
        *address_out = address_of_ipv4(ip, 0);
        return ADDRESS_OK;
    }
    if (inet_pton(AF_INET6, copy, ip) == 1) {
        *address_out = address_of_ipv6(ip, 0);
        return ADDRESS_OK;
    }
    return ADDRESS_INVALID;
}

size_t address_format(const struct address *address, char text[ADDRESS_TEXT_CAP])
{
    text[0] = '\0';
    if (address->family == ADDRESS_IPV4 || address->family == ADDRESS_IPV6) {
        int family = address->family == ADDRESS_IPV4 ? AF_INET : AF_INET6;
        const char *written = inet_ntop(family, address->ip, text, ADDRESS_TEXT_CAP);

        assert(written);
    }
    return strlen(text);
}

bool address_is_equal(const struct address *a, const struct address *b)
{
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

/* Whether two addresses agree in their first bits. */
static bool is_prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8;
    unsigned rest = bits % 8;

    return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

static bool has_host_bits(const struct address_range *range)
{
    struct address masked = range->network;
    unsigned bits = range->prefix_len;

    if (bits % 8 != 0) {
        masked.ip[bits / 8] &= (uint8_t)(0xFF00u >> bits % 8);
    }
    for (size_t i = (bits + 7) / 8; i < sizeof(masked.ip); i++) {
        masked.ip[i] = 0;
    }
    return memcmp(masked.ip, range->network.ip, sizeof(masked.ip)) != 0;
}

/* Up to three digits; -1 for anything else. */
static int parse_bits(const char *text)
{
    size_t len = strspn(text, "0123456789");
    int bits = 0;

    if (len == 0 || len > 3 || text[len] != '\0' || (len > 1 && text[0] == '0')) {
        return -1;
    }
    for (; *text; text++) {
        bits = bits * 10 + (*text - '0');
    }
    return bits;
}

/* `bits` of what was written: an IPv4 address written as ::ffff:a.b.c.d has 96 more. */
static enum address_verdict set_prefix(struct address_range *range, bool is_written_ipv6, int bits)
{
    bool is_mapped = is_written_ipv6 && range->network.family == ADDRESS_IPV4;
    int cap = is_written_ipv6 ? IPV6_BITS : IPV4_BITS;

    if (bits < 0 || bits > cap) {
        return ADDRESS_INVALID_PREFIX;
    }
    if (is_mapped && bits < MAPPED_BITS) {
        return ADDRESS_HAS_HOST_BITS;
    }
    range->prefix_len = (uint8_t)(is_mapped ? bits - MAPPED_BITS : bits);
    return has_host_bits(range) ? ADDRESS_HAS_HOST_BITS : ADDRESS_OK;
}

enum address_verdict address_range_parse(const char *text, struct address_range *range_out)
{
    size_t len = strcspn(text, "/");
    bool is_written_ipv6 = memchr(text, ':', len) != NULL;
    struct address_range range = {0};
    enum address_verdict verdict;

    if (strcmp(text, "unix") == 0) {
        *range_out = (struct address_range){.network.family = ADDRESS_UNIX};
        return ADDRESS_OK;
    }
    verdict = address_parse(slice_of(text, len), &range.network);
    if (verdict == ADDRESS_OK) {
        int whole = is_written_ipv6 ? IPV6_BITS : IPV4_BITS;

        verdict = set_prefix(&range, is_written_ipv6,
                             text[len] == '/' ? parse_bits(text + len + 1) : whole);
    }
    if (verdict == ADDRESS_OK) {
        *range_out = range;
    }
    return verdict;
}

bool address_range_contains(const struct address_range *range, const struct address *address)
{
    assert(range->prefix_len <= IPV6_BITS);

    return range->network.family == address->family &&
           is_prefix_equal(range->network.ip, address->ip, range->prefix_len);
}

const char *address_complaint(enum address_verdict verdict)
{
    switch (verdict) {
    case ADDRESS_OK: return "nothing is wrong";
    case ADDRESS_INVALID: return "not an IPv4 or IPv6 address";
    case ADDRESS_INVALID_PREFIX:
        return "the number behind the / must be 0 to 32 for IPv4, 0 to 128 for IPv6";
    case ADDRESS_HAS_HOST_BITS:
        return "the address has bits set behind its prefix: write the first address of the range";
    }
    return "unknown";
}
