#pragma once

/*
 * Scenarios of connections: `connect` makes and ends them as fast as the broker allows, `idle`
 * makes many and holds them. Each prints one line of JSON.
 */

#include "bench/plan.h"

int churn_run(const struct plan *plan) MUST_CHECK;
int idle_run(const struct plan *plan) MUST_CHECK;
