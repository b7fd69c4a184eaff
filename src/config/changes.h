#pragma once

/*
 * Changes
 *
 * What a new configuration changes in the one that holds, so that a reload can say it and do it.
 * Pure: nothing of the machine is touched.
 */

#include "config/report.h"
#include "config/settings.h"

#define CHANGES_NONE UINT32_MAX

struct changes {
    unsigned *listeners; /* of each new listener, the old one that goes on; CHANGES_NONE: it opens.
                            In the arena of the new settings. */
    bool *renews;        /* of each new listener that goes on, whether there is something new for
                            connections that come from now on. There, too. */
    bool *stays;         /* of each old listener, whether it goes on; else it closes. There, too. */
    unsigned len;        /* differences that were reported, listeners among them */
};

/*
 * Compares the settings that hold with the next ones, which nobody else has seen yet, and reports
 * each difference in a line: what changes as "NAME OLD -> NEW", and what can't change while the
 * process runs as "NAME: needs a restart". Of the latter the next settings get the old values, so
 * that they say what is. Listeners go on when they have the same port, address and path; those with
 * the same interface and domain as well before others. -ENOMEM: the next settings are of no use any
 * more.
 */
int changes_settle(const struct settings *now, struct settings *next, const struct report *report,
                   struct changes *changes_out) MUST_CHECK;
