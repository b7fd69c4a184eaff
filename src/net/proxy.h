#pragma once

/*
 * PROXY protocol
 *
 * The receiver's side of the header that a load balancer puts in front of a connection, in both
 * versions: bytes go in as they come, the client's real address and the facts of its TLS come out.
 * Pure: no sockets, no clock.
 */

#include "base/address.h"

struct proxy_parser;

/* The versions that a listener accepts: any of these bits. */
enum proxy_versions { PROXY_V1 = 1, PROXY_V2 = 2, PROXY_ANY = PROXY_V1 | PROXY_V2 };

enum proxy_verdict {
    PROXY_MORE,   /* the header goes on */
    PROXY_DONE,   /* proxy_take() has the result; what follows in the input is the client's */
    PROXY_REFUSED /* proxy_refusal() says why; close the connection */
};

/* Why a connection was refused; each has a word for logs and counters. */
enum proxy_refusal {
    PROXY_REFUSAL_NONE,
    PROXY_REFUSAL_SIGNATURE, /* does not begin like a header */
    PROXY_REFUSAL_VERSION,   /* no such version, or one that the listener does not accept */
    PROXY_REFUSAL_COMMAND,
    PROXY_REFUSAL_FAMILY,
    PROXY_REFUSAL_LENGTH,  /* too short for the addresses */
    PROXY_REFUSAL_ADDRESS, /* version 1: not an address, not a port */
    PROXY_REFUSAL_LINE,    /* version 1: not the line that the text demands */
    PROXY_REFUSAL_TLV,     /* broken framing, a value longer than allowed, one given twice */
    PROXY_REFUSAL_CRC,
    PROXY_REFUSAL_MEMORY,

    /* The caller's own; the parser never answers these. */
    PROXY_REFUSAL_INCOMPLETE, /* the peer closed inside the header */
    PROXY_REFUSAL_TIMEOUT,
    PROXY_REFUSAL_UNTRUSTED,
    PROXY_REFUSAL_POLICY,
    PROXY_REFUSAL_NAME, /* no name for the client, or none that may be one */
    PROXY_REFUSAL_LEN
};

enum proxy_command { PROXY_COMMAND_LOCAL, PROXY_COMMAND_PROXY };

/* What a header may carry beside addresses, as it was sent: escape it before logging it. */
enum proxy_field {
    PROXY_ALPN,
    PROXY_AUTHORITY, /* the host name asked for */
    PROXY_UNIQUE_ID,
    PROXY_COMMON_NAME, /* never an identity unless `common_name` says so */
    PROXY_TLS_VERSION,
    PROXY_CIPHER,
    PROXY_SIGNATURE_ALGORITHM, /* of the proxy's own certificate, like the next; if wants_rest */
    PROXY_KEY_ALGORITHM,
    PROXY_CLIENT_CERTIFICATE, /* DER; only where it is wanted */
    PROXY_SUBJECT,            /* the custom TLV that was asked for */
    PROXY_AWS,                /* of clouds, as their documents have them: proxy_cloud_text() */
    PROXY_AZURE,
    PROXY_GCP,
    PROXY_SOURCE_PATH, /* Unix sockets, if wants_rest; an abstract name begins with 0 */
    PROXY_DESTINATION_PATH
};

/* What a common name is worth as a user name. */
enum proxy_name {
    PROXY_NAME_NONE,    /* there is none, or nobody has verified it */
    PROXY_NAME_UNFIT,   /* no good UTF-8, or it has control characters, `+` or `#` in it */
    PROXY_NAME_SLASHED, /* fit, but for a slash: it would be several levels of a topic */
    PROXY_NAME_FIT
};

/* The types that anybody may use for what they like. */
#define PROXY_CUSTOM_FIRST 0xE0
#define PROXY_CUSTOM_LAST  0xEF

/* What a listener asks of a header. */
struct proxy_demands {
    enum proxy_versions accept;
    uint8_t subject_type;   /* the custom TLV that is kept as PROXY_SUBJECT; 0: none */
    bool wants_certificate; /* kilobytes that hardly anybody looks at */
    bool wants_rest;        /* what no client is known by: paths, algorithms of the proxy's own */
    bool requires_crc;      /* version 2 without a checksum is refused */
};

/*
 * The result. Immutable once its owner has filled it in; lives as long as the client, so it has no
 * more than is asked of a client later. Without
 * `has_address` (health checks of the proxy, and clients whose address it can't tell) the socket's
 * own addresses hold, and there are neither TLS facts nor fields.
 */
struct proxy_info {
    struct address source;
    struct address via; /* who sent the header: for its owner to fill in */
    uint32_t verify;    /* result of the certificate check; means success only with a certificate */
    uint32_t kept_size; /* private, like kept[] */
    uint16_t custom_len; /* TLVs of the ranges for custom use, which are skipped */
    uint8_t version;     /* 1 or 2 */
    uint8_t command;     /* enum proxy_command */
    bool has_address;
    bool is_tls;                  /* the client spoke TLS to the proxy */
    bool is_certificate_verified; /* and showed a certificate that the proxy verified */
    uint8_t common_name;          /* enum proxy_name */
    uint8_t kept[];
};

/* -ENOMEM. */
int proxy_parser_new(const struct proxy_demands *demands,
                     struct proxy_parser **parser_out) MUST_CHECK;
struct proxy_parser *proxy_parser_free(struct proxy_parser *parser);

/*
 * Takes what has arrived, in pieces of any size, and never a byte behind the header: the used bytes
 * are told in `*used_out`. Not to be called again after another verdict than PROXY_MORE.
 */
enum proxy_verdict proxy_feed(struct proxy_parser *parser, struct slice input,
                              size_t *used_out) MUST_CHECK;

/* After PROXY_DONE: the result, which is the caller's from now on. */
struct proxy_info *proxy_take(struct proxy_parser *parser) MUST_CHECK;

/* The same: where the client had connected to; its family tells whether that is known. */
struct address proxy_destination(const struct proxy_parser *parser);

/* After PROXY_REFUSED. */
enum proxy_refusal proxy_refusal(const struct proxy_parser *parser);

/* The client that a refused header spoke of, for the log; NULL when it did not come that far. */
const struct address *proxy_refused_source(const struct proxy_parser *parser);

const char *proxy_refusal_word(enum proxy_refusal refusal);

/* Lives as long as the result; `data` is NULL when the header did not carry the field. */
struct slice proxy_find(const struct proxy_info *info, enum proxy_field field);

/* "vpce-08d2bf15fac5001c9" and the like: what a cloud's balancer tells of the endpoint that the
 * client came by, as its console shows it. Empty without one. */
#define PROXY_CLOUD_CAP 128
const char *proxy_cloud_text(const struct proxy_info *info, char text[PROXY_CLOUD_CAP]);

struct proxy_info *proxy_info_free(struct proxy_info *info);

DEFINE_CLEANUP(struct proxy_parser *, proxy_parser_free)
DEFINE_CLEANUP(struct proxy_info *, proxy_info_free)
