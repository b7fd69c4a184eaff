#pragma once

/*
 * PROXY
 *
 * The header that a load balancer puts in front of a connection, written from the protocol's text
 * with nothing of the server's: of either version, with a client's address or without, with TLVs
 * that mean nothing here.
 */

#include "sim/bytes.h"
#include "sim/choice.h"

void sim_proxy_put(struct choice *choice, struct bytes *to);
