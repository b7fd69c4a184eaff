#pragma once

/*
 * Scenarios of scale: what a broker needs for each of very many subscriptions or retained messages,
 * what a message costs with all of them there, and how long everyone else waits meanwhile. Each
 * prints one line of JSON.
 */

#include "bench/plan.h"

int subscriptions_run(const struct plan *plan) MUST_CHECK;
int retained_run(const struct plan *plan) MUST_CHECK;
int wildcards_run(const struct plan *plan) MUST_CHECK;
int storm_run(const struct plan *plan) MUST_CHECK;
