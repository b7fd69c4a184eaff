#include "net/http.h"

/*
 * A head is looked at when it is complete, or as long as it may be; before that only its first
 * word, so that somebody who speaks another protocol is told at once. From then on it is a slice
 * whose every line was checked, and headers are looked for where they stand: requests have few.
 */

#define METHOD_MAX 16

/* 0: not in a token. */
static const uint8_t token_chars[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1,         ['&'] = 1,         ['\''] = 1,
    ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,         ['^'] = 1,         ['_'] = 1,
    ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

static enum http_verdict refuse(struct http_failure *failure, enum http_status status,
                                const char *text)
{
    *failure = (struct http_failure){.status = status, .text = text};
    return HTTP_REFUSED;
}

static bool is_token(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!token_chars[text.data[i]]) {
            return false;
        }
    }
    return text.len > 0;
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? byte + 32 : byte;
}

bool http_is_equal(struct slice text, const char *other)
{
    size_t len = strlen(other);

    for (size_t i = 0; i < text.len && i < len; i++) {
        if (lower(text.data[i]) != lower((uint8_t)other[i])) {
            return false;
        }
    }
    return text.len == len;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static struct slice trim(struct slice text)
{
    while (text.len && is_space(text.data[0])) {
        text = slice_skip(text, 1);
    }
    while (text.len && is_space(text.data[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* Takes a part off the front, up to a character that goes with it; all if it is not there. */
static struct slice take_until(struct slice *text, uint8_t end)
{
    const uint8_t *at = text->len ? memchr(text->data, end, text->len) : NULL;
    struct slice part = slice_of(text->data, at ? (size_t)(at - text->data) : text->len);

    *text = slice_skip(*text, at ? part.len + 1 : part.len);
    return part;
}

/* A line of checked lines, without its end. */
static struct slice take_line(struct slice *lines)
{
    struct slice line = take_until(lines, '\n');

    assert(line.len > 0 && line.data[line.len - 1] == '\r');
    line.len--;
    return line;
}

/* ---- headers ---- */

bool http_next(const struct http_request *request, const char *name, size_t *at,
               struct slice *value_out)
{
    struct slice rest = slice_skip(request->headers, *at);

    while (rest.len) {
        struct slice value = take_line(&rest);
        struct slice found = take_until(&value, ':');

        if (http_is_equal(found, name)) {
            *value_out = trim(value);
            *at = request->headers.len - rest.len;
            return true;
        }
    }
    return false;
}

bool http_find(const struct http_request *request, const char *name, struct slice *value_out)
{
    size_t at = 0;

    return http_next(request, name, &at, value_out);
}

bool http_has_one(const struct http_request *request, const char *name, struct slice *value_out)
{
    size_t at = 0;
    struct slice second;

    return http_next(request, name, &at, value_out) && !http_next(request, name, &at, &second);
}

bool http_take_element(struct slice *list, struct slice *element_out)
{
    while (list->len) {
        *element_out = trim(take_until(list, ','));
        if (element_out->len) {
            return true;
        }
    }
    return false;
}

bool http_has_token(const struct http_request *request, const char *name, const char *token)
{
    size_t at = 0;
    struct slice list;
    struct slice element;

    while (http_next(request, name, &at, &list)) {
        while (http_take_element(&list, &element)) {
            if (http_is_equal(element, token)) {
                return true;
            }
        }
    }
    return false;
}

/* Section 5: a name, a colon at once, and a value that has no control characters in it. */
static bool header_is_valid(struct slice line)
{
    struct slice value = line;
    struct slice name = take_until(&value, ':');

    if (!is_token(name) || name.len == line.len) {
        return false;
    }
    for (size_t i = 0; i < value.len; i++) {
        uint8_t byte = value.data[i];

        if ((byte < ' ' && byte != '\t') || byte == 0x7F) {
            return false;
        }
    }
    return true;
}

static enum http_verdict check_headers(const struct http_request *request,
                                       const struct http_limits *limits,
                                       struct http_failure *failure)
{
    struct slice rest = request->headers;
    uint32_t len = 0;

    while (rest.len) {
        struct slice line = take_line(&rest);

        if (++len > limits->header_len) {
            return refuse(failure, HTTP_TOO_MANY_HEADERS, "too many headers");
        }
        /* Section 5.2: folded lines are obsolete. */
        if (line.len && is_space(line.data[0])) {
            return refuse(failure, HTTP_BAD_REQUEST, "folded header");
        }
        if (!header_is_valid(line)) {
            return refuse(failure, HTTP_BAD_REQUEST, "malformed header");
        }
    }
    return HTTP_COMPLETE;
}

/* Section 3.2: a host and a port. What it names does not matter here; that it is one name does. */
static bool host_is_valid(struct slice host)
{
    static const char others[] = "%!$&'()*+,;=:[]-._~";

    for (size_t i = 0; i < host.len; i++) {
        uint8_t byte = host.data[i];
        uint8_t letter = lower(byte);

        if (!(byte >= '0' && byte <= '9') && !(letter >= 'a' && letter <= 'z') &&
            (byte == 0 || !strchr(others, byte))) {
            return false;
        }
    }
    return true;
}

static enum http_verdict check_host(const struct http_request *request,
                                    struct http_failure *failure)
{
    struct slice host;
    bool is_there = http_find(request, "Host", &host);

    if (!is_there && !request->is_version_1_1) {
        return HTTP_COMPLETE;
    }
    if (!http_has_one(request, "Host", &host) || !host_is_valid(host)) {
        return refuse(failure, HTTP_BAD_REQUEST, "not one valid Host");
    }
    return HTTP_COMPLETE;
}

/*
 * Section 6: a body has a length, or is sent in pieces; here there is none. What says so in two
 * ways may be a request hidden behind another.
 */
static enum http_verdict check_body(const struct http_request *request,
                                    struct http_failure *failure)
{
    struct slice text;
    bool has_length = http_find(request, "Content-Length", &text);

    if (http_find(request, "Transfer-Encoding", &text)) {
        return has_length || !request->is_version_1_1
                   ? refuse(failure, HTTP_BAD_REQUEST, "body of two lengths")
                   : refuse(failure, HTTP_NOT_IMPLEMENTED, "transfer coding");
    }
    if (!has_length) {
        return HTTP_COMPLETE;
    }
    if (!http_has_one(request, "Content-Length", &text) || text.len == 0) {
        return refuse(failure, HTTP_BAD_REQUEST, "not one valid Content-Length");
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return refuse(failure, HTTP_BAD_REQUEST, "not one valid Content-Length");
        }
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '0') {
            return refuse(failure, HTTP_CONTENT_TOO_LARGE, "request with a body");
        }
    }
    return HTTP_COMPLETE;
}

/* ---- the request line ---- */

static enum http_method method_of(struct slice word)
{
    return slice_is_equal(word, slice_of_text("GET"))    ? HTTP_GET
           : slice_is_equal(word, slice_of_text("HEAD")) ? HTTP_HEAD
                                                         : HTTP_OTHER;
}

/* Methods that everybody knows and that are not served: 405, where unknown ones are 501. */
static bool is_known_method(struct slice word)
{
    static const char *const names[] = {"POST",    "PUT",   "DELETE", "CONNECT",
                                        "OPTIONS", "TRACE", "PATCH"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (slice_is_equal(word, slice_of_text(names[i]))) {
            return true;
        }
    }
    return false;
}

/* Section 3.2: "/path?query"; a proxy's "http://host/path?query" is understood, too. */
static bool parse_target(struct slice target, struct http_request *request)
{
    for (size_t i = 0; i < target.len; i++) {
        if (target.data[i] <= ' ' || target.data[i] >= 0x7F || target.data[i] == '#') {
            return false;
        }
    }
    if (target.len && target.data[0] != '/') {
        const char *scheme = "http://";
        size_t len = strlen(scheme);
        const uint8_t *path;

        if (target.len <= len || !http_is_equal(slice_of(target.data, len), scheme)) {
            return false;
        }
        target = slice_skip(target, len);
        path = memchr(target.data, '/', target.len);
        if (!path) {
            return false;
        }
        target = slice_skip(target, (size_t)(path - target.data));
    }
    request->query = target;
    request->path = take_until(&request->query, '?');
    return request->path.len > 0;
}

/* Section 2.3: later minor versions are read as 1.1. */
static enum http_verdict parse_version(struct slice text, struct http_request *request,
                                       struct http_failure *failure)
{
    const char *name = "HTTP/";
    size_t len = strlen(name);
    const uint8_t *digits = text.data + len;

    if (text.len != len + 3 || !slice_is_equal(slice_of(text.data, len), slice_of_text(name)) ||
        digits[0] < '0' || digits[0] > '9' || digits[1] != '.' || digits[2] < '0' ||
        digits[2] > '9') {
        return refuse(failure, HTTP_BAD_REQUEST, "malformed version");
    }
    if (digits[0] != '1') {
        return refuse(failure, HTTP_VERSION_NOT_SUPPORTED, "another version of HTTP");
    }
    request->is_version_1_1 = digits[2] != '0';
    return HTTP_COMPLETE;
}

static enum http_verdict parse_request_line(struct slice line, struct http_request *request,
                                            struct http_failure *failure)
{
    struct slice rest = line;
    struct slice method = take_until(&rest, ' ');
    struct slice target = take_until(&rest, ' ');
    enum http_verdict verdict;

    if (!is_token(method)) {
        return refuse(failure, HTTP_BAD_REQUEST, "malformed method");
    }
    verdict = parse_version(rest, request, failure);
    if (verdict != HTTP_COMPLETE) {
        return verdict;
    }
    request->method = method_of(method);
    if (request->method == HTTP_OTHER) {
        return is_known_method(method)
                   ? refuse(failure, HTTP_METHOD_NOT_ALLOWED, "method is not GET")
                   : refuse(failure, HTTP_NOT_IMPLEMENTED, "unknown method");
    }
    if (!parse_target(target, request)) {
        return refuse(failure, HTTP_BAD_REQUEST, "malformed target");
    }
    return HTTP_COMPLETE;
}

/* ---- the head ---- */

/* Section 2.2: an empty line before the request is ignored. */
static size_t leading_size(struct slice bytes)
{
    return bytes.len >= 2 && bytes.data[0] == '\r' && bytes.data[1] == '\n' ? 2 : 0;
}

/* Whether a method can still come of these first bytes. */
static bool begins_well(struct slice bytes)
{
    size_t i = leading_size(bytes);
    size_t begin = i;

    if (i == 0 && bytes.len == 1 && bytes.data[0] == '\r') {
        return true;
    }
    while (i < bytes.len && i - begin <= METHOD_MAX && token_chars[bytes.data[i]]) {
        i++;
    }
    return i == bytes.len || (i > begin && i - begin <= METHOD_MAX && bytes.data[i] == ' ');
}

/*
 * Where the empty line at the end of the head ends; 0: not yet. Section 2.2: a line that ends with
 * a bare LF may not end there for others, so nothing does.
 */
static size_t find_end(struct slice bytes, size_t seen, bool *is_bare_out)
{
    size_t begin = leading_size(bytes);
    size_t i = MAX(begin, seen);

    *is_bare_out = false;
    while (i < bytes.len) {
        const uint8_t *at = memchr(bytes.data + i, '\n', bytes.len - i);

        if (!at) {
            return 0;
        }
        i = (size_t)(at - bytes.data) + 1;
        if (i < begin + 2 || at[-1] != '\r') {
            *is_bare_out = true;
            return 0;
        }
        if (i >= begin + 4 && at[-2] == '\n') {
            return i;
        }
    }
    return 0;
}

static enum http_verdict refuse_long(struct slice bytes, struct http_failure *failure)
{
    bytes = slice_skip(bytes, leading_size(bytes));
    return memchr(bytes.data, '\n', bytes.len)
               ? refuse(failure, HTTP_TOO_MANY_HEADERS, "headers are too long")
               : refuse(failure, HTTP_URI_TOO_LONG, "request line is too long");
}

static enum http_verdict parse_head(struct slice head, const struct http_limits *limits,
                                    struct http_request *request, struct http_failure *failure)
{
    struct slice rest = slice_skip(head, leading_size(head));
    struct slice line;
    enum http_verdict verdict;

    rest.len -= 2; /* the empty line */
    line = take_line(&rest);
    request->headers = rest;
    verdict = parse_request_line(line, request, failure);
    if (verdict == HTTP_COMPLETE) {
        verdict = check_headers(request, limits, failure);
    }
    if (verdict == HTTP_COMPLETE) {
        verdict = check_host(request, failure);
    }
    return verdict == HTTP_COMPLETE ? check_body(request, failure) : verdict;
}

/* RFC 9112 section 9.3. */
static bool wants_another(const struct http_request *request)
{
    return request->is_version_1_1 ? !http_has_token(request, "Connection", "close")
                                   : http_has_token(request, "Connection", "keep-alive");
}

enum http_verdict http_parse(struct slice bytes, size_t seen, const struct http_limits *limits,
                             struct http_request *request_out, struct http_failure *failure_out)
{
    struct slice head = slice_of(bytes.data, MIN(bytes.len, (size_t)limits->head_size));
    enum http_verdict verdict;
    size_t size;
    bool is_bare;

    assert(limits->head_size >= HTTP_HEAD_LEAST);
    if (!begins_well(head)) {
        return refuse(failure_out, HTTP_BAD_REQUEST, "malformed method");
    }
    size = find_end(head, seen, &is_bare);
    if (is_bare) {
        return refuse(failure_out, HTTP_BAD_REQUEST, "line without CR LF");
    }
    if (size == 0) {
        return head.len < limits->head_size ? HTTP_MORE : refuse_long(head, failure_out);
    }
    *request_out = (struct http_request){.size = size};
    verdict = parse_head(slice_of(bytes.data, size), limits, request_out, failure_out);
    if (verdict == HTTP_COMPLETE) {
        request_out->is_kept_alive = wants_another(request_out);
    }
    return verdict;
}

const char *http_status_text(enum http_status status)
{
    switch (status) {
    case HTTP_SWITCHING_PROTOCOLS: return "Switching Protocols";
    case HTTP_OK: return "OK";
    case HTTP_MOVED_PERMANENTLY: return "Moved Permanently";
    case HTTP_NOT_MODIFIED: return "Not Modified";
    case HTTP_BAD_REQUEST: return "Bad Request";
    case HTTP_UNAUTHORIZED: return "Unauthorized";
    case HTTP_FORBIDDEN: return "Forbidden";
    case HTTP_NOT_FOUND: return "Not Found";
    case HTTP_METHOD_NOT_ALLOWED: return "Method Not Allowed";
    case HTTP_CONTENT_TOO_LARGE: return "Content Too Large";
    case HTTP_URI_TOO_LONG: return "URI Too Long";
    case HTTP_UPGRADE_REQUIRED: return "Upgrade Required";
    case HTTP_TOO_MANY_HEADERS: return "Request Header Fields Too Large";
    case HTTP_INTERNAL_ERROR: return "Internal Server Error";
    case HTTP_NOT_IMPLEMENTED: return "Not Implemented";
    case HTTP_UNAVAILABLE: return "Service Unavailable";
    case HTTP_VERSION_NOT_SUPPORTED: return "HTTP Version Not Supported";
    }
    return "";
}
