#pragma once

/*
 * Reloader
 *
 * SIGHUP: reads the configuration anew and puts it in the place of the one that holds, whole or not
 * at all. What is wrong is logged, and then everything stays as it was. Main's.
 */

#include "app/certificates.h"
#include "app/command_line.h"
#include "app/listening.h"

struct reloader;
struct server;
struct sys;

struct reloader_params {
    const struct command_line *line;
    struct server *server;
    struct settings **settings;  /* that hold: replaced by the next ones, with their reference */
    struct listening *listening; /* the same */
    struct certificates *certificates;
    struct sys *sys;
    void (*on_passed)(void); /* on a worker: main is to call reloader_go_on() */
};

/* Ends the process without memory. */
struct reloader *reloader_new(const struct reloader_params *params);

/* When no worker runs. */
struct reloader *reloader_free(struct reloader *reloader);

/* Begins; while a reload is under way, another one follows it. */
void reloader_start(struct reloader *reloader);

/* Perhaps all workers have taken the next settings over. */
void reloader_go_on(struct reloader *reloader);
