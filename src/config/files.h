#pragma once

/*
 * Files
 *
 * Configuration files whole, and directories of them in their order.
 */

#include "base/arena.h"

/* A configuration larger than this is a mistake. */
#define FILES_SIZE_MAX (16u << 20)

enum files_verdict {
    FILES_OK,
    FILES_UNREADABLE, /* errno says why */
    FILES_DIRECTORY,
    FILES_TOO_LARGE
};

/* The text has a terminator behind its `len` bytes and is the caller's to free. */
int files_read(const char *path, char **text_out, size_t *len_out) MUST_CHECK;

struct files_list {
    const char **paths;
    size_t len;
};

/*
 * The paths of all files `*.conf` of a directory, in the arena. Their order is alphabetical, the
 * upper case of a letter just before its lower case.
 */
int files_find(const char *directory, struct arena *arena, struct files_list *list_out) MUST_CHECK;
