#include "base/random_test.h"
#include "base/test.h"
#include "net/stream.h"

/*
 * Two stages of a kind that is easy to see through: a frame is a byte that says how long it is, and
 * so many bytes that are all shifted by the stage's key. A frame of length 0 is the end, 255 is
 * wrong, and 254, which has no bytes, is answered by 253, which says nothing. The upper one opens
 * in place, the lower one does not, and is ready when it has seen a byte 'H'.
 */

#define FRAME_MAX 200
#define ASKS      254
#define ANSWERS   253
#define WIRE_CAP  (1u << 20)

struct shift {
    struct stage stage;
    uint8_t key;
    uint8_t left; /* of the frame that is not complete */
    bool is_in_place;
    bool is_ready;
    bool is_failing; /* has no memory to seal with */
};

struct fixture {
    struct output_pool pool;
    struct output plain;
    struct stream *stream;
    struct dice dice;
    uint8_t *room;
    struct stage_io io;
};

static struct shift *shift_of(const struct stage *stage)
{
    return CONTAINER_OF((struct stage *)(uintptr_t)stage, struct shift, stage);
}

static void put(struct stage *stage, struct stage_io *io, uint8_t head, struct slice bytes)
{
    uint8_t *at = output_reserve(&stage->wire, io->pool, 1 + bytes.len);

    assert_non_null(at);
    *at++ = head;
    for (size_t i = 0; i < bytes.len; i++) {
        *at++ = (uint8_t)(bytes.data[i] + shift_of(stage)->key);
    }
    output_commit(&stage->wire, io->pool, at, false);
}

/* A first byte of a frame. STAGE_OK: go on. */
static enum stage_verdict begin_frame(struct shift *shift, uint8_t head, struct stage_io *io)
{
    switch (head) {
    case 0: return STAGE_END;
    case 255: io->text = "a wrong frame"; return STAGE_FAILED;
    case ASKS: put(&shift->stage, io, ANSWERS, slice_of(NULL, 0)); return STAGE_OK;
    case ANSWERS: return STAGE_OK;
    default: shift->left = head; return STAGE_OK;
    }
}

static enum stage_verdict shift_open(struct stage *stage, struct slice *bytes, struct stage_io *io)
{
    struct shift *shift = shift_of(stage);
    uint8_t *to = shift->is_in_place ? (uint8_t *)(uintptr_t)bytes->data : io->plain;
    enum stage_verdict verdict = STAGE_OK;
    size_t size = 0;

    for (size_t i = 0; i < bytes->len && verdict == STAGE_OK; i++) {
        uint8_t byte = bytes->data[i];

        if (!shift->is_ready) {
            shift->is_ready = byte == 'H';
        } else if (shift->left > 0) {
            to[size++] = (uint8_t)(byte - shift->key);
            shift->left--;
        } else {
            verdict = begin_frame(shift, byte, io);
        }
    }
    *bytes = slice_of(to, size);
    return verdict;
}

static int shift_seal(struct stage *stage, struct output *above, struct stage_io *io)
{
    if (shift_of(stage)->is_failing) {
        return -ENOMEM;
    }
    while (!output_is_empty(above) && output_size(&stage->wire) <= STREAM_WIRE_HIGH) {
        struct iovec piece;
        size_t size;

        assert_int_equal(output_vector(above, &piece, 1), 1);
        size = MIN(piece.iov_len, (size_t)FRAME_MAX);
        put(stage, io, (uint8_t)size, slice_of(piece.iov_base, size));
        output_consume(above, io->pool, size);
    }
    return 0;
}

static bool shift_is_ready(const struct stage *stage)
{
    return shift_of(stage)->is_ready;
}

static void shift_end(struct stage *stage, bool is_failed, struct stage_io *io)
{
    if (!is_failed) {
        put(stage, io, 0, slice_of(NULL, 0));
    }
}

static void shift_free(struct stage *stage)
{
    assert_true(output_is_empty(&stage->wire));
    memory_free(shift_of(stage));
}

static const struct stage_ops shift_ops = {
    .name = "Shift",
    .unseal = shift_open,
    .seal = shift_seal,
    .is_ready = shift_is_ready,
    .end = shift_end,
    .free = shift_free,
};

static struct shift *push(struct fixture *f, uint8_t key, bool is_in_place, bool is_ready)
{
    struct shift *shift = memory_must_alloc_zero(1, sizeof(*shift));

    *shift = (struct shift){
        .stage.ops = &shift_ops,
        .key = key,
        .is_in_place = is_in_place,
        .is_ready = is_ready,
    };
    stream_push(f->stream, &shift->stage);
    return shift;
}

static int setup(void **state)
{
    struct fixture *f = memory_must_alloc_zero(1, sizeof(*f));

    output_pool_init(&f->pool);
    f->dice = (struct dice){1};
    f->room = memory_must_alloc(STREAM_PLAIN_CAP + STREAM_GATHER_CAP);
    f->io = (struct stage_io){
        .pool = &f->pool,
        .plain = f->room,
        .gather = f->room + STREAM_PLAIN_CAP,
    };
    assert_int_equal(stream_new(&f->stream), 0);
    push(f, 3, false, false);
    push(f, 101, true, true);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    stream_free(f->stream, &f->pool);
    assert_null(stream_free(NULL, &f->pool));
    output_deinit(&f->plain, &f->pool);
    output_pool_deinit(&f->pool);
    memory_free(f->room);
    memory_free(f);
    return 0;
}

/* As the socket would bring them; answers what it was for MQTT, in room that lasts until the next.
 */
static struct slice open_bytes(struct fixture *f, const void *bytes, size_t len)
{
    static uint8_t buffer[STREAM_READ_MAX];
    struct slice slice = slice_of(buffer, len);

    assert_true(len <= sizeof(buffer));
    memcpy(buffer, bytes, len);
    stream_open(f->stream, &slice, &f->io);
    return slice;
}

static void put_plain(struct fixture *f, const uint8_t *bytes, size_t len)
{
    uint8_t *at = output_reserve(&f->plain, &f->pool, len);

    memcpy(at, bytes, len);
    output_commit(&f->plain, &f->pool, at + len, true);
}

/* Takes all that goes to the socket now. */
static size_t take_wire(struct fixture *f, uint8_t *to)
{
    size_t size = 0;

    while (!output_is_empty(stream_wire(f->stream))) {
        struct iovec piece;

        assert_int_equal(output_vector(stream_wire(f->stream), &piece, 1), 1);
        memcpy(to + size, piece.iov_base, piece.iov_len);
        size += piece.iov_len;
        output_consume(stream_wire(f->stream), &f->pool, piece.iov_len);
    }
    return size;
}

/* What is sealed by one opens again by its like, cut anywhere. */
static void test_there_and_back(void **state)
{
    struct fixture *f = *state;
    uint8_t *wire = memory_must_alloc(WIRE_CAP);
    uint8_t sent[3000];
    size_t seen = 0;
    size_t size;

    assert_int_equal(open_bytes(f, "xxH", 3).len, 0);
    for (unsigned i = 0; i < sizeof(sent); i++) {
        sent[i] = (uint8_t)(i * i >> 3);
    }
    for (unsigned i = 0; i < 3; i++) {
        put_plain(f, sent + (size_t)i * 1000, 1000);
    }
    assert_int_equal(stream_seal(f->stream, &f->plain, &f->io), 0);
    assert_true(output_is_empty(&f->plain));
    size = take_wire(f, wire);
    assert_true(size > sizeof(sent));
    for (size_t at = 0; at < size;) {
        size_t part = MIN(1 + (size_t)dice_below(&f->dice, 400), size - at);
        struct slice got = open_bytes(f, wire + at, part);

        assert_memory_equal(got.data, sent + seen, got.len);
        seen += got.len;
        at += part;
    }
    assert_int_equal(seen, sizeof(sent));
    memory_free(wire);
}

/* Before the handshake is over nothing of MQTT passes, and answers of the stage below do. */
static void test_nothing_passes_before(void **state)
{
    struct fixture *f = *state;

    put_plain(f, (const uint8_t *)"abc", 3);
    assert_int_equal(stream_seal(f->stream, &f->plain, &f->io), 0);
    assert_int_equal(output_size(&f->plain), 3);
    assert_int_equal(stream_size(f->stream), 0);
    stream_end(f->stream, &f->io);
    assert_int_equal(stream_size(f->stream), 1);
    /* What would still be said has no way any more. */
    assert_int_equal(stream_seal(f->stream, &f->plain, &f->io), 0);
    assert_true(output_is_empty(&f->plain));
    stream_end(f->stream, &f->io);
    assert_int_equal(stream_size(f->stream), 1);
}

/* Memory is bounded while the socket takes nothing. */
static void test_no_more_than_is_taken(void **state)
{
    struct fixture *f = *state;
    uint8_t *bytes = memory_must_alloc_zero(1, WIRE_CAP);

    open_bytes(f, "H", 1);
    put_plain(f, bytes, WIRE_CAP);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(stream_seal(f->stream, &f->plain, &f->io), 0);
        assert_true(stream_size(f->stream) < 3 * STREAM_WIRE_HIGH);
    }
    assert_true(output_size(&f->plain) > WIRE_CAP - 3 * STREAM_WIRE_HIGH);
    stream_drop(f->stream, &f->pool);
    assert_int_equal(stream_size(f->stream), 0);
    memory_free(bytes);
}

/* An answer of the upper stage goes through the lower one. */
static void test_an_answer(void **state)
{
    struct fixture *f = *state;
    uint8_t wire[16];

    assert_int_equal(open_bytes(f, (const uint8_t[]){'H', 1, (uint8_t)(ASKS + 3)}, 3).len, 0);
    assert_int_equal(stream_size(f->stream), 1);
    assert_int_equal(stream_seal(f->stream, &f->plain, &f->io), 0);
    assert_int_equal(take_wire(f, wire), 2);
    assert_int_equal(wire[0], 1);
    assert_int_equal(wire[1], (uint8_t)(ANSWERS + 3));
}

/* What came before the end is there, and nothing behind it. */
static void test_an_end(void **state)
{
    struct fixture *f = *state;
    const uint8_t wire[] = {'H', 2, 1 + 3, (uint8_t)('a' + 101 + 3), 0, 2, 4, 4};
    uint8_t out[16];
    struct slice got = open_bytes(f, wire, sizeof(wire));

    assert_int_equal(got.len, 1);
    assert_int_equal(got.data[0], 'a');
    assert_int_equal(f->stream->verdict, STAGE_END);
    assert_int_equal(open_bytes(f, wire + 1, 3).len, 0);
    /* We still may speak. */
    put_plain(f, (const uint8_t *)"z", 1);
    assert_int_equal(stream_seal(f->stream, &f->plain, &f->io), 0);
    assert_int_equal(take_wire(f, out), 3);
    stream_end(f->stream, &f->io);
    assert_int_equal(take_wire(f, out), 3);
    assert_memory_equal(out, ((uint8_t[]){1, 3, 0}), 3);
}

/* The upper stage hears of its end first, and both what is wrong and where are known. */
static void test_what_is_wrong(void **state)
{
    struct fixture *f = *state;
    uint8_t out[16];

    open_bytes(f, (const uint8_t[]){'H', 2, 4, (uint8_t)('a' + 104), 1, (uint8_t)(255 + 3), 0}, 7);
    assert_int_equal(f->stream->verdict, STAGE_FAILED);
    assert_string_equal(f->stream->name, "Shift");
    assert_string_equal(f->stream->text, "a wrong frame");
    put_plain(f, (const uint8_t *)"z", 1);
    assert_int_equal(stream_seal(f->stream, &f->plain, &f->io), 0);
    assert_true(output_is_empty(&f->plain));
    stream_end(f->stream, &f->io);
    assert_int_equal(take_wire(f, out), 0);
}

static void test_between_two_pools(void **state)
{
    struct fixture *f = *state;
    struct output_pool other;
    struct output_pool first;
    uint8_t wire[32];

    open_bytes(f, "H", 1);
    put_plain(f, (const uint8_t *)"abc", 3);
    assert_int_equal(stream_seal(f->stream, &f->plain, &f->io), 0);
    output_pool_init(&other);
    stream_leave(f->stream, &f->pool);
    assert_int_equal(f->pool.used_len, 0);
    assert_int_equal(f->pool.size, 0);
    stream_enter(f->stream, &other);
    first = f->pool;
    f->pool = other;
    assert_int_equal(take_wire(f, wire), 5);
    assert_int_equal(f->pool.used_len, 0);
    output_pool_deinit(&f->pool);
    f->pool = first;
}

static void test_without_memory(void **state)
{
    struct fixture *f = *state;
    struct stream *none;

    open_bytes(f, "H", 1);
    put_plain(f, (const uint8_t *)"abc", 3);
    shift_of(f->stream->stages[0])->is_failing = true;
    assert_int_equal(stream_seal(f->stream, &f->plain, &f->io), -ENOMEM);
    memory_fail_after(1);
    assert_int_equal(stream_new(&none), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_there_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_passes_before, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_more_than_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(test_between_two_pools, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
