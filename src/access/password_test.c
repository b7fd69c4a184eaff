#include "access/password.h"
#include "base/test.h"

static const struct password_limits limits = {.iterations_max = 5000, .memory_max = 1u << 20};

/* Written by others: Debian's mosquitto_passwd 2.0.11 and argon2 0~20171227. */
#define SIX                                                                                   \
    "$6$zCF7Z0EYtrCXskas$lhiGJWgfpZ2tgsVw66bfRBZmeIMvYanUWYAN8ovEkkAS67iIA+cO9L//pn9F3JsLQv/" \
    "zSX4gZy+3IRiiG2x5zw=="
#define SEVEN                                                \
    "$7$101$iW3PcSjKxHF4OXJo$g4qkuMq51kR0QfKcfmwlljhiUdPLH+" \
    "3Cq8N7ta0kz7pDF9W4uLPm96d1jG3fDt38MY6ly"                \
    "IdhAhI/SwToHan4YA=="
#define ARGON                                                                               \
    "$argon2id$v=19$m=64,t=1,p=1$AAcOFRwjKjE4P0ZNVFtiaXB3foWMk5qhqK+2vcTL0tng5+71/AMKERgfJ" \
    "i00O0JJUFdeZWxzeoGIj5adpKuyuQ$e1PQ7ueX9RZ/0hwIAI6czSwY07BzslbeQBjBbVRGnk4ZPczWFR2uo0Y" \
    "qKVFywsdCG38DPwHzVOPrHsVYwW6fdw"

/* 64 bytes of zeros. */
#define ZEROS                                     \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="

static int parse(const char *text, struct arena *arena, struct password *password)
{
    struct slice copy = bytes_copy(slice_of_text(text));
    int r = password_parse(copy, &limits, arena, password);

    bytes_free(copy);
    return r;
}

static bool check(const struct password *password, const char *given)
{
    struct slice copy = bytes_copy(slice_of_text(given));
    bool is_right = false;

    assert_int_equal(password_check(password, copy, &is_right), 0);
    bytes_free(copy);
    return is_right;
}

static void test_of_others(void **state)
{
    static const struct {
        const char *text;
        const char *right;
        enum password_kind kind;
    } rows[] = {
        {SIX,   "s",      PASSWORD_SHA512  },
        {SEVEN, "secret", PASSWORD_PBKDF2  },
        {ARGON, "secret", PASSWORD_ARGON2ID},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct password password;

        arena_init(&arena);
        assert_int_equal(parse(rows[i].text, &arena, &password), PASSWORD_OK);
        assert_int_equal(password.kind, rows[i].kind);
        assert_true(check(&password, rows[i].right));
        assert_false(check(&password, "Secret"));
        assert_false(check(&password, ""));
        assert_false(check(&password, "secret "));
        arena_deinit(&arena);
    }
}

/* What we write ourselves, of every kind; a salt is never the same. */
static void test_of_our_own(void **state)
{
    static const struct {
        enum password_kind kind;
        struct password_cost cost;
    } rows[] = {
        {PASSWORD_SHA512,   {0}                                            },
        {PASSWORD_PBKDF2,   {.iterations = 3}                              },
        {PASSWORD_ARGON2ID, {.iterations = 2, .memory_kib = 64, .lanes = 2}},
    };
    static const char *const words[] = {"secret", "", "\xc3\xa4 b:c$d"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows) * ARRAY_LEN(words); i++) {
        const char *word = words[i % ARRAY_LEN(words)];
        size_t row = i / ARRAY_LEN(words);
        char text[PASSWORD_TEXT_CAP];
        char other[PASSWORD_TEXT_CAP];
        struct arena arena;
        struct password password;

        arena_init(&arena);
        assert_int_equal(password_make(rows[row].kind, &rows[row].cost, slice_of_text(word), text),
                         0);
        assert_int_equal(password_make(rows[row].kind, &rows[row].cost, slice_of_text(word), other),
                         0);
        assert_string_not_equal(text, other);
        assert_int_equal(parse(text, &arena, &password), PASSWORD_OK);
        assert_int_equal(password.kind, rows[row].kind);
        assert_memory_equal(&password.cost, &rows[row].cost, sizeof(password.cost));
        assert_true(check(&password, word));
        assert_false(check(&password, "other"));
        arena_deinit(&arena);
    }
}

/* Zero bytes and all: the length counts. */
static void test_bytes(void **state)
{
    struct password_cost cost = {.iterations = 2, .memory_kib = 64, .lanes = 1};
    char text[PASSWORD_TEXT_CAP];
    struct arena arena;
    struct password password;
    bool is_right;

    (void)state;
    for (unsigned kind = PASSWORD_SHA512; kind <= PASSWORD_ARGON2ID; kind++) {
        arena_init(&arena);
        assert_int_equal(password_make((enum password_kind)kind, &cost, slice_of("a\0b", 3), text),
                         0);
        assert_int_equal(parse(text, &arena, &password), PASSWORD_OK);
        assert_int_equal(password_check(&password, slice_of("a\0b", 3), &is_right), 0);
        assert_true(is_right);
        assert_int_equal(password_check(&password, slice_of("a\0c", 3), &is_right), 0);
        assert_false(is_right);
        assert_false(check(&password, "a"));
        arena_deinit(&arena);
    }
}

#define SALT "c2FsdHNhbHRzYWx0"
#define HASH "aGFzaGhhc2hoYXNoaGFzaA"
#define COST "$argon2id$v=19$m=64,t=1,p=1$"

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        enum password_verdict verdict;
    } rows[] = {
        {"",                                              PASSWORD_UNKNOWN   },
        {"secret",                                        PASSWORD_UNKNOWN   },
        {"$5$" SALT "$" ZEROS,                            PASSWORD_UNKNOWN   },
        {"$6",                                            PASSWORD_UNKNOWN   },
        {"$argon2i$v=19$m=64,t=1,p=1$" SALT "$" HASH,     PASSWORD_UNKNOWN   },
        {"$6$",                                           PASSWORD_MALFORMED },
        {"$6$" SALT,                                      PASSWORD_MALFORMED },
        {"$6$" SALT "$",                                  PASSWORD_MALFORMED },
        {"$6$$" ZEROS,                                    PASSWORD_MALFORMED },
        {"$6$" SALT "$AAAA",                              PASSWORD_MALFORMED },
        {"$6$" SALT "$" ZEROS "$",                        PASSWORD_MALFORMED },
        {"$6$" SALT "$" ZEROS "x",                        PASSWORD_MALFORMED },
        {"$6$" SALT "!$" ZEROS,                           PASSWORD_MALFORMED },
        {"$6$" ZEROS "$" ZEROS,                           PASSWORD_OK        },
        {"$7$" SALT "$" ZEROS,                            PASSWORD_MALFORMED },
        {"$7$0$" SALT "$" ZEROS,                          PASSWORD_MALFORMED },
        {"$7$-1$" SALT "$" ZEROS,                         PASSWORD_MALFORMED },
        {"$7$+1$" SALT "$" ZEROS,                         PASSWORD_MALFORMED },
        {"$7$ 1$" SALT "$" ZEROS,                         PASSWORD_MALFORMED },
        {"$7$1x$" SALT "$" ZEROS,                         PASSWORD_MALFORMED },
        {"$7$5000$" SALT "$" ZEROS,                       PASSWORD_OK        },
        {"$7$5001$" SALT "$" ZEROS,                       PASSWORD_ITERATIONS},
        {"$7$4294967297$" SALT "$" ZEROS,                 PASSWORD_ITERATIONS},
        {"$7$99999999999999999999999$" SALT "$" ZEROS,    PASSWORD_ITERATIONS},
        {COST SALT "$" HASH,                              PASSWORD_OK        },
        {COST "c2FsdA$" HASH,                             PASSWORD_MALFORMED },
        {COST SALT "$AAAA",                               PASSWORD_MALFORMED },
        {COST SALT "$" HASH "==",                         PASSWORD_MALFORMED },
        {"$argon2id$m=64,t=1,p=1$" SALT "$" HASH,         PASSWORD_MALFORMED },
        {"$argon2id$v=16$m=64,t=1,p=1$" SALT "$" HASH,    PASSWORD_MALFORMED },
        {"$argon2id$v=19$t=1,m=64,p=1$" SALT "$" HASH,    PASSWORD_MALFORMED },
        {"$argon2id$v=19$m=64,t=1$" SALT "$" HASH,        PASSWORD_MALFORMED },
        {"$argon2id$v=19$m=64,t=0,p=1$" SALT "$" HASH,    PASSWORD_MALFORMED },
        {"$argon2id$v=19$m=64,t=1,p=0$" SALT "$" HASH,    PASSWORD_MALFORMED },
        {"$argon2id$v=19$m=64,t=1,p=9$" SALT "$" HASH,    PASSWORD_MALFORMED },
        {"$argon2id$v=19$m=900,t=1,p=65$" SALT "$" HASH,  PASSWORD_MALFORMED },
        {"$argon2id$v=19$m=7,t=1,p=1$" SALT "$" HASH,     PASSWORD_MALFORMED },
        {"$argon2id$v=19$m=1024,t=1,p=1$" SALT "$" HASH,  PASSWORD_OK        },
        {"$argon2id$v=19$m=1025,t=1,p=1$" SALT "$" HASH,  PASSWORD_MEMORY    },
        {"$argon2id$v=19$m=64,t=5001,p=1$" SALT "$" HASH, PASSWORD_ITERATIONS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena;
        struct password password;
        int r;

        arena_init(&arena);
        r = parse(rows[i].text, &arena, &password);
        if (r != (int)rows[i].verdict) {
            fail_msg("%s: %d, not %d", rows[i].text, r, rows[i].verdict);
        }
        assert_true(strlen(password_complaint((enum password_verdict)r)) > 0);
        arena_deinit(&arena);
    }
}

/* Cut anywhere, it is never taken for another one. */
static void test_cut(void **state)
{
    static const char *const texts[] = {SIX, SEVEN, ARGON};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        for (size_t len = 0; len < strlen(texts[i]); len++) {
            struct slice copy = bytes_copy(slice_of(texts[i], len));
            struct arena arena;
            struct password password;
            int r;

            arena_init(&arena);
            r = password_parse(copy, &limits, &arena, &password);
            /* A PHC string says nowhere how long its hash is. */
            if (r == PASSWORD_OK) {
                assert_int_equal(password.kind, PASSWORD_ARGON2ID);
                assert_false(check(&password, "secret"));
            }
            bytes_free(copy);
            arena_deinit(&arena);
        }
    }
}

static void test_no_memory(void **state)
{
    struct arena arena;
    struct password password;
    bool is_right = true;

    (void)state;
    arena_init(&arena);
    memory_fail_after(1);
    assert_int_equal(parse(SIX, &arena, &password), -ENOMEM);
    memory_fail_after(0);
    assert_int_equal(parse(ARGON, &arena, &password), PASSWORD_OK);
    memory_fail_after(1);
    assert_int_equal(password_check(&password, slice_of_text("secret"), &is_right), -ENOMEM);
    memory_fail_after(0);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_others), cmocka_unit_test(test_of_our_own),
        cmocka_unit_test(test_bytes),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cut),       cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
