#include "app/drainer.h"

#include "app/signals.h"
#include "app/systemd.h"
#include "base/log.h"
#include "base/memory.h"
#include "client/drain.h"
#include "client/server.h"
#include "loop/clock.h"

#include <stdio.h>

/* Between two steps, and between two words to the service manager. */
#define STEP_MS 100
#define SAY_MS  1000

/* Owner: main. */
struct drainer {
    struct server *server;
    struct settings *const *settings;
    struct drain_step step;
    uint64_t begun_ms; /* this state of the drain */
    uint64_t last_ms;  /* the step before */
    uint64_t due_ms;   /* UINT64_MAX: no drain is under way */
    uint64_t say_ms;   /* when it is told next how many are left */
};

struct drainer *drainer_new(struct server *server, struct settings *const *settings)
{
    struct drainer *drainer = memory_must_alloc_zero(1, sizeof(*drainer));

    drainer->server = server;
    drainer->settings = settings;
    drainer->step.on_passed = signals_answer;
    drainer->due_ms = UINT64_MAX;
    return drainer;
}

struct drainer *drainer_free(struct drainer *drainer)
{
    return memory_free(drainer);
}

uint64_t drainer_due_ms(const struct drainer *drainer)
{
    return drainer->due_ms;
}

/* Words */

static const char *state_name(enum drain_state state)
{
    static const char *const names[] = {
        [DRAIN_NONE] = "off",  [DRAIN_ANNOUNCED] = "announced", [DRAIN_SENDING] = "sending",
        [DRAIN_LAST] = "last", [DRAIN_OVER] = "over",
    };

    return names[state];
}

/* The same words for the log and for the service manager. */
static void say(const struct drainer *drainer, enum drain_state state, const char *text)
{
    const struct log_field fields[] = {
        log_field_text("state", slice_of_text(state_name(state))),
        log_field_number("clients", server_arrived_len(drainer->server)),
    };

    log_event(LOG_NOTICE, &(struct log_facts){LOG_EVENT_DRAIN, ARRAY_LEN(fields), fields}, "%s",
              text);
    systemd_say(text);
}

static void say_state(const struct drainer *drainer, enum drain_state state)
{
    const struct settings_drain *drain = &(*drainer->settings)->drain;
    uint32_t clients = server_arrived_len(drainer->server);
    char text[160];

    switch (state) {
    case DRAIN_NONE: snprintf(text, sizeof(text), "The drain is called off."); break;
    case DRAIN_ANNOUNCED:
        snprintf(text, sizeof(text),
                 "A drain was asked for: %u clients will be sent away, from in %u seconds on and "
                 "over %u.",
                 clients, drain->delay_s, drain->time_s);
        break;
    case DRAIN_SENDING:
        snprintf(text, sizeof(text), "Draining: %u clients are sent away over %u seconds.", clients,
                 drain->time_s);
        break;
    case DRAIN_LAST:
        snprintf(text, sizeof(text), "Draining: the time is over, the last %u go now.", clients);
        break;
    case DRAIN_OVER: snprintf(text, sizeof(text), "Drained: no client is left."); break;
    }
    say(drainer, state, text);
}

static void say_left(struct drainer *drainer, uint64_t now_ms)
{
    char text[80];

    if (now_ms >= drainer->say_ms) {
        snprintf(text, sizeof(text), "Draining: %u clients are left.",
                 server_arrived_len(drainer->server));
        systemd_say(text);
        drainer->say_ms = now_ms + SAY_MS;
    }
}

/* Steps */

static void enter(struct drainer *drainer, enum drain_state state, uint64_t now_ms)
{
    drainer->begun_ms = now_ms;
    drainer->last_ms = now_ms;
    drainer->say_ms = now_ms + SAY_MS;
    say_state(drainer, state);
    server_set_drain(drainer->server, state);
}

static uint64_t time_ms(const struct drainer *drainer)
{
    return (uint64_t)(*drainer->settings)->drain.time_s * 1000;
}

/* Of those who are left, as many as time has passed of what is left. Without memory it is made up
 * for by the next step. */
static void take_step(struct drainer *drainer, enum drain_state state, uint64_t now_ms)
{
    uint64_t end_ms = drainer->begun_ms + time_ms(drainer);
    double part = 1;

    if (!drain_step_has_passed(&drainer->step)) {
        return;
    }
    if (state == DRAIN_SENDING && end_ms > drainer->last_ms) {
        part = (double)(now_ms - drainer->last_ms) / (double)(end_ms - drainer->last_ms);
    }
    drainer->step.part = part;
    if (server_drain_step(drainer->server, &drainer->step) == 0) {
        drainer->last_ms = now_ms;
    }
}

static void send_away(struct drainer *drainer, uint64_t now_ms)
{
    if (now_ms >= drainer->begun_ms + time_ms(drainer)) {
        enter(drainer, DRAIN_LAST, now_ms);
        take_step(drainer, DRAIN_LAST, now_ms);
    } else {
        take_step(drainer, DRAIN_SENDING, now_ms);
    }
}

/* Who was on the way to its home when its worker took the last step is refused there. */
static void end(struct drainer *drainer, uint64_t now_ms)
{
    if (server_arrived_len(drainer->server) > 0) {
        take_step(drainer, DRAIN_LAST, now_ms);
    } else if (drain_step_has_passed(&drainer->step)) {
        enter(drainer, DRAIN_OVER, now_ms);
        drainer->due_ms = UINT64_MAX;
    }
}

void drainer_go_on(struct drainer *drainer)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t delay_ms = (uint64_t)(*drainer->settings)->drain.delay_s * 1000;

    if (now_ms < drainer->due_ms) {
        return;
    }
    drainer->due_ms = now_ms + STEP_MS;
    say_left(drainer, now_ms);
    switch (server_drain(drainer->server)) {
    case DRAIN_ANNOUNCED:
        if (now_ms >= drainer->begun_ms + delay_ms) {
            enter(drainer, DRAIN_SENDING, now_ms);
        }
        break;
    case DRAIN_SENDING: send_away(drainer, now_ms); break;
    case DRAIN_LAST: end(drainer, now_ms); break;
    case DRAIN_NONE:
    case DRAIN_OVER: break;
    }
}

void drainer_switch(struct drainer *drainer)
{
    uint64_t now_ms = clock_now_ms();

    if (server_drain(drainer->server) == DRAIN_NONE) {
        enter(drainer, DRAIN_ANNOUNCED, now_ms);
        drainer->due_ms = now_ms;
    } else {
        enter(drainer, DRAIN_NONE, now_ms);
        drainer->due_ms = UINT64_MAX;
    }
}
