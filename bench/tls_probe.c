/*
 * What a TLS connection takes that only waits, and nothing else: so many server objects of OpenSSL
 * with their buffers released, each after a whole handshake with a client that lies in memory and
 * goes. Prints the growth of resident memory for each as JSON.
 *
 * usage: bench-tls NUMBER CERTIFICATE KEY
 */

#include "bench/meter.h"
#include "bench/tool.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* OpenSSL, the rules and the first objects have what they need for ever. */
#define WARM_UP 100

static SSL_CTX *rules_new(const SSL_METHOD *method)
{
    SSL_CTX *rules = SSL_CTX_new(method);

    if (!rules) {
        tool_die("no TLS");
    }
    SSL_CTX_set_mode(rules, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(rules, SSL_SESS_CACHE_OFF);
    return rules;
}

static SSL *object_new(SSL_CTX *rules, BIO *bio)
{
    SSL *object = SSL_new(rules);

    if (!object || !bio) {
        tool_die("no TLS object");
    }
    SSL_set_bio(object, bio, bio);
    return object;
}

/* Turn by turn until both are through, and the client has read what the server sent behind it. */
static void shake_hands(SSL *server, SSL *client)
{
    char byte;

    for (unsigned i = 0; i < 10; i++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    if (!SSL_is_init_finished(client) || !SSL_is_init_finished(server)) {
        tool_die("the handshake does not end");
    }
    SSL_read(client, &byte, 1);
    SSL_read(server, &byte, 1); /* finds nothing, and lets the buffer go */
}

/* The client and what the two spoke through are gone afterwards; a socket costs no memory here. */
static SSL *connection_new(SSL_CTX *server_rules, SSL_CTX *client_rules)
{
    BIO *near = NULL;
    BIO *far = NULL;
    SSL *server;
    SSL *client;

    if (!BIO_new_bio_pair(&near, 0, &far, 0)) {
        tool_die("no pair of BIOs");
    }
    server = object_new(server_rules, near);
    client = object_new(client_rules, far);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    shake_hands(server, client);
    SSL_free(client);
    SSL_set_bio(server, NULL, NULL);
    return server;
}

int main(int argc, char **argv)
{
    unsigned len = argc == 4 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    SSL_CTX *server_rules = rules_new(TLS_server_method());
    SSL_CTX *client_rules = rules_new(TLS_client_method());
    SSL **objects = tool_alloc(len + WARM_UP, sizeof(SSL *));
    uint64_t before = 0;
    uint64_t after;

    if (len == 0 || SSL_CTX_use_certificate_chain_file(server_rules, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(server_rules, argv[3], SSL_FILETYPE_PEM) != 1) {
        tool_die("usage: bench-tls NUMBER CERTIFICATE KEY");
    }
    for (unsigned i = 0; i < len + WARM_UP; i++) {
        if (i == WARM_UP) {
            before = meter_resident_bytes(getpid());
        }
        objects[i] = connection_new(server_rules, client_rules);
    }
    after = meter_resident_bytes(getpid());
    printf("{\"scenario\": \"tls\", \"connections\": %u, \"bytes\": %.0f}\n", len,
           ((double)after - (double)before) / len);
    for (unsigned i = 0; i < len + WARM_UP; i++) {
        SSL_free(objects[i]);
    }
    free(objects);
    SSL_CTX_free(client_rules);
    SSL_CTX_free(server_rules);
    return 0;
}
