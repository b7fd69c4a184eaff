/* OpenSSL's newer way to give it chance of one's own is a provider of each library context. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "sim/tls.h"

#include "sim/fail.h"
#include "sim/scheduler.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <string.h>
#include <time.h>

/*
 * All that OpenSSL draws, the server's part as well, comes from one stream of numbers, apart from
 * the run's own: how much it takes is no business of the clients. What is left to the machine is
 * OpenSSL's version, on which the sizes of messages depend.
 */

#define HEAD_SIZE  5
#define RECORD_MAX (16384 + 2048)
#define KEPT_CAP   4

/* The time at the scheduler's zero. */
#define EPOCH_S 1767225600

enum { RECORD_CHANGE_CIPHER_SPEC = 20, RECORD_APPLICATION_DATA = 23 };

static struct choice chance;
static SSL_CTX *context;
static SSL_SESSION *kept[KEPT_CAP]; /* to go on from */
static unsigned kept_len;

/* ---- what OpenSSL asks the machine for ---- */

static int draw_bytes(unsigned char *bytes, int size)
{
    for (int i = 0; i < size; i++) {
        bytes[i] = (unsigned char)choice_next(&chance);
    }
    return 1;
}

static int is_seeded(void)
{
    return 1;
}

/* Session tickets tell when they were made. It takes the place of libc's in the whole program. */
__attribute__((visibility("default"))) time_t time(time_t *time_out)
{
    time_t now = (time_t)(EPOCH_S + scheduler_now_ms() / 1000);

    if (time_out) {
        *time_out = now;
    }
    return now;
}

/* ---- a run ---- */

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    unsigned at = kept_len < KEPT_CAP ? kept_len++ : choice_below(&chance, KEPT_CAP);

    (void)ssl;
    SSL_SESSION_free(kept[at]);
    kept[at] = session;
    return 1;
}

void sim_tls_start(uint64_t seed)
{
    static const RAND_METHOD method = {
        .bytes = draw_bytes,
        .pseudorand = draw_bytes,
        .status = is_seeded,
    };
    int groups[] = {NID_X25519};

    choice_from_seed(&chance, seed);
    RAND_set_rand_method(&method);
    context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set1_groups(context, groups, ARRAY_LEN(groups))) {
        sim_fail("no TLS for clients");
    }
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, on_session);
}

void sim_tls_end(void)
{
    while (kept_len > 0) {
        SSL_SESSION_free(kept[--kept_len]);
        kept[kept_len] = NULL;
    }
    SSL_CTX_free(context);
    context = NULL;
}

/* ---- what goes out ---- */

static NO_RETURN void fail(const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    sim_fail("%s: %s", what, reason ? reason : "no reason is told");
}

bool sim_tls_has_answer(const struct sim_tls *tls)
{
    return BIO_ctrl_pending(SSL_get_wbio(tls->ssl)) > 0;
}

void sim_tls_put_answer(struct sim_tls *tls, struct bytes *to)
{
    BIO *out = SSL_get_wbio(tls->ssl);
    uint8_t buffer[4096];
    int len;

    while (BIO_ctrl_pending(out) > 0 && (len = BIO_read(out, buffer, sizeof(buffer))) > 0) {
        bytes_write(to, buffer, (size_t)len);
    }
}

static void draw_version(struct sim_tls *tls, struct choice *choice)
{
    if (choice_chance(choice, 300)) {
        SSL_set_max_proto_version(tls->ssl, TLS1_2_VERSION);
    }
}

static void draw_session(struct sim_tls *tls, struct choice *choice)
{
    if (kept_len > 0 && choice_chance(choice, 500) &&
        !SSL_set_session(tls->ssl, kept[choice_below(choice, kept_len)])) {
        fail("a session of TLS is not taken");
    }
}

void sim_tls_begin(struct sim_tls *tls, struct choice *choice, struct bytes *to)
{
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());

    tls->ssl = SSL_new(context);
    if (!in || !out || !tls->ssl) {
        sim_fail("no memory for TLS");
    }
    SSL_set_bio(tls->ssl, in, out);
    SSL_set_connect_state(tls->ssl);
    draw_version(tls, choice);
    draw_session(tls, choice);
    ERR_clear_error();
    SSL_do_handshake(tls->ssl);
    sim_tls_put_answer(tls, to);
}

/* With the next record. The server is asked for a change of its own in half of them. */
static void change_keys(struct sim_tls *tls, struct choice *choice)
{
    int kind = choice_chance(choice, 500) ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;

    if (SSL_version(tls->ssl) == TLS1_3_VERSION && !SSL_key_update(tls->ssl, kind)) {
        fail("keys of TLS can't be changed");
    }
}

size_t sim_tls_put(struct sim_tls *tls, struct choice *choice, struct slice payload,
                   struct bytes *to)
{
    size_t len = payload.len;
    int result;

    assert(tls->is_ready && len > 0);
    ERR_clear_error();
    if (choice_chance(choice, 50)) {
        change_keys(tls, choice);
    }
    if (choice_chance(choice, 300)) {
        len = 1 + choice_below(choice, (unsigned)MIN(len, choice_chance(choice, 500) ? 8 : len));
    }
    result = SSL_write(tls->ssl, payload.data, (int)MIN(len, (size_t)SSL3_RT_MAX_PLAIN_LENGTH));
    if (result <= 0) {
        fail("TLS can't write");
    }
    sim_tls_put_answer(tls, to);
    return (size_t)result;
}

void sim_tls_put_garbage(struct sim_tls *tls, struct choice *choice, struct bytes *to)
{
    static const char text[] = "GET / HTTP/1.1\r\n\r\n";
    uint8_t record[HEAD_SIZE + 40] = {RECORD_APPLICATION_DATA, 3, 3, 0, 40};

    tls->is_spoilt = true;
    for (unsigned i = HEAD_SIZE; i < sizeof(record); i++) {
        record[i] = (uint8_t)choice_below(choice, 256);
    }
    if (choice_chance(choice, 700)) {
        bytes_write(to, record, sizeof(record));
    } else {
        bytes_write(to, text, sizeof(text) - 1);
    }
}

void sim_tls_put_close(struct sim_tls *tls, struct bytes *to)
{
    ERR_clear_error();
    SSL_shutdown(tls->ssl);
    sim_tls_put_answer(tls, to);
}

/* ---- what comes in ---- */

static size_t record_size(const struct bytes *record)
{
    const uint8_t *head = record->data;

    if (record->written < HEAD_SIZE) {
        return HEAD_SIZE;
    }
    if (head[0] < RECORD_CHANGE_CIPHER_SPEC || head[0] > RECORD_APPLICATION_DATA || head[1] != 3) {
        sim_fail("the server begins a record of TLS with %02X %02X", head[0], head[1]);
    }
    return HEAD_SIZE + ((size_t)head[3] << 8 | head[4]);
}

/* Of `*bytes` what the record at hand lacks. False: it lacks more. */
static bool complete(struct sim_tls *tls, struct slice *bytes)
{
    struct bytes *record = &tls->record;

    while (bytes->len > 0 && record->written < record_size(record)) {
        size_t part = MIN(bytes->len, record_size(record) - record->written);

        bytes_write(record, bytes->data, part);
        *bytes = slice_skip(*bytes, part);
    }
    if (record_size(record) > HEAD_SIZE + RECORD_MAX) {
        sim_fail("the server sends a record of TLS of %zu bytes", record_size(record));
    }
    return record->written > HEAD_SIZE && record->written == record_size(record);
}

static void open_record(struct sim_tls *tls)
{
    uint8_t buffer[4096];
    int len;

    ERR_clear_error();
    BIO_write(SSL_get_rbio(tls->ssl), tls->record.data, (int)tls->record.written);
    tls->record.written = 0;
    tls->plain.written = 0;
    while ((len = SSL_read(tls->ssl, buffer, sizeof(buffer))) > 0) {
        bytes_write(&tls->plain, buffer, (size_t)len);
    }
    switch (SSL_get_error(tls->ssl, len)) {
    case SSL_ERROR_WANT_READ: break;
    case SSL_ERROR_ZERO_RETURN: tls->is_closed = true; break;
    default:
        if (!tls->is_spoilt) {
            fail("what the server sends is no TLS");
        }
        tls->is_closed = true;
    }
    tls->is_ready |= SSL_is_init_finished(tls->ssl) != 0;
    tls->is_reused = SSL_session_reused(tls->ssl) != 0;
}

struct slice sim_tls_take(struct sim_tls *tls, struct slice *bytes)
{
    if (tls->is_closed && bytes->len > 0) {
        sim_fail("the server talks on behind the end of its TLS");
    }
    if (!complete(tls, bytes)) {
        return slice_of(NULL, 0);
    }
    open_record(tls);
    return bytes_rest(&tls->plain);
}

void sim_tls_deinit(struct sim_tls *tls)
{
    SSL_free(tls->ssl);
    tls->ssl = NULL;
    bytes_deinit(&tls->record);
    bytes_deinit(&tls->plain);
}
