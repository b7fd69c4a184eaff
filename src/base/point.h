#pragma once

/*
 * Point
 *
 * Marks a place where another worker may get in between: before and after a push, a look into a
 * mailbox, a lock, a version, a retirement. In the product a point is nothing. The simulator
 * compiles the same sources with a header of its own in place of this one and switches between its
 * workers at each point.
 */

static inline void point(const char *name)
{
    (void)name;
}
