#pragma once

/*
 * Verifier
 *
 * A few threads that look at passwords, so that no worker has to: one look may take a tenth of a
 * second. Who asks hands a verification over and gets it back, answered; what waits is bounded.
 */

#include "access/access.h"
#include "base/mpsc.h"

enum verification_answer {
    VERIFICATION_WRONG,
    VERIFICATION_RIGHT,
    VERIFICATION_FAILED /* no memory for it: nobody knows */
};

/*
 * One password to look at. Owner: who asks, but for the time between verifier_ask() and
 * `on_answer`: then it is the verifier's, and only `is_void` may be touched.
 */
struct verification {
    struct mpsc_node node; /* first the verifier's, then for who asked */
    struct access *access; /* counted */
    struct access_question question;
    enum verification_answer answer;
    _Atomic bool is_void; /* nobody waits for it any more */
    void *asker;          /* two that who asks may use */
    void *place;
    void (*on_answer)(struct verification *verification); /* any thread */
    size_t given_len;
    uint8_t given[];
};

/* A copy of the password that was given; a reference is taken. -ENOMEM. */
int verification_new(struct access *access, struct slice username, struct slice given,
                     struct verification **verification_out) MUST_CHECK;

/* The same about other files. */
void verification_turn(struct verification *verification, struct access *access,
                       struct slice username);

/* Looks; may take long. */
void verification_run(struct verification *verification);

/* The password is overwritten. */
struct verification *verification_free(struct verification *verification);

struct verifier;

/* Without threads yet. -ENOMEM. */
int verifier_new(struct verifier **verifier_out) MUST_CHECK;

/* -errno. */
int verifier_start(struct verifier *verifier, unsigned thread_len) MUST_CHECK;

/* Ends the threads; what still waits is answered as failed. */
struct verifier *verifier_free(struct verifier *verifier);

/* Hands it over. False: as many as `max` wait already, and it stays the caller's. Any thread. */
bool verifier_ask(struct verifier *verifier, struct verification *verification, unsigned max);
