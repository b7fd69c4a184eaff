#include "client/client.h"
#include "client/hub.h"
#include "net/websocket_stage.h"

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

static int push_tls(struct client *client)
{
    struct stage_source *source = client->listener->tls;
    struct stage *stage;
    int r = source->ops->make(source, client->hub->shard->worker, &stage);

    if (r == 0) {
        stream_push(client->facts->stream, stage);
    }
    return r;
}

struct forwarded_trust client_forwarders(const struct client *client)
{
    const struct listener_settings *settings = client->listener->settings;

    if (settings->protocol != SETTINGS_PROTOCOL_WEBSOCKETS) {
        return (struct forwarded_trust){.len = 0};
    }
    return (struct forwarded_trust){.ranges = settings->http.proxies,
                                    .len = settings->http.proxy_len};
}

static int push_websocket(struct client *client)
{
    const struct settings_limits *limits = &client->hub->settings->limits;
    struct websocket_rules rules = {
        .origins = client->listener->settings->http.origins,
        .limits = {.head_size = MAX(limits->packet_buffer_size, (uint32_t)HTTP_HEAD_LEAST),
                   .header_len = limits->max_http_headers},
        .proxies = client_forwarders(client),
        .peer = client_peer(client),
    };
    struct stage *stage;
    int r = websocket_stage_new(&rules, &stage);

    if (r == 0) {
        stream_push(client->facts->stream, stage);
    }
    return r;
}

static int begin(struct client *client)
{
    const struct server_listener *listener = client->listener;
    int r = stream_new(&client->facts->stream);

    if (r == 0 && listener->tls) {
        r = push_tls(client);
    }
    if (r == 0 && listener->settings->protocol == SETTINGS_PROTOCOL_WEBSOCKETS) {
        r = push_websocket(client);
    }
    if (r < 0) {
        client->facts->stream = stream_free(client->facts->stream, &client->hub->pool);
    }
    return r;
}

size_t client_output_size(const struct client *client)
{
    const struct stream *stream = client->is_staged ? client_stream(client) : NULL;

    return output_size(&client->output) + (stream ? stream_size(stream) : 0);
}

bool client_has_output(const struct client *client)
{
    return !output_is_empty(&client->output) ||
           (client->is_staged && client_output_size(client) > 0);
}

static_assert(METRIC_TLS_HANDSHAKES + STAGE_NEWS_RESUMED - STAGE_NEWS_READY == METRIC_TLS_RESUMED,
              "in their order");

/* What the call has brought to light: figures, and a line in OpenSSL's own words. */
static void tell(const struct client *client, const struct stage_io *io)
{
    const struct stream *stream = client_stream(client);

    if (io->news != STAGE_NEWS_NONE) {
        hub_count(client->hub, client->listener,
                  METRIC_TLS_HANDSHAKES + io->news - STAGE_NEWS_READY, 1);
    }
    if (stream->verdict == STAGE_FAILED && io->detail[0]) {
        if (stream_is_costly(stream)) {
            hub_count(client->hub, client->listener, METRIC_TLS_FAILED, 1);
        }
        client_log(client, LOG_ERROR, LOG_EVENT_TLS_FAILED, stream->text, "OpenSSL Error[0]: %s",
                   io->detail);
    }
}

bool client_open(struct client *client, struct slice *bytes)
{
    struct client_facts *facts = client->facts;
    struct stage_io io;

    if (!hub_stage_io(client->hub, &io) || (!facts->stream && begin(client) < 0)) {
        client_lose(client, CLIENT_OUT_OF_MEMORY);
        return false;
    }
    stream_open(facts->stream, bytes, &io);
    tell(client, &io);
    if (io.upgrade != STAGE_NOT_ASKED && !client_on_upgrade(client, &io)) {
        /* It is closed as whoever is refused when it comes: without a word. */
        stream_drop(facts->stream, &client->hub->pool);
        facts->stream->has_ended = true;
        return false;
    }
    if (stream_size(facts->stream) > ANSWERS_MAX) {
        client_set_reason(client, MQTT_QUOTA_EXCEEDED);
        client_lose(client, "answers are not read");
        return false;
    }
    if (stream_size(facts->stream) > 0) {
        client_mark_dirty(client);
    }
    return true;
}

bool client_must_queue(const struct client *client)
{
    const struct stream *stream = client_stream(client);

    if (!client->is_staged || !client->listener->tls || client->is_paused) {
        return false;
    }
    return client->state == CLIENT_PROXY ||
           (client->state == CLIENT_FRESH && (!stream || stream_is_costly(stream)));
}

/* Without memory to wait it is not made to. */
void client_queue(struct client *client)
{
    struct hub *hub = client->hub;
    struct client_pause *pause;

    if (!hub->has_shaken_hands && list_is_empty(&hub->handshakes)) {
        hub->has_shaken_hands = true;
        client_read(client);
        return;
    }
    pause = client_pause_new(client);
    if (!pause) {
        client_read(client);
        return;
    }
    client->is_queued = true;
    list_push(&hub->handshakes, &pause->link);
    client_update_interest(client);
}

void client_take_turn(struct client_pause *pause)
{
    struct client *client = pause->client;

    client_pause_end(pause);
    client->is_queued = false;
    if (client->state != CLIENT_CLOSING) {
        client_update_interest(client);
        client_read(client);
    }
}

void client_check_stream(struct client *client)
{
    const struct stream *stream = client_stream(client);
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
    struct stream *stream = client_stream(client);
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

void client_set_reason(struct client *client, enum mqtt_reason reason)
{
    struct stream *stream = client_stream(client);

    if (stream && stream->code == 0) {
        stream->code = mqtt_reason_find(reason)->websocket;
    }
}

void client_end_stream(struct client *client)
{
    struct stream *stream = client_stream(client);
    struct stage_io io;

    if (stream && !client->is_blocked && hub_stage_io(client->hub, &io)) {
        stream_end(stream, &io);
        client_flush(client);
    }
}
