#pragma once

/*
 * Broker
 *
 * Makes the objects of a running broker from its settings, runs it until a signal ends it, and
 * takes everything down again.
 */

#include "access/access.h"
#include "app/command_line.h"
#include "app/daemon.h"
#include "config/settings.h"

/* Exit codes, as Mosquitto's. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_START = 1, /* an address is in use, or the system refuses something */
    EXIT_CONFIG = 3 /* configuration or arguments */
};

/* Answers the exit code. The log is set up; the reference of the settings and what was loaded for
 * them are taken. `daemon` hears when the broker serves. */
int broker_run(const struct command_line *line, struct settings *settings,
               struct access_set *access, struct daemon *daemon);
