#pragma once

/*
 * Paths of requests
 *
 * From the path of a request to that of a file, and to the type of what is in it. Pure.
 */

#include "base/slice.h"

#define HTTP_PATH_CAP 1024

/*
 * Decodes the percents and takes the slash off the front (RFC 3986 section 2.1). False: broken, too
 * long, or one that nobody asks for who means well: control characters, empty parts, parts that
 * begin with a dot (`.`, `..`, hidden files).
 */
bool http_path_decode(struct slice path, char decoded[HTTP_PATH_CAP]) MUST_CHECK;

/* The media type that goes by the end of a name. */
const char *http_path_type(const char *path);
