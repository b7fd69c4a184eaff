/*
 * Any text as a PSK file. The first byte lets an allocation fail. Whatever comes, the answer is
 * keys that are as long as their digits say, a reported refusal, or -ENOMEM.
 */

#include "access/psk.h"

#include "fuzz.h"

static void on_line(void *context, enum log_type type, const char *text)
{
    unsigned *errors = context;

    assert(!strchr(text, '\n'));
    *errors += type == LOG_ERROR;
}

/* Every line that begins with an identity is found by it. */
static void check_keys(const struct psk *psk, struct slice text)
{
    while (text.len > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        struct slice line = slice_of(text.data, end ? (size_t)(end - text.data) : text.len);
        const uint8_t *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;

        if (colon && line.data[0] != '#') {
            struct slice key;
            size_t len = (size_t)(colon - line.data);

            assert(psk_find(psk, slice_of(line.data, len), &key));
            assert(key.len > 0 && key.len <= PSK_KEY_MAX && 2 * key.len <= line.len - len - 1);
        }
        text = slice_skip(text, line.len + (end ? 1 : 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned errors = 0;
    struct report report = {.on_line = on_line, .context = &errors};
    struct psk_request request = {.path = "keys", .report = &report};
    struct psk *psk = NULL;
    int r;

    if (size == 0) {
        return 0;
    }
    request.text = fuzz_copy(slice_of(data + 1, size - 1));
    memory_fail_after(data[0]);
    r = psk_parse(&request, &psk);
    memory_fail_after(0);
    if (r == PSK_OK) {
        assert(errors == 0);
        check_keys(psk, request.text);
    } else {
        assert(r == -ENOMEM || errors > 0);
        assert(!psk);
    }
    psk_free(psk);
    fuzz_free(request.text);
    return 0;
}
