#include "access/passwords.h"
#include "access/reading_test.h"

static int parse(struct slice text, struct passwords **passwords_out)
{
    struct slice copy = bytes_copy(text);
    struct passwords_request request = {
        .text = copy,
        .path = "users",
        .limits = {.iterations_max = 5000, .memory_max = 1u << 20},
        .report = &report,
    };
    int r;

    said[0] = '\0';
    r = passwords_parse(&request, passwords_out);
    bytes_free(copy);
    return r;
}

static int parse_and_free(struct slice text)
{
    struct passwords *passwords = NULL;
    int r = parse(text, &passwords);

    assert_true((r == 0) == (passwords != NULL));
    passwords_free(passwords);
    return r;
}

static struct passwords *parse_good(const char *text)
{
    struct passwords *passwords = NULL;

    assert_int_equal(parse(slice_of_text(text), &passwords), PASSWORDS_OK);
    return passwords;
}

static bool has(const struct passwords *passwords, const char *name)
{
    struct passwords_entry entry;

    return passwords_find(passwords, slice_of_text(name), &entry);
}

static void test_users(void **state)
{
    struct passwords *passwords = parse_good("# people\n"
                                             "\n"
                                             "anna:" STORED "\r\n"
                                             "   \n"
                                             "b#c d:" STORED " \t\n"
                                             "\xc3\xa4:" STORED);

    (void)state;
    assert_string_equal(said, "");
    assert_int_equal(passwords_len(passwords), 3);
    assert_true(has(passwords, "anna"));
    assert_true(has(passwords, "b#c d"));
    assert_true(has(passwords, "\xc3\xa4"));
    assert_false(has(passwords, "Anna"));
    assert_false(has(passwords, "ann"));
    assert_false(has(passwords, "anna "));
    assert_false(has(passwords, ""));
    passwords_free(passwords);
}

/* Nobody comes in by a file without users; it is not as if there were none. */
static void test_empty(void **state)
{
    static const char *const texts[] = {"", "\n", "# nobody\n", "\r\n\r\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct passwords *passwords = parse_good(texts[i]);

        assert_int_equal(passwords_len(passwords), 0);
        assert_false(has(passwords, ""));
        passwords_free(passwords);
    }
}

static void test_lines_without_a_colon(void **state)
{
    struct passwords *passwords = parse_good("anna:" STORED "\nbob\n");

    (void)state;
    assert_string_equal(said, "Warning: A line without a colon in the password file: it is "
                              "nobody's password. (users:2)\n");
    assert_int_equal(passwords_len(passwords), 1);
    passwords_free(passwords);
}

static void test_refused(void **state)
{
    /* clang-format off */
    static const struct refused_row rows[] = {
        ROW("anna:" STORED "\nanna:" OTHER "\n", "The user 'anna' stands in line 1 already.", 2),
        ROW(":" STORED, "A password without a user name.", 1),
        ROW("anna:\n", "The password of user 'anna' is none of $6$, $7$ and $argon2id$.", 1),
        ROW("anna:secret", "The password of user 'anna' is none of $6$, $7$ and $argon2id$.", 1),
        ROW("anna:$6$AA", "The password of user 'anna' is malformed or cut.", 1),
        ROW("\n\nanna:$7$5001$c2FsdA==$" ZEROS,
            "The password of user 'anna' asks for more iterations than password_iterations_max.", 3),
        ROW("anna:$argon2id$v=19$m=99999,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
            "The password of user 'anna' asks for more memory than password_memory_max.", 1),
        ROW("an\0na:" STORED, "A zero byte in the password file: this is no text file.", 1),
        ROW("\x7f" "ELF\2\1\1\0\0", "A zero byte in the password file: this is no text file.", 1),
        ROW("an\xff:" STORED, "A user name that no client can have: it is too long or not UTF-8.", 1),
    };
    /* clang-format on */

    (void)state;
    expect_refused(rows, ARRAY_LEN(rows), "users", parse_and_free, PASSWORDS_WRONG);
}

static void test_long_names(void **state)
{
    char *text = memory_must_alloc(70000);
    struct passwords *passwords = NULL;

    (void)state;
    memset(text, 'x', 70000);
    memcpy(text + 65535, ":" STORED, strlen(":" STORED) + 1);
    passwords = parse_good(text);
    assert_int_equal(passwords_len(passwords), 1);
    passwords_free(passwords);
    passwords = NULL;
    memset(text, 'x', 70000);
    memcpy(text + 65536, ":" STORED, strlen(":" STORED) + 1);
    assert_int_equal(parse(slice_of_text(text), &passwords), PASSWORDS_WRONG);
    memory_free(text);
}

/* By what a client came in is the same as long as its line is. */
static void test_credentials(void **state)
{
    struct passwords *before = parse_good("anna:" STORED "\nbob:" STORED);
    struct passwords *after = parse_good("# more\nbob:" OTHER "\nanna:" STORED);
    struct passwords_entry anna[2];
    struct passwords_entry bob[2];

    (void)state;
    assert_true(passwords_find(before, slice_of_text("anna"), &anna[0]));
    assert_true(passwords_find(after, slice_of_text("anna"), &anna[1]));
    assert_true(passwords_find(before, slice_of_text("bob"), &bob[0]));
    assert_true(passwords_find(after, slice_of_text("bob"), &bob[1]));
    assert_int_equal(anna[0].credential, anna[1].credential);
    assert_int_not_equal(bob[0].credential, bob[1].credential);
    assert_int_not_equal(anna[0].credential, bob[0].credential);
    passwords_free(before);
    passwords_free(after);
}

/* For an unknown user there is always the same work to do, and that of one of the users. */
static void test_decoys(void **state)
{
    struct passwords *passwords = parse_good("anna:" STORED "\nbob:$7$101$c2FsdA==$" ZEROS);
    unsigned kinds[3] = {0};

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        const struct password *decoy;

        snprintf(name, sizeof(name), "x%u", i);
        decoy = passwords_decoy(passwords, slice_of_text(name));
        assert_ptr_equal(decoy, passwords_decoy(passwords, slice_of_text(name)));
        kinds[decoy->kind]++;
    }
    assert_true(kinds[PASSWORD_SHA512] > 0 && kinds[PASSWORD_PBKDF2] > 0);
    passwords_free(passwords);
}

static void test_no_memory(void **state)
{
    (void)state;
    expect_no_memory("anna:" STORED "\nbob:" OTHER, parse_and_free, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_lines_without_a_colon),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_decoys),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
