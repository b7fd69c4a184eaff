#include "net/stream.h"

#include "base/memory.h"

int stream_new(struct stream **stream_out)
{
    *stream_out = memory_alloc_zero(1, sizeof(**stream_out));
    return *stream_out ? 0 : -ENOMEM;
}

void stream_push(struct stream *stream, struct stage *stage)
{
    assert(stream->len < STREAM_STAGES_MAX);
    stream->stages[stream->len++] = stage;
}

struct stream *stream_free(struct stream *stream, struct output_pool *pool)
{
    if (stream) {
        stream_drop(stream, pool);
        for (unsigned i = 0; i < stream->len; i++) {
            stream->stages[i]->ops->free(stream->stages[i]);
        }
        memory_free(stream);
    }
    return NULL;
}

/* What is above heard of its own end before it heard of one below. */
static void note(struct stream *stream, const struct stage *stage, enum stage_verdict verdict,
                 const struct stage_io *io)
{
    if (verdict != STAGE_OK) {
        assert(verdict != STAGE_FAILED || io->text);
        stream->verdict = (uint8_t)verdict;
        stream->name = stage->ops->name;
        stream->text = io->text;
    }
}

void stream_open(struct stream *stream, struct slice *bytes, struct stage_io *io)
{
    if (stream->verdict != STAGE_OK) {
        /* The peer talks on behind its end, or in spite of ours. */
        *bytes = slice_of(bytes->data, 0);
        return;
    }
    for (unsigned i = 0; i < stream->len && bytes->len > 0; i++) {
        struct stage *stage = stream->stages[i];

        io->text = NULL;
        note(stream, stage, stage->ops->unseal(stage, bytes, io), io);
    }
}

/* The first stage from below that nothing passes yet; `len`: there is none. */
static unsigned ready_len(const struct stream *stream)
{
    unsigned len = 0;

    while (len < stream->len && stream->stages[len]->ops->is_ready(stream->stages[len])) {
        len++;
    }
    return len;
}

/* From stage `from` downwards. */
static int seal_from(struct stream *stream, unsigned from, struct stage_io *io)
{
    int r = 0;

    for (unsigned i = from; i > 0 && r == 0; i--) {
        struct stage *below = stream->stages[i - 1];

        r = below->ops->seal(below, &stream->stages[i]->wire, io);
    }
    return r;
}

int stream_seal(struct stream *stream, struct output *plain, struct stage_io *io)
{
    unsigned len = ready_len(stream);
    int r = 0;

    if (stream->verdict == STAGE_FAILED || stream->has_ended) {
        output_deinit(plain, io->pool);
        return 0;
    }
    if (len == stream->len) {
        struct stage *top = stream->stages[len - 1];

        r = top->ops->seal(top, plain, io);
    }
    /* The one that is not ready yet may have something to say. */
    return r == 0 ? seal_from(stream, MIN(len, stream->len - 1u), io) : r;
}

void stream_end(struct stream *stream, struct stage_io *io)
{
    unsigned top = MIN(ready_len(stream), stream->len - 1u);

    if (stream->has_ended) {
        return;
    }
    stream->has_ended = true;
    io->code = stream->code;
    for (unsigned i = top + 1; i > 0; i--) {
        struct stage *stage = stream->stages[i - 1];

        stage->ops->end(stage, stream->verdict == STAGE_FAILED, io);
        if (seal_from(stream, i - 1, io) < 0) {
            return;
        }
    }
}

bool stream_is_costly(const struct stream *stream)
{
    const struct stage *stage = stream->stages[0];

    return stage->ops->is_costly && !stage->ops->is_ready(stage);
}

/* The one from below that knows certificates; NULL: none. */
static const struct stage *find_knowing(const struct stream *stream)
{
    for (unsigned i = 0; i < stream->len; i++) {
        if (stream->stages[i]->ops->find_name) {
            return stream->stages[i];
        }
    }
    return NULL;
}

bool stream_knows_names(const struct stream *stream)
{
    return find_knowing(stream) != NULL;
}

bool stream_has_certificate(const struct stream *stream)
{
    const struct stage *stage = find_knowing(stream);

    return stage && stage->ops->has_certificate(stage);
}

int stream_find_name(const struct stream *stream, enum stage_name which, char **name_out)
{
    const struct stage *stage = find_knowing(stream);

    return stage ? stage->ops->find_name(stage, which, name_out) : -ENOENT;
}

bool stream_describe(const struct stream *stream, struct stage_facts *facts_out)
{
    const struct stage *stage = find_knowing(stream);
    bool can = stage && stage->ops->is_ready(stage);

    if (can) {
        stage->ops->describe(stage, facts_out);
    }
    return can;
}

size_t stream_size(const struct stream *stream)
{
    size_t size = 0;

    for (unsigned i = 0; i < stream->len; i++) {
        size += output_size(&stream->stages[i]->wire);
    }
    return size;
}

void stream_drop(struct stream *stream, struct output_pool *pool)
{
    for (unsigned i = 0; i < stream->len; i++) {
        output_deinit(&stream->stages[i]->wire, pool);
    }
}

void stream_leave(const struct stream *stream, struct output_pool *pool)
{
    for (unsigned i = 0; i < stream->len; i++) {
        output_leave(&stream->stages[i]->wire, pool);
    }
}

void stream_enter(const struct stream *stream, struct output_pool *pool)
{
    for (unsigned i = 0; i < stream->len; i++) {
        output_enter(&stream->stages[i]->wire, pool);
    }
}

struct stage_source *stage_source_ref(struct stage_source *source)
{
    if (source) {
        atomic_fetch_add_explicit(&source->refs, 1, memory_order_relaxed);
    }
    return source;
}

struct stage_source *stage_source_unref(struct stage_source *source)
{
    if (source && atomic_fetch_sub_explicit(&source->refs, 1, memory_order_acq_rel) == 1) {
        source->ops->free(source);
    }
    return NULL;
}
