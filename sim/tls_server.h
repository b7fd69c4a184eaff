#pragma once

/*
 * TLS server
 *
 * What the broker under the simulator is given for its TLS: a certificate that no file system
 * knows, and what src/net/tls.h makes of it.
 */

#include "base/base.h"

struct stage_source;

/* For a run of so many workers, behind sim_tls_start(). */
void tls_server_start(unsigned worker_len);

/* One of two, whose tickets the other does not take: at a reload one follows the other. Borrowed.
 */
struct stage_source *tls_server_source(unsigned which);

/* The server has let go of it all, or the run fails. Also when none was started. */
void tls_server_end(void);
