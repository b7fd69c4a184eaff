#pragma once

/*
 * HTTP answers
 *
 * What is sent in answer to a request that is not fulfilled. Pure.
 */

#include "net/http.h"

#define HTTP_REFUSAL_CAP 512

/*
 * A whole answer that says why, behind which the connection is closed (RFC 9110 section 15); with
 * 405 and 426 what would have been right. `text` is a constant of ours. Answers its length.
 */
size_t http_format_refusal(char answer[HTTP_REFUSAL_CAP], enum http_status status,
                           const char *text);
