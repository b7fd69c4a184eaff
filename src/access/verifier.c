#include "access/verifier.h"

#include "access/password.h"
#include "base/memory.h"

#include <pthread.h>
#include <string.h>

/* What a hash needs beside what it takes from the heap. */
#define STACK_SIZE ((size_t)256 * 1024)

#define THREAD_MAX 64

/* The mutex is a leaf: nothing else is taken, called or waited for while it is held. */
struct verifier {
    pthread_mutex_t mutex;
    pthread_cond_t has_some;
    struct mpsc_node *first; /* what waits, oldest first */
    struct mpsc_node **end;
    unsigned len;
    bool is_ending;
    unsigned thread_len;
    pthread_t threads[THREAD_MAX];
};

/* One password */

int verification_new(struct access *access, struct slice username, struct slice given,
                     struct verification **verification_out)
{
    struct verification *verification = memory_alloc_zero(1, sizeof(*verification) + given.len);

    if (!verification) {
        return -ENOMEM;
    }
    verification->given_len = given.len;
    if (given.len > 0) {
        memcpy(verification->given, given.data, given.len);
    }
    atomic_init(&verification->is_void, false);
    verification_turn(verification, access, username);
    *verification_out = verification;
    return 0;
}

void verification_turn(struct verification *verification, struct access *access,
                       struct slice username)
{
    struct access *before = verification->access;

    verification->access = access_ref(access);
    verification->question = access_question(access, username);
    access_unref(before);
}

void verification_run(struct verification *verification)
{
    const struct access_question *question = &verification->question;
    struct slice given = slice_of(verification->given, verification->given_len);
    bool is_right = false;
    int r = password_check(question->password, given, &is_right);

    verification->answer = r < 0                            ? VERIFICATION_FAILED
                           : is_right && question->is_known ? VERIFICATION_RIGHT
                                                            : VERIFICATION_WRONG;
}

struct verification *verification_free(struct verification *verification)
{
    if (verification) {
        access_unref(verification->access);
        explicit_bzero(verification->given, verification->given_len);
        memory_free(verification);
    }
    return NULL;
}

/* The threads */

int verifier_new(struct verifier **verifier_out)
{
    struct verifier *verifier = memory_alloc_zero(1, sizeof(*verifier));
    int r;

    if (!verifier) {
        return -ENOMEM;
    }
    r = pthread_mutex_init(&verifier->mutex, NULL);
    assert(r == 0);
    r = pthread_cond_init(&verifier->has_some, NULL);
    assert(r == 0);
    verifier->end = &verifier->first;
    *verifier_out = verifier;
    return 0;
}

static struct verification *take_first(struct verifier *verifier)
{
    struct mpsc_node *node = verifier->first;

    if (!node) {
        return NULL;
    }
    verifier->first = node->next;
    if (!verifier->first) {
        verifier->end = &verifier->first;
    }
    verifier->len--;
    return CONTAINER_OF(node, struct verification, node);
}

/* The next one, when there is one; NULL: the end. */
static struct verification *wait(struct verifier *verifier)
{
    struct verification *verification = NULL;

    pthread_mutex_lock(&verifier->mutex);
    while (!verifier->is_ending && !verifier->first) {
        pthread_cond_wait(&verifier->has_some, &verifier->mutex);
    }
    if (!verifier->is_ending) {
        verification = take_first(verifier);
    }
    pthread_mutex_unlock(&verifier->mutex);
    return verification;
}

static void *run(void *argument)
{
    struct verifier *verifier = argument;
    struct verification *verification;

    while ((verification = wait(verifier)) != NULL) {
        if (!atomic_load_explicit(&verification->is_void, memory_order_relaxed)) {
            verification_run(verification);
        }
        verification->on_answer(verification);
    }
    return NULL;
}

int verifier_start(struct verifier *verifier, unsigned thread_len)
{
    pthread_attr_t attributes;
    int r = pthread_attr_init(&attributes);

    assert(r == 0 && thread_len <= THREAD_MAX);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    for (unsigned i = 0; i < thread_len && r == 0; i++) {
        r = pthread_create(&verifier->threads[i], &attributes, run, verifier);
        verifier->thread_len += r == 0;
    }
    pthread_attr_destroy(&attributes);
    return -r;
}

struct verifier *verifier_free(struct verifier *verifier)
{
    struct verification *verification;

    if (!verifier) {
        return NULL;
    }
    pthread_mutex_lock(&verifier->mutex);
    verifier->is_ending = true;
    pthread_cond_broadcast(&verifier->has_some);
    pthread_mutex_unlock(&verifier->mutex);
    for (unsigned i = 0; i < verifier->thread_len; i++) {
        pthread_join(verifier->threads[i], NULL);
    }
    while ((verification = take_first(verifier)) != NULL) {
        verification->answer = VERIFICATION_FAILED;
        verification->on_answer(verification);
    }
    pthread_cond_destroy(&verifier->has_some);
    pthread_mutex_destroy(&verifier->mutex);
    return memory_free(verifier);
}

bool verifier_ask(struct verifier *verifier, struct verification *verification, unsigned max)
{
    bool has_room;

    pthread_mutex_lock(&verifier->mutex);
    has_room = verifier->len < max;
    if (has_room) {
        verification->node.next = NULL;
        *verifier->end = &verification->node;
        verifier->end = &verification->node.next;
        verifier->len++;
        pthread_cond_signal(&verifier->has_some);
    }
    pthread_mutex_unlock(&verifier->mutex);
    return has_room;
}
