#include "base/memory.h"
#include "client/client.h"
#include "client/hub.h"

#include <stdio.h>

/*
 * A connection with stages: the bytes of the socket go through them before anything of MQTT is
 * looked at, and the output goes through them before it is written. All that one read brought is
 * opened at once, so that behind a CONNECT there are only plain bytes, and what the stages keep
 * moves with the client.
 */

/* What stages may answer by themselves, beyond what the kernel holds for a peer that does not read:
 * sealed output never comes near. */
#define ANSWERS_MAX ((size_t)1024 * 1024)

static int begin(struct client *client)
{
    struct hub *hub = client->hub;
    struct stage_source *source = client->facts->listener->tls;
    struct stage *stage;
    int r = stream_new(&client->facts->stream);

    if (r == 0) {
        r = source->ops->make(source, hub->shard->worker, &stage);
    }
    if (r < 0) {
        memory_free(client->facts->stream);
        client->facts->stream = NULL;
        return r;
    }
    stream_push(client->facts->stream, stage);
    return 0;
}

bool client_has_output(const struct client *client)
{
    return !output_is_empty(&client->output) ||
           (client->is_staged && client->facts->stream && stream_size(client->facts->stream) > 0);
}

bool client_open(struct client *client, struct slice *bytes)
{
    struct client_facts *facts = client->facts;
    struct stage_io io;

    if (!hub_stage_io(client->hub, &io) || (!facts->stream && begin(client) < 0)) {
        client_lose(client, "out of memory");
        return false;
    }
    stream_open(facts->stream, bytes, &io);
    if (stream_size(facts->stream) > ANSWERS_MAX) {
        client_lose(client, "answers are not read");
        return false;
    }
    if (stream_size(facts->stream) > 0) {
        client_mark_dirty(client);
    }
    return true;
}

void client_check_stream(struct client *client)
{
    const struct stream *stream = client->facts->stream;
    char text[160];

    if (!stream || stream->verdict == STAGE_OK || client_is_put_off(client)) {
        return;
    }
    if (stream->verdict == STAGE_END) {
        client_lose(client, "connection closed by client");
        return;
    }
    snprintf(text, sizeof(text), "%s%s%s", stream->name ? stream->name : "",
             stream->name ? ": " : "", stream->text);
    client_lose(client, text);
}

bool client_seal(struct client *client)
{
    struct stream *stream = client->facts->stream;
    struct stage_io io;

    if (client->is_unwelcome || !stream) {
        return true;
    }
    if (!hub_stage_io(client->hub, &io) || stream_seal(stream, &client->output, &io) < 0) {
        client_set_failed(client);
        return false;
    }
    return true;
}

void client_end_stream(struct client *client)
{
    struct stream *stream = client->facts->stream;
    struct stage_io io;

    if (stream && !client->is_blocked && hub_stage_io(client->hub, &io)) {
        stream_end(stream, &io);
        client_flush(client);
    }
}
