#pragma once

/*
 * Systemd
 *
 * What the service manager is told: that we serve, that we stop, and, as often as it wants to hear
 * it, that we are alive. Nothing happens where no manager listens. Built without libsystemd, only
 * the manager that waits is complained about.
 */

#include "base/base.h"

enum systemd_state { SYSTEMD_READY, SYSTEMD_RELOADING, SYSTEMD_STOPPING };

void systemd_notify(enum systemd_state state);

/* What `systemctl status` shows beside it: one line, without its end. */
void systemd_say(const char *text);

/*
 * How many listening sockets the manager has passed to this process: descriptors from `*first_out`
 * on, which are no longer told to children, and a name for each, both levels to be freed with
 * free(). -errno.
 */
int systemd_take_sockets(int *first_out, char ***names_out) MUST_CHECK;

/* Milliseconds within which the manager wants to be fed, again and again; 0: it does not. */
uint64_t systemd_watchdog_ms(void);

void systemd_feed(void);
