#include "app/certificates.h"

#include "base/memory.h"
#include "config/options.h"
#include "net/tls.h"

static int load(struct certificates *certificates, const struct listener_settings *listener,
                const struct report *report, struct stage_source **source_out)
{
    struct tls_error error;
    int r = 0;

    if (!tls_is_wanted(listener)) {
        return CERTIFICATES_OK;
    }
    if (!certificates->library) {
        r = tls_library_new(certificates->worker_len, &certificates->library);
    }
    if (r == 0) {
        r = tls_source_new(certificates->library, listener, &error, source_out);
    }
    if (r == TLS_WRONG) {
        report_error(report, option_place(listener->places, error.option), "%s", error.text);
        return CERTIFICATES_WRONG;
    }
    return r;
}

int certificates_load(struct certificates *certificates, const struct settings *settings,
                      const struct report *report, struct stage_source ***sources_out)
{
    unsigned len = settings->listener_len;
    struct stage_source **sources = memory_alloc_zero(MAX(len, 1u), sizeof(struct stage_source *));
    int verdict = CERTIFICATES_OK;

    if (!sources) {
        return -ENOMEM;
    }
    /* All that is wrong is told at once. */
    for (unsigned i = 0; i < len && verdict >= 0; i++) {
        int r = load(certificates, &settings->listeners[i], report, &sources[i]);

        verdict = r != CERTIFICATES_OK ? r : verdict;
    }
    if (verdict != CERTIFICATES_OK) {
        certificates_unload(sources, len);
        return verdict;
    }
    *sources_out = sources;
    return CERTIFICATES_OK;
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
}

int certificates_check(const struct settings *settings, const struct report *report)
{
    struct certificates certificates = {.worker_len = 1};
    struct stage_source **sources = NULL;
    int r = certificates_load(&certificates, settings, report, &sources);

    certificates_unload(sources, settings->listener_len);
    certificates_deinit(&certificates);
    return r;
}
