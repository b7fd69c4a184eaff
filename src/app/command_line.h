#pragma once

/*
 * Command line
 *
 * Mosquitto's options, as far as they are supported.
 */

#include "config/reader.h"

#include <stdio.h>

enum command {
    COMMAND_RUN,
    COMMAND_TEST_CONFIG,
    COMMAND_HELP,
    COMMAND_VERSION,
    COMMAND_DESCRIBE,
    COMMAND_DECODE_PROXY
};

struct command_line {
    enum command command;
    const char *config_path; /* NULL: none */
    const char *keylog_path; /* NULL: none */
    bool is_daemon;
    bool verbose;
    bool quiet;
    uint16_t ports[CONFIG_PORT_MAX];
    unsigned port_len;
    const char *describe; /* what to describe */
    const char *format;
    const char *proxy_header; /* to decode, in hex */
};

enum command_line_verdict {
    COMMAND_LINE_OK,
    COMMAND_LINE_INVALID, /* the reason stands on stderr */
    COMMAND_LINE_UNKNOWN  /* the same, for an option that there is not */
};

int command_line_parse(int count, char **arguments, struct command_line *line_out) MUST_CHECK;

/* The configuration that the command line asks for; nobody hears of mistakes in it yet. */
void command_line_request(const struct command_line *line, struct config_request *request_out);

void command_line_usage(FILE *file, const char *name);
