#include "bench/swarm.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    EVENT_CAP = 512,
    READ_SIZE = 256 * 1024,
    LARGE = 8192,
    SOURCE_CAP = 64,
    PATIENCE_MS = 10000
};

/* What a turn works with. */
static uint8_t input[READ_SIZE];
static struct epoll_event events[EVENT_CAP];

static void raise_file_limit(uint32_t wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_cur < wanted + 32) {
            tool_die("%u connections do not fit the limit of %lu open files", wanted,
                     (unsigned long)limit.rlim_cur);
        }
    }
}

void swarm_init(struct swarm *swarm, const struct plan *plan, uint32_t len)
{
    raise_file_limit(len);
    *swarm = (struct swarm){.plan = plan, .len = len, .granted_qos = plan->qos};
    swarm->peers = tool_alloc(len, sizeof(*swarm->peers));
    for (uint32_t i = 0; i < len; i++) {
        swarm->peers[i].index = i;
        swarm->peers[i].tube.fd = -1;
    }
    swarm->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (swarm->epoll < 0) {
        tool_die("epoll: %s", strerror(errno));
    }
}

static void forget(struct swarm *swarm, struct peer *peer)
{
    if (peer->state == PEER_READY) {
        swarm->ready_len--;
    }
    tube_close(&peer->tube);
    peer->state = PEER_CLOSED;
    peer->is_blocked = false;
    peer->in.len = 0;
    peer->out.len = 0;
}

void swarm_deinit(struct swarm *swarm)
{
    for (uint32_t i = 0; i < swarm->len; i++) {
        forget(swarm, &swarm->peers[i]);
        free(swarm->peers[i].in.data);
        free(swarm->peers[i].out.data);
    }
    free(swarm->peers);
    close(swarm->epoll);
}

void swarm_touch(struct swarm *swarm, struct peer *peer)
{
    assert(!peer->is_touched);
    peer->is_touched = true;
    peer->next_touched = swarm->touched;
    swarm->touched = peer;
}

static void watch(struct swarm *swarm, struct peer *peer, int how)
{
    struct epoll_event event = {.data.ptr = peer};

    event.events = peer->is_blocked ? EPOLLIN | EPOLLOUT : EPOLLIN;
    if (epoll_ctl(swarm->epoll, how, peer->tube.fd, &event)) {
        tool_die("epoll_ctl: %s", strerror(errno));
    }
}

/* Sends what the kernel takes; answers whether the rest waits for room there. */
static bool send_out(struct peer *peer)
{
    ssize_t sent = tube_send(&peer->tube, peer->out.data, peer->out.len);

    if (sent < 0 && errno != EAGAIN && errno != ENOTCONN) {
        tool_die("connection %u: send: %s", peer->index, strerror(errno));
    }
    sent = MAX(sent, 0);
    peer->out.len -= (size_t)sent;
    if (peer->out.len) {
        memmove(peer->out.data, peer->out.data + sent, peer->out.len);
    }
    return (peer->out.len > 0 || peer->tube.web) && tube_is_blocked(&peer->tube);
}

static void flush_peer(struct swarm *swarm, struct peer *peer)
{
    bool was_blocked = peer->is_blocked;

    peer->is_blocked = send_out(peer);
    if (was_blocked != peer->is_blocked) {
        watch(swarm, peer, EPOLL_CTL_MOD);
    }
}

void swarm_flush(struct swarm *swarm)
{
    struct peer *next;

    for (struct peer *peer = swarm->touched; peer; peer = next) {
        next = peer->next_touched;
        peer->is_touched = false;
        if (peer->out.len && !peer->is_blocked) {
            flush_peer(swarm, peer);
        }
    }
    swarm->touched = NULL;
}

static int connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(address.sun_path)) {
        tool_die("%s: too long", path);
    }
    memcpy(address.sun_path, path, strlen(path));
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        tool_die("%s: %s", path, strerror(errno));
    }
    return fd;
}

/*
 * A closed connection keeps its port for a minute. Source addresses taken in turn keep the kernel
 * from searching for free ports, and from running out of them.
 */
static void bind_source(int fd, uint32_t number)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + number % SOURCE_CAP),
    };
    int on = 1;

    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) ||
        bind(fd, (struct sockaddr *)&address, sizeof(address))) {
        tool_die("bind: %s", strerror(errno));
    }
}

static int connect_tcp(const struct plan_target *target, uint32_t number)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(target->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd >= 0 && target->has_sources) {
        bind_source(fd, number);
    }
    if (inet_pton(AF_INET, target->host, &address.sin_addr) != 1) {
        tool_die("%s is no IPv4 address", target->host);
    }
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
        (connect(fd, (struct sockaddr *)&address, sizeof(address)) && errno != EINPROGRESS)) {
        tool_die("%s:%u: %s", target->host, target->port, strerror(errno));
    }
    return fd;
}

int swarm_dial(const struct plan_target *target, uint32_t number)
{
    return target->path ? connect_unix(target->path) : connect_tcp(target, number);
}

static struct slice text_slice(const char *text)
{
    return slice_of(text, text ? strlen(text) : 0);
}

size_t swarm_put_connect(const struct plan_target *target, uint32_t index, uint32_t number,
                         uint8_t *at)
{
    char id[32];
    struct wire_login login = {
        .client_id = slice_of(id, (size_t)snprintf(id, sizeof(id), "bench-%08u", index)),
        .user = text_slice(target->user),
        .password = text_slice(target->password),
    };
    size_t used = target->has_proxy ? wire_put_proxy(at, number) : 0;

    if (login.user.len + login.password.len > SWARM_CONNECT_MAX / 2) {
        tool_die("user name and password are too long");
    }
    return used + wire_put_connect(at + used, target->version, &login);
}

void swarm_open(struct swarm *swarm, struct peer *peer)
{
    const struct plan_target *target = &swarm->plan->target;
    uint8_t *at;

    assert(peer->state == PEER_CLOSED && peer->out.len == 0);
    tube_open(&peer->tube, target, swarm_dial(target, swarm->opened));
    peer->state = PEER_CONNECTING;
    at = tool_reserve(&peer->out, SWARM_CONNECT_MAX);
    peer->out.len = swarm_put_connect(target, peer->index, swarm->opened, at);
    swarm->opened++;
    /* On loopback the connection stands already, and this succeeds. */
    peer->is_blocked = send_out(peer);
    watch(swarm, peer, EPOLL_CTL_ADD);
}

void swarm_close(struct swarm *swarm, struct peer *peer)
{
    peer->out.len = wire_put_disconnect(tool_reserve(&peer->out, WIRE_FRONT_MAX));
    send_out(peer);
    forget(swarm, peer);
}

static void become_ready(struct swarm *swarm, struct peer *peer)
{
    peer->state = PEER_READY;
    swarm->ready_len++;
    if (swarm->handlers.on_ready) {
        swarm->handlers.on_ready(swarm->context, peer);
    }
}

void swarm_subscribe(struct swarm *swarm, struct peer *peer, const struct slice *filters,
                     size_t len)
{
    size_t room = WIRE_FRONT_MAX;
    uint8_t *at;

    for (size_t i = 0; i < len; i++) {
        room += filters[i].len + WIRE_FILTER_EXTRA;
    }
    at = swarm_append(swarm, peer, room);
    peer->out.len -= room;
    peer->out.len +=
        wire_put_subscribe(at, swarm->plan->target.version, swarm->granted_qos, filters, len);
}

static void on_connack(struct swarm *swarm, struct peer *peer, const struct wire_packet *packet)
{
    const struct plan *plan = swarm->plan;
    char filter[SWARM_TOPIC_MAX];
    size_t len = 0;
    struct slice text;
    int code = wire_parse_connack(packet, plan->target.version, &peer->receive_maximum);

    if (code) {
        tool_die("connection %u: refused with code %d", peer->index, code);
    }
    if (swarm->handlers.filter) {
        len = swarm->handlers.filter(swarm->context, peer->index, filter);
    }
    if (!len) {
        become_ready(swarm, peer);
        return;
    }
    peer->state = PEER_SUBSCRIBING;
    text = slice_of(filter, len);
    swarm_subscribe(swarm, peer, &text, 1);
}

static void on_suback(struct swarm *swarm, struct peer *peer, const struct wire_packet *packet)
{
    size_t front = 2u + (swarm->plan->target.version == 5);

    for (size_t i = front; i < packet->body.len; i++) {
        if (packet->body.data[i] != swarm->granted_qos) {
            tool_die("connection %u: its subscription was not granted", peer->index);
        }
    }
    if (packet->body.len <= front || peer->state < PEER_SUBSCRIBING) {
        tool_die("connection %u: a SUBACK that should not come", peer->index);
    }
    if (peer->state == PEER_SUBSCRIBING) {
        become_ready(swarm, peer);
    } else if (swarm->handlers.on_granted) {
        swarm->handlers.on_granted(swarm->context, peer, packet->body.len - front);
    }
}

static void on_publish(struct swarm *swarm, struct peer *peer, const struct wire_packet *packet)
{
    struct wire_publish publish;

    if (!wire_parse_publish(packet, swarm->plan->target.version, &publish) ||
        packet->qos != swarm->granted_qos || !swarm->handlers.on_publish) {
        tool_die("connection %u: a PUBLISH that should not come", peer->index);
    }
    if (packet->qos) {
        wire_put_ack(swarm_append(swarm, peer, WIRE_ACK_SIZE),
                     packet->qos == 1 ? WIRE_PUBACK : WIRE_PUBREC, publish.packet_id);
    }
    swarm->handlers.on_publish(swarm->context, peer, &publish);
}

static void on_ack(struct swarm *swarm, struct peer *peer, const struct wire_packet *packet)
{
    uint16_t id;

    if (packet->body.len < 2 || (packet->body.len > 2 && packet->body.data[2] >= 0x80)) {
        tool_die("connection %u: an acknowledgement that refuses", peer->index);
    }
    id = wire_two(packet->body.data);
    if (packet->type == WIRE_PUBREC) {
        wire_put_ack(swarm_append(swarm, peer, WIRE_ACK_SIZE), WIRE_PUBREL, id);
    } else if (packet->type == WIRE_PUBREL) {
        wire_put_ack(swarm_append(swarm, peer, WIRE_ACK_SIZE), WIRE_PUBCOMP, id);
    } else if (swarm->handlers.on_done) {
        swarm->handlers.on_done(swarm->context, peer, id);
    }
}

static void on_packet(struct swarm *swarm, struct peer *peer, const struct wire_packet *packet)
{
    switch (packet->type) {
    case WIRE_PUBLISH: on_publish(swarm, peer, packet); break;
    case WIRE_PUBACK:
    case WIRE_PUBREC:
    case WIRE_PUBREL:
    case WIRE_PUBCOMP: on_ack(swarm, peer, packet); break;
    case WIRE_CONNACK: on_connack(swarm, peer, packet); break;
    case WIRE_SUBACK: on_suback(swarm, peer, packet); break;
    default:
        tool_die("connection %u: a packet of type %u that should not come", peer->index,
                 (unsigned)packet->type);
    }
}

/* Handles the whole packets at the front of `rest` and answers what is left. */
static struct slice take_packets(struct swarm *swarm, struct peer *peer, struct slice rest,
                                 size_t *needed_out)
{
    struct wire_packet packet;

    while (wire_parse(rest, &packet)) {
        on_packet(swarm, peer, &packet);
        if (peer->state < PEER_SUBSCRIBING) { /* closed, perhaps opened again */
            return slice_of(NULL, 0);
        }
        rest = slice_skip(rest, packet.size);
    }
    *needed_out = MAX(packet.size, rest.len + 16);
    return rest;
}

/* Where to read to, and how much of a packet is there already. */
static struct bytes read_buffer(struct peer *peer)
{
    struct bytes shared = {.data = input, .cap = sizeof(input)};

    if (peer->in.len >= LARGE) {
        return peer->in;
    }
    if (peer->in.len) {
        memcpy(input, peer->in.data, peer->in.len);
        shared.len = peer->in.len;
    }
    return shared;
}

static void keep_rest(struct peer *peer, const struct bytes *read, struct slice rest, size_t needed)
{
    peer->in.len = 0;
    if (!rest.len) {
        return;
    }
    if (read->data == peer->in.data) {
        memmove(peer->in.data, rest.data, rest.len);
        peer->in.len = rest.len;
        tool_reserve(&peer->in, needed - rest.len);
    } else {
        memcpy(tool_reserve(&peer->in, needed), rest.data, rest.len);
        peer->in.len = rest.len;
    }
}

/* A handshake went on: what waited for it may be sent. */
static void on_progress(struct swarm *swarm, struct peer *peer)
{
    if (peer->out.len > 0 && !peer->is_blocked) {
        flush_peer(swarm, peer);
    }
}

/* Reads into the shared buffer, behind a small rest; a large one is completed where it lies. */
static void on_readable(struct swarm *swarm, struct peer *peer)
{
    struct bytes buffer = read_buffer(peer);
    ssize_t got = tube_receive(&peer->tube, buffer.data + buffer.len, buffer.cap - buffer.len);
    struct slice rest;
    size_t needed = 0;

    if (got < 0 && errno == EAGAIN) {
        on_progress(swarm, peer);
        return;
    }
    if (got <= 0) {
        tool_die("connection %u: closed by the broker (%s)", peer->index,
                 got ? strerror(errno) : "end of stream");
    }
    if (swarm->is_timed) {
        swarm->received_ns = tool_now_ns();
    }
    rest = take_packets(swarm, peer, slice_of(buffer.data, buffer.len + (size_t)got), &needed);
    keep_rest(peer, &buffer, rest, needed);
}

void swarm_turn(struct swarm *swarm, int timeout_ms)
{
    int len = epoll_wait(swarm->epoll, events, EVENT_CAP, timeout_ms);

    for (int i = 0; i < len; i++) {
        struct peer *peer = events[i].data.ptr;

        if (events[i].events & EPOLLOUT) {
            flush_peer(swarm, peer);
        }
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
            on_readable(swarm, peer);
        }
    }
}

void swarm_open_all(struct swarm *swarm)
{
    uint64_t deadline = tool_now_ns() + PATIENCE_MS * NS_PER_MS;
    uint32_t ready_before = 0;

    while (swarm->ready_len < swarm->len) {
        while (swarm->opened < swarm->len && swarm->opened - swarm->ready_len < SWARM_OPENING_MAX) {
            swarm_open(swarm, &swarm->peers[swarm->opened]);
        }
        swarm_turn(swarm, 100);
        swarm_flush(swarm);
        if (swarm->ready_len != ready_before) {
            ready_before = swarm->ready_len;
            deadline = tool_now_ns() + PATIENCE_MS * NS_PER_MS;
        } else if (tool_now_ns() > deadline) {
            tool_die("the broker did not answer %u of %u connections",
                     swarm->len - swarm->ready_len, swarm->len);
        }
    }
}
