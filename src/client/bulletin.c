#include "client/bulletin.h"

#include "client/hub.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Any worker could: a retained message takes its place by its topic, not by who publishes it. */
#define PUBLISHER 0

static void set(struct bulletin_row *row, const char *text, uint8_t len)
{
    if (row->len != len || memcmp(row->text, text, len) != 0) {
        memcpy(row->text, text, len);
        row->len = len;
        row->is_due = true;
    }
}

void bulletin_say(struct bulletin_row *row, const char *format, ...)
{
    char text[BULLETIN_TEXT_CAP];
    va_list values;
    int len;

    va_start(values, format);
    len = vsnprintf(text, sizeof(text), format, values);
    va_end(values);
    assert(len > 0 && (size_t)len < sizeof(text));
    set(row, text, (uint8_t)len);
}

void bulletin_say_nothing(struct bulletin_row *row)
{
    set(row, "", 0);
}

static int publish(struct hub *hub, const struct bulletin_row *row)
{
    struct slice topic = slice_of_text(row->topic);
    struct publication publication = {
        .parts =
            {
                    .topic = topic,
                    .payload = slice_of(row->text, row->len),
                    .expires_at = MESSAGE_NEVER,
                    .qos = 2,
                    .retain = true,
                    },
        .topic_hash = shard_topic_hash(hub->shard, topic),
    };
    int r;

    publication.parts.topic_hash = (uint32_t)publication.topic_hash;
    r = shard_publish(hub->shard, &publication);
    publication_deinit(&publication);
    return r;
}

static void on_call(void *context, struct post_call *call)
{
    struct bulletin *bulletin = CONTAINER_OF(call, struct bulletin, call);
    struct hub *hub = context;

    for (unsigned i = 0; i < bulletin->row_len; i++) {
        struct bulletin_row *row = &bulletin->rows[i];

        if (row->is_due) {
            row->is_due = publish(hub, row) < 0;
        }
    }
    atomic_store_explicit(&bulletin->is_under_way, false, memory_order_release);
}

int bulletin_publish(struct worker_group *group, struct bulletin *bulletin)
{
    int r;

    assert(!bulletin_is_under_way(bulletin));
    bulletin->call.function = on_call;
    atomic_store_explicit(&bulletin->is_under_way, true, memory_order_relaxed);
    r = worker_group_call(group, PUBLISHER, &bulletin->call);
    if (r < 0) {
        atomic_store_explicit(&bulletin->is_under_way, false, memory_order_relaxed);
    }
    return r;
}
