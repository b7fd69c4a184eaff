#include "app/decode_proxy.h"

#include "base/memory.h"
#include "base/text.h"
#include "net/certificate.h"
#include "net/proxy.h"

#include <string.h>

#define VALUE_CAP 512

/* Answers how many bytes there are; -EINVAL. */
static ssize_t read_hex(const char *hex, uint8_t *bytes)
{
    size_t len = 0;
    int high = -1;

    for (; *hex; hex++) {
        int digit = text_hex_digit((uint8_t)*hex);

        if (digit < 0 && (high >= 0 || !strchr(" \t\r\n:", *hex))) {
            return -EINVAL;
        }
        if (digit >= 0 && high >= 0) {
            bytes[len++] = (uint8_t)(high << 4 | digit);
            high = -1;
        } else if (digit >= 0) {
            high = digit;
        }
    }
    return high < 0 ? (ssize_t)len : -EINVAL;
}

static void print_address(FILE *out, const char *name, const struct address *address)
{
    char text[ADDRESS_TEXT_CAP];

    if (address_format(address, text) > 0) {
        fprintf(out, "%s: %s port %u\n", name, text, address->port);
    }
}

static void print_fields(FILE *out, const struct proxy_info *info)
{
    static const struct {
        enum proxy_field field;
        const char *name;
    } fields[] = {
        {PROXY_ALPN,                "ALPN"               },
        {PROXY_AUTHORITY,           "authority"          },
        {PROXY_UNIQUE_ID,           "unique id"          },
        {PROXY_COMMON_NAME,         "common name"        },
        {PROXY_TLS_VERSION,         "TLS version"        },
        {PROXY_CIPHER,              "cipher"             },
        {PROXY_SIGNATURE_ALGORITHM, "signature algorithm"},
        {PROXY_KEY_ALGORITHM,       "key algorithm"      },
        {PROXY_SOURCE_PATH,         "source path"        },
        {PROXY_DESTINATION_PATH,    "destination path"   },
    };
    char value[VALUE_CAP];

    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        struct slice found = proxy_find(info, fields[i].field);

        if (found.data) {
            text_escape(value, sizeof(value), found);
            fprintf(out, "%s: %s\n", fields[i].name, value);
        }
    }
}

static void print_certificate(FILE *out, const struct proxy_info *info)
{
    struct slice certificate = proxy_find(info, PROXY_CLIENT_CERTIFICATE);
    char *subject = NULL;
    int r;

    if (!certificate.data) {
        return;
    }
    r = certificate_subject(certificate, &subject);
    fprintf(out, "client certificate: %zu bytes, %s%s\n", certificate.len,
            r == 0 ? "subject " : "no subject can be read", r == 0 ? subject : "");
    memory_free(subject);
}

static void print_tls(FILE *out, const struct proxy_info *info)
{
    static const char *const names[] = {
        [PROXY_NAME_NONE] = "none",
        [PROXY_NAME_UNFIT] = "none, for the common name can't be one",
        [PROXY_NAME_SLASHED] = "the common name, with proxy_protocol_common_name_slash alone",
        [PROXY_NAME_FIT] = "the common name",
    };
    const char *certificate = info->is_certificate_verified ? "verified"
                              : info->verify                ? "not verified"
                                                            : "none";

    fprintf(out, "client's TLS: %s\n", info->is_tls ? "yes" : "no");
    fprintf(out, "client's certificate: %s", certificate);
    fprintf(out, info->verify ? " (error %u)\n" : "\n", info->verify);
    fprintf(out, "name for use_identity_as_username: %s\n", names[info->common_name]);
}

static void print_info(FILE *out, const struct proxy_info *info, const struct address *destination)
{
    char cloud[PROXY_CLOUD_CAP];

    fprintf(out, "version: %u\ncommand: %s\n", info->version,
            info->command == PROXY_COMMAND_LOCAL ? "LOCAL" : "PROXY");
    if (info->has_address) {
        print_address(out, "source", &info->source);
        print_address(out, "destination", destination);
        print_tls(out, info);
    } else {
        fputs("source: not told; the connection's own addresses hold\n", out);
    }
    print_fields(out, info);
    print_certificate(out, info);
    if (*proxy_cloud_text(info, cloud)) {
        fprintf(out, "endpoint: %s\n", cloud);
    }
    if (info->custom_len) {
        fprintf(out, "custom TLVs: %u\n", info->custom_len);
    }
}

static int decode(struct slice bytes, FILE *out)
{
    struct proxy_demands demands = {
        .accept = PROXY_ANY, .wants_certificate = true, .wants_rest = true};
    CLEANUP(proxy_parser_free) struct proxy_parser *parser = NULL;
    CLEANUP(proxy_info_free) struct proxy_info *info = NULL;
    enum proxy_verdict verdict = PROXY_MORE;
    struct address destination;
    size_t used = 0;
    int r = proxy_parser_new(&demands, &parser);

    if (r < 0) {
        return r;
    }
    if (bytes.len > 0) {
        verdict = proxy_feed(parser, bytes, &used);
    }
    if (verdict == PROXY_MORE) {
        fprintf(out, "not whole: %zu bytes, and the header goes on\n", bytes.len);
        return 1;
    }
    if (verdict == PROXY_REFUSED && proxy_refusal(parser) == PROXY_REFUSAL_MEMORY) {
        return -ENOMEM;
    }
    if (verdict == PROXY_REFUSED) {
        fprintf(out, "refused: %s (at byte %zu of %zu)\n",
                proxy_refusal_word(proxy_refusal(parser)), used, bytes.len);
        return 1;
    }
    destination = proxy_destination(parser);
    info = proxy_take(parser);
    print_info(out, info, &destination);
    fprintf(out, "header: %zu bytes; behind it: %zu bytes of the client\n", used, bytes.len - used);
    return 0;
}

int decode_proxy(const char *hex, FILE *out)
{
    uint8_t *bytes = memory_alloc(strlen(hex) / 2 + 1);
    ssize_t len = bytes ? read_hex(hex, bytes) : -ENOMEM;
    int r = len < 0 ? (int)len : decode(slice_of(bytes, (size_t)len), out);

    memory_free(bytes);
    return r;
}
