#include "base/log_thread.h"

#include "base/log_ring.h"
#include "base/memory.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/*
 * Who pushes wakes the thread only when it sleeps: it announces that, looks into the ring once
 * more, and then waits for the descriptor. Both sides are sequentially consistent, so either the
 * thread sees the record or who pushed it sees the announcement.
 */

#define END_MS 1000

struct log_thread {
    struct log_ring ring;
    pthread_t thread;
    int wake_fd;
    _Atomic bool is_sleeping;
    _Atomic bool is_stopping;
    _Atomic bool is_abandoned;       /* the process ends without it */
    _Atomic uint64_t end_ms;         /* with is_stopping: until when to wait for a destination */
    _Atomic(struct log_sink *) next; /* to be used from now on */
    struct log_sink *sink;           /* the thread's */
    struct log_sink *first;          /* not from the heap */
    log_thread_due_fn *due;
    pthread_mutex_t mutex; /* of the two below; nothing is called with it held */
    pthread_cond_t ended;
    bool has_ended;
};

static struct log_thread self;
static _Thread_local bool is_self;

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Not for the sake of a destination that never takes anything: others wait, too. */
static bool may_wait(void)
{
    if (atomic_load_explicit(&self.next, memory_order_relaxed)) {
        return false;
    }
    return !atomic_load_explicit(&self.is_stopping, memory_order_acquire) ||
           now_ms() < atomic_load_explicit(&self.end_ms, memory_order_relaxed);
}

static void use_next(void)
{
    struct log_sink *next = atomic_exchange_explicit(&self.next, NULL, memory_order_acquire);

    if (next) {
        next->publish = self.sink->publish;
        next->publish_context = self.sink->publish_context;
        if (self.sink == self.first) {
            log_sink_deinit(self.first);
        } else {
            log_sink_free(self.sink);
        }
        next->may_wait = may_wait;
        self.sink = next;
    }
}

/* What found no room in the ring. */
static void say_lost(void)
{
    uint64_t lost = log_ring_take_lost(&self.ring);
    struct log_field lines = log_field_number("lines", lost);
    struct log_record record;

    if (lost > 0) {
        log_record_init(&record, LOG_WARNING, LOG_EVENT_LINES_LOST);
        log_record_format(&record, "Warning: %llu log lines were lost.", (unsigned long long)lost);
        log_record_add(&record, &lines);
        log_sink_write(self.sink, &record);
    }
}

/* A record keeps its room until it is written: who waits for an empty ring waits for that. */
static void write_all(void)
{
    struct log_record record;

    while (!atomic_load_explicit(&self.is_abandoned, memory_order_relaxed) &&
           log_ring_peek(&self.ring, &record, sizeof(record)) > 0) {
        use_next();
        log_sink_write(self.sink, &record);
        log_ring_drop(&self.ring);
    }
    use_next();
    say_lost();
}

static void sleep_until_pushed(int timeout_ms)
{
    struct pollfd look = {.fd = self.wake_fd, .events = POLLIN};
    uint64_t count;

    atomic_store_explicit(&self.is_sleeping, true, memory_order_seq_cst);
    if (!log_ring_has_record(&self.ring) &&
        !atomic_load_explicit(&self.is_stopping, memory_order_seq_cst)) {
        poll(&look, 1, timeout_ms);
    }
    atomic_store_explicit(&self.is_sleeping, false, memory_order_relaxed);
    if (read(self.wake_fd, &count, sizeof(count)) < 0) {
        assert(errno == EAGAIN);
    }
}

static void *run(void *argument)
{
    bool is_stopping;

    (void)argument;
    is_self = true;
    do {
        bool is_due;

        is_stopping = atomic_load_explicit(&self.is_stopping, memory_order_acquire);
        write_all();
        is_due = self.due(is_stopping);
        if (!is_stopping) {
            sleep_until_pushed(is_due ? 1000 : -1);
        }
    } while (!is_stopping);
    write_all();
    pthread_mutex_lock(&self.mutex);
    self.has_ended = true;
    pthread_cond_signal(&self.ended);
    pthread_mutex_unlock(&self.mutex);
    return NULL;
}

/* Signals are for main: the thread inherits a mask that lets none through. */
static int make_thread(void)
{
    sigset_t all;
    sigset_t before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&self.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

static void init_ended(void)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self.ended, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&self.mutex, NULL);
    self.has_ended = false;
}

int log_thread_start(struct log_sink *sink, size_t ring_size, log_thread_due_fn *due)
{
    int r = log_ring_init(&self.ring, ring_size);

    if (r < 0) {
        return r;
    }
    self.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self.wake_fd < 0) {
        r = -errno;
        log_ring_deinit(&self.ring);
        return r;
    }
    atomic_store(&self.is_stopping, false);
    self.sink = sink;
    self.first = sink;
    self.due = due;
    sink->may_wait = may_wait;
    init_ended();
    r = make_thread();
    if (r < 0) {
        close(self.wake_fd);
        log_ring_deinit(&self.ring);
        sink->may_wait = NULL;
    }
    return r;
}

/* False: not within that time. */
static bool wait_for_end(unsigned seconds)
{
    struct timespec until;
    bool has_ended;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)seconds;
    pthread_mutex_lock(&self.mutex);
    while (!self.has_ended &&
           pthread_cond_timedwait(&self.ended, &self.mutex, &until) != ETIMEDOUT) {
    }
    has_ended = self.has_ended;
    pthread_mutex_unlock(&self.mutex);
    return has_ended;
}

/* As long as it gets on, with a ring that may be large, it is waited for. */
static bool wait_while_it_writes(void)
{
    uint64_t used;

    do {
        used = log_ring_used(&self.ring);
        if (wait_for_end(2)) {
            return true;
        }
    } while (log_ring_used(&self.ring) != used);
    return false;
}

bool log_thread_stop(void)
{
    atomic_store_explicit(&self.end_ms, now_ms() + END_MS, memory_order_relaxed);
    atomic_store_explicit(&self.is_stopping, true, memory_order_seq_cst);
    log_thread_wake();
    /* A disk that hangs must not keep the process from ending. */
    if (!wait_while_it_writes()) {
        atomic_store_explicit(&self.is_abandoned, true, memory_order_relaxed);
        pthread_detach(self.thread);
        return false;
    }
    pthread_join(self.thread, NULL);
    if (self.sink != self.first) {
        log_sink_deinit(self.first);
        *self.first = *self.sink;
        memory_free(self.sink);
    }
    self.first->may_wait = NULL;
    close(self.wake_fd);
    log_ring_deinit(&self.ring);
    return true;
}

void log_thread_wake(void)
{
    uint64_t one = 1;

    if (write(self.wake_fd, &one, sizeof(one)) < 0) {
        assert(errno == EAGAIN);
    }
}

void log_thread_push(const struct log_record *record)
{
    log_ring_push(&self.ring, record, log_record_size(record));
    if (atomic_load_explicit(&self.is_sleeping, memory_order_seq_cst) &&
        atomic_exchange_explicit(&self.is_sleeping, false, memory_order_seq_cst)) {
        log_thread_wake();
    }
}

void log_thread_change(struct log_sink *sink)
{
    /* One that was handed over and not used yet. */
    log_sink_free(atomic_exchange_explicit(&self.next, sink, memory_order_acq_rel));
    log_thread_wake();
}

void log_thread_rescue(void)
{
    static const struct timespec moment = {.tv_nsec = 1000000};

    for (unsigned i = 0; i < END_MS && !is_self && !log_ring_is_empty(&self.ring); i++) {
        nanosleep(&moment, NULL);
    }
}
