#pragma once

/*
 * Failpoints
 *
 * A build with `-Dfailpoints=true` has this header put before every source: each call that may fail
 * for want of memory, descriptors or the system's favour becomes a point that can be told to fail.
 * No source says so, so none can forget to; without the option there is nothing of it.
 *
 * The table of all points, what happened at them and which one is to fail are in a file that
 * NIGHTJAR_FAILPOINTS names, mapped by the process: whoever has mapped it as well, such as
 * tests/faults, arms a point at any time and reads the counts, also of a process that is gone.
 */

/* All that declares what is given another meaning below: it must not be read with that meaning. */
#include "base/base.h"
#include "base/memory.h"
#include "base/spares.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <netdb.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct failpoint {
    const char *file;
    const char *function;
    const char *call;
    uint32_t line;
    uint32_t index; /* in the table, set before main() */
    bool allocates; /* through base/memory.h or base/spares.h; set before main() */
};

/* What the file holds: this, and `len` rows. Written by several processes and threads. */
struct failpoint_table {
    char magic[8];
    uint32_t len;
    uint32_t row_size;
    _Atomic uint32_t armed;  /* the index of the point to fail, or one of the numbers below */
    _Atomic uint32_t passed; /* hits of what is armed; whoever arms sets it to 0 */
    _Atomic uint32_t first;  /* the hit that fails, from 1 */
    _Atomic uint32_t times;  /* so many hits fail, one after the other */
    _Atomic uint64_t failed;
    uint8_t unused[24];
};

struct failpoint_row {
    char name[112]; /* FILE:LINE FUNCTION CALL */
    _Atomic uint64_t hits;
    _Atomic uint64_t failed;
};

#define FAILPOINT_MAGIC "NJFAIL1"
#define FAILPOINT_NONE  UINT32_MAX
#define FAILPOINT_ANY   (UINT32_MAX - 1)
/* Of base/memory.h and base/spares.h, without what ends the process. */
#define FAILPOINT_MEMORY (UINT32_MAX - 2)

/* Counts a hit. Whether this one is to fail; then errno is `error`. */
bool failpoint_fails(const struct failpoint *point, int error);

/* For tests in the process itself: NULL when NIGHTJAR_FAILPOINTS named no file. */
struct failpoint_table *failpoint_table(void);

/* The linker gathers these; one of a static inline function is there once for each source. */
#define FAILPOINT_HERE(call_name)                                                              \
    static struct failpoint point_here_ = {__FILE__, __func__, call_name, __LINE__, 0, false}; \
    static struct failpoint *point_listed_ __attribute__((used, section("failpoints"))) =      \
        &point_here_;

#define FAILPOINT(function, error, result, ...)                                  \
    __extension__({                                                              \
        FAILPOINT_HERE(#function)                                                \
        failpoint_fails(&point_here_, error) ? (result) : function(__VA_ARGS__); \
    })

/* Only where a call of this kind may fail at all. */
#define FAILPOINT_IF(condition, function, error, result, ...)                                   \
    __extension__({                                                                             \
        FAILPOINT_HERE(#function)                                                               \
        (condition) && failpoint_fails(&point_here_, error) ? (result) : function(__VA_ARGS__); \
    })

/* These end the process. */
#define FAILPOINT_MUST(function, ...)                \
    __extension__({                                  \
        FAILPOINT_HERE(#function)                    \
        if (failpoint_fails(&point_here_, ENOMEM)) { \
            memory_end();                            \
        }                                            \
        function(__VA_ARGS__);                       \
    })

/* Memory: base/memory.c and base/spares.c define these in parentheses, which keeps them what they
 * are. */
#define memory_alloc(...)         FAILPOINT(memory_alloc, ENOMEM, NULL, __VA_ARGS__)
#define memory_alloc_zero(...)    FAILPOINT(memory_alloc_zero, ENOMEM, NULL, __VA_ARGS__)
#define memory_alloc_aligned(...) FAILPOINT(memory_alloc_aligned, ENOMEM, NULL, __VA_ARGS__)
#define memory_resize(...)        FAILPOINT(memory_resize, ENOMEM, NULL, __VA_ARGS__)
#define memory_copy_text(...)     FAILPOINT(memory_copy_text, ENOMEM, NULL, __VA_ARGS__)
#define memory_copy_slice(...)    FAILPOINT(memory_copy_slice, ENOMEM, NULL, __VA_ARGS__)
#define spares_alloc(...)         FAILPOINT(spares_alloc, ENOMEM, NULL, __VA_ARGS__)
#define spares_alloc_zero(...)    FAILPOINT(spares_alloc_zero, ENOMEM, NULL, __VA_ARGS__)

#define memory_must_alloc(...)         FAILPOINT_MUST(memory_must_alloc, __VA_ARGS__)
#define memory_must_alloc_zero(...)    FAILPOINT_MUST(memory_must_alloc_zero, __VA_ARGS__)
#define memory_must_alloc_aligned(...) FAILPOINT_MUST(memory_must_alloc_aligned, __VA_ARGS__)

/* The C library, which allocates. */
#define strdup(...)         FAILPOINT(strdup, ENOMEM, NULL, __VA_ARGS__)
#define open_memstream(...) FAILPOINT(open_memstream, ENOMEM, NULL, __VA_ARGS__)
#define fclose(...)         FAILPOINT(fclose, ENOMEM, ((void)(fclose)(__VA_ARGS__), EOF), __VA_ARGS__)
#define opendir(...)        FAILPOINT(opendir, EMFILE, NULL, __VA_ARGS__)
#define getaddrinfo(...)    FAILPOINT(getaddrinfo, ENOMEM, EAI_MEMORY, __VA_ARGS__)
#define getpwnam(...)       FAILPOINT(getpwnam, ENOMEM, NULL, __VA_ARGS__)
#define getpwuid(...)       FAILPOINT(getpwuid, ENOMEM, NULL, __VA_ARGS__)
#define initgroups(...)     FAILPOINT(initgroups, ENOMEM, -1, __VA_ARGS__)

/* OpenSSL, whose memory never fails by itself: see net/tls.c. */
#define BIO_meth_new(...)       FAILPOINT(BIO_meth_new, ENOMEM, NULL, __VA_ARGS__)
#define BIO_new(...)            FAILPOINT(BIO_new, ENOMEM, NULL, __VA_ARGS__)
#define EVP_CIPHER_fetch(...)   FAILPOINT(EVP_CIPHER_fetch, ENOMEM, NULL, __VA_ARGS__)
#define EVP_Q_digest(...)       FAILPOINT(EVP_Q_digest, ENOMEM, 0, __VA_ARGS__)
#define OSSL_LIB_CTX_new(...)   FAILPOINT(OSSL_LIB_CTX_new, ENOMEM, NULL, __VA_ARGS__)
#define RAND_bytes_ex(...)      FAILPOINT(RAND_bytes_ex, ENOMEM, 0, __VA_ARGS__)
#define RAND_priv_bytes_ex(...) FAILPOINT(RAND_priv_bytes_ex, ENOMEM, 0, __VA_ARGS__)
#define SSL_CTX_new_ex(...)     FAILPOINT(SSL_CTX_new_ex, ENOMEM, NULL, __VA_ARGS__)
#define SSL_new(...)            FAILPOINT(SSL_new, ENOMEM, NULL, __VA_ARGS__)

/* The system, which gives descriptors, memory and threads, or does not. */
#define accept4(...)       FAILPOINT(accept4, EMFILE, -1, __VA_ARGS__)
#define bind(...)          FAILPOINT(bind, EADDRINUSE, -1, __VA_ARGS__)
#define connect(...)       FAILPOINT(connect, EAGAIN, -1, __VA_ARGS__)
#define dup3(...)          FAILPOINT(dup3, EBUSY, -1, __VA_ARGS__)
#define epoll_create1(...) FAILPOINT(epoll_create1, EMFILE, -1, __VA_ARGS__)
#define epoll_ctl(fd, operation, ...) \
    FAILPOINT_IF((operation) != EPOLL_CTL_DEL, epoll_ctl, ENOMEM, -1, fd, operation, __VA_ARGS__)
#define epoll_wait(...)     FAILPOINT(epoll_wait, EINTR, -1, __VA_ARGS__)
#define eventfd(...)        FAILPOINT(eventfd, EMFILE, -1, __VA_ARGS__)
#define fchown(...)         FAILPOINT(fchown, EPERM, -1, __VA_ARGS__)
#define fork(...)           FAILPOINT(fork, EAGAIN, -1, __VA_ARGS__)
#define getsockname(...)    FAILPOINT(getsockname, ENOBUFS, -1, __VA_ARGS__)
#define getrandom(...)      FAILPOINT(getrandom, ENOSYS, -1, __VA_ARGS__)
#define if_nametoindex(...) FAILPOINT(if_nametoindex, ENODEV, 0, __VA_ARGS__)
#define listen(...)         FAILPOINT(listen, EADDRINUSE, -1, __VA_ARGS__)
#define open(...)           FAILPOINT(open, EMFILE, -1, __VA_ARGS__)
#define pipe2(...)          FAILPOINT(pipe2, EMFILE, -1, __VA_ARGS__)
#define prctl(...)          FAILPOINT(prctl, EPERM, -1, __VA_ARGS__)
#define pthread_create(...) FAILPOINT(pthread_create, EAGAIN, EAGAIN, __VA_ARGS__)
#define recv(...)           FAILPOINT(recv, ENOMEM, -1, __VA_ARGS__)
#define recvmsg(...)        FAILPOINT(recvmsg, ENOMEM, -1, __VA_ARGS__)
#define sendmsg(...)        FAILPOINT(sendmsg, ENOBUFS, -1, __VA_ARGS__)
#define setgroups(...)      FAILPOINT(setgroups, EPERM, -1, __VA_ARGS__)
#define setresgid(...)      FAILPOINT(setresgid, EPERM, -1, __VA_ARGS__)
#define setresuid(...)      FAILPOINT(setresuid, EPERM, -1, __VA_ARGS__)
#define setsockopt(...)     FAILPOINT(setsockopt, ENOMEM, -1, __VA_ARGS__)
#define sigaction(...)      FAILPOINT(sigaction, EINVAL, -1, __VA_ARGS__)
#define socket(...)         FAILPOINT(socket, EMFILE, -1, __VA_ARGS__)
#define syscall(...)        FAILPOINT(syscall, EPERM, -1, __VA_ARGS__)
#define unlink(...)         FAILPOINT(unlink, EACCES, -1, __VA_ARGS__)
