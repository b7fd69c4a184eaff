#include "client/web.h"

#include "access/acl.h"
#include "access/verifier.h"
#include "base/base64.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "client/drain.h"
#include "client/hub.h"
#include "client/login.h"
#include "client/trust.h"
#include "loop/clock.h"
#include "net/http_answer.h"
#include "net/http_file.h"
#include "net/http_path.h"

#include <stdio.h>
#include <time.h>

/*
 * A client of this kind stays CLIENT_FRESH: it is among those that may be pushed out by others
 * (max_pending_connections), and has connect_timeout for each request, and again for each time in
 * which it has read something of an answer.
 *
 * The last answer must have left before the connection is closed, or a slow reader would miss its
 * end: until then it `is_finishing`, and hub.c closes it when its output is empty.
 */

#define HEAD_CAP   1024
#define SECRET_CAP 1024
#define CLIENT_ID  "http-api"

/* What a request says of who sends it. */
struct secret {
    bool has_username;
    struct slice username; /* in bytes[], like the password */
    struct slice password;
    uint8_t bytes[SECRET_CAP];
};

static void finish(struct client *client)
{
    client->is_finishing = true;
    client->is_held = true;
    client_update_interest(client);
    if (!client_has_output(client)) {
        client_close(client);
    }
}

/* ---- sending ---- */

/* RFC 9110 section 5.6.7, whatever the locale. */
static void put_date(char text[32])
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;

    gmtime_r(&now, &tm);
    snprintf(text, 32, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday,
             months[tm.tm_mon], (tm.tm_year + 1900) % 10000, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static size_t format_head(const struct web_answer *answer, const struct http_request *request,
                          char *head, size_t cap)
{
    char date[32];
    int len;

    put_date(date);
    len = snprintf(head, cap,
                   "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                   "Access-Control-Allow-Origin: *\r\nX-Content-Type-Options: nosniff\r\n%s"
                   "Connection: %s\r\n",
                   answer->status, http_status_text(answer->status), date, answer->type,
                   answer->body.len, answer->header ? answer->header : "",
                   request->is_kept_alive ? "keep-alive" : "close");
    assert(len > 0 && (size_t)len < cap);
    return (size_t)len;
}

/* "Location: PATH/?QUERY". */
static uint8_t *put_location(uint8_t *at, const struct http_request *request)
{
    const struct slice parts[] = {
        slice_of_text("Location: "),
        request->path,
        slice_of_text("/"),
        slice_of_text(request->query.len ? "?" : ""),
        request->query,
        slice_of_text("\r\n"),
    };

    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        at = mempcpy(at, parts[i].data, parts[i].len);
    }
    return at;
}

/* A file of some size is referred to, everything else is copied. */
static void put_body(struct client *client, const struct web_answer *answer, uint8_t *at)
{
    struct output_pool *pool = &client->hub->pool;
    bool refers = answer->file && answer->body.len > MESSAGE_COPY_MAX;

    if (!refers && answer->body.len) {
        at = mempcpy(at, answer->body.data, answer->body.len);
    }
    output_commit(&client->output, pool, at, !refers);
    if (refers && output_refer(&client->output, pool, answer->file, answer->body) < 0) {
        client_set_failed(client);
    }
}

static void send_answer(struct client *client, const struct http_request *request,
                        struct web_answer *answer)
{
    char head[HEAD_CAP];
    size_t head_size = format_head(answer, request, head, sizeof(head));
    size_t location_size = answer->is_moved ? request->path.len + request->query.len + 32 : 0;
    uint8_t *at;

    if (request->method == HTTP_HEAD) {
        answer->body = slice_of(NULL, 0);
    }
    at = client_reserve(client, head_size + location_size + answer->body.len + 2);
    if (!at) {
        return;
    }
    at = mempcpy(at, head, head_size);
    at = answer->is_moved ? put_location(at, request) : at;
    at = mempcpy(at, "\r\n", 2);
    put_body(client, answer, at);
    client_mark_dirty(client);
}

static void send_refusal(struct client *client, const struct http_failure *failure)
{
    char text[HTTP_REFUSAL_CAP];
    size_t len = http_format_refusal(text, failure->status, failure->text);
    uint8_t *at = client_reserve(client, len);

    if (at) {
        output_commit(&client->output, &client->hub->pool, mempcpy(at, text, len), true);
        client_mark_dirty(client);
    }
}

/* ---- answers ---- */

void web_say(struct web_answer *answer, enum http_status status, const char *text)
{
    answer->status = status;
    answer->type = "text/plain; charset=utf-8";
    answer->body = slice_of_text(text);
}

/* Basic (RFC 7617): "NAME:PASSWORD". False: there is none that can be read. */
static bool find_login(struct slice text, struct secret *secret)
{
    struct slice scheme = slice_of_text("Basic ");
    const uint8_t *colon;
    size_t len;
    size_t name_len;

    if (text.len < scheme.len || !http_is_equal(slice_of(text.data, scheme.len), "Basic ") ||
        !base64_decode(slice_skip(text, scheme.len), true, secret->bytes, SECRET_CAP, &len)) {
        return false;
    }
    colon = memchr(secret->bytes, ':', len);
    if (!colon) {
        return false;
    }
    name_len = (size_t)(colon - secret->bytes);
    secret->username = slice_of(secret->bytes, name_len);
    secret->password = slice_skip(slice_of(secret->bytes, len), name_len + 1);
    return utf8_is_valid(secret->username);
}

/* What holds of its listener now, whenever the connection came. */
static const struct server_listener *listener_of(const struct client *client)
{
    const struct server_listener *now = hub_find_listener(client->hub, client->listener);

    return now ? now : client->listener;
}

/* The same chain as CONNECT's, under Mosquitto's client id; and the path is a topic that has to be
 * readable. */
static bool may_read(const struct client *client, const struct http_request *request,
                     const struct secret *secret)
{
    const struct access *access = listener_of(client)->access;
    const struct acl *acl = access ? access_acl(access) : NULL;
    struct trust_facts facts;
    struct acl_tls tls;
    struct acl_who who;

    if (!acl) {
        return true;
    }
    trust_describe(client, &facts);
    tls = (struct acl_tls){facts.authority, facts.alpn};
    acl_look_up(acl, slice_of_text(CLIENT_ID), secret->has_username ? &secret->username : NULL,
                &tls, &who);
    return acl_rights(acl, &who, request->path) & ACL_READ;
}

static enum access_verdict let_in(struct client *client, const struct http_request *request,
                                  struct secret *secret)
{
    const struct server_listener *listener = listener_of(client);
    struct access_request access = {.access = listener->access, .listener = listener->settings};
    struct slice text;
    enum access_verdict verdict;

    if (http_has_one(request, "Authorization", &text)) {
        if (!find_login(text, secret)) {
            return ACCESS_NO;
        }
        secret->has_username = true;
    }
    access.has_username = secret->has_username;
    access.has_password = secret->has_username;
    access.username = secret->username;
    verdict = access_connect(&access);
    if (verdict == ACCESS_ASK && client->web_login != WEB_LOGIN_NONE) {
        verdict = client->web_login == WEB_LOGIN_RIGHT ? ACCESS_YES : ACCESS_NO;
    }
    return verdict;
}

/* Ready: whoever comes now will be served. */
static void answer_ready(const struct client *client, struct web_answer *answer)
{
    if (worker_group_is_stopping(server_group(client->hub->server))) {
        web_say(answer, HTTP_UNAVAILABLE, "stopping\n");
    } else if (server_drain(client->hub->server) != DRAIN_NONE) {
        web_say(answer, HTTP_UNAVAILABLE, "draining\n");
    } else if (memory_is_short()) {
        web_say(answer, HTTP_UNAVAILABLE, "short of memory\n");
    } else {
        web_say(answer, HTTP_OK, "ready\n");
    }
}

static int read_file(const struct client *client, const char *path, struct web_answer *answer)
{
    const struct listener_settings *settings = client->listener->settings;
    int r =
        http_file_read(settings->http.folder, path, settings->http.file_size_max, &answer->file);

    if (r == HTTP_FILE_READ) {
        answer->body = message_payload(answer->file);
        answer->type = http_path_type(path);
        answer->header = "Cache-Control: no-cache\r\n";
    } else if (r == HTTP_FILE_TOO_LARGE) {
        web_say(answer, HTTP_FORBIDDEN, "larger than http_max_file_size\n");
    } else if (r == HTTP_FILE_NONE) {
        web_say(answer, HTTP_NOT_FOUND, "not found\n");
    }
    return r;
}

/* A folder is its index.html, under a path that ends with a slash: links in it need that. */
static int answer_file(const struct client *client, const struct http_request *request,
                       struct web_answer *answer)
{
    static const char index[] = "index.html";
    char path[HTTP_PATH_CAP + sizeof(index)];
    size_t len;
    int r;

    if (!client->listener->settings->http.folder || !http_path_decode(request->path, path)) {
        web_say(answer, HTTP_NOT_FOUND, "not found\n");
        return 0;
    }
    len = strlen(path);
    if (len == 0 || path[len - 1] == '/') {
        memcpy(path + len, index, sizeof(index));
    }
    r = read_file(client, path, answer);
    if (r == HTTP_FILE_FOLDER && path[len] == '\0') {
        web_say(answer, HTTP_MOVED_PERMANENTLY, "a folder\n");
        answer->is_moved = true;
    } else if (r == HTTP_FILE_FOLDER) {
        web_say(answer, HTTP_NOT_FOUND, "not found\n");
    }
    return MIN(r, 0);
}

static int answer_known(struct client *client, const struct http_request *request,
                        struct web_answer *answer)
{
    struct slice api = slice_of_text("/api/");
    bool is_api =
        request->path.len >= api.len && slice_is_equal(slice_of(request->path.data, api.len), api);

    if (!is_api) {
        return answer_file(client, request, answer);
    }
    return web_api_answer(client, request, answer);
}

/* Gives the password to the verifier (client/verify.c). Its verdict, or -ENOMEM. */
static int have_verified(struct client *client, const struct secret *secret)
{
    struct client_facts *facts = client->facts;
    struct mqtt_connect connect = {.version = MQTT_5_0};
    char *username;
    int r;

    assert(secret->username.data);
    username = memory_copy_slice(secret->username);
    if (!username) {
        return -ENOMEM;
    }
    memory_free(facts->username);
    facts->username = username;
    r = login_new(&connect, slice_of_text(CLIENT_ID), &facts->login);
    if (r == 0) {
        r = verify_begin(client, listener_of(client)->access, secret->password);
    }
    if (r != VERIFY_ASKED) {
        facts->login = login_free(facts->login);
        client_update_interest(client);
    }
    return r;
}

static void log_request(const struct client *client, const struct http_request *request,
                        enum http_status status)
{
    char address[CLIENT_ADDRESS_CAP];
    char path[256];

    text_escape(path, sizeof(path), request->path);
    log_line(LOG_DEBUG, "HTTP request from %s: %s %s: %d.", client_address(client, address),
             request->method == HTTP_HEAD ? "HEAD" : "GET", path, status);
}

static void fail(const struct client *client, const struct http_request *request, int r,
                 struct web_answer *answer)
{
    char address[CLIENT_ADDRESS_CAP];
    char path[256];

    text_escape(path, sizeof(path), request->path);
    log_line(LOG_WARNING, "Warning: HTTP request from %s for %s failed: %s.",
             client_address(client, address), path, strerror(-r));
    web_say(answer, r == -ENOMEM ? HTTP_UNAVAILABLE : HTTP_INTERNAL_ERROR,
            r == -ENOMEM ? "out of memory\n" : "the file can't be read\n");
}

static bool is_health(const struct http_request *request)
{
    return slice_is_equal(request->path, slice_of_text("/livez")) ||
           slice_is_equal(request->path, slice_of_text("/readyz"));
}

static void answer_health(const struct client *client, const struct http_request *request,
                          struct web_answer *answer)
{
    if (slice_is_equal(request->path, slice_of_text("/livez"))) {
        web_say(answer, HTTP_OK, "alive\n");
    } else {
        answer_ready(client, answer);
    }
}

/* Not read, but for its end, until what it needs has come. */
static void wait(struct client *client)
{
    pending_end(client);
    client_state_change(&client->state, CLIENT_LOGIN);
    client_update_interest(client);
}

/* Who it is has to be known. False: its password is being looked at, or others have to be asked. */
static bool answer_if_known(struct client *client, const struct http_request *request,
                            struct web_answer *answer)
{
    UNINITIALIZED struct secret secret;
    enum access_verdict verdict;
    int r = 0;

    secret.has_username = false;
    secret.username = slice_of(NULL, 0);
    verdict = let_in(client, request, &secret);
    if (verdict == ACCESS_ASK) {
        r = have_verified(client, &secret);
        explicit_bzero(secret.bytes, sizeof(secret.bytes));
        if (r == VERIFY_ASKED) {
            return false;
        }
        web_say(answer, HTTP_UNAVAILABLE, "too many wait to be let in\n");
    } else if (client->web_login == WEB_LOGIN_FAILED) {
        r = -ENOMEM;
    } else if (verdict == ACCESS_NO) {
        web_say(answer, HTTP_UNAUTHORIZED, "not authorised\n");
        answer->header = "WWW-Authenticate: Basic realm=\"nightjar\", charset=\"UTF-8\"\r\n";
    } else if (!may_read(client, request, &secret)) {
        web_say(answer, HTTP_FORBIDDEN, "not allowed\n");
    } else {
        r = answer_known(client, request, answer);
        if (r == WEB_API_LATER) {
            wait(client);
            return false;
        }
    }
    if (r < 0) {
        fail(client, request, r, answer);
    }
    return true;
}

/* Who it is was known when it asked. */
static void answer_later(struct client *client, const struct http_request *request,
                         struct web_answer *answer)
{
    int r = web_api_answer_later(client, answer);

    if (r < 0) {
        fail(client, request, r, answer);
    }
}

/* False: not yet. */
static bool answer(struct client *client, const struct http_request *request)
{
    struct web_answer answer = {.status = HTTP_OK, .body = slice_of(NULL, 0)};

    if (is_health(request)) {
        answer_health(client, request, &answer);
    } else if (client->is_listing) {
        answer_later(client, request, &answer);
    } else if (!answer_if_known(client, request, &answer)) {
        return false;
    }
    client->web_login = WEB_LOGIN_NONE;
    log_request(client, request, answer.status);
    send_answer(client, request, &answer);
    memory_free(answer.text);
    message_unref(answer.file);
    return true;
}

/* ---- requests ---- */

static struct http_limits limits_of(const struct client *client)
{
    const struct settings_limits *limits = &client->hub->settings->limits;
    uint32_t size = MIN(limits->packet_buffer_size, (uint32_t)HUB_TAIL_MAX);

    return (struct http_limits){.head_size = MAX(size, (uint32_t)HTTP_HEAD_LEAST),
                                .header_len = limits->max_http_headers};
}

static void renew_deadline(struct client *client)
{
    struct shard *shard = client->hub->shard;

    client->facts->deadline_ms =
        shard->now_ms + (uint64_t)client->hub->settings->limits.connect_timeout_s * 1000;
    wheel_arm(&shard->wheel, &client->timer, wheel_deadline(client->facts->deadline_ms, 0));
}

void web_take(struct client *client, struct slice bytes)
{
    struct http_limits limits = limits_of(client);
    struct http_request request;
    struct http_failure failure;
    enum http_verdict verdict;

    if (client->is_finishing || bytes.len == 0) {
        return;
    }
    verdict = http_parse(bytes, 0, &limits, &request, &failure);
    if (verdict == HTTP_MORE) {
        client_keep(client, bytes);
        return;
    }
    shard_charge(client->hub->shard);
    if (verdict == HTTP_REFUSED) {
        send_refusal(client, &failure);
        if (!client->has_failed) {
            finish(client);
        }
        return;
    }
    if (!answer(client, &request)) {
        client_keep(client, bytes);
        return;
    }
    if (client->has_failed) {
        return; /* the end of the iteration tells, and closes it */
    }
    client->answer_size = (uint32_t)client_output_size(client);
    renew_deadline(client);
    if (!request.is_kept_alive) {
        finish(client);
    } else if (request.size < bytes.len) {
        client_put_off(client, slice_skip(bytes, request.size));
    }
}

/* The request is read once more, with what is known now. */
void web_go_on(struct client *client)
{
    client_state_change(&client->state, CLIENT_FRESH);
    pending_begin(client);
    client_update_interest(client);
    if (client_input(client) && client->state == CLIENT_FRESH) {
        client_go_on(client);
    }
}

void web_on_verified(struct client *client, struct verification *verification)
{
    struct client_facts *facts = client->facts;

    client->web_login = verification->access != listener_of(client)->access ? WEB_LOGIN_NONE
                        : verification->answer == VERIFICATION_RIGHT        ? WEB_LOGIN_RIGHT
                        : verification->answer == VERIFICATION_WRONG        ? WEB_LOGIN_WRONG
                                                                            : WEB_LOGIN_FAILED;
    verification_free(verification);
    facts->login = login_free(facts->login);
    web_go_on(client);
}

void web_on_end(struct client *client)
{
    finish(client);
}

/* Who reads what it asked for, however slowly, may go on. */
void web_on_timer(struct client *client)
{
    size_t left = client_output_size(client);

    if (left > 0 && left < client->answer_size) {
        client->answer_size = (uint32_t)left;
        renew_deadline(client);
    } else {
        client_close(client);
    }
}
