#pragma once

/*
 * Process
 *
 * What the broker does as a process of the system: limits, user, pid file, signals.
 */

#include "config/settings.h"

/*
 * Before anything else is opened: a standard descriptor that the parent has closed is opened on
 * /dev/null, or the next socket would get its number, and the log. -errno.
 */
int process_open_standard(void) MUST_CHECK;

/* Cores that this process may run on: at least 1. */
unsigned process_core_len(void);

/* Raises the soft limit of open files to the hard one; answers it. */
unsigned long process_raise_file_limit(void);

/* Keeps the allocator from giving memory back and asking for it again with every large message. */
void process_tune_memory(void);

/* Writes the pid file. -errno. */
int process_write_pid(const char *path) MUST_CHECK;

/*
 * Becomes `user` when started as root, for good. The name "mosquitto" falls back to "nobody" where
 * there is no such user, as Mosquitto does. -errno.
 */
int process_become(const char *user) MUST_CHECK;

/* Blocks all signals for this thread and those that it makes: main waits for them. */
void process_block_signals(void);

/* Waits for the next signal. */
int process_wait_signal(void);
