#pragma once

/*
 * Describe metrics
 *
 * The table of metrics as a page.
 */

#include "config/page.h"

struct page describe_metrics_page(void);
