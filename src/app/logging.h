#pragma once

/*
 * Logging
 *
 * From the settings to the log: which destinations, their files, and the log's thread.
 */

#include "app/command_line.h"
#include "base/log.h"

#include <sys/types.h>

/* Opens the destinations. Before the process gives up its rights. -errno; the reason was logged. */
int logging_open(const struct command_line *line, const struct settings *settings) MUST_CHECK;

/* "nightjar version X WORD" */
void logging_say_life(enum log_event event, const char *word);

/*
 * As root: a log file that was made here will belong to who we become, or it could not be opened
 * anew. One that was there stays as it is: its name may be a link to anything.
 */
void logging_give_file(uid_t uid, gid_t gid);

/* Starts the log's thread: before the workers, after the last fork. -errno; it was logged. */
int logging_start(const struct settings *settings) MUST_CHECK;

/*
 * What the next settings say of the log, with its file open; -errno: the reason was logged, and
 * nothing has changed. Then exactly one of logging_commit(), which can't fail, and
 * logging_cancel().
 */
struct logging_change;

int logging_prepare(const struct command_line *line, const struct settings *now,
                    const struct settings *next, struct logging_change **change_out) MUST_CHECK;
void logging_commit(struct logging_change *change);
void logging_cancel(struct logging_change *change);

/*
 * Opens the log file anew by its name, so that lines go to the new one after the old was renamed.
 * If that fails, the old one stays, and a line says so.
 */
void logging_reopen(const struct settings *settings);
