#pragma once

/*
 * Process
 *
 * What the broker does as a process of the system: limits, memory, pid file.
 */

#include "base/base.h"

#include <sys/types.h>

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

/*
 * Writes the pid file over whatever is there. A new one becomes the property of who we will be:
 * there are folders where only the owner of a file may remove it. -errno.
 */
int process_write_pid(const char *path, uid_t uid, gid_t gid) MUST_CHECK;

/*
 * Where the file can't be removed it is emptied, so that it names no other process later. A device
 * is left alone.
 */
void process_remove_pid(const char *path);

enum process_verdict {
    PROCESS_OK,
    PROCESS_BAD_UMASK /* UMASK_SET is not octal */
};

/* The umask of the environment's UMASK_SET, if it is there: before any file is made. */
int process_set_umask(void) MUST_CHECK;
