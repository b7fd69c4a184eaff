#include "app/sys.h"

#include "app/sys_listeners.h"
#include "app/sys_load.h"
#include "base/log.h"
#include "base/memory.h"
#include "client/bulletin.h"
#include "client/server.h"
#include "loop/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * The rows of the bulletin stand in the order of the table of metrics, version and uptime before
 * them. Each keeps the text that was published last, and is due when it would say something else. A
 * worker that has not come to the last bulletin yet gets no new one: what has changed until then is
 * told the next time.
 *
 * An interval that is due a little early, because the two clocks do not run alike, must not be due
 * once more at the moment itself.
 */

#define TOPIC_CAP 80

/* Owner: main. */
struct sys {
    struct server *server;
    struct bulletin bulletin;
    struct sys_listeners *listeners;
    struct sys_load *loads; /* of the rows of metrics, one each, used or not */
    char (*topics)[TOPIC_CAP];
    unsigned interval_s;
    uint64_t start_ms;
    uint64_t last_ms; /* when it was last looked at the loads */
    uint64_t due_ms;
};

/* Rows */

static unsigned count_topics(const struct metric_row *row)
{
    return (row->topic ? 1u : 0u) + (row->alias ? 1u : 0u) + (row->load ? SYS_LOAD_LEN : 0u);
}

static unsigned count_all_topics(void)
{
    unsigned len = 2;

    for (size_t i = 0; i < metric_row_len; i++) {
        len += count_topics(&metric_rows[i]);
    }
    return len;
}

static void add_row(struct sys *sys, const char *topic, const char *last_level)
{
    struct bulletin_row *row = &sys->bulletin.rows[sys->bulletin.row_len];
    char *text = sys->topics[sys->bulletin.row_len];
    int len = snprintf(text, TOPIC_CAP, METRIC_TOPIC_FRONT "%s%s", topic, last_level);

    assert(len > 0 && len < TOPIC_CAP);
    row->topic = text;
    sys->bulletin.row_len++;
}

static void add_rows_of(struct sys *sys, const struct metric_row *row)
{
    if (row->topic) {
        add_row(sys, row->topic, "");
    }
    if (row->alias) {
        add_row(sys, row->alias, "");
    }
    for (unsigned i = 0; row->load && i < SYS_LOAD_LEN; i++) {
        char level[16];

        snprintf(level, sizeof(level), "/%s", sys_load_names[i]);
        add_row(sys, row->load, level);
    }
}

struct sys *sys_new(struct server *server, const struct settings *settings)
{
    struct sys *sys = memory_must_alloc_zero(1, sizeof(*sys));
    unsigned len = count_all_topics();

    sys->server = server;
    sys->listeners = sys_listeners_new(server, settings);
    sys->start_ms = clock_now_ms();
    sys->last_ms = sys->start_ms;
    sys->due_ms = UINT64_MAX;
    sys->loads = memory_must_alloc_zero(metric_row_len, sizeof(*sys->loads));
    sys->bulletin.rows = memory_must_alloc_zero(len, sizeof(*sys->bulletin.rows));
    sys->topics = memory_must_alloc_zero(len, sizeof(*sys->topics));
    add_row(sys, "version", "");
    add_row(sys, "uptime", "");
    for (size_t i = 0; i < metric_row_len; i++) {
        add_rows_of(sys, &metric_rows[i]);
    }
    assert(sys->bulletin.row_len == len);
    return sys;
}

struct sys *sys_free(struct sys *sys)
{
    if (sys) {
        sys_listeners_free(sys->listeners);
        memory_free(sys->loads);
        memory_free(sys->bulletin.rows);
        memory_free(sys->topics);
    }
    return memory_free(sys);
}

/* What they say now */

static struct bulletin_row *say_metric(struct bulletin_row *at, const struct metric_row *row,
                                       const struct sys_load *load, uint64_t value)
{
    if (row->topic) {
        bulletin_say(at++, "%" PRIu64, value);
    }
    if (row->alias) {
        bulletin_say(at++, "%" PRIu64, value);
    }
    for (unsigned i = 0; row->load && i < SYS_LOAD_LEN; i++) {
        bulletin_say(at++, "%.2f", load->averages[i]);
    }
    return at;
}

static void update_loads(struct sys *sys, const uint64_t *values, uint64_t now_ms)
{
    for (size_t i = 0; i < metric_row_len && now_ms > sys->last_ms; i++) {
        if (metric_rows[i].load) {
            sys_load_update(&sys->loads[i], values[metric_rows[i].first], now_ms - sys->last_ms);
        }
    }
    sys->last_ms = now_ms;
}

static void update_rows(struct sys *sys, const uint64_t *values, uint64_t now_ms)
{
    struct bulletin_row *at = sys->bulletin.rows;

    bulletin_say(at++, "nightjar version " NIGHTJAR_VERSION);
    bulletin_say(at++, "%" PRIu64 " seconds", (now_ms - sys->start_ms) / 1000);
    for (size_t i = 0; i < metric_row_len; i++) {
        at = say_metric(at, &metric_rows[i], &sys->loads[i], values[metric_rows[i].first]);
    }
    assert(at == sys->bulletin.rows + sys->bulletin.row_len);
}

static void publish(struct sys *sys, uint64_t now_ms)
{
    uint64_t values[METRIC_LEN];
    int r = 0;

    server_sum(sys->server, values);
    values[METRIC_HEAP] = memory_used(&values[METRIC_HEAP_MAX]);
    update_loads(sys, values, now_ms);
    if (!bulletin_is_under_way(&sys->bulletin)) {
        update_rows(sys, values, now_ms);
        r = server_publish(sys->server, &sys->bulletin);
    }
    if (sys_listeners_publish(sys->listeners) < 0 || r < 0) {
        log_line(LOG_WARNING, "Warning: Out of memory for the topics below $SYS.");
    }
}

/* When */

static void arm(struct sys *sys, uint64_t now_ms, bool is_first)
{
    uint64_t wait_ms = sys_wait_ms(clock_wall_ms(), sys->interval_s);

    if (!is_first && wait_ms < (uint64_t)sys->interval_s * 1000 / 4) {
        wait_ms += (uint64_t)sys->interval_s * 1000;
    }
    sys->due_ms = now_ms + wait_ms;
}

void sys_set_interval(struct sys *sys, unsigned interval_s)
{
    uint64_t now_ms = clock_now_ms();

    if (interval_s == sys->interval_s) {
        return;
    }
    sys->interval_s = interval_s;
    if (interval_s == 0) {
        sys->due_ms = UINT64_MAX;
        return;
    }
    publish(sys, now_ms);
    arm(sys, now_ms, true);
}

void sys_take_over(struct sys *sys, const struct settings *settings)
{
    sys_listeners_take_over(sys->listeners, settings);
}

uint64_t sys_due_ms(const struct sys *sys)
{
    return sys->due_ms;
}

void sys_go_on(struct sys *sys)
{
    uint64_t now_ms = clock_now_ms();

    if (now_ms >= sys->due_ms) {
        publish(sys, now_ms);
        arm(sys, now_ms, false);
    }
}
