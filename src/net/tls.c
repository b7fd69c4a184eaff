#include "net/tls.h"

#include "base/memory.h"
#include "net/certificate.h"
#include "net/proxy_rules.h"
#include "net/tls_context.h"

#include <openssl/bio.h>
#include <openssl/conf.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <unistd.h>

/*
 * OpenSSL never sees a socket: it reads from the bytes at hand and writes into the stage's wire. A
 * record that is not complete it keeps itself, and gives its buffers back when there is none.
 *
 * Its memory is counted with ours, so that memory_limit sees it, but never refused: OpenSSL does
 * not get over a failed allocation in every place. Who is let in is asked before instead.
 */

/* Owner: main. */
struct tls_library {
    BIO_METHOD *method;
    int keylog_fd; /* -1: none */
    unsigned worker_len;
    OSSL_LIB_CTX *contexts[];
};

/* Immutable and counted. */
struct tls_source {
    struct stage_source source;
    const BIO_METHOD *method;
    unsigned worker_len;
    struct tls_context contexts[]; /* one for each worker, and the worker's */
};

/* Owner: its stream. */
struct tls_stage {
    struct stage stage;
    SSL *ssl;
    struct stage_source *source; /* counted: what OpenSSL calls back into */
    char *identity;              /* of the pre-shared key; NULL: none was used */
    bool lacks_memory;           /* for it: the peer was refused for nothing else */
    bool is_ready;
    struct slice in;     /* in a call: what was not read yet */
    struct stage_io *io; /* in a call */
};

/* Memory: in parentheses, since base/failpoint.h means others. */

static void *count_alloc(size_t size, const char *file, int line)
{
    bool was_exempt = memory_exempt(true);
    void *memory = size > 0 ? (memory_alloc)(size) : NULL;

    (void)file;
    (void)line;
    memory_exempt(was_exempt);
    return memory;
}

static void *count_resize(void *memory, size_t size, const char *file, int line)
{
    bool was_exempt = memory_exempt(true);
    void *resized = (memory_resize)(memory, size);

    (void)file;
    (void)line;
    memory_exempt(was_exempt);
    return resized;
}

static void count_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    memory_free(memory);
}

/* What OpenSSL calls for bytes */

static int bio_read(BIO *bio, char *to, int size)
{
    struct tls_stage *tls = BIO_get_data(bio);
    size_t len = MIN(tls->in.len, (size_t)size);

    BIO_clear_retry_flags(bio);
    if (len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(to, tls->in.data, len);
    tls->in = slice_skip(tls->in, len);
    return (int)len;
}

static int bio_write(BIO *bio, const char *bytes, int size)
{
    struct tls_stage *tls = BIO_get_data(bio);
    struct output *wire = &tls->stage.wire;
    uint8_t *at = output_reserve(wire, tls->io->pool, (size_t)size);

    if (!at) {
        return -1;
    }
    memcpy(at, bytes, (size_t)size);
    output_commit(wire, tls->io->pool, at + size, false);
    return size;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stage");

    if (!method || !BIO_meth_set_read(method, bio_read) || !BIO_meth_set_write(method, bio_write) ||
        !BIO_meth_set_ctrl(method, bio_control)) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}

/* The stage */

static struct tls_stage *tls_of(const struct stage *stage)
{
    return CONTAINER_OF((struct stage *)(uintptr_t)stage, struct tls_stage, stage);
}

static void begin_call(struct tls_stage *tls, struct slice in, struct stage_io *io)
{
    ERR_clear_error();
    tls->in = in;
    tls->io = io;
}

/* Our one callback of a handshake, that for tickets, fails for nothing else. */
static bool is_for_want_of_memory(unsigned long code)
{
    return ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE ||
           (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_CALLBACK_FAILED);
}

/* What OpenSSL made of the last call that brought nothing. */
static enum stage_verdict judge(const struct tls_stage *tls, int result, struct stage_io *io)
{
    unsigned long code = ERR_peek_error();

    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ: return STAGE_OK;
    case SSL_ERROR_ZERO_RETURN: return STAGE_END;
    default: break;
    }
    if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
        ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        io->text = X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl));
    } else {
        io->text = ERR_reason_error_string(code);
    }
    if (!io->text || tls->lacks_memory || is_for_want_of_memory(code)) {
        io->text = "out of memory";
    } else {
        ERR_error_string_n(code, io->detail, sizeof(io->detail));
    }
    return STAGE_FAILED;
}

static void note_ready(struct tls_stage *tls, struct stage_io *io)
{
    tls->is_ready = true;
    io->news = SSL_session_reused(tls->ssl) ? STAGE_NEWS_RESUMED : STAGE_NEWS_READY;
}

static enum stage_verdict tls_unseal(struct stage *stage, struct slice *bytes, struct stage_io *io)
{
    struct tls_stage *tls = tls_of(stage);
    size_t size = 0;
    int result = 1;

    assert(bytes->len <= STREAM_READ_MAX);
    begin_call(tls, *bytes, io);
    if (!tls->is_ready) {
        result = SSL_accept(tls->ssl);
        if (result == 1) {
            note_ready(tls, io);
        }
    }
    while (result > 0) {
        assert(size < STREAM_PLAIN_CAP);
        result = SSL_read(tls->ssl, io->plain + size, (int)(STREAM_PLAIN_CAP - size));
        size += result > 0 ? (size_t)result : 0;
    }
    *bytes = slice_of(io->plain, size);
    return judge(tls, result, io);
}

/* What lies in small pieces goes into one record. */
static struct slice gather(const struct output *above, uint8_t *room)
{
    struct iovec vector[64];
    unsigned len = output_vector(above, vector, ARRAY_LEN(vector));
    size_t size = 0;

    assert(len > 0);
    if (vector[0].iov_len >= STREAM_GATHER_CAP) {
        return slice_of(vector[0].iov_base, STREAM_GATHER_CAP);
    }
    for (unsigned i = 0; i < len && size < STREAM_GATHER_CAP; i++) {
        size_t part = MIN(vector[i].iov_len, STREAM_GATHER_CAP - size);

        memcpy(room + size, vector[i].iov_base, part);
        size += part;
    }
    return slice_of(room, size);
}

static int tls_seal(struct stage *stage, struct output *above, struct stage_io *io)
{
    struct tls_stage *tls = tls_of(stage);

    while (!output_is_empty(above) && output_size(&stage->wire) <= STREAM_WIRE_HIGH) {
        struct slice piece = gather(above, io->gather);
        int result;

        begin_call(tls, slice_of(NULL, 0), io);
        result = SSL_write(tls->ssl, piece.data, (int)piece.len);
        if (result <= 0) {
            return -ENOMEM;
        }
        output_consume(above, io->pool, (size_t)result);
    }
    return 0;
}

static bool tls_is_ready(const struct stage *stage)
{
    return tls_of(stage)->is_ready;
}

/* An alert that says what is wrong was written when it was found. */
static void tls_end(struct stage *stage, bool is_failed, struct stage_io *io)
{
    struct tls_stage *tls = tls_of(stage);

    if (tls->is_ready && !is_failed) {
        begin_call(tls, slice_of(NULL, 0), io);
        SSL_shutdown(tls->ssl);
    }
}

static void tls_free(struct stage *stage)
{
    struct tls_stage *tls = tls_of(stage);

    assert(output_is_empty(&stage->wire));
    SSL_free(tls->ssl);
    stage_source_unref(tls->source);
    memory_free(tls->identity);
    memory_free(tls);
}

static bool tls_has_certificate(const struct stage *stage)
{
    const SSL *ssl = tls_of(stage)->ssl;

    return SSL_get0_peer_certificate(ssl) && SSL_get_verify_result(ssl) == X509_V_OK;
}

/* Under the same rules as a common name. */
static int copy_identity(const char *identity, char **name_out)
{
    if (proxy_judge_name(slice_of_text(identity)) != PROXY_NAME_FIT) {
        return -ENOENT;
    }
    *name_out = memory_copy_text(identity);
    return *name_out ? 0 : -ENOMEM;
}

static int tls_find_name(const struct stage *stage, enum stage_name which, char **name_out)
{
    const X509 *certificate = SSL_get0_peer_certificate(tls_of(stage)->ssl);

    if (tls_of(stage)->identity && which == STAGE_COMMON_NAME) {
        return copy_identity(tls_of(stage)->identity, name_out);
    }
    if (!tls_has_certificate(stage)) {
        return -ENOENT;
    }
    return which == STAGE_COMMON_NAME ? certificate_common_name(certificate, name_out)
                                      : certificate_subject_of(certificate, name_out);
}

static struct slice slice_of_name(const char *name)
{
    return name ? slice_of_text(name) : slice_of(NULL, 0);
}

static void tls_describe(const struct stage *stage, struct stage_facts *facts_out)
{
    const SSL *ssl = tls_of(stage)->ssl;
    const unsigned char *alpn;
    unsigned alpn_len;

    SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
    *facts_out = (struct stage_facts){
        .version = SSL_get_version(ssl),
        .cipher = SSL_get_cipher_name(ssl),
        .authority = slice_of_name(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)),
        .alpn = slice_of(alpn, alpn_len),
    };
}

/* From a callback. SSL_set_app_data() would keep the same pointer in a list of its own. */
static struct tls_stage *stage_of(const SSL *ssl)
{
    return BIO_get_data(SSL_get_rbio(ssl));
}

bool tls_note_identity(const SSL *ssl, const char *identity)
{
    struct tls_stage *tls = stage_of(ssl);

    memory_free(tls->identity);
    tls->identity = memory_copy_text(identity);
    tls->lacks_memory = tls->identity == NULL;
    return !tls->lacks_memory;
}

uint64_t tls_now_ms(const SSL *ssl)
{
    const struct tls_stage *tls = stage_of(ssl);

    return tls->io->now_ms;
}

static const struct stage_ops stage_ops = {
    .name = "TLS",
    .is_costly = true,
    .unseal = tls_unseal,
    .seal = tls_seal,
    .is_ready = tls_is_ready,
    .end = tls_end,
    .has_certificate = tls_has_certificate,
    .find_name = tls_find_name,
    .describe = tls_describe,
    .free = tls_free,
};

/* The source */

static struct tls_source *source_of(struct stage_source *source)
{
    return CONTAINER_OF(source, struct tls_source, source);
}

static int make_stage(struct stage_source *source, unsigned worker, struct stage **stage_out)
{
    struct tls_source *tls_source = source_of(source);
    struct tls_stage *tls = memory_alloc_zero(1, sizeof(*tls));
    BIO *bio;

    assert(worker < tls_source->worker_len);
    if (!tls) {
        return -ENOMEM;
    }
    tls->stage.ops = &stage_ops;
    tls->source = stage_source_ref(source);
    tls->ssl = SSL_new(tls_source->contexts[worker].ssl);
    bio = tls->ssl ? BIO_new(tls_source->method) : NULL;
    if (!bio) {
        tls_free(&tls->stage);
        return -ENOMEM;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_accept_state(tls->ssl);
    *stage_out = &tls->stage;
    return 0;
}

static void free_source(struct stage_source *source)
{
    struct tls_source *tls_source = source_of(source);

    for (unsigned i = 0; i < tls_source->worker_len; i++) {
        tls_context_deinit(&tls_source->contexts[i]);
    }
    memory_free(tls_source);
}

static const struct stage_source_ops source_ops = {
    .make = make_stage,
    .free = free_source,
};

bool tls_is_wanted(const struct listener_settings *settings)
{
    return settings->tls.certfile || settings->tls.keyfile || settings->tls.psk_hint;
}

/* Any worker's tickets are taken by all, and none that another source gave out. */
static int draw_seed(OSSL_LIB_CTX *library, uint64_t now_ms, struct tls_ticket_seed *seed_out)
{
    seed_out->made_ms = now_ms;
    return RAND_bytes_ex(library, seed_out->name, sizeof(seed_out->name), 0) == 1 &&
                   RAND_priv_bytes_ex(library, seed_out->secret, sizeof(seed_out->secret), 0) == 1
               ? 0
               : -ENOMEM;
}

static int make_contexts(const struct tls_library *library, const struct tls_params *params,
                         struct tls_source *source, struct tls_error *error)
{
    struct tls_ticket_seed seed;
    int r = draw_seed(library->contexts[0], params->now_ms, &seed);

    for (unsigned i = 0; i < library->worker_len && r == 0; i++) {
        struct tls_context *context = &source->contexts[i];

        source->worker_len++;
        context->keylog_fd = library->keylog_fd;
        context->keys = params->keys;
        r = tls_context_init(context, library->contexts[i], params->settings, error);
        if (r == TLS_OK) {
            r = tls_tickets_init(context, library->contexts[i], &seed);
        }
    }
    OPENSSL_cleanse(&seed, sizeof(seed));
    return r;
}

int tls_source_new(struct tls_library *library, const struct tls_params *params,
                   struct tls_error *error, struct stage_source **source_out)
{
    size_t size = library->worker_len * sizeof(struct tls_context);
    struct tls_source *source = memory_alloc_zero(1, sizeof(*source) + size);
    int r;

    if (!source) {
        return -ENOMEM;
    }
    source->source.ops = &source_ops;
    atomic_init(&source->source.refs, 1);
    source->method = library->method;
    r = make_contexts(library, params, source, error);
    if (r != 0) {
        stage_source_unref(&source->source);
        return r;
    }
    *source_out = &source->source;
    return TLS_OK;
}

/* The library */

/* The machine's own rules for all that use OpenSSL, where there are any. */
static bool load_rules(OSSL_LIB_CTX *context)
{
    char *path = CONF_get1_default_config_file();
    bool is_good = path && (access(path, R_OK) < 0 || OSSL_LIB_CTX_load_config(context, path) == 1);

    OPENSSL_free(path);
    return is_good;
}

void tls_count_memory(void)
{
    CRYPTO_set_mem_functions(count_alloc, count_resize, count_free);
}

int tls_library_new(unsigned worker_len, int keylog_fd, struct tls_library **library_out)
{
    CLEANUP(tls_library_free)
    struct tls_library *library =
        memory_alloc_zero(1, sizeof(*library) + worker_len * sizeof(library->contexts[0]));

    if (!library) {
        return -ENOMEM;
    }
    library->worker_len = worker_len;
    library->keylog_fd = keylog_fd;
    library->method = make_method();
    if (!library->method) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < worker_len; i++) {
        library->contexts[i] = OSSL_LIB_CTX_new();
        if (!library->contexts[i] || !load_rules(library->contexts[i])) {
            return -ENOMEM;
        }
    }
    *library_out = TAKE(library);
    return 0;
}

struct tls_library *tls_library_free(struct tls_library *library)
{
    if (library) {
        for (unsigned i = 0; i < library->worker_len; i++) {
            OSSL_LIB_CTX_free(library->contexts[i]);
        }
        BIO_meth_free(library->method);
        memory_free(library);
    }
    return NULL;
}
