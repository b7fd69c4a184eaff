#pragma once

/*
 * Listening
 *
 * The sockets of all listeners of a configuration, and the step from one configuration to the next:
 * what opens is opened ahead, what goes on keeps its sockets, what closes is closed when nobody
 * looks at it any more. Main's.
 */

#include "app/activation.h"
#include "config/changes.h"
#include "net/listener.h"

/* Owner: main. */
struct listening {
    struct listener *listeners; /* one for each of the settings'; of those that go on without
                                   sockets until listening_take_over() */
    unsigned len;
};

/* All listeners of the settings; what was passed must all be theirs. -errno; it was logged. */
int listening_open(const struct settings *settings, const struct activation *passed,
                   struct listening *listening_out) MUST_CHECK;

/* Those of the next settings that are new. -errno; it was logged, and nothing is open. */
int listening_prepare(const struct settings *next, const struct changes *changes,
                      const struct listening *now, struct listening *next_out) MUST_CHECK;

/* Gives those that go on to the next one: what is left closes. Says what was opened. */
void listening_take_over(const struct settings *next, const struct changes *changes,
                         struct listening *now, struct listening *next_listening);

void listening_close(struct listening *listening);
