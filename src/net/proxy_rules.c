#include "net/proxy_rules.h"

#include "base/utf8.h"

/*
 * The limits: ALPN, authority and unique id are those of the standards, so a longer value is no
 * value. For the others there is none; what is longer than any real one is not kept, so that
 * nothing is ever cut: a cut name would be another client's.
 */

/* clang-format off */
static const struct proxy_rule rules[] = {
    /* type  nested  field                      cap         strict single */
    { 0x01,  false,  PROXY_ALPN,                255,        true,  false },
    { 0x02,  false,  PROXY_AUTHORITY,           255,        true,  false },
    { 0x05,  false,  PROXY_UNIQUE_ID,           128,        true,  false },
    { 0x21,  true,   PROXY_TLS_VERSION,         64,         false, false },
    { 0x22,  true,   PROXY_COMMON_NAME,         256,        false, true  },
    { 0x23,  true,   PROXY_CIPHER,              64,         false, false },
    { 0x24,  true,   PROXY_SIGNATURE_ALGORITHM, 64,         false, false },
    { 0x25,  true,   PROXY_KEY_ALGORITHM,       64,         false, false },
    { 0x28,  true,   PROXY_CLIENT_CERTIFICATE,  UINT16_MAX, false, true  },
    { 0xE0,  false,  PROXY_GCP,                 8,          false, false },
    { 0xEA,  false,  PROXY_AWS,                 96,         false, false },
    { 0xEE,  false,  PROXY_AZURE,               5,          false, false },
};

const struct proxy_rule proxy_subject_rule = {
    .field = PROXY_SUBJECT, .cap = 1024, .is_single = true
};

static const char *const words[PROXY_REFUSAL_LEN] = {
    [PROXY_REFUSAL_NONE] = "none",
    [PROXY_REFUSAL_SIGNATURE] = "signature",
    [PROXY_REFUSAL_VERSION] = "version",
    [PROXY_REFUSAL_COMMAND] = "command",
    [PROXY_REFUSAL_FAMILY] = "family",
    [PROXY_REFUSAL_LENGTH] = "length",
    [PROXY_REFUSAL_ADDRESS] = "address",
    [PROXY_REFUSAL_LINE] = "line",
    [PROXY_REFUSAL_TLV] = "tlv",
    [PROXY_REFUSAL_CRC] = "crc",
    [PROXY_REFUSAL_MEMORY] = "memory",
    [PROXY_REFUSAL_INCOMPLETE] = "incomplete",
    [PROXY_REFUSAL_TIMEOUT] = "timeout",
    [PROXY_REFUSAL_UNTRUSTED] = "untrusted",
    [PROXY_REFUSAL_POLICY] = "policy",
    [PROXY_REFUSAL_NAME] = "name",
};
/* clang-format on */

const struct proxy_rule *proxy_find_rule(uint8_t type, bool is_nested)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (rules[i].type == type && rules[i].is_nested == is_nested) {
            return &rules[i];
        }
    }
    return NULL;
}

static bool has_byte(struct slice name, char byte)
{
    return memchr(name.data, byte, name.len) != NULL;
}

enum proxy_name proxy_judge_name(struct slice name)
{
    if (name.len == 0) {
        return PROXY_NAME_NONE;
    }
    if (has_byte(name, '+') || has_byte(name, '#') || !utf8_is_valid(name)) {
        return PROXY_NAME_UNFIT;
    }
    return has_byte(name, '/') ? PROXY_NAME_SLASHED : PROXY_NAME_FIT;
}

const char *proxy_refusal_word(enum proxy_refusal refusal)
{
    assert(refusal < PROXY_REFUSAL_LEN);

    return words[refusal];
}
