#include "base/log.h"
#include "base/spares.h"
#include "client/acks.h"
#include "client/client.h"
#include "client/hub.h"
#include "client/web.h"
#include "net/proxy.h"
#include "net/socket.h"

/*
 * One recv per event, into the worker's buffer, parsed in place. What is left of an incomplete
 * packet is kept with the client: a short tail goes to the front of the buffer before the next
 * recv. The body of a large packet is received into memory of its own, which grows with what has
 * arrived, never with what was announced, and which becomes the message itself when the packet is a
 * PUBLISH.
 */

/* A packet of more than this is received into memory of its own. */
#define LARGE_PACKET 8192u

/* Memory for a large packet: so many times what has arrived. A read that filled the buffer makes
 * room for 64 KiB and a topic, which then come with one more. */
#define GROWTH 5

/* What struct client remembers of a large packet. */
#define LARGE_PAGE      4096u
#define LARGE_PAGES_MAX UINT8_MAX

static_assert(LARGE_PACKET <= HUB_TAIL_MAX, "the front of a smaller one is put in front");

/* Mosquitto's bounds on packets that carry no payload. */
#define CONTROL_PACKET_MAX 100000u
#define ACK_PACKET_MAX     10000u

void client_input_free(struct client *client)
{
    struct client_input *input = client_input(client);

    if (input) {
        list_remove(&input->put_off);
        message_room_free(input->room);
        client->facts->input = spares_free(input, sizeof(*input));
    }
}

/* False: the client is lost. The room is taken over; NULL: there was no memory for it. */
static bool keep_room(struct client *client, struct message *room, uint32_t len, uint32_t cap)
{
    struct client_facts *facts = client_need_facts(client);
    struct client_input *input = facts && room ? spares_alloc_zero(sizeof(*input)) : NULL;

    if (!input) {
        message_room_free(room);
        client_lose(client, CLIENT_OUT_OF_MEMORY);
        return false;
    }
    input->client = client;
    list_init(&input->put_off);
    input->room = room;
    input->len = len;
    input->cap = cap;
    facts->input = input;
    return true;
}

/* Keeps the front of a packet until more comes. `total` 0: its length is not known. */
static void keep(struct client *client, struct slice bytes, uint32_t total)
{
    uint32_t cap = (uint32_t)bytes.len;

    if (total > LARGE_PACKET) {
        cap = MIN(total, MAX(cap * GROWTH, LARGE_PACKET));
    }
    if (keep_room(client, message_room_new(cap), (uint32_t)bytes.len, cap)) {
        client->facts->input->total = total > LARGE_PACKET ? total : 0;
        memcpy(client->facts->input->room->data, bytes.data, bytes.len);
    }
}

/* Checks on the fixed header alone: before anything is stored for the packet */

static uint32_t packet_max(const struct client *client, enum mqtt_packet_type type)
{
    uint32_t max = client->listener->terms->limits.max_packet_size;

    switch (type) {
    case MQTT_PUBLISH: return max;
    case MQTT_CONNECT:
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
    case MQTT_AUTH: return MIN(max, CONTROL_PACKET_MAX);
    default: return MIN(max, ACK_PACKET_MAX);
    }
}

static void fail_first_packet(struct client *client, const struct mqtt_frame *frame)
{
    char address[CLIENT_ADDRESS_CAP];

    client_log(client, LOG_INFORMATION, LOG_EVENT_PROTOCOL_ERROR, NULL,
               "Protocol error from %s: First packet not CONNECT (%02X).",
               client_address(client, address), (unsigned)frame->type << 4 | frame->flags);
    client_fail(client, MQTT_PROTOCOL_ERROR);
}

/* False: the client has failed. */
static bool frame_is_allowed(struct client *client, const struct mqtt_frame *frame)
{
    uint32_t size = frame->header_size + frame->body_size;

    if (!client_state_allows((enum client_state)client->state, frame->type)) {
        if (client->state == CLIENT_FRESH) {
            fail_first_packet(client, frame);
        } else {
            client_fail(client, MQTT_PROTOCOL_ERROR);
        }
        return false;
    }
    if (size > packet_max(client, frame->type)) {
        client_fail(client, MQTT_PACKET_TOO_LARGE);
        return false;
    }
    return true;
}

/* Packets */

static void handle_packet(struct client *client, const struct mqtt_frame *frame, struct slice body,
                          struct slice rest)
{
    switch (frame->type) {
    case MQTT_CONNECT: client_on_connect(client, body, rest); break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP: client_on_ack(client, frame->type, body); break;
    case MQTT_SUBSCRIBE: client_on_subscribe(client, body); break;
    case MQTT_UNSUBSCRIBE: client_on_unsubscribe(client, body); break;
    case MQTT_PINGREQ: client_on_pingreq(client, body); break;
    case MQTT_DISCONNECT: client_on_disconnect(client, body); break;
    default: client_fail(client, MQTT_PROTOCOL_ERROR); break;
    }
}

/* A first byte that no CONNECT begins with is named in the log, as Mosquitto does. */
static void fail_frame(struct client *client, struct slice bytes)
{
    uint8_t first = bytes.data[0];

    if (client->state == CLIENT_FRESH && first >> 4 != MQTT_CONNECT) {
        fail_first_packet(client, &(struct mqtt_frame){.type = (enum mqtt_packet_type)(first >> 4),
                                                       .flags = first & 15});
    } else {
        client_fail(client, MQTT_MALFORMED_PACKET);
    }
}

/* Handles the packet at the front of `*bytes` and takes it off. False: there is no whole one. Bytes
 * that came behind may also lie elsewhere, in `behind`. */
static bool take_packet(struct client *client, struct slice *bytes, struct slice behind)
{
    struct mqtt_frame frame;
    struct slice body;
    size_t size;

    switch (mqtt_frame_decode(*bytes, client->version, &frame)) {
    case MQTT_FRAME_MALFORMED: fail_frame(client, *bytes); return false;
    case MQTT_FRAME_SHORT: keep(client, *bytes, 0); return false;
    case MQTT_FRAME_OK: break;
    }
    if (!frame_is_allowed(client, &frame)) {
        return false;
    }
    size = frame.header_size + (size_t)frame.body_size;
    if (bytes->len < size) {
        keep(client, *bytes, (uint32_t)size);
        return false;
    }
    body = slice_of(bytes->data + frame.header_size, frame.body_size);
    *bytes = slice_skip(*bytes, size);
    metrics_count(client->hub->metrics, METRIC_RECEIVED(frame.type));
    shard_charge(client->hub->shard);
    if (likely(frame.type == MQTT_PUBLISH)) {
        client_on_publish(client, &frame, body);
    } else {
        handle_packet(client, &frame, body, bytes->len > 0 ? *bytes : behind);
    }
    return true;
}

static bool may_go_on(const struct client *client)
{
    return client->state == CLIENT_FRESH || client->state == CLIENT_READY;
}

/* What was published went to a mailbox that is over its mark: not read until it has room. */
static void pause_if_pressed(struct client *client)
{
    struct hub *hub = client->hub;
    unsigned on = worker_take_pressure(hub->worker);
    struct client_pause *pause;

    if (on == WORKER_CAP || client->state != CLIENT_READY || client->is_paused) {
        return;
    }
    pause = client_pause_new(client);
    if (!pause) {
        return;
    }
    if (!worker_pause(hub->worker, on, &pause->link)) {
        client_pause_end(pause);
        return;
    }
    if (poller_change(worker_poller(hub->worker), client->fd, client_interest(client), client) <
        0) {
        client_lose(client, CLIENT_OUT_OF_MEMORY);
    }
}

static_assert(METRIC_PROXY_LOCAL + PROXY_COMMAND_PROXY == METRIC_PROXY_PROXY, "in their order");

/* The PROXY header, or what there is of it. */
static void take_header(struct client *client, struct slice *bytes)
{
    struct client_facts *facts = client->facts;
    size_t used;
    enum proxy_verdict verdict = proxy_feed(facts->parser, *bytes, &used);

    *bytes = slice_skip(*bytes, used);
    if (verdict == PROXY_MORE) {
        return;
    }
    if (verdict == PROXY_REFUSED) {
        const struct address *source = proxy_refused_source(facts->parser);

        if (source) {
            facts->told = *source;
        }
        client_refuse_header(client, proxy_refusal(facts->parser));
        return;
    }
    /* The header is no part of what the client sent. */
    metrics_add(client->hub->metrics, METRIC_BYTES_RECEIVED, bytes->len);
    client_set_proxy(client, proxy_take(facts->parser));
    hub_count(client->hub, client->listener, METRIC_PROXY_LOCAL + client->proxy->command, 1);
    facts->parser = proxy_parser_free(facts->parser);
    client_on_header(client);
}

/* One packet may have cost all of an iteration, or more: others come before the next. */
static bool must_put_off(const struct client *client)
{
    return (client->hub->shard->budget == 0 || client->is_searching) &&
           client->state == CLIENT_READY;
}

void client_keep(struct client *client, struct slice bytes)
{
    keep(client, bytes, 0);
}

void client_put_off(struct client *client, struct slice bytes)
{
    keep(client, bytes, 0);
    if (client_input(client)) {
        list_push(&client->hub->put_off, &client->facts->input->put_off);
    }
}

bool client_is_put_off(const struct client *client)
{
    const struct client_input *input = client_input(client);

    return input && list_is_linked(&input->put_off);
}

void client_take(struct client *client, struct slice bytes)
{
    struct slice none = slice_of(NULL, 0);

    if (unlikely(client->is_web)) {
        web_take(client, bytes);
        bytes.len = 0;
    }
    while (bytes.len > 0 && may_go_on(client) && !client->is_searching &&
           take_packet(client, &bytes, none) && likely(!must_put_off(client))) {
    }
    if (bytes.len > 0 && must_put_off(client) && !client_input(client)) {
        client_put_off(client, bytes);
    }
    pause_if_pressed(client);
    client_pause_if_unkept(client);
    client_hold_if_unread(client);
    if (unlikely(client->is_staged) && may_go_on(client)) {
        client_check_stream(client);
    }
}

/* Reading */

/* What a read answers when it brought nothing; true when it did bring something. */
static bool check_read(struct client *client, ssize_t size)
{
    if (size > 0) {
        client->last_seen = shard_now(client->hub->shard);
        if (client->state != CLIENT_PROXY) {
            metrics_add(client->hub->metrics, METRIC_BYTES_RECEIVED, (uint64_t)size);
        }
        return true;
    }
    if (size == -EAGAIN || size == -EINTR) {
        return false;
    }
    client->is_cut = true;
    if (client->is_web && client->state == CLIENT_FRESH && size == 0) {
        web_on_end(client);
        return false;
    }
    if (client->state == CLIENT_PROXY && (size == 0 || size == -ECONNRESET) &&
        client->last_seen == 0) {
        /* Nothing was ever sent: a check that the port is open. */
        client_close(client);
        return false;
    }
    if (client->state == CLIENT_PROXY) {
        client_refuse_header(client, PROXY_REFUSAL_INCOMPLETE);
        return false;
    }
    client_lose(client, size == 0 || size == -ECONNRESET || size == -EPIPE
                            ? "connection closed by client"
                            : strerror((int)-size));
    return false;
}

static int grow(struct client_input *input)
{
    uint32_t cap = MIN(input->total, input->cap * GROWTH);
    struct message *room;

    if (input->len < input->cap) {
        return 0;
    }
    room = message_room_resize(input->room, cap);
    if (!room) {
        return -ENOMEM;
    }
    input->room = room;
    input->cap = cap;
    return 0;
}

/* The packet has all arrived: its memory may become the message. */
static void handle_large(struct client *client, struct slice behind)
{
    struct slice bytes = slice_of(client->facts->input->room->data, client->facts->input->len);
    uint32_t pages = (client->facts->input->total + LARGE_PAGE - 1) / LARGE_PAGE;

    take_packet(client, &bytes, behind);
    client_input_free(client);
    client->large_pages = pages > LARGE_PAGES_MAX || client->is_staged ? 0 : (uint8_t)pages;
}

/*
 * Into the packet's own memory, and what follows the packet into the buffer; but a CONNECT may move
 * the client, and what follows that stays in the socket, for its home to read.
 */
static void read_large(struct client *client)
{
    struct client_input *input = client_input(client);
    struct hub *hub = client->hub;
    struct iovec vector[2];
    unsigned len = 1;
    uint32_t room;
    ssize_t size;

    if (grow(input) < 0) {
        client_lose(client, CLIENT_OUT_OF_MEMORY);
        return;
    }
    room = input->cap - input->len;
    vector[0] = (struct iovec){input->room->data + input->len, room};
    if (input->cap == input->total && client->state == CLIENT_READY) {
        vector[len++] = (struct iovec){hub->buffer, sizeof(hub->buffer)};
    }
    size = socket_receive_vector(client->fd, vector, len);
    if (!check_read(client, size)) {
        return;
    }
    input->len += (uint32_t)MIN((size_t)size, (size_t)room);
    if (input->len < input->total) {
        return;
    }
    handle_large(client, slice_of(NULL, 0));
    if (may_go_on(client)) {
        client_take(client, slice_of(hub->buffer, (size_t)size - room));
    }
}

/* From memory into the packet's own; what comes behind it is left. False: the client is lost. */
static bool fill_large(struct client *client, struct slice *bytes)
{
    struct client_input *input = client_input(client);

    while (input->len < input->total && bytes->len > 0) {
        size_t size;

        if (grow(input) < 0) {
            client_lose(client, CLIENT_OUT_OF_MEMORY);
            return false;
        }
        size = MIN(bytes->len, (size_t)(input->cap - input->len));
        memcpy(input->room->data + input->len, bytes->data, size);
        input->len += (uint32_t)size;
        *bytes = slice_skip(*bytes, size);
    }
    return true;
}

/* The tail of what was read before comes in front of the bytes, where there is room for it. */
static void prepend_tail(struct client *client, struct slice *bytes)
{
    size_t tail = client->facts->input->len;
    uint8_t *front = (uint8_t *)(uintptr_t)bytes->data - tail;

    assert(tail <= HUB_TAIL_MAX);
    memcpy(front, client->facts->input->room->data, tail);
    *bytes = slice_of(front, tail + bytes->len);
    client_input_free(client);
}

/* Bytes that are in memory already, but for those that `input` keeps. */
static void feed(struct client *client, struct slice bytes)
{
    struct client_input *input = client_input(client);

    assert(!client_is_put_off(client));
    if (input && input->total) {
        if (!fill_large(client, &bytes)) {
            return;
        }
        if (input->len == input->total) {
            handle_large(client, bytes);
        }
    } else if (input && bytes.len > 0) {
        prepend_tail(client, &bytes);
    }
    if (may_go_on(client)) {
        client_take(client, bytes);
    }
}

/* What the socket brought in front of what is for MQTT. */
static void take_wire(struct client *client, struct slice bytes)
{
    if (client->state == CLIENT_PROXY) {
        take_header(client, &bytes);
    }
    if (bytes.len == 0 || !may_go_on(client)) {
        return;
    }
    if (!client->is_staged) {
        client_take(client, bytes);
    } else if (client_open(client, &bytes)) {
        feed(client, bytes);
    }
}

static void read_small(struct client *client)
{
    struct hub *hub = client->hub;
    struct client_input *input = client_input(client);
    size_t tail = input && !input->total ? input->len : 0;
    ssize_t size;

    assert(tail <= HUB_TAIL_MAX);
    if (tail && !client->is_staged) {
        memcpy(hub->buffer, input->room->data, tail);
    }
    size = socket_receive(client->fd, hub->buffer + tail, sizeof(hub->buffer) - tail);
    if (!check_read(client, size)) {
        return;
    }
    if (unlikely(client->is_staged || client->state == CLIENT_PROXY)) {
        take_wire(client, slice_of(hub->buffer + tail, (size_t)size));
    } else {
        client_input_free(client);
        client_take(client, slice_of(hub->buffer, tail + (size_t)size));
    }
}

/* The size of the large packet at the front; 0: it is none, or none that can be told yet. */
static uint32_t large_size(const struct client *client, struct slice bytes)
{
    struct mqtt_frame frame;
    size_t size;

    if (mqtt_frame_decode(bytes, client->version, &frame) != MQTT_FRAME_OK) {
        return 0;
    }
    size = frame.header_size + (size_t)frame.body_size;
    return size > LARGE_PACKET && size <= packet_max(client, frame.type) ? (uint32_t)size : 0;
}

/* What came behind the packet goes to the buffer: its memory may be the message's soon. */
static void take_expected(struct client *client, struct message *room, uint32_t len, uint32_t total)
{
    struct hub *hub = client->hub;
    struct slice behind = slice_of(hub->buffer, len - total);

    memcpy(hub->buffer, room->data + total, behind.len);
    if (!keep_room(client, room, total, total)) {
        return;
    }
    client->facts->input->total = total;
    handle_large(client, behind);
    if (may_go_on(client)) {
        client_take(client, behind);
    }
}

/* What fits into the buffer lets go of the memory first: near memory_limit it may be needed. */
static void take_unexpected(struct client *client, struct message *room, struct slice bytes)
{
    struct hub *hub = client->hub;

    if (bytes.len <= HUB_READ_CAP) {
        memcpy(hub->buffer, bytes.data, bytes.len);
        message_room_free(room);
        client_take(client, slice_of(hub->buffer, bytes.len));
    } else {
        client_take(client, bytes);
        message_room_free(room);
    }
}

/*
 * Of whoever has just sent a large packet the next one is received straight into memory of its own,
 * of the same size: one receive, and no copy of its front (a sixth of all that a message of 64 KiB
 * costs). If it is another, or not even a fifth of it is there, that memory was only a buffer.
 */
static void read_expected(struct client *client)
{
    uint32_t cap = client->large_pages * LARGE_PAGE;
    struct message *room = message_room_new(cap);
    uint32_t total;
    ssize_t size;

    client->large_pages = 0;
    if (!room) {
        read_small(client);
        return;
    }
    size = socket_receive(client->fd, room->data, cap);
    if (!check_read(client, size)) {
        message_room_free(room);
        return;
    }
    total = large_size(client, slice_of(room->data, (size_t)size));
    if (total && total <= size && size - total <= HUB_READ_CAP) {
        take_expected(client, room, (uint32_t)size, total);
    } else if (total > size && cap / GROWTH <= size) {
        if (keep_room(client, room, (uint32_t)size, MIN(cap, total))) {
            client->facts->input->total = total;
        }
    } else {
        take_unexpected(client, room, slice_of(room->data, (size_t)size));
    }
}

void client_go_on(struct client *client)
{
    struct client_input *input = TAKE(client->facts->input);

    client_take(client, slice_of(input->room->data, input->len));
    message_room_free(input->room);
    spares_free(input, sizeof(*input));
}

void client_hear_out(struct client *client)
{
    while (client->state == CLIENT_READY && client_is_put_off(client) && !client->is_searching) {
        list_remove(&client->facts->input->put_off);
        client_go_on(client);
    }
}

void client_on_readable(struct client *client)
{
    if (unlikely(client->is_staged) && client_must_queue(client)) {
        client_queue(client);
    } else {
        client_read(client);
    }
}

void client_read(struct client *client)
{
    const struct client_input *input = client_input(client);

    if (input && input->total && !client->is_staged) {
        read_large(client);
    } else if (client->large_pages && client->state == CLIENT_READY && !input) {
        read_expected(client);
    } else {
        read_small(client);
    }
}
