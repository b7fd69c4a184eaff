#include "net/websocket.h"

#include "fuzz.h"

/*
 * Frames of a client behind a byte that says how they are cut. What is told of them must not depend
 * on the cuts, and must be what a plain reading of RFC 6455 section 5.2 says of the whole.
 */

/* All that was told: what control frames said stands between the bytes of the stream. */
struct told {
    size_t len;
    uint8_t *bytes; /* more than there are in the input */
    unsigned control_len;
    enum websocket_verdict last;
    uint16_t code;
};

static void tell(struct told *told, enum websocket_verdict verdict,
                 const struct websocket_event *event)
{
    told->last = verdict;
    if (verdict == WEBSOCKET_DATA || verdict == WEBSOCKET_PINGED || verdict == WEBSOCKET_PONGED) {
        told->control_len += verdict != WEBSOCKET_DATA;
        if (event->payload.len) {
            memcpy(told->bytes + told->len, event->payload.data, event->payload.len);
        }
        told->len += event->payload.len;
    } else if (verdict != WEBSOCKET_MORE) {
        told->code = event->code;
    }
}

static bool goes_on(const struct told *told)
{
    return told->last != WEBSOCKET_CLOSED && told->last != WEBSOCKET_FAILED;
}

static void take_piece(struct websocket *websocket, struct slice piece, struct told *told)
{
    struct slice copy = fuzz_copy(piece);
    struct slice rest = copy;
    struct websocket_event event;
    enum websocket_verdict verdict;

    do {
        verdict = websocket_take(websocket, &rest, &event);
        assert(verdict != WEBSOCKET_NO_MEMORY);
        assert(verdict != WEBSOCKET_DATA || event.payload.len > 0);
        assert(verdict != WEBSOCKET_FAILED || event.text);
        tell(told, verdict, &event);
    } while (goes_on(told) && verdict != WEBSOCKET_MORE);
    assert(verdict != WEBSOCKET_MORE || rest.len == 0);
    fuzz_free(copy);
}

static void take(struct slice bytes, size_t step, struct told *told)
{
    struct websocket websocket;

    websocket_init(&websocket);
    while (goes_on(told) && bytes.len) {
        size_t len = MIN(step, bytes.len);

        take_piece(&websocket, slice_of(bytes.data, len), told);
        bytes = slice_skip(bytes, len);
    }
    websocket_deinit(&websocket);
}

/* ---- the plain reading ---- */

struct frame {
    uint8_t first;
    size_t head_size; /* 0: not all there */
    uint64_t size;
    const uint8_t *mask;
};

/* False: it is none that a client may send. */
static bool read_head(struct slice bytes, struct frame *frame)
{
    size_t more = 0;

    *frame = (struct frame){.first = bytes.data[0]};
    if (bytes.len < 2) {
        return true;
    }
    frame->size = bytes.data[1] & 0x7F;
    more = frame->size == 127 ? 8 : frame->size == 126 ? 2 : 0;
    if (!(bytes.data[1] & 0x80) || ((frame->first & 8) && more)) {
        return false;
    }
    if (bytes.len > 2 && more == 8 && bytes.data[2] & 0x80) {
        return false;
    }
    if (bytes.len < 2 + more) {
        return true;
    }
    frame->size = more ? 0 : frame->size;
    for (size_t i = 0; i < more; i++) {
        frame->size = frame->size << 8 | bytes.data[2 + i];
    }
    if ((more == 2 && frame->size < 126) || (more == 8 && frame->size < 65536)) {
        return false;
    }
    if (bytes.len >= 6 + more) {
        frame->head_size = 6 + more;
        frame->mask = bytes.data + 2 + more;
    }
    return true;
}

static bool may_come(uint8_t first, bool is_in_message)
{
    switch (first & 0x7F) {
    case 0: return is_in_message;
    case 2: return !is_in_message;
    case 8:
    case 9:
    case 10: return first & 0x80;
    default: return false;
    }
}

/* What is left to read is NULL at the end; how it ended is told. */
static void read_frame(struct slice *bytes, bool *is_in_message, struct told *told)
{
    struct frame frame = {.first = bytes->data[0]};
    size_t len;

    if (!may_come(frame.first, *is_in_message) || !read_head(*bytes, &frame)) {
        told->last = WEBSOCKET_FAILED;
        return;
    }
    len = bytes->len - frame.head_size;
    if (frame.head_size == 0 || ((frame.first & 8) && len < frame.size)) {
        *bytes = slice_of(NULL, 0);
        return;
    }
    len = (size_t)MIN((uint64_t)len, frame.size);
    for (size_t i = 0; i < len && (frame.first & 15) != 8; i++) {
        told->bytes[told->len++] = bytes->data[frame.head_size + i] ^ frame.mask[i & 3];
    }
    if (!(frame.first & 8)) {
        *is_in_message = !(frame.first & 0x80);
    } else if ((frame.first & 15) == 8) {
        told->last = WEBSOCKET_CLOSED;
    } else {
        told->control_len++;
    }
    *bytes = slice_skip(*bytes, frame.head_size + len);
}

static void read_plainly(struct slice bytes, struct told *told)
{
    bool is_in_message = false;

    while (goes_on(told) && bytes.len) {
        read_frame(&bytes, &is_in_message, told);
    }
}

static void compare(const struct told *a, const struct told *b)
{
    assert(a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0);
    assert(a->control_len == b->control_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct told whole = {.bytes = memory_must_alloc(size + 1)};
    struct told other = {.bytes = memory_must_alloc(size + 1)};
    struct slice bytes;

    if (size > 0) {
        bytes = slice_of(data + 1, size - 1);
        take(bytes, SIZE_MAX, &whole);
        for (size_t step = 1; step <= 64; step *= 8) {
            other = (struct told){.bytes = other.bytes};
            take(bytes, step + data[0] % 8, &other);
            compare(&whole, &other);
            assert(goes_on(&whole) == goes_on(&other));
            assert(goes_on(&whole) || (whole.last == other.last && whole.code == other.code));
        }
        other = (struct told){.bytes = other.bytes};
        read_plainly(bytes, &other);
        compare(&whole, &other);
        assert(goes_on(&whole) == goes_on(&other));
        assert(whole.last != WEBSOCKET_CLOSED || other.last == WEBSOCKET_CLOSED);
        assert(other.last != WEBSOCKET_FAILED || whole.last == WEBSOCKET_FAILED);
    }
    memory_free(whole.bytes);
    memory_free(other.bytes);
    return 0;
}
