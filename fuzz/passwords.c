/*
 * Any text as a password file. The first byte lets an allocation fail. Whatever comes, the answer
 * is users whose passwords ask for no more than they may, a reported refusal, or -ENOMEM.
 */

#include "access/passwords.h"

#include "fuzz.h"

#define ITERATIONS_MAX 1000
#define MEMORY_MAX     (1u << 20)

static void on_line(void *context, enum log_type type, const char *text)
{
    unsigned *errors = context;

    assert(!strchr(text, '\n'));
    *errors += type == LOG_ERROR;
}

static void check_password(const struct password *password)
{
    assert(password->salt.len > 0 && password->salt.len <= PASSWORD_PART_MAX);
    assert(password->hash.len > 0 && password->hash.len <= PASSWORD_PART_MAX);
    assert(password->cost.iterations <= ITERATIONS_MAX);
    assert((uint64_t)password->cost.memory_kib * 1024 <= MEMORY_MAX);
    assert((password->kind == PASSWORD_SHA512) == (password->cost.iterations == 0));
    assert((password->kind == PASSWORD_ARGON2ID) == (password->cost.memory_kib > 0));
}

/* Every line that begins with a name is found by it. */
static void check_users(const struct passwords *passwords, struct slice text)
{
    size_t found = 0;

    while (text.len > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        struct slice line = slice_of(text.data, end ? (size_t)(end - text.data) : text.len);
        const uint8_t *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;
        struct passwords_entry entry;

        if (colon && line.data[0] != '#') {
            struct slice name = slice_of(line.data, (size_t)(colon - line.data));

            assert(passwords_find(passwords, name, &entry));
            assert(entry.credential != 0);
            check_password(entry.password);
            found++;
        }
        text = slice_skip(text, line.len + (end ? 1 : 0));
    }
    assert(found == passwords_len(passwords));
    if (found > 0) {
        check_password(passwords_decoy(passwords, slice_of_text("nobody")));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned errors = 0;
    struct report report = {.on_line = on_line, .context = &errors};
    struct passwords_request request = {
        .path = "users", .limits = {ITERATIONS_MAX, MEMORY_MAX},
             .report = &report
    };
    struct passwords *passwords = NULL;
    int r;

    if (size == 0) {
        return 0;
    }
    request.text = fuzz_copy(slice_of(data + 1, size - 1));
    memory_fail_after(data[0]);
    r = passwords_parse(&request, &passwords);
    memory_fail_after(0);
    if (r == PASSWORDS_OK) {
        assert(errors == 0);
        check_users(passwords, request.text);
    } else {
        assert(r == -ENOMEM || errors > 0);
        assert(!passwords);
    }
    passwords_free(passwords);
    fuzz_free(request.text);
    return 0;
}
