#pragma once

/*
 * X-Forwarded-For
 *
 * The client's address as proxies tell it that speak HTTP: each adds to the end of a list whom it
 * was connected to. Pure.
 */

#include "base/address.h"
#include "net/http.h"

/* Who is believed; nobody: what the header says means nothing. */
struct forwarded_trust {
    const struct address_range *ranges;
    unsigned len;
};

bool forwarded_trusts(const struct forwarded_trust *trust, const struct address *address);

/*
 * The nearest address that is not that of a trusted proxy, or the farthest one if all are; only to
 * be asked when the peer itself is trusted. Its port is 0 unless it was told. False: the header
 * does not end with an address, or is not there.
 */
bool forwarded_find(const struct http_request *request, const struct forwarded_trust *trust,
                    struct address *address_out) MUST_CHECK;
