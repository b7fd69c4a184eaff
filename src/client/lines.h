#pragma once

/*
 * Lines
 *
 * Lines of the log on their way to topics: from the thread that writes the log to one worker, which
 * publishes them like a client.
 */

#include "base/slice.h"

struct hub;
struct lines;

/* Before the hub's worker runs; it must live longer. -errno. */
int lines_new(struct hub *hub, struct lines **lines_out) MUST_CHECK;

/* After the worker. */
struct lines *lines_free(struct lines *lines);

DEFINE_CLEANUP(struct lines *, lines_free)

/* Any thread. What is too much for the worker is dropped. */
void lines_push(struct lines *lines, const char *topic, struct slice line);

/* The worker: its poller has told that there are some. */
void lines_publish(struct lines *lines);
