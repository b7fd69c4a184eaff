#include "net/websocket_stage.h"

#include "base/memory.h"
#include "net/http_answer.h"

#include <stdio.h>

/*
 * One frame goes out for all that waits, whatever packets that is, and the pieces of output move
 * into it as they are. A client that is connected and quiet costs the stage alone: what the
 * handshake needs is freed with its end.
 */

/* A frame gathers so much where more waits. */
#define FRAME_LEAST 16384u

/* What is kept of a head at first, when it comes in pieces. */
#define HEAD_CAP_LEAST 512u

#define UPGRADE_CAP 256

/* Of a connection that was not upgraded yet. */
struct handshake {
    struct websocket_rules rules;
    uint8_t *head; /* of a request that came in pieces */
    uint32_t len;
    uint32_t cap;
};

/* Owner: the stream of its connection. */
struct websocket_stage {
    struct stage stage;
    struct handshake *handshake; /* NULL: it is over */
    struct websocket frames;
    bool is_open;    /* frames go both ways */
    bool has_closed; /* our close frame was the last */
};

static_assert(offsetof(struct websocket_stage, stage) == 0, "one is the other");

static struct websocket_stage *stage_of(struct stage *stage)
{
    return (struct websocket_stage *)stage;
}

static struct handshake *handshake_free(struct handshake *handshake)
{
    if (handshake) {
        memory_free(handshake->head);
        memory_free(handshake);
    }
    return NULL;
}

static enum stage_verdict fail(struct stage_io *io, const char *text)
{
    io->text = text;
    return STAGE_FAILED;
}

static enum stage_verdict fail_memory(struct stage_io *io)
{
    return fail(io, "out of memory");
}

/* False: no memory. */
static bool say(struct websocket_stage *stage, struct slice head, struct slice payload,
                struct stage_io *io)
{
    struct output *wire = &stage->stage.wire;
    uint8_t *at = output_reserve(wire, io->pool, head.len + payload.len);

    if (!at) {
        return false;
    }
    memcpy(at, head.data, head.len);
    if (payload.len) {
        memcpy(at + head.len, payload.data, payload.len);
    }
    output_commit(wire, io->pool, at + head.len + payload.len, false);
    return true;
}

/* ---- the handshake ---- */

static enum stage_verdict refuse(struct websocket_stage *stage, enum http_status status,
                                 const char *text, struct stage_io *io)
{
    char answer[HTTP_REFUSAL_CAP];
    size_t len = http_format_refusal(answer, status, text);

    io->upgrade = STAGE_NOT_UPGRADED;
    /* Without memory for it, it is just closed. */
    (void)say(stage, slice_of(answer, len), slice_of(NULL, 0), io);
    return fail(io, text);
}

/* Mosquitto's headers, in its order. */
static enum stage_verdict upgrade(struct websocket_stage *stage,
                                  const struct websocket_answer *answer, struct stage_io *io)
{
    char text[UPGRADE_CAP];
    int len = snprintf(text, sizeof(text),
                       "HTTP/1.1 %d %s\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
                       answer->status, http_status_text(answer->status), answer->accept,
                       answer->protocol);

    assert(len > 0 && (size_t)len < sizeof(text));
    if (!say(stage, slice_of(text, (size_t)len), slice_of(NULL, 0), io)) {
        return fail_memory(io);
    }
    stage->handshake = handshake_free(stage->handshake);
    stage->is_open = true;
    io->upgrade = STAGE_UPGRADED;
    return STAGE_OK;
}

static void find_peer(const struct websocket_rules *rules, const struct http_request *request,
                      struct stage_io *io)
{
    io->has_peer = forwarded_trusts(&rules->proxies, &rules->peer) &&
                   forwarded_find(request, &rules->proxies, &io->peer);
}

static enum stage_verdict answer(struct websocket_stage *stage, const struct http_request *request,
                                 struct stage_io *io)
{
    const struct websocket_rules *rules = &stage->handshake->rules;
    struct websocket_answer answer;

    find_peer(rules, request, io);
    websocket_answer(request, rules->origins, &answer);
    if (answer.is_foreign_origin) {
        io->upgrade = STAGE_NOT_UPGRADED;
        return fail(io, answer.text);
    }
    return answer.status == HTTP_SWITCHING_PROTOCOLS
               ? upgrade(stage, &answer, io)
               : refuse(stage, answer.status, answer.text, io);
}

/* Appends to the head what may still be of it. -ENOMEM. */
static int keep(struct handshake *handshake, struct slice bytes)
{
    uint32_t len = handshake->len + (uint32_t)bytes.len;

    if (len > handshake->cap) {
        uint32_t cap = MIN(handshake->rules.limits.head_size, MAX(2 * len, HEAD_CAP_LEAST));
        uint8_t *head = memory_resize(handshake->head, cap);

        if (!head) {
            return -ENOMEM;
        }
        handshake->head = head;
        handshake->cap = cap;
    }
    memcpy(handshake->head + handshake->len, bytes.data, bytes.len);
    handshake->len = len;
    return 0;
}

/* Takes the head off the front of `*bytes`, or all of it. */
static enum stage_verdict open_head(struct websocket_stage *stage, struct slice *bytes,
                                    struct stage_io *io)
{
    struct handshake *handshake = stage->handshake;
    const struct http_limits *limits = &handshake->rules.limits;
    uint32_t before = handshake->len;
    struct slice head = *bytes;
    struct http_request request;
    struct http_failure failure;
    enum http_verdict verdict;
    size_t used;

    if (before) {
        head.len = MIN(head.len, (size_t)(limits->head_size - before));
        if (keep(handshake, head) < 0) {
            return fail_memory(io);
        }
        head = slice_of(handshake->head, handshake->len);
    }
    verdict = http_parse(head, before, limits, &request, &failure);
    used = verdict == HTTP_COMPLETE ? request.size - before : bytes->len;
    if (verdict == HTTP_MORE && !before && keep(handshake, head) < 0) {
        return fail_memory(io);
    }
    *bytes = slice_skip(*bytes, used);
    if (verdict == HTTP_MORE) {
        return STAGE_OK;
    }
    return verdict == HTTP_COMPLETE ? answer(stage, &request, io)
                                    : refuse(stage, failure.status, failure.text, io);
}

/* ---- frames ---- */

/* Our last frame. */
static void say_close(struct websocket_stage *stage, uint16_t code, struct stage_io *io)
{
    uint8_t frame[WEBSOCKET_CLOSE_MAX];
    uint8_t *end = websocket_put_close(frame, code);

    stage->has_closed = true;
    (void)say(stage, slice_of(frame, (size_t)(end - frame)), slice_of(NULL, 0), io);
}

static bool say_pong(struct websocket_stage *stage, struct slice payload, struct stage_io *io)
{
    uint8_t head[WEBSOCKET_HEAD_MAX];
    uint8_t *end = websocket_put_head(head, WEBSOCKET_PONG, payload.len);

    return say(stage, slice_of(head, (size_t)(end - head)), payload, io);
}

static enum stage_verdict handle(struct websocket_stage *stage, enum websocket_verdict verdict,
                                 const struct websocket_event *event, struct stage_io *io)
{
    switch (verdict) {
    case WEBSOCKET_PINGED: return say_pong(stage, event->payload, io) ? STAGE_OK : fail_memory(io);
    case WEBSOCKET_CLOSED: say_close(stage, event->code, io); return STAGE_END;
    case WEBSOCKET_FAILED: say_close(stage, event->code, io); return fail(io, event->text);
    case WEBSOCKET_NO_MEMORY: say_close(stage, WEBSOCKET_INTERNAL, io); return fail_memory(io);
    case WEBSOCKET_MORE:
    case WEBSOCKET_DATA:
    case WEBSOCKET_PONGED: break;
    }
    return STAGE_OK;
}

/* What frames hold is moved together at the front. */
static enum stage_verdict open_frames(struct websocket_stage *stage, struct slice *bytes,
                                      struct stage_io *io)
{
    enum stage_verdict result = STAGE_OK;
    enum websocket_verdict verdict;
    struct websocket_event event;
    struct slice rest = *bytes;
    uint8_t *end = (uint8_t *)(uintptr_t)bytes->data;

    do {
        verdict = websocket_take(&stage->frames, &rest, &event);
        if (verdict == WEBSOCKET_DATA) {
            memmove(end, event.payload.data, event.payload.len);
            end += event.payload.len;
        } else {
            result = handle(stage, verdict, &event, io);
        }
    } while (verdict != WEBSOCKET_MORE && result == STAGE_OK);
    bytes->len = (size_t)(end - bytes->data);
    return result;
}

static enum stage_verdict on_open(struct stage *base, struct slice *bytes, struct stage_io *io)
{
    struct websocket_stage *stage = stage_of(base);
    enum stage_verdict verdict = STAGE_OK;

    if (!stage->is_open) {
        verdict = open_head(stage, bytes, io);
        /* What is left of it, or stands behind it, is nothing that MQTT may see. */
        bytes->len = verdict == STAGE_OK ? bytes->len : 0;
    }
    if (verdict == STAGE_OK && bytes->len > 0) {
        verdict = open_frames(stage, bytes, io);
    }
    return verdict;
}

static int on_seal(struct stage *base, struct output *above, struct stage_io *io)
{
    struct websocket_stage *stage = stage_of(base);
    struct output *wire = &base->wire;

    if (stage->has_closed) {
        output_deinit(above, io->pool);
    }
    while (!output_is_empty(above) && output_size(wire) <= STREAM_WIRE_HIGH) {
        uint32_t size = output_front(above, FRAME_LEAST);
        uint8_t *at = output_reserve(wire, io->pool, WEBSOCKET_HEAD_MAX);

        if (!at) {
            return -ENOMEM;
        }
        output_commit(wire, io->pool, websocket_put_head(at, WEBSOCKET_BINARY, size), false);
        output_move(wire, above, io->pool, size);
    }
    return 0;
}

static bool is_ready(const struct stage *base)
{
    return ((const struct websocket_stage *)base)->is_open;
}

static void on_end(struct stage *base, bool is_failed, struct stage_io *io)
{
    struct websocket_stage *stage = stage_of(base);

    if (stage->is_open && !stage->has_closed && !is_failed) {
        say_close(stage, io->code ? io->code : WEBSOCKET_NORMAL, io);
    }
}

static void on_free(struct stage *base)
{
    struct websocket_stage *stage = stage_of(base);

    handshake_free(stage->handshake);
    websocket_deinit(&stage->frames);
    memory_free(stage);
}

static const struct stage_ops ops = {
    .name = "WebSocket",
    .unseal = on_open,
    .seal = on_seal,
    .is_ready = is_ready,
    .end = on_end,
    .free = on_free,
};

int websocket_stage_new(const struct websocket_rules *rules, struct stage **stage_out)
{
    struct websocket_stage *stage = memory_alloc_zero(1, sizeof(*stage));

    if (!stage) {
        return -ENOMEM;
    }
    stage->handshake = memory_alloc_zero(1, sizeof(*stage->handshake));
    if (!stage->handshake) {
        memory_free(stage);
        return -ENOMEM;
    }
    stage->stage.ops = &ops;
    stage->handshake->rules = *rules;
    websocket_init(&stage->frames);
    *stage_out = &stage->stage;
    return 0;
}
