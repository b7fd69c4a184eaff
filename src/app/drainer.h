#pragma once

/*
 * Drainer
 *
 * Takes a drain from its announcement to its end: says how far it has come to the log and to the
 * service manager, and asks the workers for one small step after the other. Main's.
 */

#include "config/settings.h"

struct drainer;
struct server;

/* `settings`: where those that hold now stand; a drain under way follows them. Ends the process
 * without memory. */
struct drainer *drainer_new(struct server *server, struct settings *const *settings);

/* When the workers have ended. */
struct drainer *drainer_free(struct drainer *drainer);

/* Begins a drain, or ends the one there is: clients may come again, and nobody else is sent away.
 */
void drainer_switch(struct drainer *drainer);

/* When drainer_go_on() is to be called next, besides whenever a worker has woken main; UINT64_MAX:
 * it need not. */
uint64_t drainer_due_ms(const struct drainer *drainer);
void drainer_go_on(struct drainer *drainer);
