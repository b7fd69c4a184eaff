#include "access/psk.h"

#include "access/lines.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/table.h"
#include "base/text.h"
#include "base/utf8.h"

#include <string.h>

/* On the heap: it is overwritten when it goes. */
struct key {
    struct table_link link; /* by identity */
    struct key *next;
    size_t identity_len;
    size_t key_len;
    unsigned line;
    uint8_t bytes[]; /* identity and key */
};

struct psk {
    struct table table;
    struct key *keys;
    struct hash_key hash_key;
};

static struct slice identity_of(const struct key *key)
{
    return slice_of(key->bytes, key->identity_len);
}

static struct key *find(const struct psk *psk, struct slice identity)
{
    struct table_link *link = table_find(&psk->table, hash_bytes(&psk->hash_key, identity));

    for (; link; link = table_find_next(link)) {
        struct key *key = CONTAINER_OF(link, struct key, link);

        if (slice_is_equal(identity_of(key), identity)) {
            return key;
        }
    }
    return NULL;
}

/* All of it, zeros in front as well: the other side's key has them, too. */
static bool decode(struct slice text, uint8_t *bytes)
{
    for (size_t i = 0; i < text.len; i += 2) {
        int high = text_hex_digit(text.data[i]);
        int low = text_hex_digit(text.data[i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static int check(const struct psk *psk, const struct access_lines *lines, struct slice identity,
                 struct slice text)
{
    const struct key *same;

    if (identity.len == 0 || identity.len > PSK_IDENTITY_MAX || !utf8_is_valid(identity)) {
        return access_lines_complain(
            lines, PSK_WRONG,
            "An identity that no client can have: it is empty, longer than %u "
            "bytes, or not UTF-8.",
            PSK_IDENTITY_MAX);
    }
    same = find(psk, identity);
    if (same) {
        return access_lines_complain(lines, PSK_WRONG, "The identity stands in line %u already.",
                                     same->line);
    }
    if (text.len == 0 || text.len % 2 != 0 || text.len > 2 * (size_t)PSK_KEY_MAX) {
        return access_lines_complain(lines, PSK_WRONG,
                                     "A key must be 1 to %u bytes, two hexadecimal digits each.",
                                     PSK_KEY_MAX);
    }
    return PSK_OK;
}

static int add(struct psk *psk, const struct access_lines *lines, struct slice identity,
               struct slice text)
{
    struct key *key = memory_alloc_zero(1, sizeof(*key) + identity.len + text.len / 2);

    if (!key) {
        return -ENOMEM;
    }
    key->identity_len = identity.len;
    key->key_len = text.len / 2;
    key->line = lines->place.line;
    memcpy(key->bytes, identity.data, identity.len);
    if (!decode(text, key->bytes + identity.len)) {
        memory_free(key);
        return access_lines_complain(lines, PSK_WRONG,
                                     "A key must be 1 to %u bytes, two hexadecimal digits each.",
                                     PSK_KEY_MAX);
    }
    if (table_add(&psk->table, &key->link, hash_bytes(&psk->hash_key, identity)) < 0) {
        memory_free(key);
        return -ENOMEM;
    }
    key->next = psk->keys;
    psk->keys = key;
    return PSK_OK;
}

static int read_line(struct psk *psk, const struct access_lines *lines, struct slice line)
{
    struct slice identity;
    struct slice text;
    int r;

    if (!access_lines_split(lines, line, "key", &identity, &text)) {
        return PSK_OK;
    }
    r = check(psk, lines, identity, text);
    return r == PSK_OK ? add(psk, lines, identity, text) : r;
}

static int read_all(struct psk *psk, const struct psk_request *request)
{
    struct access_lines lines = {
        "PSK file", request->report, {request->path, 0},
          request->text
    };
    enum access_lines_verdict verdict;
    struct slice line;
    int r = PSK_OK;

    while (r == PSK_OK && (verdict = access_lines_take(&lines, &line)) != ACCESS_LINES_END) {
        r = verdict == ACCESS_LINES_TAKEN ? read_line(psk, &lines, line) : PSK_WRONG;
    }
    return r;
}

int psk_parse(const struct psk_request *request, struct psk **psk_out)
{
    CLEANUP(psk_free) struct psk *psk = memory_alloc_zero(1, sizeof(*psk));
    int r;

    if (!psk) {
        return -ENOMEM;
    }
    table_init(&psk->table);
    /* Fixed: what is in the table is the operator's choice, not a stranger's. */
    hash_key_make(&psk->hash_key, 3);
    r = read_all(psk, request);
    if (r == PSK_OK) {
        *psk_out = TAKE(psk);
    }
    return r;
}

struct psk *psk_free(struct psk *psk)
{
    if (!psk) {
        return NULL;
    }
    while (psk->keys) {
        struct key *key = psk->keys;

        psk->keys = key->next;
        table_remove(&psk->table, &key->link);
        explicit_bzero(key->bytes, key->identity_len + key->key_len);
        memory_free(key);
    }
    table_deinit(&psk->table);
    return memory_free(psk);
}

bool psk_find(const struct psk *psk, struct slice identity, struct slice *key_out)
{
    const struct key *key = find(psk, identity);

    if (key) {
        *key_out = slice_of(key->bytes + key->identity_len, key->key_len);
    }
    return key != NULL;
}
