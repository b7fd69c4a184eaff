/*
 * The floor
 *
 * What forwarding MQTT costs when nothing is done but forwarding: one thread, one epoll set, one
 * recv and one send for each connection and burst, and for each message one look-up of its topic in
 * a hash. It is the same kernel work as a broker's and no more, so the ratio of a broker's CPU to
 * the floor's tells what the broker itself costs. It links with nothing of the product.
 *
 * It speaks just enough MQTT 3.1.1 (and 5.0, as long as nobody sends properties with a PUBLISH and
 * all clients speak the same version): exact topics, QoS 0 to 2 with the whole handshakes, no
 * retained messages, no sessions, no keep-alive, no validation beyond its own safety.
 *
 * How a message travels: it is read into one shared buffer, its topic is found, flags and packet
 * identifier are written into it in place, and the whole packet is copied behind what the receiver
 * is already owed. At the end of the loop's turn every touched connection is written out once. A
 * connection owns a buffer only while the kernel refused some of its output or a packet is
 * incomplete. Packets of LARGE bytes and more go from the read buffer straight to the socket.
 *
 * At SIGTERM it prints what it did as one line of JSON. bench_floor_turns() holds everything that
 * is done for traffic, so that callgrind can count in it alone where the machine lends no counters.
 */

#include "floor_topics.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    READ_SIZE = 256 * 1024,
    OUT_START = 1024,
    POOL_CAP = 2048, /* idle out buffers that are kept */
    EVENT_CAP = 512,
    ACCEPT_MAX = 16, /* per turn */
    LARGE = 8192,
    PACKET_MAX = 64 * 1024 * 1024,
    SLACK = 32 /* that every buffer has behind its end, for copies and looks in whole words */
};

enum {
    CONNECT = 1,
    PUBLISH = 3,
    PUBACK,
    PUBREC,
    PUBREL,
    PUBCOMP,
    SUBSCRIBE,
    PINGREQ = 12,
    DISCONNECT = 14
};

/* What an event names that is no client. */
enum { LISTENER_EVENT = 0, STOP_EVENT = 1 };

struct bytes {
    uint8_t *data;
    uint32_t len;
    uint32_t cap;
};

struct client {
    int fd; /* -1: closed, freed at the end of the turn */
    uint16_t last_id;
    uint8_t version;
    bool is_touched; /* on the list of this turn */
    bool is_blocked; /* the kernel refused output: EPOLLOUT is armed */
    struct bytes in; /* the beginning of an incomplete packet */
    struct bytes out;
    struct client *next; /* touched, or closed */
    struct topic **topics;
    uint32_t topic_len;
};

struct packet {
    uint8_t *data;
    uint32_t size;   /* all of it */
    uint32_t header; /* bytes before the body */
};

struct counts {
    uint64_t delivered, recvs, sends, turns, accepts;
};

static struct {
    int epoll;
    int listener;
    bool defers_accept;
    bool is_stopped;
    struct topics topics;
    struct client *touched;
    struct client *closed;
    struct bytes pool[POOL_CAP];
    uint32_t pool_len;
    struct counts counts;
    struct epoll_event events[EVENT_CAP];
    uint8_t input[READ_SIZE + SLACK];
} floor_;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static inline uint32_t two(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return ntohs(value);
}

/* Clients. */

static void close_client(struct client *client)
{
    if (client->fd < 0) {
        return;
    }
    close(client->fd);
    client->fd = -1;
    while (client->topic_len) {
        topic_remove(client->topics[--client->topic_len], client);
    }
    if (!client->is_touched) { /* else flush_touched() will find it */
        client->next = floor_.closed;
        floor_.closed = client;
    }
}

/* An event of this turn may still name a closed client, so it is freed when the turn is over. */
static void free_closed(void)
{
    while (floor_.closed) {
        struct client *client = floor_.closed;

        floor_.closed = client->next;
        free(client->in.data);
        free(client->out.data);
        free(client->topics);
        free(client);
    }
}

static void watch(struct client *client, int how, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};

    if (epoll_ctl(floor_.epoll, how, client->fd, &event)) {
        die("bench-floor: epoll_ctl");
    }
}

/* Output. */

static void touch(struct client *client)
{
    client->is_touched = true;
    client->next = floor_.touched;
    floor_.touched = client;
}

/* A client without a buffer is owed nothing: with the buffer it comes onto the list of this turn.
 */
static __attribute__((noinline)) void reserve(struct client *client, uint32_t room)
{
    struct bytes *out = &client->out;
    uint32_t cap;

    if (!out->data && !client->is_touched) {
        touch(client);
    }
    if (!out->data && floor_.pool_len) {
        *out = floor_.pool[--floor_.pool_len];
    }
    cap = out->cap ? out->cap : OUT_START;
    while (cap - out->len < room) {
        cap *= 2;
    }
    if (cap != out->cap) {
        out->data = floor_must(realloc(out->data, cap + SLACK));
        out->cap = cap;
    }
}

static void release(struct bytes *bytes)
{
    if (floor_.pool_len < POOL_CAP) {
        floor_.pool[floor_.pool_len++] = (struct bytes){.data = bytes->data, .cap = bytes->cap};
    } else {
        free(bytes->data);
    }
    *bytes = (struct bytes){0};
}

/* Room for `size` bytes behind what the client is owed. */
static inline uint8_t *append(struct client *client, uint32_t size)
{
    uint8_t *at;

    if (unlikely(client->out.cap - client->out.len < size)) {
        reserve(client, size);
    }
    at = client->out.data + client->out.len;
    client->out.len += size;
    return at;
}

/* For short packets, which are most: no call, no branch on the rest. */
static inline void copy(uint8_t *to, const uint8_t *from, size_t size)
{
    const uint8_t *end = from + size;

    do {
        memcpy(to, from, SLACK);
        to += SLACK;
        from += SLACK;
    } while (from < end);
}

static ssize_t send_bytes(struct client *client, const uint8_t *data, uint32_t len)
{
    ssize_t sent = send(client->fd, data, len, MSG_NOSIGNAL);

    floor_.counts.sends++;
    if (sent < 0 && errno == EAGAIN) {
        return 0;
    }
    return sent;
}

static void flush_client(struct client *client)
{
    ssize_t sent = send_bytes(client, client->out.data, client->out.len);

    if (sent < 0) {
        close_client(client);
        return;
    }
    client->out.len -= (uint32_t)sent;
    if (likely(client->out.len == 0)) {
        release(&client->out);
    } else {
        memmove(client->out.data, client->out.data + sent, client->out.len);
    }
    if (unlikely(client->is_blocked != (client->out.len > 0))) {
        client->is_blocked = client->out.len > 0;
        watch(client, EPOLL_CTL_MOD, client->is_blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

static void flush_touched(void)
{
    struct client *next;

    for (struct client *client = floor_.touched; client; client = next) {
        next = client->next;
        client->is_touched = false;
        if (unlikely(client->fd < 0)) {
            client->next = floor_.closed;
            floor_.closed = client;
        } else if (client->out.len && !client->is_blocked) {
            flush_client(client);
        }
    }
    floor_.touched = NULL;
}

/* Packets. Each handler answers false when the client is to be closed. */

static void put_ack(struct client *client, uint32_t type, const uint8_t *id)
{
    uint8_t *at = append(client, 4);

    at[0] = (uint8_t)(type << 4 | (type == PUBREL ? 2 : 0));
    at[1] = 2;
    at[2] = id[0];
    at[3] = id[1];
}

/* A large packet for a client that is owed nothing is not copied. */
static void deliver_large(struct client *client, const struct packet *packet)
{
    ssize_t sent = client->out.len ? 0 : send_bytes(client, packet->data, packet->size);
    uint32_t rest;

    if (sent < 0) {
        return; /* its end will be read soon */
    }
    rest = packet->size - (uint32_t)sent;
    if (rest) {
        memcpy(append(client, rest), packet->data + sent, rest);
    }
}

/* A subscription of QoS 0 to what was published with more: the identifier is left out. */
static void deliver_without_id(struct client *client, const struct packet *packet,
                               uint32_t topic_len)
{
    uint32_t body = packet->size - packet->header - 2;
    uint32_t front = 2 + topic_len;
    uint8_t *at = append(client, 5 + body);
    uint32_t used = 1;

    at[0] = PUBLISH << 4;
    for (uint32_t left = body; left || used == 1; left >>= 7) {
        at[used++] = (uint8_t)((left & 127) | (left > 127 ? 128 : 0));
    }
    memcpy(at + used, packet->data + packet->header, front);
    memcpy(at + used + front, packet->data + packet->header + front + 2, body - front);
    client->out.len -= 5 - used;
}

/* `id` is the place of the identifier in the packet. */
static void deliver_with_id(struct client *client, struct packet *packet, uint32_t qos, uint32_t id)
{
    packet->data[0] = (uint8_t)(PUBLISH << 4 | qos << 1);
    client->last_id = (uint16_t)(client->last_id == UINT16_MAX ? 1 : client->last_id + 1);
    packet->data[id] = (uint8_t)(client->last_id >> 8);
    packet->data[id + 1] = (uint8_t)client->last_id;
    if (unlikely(packet->size >= LARGE)) {
        deliver_large(client, packet);
    } else {
        copy(append(client, packet->size), packet->data, packet->size);
    }
}

/* QoS 1 and 2. */
static bool on_publish_with_id(struct client *client, struct packet *packet)
{
    uint32_t topic_len = two(packet->data + packet->header);
    uint32_t id = packet->header + 2 + topic_len;
    uint32_t qos = packet->data[0] >> 1 & 3;
    const struct topic *topic;

    if (id + 2 > packet->size) {
        return false;
    }
    put_ack(client, qos == 1 ? PUBACK : PUBREC, packet->data + id);
    topic = topics_find(&floor_.topics, packet->data + packet->header + 2, topic_len);
    for (uint32_t i = 0; topic && i < topic->len; i++) {
        const struct subscriber *subscriber = &topic->subscribers[i];

        if (unlikely(!subscriber->qos)) {
            deliver_without_id(subscriber->client, packet, topic_len);
        } else {
            deliver_with_id(subscriber->client, packet,
                            qos < subscriber->qos ? qos : subscriber->qos, id);
        }
        floor_.counts.delivered++;
    }
    return true;
}

/* QoS 0: the path that has to be short, so its packet lies in registers. */
static inline bool on_publish(uint8_t *data, size_t header, size_t size)
{
    size_t topic_len = two(data + header);
    const struct subscriber *subscriber;
    const struct topic *topic;
    uint32_t left;

    if (unlikely(header + 2 + topic_len > size)) {
        return false;
    }
    topic = topics_find(&floor_.topics, data + header + 2, topic_len);
    if (unlikely(!topic || !topic->len)) {
        return true;
    }
    data[0] = PUBLISH << 4;
    subscriber = topic->subscribers;
    left = topic->len;
    floor_.counts.delivered += left;
    do {
        if (unlikely(size >= LARGE)) {
            deliver_large(subscriber->client,
                          &(struct packet){.data = data, .size = (uint32_t)size});
        } else {
            copy(append(subscriber->client, (uint32_t)size), data, size);
        }
        subscriber++;
    } while (--left);
    return true;
}

static bool on_connect(struct client *client, const struct packet *packet)
{
    const uint8_t *body = packet->data + packet->header;
    uint8_t *at;

    if (packet->size - packet->header < 10 || two(body) != 4) {
        return false;
    }
    client->version = body[6];
    at = append(client, client->version == 5 ? 5 : 4);
    memcpy(at, "\x20\x02\x00\x00", 4);
    if (client->version == 5) {
        memcpy(at, "\x20\x03\x00\x00\x00", 5);
    }
    return true;
}

static void subscribe(struct client *client, struct topic *topic, uint8_t qos)
{
    if (topic_add(topic, client, qos)) {
        client->topics =
            floor_must(realloc(client->topics, (client->topic_len + 1) * sizeof(*client->topics)));
        client->topics[client->topic_len++] = topic;
    }
}

static bool on_subscribe(struct client *client, const struct packet *packet)
{
    const uint8_t *at = packet->data + packet->header;
    const uint8_t *end = packet->data + packet->size;
    const uint8_t *id = at;
    uint8_t codes[64];
    uint32_t len = 0;
    uint32_t extra = client->version == 5 ? 1 : 0;
    uint8_t *out;

    for (at += 2 + extra; end - at > 3 && len < sizeof(codes); len++) {
        uint32_t name_len = two(at);

        if (name_len + 3 > end - at) {
            return false;
        }
        codes[len] = at[2 + name_len] & 3;
        subscribe(client, topics_get(&floor_.topics, at + 2, name_len), codes[len]);
        at += 2 + name_len + 1;
    }
    if (at != end) {
        return false;
    }
    out = append(client, 4 + extra + len);
    out[0] = 0x90;
    out[1] = (uint8_t)(2 + extra + len);
    memcpy(out + 2, id, 2);
    out[4] = 0;
    memcpy(out + 4 + extra, codes, len);
    return true;
}

static __attribute__((noinline)) bool on_packet(struct client *client, struct packet *packet)
{
    const uint8_t *body = packet->data + packet->header;

    if (packet->size - packet->header < 2 && packet->data[0] >> 4 < PINGREQ) {
        return false;
    }
    switch (packet->data[0] >> 4) {
    case PUBLISH:
        return packet->data[0] & 6 ? on_publish_with_id(client, packet)
                                   : on_publish(packet->data, packet->header, packet->size);
    case CONNECT: return on_connect(client, packet);
    case SUBSCRIBE: return on_subscribe(client, packet);
    case PUBREC: put_ack(client, PUBREL, body); return true;
    case PUBREL: put_ack(client, PUBCOMP, body); return true;
    case PUBACK: return true;
    case PUBCOMP: return true;
    case PINGREQ: memcpy(append(client, 2), "\xd0\x00", 2); return true;
    default: return false;
    }
}

/* 1: whole; 0: more is needed (`size` is set when it is known, else 0); -1: nonsense. */
static int parse(struct packet *packet, size_t len)
{
    uint32_t body = 0;
    uint32_t at = 1;

    packet->size = 0;
    for (uint32_t shift = 0;; shift += 7) {
        if (at >= len || shift == 28) {
            return shift == 28 ? -1 : 0;
        }
        body |= (uint32_t)(packet->data[at] & 127) << shift;
        if (packet->data[at++] < 128) {
            break;
        }
    }
    packet->header = at;
    packet->size = at + body;
    return packet->size > PACKET_MAX ? -1 : packet->size <= len;
}

/* Keeps the beginning of a packet for the next turn. */
static void keep_rest(struct client *client, const uint8_t *data, uint32_t len, uint32_t needed)
{
    struct bytes *in = &client->in;
    uint32_t cap = needed > len ? needed : len + SLACK;
    uint8_t *larger;

    if (in->cap < cap) { /* `data` may lie in the smaller one */
        larger = floor_must(malloc(cap + SLACK));
        memcpy(larger, data, len);
        free(in->data);
        *in = (struct bytes){.data = larger, .cap = cap};
    } else {
        memmove(in->data, data, len);
    }
    in->len = len;
}

/* Whether a short PUBLISH of QoS 0 is at the front, whole. */
static inline bool is_plain(const uint8_t *data, size_t size, size_t len)
{
    return size < 130 && size <= len && size >= 4 && (data[0] & 0xf6) == PUBLISH << 4;
}

/* Handles the whole packets in `data`. */
static void take(struct client *client, uint8_t *data, uint32_t len)
{
    const uint8_t *end = data + len;
    struct packet packet = {0};
    bool is_good = true;
    int whole = 0;

    while (is_good) {
        size_t size = 2u + data[1];

        while (likely(is_plain(data, size, (size_t)(end - data)) && on_publish(data, 2, size))) {
            data += size;
            size = 2u + data[1];
        }
        packet.data = data;
        whole = parse(&packet, (size_t)(end - data));
        if (whole <= 0) {
            break;
        }
        is_good = on_packet(client, &packet);
        data += packet.size;
    }
    if (unlikely(!is_good || whole < 0)) {
        close_client(client);
    } else if (unlikely(data < end)) {
        keep_rest(client, data, (uint32_t)(end - data), packet.size);
    } else if (unlikely(client->in.data)) {
        free(client->in.data);
        client->in = (struct bytes){0};
    }
}

/* A small rest moves into the shared buffer; a large one is completed where it lies. */
static struct bytes read_buffer(struct client *client)
{
    struct bytes shared = {.data = floor_.input, .cap = READ_SIZE};

    if (likely(!client->in.data)) {
        return shared;
    }
    if (client->in.len >= LARGE) {
        return client->in;
    }
    memcpy(floor_.input, client->in.data, client->in.len);
    shared.len = client->in.len;
    return shared;
}

/* One recv, however much there is: what is left shows up in the next turn. */
static void on_readable(struct client *client)
{
    struct bytes buffer = read_buffer(client);
    ssize_t got = recv(client->fd, buffer.data + buffer.len, buffer.cap - buffer.len, 0);

    floor_.counts.recvs++;
    if (got > 0) {
        take(client, buffer.data, buffer.len + (uint32_t)got);
    } else if (got == 0 || errno != EAGAIN) {
        close_client(client);
    }
}

static void on_accept(void)
{
    for (int i = 0; i < ACCEPT_MAX; i++) {
        int fd = accept4(floor_.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct client *client;

        if (fd < 0) {
            return;
        }
        client = floor_must(calloc(1, sizeof(*client)));
        client->fd = fd;
        floor_.counts.accepts++;
        watch(client, EPOLL_CTL_ADD, EPOLLIN);
        if (floor_.defers_accept) {
            on_readable(client);
        }
    } /* NOLINT(clang-analyzer-unix.Malloc): the epoll set holds the client */
}

static void handle_event(const struct epoll_event *event)
{
    struct client *client = event->data.ptr;

    if (unlikely(event->data.u64 <= STOP_EVENT)) {
        if (event->data.u64 == STOP_EVENT) {
            floor_.is_stopped = true;
        } else {
            on_accept();
        }
        return;
    }
    if (client->fd >= 0 && event->events & EPOLLOUT) {
        flush_client(client);
    }
    if (client->fd >= 0 && event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        on_readable(client);
    }
}

/* Everything that traffic costs; its name is known to the runner, which counts in it. */
__attribute__((noinline)) void bench_floor_turns(void);

__attribute__((noinline)) void bench_floor_turns(void)
{
    while (!floor_.is_stopped) {
        int len = epoll_wait(floor_.epoll, floor_.events, EVENT_CAP, -1);

        floor_.counts.turns++;
        for (int i = 0; i < len; i++) {
            handle_event(&floor_.events[i]);
        }
        flush_touched();
        free_closed();
    }
}

/* Start and end. */

/* A counter of this process's own instructions in user mode; -1 where the machine lends none. */
static int open_counter(void)
{
    struct perf_event_attr attributes = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof(attributes),
        .config = PERF_COUNT_HW_INSTRUCTIONS,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };

    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static void print_counts(int counter)
{
    const struct counts *counts = &floor_.counts;
    uint64_t instructions = 0;

    printf("{\"delivered\": %lu, \"recv\": %lu, \"send\": %lu, \"turns\": %lu, "
           "\"accepted\": %lu, \"instructions\": ",
           counts->delivered, counts->recvs, counts->sends, counts->turns, counts->accepts);
    if (counter >= 0 && read(counter, &instructions, sizeof(instructions)) > 0) {
        printf("%lu}\n", instructions);
    } else {
        printf("null}\n");
    }
}

static int listen_tcp(const char *host, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 4096)) {
        die("bench-floor: listen");
    }
    return fd;
}

static int listen_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        die(path);
    }
    memcpy(address.sun_path, path, strlen(path));
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 4096)) {
        die(path);
    }
    return fd;
}

static void watch_plain(int fd, uint64_t number)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = number};

    if (fd < 0 || epoll_ctl(floor_.epoll, EPOLL_CTL_ADD, fd, &event)) {
        die("bench-floor: epoll");
    }
}

static int open_signals(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

static void open_all(const char *where)
{
    const char *colon = strrchr(where, ':');
    char host[64];
    int on = 1;

    if (colon) {
        snprintf(host, sizeof(host), "%.*s", (int)(colon - where), where);
        floor_.listener = listen_tcp(host, (uint16_t)strtoul(colon + 1, NULL, 10));
    } else {
        floor_.listener = listen_unix(where);
    }
    if (floor_.defers_accept &&
        setsockopt(floor_.listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &on, sizeof(on))) {
        die("bench-floor: TCP_DEFER_ACCEPT");
    }
    topics_init(&floor_.topics, 4096);
    floor_.epoll = epoll_create1(EPOLL_CLOEXEC);
    watch_plain(floor_.listener, LISTENER_EVENT);
    watch_plain(open_signals(), STOP_EVENT);
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    int counter;

    if (argc == 3 && strcmp(argv[2], "--defer-accept") == 0) {
        floor_.defers_accept = true;
    } else if (argc != 2) {
        fprintf(stderr, "usage: bench-floor ADDRESS:PORT|PATH [--defer-accept]\n");
        return 2;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    open_all(argv[1]);
    counter = open_counter();
    bench_floor_turns();
    print_counts(counter);
    return 0;
}
