#pragma once

/*
 * Files of users
 *
 * The text files that say who may do what: read whole, with complaints about what can't be read and
 * a warning about what everybody can.
 */

#include "config/options.h"
#include "config/report.h"

/* What it is called, and the options that name it. */
struct access_file {
    const char *name;
    const char *option;
    const char *listener_option;
};

enum access_file_verdict {
    ACCESS_FILE_READ,
    ACCESS_FILE_UNREADABLE /* reported */
};

/* `place`: where it was named. The verdict; -ENOMEM. The text is freed by access_file_free(). */
int access_file_read(const struct access_file *file, const char *path,
                     const struct report_place *place, const struct report *report,
                     struct slice *text_out) MUST_CHECK;

/* Overwrites and frees it. NULL: nothing. */
void access_file_free(struct slice text);
