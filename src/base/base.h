#pragma once

/*
 * Base
 *
 * The words that every file uses: fixed-width types, assertions, the two currencies of failure and
 * scope cleanup.
 *
 * Failure: 0 is success. A negative number is -errno: nobody here can help, pass it up unchanged.
 * A positive number is a verdict of the module's own enum: the caller decides.
 */

#include "base/compiler.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#define MIN(a, b)                          \
    ({                                     \
        typeof(a) min_a_ = (a);            \
        typeof(b) min_b_ = (b);            \
        min_a_ < min_b_ ? min_a_ : min_b_; \
    })

#define MAX(a, b)                          \
    ({                                     \
        typeof(a) max_a_ = (a);            \
        typeof(b) max_b_ = (b);            \
        max_a_ > max_b_ ? max_a_ : max_b_; \
    })

#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* Hands over what a variable owns: the variable is NULL afterwards. */
#define TAKE(variable)                        \
    ({                                        \
        typeof(variable) taken_ = (variable); \
        (variable) = NULL;                    \
        taken_;                               \
    })

/*
 * Scope cleanup: `CLEANUP(x_free) struct x *x = NULL;` frees x when it goes out of scope, unless it
 * was handed over with TAKE(). Needs DEFINE_CLEANUP(struct x *, x_free) in the header of x.
 */
#define CLEANUP(function) __attribute__((cleanup(function##_at_exit)))
#define DEFINE_CLEANUP(type, function)                                   \
    static inline UNUSED void function##_at_exit(type *variable_at_exit) \
    {                                                                    \
        if (*variable_at_exit) {                                         \
            function(*variable_at_exit);                                 \
        }                                                                \
    }

/* Asserts stay in release builds: a broken invariant must end the process before it loses data. */
#ifdef NDEBUG
#error "assertions are part of the product: build with b_ndebug=false"
#endif
