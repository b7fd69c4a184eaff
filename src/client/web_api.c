#include "base/memory.h"
#include "client/hub.h"
#include "client/web.h"

#include <cjson/cJSON.h>
#include <inttypes.h>

#define NOT_TO_BE_KEPT "Cache-Control: no-store\r\n"

/*
 * Mosquitto's three answers, in its words. Numbers are written as they are: those of JSON libraries
 * are doubles, and counters have more digits.
 *
 * The list of clients is ours; the names of what it tells are Mosquitto's where it has some.
 */

static void *allocate(size_t size)
{
    return memory_alloc(size);
}

static void release(void *memory)
{
    memory_free(memory);
}

void web_api_init(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = allocate, .free_fn = release});
}

static bool add_number(cJSON *object, const char *name, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, number);
    return cJSON_AddRawToObject(object, name, text) != NULL;
}

/* Takes the text; NULL: there was no memory for it. */
static int put_text(char *text, struct web_answer *answer)
{
    if (!text) {
        return -ENOMEM;
    }
    answer->type = "application/json";
    answer->text = text;
    answer->body = slice_of_text(text);
    return 0;
}

/* Takes the object. */
static int put_json(cJSON *object, bool is_whole, struct web_answer *answer)
{
    char *text = is_whole ? cJSON_PrintUnformatted(object) : NULL;

    cJSON_Delete(object);
    return put_text(text, answer);
}

/* ---- version ---- */

static int answer_version(struct hub *hub, struct web_answer *answer)
{
    (void)hub;
    answer->type = "text/plain; charset=utf-8";
    answer->body = slice_of_text(NIGHTJAR_VERSION);
    return 0;
}

/* ---- listeners ---- */

static const char *protocol_of(const struct listener_settings *listener)
{
    switch (listener->protocol) {
    case SETTINGS_PROTOCOL_WEBSOCKETS: return "websockets";
    case SETTINGS_PROTOCOL_HTTP_API: return "http_api";
    case SETTINGS_PROTOCOL_AGENT: return "agent";
    default: return "mqtt";
    }
}

static bool add_listener(cJSON *list, const struct listener_settings *listener)
{
    bool has_tls = listener->tls.certfile != NULL;
    cJSON *object = cJSON_CreateObject();

    if (!object || !cJSON_AddItemToArray(list, object)) {
        cJSON_Delete(object);
        return false;
    }
    return (listener->unix_path
                ? cJSON_AddStringToObject(object, "path", listener->unix_path) != NULL
                : add_number(object, "port", listener->port)) &&
           cJSON_AddStringToObject(object, "protocol", protocol_of(listener)) &&
           cJSON_AddBoolToObject(object, "tls", has_tls) &&
           cJSON_AddBoolToObject(object, "mtls", has_tls && listener->certificates.is_required) &&
           cJSON_AddBoolToObject(object, "allow_anonymous", listener->allow_anonymous);
}

static int answer_listeners(struct hub *hub, struct web_answer *answer)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *list = object ? cJSON_AddArrayToObject(object, "listeners") : NULL;
    bool is_whole = list != NULL;

    for (unsigned i = 0; i < hub->settings->listener_len && is_whole; i++) {
        is_whole = add_listener(list, &hub->settings->listeners[i]);
    }
    return put_json(object, is_whole, answer);
}

/* ---- systree ---- */

static bool add_metric(cJSON *object, const struct metric_row *row, uint64_t value)
{
    char topic[128];

    if (!row->topic) {
        return true;
    }
    snprintf(topic, sizeof(topic), METRIC_TOPIC_FRONT "%s", row->topic);
    return add_number(object, topic, value);
}

/* The figures of $SYS by their topics: without averages, and without the second name that some
 * have. */
static int answer_systree(struct hub *hub, struct web_answer *answer)
{
    uint64_t values[METRIC_LEN];
    cJSON *object = cJSON_CreateObject();
    bool is_whole =
        object && add_number(object, METRIC_TOPIC_FRONT "uptime", server_uptime_s(hub->server));

    server_sum(hub->server, values);
    values[METRIC_HEAP] = memory_used(&values[METRIC_HEAP_MAX]);
    for (size_t i = 0; i < metric_row_len && is_whole; i++) {
        is_whole = add_metric(object, &metric_rows[i], values[metric_rows[i].first]);
    }
    return put_json(object, is_whole, answer);
}

/* ---- clients ---- */

static int ask_for_clients(struct client *client, struct slice query, struct web_answer *answer)
{
    const char *complaint;
    int r = roster_ask(client, query, &complaint);

    switch (r) {
    case ROSTER_ASKED: return WEB_API_LATER;
    case ROSTER_WRONG: web_say(answer, HTTP_BAD_REQUEST, complaint); return WEB_API_ANSWERED;
    case ROSTER_FULL:
        web_say(answer, HTTP_UNAVAILABLE, "too many lists of clients are asked for at once\n");
        return WEB_API_ANSWERED;
    default: return r;
    }
}

int web_api_answer_later(struct client *client, struct web_answer *answer)
{
    answer->header = NOT_TO_BE_KEPT;
    return put_text(roster_take(client), answer);
}

int web_api_answer(struct client *client, const struct http_request *request,
                   struct web_answer *answer)
{
    static const struct {
        const char *path;
        int (*answer)(struct hub *hub, struct web_answer *answer);
    } calls[] = {
        {"/api/v1/version",   answer_version  },
        {"/api/v1/listeners", answer_listeners},
        {"/api/v1/systree",   answer_systree  },
    };

    answer->header = NOT_TO_BE_KEPT;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        if (slice_is_equal(request->path, slice_of_text(calls[i].path))) {
            return calls[i].answer(client->hub, answer);
        }
    }
    if (slice_is_equal(request->path, slice_of_text("/api/v1/clients"))) {
        return ask_for_clients(client, request->query, answer);
    }
    answer->header = NULL;
    web_say(answer, HTTP_NOT_FOUND, "not found\n");
    return WEB_API_ANSWERED;
}
