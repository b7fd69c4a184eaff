#pragma once

/*
 * Describe: compared with Mosquitto
 *
 * Of every option that Mosquitto 2.1 knows whether it does the same here, more, or not yet what it
 * does there: the table in docs/mosquitto.md.
 */

#include "config/page.h"

struct page describe_mosquitto_page(void);
