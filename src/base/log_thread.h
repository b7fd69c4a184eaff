#pragma once

/*
 * Thread of the log
 *
 * Takes records out of the ring and writes them, so that nobody else ever waits for a destination.
 * There is one. Private to the log.
 */

#include "base/log_sink.h"

/*
 * Is called on the log's thread between lines: says what is due to be said now, or, with `is_end`,
 * ever. Answers whether something will be due in a second.
 */
typedef bool log_thread_due_fn(bool is_end);

/* The sink is the thread's until it has stopped; only log_thread_change() may replace it. -errno.
 */
int log_thread_start(struct log_sink *sink, size_t ring_size, log_thread_due_fn *due) MUST_CHECK;

/*
 * Takes what is in the ring out, and waits for slow destinations a second at most, all in all.
 * False: the thread hangs in a write.
 */
bool log_thread_stop(void);

/* Any thread. What finds no room is counted. */
void log_thread_push(const struct log_record *record);

/* Any thread: there is something to be said in a second. */
void log_thread_wake(void);

/* Hands over another sink, from the heap. What it was when the thread ends is put into the first.
 */
void log_thread_change(struct log_sink *sink);

/* Waits, a second at most, until all that was pushed is written. Async-signal-safe. */
void log_thread_rescue(void);
