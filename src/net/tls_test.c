#include "base/test.h"
#include "net/tls.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <unistd.h>

/*
 * A client of OpenSSL against the stage, in memory: what scenarios can't wait for, such as keys of
 * tickets that grow old. The certificate is made here.
 */

#define MINUTE_MS (UINT64_C(60) * 1000)

struct fixture {
    char certfile[64];
    char keyfile[64];
    struct tls_library *library;
    struct stage_source *source;
    struct listener_settings settings;
    struct output_pool pool;
    uint8_t *room;
    struct stage_io io;
    SSL_CTX *client;
};

static FILE *make_file(char path[64])
{
    int fd;

    snprintf(path, 64, "/tmp/nightjar-tls-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    return fdopen(fd, "w");
}

static void write_files(struct fixture *f)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    FILE *file = make_file(f->keyfile);

    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)"localhost", -1,
                               -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    file = make_file(f->certfile);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void make_source(struct fixture *f, uint64_t now_ms)
{
    const struct tls_params params = {.settings = &f->settings, .now_ms = now_ms};
    struct tls_error error;

    assert_int_equal(tls_source_new(f->library, &params, &error, &f->source), TLS_OK);
}

static int setup(void **state)
{
    struct fixture *f = memory_must_alloc_zero(1, sizeof(*f));

    tls_count_memory();
    write_files(f);
    f->settings.tls.certfile = f->certfile;
    f->settings.tls.keyfile = f->keyfile;
    assert_int_equal(tls_library_new(2, -1, &f->library), 0);
    output_pool_init(&f->pool);
    f->room = memory_must_alloc(STREAM_PLAIN_CAP + STREAM_GATHER_CAP);
    f->io = (struct stage_io){
        .pool = &f->pool,
        .plain = f->room,
        .gather = f->room + STREAM_PLAIN_CAP,
        .now_ms = 1000,
    };
    make_source(f, 1000);
    f->client = SSL_CTX_new(TLS_client_method());
    assert_non_null(f->client);
    SSL_CTX_set_session_cache_mode(f->client, SSL_SESS_CACHE_CLIENT);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    SSL_CTX_free(f->client);
    stage_source_unref(f->source);
    tls_library_free(f->library);
    output_pool_deinit(&f->pool);
    unlink(f->certfile);
    unlink(f->keyfile);
    memory_free(f->room);
    memory_free(f);
    return 0;
}

/* A connection: both ends, with nothing but memory between. */

struct pair {
    struct stream *stream;
    SSL *ssl;
    BIO *from; /* for the client to read */
    BIO *to;
};

static struct pair connect_to(struct fixture *f, unsigned worker, SSL_SESSION *session)
{
    struct pair pair = {.from = BIO_new(BIO_s_mem()), .to = BIO_new(BIO_s_mem())};
    struct stage *stage;

    assert_int_equal(f->source->ops->make(f->source, worker, &stage), 0);
    assert_int_equal(stream_new(&pair.stream), 0);
    stream_push(pair.stream, stage);
    pair.ssl = SSL_new(f->client);
    SSL_set_bio(pair.ssl, pair.from, pair.to);
    SSL_set_connect_state(pair.ssl);
    if (session) {
        assert_int_equal(SSL_set_session(pair.ssl, session), 1);
    }
    return pair;
}

static void pair_free(struct fixture *f, struct pair *pair)
{
    stream_free(pair->stream, &f->pool);
    SSL_free(pair->ssl);
}

/* What the stage has said goes to the client. */
static void carry_back(struct fixture *f, struct pair *pair)
{
    struct output *wire = stream_wire(pair->stream);

    while (!output_is_empty(wire)) {
        struct iovec piece;

        assert_int_equal(output_vector(wire, &piece, 1), 1);
        assert_int_equal(BIO_write(pair->from, piece.iov_base, (int)piece.iov_len), piece.iov_len);
        output_consume(wire, &f->pool, piece.iov_len);
    }
}

/* What the client has said goes to the stage, `step` bytes at a time. Answers what it held. */
static size_t carry(struct fixture *f, struct pair *pair, size_t step, uint8_t *plain)
{
    uint8_t bytes[STREAM_READ_MAX];
    size_t size = 0;
    int len;

    while ((len = BIO_read(pair->to, bytes, (int)step)) > 0) {
        struct slice slice = slice_of(bytes, (size_t)len);

        f->io.news = STAGE_NEWS_NONE;
        stream_open(pair->stream, &slice, &f->io);
        memcpy(plain + size, slice.data, slice.len);
        size += slice.len;
    }
    carry_back(f, pair);
    return size;
}

static void shake_hands(struct fixture *f, struct pair *pair, size_t step)
{
    uint8_t none[16];

    for (unsigned i = 0; i < 4; i++) {
        SSL_do_handshake(pair->ssl);
        assert_int_equal(carry(f, pair, step, none), 0);
    }
    assert_true(SSL_is_init_finished(pair->ssl));
    assert_false(stream_is_costly(pair->stream));
    /* Takes the ticket in. */
    assert_int_equal(SSL_read(pair->ssl, none, sizeof(none)), -1);
}

/* Comes, perhaps with a session, and answers that of this time; the caller's. */
static SSL_SESSION *visit(struct fixture *f, unsigned worker, uint64_t now_ms, SSL_SESSION *session,
                          bool resumes)
{
    struct pair pair = connect_to(f, worker, session);
    SSL_SESSION *next;

    f->io.now_ms = now_ms;
    shake_hands(f, &pair, STREAM_READ_MAX);
    assert_int_equal(SSL_session_reused(pair.ssl), resumes);
    next = SSL_get1_session(pair.ssl);
    SSL_shutdown(pair.ssl);
    pair_free(f, &pair);
    return next;
}

static void allow(struct fixture *f, int version)
{
    SSL_CTX_set_min_proto_version(f->client, version);
    SSL_CTX_set_max_proto_version(f->client, version);
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* A ticket is good at the other worker, an hour later as well, but not for ever. */
static void test_tickets_grow_old(void **state)
{
    static const struct {
        unsigned minutes;
        bool resumes;
    } rows[] = {
        {0,    true },
        {59,   true },
        {61,   true },
        {119,  true },
        {121,  false},
        {6000, false}
    };
    struct fixture *f = *state;

    for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
        allow(f, versions[v]);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            SSL_SESSION *first;

            stage_source_unref(f->source);
            make_source(f, 1000);
            first = visit(f, 0, 1000, NULL, false);
            SSL_SESSION_free(
                visit(f, 1, 1000 + rows[i].minutes * MINUTE_MS, first, rows[i].resumes));
            SSL_SESSION_free(first);
        }
    }
}

/* Who comes in each period can go on resuming with what it got last. */
static void test_tickets_are_renewed(void **state)
{
    struct fixture *f = *state;
    SSL_SESSION *session = visit(f, 0, 1000, NULL, false);

    for (unsigned i = 1; i <= 5; i++) {
        SSL_SESSION *next = visit(f, i % 2, 1000 + i * 50 * MINUTE_MS, session, true);

        SSL_SESSION_free(session);
        session = next;
    }
    SSL_SESSION_free(session);
}

/* What it asks for, and what it is told of that; a resumed session of 1.2 keeps what it first
 * asked for. */
static void test_what_it_tells(void **state)
{
    static const struct {
        const char *authority;
        const char *asked; /* protocols, each behind its length */
        const char *alpn;
    } rows[] = {
        {"a.example",            "\4mqtt",               "mqtt"},
        {"127.example.b",        "\2h2\1x\4mqtt\5mqtt2", "mqtt"},
        {"two words/+#",         "\10http/1.1",          ""    },
        {"\xC3\xA4\xFF\r\n\x1B", "\5mqtt2\3mqt",         ""    },
        {NULL,                   "",                     ""    }
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(versions) * ARRAY_LEN(rows); i++) {
        char *authority = (char *)(uintptr_t)rows[i / 2].authority;
        const char *asked = rows[i / 2].asked;
        SSL_SESSION *session = NULL;

        allow(f, versions[i % 2]);
        for (unsigned turn = 0; turn < 2; turn++) {
            struct pair pair = connect_to(f, turn, session);
            struct stage_facts facts;

            assert_int_equal(SSL_set_tlsext_host_name(pair.ssl, authority), 1);
            assert_int_equal(
                SSL_set_alpn_protos(pair.ssl, (const uint8_t *)asked, (unsigned)strlen(asked)), 0);
            assert_false(stream_describe(pair.stream, &facts));
            shake_hands(f, &pair, 10);
            assert_int_equal(SSL_session_reused(pair.ssl), turn);
            assert_true(stream_describe(pair.stream, &facts));
            assert_string_equal(facts.version, SSL_get_version(pair.ssl));
            assert_string_equal(facts.cipher, SSL_get_cipher_name(pair.ssl));
            assert_true(slice_is_equal(facts.authority, slice_of_text(authority ? authority : "")));
            assert_true(slice_is_equal(facts.alpn, slice_of_text(rows[i / 2].alpn)));
            SSL_SESSION_free(session);
            session = SSL_get1_session(pair.ssl);
            SSL_shutdown(pair.ssl);
            pair_free(f, &pair);
        }
        SSL_SESSION_free(session);
    }
}

static void test_another_source_takes_none(void **state)
{
    struct fixture *f = *state;
    SSL_SESSION *session = visit(f, 0, 1000, NULL, false);

    stage_source_unref(f->source);
    make_source(f, 1000);
    SSL_SESSION_free(visit(f, 0, 1000, session, false));
    SSL_SESSION_free(session);
}

/* Both ways, in pieces of any size, also of more than a record. */
static void test_bytes(void **state)
{
    static const size_t steps[] = {1, 7, 1000, STREAM_READ_MAX};
    struct fixture *f = *state;
    uint8_t *sent = memory_must_alloc(100000);
    uint8_t *got = memory_must_alloc(200000);

    for (size_t i = 0; i < 100000; i++) {
        sent[i] = (uint8_t)(i * i >> 4);
    }
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct pair pair = connect_to(f, 0, NULL);
        struct output plain = {0};
        uint8_t *at;
        size_t size = 0;

        shake_hands(f, &pair, steps[i]);
        assert_int_equal(SSL_write(pair.ssl, sent, 100000), 100000);
        assert_int_equal(carry(f, &pair, steps[i], got), 100000);
        assert_memory_equal(got, sent, 100000);
        at = output_reserve(&plain, &f->pool, 100000);
        memcpy(at, sent, 100000);
        output_commit(&plain, &f->pool, at + 100000, true);
        while (size < 100000) {
            int len;

            assert_int_equal(stream_seal(pair.stream, &plain, &f->io), 0);
            assert_true(stream_size(pair.stream) < 2 * (size_t)STREAM_WIRE_HIGH);
            carry_back(f, &pair);
            while ((len = SSL_read(pair.ssl, got + size, 50000)) > 0) {
                size += (size_t)len;
            }
        }
        assert_memory_equal(got, sent, 100000);
        stream_end(pair.stream, &f->io);
        carry_back(f, &pair);
        assert_int_equal(SSL_read(pair.ssl, got, 1), 0);
        assert_int_equal(SSL_get_error(pair.ssl, 0), SSL_ERROR_ZERO_RETURN);
        pair_free(f, &pair);
    }
    memory_free(sent);
    memory_free(got);
}

/* What OpenSSL allocates is counted with ours. */
static void test_memory(void **state)
{
    struct fixture *f = *state;
    struct pair pair;
    uint64_t most;
    uint64_t before;

    /* Algorithms stay once they were looked up. */
    SSL_SESSION_free(visit(f, 0, 1000, NULL, false));
    before = memory_used(&most);
    pair = connect_to(f, 0, NULL);
    assert_true(memory_used(&most) > before + 5000);
    shake_hands(f, &pair, STREAM_READ_MAX);
    pair_free(f, &pair);
    assert_true(memory_used(&most) < before + 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_tickets_grow_old, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tickets_are_renewed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_it_tells, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_source_takes_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
