#pragma once

/*
 * Reader
 *
 * From mosquitto.conf to settings. Reads files only, and nothing else of the machine; what is wrong
 * is reported with file and line, and the first mistake ends the reading. Options that are not
 * supported yet are all reported before the configuration is refused.
 */

#include "config/report.h"
#include "config/settings.h"

/* As many ports as the command line may have. */
#define CONFIG_PORT_MAX 10

struct config_request {
    const char *path;  /* the file; NULL: none, or only the name of `text` is missing */
    struct slice text; /* instead of a file's content, when `data` is not NULL; may not include */
    uint16_t ports[CONFIG_PORT_MAX]; /* of the command line: not 0 */
    unsigned port_len;
    struct report report;
};

enum config_verdict {
    CONFIG_OK,
    CONFIG_INVALID /* the reasons were reported */
};

/* 0, a verdict, or -ENOMEM. `settings_out` is written only with 0. */
int config_read(const struct config_request *request, struct settings **settings_out) MUST_CHECK;
