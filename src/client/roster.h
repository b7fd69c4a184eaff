#pragma once

/*
 * Roster
 *
 * A page of the list of clients, for whoever asks by HTTP. Clients are their workers' own, so the
 * page goes from one worker to the next, each writes of its clients between its other work, and it
 * comes back to the one who asked, who waits for it in CLIENT_LOGIN. Private to the folder.
 */

#include "base/list.h"
#include "base/mpsc.h"
#include "base/slice.h"

struct client;
struct hub;
struct roster;

/* One worker's. Owner: the worker; `posted` is for all. */
struct rosters {
    struct mpsc posted;    /* pages that have come here */
    struct list_link here; /* those that it writes on, oldest first */
    unsigned asked_len;    /* for clients of its own */
};

void rosters_init(struct rosters *rosters);

/* When no worker runs. */
void rosters_deinit(struct rosters *rosters);

/* Whether there is something to go on with. */
bool rosters_wait(const struct rosters *rosters);

enum roster_verdict {
    ROSTER_ASKED,
    ROSTER_FULL, /* as many are under way as may be */
    ROSTER_WRONG /* the query is not one of ours */
};

/*
 * Asks for the page that the query of a request means ("limit=N&cursor=X"). The verdict, with
 * ROSTER_WRONG a sentence of why; -ENOMEM.
 */
int roster_ask(struct client *client, struct slice query, const char **complaint_out) MUST_CHECK;

/* One slice of one page. */
void roster_go_on(struct hub *hub);

/* The page that has come back to its client, on the heap; NULL: there was no memory for it. */
char *roster_take(struct client *client) MUST_CHECK;

/* The client is about to be freed, whether it has asked or not. */
void roster_leave(struct client *client);
