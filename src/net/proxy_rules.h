#pragma once

/*
 * Rules of the PROXY header
 *
 * Which TLVs of version 2 are kept, how long they may be, and what a name must look like to be
 * used as one. A part of net/proxy.
 */

#include "net/proxy.h"

struct proxy_rule {
    uint8_t type;
    bool is_nested; /* stands inside the SSL TLV, and counts only there */
    uint8_t field;  /* enum proxy_field */
    uint16_t cap;
    bool is_cap_strict; /* a longer value is refused; otherwise it is not kept */
    bool is_single;     /* a second one is refused; otherwise the first counts */
};

/* NULL for types that are skipped. */
const struct proxy_rule *proxy_find_rule(uint8_t type, bool is_nested);

/* For the custom TLV that a listener asks for. */
extern const struct proxy_rule proxy_subject_rule;

/*
 * Whether a common name may become a user name: not empty, good UTF-8 without control characters,
 * and nothing in it that means more in topics than a letter. That it is verified is not asked.
 */
enum proxy_name proxy_judge_name(struct slice name);
