#include "access/verifier.h"
#include "client/client.h"
#include "client/hub.h"
#include "client/login.h"

/*
 * The password of a CONNECT is looked at by the verifier's threads, while the connection waits on
 * the worker that accepted it. Between the two there is one object, the verification: the verifier
 * pushes it into the hub's list of answers and wakes the worker. Who goes away meanwhile strikes
 * itself off it (login_drop_verification()), so that the answer finds nobody.
 *
 * The client is not read until then, only its end is heard of; what it sent behind CONNECT stands
 * in its login. It has no session yet and nobody is taken over: not before it is known who it is.
 */

/* On a thread of the verifier; or here, where there is none. */
static void on_answer(struct verification *verification)
{
    struct hub *hub = verification->place;
    const struct post *post = &hub->shard->post;

    mpsc_push(&hub->answered, &verification->node);
    post->ops->wake(post->context);
}

/* False: there is no room for it. */
static bool hand_over(struct hub *hub, struct verification *verification)
{
    struct verifier *verifier = server_verifier(hub->server);

    if (!verifier) {
        verification_run(verification);
        on_answer(verification);
        return true;
    }
    return verifier_ask(verifier, verification, hub->settings->access.password_queue);
}

static int ask(struct client *client, struct verification *verification)
{
    struct hub *hub = client->hub;

    verification->asker = client;
    verification->place = hub;
    verification->on_answer = on_answer;
    client->facts->login->verification = verification;
    if (!hand_over(hub, verification)) {
        client->facts->login->verification = NULL;
        verification_free(verification);
        return VERIFY_FULL;
    }
    metrics_add(hub->metrics, METRIC_LOGINS_WAITING, 1);
    return VERIFY_ASKED;
}

int verify_begin(struct client *client, struct access *access, struct slice given)
{
    struct slice username = slice_of_text(client_username(client));
    struct verification *verification;
    int r = verification_new(access, username, given, &verification);

    if (r < 0) {
        return r;
    }
    /* Watched for its end alone. */
    r = client_watch(client, 0);
    if (r < 0) {
        verification_free(verification);
        return r;
    }
    r = ask(client, verification);
    if (r == VERIFY_ASKED) {
        pending_end(client);
        client_state_change(&client->state, CLIENT_LOGIN);
    }
    return r;
}

int verify_again(struct client *client, struct verification *verification, struct access *access)
{
    assert(client->state == CLIENT_LOGIN);

    verification_turn(verification, access, slice_of_text(client_username(client)));
    return ask(client, verification);
}

/* At home, or on its way there, it is watched anew. */
static void handle(struct client *client, struct verification *verification)
{
    assert(client->state == CLIENT_LOGIN);

    client->facts->login->verification = NULL;
    client_on_verified(client, verification);
}

void verify_collect(struct hub *hub)
{
    struct mpsc_node *node = mpsc_take_all(&hub->answered);

    while (node) {
        struct verification *verification = CONTAINER_OF(node, struct verification, node);
        struct client *client = verification->asker;

        node = node->next;
        metrics_sub(hub->metrics, METRIC_LOGINS_WAITING, 1);
        if (client && client->state == CLIENT_LOGIN) {
            handle(client, verification);
        } else {
            if (client) {
                client->facts->login->verification = NULL;
            }
            verification_free(verification);
        }
    }
}
