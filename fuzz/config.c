/*
 * Any text as mosquitto.conf. The first byte lets an allocation fail. Whatever comes, the answer is
 * settings that hold what they promise, a reported refusal, or -ENOMEM.
 */

#include "base/memory.h"
#include "config/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_line(void *context, enum log_type type, const char *text)
{
    unsigned *errors = context;

    assert(!strchr(text, '\n'));
    *errors += type == LOG_ERROR;
}

static void check_listener(const struct listener_settings *listener)
{
    assert((listener->port == 0) == (listener->unix_path != NULL));
    assert(!listener->is_loopback || !listener->bind_address);
    assert(listener->max_connections >= -1);
    assert(listener->backlog > 0);
    assert(strlen(listener->auto_id_prefix) <= 50);
    assert(listener->proxy.timeout_s > 0);
    assert((listener->proxy.trusted_len == 0) == (listener->proxy.trusted == NULL));
}

static void check_settings(const struct settings *settings)
{
    assert(settings->listener_len > 0);
    assert(settings->limits.max_packet_size >= 20);
    assert(settings->limits.max_inflight_messages < UINT16_MAX);
    assert(settings->process.user);
    for (unsigned i = 0; i < settings->listener_len; i++) {
        check_listener(&settings->listeners[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned errors = 0;
    struct config_request request = {
        .report = {.on_line = on_line, .context = &errors}
    };
    struct settings *settings = NULL;
    int r;

    if (size == 0) {
        return 0;
    }
    request.text = slice_of(data + 1, size - 1);
    memory_fail_after(data[0]);
    r = config_read(&request, &settings);
    memory_fail_after(0);
    if (r == 0) {
        assert(errors == 0);
        check_settings(settings);
    } else {
        assert(r == -ENOMEM || errors > 0);
        assert(!settings);
    }
    settings_unref(settings);
    return 0;
}
