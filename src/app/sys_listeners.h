#pragma once

/*
 * $SYS, of listeners
 *
 * What each listener has counted, below $SYS/broker/listener/NAME/. The topics of one that a reload
 * has closed are removed.
 */

struct server;
struct settings;
struct sys_listeners;

/* Ends the process without memory. */
struct sys_listeners *sys_listeners_new(struct server *server, const struct settings *settings);

/* After the workers. */
struct sys_listeners *sys_listeners_free(struct sys_listeners *listeners);

/* The server has these settings now, which last until the next call or the end. */
void sys_listeners_take_over(struct sys_listeners *listeners, const struct settings *settings);

/* Has workers publish what has changed. -ENOMEM: the rest comes with the next call. */
int sys_listeners_publish(struct sys_listeners *listeners);
