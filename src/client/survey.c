#include "client/survey.h"

#include "base/text.h"
#include "client/client.h"
#include "client/hub.h"
#include "core/retained.h"

#include <stdio.h>

static void answer(struct survey *survey)
{
    atomic_store_explicit(&survey->is_answered, true, memory_order_release);
    survey->on_answer();
}

static void PRINTF_LIKE(2, 3) print(struct survey *survey, const char *format, ...)
{
    size_t room = sizeof(survey->text) - survey->len;
    va_list values;
    int len;

    va_start(values, format);
    len = vsnprintf(survey->text + survey->len, room, format, values);
    va_end(values);
    assert(len >= 0 && (size_t)len < room); /* SURVEY_TEXT_CAP has room for every row */
    survey->len += (size_t)len;
}

/* Clients */

static void print_client(struct survey *survey, const struct client *client)
{
    char label[CLIENT_LABEL_CAP];
    char via[CLIENT_ADDRESS_CAP];

    print(survey, "  %s%s\n", client_label(client, label), client_via(client, via));
}

static void list_clients(struct hub *hub, struct survey *survey)
{
    if (!hub->listed) {
        hub->listed = hub->clients.next;
    }
    for (unsigned i = 0; i < SURVEY_ROW_CAP && hub->listed != &hub->clients; i++) {
        const struct client *client = CONTAINER_OF(hub->listed, struct client, in_hub);

        hub->listed = hub->listed->next;
        if (client->session) {
            print_client(survey, client);
        }
    }
    survey->is_over = hub->listed == &hub->clients;
    if (survey->is_over) {
        hub->listed = NULL;
    }
    answer(survey);
}

/* Trees */

static const char *path_of(const struct tree *tree, uint32_t node, char text[1024])
{
    uint8_t path[65536];
    size_t len = tree_path(tree, node, path, sizeof(path));

    text_escape(text, 1024, slice_of(path, MIN(len, sizeof(path))));
    return text;
}

/* A filter with groups alone has nobody of its own; the groups have rows. */
static void print_filters(struct hub *hub, struct survey *survey)
{
    const struct tree *tree = hub->shard->core->router.tree;
    char text[1024];

    for (unsigned i = 0; i < survey->census.len; i++) {
        uint32_t len = survey->census.subscriber_lens[i];

        if (len > 0) {
            print(survey, "  %s: %u\n", path_of(tree, survey->census.nodes[i], text), len);
        }
    }
}

static void finish_filters(struct hub *hub, struct survey *survey)
{
    survey->is_over = survey->census.is_over;
    census_release(hub->shard->core->router.tree, &survey->census);
    answer(survey);
}

/* Every worker counts what is its own; the last one writes. */
static void count_filters(struct hub *hub, struct survey *survey)
{
    const struct post *post = &hub->shard->post;

    if (survey->worker == 0) {
        census_walk(hub->shard, hub->shard->core->router.tree, &survey->census);
    }
    census_count(hub->shard, &survey->census);
    survey->worker++;
    if (survey->worker == survey->worker_len || survey->census.len == 0) {
        print_filters(hub, survey);
        finish_filters(hub, survey);
    } else if (post->ops->reserve(post->context) == 0) {
        post->ops->entry(post->context, survey->worker, post_entry_of(POST_CALL, survey, 0));
    } else {
        survey->is_cut = true;
        finish_filters(hub, survey);
    }
}

static void list_retained(struct hub *hub, struct survey *survey)
{
    struct tree *tree = hub->shard->core->retained.tree;
    char text[1024];

    census_walk(hub->shard, tree, &survey->census);
    for (unsigned i = 0; i < survey->census.len; i++) {
        print(survey, "  %s\n", path_of(tree, survey->census.nodes[i], text));
    }
    survey->is_over = survey->census.is_over;
    census_release(tree, &survey->census);
    answer(survey);
}

static void on_call(void *context, struct post_call *call)
{
    struct survey *survey = CONTAINER_OF(call, struct survey, call);
    struct hub *hub = context;

    switch (survey->kind) {
    case SURVEY_CLIENTS: list_clients(hub, survey); break;
    case SURVEY_FILTERS: count_filters(hub, survey); break;
    case SURVEY_RETAINED: list_retained(hub, survey); break;
    }
}

int survey_ask(struct worker_group *group, struct survey *survey)
{
    survey->call.function = on_call;
    survey->len = 0;
    survey->is_over = false;
    survey->is_cut = false;
    if (survey->kind != SURVEY_CLIENTS) {
        survey->worker = 0;
    }
    atomic_store_explicit(&survey->is_answered, false, memory_order_relaxed);
    return worker_group_call(group, survey->worker, &survey->call);
}
