#include "bench/tube.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX   14 /* of a frame that we write, with its mask */
#define ANSWER_MAX 1024

enum web_state { WEB_FRESH, WEB_ASKED, WEB_OPEN };

struct tube_web {
    enum web_state state;
    struct bytes out; /* frames that the socket had no room for */
    uint8_t head[HEAD_MAX];
    size_t head_len;
    uint64_t body_left; /* of the frame that is being received */
    char answer[ANSWER_MAX];
    size_t answer_len;
};

/* TLS */

static SSL_CTX *tls_rules(void)
{
    static SSL_CTX *rules;

    if (!rules) {
        rules = SSL_CTX_new(TLS_client_method());
        if (!rules) {
            tool_die("no TLS");
        }
        SSL_CTX_set_mode(rules, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_session_cache_mode(rules, SSL_SESS_CACHE_OFF);
        signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    }
    return rules;
}

/* -1 with errno of what SSL_read() or SSL_write() answered without success. */
static ssize_t tls_verdict(const SSL *ssl, int result)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: errno = EAGAIN; return -1;
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_SYSCALL: errno = errno ? errno : ECONNRESET; return -1;
    default: errno = EPROTO; return -1;
    }
}

/* Each call takes one record. */
static ssize_t tls_send(SSL *ssl, const uint8_t *data, size_t len)
{
    size_t used = 0;
    int sent;

    ERR_clear_error();
    do {
        sent = SSL_write(ssl, data + used, (int)MIN(len - used, (size_t)INT32_MAX));
        used += (size_t)MAX(sent, 0);
    } while (sent > 0 && used < len);
    return used > 0 ? (ssize_t)used : tls_verdict(ssl, sent);
}

/* Record by record: what lies in the object already raises no event. */
static ssize_t tls_receive(SSL *ssl, uint8_t *buf, size_t cap)
{
    size_t len = 0;
    int got;

    ERR_clear_error();
    do {
        got = SSL_read(ssl, buf + len, (int)MIN(cap - len, (size_t)INT32_MAX));
        len += (size_t)MAX(got, 0);
    } while (got > 0 && len < cap);
    return len > 0 ? (ssize_t)len : tls_verdict(ssl, got);
}

/* WebSocket */

static const char request[] = "GET /mqtt HTTP/1.1\r\n"
                              "Host: localhost\r\n"
                              "Upgrade: websocket\r\n"
                              "Connection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "Sec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Protocol: mqtt\r\n\r\n";

static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

static void put_frame(struct bytes *out, const uint8_t *data, size_t len)
{
    uint8_t *at = tool_reserve(out, HEAD_MAX + len);
    size_t used = 2;

    at[0] = 0x82; /* the last of its message, binary */
    if (len < 126) {
        at[1] = (uint8_t)(0x80 | len);
    } else if (len <= UINT16_MAX) {
        at[1] = 0x80 | 126;
        at[used++] = (uint8_t)(len >> 8);
        at[used++] = (uint8_t)len;
    } else {
        at[1] = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8) {
            at[used++] = (uint8_t)((uint64_t)len >> shift);
        }
    }
    memcpy(at + used, mask, sizeof(mask));
    used += sizeof(mask);
    for (size_t i = 0; i < len; i++) {
        at[used + i] = data[i] ^ mask[i % sizeof(mask)];
    }
    out->len += used + len;
}

static int web_flush(struct tube *tube)
{
    struct bytes *out = &tube->web->out;
    ssize_t sent = send(tube->fd, out->data, out->len, MSG_NOSIGNAL);

    if (sent < 0) {
        return -1;
    }
    out->len -= (size_t)sent;
    memmove(out->data, out->data + sent, out->len);
    return 0;
}

static ssize_t web_send(struct tube *tube, const uint8_t *data, size_t len)
{
    struct tube_web *web = tube->web;

    if (web->state == WEB_FRESH) {
        memcpy(tool_reserve(&web->out, sizeof(request)), request, sizeof(request) - 1);
        web->out.len = sizeof(request) - 1;
        web->state = WEB_ASKED;
    }
    if (web->out.len > 0 && web_flush(tube) < 0) {
        return -1;
    }
    if (web->state != WEB_OPEN || web->out.len > 0) {
        errno = EAGAIN;
        return -1;
    }
    put_frame(&web->out, data, len);
    if (web_flush(tube) < 0 && errno != EAGAIN) {
        return -1;
    }
    return (ssize_t)len;
}

/* Takes the answer to the request off the front; answers how many bytes that were. */
static size_t take_answer(struct tube_web *web, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (web->answer_len == sizeof(web->answer) - 1) {
            tool_die("WebSocket: an answer without end");
        }
        web->answer[web->answer_len++] = (char)data[i];
        web->answer[web->answer_len] = '\0';
        if (web->answer_len < 4 || strcmp(web->answer + web->answer_len - 4, "\r\n\r\n") != 0) {
            continue;
        }
        if (!strstr(web->answer, " 101 ")) {
            tool_die("WebSocket: refused: %.40s", web->answer);
        }
        web->state = WEB_OPEN;
        return i + 1;
    }
    return len;
}

/* One byte of a frame's head. */
static void take_head(struct tube_web *web, uint8_t byte)
{
    size_t size;
    uint64_t len = 0;

    web->head[web->head_len++] = byte;
    if (web->head_len < 2) {
        return;
    }
    size = web->head[1] == 127 ? 10 : web->head[1] == 126 ? 4 : 2;
    if (web->head_len < size) {
        return;
    }
    if (web->head[1] > 127 || (web->head[0] & 0x7f) > 2) {
        tool_die("WebSocket: a frame that should not come: %02x %02x", web->head[0], web->head[1]);
    }
    for (size_t i = 2; i < size; i++) {
        len = len << 8 | web->head[i];
    }
    web->body_left = size == 2 ? web->head[1] : len;
    web->head_len = 0;
}

/* Leaves what was inside the frames at the front; answers how much that is. */
static size_t unwrap(struct tube_web *web, uint8_t *data, size_t len)
{
    size_t at = web->state == WEB_ASKED ? take_answer(web, data, len) : 0;
    size_t used = 0;

    while (at < len) {
        size_t size = (size_t)MIN(web->body_left, (uint64_t)(len - at));

        if (size == 0) {
            take_head(web, data[at++]);
            continue;
        }
        memmove(data + used, data + at, size);
        used += size;
        at += size;
        web->body_left -= size;
    }
    return used;
}

static ssize_t web_receive(struct tube *tube, uint8_t *buf, size_t cap)
{
    ssize_t got = recv(tube->fd, buf, cap, 0);

    if (got <= 0) {
        return got;
    }
    got = (ssize_t)unwrap(tube->web, buf, (size_t)got);
    if (got == 0) {
        errno = EAGAIN;
        return -1;
    }
    return got;
}

/* All of them */

void tube_open(struct tube *tube, const struct plan_target *target, int fd)
{
    *tube = (struct tube){.fd = fd};
    if (target->has_tls) {
        tube->ssl = SSL_new(tls_rules());
        if (!tube->ssl || !SSL_set_fd(tube->ssl, fd)) {
            tool_die("no TLS");
        }
        SSL_set_connect_state(tube->ssl);
    }
    if (target->is_web) {
        tube->web = tool_alloc(1, sizeof(*tube->web));
    }
}

void tube_close(struct tube *tube)
{
    if (tube->fd < 0) {
        return;
    }
    if (tube->ssl) {
        SSL_shutdown(tube->ssl); /* says so; nobody waits for the answer */
        SSL_free(tube->ssl);
        tube->ssl = NULL;
    }
    if (tube->web) {
        free(tube->web->out.data);
        free(tube->web);
        tube->web = NULL;
    }
    close(tube->fd);
    tube->fd = -1;
}

ssize_t tube_send(struct tube *tube, const uint8_t *data, size_t len)
{
    if (tube->ssl) {
        return tls_send(tube->ssl, data, len);
    }
    if (tube->web) {
        return web_send(tube, data, len);
    }
    return send(tube->fd, data, len, MSG_NOSIGNAL);
}

bool tube_is_blocked(const struct tube *tube)
{
    if (tube->ssl) {
        return SSL_want_write(tube->ssl);
    }
    if (tube->web) {
        return tube->web->out.len > 0;
    }
    return true;
}

ssize_t tube_receive(struct tube *tube, uint8_t *buf, size_t cap)
{
    if (tube->ssl) {
        return tls_receive(tube->ssl, buf, cap);
    }
    if (tube->web) {
        return web_receive(tube, buf, cap);
    }
    return recv(tube->fd, buf, cap, 0);
}
