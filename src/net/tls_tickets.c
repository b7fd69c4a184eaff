#include "net/tls_context.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

/* How long a key makes tickets, and then goes on taking them. */
#define PERIOD_MS (UINT64_C(60) * 60 * 1000)

/* What a period's secret becomes. */
enum use { USE_NEXT = 'n', USE_KEYS = 'k' };

struct keys {
    uint8_t cipher[32];
    uint8_t mac[32];
};

static_assert(sizeof(struct keys) == 64, "what SHA-512 gives");

static bool derive(const struct tls_tickets *tickets, const uint8_t secret[32], enum use use,
                   struct keys *keys_out)
{
    uint8_t from[33];
    bool is_made;

    memcpy(from, secret, 32);
    from[32] = (uint8_t)use;
    is_made = EVP_Q_digest(tickets->library, "SHA512", NULL, from, sizeof(from),
                           (unsigned char *)keys_out, NULL) == 1;
    OPENSSL_cleanse(from, sizeof(from));
    return is_made;
}

/* To the period of now. */
static bool go_on(struct tls_tickets *tickets, uint64_t now_ms)
{
    uint64_t period = (MAX(now_ms, tickets->made_ms) - tickets->made_ms) / PERIOD_MS;
    struct keys next;
    bool is_made = true;

    while (tickets->period < period && is_made) {
        is_made = derive(tickets, tickets->secrets[0], USE_NEXT, &next);
        if (is_made) {
            memcpy(tickets->secrets[1], tickets->secrets[0], 32);
            memcpy(tickets->secrets[0], next.cipher, 32);
            tickets->period++;
        }
    }
    OPENSSL_cleanse(&next, sizeof(next));
    return is_made;
}

static void put_name(const struct tls_tickets *tickets, unsigned char name[16])
{
    memcpy(name, tickets->name, 8);
    for (unsigned i = 0; i < 8; i++) {
        name[8 + i] = (unsigned char)(tickets->period >> (56 - 8 * i));
    }
}

/* Which of the two secrets a ticket is of: 0 or 1; -1: of none. */
static int find_secret(const struct tls_tickets *tickets, const unsigned char name[16])
{
    uint64_t period = 0;

    for (unsigned i = 0; i < 8; i++) {
        period = period << 8 | name[8 + i];
    }
    if (memcmp(name, tickets->name, 8) != 0) {
        return -1;
    }
    if (period == tickets->period) {
        return 0;
    }
    return tickets->period > 0 && period == tickets->period - 1 ? 1 : -1;
}

static bool start_mac(EVP_MAC_CTX *mac, uint8_t key[32])
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key, 32),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* As OpenSSL wants it: 1, 0: the ticket is no good, 2: it is, and a new one is due; -1: failed. */
/* NOLINTNEXTLINE(readability-function-size): so many are given. */
static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_new)
{
    struct tls_context *context = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct tls_tickets *tickets = &context->tickets;
    struct keys keys;
    int which = 0;
    bool is_done;

    if (!go_on(tickets, tls_now_ms(ssl))) {
        return -1;
    }
    if (is_new) {
        put_name(tickets, name);
        if (RAND_bytes_ex(tickets->library, iv, 16, 0) != 1) {
            return -1;
        }
    } else {
        which = find_secret(tickets, name);
    }
    if (which < 0) {
        return 0;
    }
    is_done = derive(tickets, tickets->secrets[which], USE_KEYS, &keys) &&
              EVP_CipherInit_ex2(cipher, tickets->cipher, keys.cipher, iv, is_new, NULL) == 1 &&
              start_mac(mac, keys.mac);
    OPENSSL_cleanse(&keys, sizeof(keys));
    if (!is_done) {
        return -1;
    }
    /* In TLS 1.3 each ticket is for one connection, which gets another. */
    return which == 1 || (!is_new && SSL_version(ssl) == TLS1_3_VERSION) ? 2 : 1;
}

int tls_tickets_init(struct tls_context *context, OSSL_LIB_CTX *library,
                     const struct tls_ticket_seed *seed)
{
    struct tls_tickets *tickets = &context->tickets;

    tickets->made_ms = seed->made_ms;
    memcpy(tickets->name, seed->name, sizeof(tickets->name));
    memcpy(tickets->secrets[0], seed->secret, 32);
    tickets->library = library;
    tickets->cipher = EVP_CIPHER_fetch(library, "AES-256-CBC", NULL);
    if (!tickets->cipher || !SSL_CTX_set_tlsext_ticket_key_evp_cb(context->ssl, on_ticket)) {
        return -ENOMEM;
    }
    /* A ticket is taken for two periods at most. */
    SSL_CTX_set_timeout(context->ssl, (long)(2 * PERIOD_MS / 1000));
    return SSL_CTX_set_num_tickets(context->ssl, 1) == 1 ? 0 : -ENOMEM;
}

void tls_tickets_deinit(struct tls_tickets *tickets)
{
    EVP_CIPHER_free(tickets->cipher);
    OPENSSL_cleanse(tickets, sizeof(*tickets));
}
