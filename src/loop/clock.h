#pragma once

/*
 * Clock
 *
 * The only source of time. Workers read it once an iteration, and before they sleep, and hand it on
 * as a value; nothing below `loop` knows a clock.
 */

#include "base/base.h"

/* Milliseconds of a clock that never goes back. Never 0. Any thread. */
uint64_t clock_now_ms(void);

/* Milliseconds since 1970, as far as the system knows: it may be set at any time. Only for what is
 * to be done at full minutes and the like, and never for how long something takes. Any thread. */
uint64_t clock_wall_ms(void);
