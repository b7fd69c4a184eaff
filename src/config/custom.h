#pragma once

/*
 * Custom values
 *
 * The options whose values have a format of their own. All are parsers as the table of options
 * wants them: 0, a verdict, or -ENOMEM.
 */

#include "config/options.h"

int custom_parse_log_dest(struct option_target *target, const char *text) MUST_CHECK;
int custom_parse_log_type(struct option_target *target, const char *text) MUST_CHECK;

/* A bool; once true it stays true. */
int custom_parse_per_listener(struct option_target *target, const char *text) MUST_CHECK;

/* A count with the unit s, h, d, w, m (30 days) or y; never 0. */
int custom_parse_expiration(struct option_target *target, const char *text) MUST_CHECK;

/* A prefix of topics, without wildcards. */
int custom_parse_mount_point(struct option_target *target, const char *text) MUST_CHECK;

/* Some of 3, 4 and 5 with commas in between. */
int custom_parse_versions(struct option_target *target, const char *text) MUST_CHECK;

/* An address, a range in CIDR notation or `unix`. */
int custom_parse_proxy_trusted(struct option_target *target, const char *text) MUST_CHECK;
int custom_parse_forwarded_trusted(struct option_target *target, const char *text) MUST_CHECK;

/* The rest of the line, one of several. */
int custom_parse_websockets_origin(struct option_target *target, const char *text) MUST_CHECK;

/* The values as texts: one line for options that repeat, with spaces between. */
void custom_format_log_dest(const struct option_source *source, FILE *out);
void custom_format_log_type(const struct option_source *source, FILE *out);
void custom_format_per_listener(const struct option_source *source, FILE *out);
void custom_format_expiration(const struct option_source *source, FILE *out);
void custom_format_versions(const struct option_source *source, FILE *out);
void custom_format_proxy_trusted(const struct option_source *source, FILE *out);
void custom_format_forwarded_trusted(const struct option_source *source, FILE *out);
void custom_format_websockets_origin(const struct option_source *source, FILE *out);
