#pragma once

/*
 * Ports
 *
 * The listeners that the server of a run has: one for each kind of connection that somebody may
 * come by, in the order of enum network_port.
 */

#include "config/settings.h"
#include "sim/network.h"

struct run_params;
struct stage_source;

/* Which there are; how many. */
unsigned ports_find(const struct run_params *params, unsigned ports_out[NETWORK_PORT_LEN]);

void ports_make_listeners(const struct run_params *params, struct settings *settings);

/* For each listener one of tls_server_source(), or NULL. */
void ports_make_tls(const struct run_params *params, unsigned which,
                    struct stage_source *tls_out[NETWORK_PORT_LEN]);
