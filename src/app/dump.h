#pragma once

/*
 * Dump
 *
 * SIGUSR2: clients, subscriptions and retained topics on standard output. Piece by piece, so that
 * neither workers nor main are held up, and no longer than somebody reads.
 */

#include "base/base.h"

struct dump;
struct server;

struct dump *dump_new(struct server *server, unsigned worker_len);

/* When no worker runs. */
struct dump *dump_free(struct dump *dump);

/* Begins, unless one is under way. */
void dump_start(struct dump *dump);

/* SIGNALS_ANSWER has come. */
void dump_go_on(struct dump *dump);
