#include "base/log.h"

#include "base/log_repeat.h"
#include "base/log_thread.h"
#include "base/memory.h"

#include <pthread.h>
#include <time.h>

/*
 * A record is made on the stack of whoever logs. What it costs there is a vsnprintf() and a copy
 * into the ring; how the line looks is made up by who writes it.
 */

enum mode {
    MODE_DIRECT, /* who logs writes */
    MODE_THREAD,
    MODE_SILENT /* the thread hangs in a write, at the end: nobody can write any more */
};

struct log {
    _Atomic unsigned types;
    _Atomic unsigned repeat_limit;
    _Atomic bool has_fields; /* the form shows them */
    _Atomic enum mode mode;
    pthread_mutex_t mutex; /* of the sink, in MODE_DIRECT */
    struct log_sink sink;
    struct log_repeat repeats[LOG_EVENT_LEN];
};

/* Owner: who makes it. */
struct log_change {
    struct log_options options; /* but for the texts */
    struct log_sink *sink;
};

static struct log self = {
    .types = LOG_DEFAULT,
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .sink =
        {
               .destinations = {{.fd = 2}},
               .len = 1,
               .style = {.timestamp = true, .second = -1},
               },
};

static _Thread_local bool is_muted;

/* Options */

static void set_options(const struct log_options *options)
{
    atomic_store_explicit(&self.types, options->types, memory_order_relaxed);
    atomic_store_explicit(&self.repeat_limit, options->repeat_limit, memory_order_relaxed);
    atomic_store_explicit(&self.has_fields, options->format == LOG_JSON, memory_order_relaxed);
}

static void replace_sink(const struct log_sink *sink)
{
    log_publish_fn *publish = self.sink.publish;
    void *context = self.sink.publish_context;

    log_sink_deinit(&self.sink);
    self.sink = *sink;
    self.sink.publish = publish;
    self.sink.publish_context = context;
}

static enum mode mode(void)
{
    return atomic_load_explicit(&self.mode, memory_order_acquire);
}

void log_init(const struct log_options *options)
{
    struct log_sink sink;

    assert(mode() == MODE_DIRECT);
    log_sink_init(&sink, options);
    replace_sink(&sink);
    set_options(options);
}

int log_change_new(const struct log_options *options, struct log_change **change_out)
{
    struct log_change *change = memory_alloc_zero(1, sizeof(*change));
    int r = change ? log_sink_new(options, &change->sink) : -ENOMEM;

    if (r < 0) {
        log_change_free(change);
        return r;
    }
    change->options = *options;
    *change_out = change;
    return 0;
}

struct log_change *log_change_free(struct log_change *change)
{
    if (change) {
        log_sink_free(change->sink);
        memory_free(change);
    }
    return NULL;
}

void log_change_make(struct log_change *change)
{
    struct log_sink *sink = TAKE(change->sink);

    if (mode() == MODE_THREAD) {
        log_thread_change(sink);
    } else {
        replace_sink(sink);
        memory_free(sink);
    }
    set_options(&change->options);
    log_change_free(change);
}

void log_set_publish(log_publish_fn *publish, void *context)
{
    assert(mode() != MODE_THREAD);
    self.sink.publish = publish;
    self.sink.publish_context = context;
}

void log_mute_topics(bool muted)
{
    is_muted = muted;
}

bool log_is_on(enum log_type type)
{
    return (atomic_load_explicit(&self.types, memory_order_relaxed) & type) != 0;
}

bool log_has_fields(void)
{
    return atomic_load_explicit(&self.has_fields, memory_order_relaxed);
}

/* Lines */

static void put(const struct log_record *record)
{
    switch (mode()) {
    case MODE_THREAD: log_thread_push(record); break;
    case MODE_DIRECT:
        pthread_mutex_lock(&self.mutex);
        log_sink_write(&self.sink, record);
        pthread_mutex_unlock(&self.mutex);
        break;
    case MODE_SILENT: break;
    }
}

static void make_line(enum log_type type, const struct log_facts *facts, const char *format,
                      va_list arguments) PRINTF_LIKE(3, 0);
static void make_line(enum log_type type, const struct log_facts *facts, const char *format,
                      va_list arguments)
{
    UNINITIALIZED struct log_record record;

    log_record_init(&record, type, facts->event);
    record.is_muted = is_muted;
    log_record_set_text(&record, format, arguments);
    for (unsigned i = 0; log_has_fields() && i < facts->len; i++) {
        log_record_add(&record, &facts->fields[i]);
    }
    put(&record);
}

static void PRINTF_LIKE(3, 4)
    say(enum log_type type, const struct log_facts *facts, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    make_line(type, facts, format, arguments);
    va_end(arguments);
}

/* Repeated lines */

static void say_left_out(enum log_event event, uint32_t lines)
{
    struct log_field fields[] = {
        log_field_text("left_out", slice_of_text(log_events[event].name)),
        log_field_number("lines", lines),
    };
    struct log_facts facts = {LOG_EVENT_LINES_LEFT_OUT, ARRAY_LEN(fields), fields};

    say(LOG_WARNING, &facts, "Warning: %u more lines of %s within a second were left out.", lines,
        log_events[event].name);
}

/* Whether a line of this event may be written now. */
static bool passes(enum log_event event)
{
    uint32_t limit = atomic_load_explicit(&self.repeat_limit, memory_order_relaxed);
    struct log_repeat_answer answer;

    if (limit == 0 || !log_events[event].is_limited) {
        return true;
    }
    answer = log_repeat_take(&self.repeats[event], (uint32_t)time(NULL), limit);
    if (answer.left_out > 0) {
        say_left_out(event, answer.left_out);
    }
    if (answer.is_first_left_out && mode() == MODE_THREAD) {
        log_thread_wake();
    }
    return answer.is_let_through;
}

/* What was left out is told of even if nothing like it comes again. */
static bool say_due(bool is_end)
{
    uint32_t limit = atomic_load_explicit(&self.repeat_limit, memory_order_relaxed);
    uint32_t now_s = is_end ? UINT32_MAX : (uint32_t)time(NULL);
    bool is_pending = false;

    for (enum log_event event = 0; limit > 0 && event < LOG_EVENT_LEN; event++) {
        uint32_t left_out = log_repeat_flush(&self.repeats[event], now_s, limit);

        if (left_out > 0) {
            say_left_out(event, left_out);
        }
        is_pending = is_pending || log_repeat_is_pending(&self.repeats[event], limit);
    }
    return is_pending;
}

/* What everybody calls */

void log_event_list(enum log_type type, const struct log_facts *facts, const char *format,
                    va_list arguments)
{
    if (log_is_on(type) && passes(facts->event)) {
        make_line(type, facts, format, arguments);
    }
}

void log_event(enum log_type type, const struct log_facts *facts, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_event_list(type, facts, format, arguments);
    va_end(arguments);
}

void log_line(enum log_type type, const char *format, ...)
{
    static const struct log_facts none = {.event = LOG_EVENT_MESSAGE};
    va_list arguments;

    va_start(arguments, format);
    log_event_list(type, &none, format, arguments);
    va_end(arguments);
}

/* Life */

int log_start(size_t ring_size)
{
    int r;

    assert(mode() == MODE_DIRECT);
    r = log_thread_start(&self.sink, ring_size, say_due);
    if (r == 0) {
        atomic_store_explicit(&self.mode, MODE_THREAD, memory_order_release);
    }
    return r;
}

void log_stop(void)
{
    if (mode() == MODE_THREAD) {
        bool has_ended = log_thread_stop();

        atomic_store_explicit(&self.mode, has_ended ? MODE_DIRECT : MODE_SILENT,
                              memory_order_release);
    }
}

void log_rescue(void)
{
    if (mode() == MODE_THREAD) {
        log_thread_rescue();
    }
}
