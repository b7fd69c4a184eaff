#include "config/settings.h"

#include "base/memory.h"
#include "config/values.h"

int settings_new(struct settings **settings_out)
{
    CLEANUP(settings_unref) struct settings *settings = memory_alloc_zero(1, sizeof(*settings));
    struct option_target target = {0};
    int r;

    if (!settings) {
        return -ENOMEM;
    }
    arena_init(&settings->arena);
    atomic_init(&settings->refs, 1);
    settings->log.facility = -1;
    settings->limits.max_pending_connections = -1;
    settings->limits.max_lingering_connections = -1;
    settings->limits.max_pending_headers_per_proxy = -1;
    target.settings = settings;
    target.arena = &settings->arena;
    r = value_parse_fallbacks(&target, OPTION_GLOBAL);
    if (r < 0) {
        return r;
    }
    *settings_out = TAKE(settings);
    return 0;
}

int settings_init_listener(struct listener_settings *listener, struct arena *arena)
{
    struct option_target target = {.listener = listener, .arena = arena};

    *listener = (struct listener_settings){0};
    return value_parse_fallbacks(&target, OPTION_LISTENER);
}

struct settings *settings_ref(struct settings *settings)
{
    unsigned refs = atomic_fetch_add_explicit(&settings->refs, 1, memory_order_relaxed);

    assert(refs > 0 && refs < UINT32_MAX);
    return settings;
}

struct settings *settings_unref(struct settings *settings)
{
    unsigned refs;

    if (!settings) {
        return NULL;
    }
    refs = atomic_fetch_sub_explicit(&settings->refs, 1, memory_order_acq_rel);
    assert(refs > 0);
    if (refs == 1) {
        arena_deinit(&settings->arena);
        memory_free(settings);
    }
    return NULL;
}
