#pragma once

/*
 * The line of PROXY version 1
 *
 * Exactly as the text has it. A part of net/proxy.
 */

#include "net/proxy.h"

/* The longest legal line, with CR and LF. */
#define PROXY_LINE_CAP 107

struct proxy_line {
    struct address source; /* ADDRESS_NONE for UNKNOWN */
    struct address destination;
};

/* `line` is the whole line, which begins with "PROXY " and ends with the only CR and LF in it. */
enum proxy_refusal proxy_line_parse(struct slice line, struct proxy_line *line_out) MUST_CHECK;
