#include "bench/bystander.h"

#include "bench/swarm.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BYSTANDER_INDEX 99999999u /* of no peer of a swarm */
#define PATIENCE_MS     60000

static void send_all(int fd, const void *data, size_t len)
{
    if (send(fd, data, len, MSG_NOSIGNAL) != (ssize_t)len) {
        tool_die("bystander: send: %s", strerror(errno));
    }
}

/* Answers are awaited one by one, so there is never more than one packet to read. */
static void await(int fd, enum wire_type type)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    struct wire_packet packet;
    uint8_t answer[64];
    size_t len = 0;

    do {
        ssize_t got = poll(&wanted, 1, PATIENCE_MS) == 1
                          ? recv(fd, answer + len, sizeof(answer) - len, 0)
                          : 0;

        if (got <= 0) {
            tool_die("bystander: the broker does not answer");
        }
        len += (size_t)got;
    } while (!wire_parse(slice_of(answer, len), &packet));
    if (packet.type != type) {
        tool_die("bystander: a packet of type %u that should not come", (unsigned)packet.type);
    }
}

static void connect_one(struct bystander *bystander)
{
    uint8_t hello[SWARM_CONNECT_MAX];
    struct pollfd wanted = {.events = POLLOUT};

    bystander->fd = swarm_dial(bystander->target, 0);
    wanted.fd = bystander->fd;
    if (poll(&wanted, 1, PATIENCE_MS) != 1 || fcntl(bystander->fd, F_SETFL, 0)) {
        tool_die("bystander: can't connect");
    }
    send_all(bystander->fd, hello, swarm_put_connect(bystander->target, BYSTANDER_INDEX, 0, hello));
    await(bystander->fd, WIRE_CONNACK);
}

static void *run(void *argument)
{
    static const uint8_t ping[2] = {WIRE_PINGREQ << 4, 0};
    const struct timespec rest = {.tv_nsec = (long)NS_PER_MS};
    struct bystander *bystander = argument;

    while (!atomic_load(&bystander->is_over)) {
        uint64_t from_ns = tool_now_ns();
        uint64_t waited_ns;

        send_all(bystander->fd, ping, sizeof(ping));
        await(bystander->fd, WIRE_PINGRESP);
        waited_ns = tool_now_ns() - from_ns;
        if (waited_ns > atomic_load(&bystander->longest_ns)) {
            atomic_store(&bystander->longest_ns, waited_ns);
        }
        nanosleep(&rest, NULL);
    }
    return NULL;
}

void bystander_start(struct bystander *bystander, const struct plan_target *target)
{
    struct sched_param priority = {.sched_priority = 1};

    *bystander = (struct bystander){.target = target};
    connect_one(bystander);
    if (pthread_create(&bystander->thread, NULL, run, bystander)) {
        tool_die("bystander: no thread");
    }
    /* Without the right to it the figure is larger, for every broker alike. */
    (void)pthread_setschedparam(bystander->thread, SCHED_FIFO, &priority);
}

void bystander_forget(struct bystander *bystander)
{
    atomic_store(&bystander->longest_ns, 0);
}

double bystander_stop(struct bystander *bystander)
{
    atomic_store(&bystander->is_over, true);
    pthread_join(bystander->thread, NULL);
    close(bystander->fd);
    return (double)atomic_load(&bystander->longest_ns) / (double)NS_PER_MS;
}
