#include "loop/poller.h"

#include "base/memory.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENT_CAP 512

struct poller {
    int epoll_fd;
    int wake_fd;
    bool was_woken;
    struct epoll_event events[EVENT_CAP];
};

static uint32_t epoll_bits(unsigned bits)
{
    return (bits & POLLER_READ ? (uint32_t)EPOLLIN : 0) |
           (bits & POLLER_WRITE ? (uint32_t)EPOLLOUT : 0) |
           (bits & POLLER_SHARED ? (uint32_t)EPOLLEXCLUSIVE : 0);
}

static int control(struct poller *poller, int operation, int fd, uint32_t bits, void *source)
{
    struct epoll_event event = {.events = bits, .data.ptr = source};

    return epoll_ctl(poller->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

/* The wake-up is edge-triggered and its counter is never read: one system call less each time. */
static int open_both(struct poller *poller)
{
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll_fd < 0) {
        return -errno;
    }
    poller->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (poller->wake_fd < 0) {
        return -errno;
    }
    return control(poller, EPOLL_CTL_ADD, poller->wake_fd, EPOLLIN | EPOLLET, NULL);
}

int poller_new(struct poller **poller_out)
{
    struct poller *poller = memory_alloc_zero(1, sizeof(*poller));
    int r;

    if (!poller) {
        return -ENOMEM;
    }
    poller->epoll_fd = -1;
    poller->wake_fd = -1;
    r = open_both(poller);
    if (r < 0) {
        poller_free(poller);
        return r;
    }
    *poller_out = poller;
    return 0;
}

struct poller *poller_free(struct poller *poller)
{
    if (poller) {
        if (poller->wake_fd >= 0) {
            close(poller->wake_fd);
        }
        if (poller->epoll_fd >= 0) {
            close(poller->epoll_fd);
        }
        memory_free(poller);
    }
    return NULL;
}

int poller_add(struct poller *poller, int fd, unsigned bits, void *source)
{
    assert(source);

    return control(poller, EPOLL_CTL_ADD, fd, epoll_bits(bits), source);
}

int poller_change(struct poller *poller, int fd, unsigned bits, void *source)
{
    assert(source);

    return control(poller, EPOLL_CTL_MOD, fd, epoll_bits(bits), source);
}

void poller_remove(struct poller *poller, int fd)
{
    int r = control(poller, EPOLL_CTL_DEL, fd, 0, NULL);

    assert(r == 0);
}

static unsigned event_bits(uint32_t bits)
{
    return (bits & EPOLLIN ? POLLER_READ : 0u) | (bits & EPOLLOUT ? POLLER_WRITE : 0u) |
           (bits & (EPOLLHUP | EPOLLERR) ? POLLER_HANGUP : 0u);
}

unsigned poller_wait(struct poller *poller, struct poller_event *events, unsigned cap,
                     int timeout_ms)
{
    int len = epoll_wait(poller->epoll_fd, poller->events, (int)MIN(cap, (unsigned)EVENT_CAP),
                         timeout_ms);
    unsigned written = 0;

    assert(len >= 0 || errno == EINTR);
    poller->was_woken = false;
    for (int i = 0; i < len; i++) {
        if (poller->events[i].data.ptr) {
            events[written++] = (struct poller_event){
                .source = poller->events[i].data.ptr,
                .bits = event_bits(poller->events[i].events),
            };
        } else {
            poller->was_woken = true;
        }
    }
    return written;
}

bool poller_was_woken(const struct poller *poller)
{
    return poller->was_woken;
}

void poller_wake(struct poller *poller)
{
    uint64_t one = 1;
    ssize_t written = write(poller->wake_fd, &one, sizeof(one));

    /* EAGAIN: the counter is full, so the wake-up stands already. */
    assert(written == sizeof(one) || errno == EAGAIN);
}
