#pragma once

/*
 * Describe MQTT
 *
 * The tables of the standard as pages: packets, properties, reason codes.
 */

#include "config/page.h"

extern const struct page describe_packets_page;
extern const struct page describe_properties_page;

/* Its table is asked for its length. */
struct page describe_reasons_page(void);
