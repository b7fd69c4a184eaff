#pragma once

/*
 * Activation
 *
 * The listening sockets that the service manager has opened for us and keeps open over a restart,
 * so that nobody is ever refused. Each must belong to a listener of the configuration. Main's.
 */

#include "net/listener.h"

/* Owner: main. */
struct activation {
    struct listener_passed *sockets;
    char **names; /* what the manager calls them */
    unsigned len;
};

/* Takes what there is, which may be nothing. -errno; it was logged. */
int activation_take(struct activation *activation_out) MUST_CHECK;

/* After all listeners were opened: -EINVAL, and it was logged, where one belongs to none of them.
 */
int activation_check(const struct activation *activation) MUST_CHECK;

/* Leaves the sockets to their listeners. */
void activation_deinit(struct activation *activation);
