#pragma once

/*
 * Flow
 *
 * The scenarios in which messages flow: p2p, fanout, fanin and latency. Prints the figures of the
 * measured interval as one line of JSON.
 */

#include "bench/plan.h"

/* 0; 1 when a message was lost, doubled or strayed, or the flow came to a halt. */
int flow_run(const struct plan *plan) MUST_CHECK;

/* Whether flow_run() knows the scenario of this name. */
bool flow_has(const char *scenario);
