#pragma once

/*
 * Agent
 *
 * What a listener of `protocol agent` says to HAProxy's agent-check: one line about this broker,
 * and the connection is closed. Nothing is read, nobody logs in, and no place is taken, so that it
 * is said however full the broker is.
 */

#include "client/drain.h"

struct hub_listener;

/* The longest line, with its end. */
#define AGENT_TEXT_CAP 64

/* What the line tells. */
struct agent_report {
    enum drain_state drain;
    unsigned full_permille;  /* of what is scarcest */
    int32_t max_connections; /* -1: no limit */
};

/* Answers its length. Pure. */
size_t agent_format(const struct agent_report *report, char text[AGENT_TEXT_CAP]);

/* Whether who comes through this listener gets such a line. */
bool agent_is_asked(const struct hub_listener *listener);

/* Says it and closes the descriptor. On the listener's worker. */
void agent_answer(const struct hub_listener *listener, int fd);
