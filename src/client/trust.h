#pragma once

/*
 * Trust
 *
 * What is known of a client's TLS, by its own handshake with us or by the PROXY header's word, and
 * what that is worth to its listener: whether it is enough to come in, and which name it gives. A
 * header without an address of the client tells nothing; its CONNECT is served where nothing is
 * asked for, and refused where something is, so that a check that speaks MQTT sees in both cases
 * that the broker lives. On the client's worker.
 */

#include "client/client.h"

/* The header is whole: whether the client may go on. */
bool trust_header(const struct client *client);

/*
 * The same for CONNECT, with the terms that hold by now; puts the name of the certificate in the
 * place of the one that CONNECT gives. MQTT_NOT_AUTHORIZED; MQTT_BAD_USERNAME_OR_PASSWORD: there is
 * no name; MQTT_SERVER_BUSY: no memory for it.
 */
enum mqtt_reason trust_connect(struct client *client, struct mqtt_connect *connect);

/*
 * What is known of a client whose handshakes are over. All of it is the client's, and lasts as
 * long; what a proxy told is raw. Empty: nothing is known.
 */
struct trust_facts {
    bool is_tls;
    bool is_proxys;       /* that TLS ended at the proxy */
    bool has_certificate; /* that was asked for and is good */
    struct slice version;
    struct slice cipher;
    struct slice authority; /* the host name that it asked for */
    struct slice alpn;
};

void trust_describe(const struct client *client, struct trust_facts *facts_out);

/*
 * The common name of its certificate, or the identity of its pre-shared key, on the heap. A name is
 * its own only if it has a certificate that is good. -ENOENT: none; -ENOMEM.
 */
int trust_common_name(const struct client *client, char **name_out) MUST_CHECK;

/* " (TLSv1.3, TLS_AES_128_GCM_SHA256, id X)" of what the proxy told; or nothing. */
#define TRUST_TOLD_CAP 1024
const char *trust_told(const struct client *client, char text[TRUST_TOLD_CAP]);
