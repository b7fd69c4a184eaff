#pragma once

/*
 * Files below a folder
 *
 * What a request of HTTP may have from the file system: regular files that are really in that
 * folder, whatever links and dots say.
 */

#include "core/message.h"

enum http_file_verdict {
    HTTP_FILE_READ,
    HTTP_FILE_FOLDER, /* it is one */
    HTTP_FILE_NONE,   /* not there, not readable, no file, or outside */
    HTTP_FILE_TOO_LARGE
};

/*
 * Reads the whole file `path` below `folder` into a message, as its payload: so output can refer to
 * it. -errno: no descriptor, no memory, a broken disk. Blocks for as long as the disk takes.
 */
int http_file_read(const char *folder, const char *path, size_t size_max,
                   struct message **message_out) MUST_CHECK;
