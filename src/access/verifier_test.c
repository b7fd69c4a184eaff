#include "access/password.h"
#include "access/verifier.h"
#include "base/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A file with one user and a cheap password. */
static struct access *access_of(const char *password, unsigned iterations)
{
    char path[] = "/tmp/nightjar-verifier-XXXXXX";
    struct password_cost cost = {.iterations = iterations};
    struct report report = {0};
    struct settings settings = {
        .access = {.password_iterations_max = 1000000},
    };
    struct listener_settings listener = {.password_file = path};
    char text[PASSWORD_TEXT_CAP];
    struct access_set set;
    struct access *access;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(password_make(PASSWORD_PBKDF2, &cost, slice_of_text(password), text), 0);
    assert_true(dprintf(fd, "anna:%s\n", text) > 0);
    close(fd);
    settings.listeners = &listener;
    settings.listener_len = 1;
    assert_int_equal(access_load(&settings, &report, &set), ACCESS_LOADED);
    access = access_ref(set.accesses[0]);
    access_set_deinit(&set);
    unlink(path);
    return access;
}

static void put_answer(struct verification *verification)
{
    mpsc_push(verification->place, &verification->node);
}

static struct verification *verification_of(struct access *access, const char *name,
                                            const char *given, struct mpsc *answers)
{
    struct verification *verification;

    assert_int_equal(
        verification_new(access, slice_of_text(name), slice_of_text(given), &verification), 0);
    verification->on_answer = put_answer;
    verification->place = answers;
    return verification;
}

static struct verification *await(struct mpsc *answers)
{
    struct mpsc_node *node;

    while (mpsc_is_empty(answers)) {
        usleep(100);
    }
    node = mpsc_take_all(answers);
    assert_null(node->next);
    return CONTAINER_OF(node, struct verification, node);
}

static void test_answers(void **state)
{
    static const struct {
        const char *name;
        const char *given;
        enum verification_answer answer;
    } rows[] = {
        {"anna", "secret", VERIFICATION_RIGHT},
        {"anna", "Secret", VERIFICATION_WRONG},
        {"anna", "",       VERIFICATION_WRONG},
 /* The same work, and never right. */
        {"bob",  "secret", VERIFICATION_WRONG},
        {"",     "secret", VERIFICATION_WRONG},
    };
    struct access *access = access_of("secret", 3);
    struct verifier *verifier;
    struct mpsc answers;

    (void)state;
    mpsc_init(&answers);
    assert_int_equal(verifier_new(&verifier), 0);
    assert_int_equal(verifier_start(verifier, 2), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct verification *verification =
            verification_of(access, rows[i].name, rows[i].given, &answers);

        assert_non_null(verification->question.password);
        assert_true(verifier_ask(verifier, verification, 1));
        assert_ptr_equal(await(&answers), verification);
        assert_int_equal(verification->answer, rows[i].answer);
        verification_free(verification);
    }
    verifier_free(verifier);
    access_unref(access);
}

/* So many may wait, and no more. */
static void test_queue(void **state)
{
    struct access *access = access_of("secret", 3);
    struct verification *verifications[4];
    struct verifier *verifier;
    struct mpsc answers;

    (void)state;
    mpsc_init(&answers);
    assert_int_equal(verifier_new(&verifier), 0);
    for (unsigned i = 0; i < 4; i++) {
        verifications[i] = verification_of(access, "anna", "secret", &answers);
        assert_int_equal(verifier_ask(verifier, verifications[i], 3), i < 3);
    }
    verification_free(verifications[3]);
    assert_true(mpsc_is_empty(&answers));
    /* Whoever waits at the end is told that nobody knows. */
    verifier_free(verifier);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(verifications[i]->answer, VERIFICATION_FAILED);
    }
    assert_non_null(mpsc_take_all(&answers));
    for (unsigned i = 0; i < 3; i++) {
        verification_free(verifications[i]);
    }
    access_unref(access);
}

/* For whom nobody waits any more, nothing is done. */
static void test_void(void **state)
{
    struct access *access = access_of("secret", 3);
    struct verification *verification;
    struct verifier *verifier;
    struct mpsc answers;

    (void)state;
    mpsc_init(&answers);
    verification = verification_of(access, "anna", "secret", &answers);
    atomic_store(&verification->is_void, true);
    assert_int_equal(verifier_new(&verifier), 0);
    assert_true(verifier_ask(verifier, verification, 1));
    assert_int_equal(verifier_start(verifier, 1), 0);
    assert_ptr_equal(await(&answers), verification);
    assert_int_equal(verification->answer, VERIFICATION_WRONG);
    verification_free(verification);
    verifier_free(verifier);
    access_unref(access);
}

/* Other files while it waited. */
static void test_turn(void **state)
{
    struct access *before = access_of("secret", 3);
    struct access *after = access_of("other", 3);
    struct mpsc answers;
    struct verification *verification;

    (void)state;
    mpsc_init(&answers);
    verification = verification_of(before, "anna", "secret", &answers);
    access_unref(before);
    verification_run(verification);
    assert_int_equal(verification->answer, VERIFICATION_RIGHT);
    verification_turn(verification, after, slice_of_text("anna"));
    verification_run(verification);
    assert_int_equal(verification->answer, VERIFICATION_WRONG);
    verification_free(verification);
    access_unref(after);
}

/* Several who ask, several threads, and an end in the middle. */
static void *ask_many(void *argument)
{
    struct verification **all = argument;
    struct verifier *verifier = all[0]->asker;

    for (unsigned i = 0; i < 50; i++) {
        assert_true(verifier_ask(verifier, all[i], 1000));
        if (i % 3 == 0) {
            atomic_store(&all[i]->is_void, true);
        }
    }
    return NULL;
}

static void test_many(void **state)
{
    struct access *access = access_of("secret", 50);
    struct verification *all[4][50];
    struct verifier *verifier;
    pthread_t threads[4];
    struct mpsc answers;
    unsigned len = 0;

    (void)state;
    mpsc_init(&answers);
    assert_int_equal(verifier_new(&verifier), 0);
    assert_int_equal(verifier_start(verifier, 3), 0);
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = 0; j < 50; j++) {
            all[i][j] = verification_of(access, "anna", j % 2 ? "secret" : "x", &answers);
            all[i][j]->asker = verifier;
        }
        assert_int_equal(pthread_create(&threads[i], NULL, ask_many, all[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    verifier_free(verifier);
    for (struct mpsc_node *node = mpsc_take_all(&answers); node; len++) {
        struct verification *verification = CONTAINER_OF(node, struct verification, node);

        node = node->next;
        verification_free(verification);
    }
    assert_int_equal(len, 200);
    access_unref(access);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers), cmocka_unit_test(test_queue), cmocka_unit_test(test_void),
        cmocka_unit_test(test_turn),    cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
