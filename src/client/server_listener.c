#include "client/server_listener.h"

#include "base/memory.h"

static struct server_places *places_ref(struct server_places *places)
{
    atomic_fetch_add_explicit(&places->refs, 1, memory_order_relaxed);
    return places;
}

static void places_unref(struct server_places *places)
{
    if (places && atomic_fetch_sub_explicit(&places->refs, 1, memory_order_acq_rel) == 1) {
        assert(places->len == 0);
        memory_free(places);
    }
}

static struct server_places *places_new(void)
{
    struct server_places *places = memory_alloc(sizeof(*places));

    if (places) {
        atomic_init(&places->len, 0);
        atomic_init(&places->refs, 1);
    }
    return places;
}

int server_listener_new(struct settings *terms, const struct listener_settings *settings,
                        const struct server_listener *before, struct server_listener **listener_out)
{
    struct server_listener *listener = memory_alloc_zero(1, sizeof(*listener));

    if (!listener) {
        return -ENOMEM;
    }
    listener->places = before ? places_ref(before->places) : places_new();
    if (!listener->places) {
        memory_free(listener);
        return -ENOMEM;
    }
    listener->settings = settings;
    listener->terms = settings_ref(terms);
    listener->mount = slice_of_text(settings->mount_point ? settings->mount_point : "");
    atomic_init(&listener->refs, 1);
    *listener_out = listener;
    return 0;
}

struct server_listener *server_listener_ref(struct server_listener *listener)
{
    uint32_t refs = atomic_fetch_add_explicit(&listener->refs, 1, memory_order_relaxed);

    assert(refs > 0 && refs < UINT32_MAX);
    return listener;
}

struct server_listener *server_listener_unref(struct server_listener *listener)
{
    if (listener && atomic_fetch_sub_explicit(&listener->refs, 1, memory_order_acq_rel) == 1) {
        places_unref(listener->places);
        settings_unref(listener->terms);
        memory_free(listener);
    }
    return NULL;
}

bool server_listener_trusts(const struct server_listener *listener, const struct address *peer)
{
    const struct settings_proxy *proxy = &listener->settings->proxy;

    for (unsigned i = 0; i < proxy->trusted_len; i++) {
        if (address_range_contains(&proxy->trusted[i], peer)) {
            return true;
        }
    }
    return proxy->trusted_len == 0;
}
