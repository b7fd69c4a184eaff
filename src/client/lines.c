#include "client/lines.h"

#include "base/memory.h"
#include "base/mpsc.h"
#include "client/client.h"
#include "client/hub.h"

#include <sys/eventfd.h>
#include <unistd.h>

/* That may wait for the worker, and how long one is of interest to a subscriber. */
#define LINE_MAX_LEN 1000
#define LINE_AGE_S   20

struct line {
    struct mpsc_node node;
    const char *topic;
    size_t len;
    uint8_t text[];
};

/* The queue and its length are for all threads, the rest is the worker's. */
struct lines {
    uint8_t source; /* SOURCE_LINES */
    int fd;
    struct hub *hub;
    struct mpsc queue;
    _Atomic uint32_t len;
};

int lines_new(struct hub *hub, struct lines **lines_out)
{
    CLEANUP(lines_free) struct lines *lines = memory_alloc_zero(1, sizeof(*lines));
    int r;

    if (!lines) {
        return -ENOMEM;
    }
    lines->source = SOURCE_LINES;
    lines->hub = hub;
    mpsc_init(&lines->queue);
    lines->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (lines->fd < 0) {
        return -errno;
    }
    r = poller_add(worker_poller(hub->worker), lines->fd, POLLER_READ, lines);
    if (r < 0) {
        return r;
    }
    *lines_out = TAKE(lines);
    return 0;
}

struct lines *lines_free(struct lines *lines)
{
    struct mpsc_node *node = lines ? mpsc_take_all(&lines->queue) : NULL;

    while (node) {
        struct mpsc_node *next = node->next;

        memory_free(CONTAINER_OF(node, struct line, node));
        node = next;
    }
    if (lines && lines->fd >= 0) {
        close(lines->fd);
    }
    return memory_free(lines);
}

void lines_push(struct lines *lines, const char *topic, struct slice text)
{
    static const uint64_t one = 1;
    struct line *line;

    if (atomic_load_explicit(&lines->len, memory_order_relaxed) >= LINE_MAX_LEN) {
        return;
    }
    line = memory_alloc(sizeof(*line) + text.len);
    if (!line) {
        return;
    }
    line->topic = topic;
    line->len = text.len;
    memcpy(line->text, text.data, text.len);
    atomic_fetch_add_explicit(&lines->len, 1, memory_order_relaxed);
    mpsc_push(&lines->queue, &line->node);
    if (write(lines->fd, &one, sizeof(one)) < 0) {
        assert(errno == EAGAIN);
    }
}

/* A line that there is no memory for is lost. */
static void publish(struct hub *hub, const struct line *line)
{
    struct slice topic = slice_of_text(line->topic);
    struct publication publication = {
        .parts =
            {
                    .topic = topic,
                    .payload = slice_of(line->text, line->len),
                    .expires_at = shard_now(hub->shard) + LINE_AGE_S,
                    .expiry_interval = LINE_AGE_S,
                    .qos = 2,
                    },
        .topic_hash = shard_topic_hash(hub->shard, topic),
    };
    int r;

    publication.parts.topic_hash = (uint32_t)publication.topic_hash;
    r = shard_publish(hub->shard, &publication);
    (void)r;
    publication_deinit(&publication);
}

void lines_publish(struct lines *lines)
{
    struct mpsc_node *node;
    uint64_t count;

    if (read(lines->fd, &count, sizeof(count)) < 0) {
        assert(errno == EAGAIN);
    }
    node = mpsc_take_all(&lines->queue);
    while (node) {
        struct line *line = CONTAINER_OF(node, struct line, node);

        node = node->next;
        publish(lines->hub, line);
        memory_free(line);
        atomic_fetch_sub_explicit(&lines->len, 1, memory_order_relaxed);
    }
}
