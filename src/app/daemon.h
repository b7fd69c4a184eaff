#pragma once

/*
 * Daemon
 *
 * `-d`: the broker goes into the background. The process that was started waits until the one in
 * the background serves or has failed, and ends as that one would have ended in the foreground;
 * what went wrong stands on the same stderr.
 */

#include "base/base.h"

/* Owner: main. */
struct daemon {
    int verdict; /* the descriptor that the starting process waits at; negative: none does */
    bool keeps_stdout;
    bool keeps_stderr;
};

/* In the foreground: nobody waits. */
#define DAEMON_NONE ((struct daemon){.verdict = -1})

/*
 * Forks, so before any thread is made. Returns in the background, with 0 and a verdict to give; and
 * in the process that was started only with -errno. Until daemon_detach() both are one job of the
 * terminal.
 */
int daemon_fork(struct daemon *daemon) MUST_CHECK;

/*
 * The broker serves: the starting process ends with 0. The session becomes our own, and the
 * standard descriptors that are not to be kept go to /dev/null. The working folder stays, because
 * relative paths of the configuration are still looked up from there. Without a verdict to give,
 * nothing.
 */
void daemon_detach(struct daemon *daemon);
