#include "base/memory.h"
#include "client/client.h"
#include "client/drain.h"
#include "client/hub.h"

/*
 * A message whose search is left to the receivers costs its publisher next to nothing, and each
 * worker a long time. So nothing more is taken from that client before this worker is through with
 * it: a marker in the worker's own mailbox comes out behind the message. Each client has one such
 * message under way, and what others publish waits for one of each at most.
 */

/* Owner: the worker, through whose mailbox it goes. */
struct client_turn {
    struct post_call call;
    struct client *client; /* NULL: it has gone */
    unsigned turns_to_go;  /* so many, with this one, a drain has waited for; 0: it does not */
};

static void on_turn(void *context, struct post_call *call)
{
    struct client_turn *turn = CONTAINER_OF(call, struct client_turn, call);
    struct client *client = turn->client;
    unsigned turns_to_go = turn->turns_to_go;

    (void)context;
    memory_free(turn);
    if (client) {
        client->facts->turn = NULL;
        client->is_searching = false;
        client->last_seen = shard_now(client->hub->shard);
        client_update_interest(client);
        if (turns_to_go > 0) {
            drain_on_turn(client, turns_to_go);
        }
    }
}

void client_await_turn(struct client *client)
{
    const struct post *post = &client->hub->shard->post;
    struct client_turn *turn;

    if (client->is_searching || post->ops->reserve(post->context) < 0) {
        return;
    }
    turn = client_need_facts(client) ? memory_alloc(sizeof(*turn)) : NULL;
    if (!turn) {
        return;
    }
    *turn = (struct client_turn){.call = {.function = on_turn}, .client = client};
    post->ops->entry(post->context, client->hub->shard->worker,
                     post_entry_of(POST_CALL, &turn->call, sizeof(*turn)));
    client->facts->turn = turn;
    client->is_searching = true;
    client_update_interest(client);
}

void client_go_after_turn(struct client *client, unsigned turns)
{
    assert(client->is_searching && turns > 0);
    client->facts->turn->turns_to_go = turns;
}

bool client_goes_after_turn(const struct client *client)
{
    return client->is_searching && client->facts->turn->turns_to_go > 0;
}

void client_leave_turn(struct client *client)
{
    if (client->is_searching) {
        client->facts->turn->client = NULL;
        client->facts->turn = NULL;
        client->is_searching = false;
    }
}
