#pragma once

/*
 * Check
 *
 * What a start would find out beyond reading the configuration, without doing it: whether the user
 * exists, files can be written, and addresses and interfaces are there. No port is bound.
 */

#include "config/report.h"
#include "config/settings.h"

enum check_verdict {
    CHECK_OK,
    CHECK_WRONG /* all that is wrong was reported, with file and line */
};

int check_settings(const struct settings *settings, const struct report *report) MUST_CHECK;

/* The same, but for what is only done at a start. */
int check_reload(const struct settings *settings, const struct report *report) MUST_CHECK;
