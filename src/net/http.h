#pragma once

/*
 * HTTP
 *
 * The head of a request of HTTP/1.0 and 1.1 (RFC 9112), read in place and strictly: what two
 * readers could understand in two ways is refused. For the upgrade to WebSocket and for the small
 * API: requests have no body here. Pure, no memory of its own: all slices lie in the head.
 */

#include "base/slice.h"

/* What a head may be at most; each has an option. */
struct http_limits {
    uint32_t head_size;  /* bytes, with the empty line at its end; at least HTTP_HEAD_LEAST */
    uint32_t header_len; /* header lines */
};

#define HTTP_HEAD_LEAST 256

enum http_method { HTTP_OTHER, HTTP_GET, HTTP_HEAD };

/* Status codes that this server answers (RFC 9110 section 15). */
enum http_status {
    HTTP_SWITCHING_PROTOCOLS = 101,
    HTTP_OK = 200,
    HTTP_MOVED_PERMANENTLY = 301,
    HTTP_NOT_MODIFIED = 304,
    HTTP_BAD_REQUEST = 400,
    HTTP_UNAUTHORIZED = 401,
    HTTP_FORBIDDEN = 403,
    HTTP_NOT_FOUND = 404,
    HTTP_METHOD_NOT_ALLOWED = 405,
    HTTP_CONTENT_TOO_LARGE = 413,
    HTTP_URI_TOO_LONG = 414,
    HTTP_UPGRADE_REQUIRED = 426,
    HTTP_TOO_MANY_HEADERS = 431,
    HTTP_INTERNAL_ERROR = 500,
    HTTP_NOT_IMPLEMENTED = 501,
    HTTP_UNAVAILABLE = 503,
    HTTP_VERSION_NOT_SUPPORTED = 505
};

struct http_request {
    enum http_method method;
    bool is_kept_alive;   /* the peer wants to send another request behind this one */
    bool is_version_1_1;  /* or later, which is read as that */
    size_t size;          /* of the head: what follows is not its */
    struct slice path;    /* begins with a slash; as it was sent, percents and all */
    struct slice query;   /* behind the question mark */
    struct slice headers; /* whole lines, each with its end */
};

enum http_verdict {
    HTTP_COMPLETE,
    HTTP_MORE,   /* the head goes on */
    HTTP_REFUSED /* answer with the failure's status and close the connection */
};

struct http_failure {
    enum http_status status;
    const char *text; /* for the log; never what the peer sent */
};

/*
 * Looks at what has arrived of a head, of which the first `seen` bytes were looked at before. The
 * verdict does not depend on how the bytes were cut.
 */
enum http_verdict http_parse(struct slice bytes, size_t seen, const struct http_limits *limits,
                             struct http_request *request_out,
                             struct http_failure *failure_out) MUST_CHECK;

/*
 * The next header of that name, `value_out` without space around it; false: no more. `*at` is 0
 * at first, and where to go on later.
 */
bool http_next(const struct http_request *request, const char *name, size_t *at,
               struct slice *value_out);

/* The first header of that name; false: there is none. */
bool http_find(const struct http_request *request, const char *name, struct slice *value_out);

/* Whether it is there once. */
bool http_has_one(const struct http_request *request, const char *name, struct slice *value_out);

/* The next element of a list that is separated by commas (RFC 9110 section 5.6.1), taken off its
 * front; empty ones are left out. False: no more. */
bool http_take_element(struct slice *list, struct slice *element_out);

/* Whether one of the elements of the headers of that name is `token`, whatever its case. */
bool http_has_token(const struct http_request *request, const char *name, const char *token);

/* Whether they are equal but for the case of letters. */
bool http_is_equal(struct slice text, const char *other);

const char *http_status_text(enum http_status status);
