#pragma once

/*
 * Address
 *
 * Where a connection comes from or goes to, as a small value, and ranges of such addresses. An IPv4
 * address that arrives in the shape of IPv6 (::ffff:192.0.2.1) is IPv4 from the moment it is an
 * address here: logs, limits and ranges never see the other shape.
 */

#include "base/slice.h"

#include <sys/socket.h>

enum address_family { ADDRESS_NONE, ADDRESS_IPV4, ADDRESS_IPV6, ADDRESS_UNIX };

/* Long enough for every address as text, with its terminator. */
#define ADDRESS_TEXT_CAP 46

struct address {
    uint8_t family; /* enum address_family */
    uint16_t port;  /* 0 for Unix sockets */
    uint8_t ip[16]; /* as on the wire; IPv4 in the first four bytes; what is unused is 0 */
};

static_assert(sizeof(struct address) <= 20, "an address is kept for every connection");

/* All addresses that begin with the same bits, or all Unix sockets. */
struct address_range {
    struct address network; /* port 0 */
    uint8_t prefix_len;     /* bits */
};

/* What is wrong with a text; address_complaint() puts it into words. */
enum address_verdict {
    ADDRESS_OK,
    ADDRESS_INVALID,        /* not an address */
    ADDRESS_INVALID_PREFIX, /* not a number of bits that the family has */
    ADDRESS_HAS_HOST_BITS   /* bits are set behind the prefix: a slip that would go unnoticed */
};

struct address address_of_ipv4(const uint8_t ip[4], uint16_t port);
struct address address_of_ipv6(const uint8_t ip[16], uint16_t port);

/* ADDRESS_NONE when the family is none of ours or the structure is too short for it. */
struct address address_of_sockaddr(const struct sockaddr *sockaddr, socklen_t len);

/* An IPv4 or IPv6 address as a number, with nothing around it. */
enum address_verdict address_parse(struct slice text, struct address *address_out) MUST_CHECK;

/*
 * The address alone, without port and without brackets, as Mosquitto logs it. Empty for Unix
 * sockets, which have no address of their own: there Mosquitto logs the path of the listener, with
 * port 0. Answers the length.
 */
size_t address_format(const struct address *address, char text[ADDRESS_TEXT_CAP]);

bool address_is_equal(const struct address *a, const struct address *b);

/* `ADDR`, `ADDR/BITS` or the word `unix`. */
enum address_verdict address_range_parse(const char *text,
                                         struct address_range *range_out) MUST_CHECK;
bool address_range_contains(const struct address_range *range, const struct address *address);

/* What to tell whoever wrote the text; a sentence without its full stop. */
const char *address_complaint(enum address_verdict verdict);
