#include "access/password.h"

#include "base/base64.h"
#include "base/memory.h"

#include <argon2.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>

/* What Mosquitto writes; before 2.1 it reads no other salts of its own two forms. */
#define SALT_SIZE         12
#define ARGON2_SALT_SIZE  64
#define HASH_SIZE         64
#define ARGON2_KIB        47104
#define ARGON2_SALT_LEAST 8
#define ARGON2_HASH_LEAST 16
#define LANES_MAX         64

/* Not Mosquitto's 1,000, which a graphics card tries a million times a second. */
#define PBKDF2_ITERATIONS 20000

/* Reading */

/* The text up to the next '$', or all of it where none is left. */
static struct slice take_field(struct slice *text)
{
    const uint8_t *end = text->len > 0 ? memchr(text->data, '$', text->len) : NULL;
    struct slice field = end ? slice_of(text->data, (size_t)(end - text->data)) : *text;

    *text = slice_skip(*text, end ? field.len + 1 : field.len);
    return field;
}

static bool take_text(struct slice *text, const char *front)
{
    size_t len = strlen(front);

    if (text->len < len || memcmp(text->data, front, len) != 0) {
        return false;
    }
    *text = slice_skip(*text, len);
    return true;
}

/* Decimal, without a sign, without a leading zero. What is too large is UINT32_MAX. */
static bool take_number(struct slice *text, uint32_t *number_out)
{
    uint64_t number = 0;
    size_t len = 0;

    while (len < text->len && text->data[len] >= '0' && text->data[len] <= '9') {
        number = MIN(number * 10 + (uint64_t)(text->data[len] - '0'), (uint64_t)UINT32_MAX);
        len++;
    }
    if (len == 0 || text->data[0] == '0') {
        return false;
    }
    *text = slice_skip(*text, len);
    *number_out = (uint32_t)number;
    return true;
}

/* PASSWORD_OK, PASSWORD_MALFORMED, -ENOMEM. */
static int decode(struct slice text, bool padded, struct arena *arena, struct slice *bytes_out)
{
    uint8_t *bytes = arena_alloc(arena, PASSWORD_PART_MAX);
    size_t len;

    if (!bytes) {
        return -ENOMEM;
    }
    if (!base64_decode(text, padded, bytes, PASSWORD_PART_MAX, &len) || len == 0) {
        return PASSWORD_MALFORMED;
    }
    *bytes_out = slice_of(bytes, len);
    return PASSWORD_OK;
}

/* Salt and hash, and nothing behind them. */
static int take_parts(struct slice *text, bool padded, struct arena *arena,
                      struct password *password)
{
    int r = decode(take_field(text), padded, arena, &password->salt);

    return r == PASSWORD_OK ? decode(*text, padded, arena, &password->hash) : r;
}

static int check_cost(const struct password_cost *cost, const struct password_limits *limits)
{
    if (cost->iterations > limits->iterations_max) {
        return PASSWORD_ITERATIONS;
    }
    if ((uint64_t)cost->memory_kib * 1024 > limits->memory_max) {
        return PASSWORD_MEMORY;
    }
    return PASSWORD_OK;
}

static int parse_sha512(struct slice text, struct arena *arena, struct password *password)
{
    int r = take_parts(&text, true, arena, password);

    return r == PASSWORD_OK && password->hash.len != HASH_SIZE ? PASSWORD_MALFORMED : r;
}

static int parse_pbkdf2(struct slice text, struct arena *arena, struct password *password)
{
    int r;

    if (!take_number(&text, &password->cost.iterations) || !take_text(&text, "$")) {
        return PASSWORD_MALFORMED;
    }
    r = take_parts(&text, true, arena, password);
    return r == PASSWORD_OK && password->hash.len != HASH_SIZE ? PASSWORD_MALFORMED : r;
}

/* The order of the parameters is fixed (RFC 9106 leaves the text to PHC, which fixes it). */
static int parse_argon2(struct slice text, struct arena *arena, struct password *password)
{
    struct password_cost *cost = &password->cost;
    int r;

    if (!take_text(&text, "v=19$m=") || !take_number(&text, &cost->memory_kib) ||
        !take_text(&text, ",t=") || !take_number(&text, &cost->iterations) ||
        !take_text(&text, ",p=") || !take_number(&text, &cost->lanes) || !take_text(&text, "$")) {
        return PASSWORD_MALFORMED;
    }
    if (cost->lanes > LANES_MAX || cost->memory_kib < 8 * cost->lanes) {
        return PASSWORD_MALFORMED;
    }
    r = take_parts(&text, false, arena, password);
    return r == PASSWORD_OK && (password->salt.len < ARGON2_SALT_LEAST ||
                                password->hash.len < ARGON2_HASH_LEAST)
               ? PASSWORD_MALFORMED
               : r;
}

/* A form of stored passwords: what it begins with, and how the rest is read. */
static const struct form {
    const char *front;
    enum password_kind kind;
    int (*parse)(struct slice text, struct arena *arena, struct password *password);
} forms[] = {
    {"$6$",        PASSWORD_SHA512,   parse_sha512},
    {"$7$",        PASSWORD_PBKDF2,   parse_pbkdf2},
    {"$argon2id$", PASSWORD_ARGON2ID, parse_argon2},
};

int password_parse(struct slice text, const struct password_limits *limits, struct arena *arena,
                   struct password *password_out)
{
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct slice rest = text;

        if (take_text(&rest, forms[i].front)) {
            int r;

            *password_out = (struct password){.kind = forms[i].kind};
            r = forms[i].parse(rest, arena, password_out);
            return r == PASSWORD_OK ? check_cost(&password_out->cost, limits) : r;
        }
    }
    return PASSWORD_UNKNOWN;
}

const char *password_complaint(enum password_verdict verdict)
{
    switch (verdict) {
    case PASSWORD_UNKNOWN: return "is none of $6$, $7$ and $argon2id$";
    case PASSWORD_MALFORMED: return "is malformed or cut";
    case PASSWORD_ITERATIONS: return "asks for more iterations than password_iterations_max";
    case PASSWORD_MEMORY: return "asks for more memory than password_memory_max";
    default: return "is well formed";
    }
}

/* Hashing */

static int hash_sha512(const struct password *password, struct slice given, uint8_t *hash)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_done = context && EVP_DigestInit_ex(context, EVP_sha512(), NULL) == 1 &&
                   EVP_DigestUpdate(context, given.data, given.len) == 1 &&
                   EVP_DigestUpdate(context, password->salt.data, password->salt.len) == 1 &&
                   EVP_DigestFinal_ex(context, hash, NULL) == 1;

    EVP_MD_CTX_free(context);
    return is_done ? 0 : -ENOMEM;
}

static int hash_pbkdf2(const struct password *password, struct slice given, uint8_t *hash)
{
    int r = PKCS5_PBKDF2_HMAC((const char *)given.data, (int)given.len, password->salt.data,
                              (int)password->salt.len, (int)password->cost.iterations, EVP_sha512(),
                              HASH_SIZE, hash);

    return r == 1 ? 0 : -ENOMEM;
}

/* Held to memory_limit, like all else. */
static int take_memory(uint8_t **memory, size_t size)
{
    *memory = memory_alloc(size);
    return *memory ? ARGON2_OK : ARGON2_MEMORY_ALLOCATION_ERROR;
}

static void give_memory(uint8_t *memory, size_t size)
{
    (void)size;
    memory_free(memory);
}

static uint8_t *bytes_of(struct slice slice)
{
    return (uint8_t *)(uintptr_t)slice.data;
}

/* The lanes one after the other: this thread is all that a login may have. */
static int hash_argon2(const struct password *password, struct slice given, uint8_t *hash)
{
    argon2_context context = {
        .out = hash,
        .outlen = (uint32_t)password->hash.len,
        .pwd = bytes_of(given),
        .pwdlen = (uint32_t)given.len,
        .salt = bytes_of(password->salt),
        .saltlen = (uint32_t)password->salt.len,
        .t_cost = password->cost.iterations,
        .m_cost = password->cost.memory_kib,
        .lanes = password->cost.lanes,
        .threads = 1,
        .version = ARGON2_VERSION_13,
        .allocate_cbk = take_memory,
        .free_cbk = give_memory,
    };

    return argon2_ctx(&context, Argon2_id) == ARGON2_OK ? 0 : -ENOMEM;
}

static int hash(const struct password *password, struct slice given, uint8_t *bytes)
{
    switch (password->kind) {
    case PASSWORD_SHA512: return hash_sha512(password, given, bytes);
    case PASSWORD_PBKDF2: return hash_pbkdf2(password, given, bytes);
    default: return hash_argon2(password, given, bytes);
    }
}

int password_check(const struct password *password, struct slice given, bool *is_right_out)
{
    static const uint8_t nothing[1];
    uint8_t bytes[PASSWORD_PART_MAX] = {0};
    /* OpenSSL takes no NULL for an empty one. */
    int r = hash(password, given.len > 0 ? given : slice_of(nothing, 0), bytes);

    assert(password->hash.len <= sizeof(bytes));
    if (r == 0) {
        *is_right_out = CRYPTO_memcmp(bytes, password->hash.data, password->hash.len) == 0;
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return r;
}

/* Making */

struct password_cost password_default_cost(enum password_kind kind)
{
    switch (kind) {
    case PASSWORD_PBKDF2: return (struct password_cost){.iterations = PBKDF2_ITERATIONS};
    case PASSWORD_ARGON2ID:
        return (struct password_cost){.iterations = 1, .memory_kib = ARGON2_KIB, .lanes = 1};
    default: return (struct password_cost){0};
    }
}

static void print(const struct password *password, char text[PASSWORD_TEXT_CAP])
{
    bool padded = password->kind != PASSWORD_ARGON2ID;
    const struct password_cost *cost = &password->cost;
    int len = 0;

    switch (password->kind) {
    case PASSWORD_SHA512: len = snprintf(text, PASSWORD_TEXT_CAP, "$6$"); break;
    case PASSWORD_PBKDF2:
        len = snprintf(text, PASSWORD_TEXT_CAP, "$7$%" PRIu32 "$", cost->iterations);
        break;
    case PASSWORD_ARGON2ID:
        len = snprintf(text, PASSWORD_TEXT_CAP,
                       "$argon2id$v=19$m=%" PRIu32 ",t=%" PRIu32 ",p=%" PRIu32 "$",
                       cost->memory_kib, cost->iterations, cost->lanes);
        break;
    }
    assert(len > 0 && (size_t)len + 2 * BASE64_LEN(PASSWORD_PART_MAX) + 2 < PASSWORD_TEXT_CAP);
    text += len;
    text += base64_encode(text, password->salt, padded);
    *text++ = '$';
    text += base64_encode(text, password->hash, padded);
    *text = '\0';
}

int password_make(enum password_kind kind, const struct password_cost *cost, struct slice given,
                  char text[PASSWORD_TEXT_CAP])
{
    static const uint8_t nothing[1];
    size_t salt_size = kind == PASSWORD_ARGON2ID ? ARGON2_SALT_SIZE : SALT_SIZE;
    uint8_t salt[ARGON2_SALT_SIZE];
    uint8_t bytes[HASH_SIZE];
    struct password password = {
        .kind = kind,
        .cost = *cost,
        .salt = slice_of(salt, salt_size),
        .hash = slice_of(bytes, sizeof(bytes)),
    };
    int r;

    if (RAND_bytes(salt, (int)salt_size) != 1) {
        return -EIO;
    }
    r = hash(&password, given.len > 0 ? given : slice_of(nothing, 0), bytes);
    if (r == 0) {
        print(&password, text);
    }
    return r;
}
