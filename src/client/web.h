#pragma once

/*
 * Requests of HTTP, on listeners of protocol http_api
 *
 * Whether the broker lives and is ready, its version, listeners and figures, and files of a folder.
 * A connection is a client that never sends CONNECT: its limits, its PROXY header and its TLS are
 * those of clients. Private to the folder.
 */

#include "client/client.h"
#include "net/http.h"

struct verification;

/* What is said to a request. */
struct web_answer {
    enum http_status status;
    const char *type;     /* of the body */
    struct slice body;    /* in `text` or in `file`, or for ever */
    char *text;           /* on the heap; NULL: none */
    struct message *file; /* counted; NULL: none */
    const char *header;   /* one more line, with its end; NULL: none */
    bool is_moved;        /* the path lacks a slash at its end */
};

/* Whether the password of a request was looked at. */
enum web_login { WEB_LOGIN_NONE, WEB_LOGIN_RIGHT, WEB_LOGIN_WRONG, WEB_LOGIN_FAILED };

/* Requests that were read: one is answered, the others wait for the next iteration. */
void web_take(struct client *client, struct slice bytes);

/* The peer says nothing more. */
void web_on_end(struct client *client);

/* It has said nothing for long, or did not read. */
void web_on_timer(struct client *client);

/* What it asked for has come (client/roster.h). */
void web_go_on(struct client *client);

/* It was; the verification is the client's to free. */
void web_on_verified(struct client *client, struct verification *verification);

enum web_api_verdict {
    WEB_API_ANSWERED,
    WEB_API_LATER /* others have to be asked: web_go_on() will be called */
};

/* web_api.c: what is below /api/v1/. The verdict; -ENOMEM. */
int web_api_answer(struct client *client, const struct http_request *request,
                   struct web_answer *answer) MUST_CHECK;

/* After web_go_on(). -ENOMEM. */
int web_api_answer_later(struct client *client, struct web_answer *answer) MUST_CHECK;

/* An answer of a line that is there for ever. */
void web_say(struct web_answer *answer, enum http_status status, const char *text);

/* JSON takes its memory where everything does from now on. Before workers run. */
void web_api_init(void);
