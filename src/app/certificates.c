#include "app/certificates.h"

#include "access/access.h"
#include "access/psk.h"
#include "base/memory.h"
#include "config/options.h"
#include "loop/clock.h"
#include "net/tls.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool find_key(const void *context, struct slice identity, struct slice *key_out)
{
    return psk_find(context, identity, key_out);
}

static int load(struct certificates *certificates, const struct listener_settings *listener,
                const struct access *access, const struct report *report,
                struct stage_source **source_out)
{
    const struct tls_params params = {
        .settings = listener,
        .keys = {find_key, access ? access_psk(access) : NULL},
        .now_ms = clock_now_ms(),
    };
    struct tls_error error = {.option = "certfile"};
    int r = 0;

    if (!tls_is_wanted(listener)) {
        return CERTIFICATES_OK;
    }
    if (!certificates->library) {
        r = tls_library_new(certificates->worker_len, certificates->keylog_fd,
                            &certificates->library);
    }
    if (r == 0) {
        r = tls_source_new(certificates->library, &params, &error, source_out);
    }
    if (r == TLS_WRONG) {
        report_error(report, option_place(listener->places, error.option), "%s", error.text);
        return CERTIFICATES_WRONG;
    }
    return r;
}

int certificates_load(struct certificates *certificates, const struct settings *settings,
                      const struct access_set *access, const struct report *report,
                      struct stage_source ***sources_out)
{
    unsigned len = settings->listener_len;
    struct stage_source **sources = memory_alloc_zero(MAX(len, 1u), sizeof(struct stage_source *));
    int verdict = CERTIFICATES_OK;

    if (!sources) {
        return -ENOMEM;
    }
    /* All that is wrong is told at once. */
    for (unsigned i = 0; i < len && verdict >= 0; i++) {
        int r =
            load(certificates, &settings->listeners[i], access->accesses[i], report, &sources[i]);

        verdict = r != CERTIFICATES_OK ? r : verdict;
    }
    if (verdict != CERTIFICATES_OK) {
        certificates_unload(sources, len);
        return verdict;
    }
    *sources_out = sources;
    return CERTIFICATES_OK;
}

int certificates_open_keylog(struct certificates *certificates, const char *path)
{
    if (!path) {
        return 0;
    }
    certificates->keylog_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (certificates->keylog_fd < 0) {
        int r = -errno;

        log_line(LOG_ERROR, "Error: Unable to write TLS keys to %s: %s.", path, strerror(-r));
        return r;
    }
    log_line(LOG_WARNING, "Warning: TLS keys go to %s: whoever has it can read all connections.",
             path);
    return 0;
}

void certificates_unload(struct stage_source **sources, unsigned len)
{
    for (unsigned i = 0; sources && i < len; i++) {
        stage_source_unref(sources[i]);
    }
    memory_free(sources);
}

void certificates_deinit(struct certificates *certificates)
{
    certificates->library = tls_library_free(certificates->library);
    if (certificates->keylog_fd >= 0) {
        close(certificates->keylog_fd);
        certificates->keylog_fd = -1;
    }
}

int certificates_check(const struct settings *settings, const struct access_set *access,
                       const struct report *report)
{
    struct certificates certificates = CERTIFICATES_NONE;
    struct stage_source **sources = NULL;
    int r;

    certificates.worker_len = 1;
    r = certificates_load(&certificates, settings, access, report, &sources);

    certificates_unload(sources, settings->listener_len);
    certificates_deinit(&certificates);
    return r;
}
