#include "client/drain.h"

#include "client/client.h"
#include "client/hub.h"
#include "net/proxy.h"

/*
 * A worker owes the balancers a part of a client in most steps; what is owed adds up until it is a
 * whole one. The workers begin with different parts, so that few clients on many workers do not go
 * in the same step.
 *
 * Who has something unfinished is passed over: acknowledgements that wait for the store, messages
 * that wait for room. Others go instead; where there is nobody else, those who are never finished
 * go as evenly as all, only some seconds later. What was sent to a client before its DISCONNECT is
 * before it in the stream, so messages in flight arrive.
 *
 * What a client has sent is heard before it goes, and that may end at a message of its own that is
 * a long search. Then it goes when that is over and what lies behind is heard as well, which may
 * end at another one. But who sends one such message after the other would stay for long: after a
 * few it goes at once. What is not heard then is as what lies in the socket.
 */

/* Clients that are looked at in a step for one that goes, and at least. */
#define LOOKS     8u
#define LOOKS_MIN 256u

/* The most that go in one step of the end, which is repeated: other work goes on in between. */
#define LAST_LEN 5000u

/* Long searches of one client that are waited for. */
#define TURNS_MAX 4

/* For so many steps it is waited for those that have something unfinished. */
#define PATIENCE 50

static bool is_unfinished(const struct client *client)
{
    return client_acks(client) || client_is_stopped(client) || client->is_blocked ||
           client_is_put_off(client) || outbound_queued(&client->session->outbound) > 0;
}

enum mqtt_reason drain_reason(const struct client *client)
{
    return client->hub->settings->drain.server_moved ? MQTT_SERVER_MOVED : MQTT_USE_ANOTHER_SERVER;
}

/* One that has failed is closed at the end of this iteration anyhow; one whose CONNACK waits for
 * the store has its turn in a later step. */
static bool may_go(const struct client *client, bool insists)
{
    return client->state == CLIENT_READY && !client->has_failed && !client->is_unwelcome &&
           !client_goes_after_turn(client) && (insists || !is_unfinished(client));
}

/* The list goes round: who was passed over comes again. */
static struct client *next_client(struct hub *hub)
{
    struct list_link *link = hub->drained;

    if (!link || link == &hub->clients) {
        link = hub->clients.next;
    }
    hub->drained = link->next;
    return CONTAINER_OF(link, struct client, in_hub);
}

/*
 * What it acknowledged, or that it has left itself, was read and may lie here: that is heard out
 * first, and where it is a long search, it goes when that is over. `turns`: so many were waited
 * for. False: it stays, or has gone.
 */
static bool see_off(struct client *client, bool insists, unsigned turns)
{
    if (may_go(client, insists)) {
        client_hear_out(client);
    }
    if (!may_go(client, insists)) {
        return false;
    }
    if (client_is_put_off(client) && turns < TURNS_MAX) {
        client_go_after_turn(client, turns + 1);
    } else {
        client_send_away(client, drain_reason(client));
    }
    return true;
}

/* `insists`: also those that have something unfinished. How many have gone. */
static unsigned send_away(struct hub *hub, unsigned len, unsigned looks, bool insists)
{
    unsigned gone = 0;

    while (gone < len && looks-- > 0 && !list_is_empty(&hub->clients)) {
        gone += see_off(next_client(hub), insists, 0);
    }
    return gone;
}

void drain_on_turn(struct client *client, unsigned turns)
{
    see_off(client, true, turns);
}

static unsigned count_clients(const struct hub *hub)
{
    unsigned len = 0;

    for (struct list_link *link = hub->clients.next; link != &hub->clients; link = link->next) {
        len++;
    }
    return len;
}

static unsigned looks_for(unsigned len)
{
    return MAX(len * LOOKS, LOOKS_MIN);
}

static void take_step(struct hub *hub, double part)
{
    double here = (double)metrics_get(hub->metrics, METRIC_CLIENTS_CONNECTED);
    unsigned len;

    if (part >= 1) {
        send_away(hub, LAST_LEN, count_clients(hub), true);
        return;
    }
    hub->owed = MIN(hub->owed + part * here, here);
    len = (unsigned)hub->owed;
    hub->owed -= send_away(hub, len, looks_for(len), false);
    if (hub->owed > 1 + part * here * PATIENCE) {
        len = (unsigned)(hub->owed - part * here * PATIENCE);
        hub->owed -= send_away(hub, len, looks_for(len), true);
    }
}

static void on_call(void *context, struct post_call *call)
{
    struct drain_step *step = CONTAINER_OF(call, struct drain_step, call);
    void (*on_passed)(void) = step->on_passed;
    struct hub *hub = context;

    take_step(hub, step->part);
    if (atomic_fetch_sub_explicit(&step->waiting, 1, memory_order_acq_rel) == 1) {
        on_passed();
    }
}

int server_drain_step(struct server *server, struct drain_step *step)
{
    struct worker_calls *calls;
    int r = worker_calls_new(server_group(server), &calls);

    assert(drain_step_has_passed(step));
    if (r < 0) {
        return r;
    }
    step->call.function = on_call;
    atomic_store_explicit(&step->waiting, server_worker_len(server), memory_order_relaxed);
    worker_calls_make(calls, &step->call);
    return 0;
}

/*
 * A header without an address may be a health check's, and a check that fails would have the proxy
 * cut everybody off at once. It may as well be a client's, behind a proxy that listens at a path:
 * so it is let in only as long as there is time for sending it away.
 */
bool drain_refuses(const struct client *client)
{
    const struct proxy_info *proxy = client_proxy(client);
    enum drain_state state = server_drain(client->hub->server);

    return state >= DRAIN_LAST || (state == DRAIN_SENDING && !(proxy && !proxy->has_address));
}
