#include "access/access.h"

#include "access/acl.h"
#include "access/files.h"
#include "access/passwords.h"
#include "access/psk.h"
#include "base/memory.h"
#include "base/text.h"

#include <stdatomic.h>

/* Immutable and counted. */
struct access {
    struct passwords *passwords; /* NULL: names are not asked for */
    struct acl *acl;             /* NULL: there are no rules */
    struct psk *psk;             /* NULL: there are no keys */
    _Atomic uint32_t refs;
};

/* Loading */

static const struct report_place *place_of(const struct settings *settings,
                                           const struct listener_settings *listener,
                                           const struct access_file *file)
{
    const struct report_place *own = option_place(listener->places, file->listener_option);

    return own->line != 0 ? own : option_place(settings->places, file->option);
}

/* What the files of one listener are read for. */
struct loading {
    const struct settings *settings;
    const struct listener_settings *listener;
    const struct report *report;
};

/* No text without a path. */
static int read_file(const struct loading *loading, const struct access_file *file,
                     const char *path, struct slice *text_out)
{
    return path ? access_file_read(file, path, place_of(loading->settings, loading->listener, file),
                                   loading->report, text_out)
                : ACCESS_LOADED;
}

static int load_passwords(const struct loading *loading, struct passwords **passwords_out)
{
    static const struct access_file file = {"password file", "password_file",
                                            "listener_password_file"};
    const struct settings *settings = loading->settings;
    struct passwords_request request = {
        .path = loading->listener->password_file,
        .limits = {settings->access.password_iterations_max, settings->access.password_memory_max},
        .report = loading->report,
    };
    int r = read_file(loading, &file, request.path, &request.text);

    if (r == ACCESS_LOADED && request.path) {
        r = passwords_parse(&request, passwords_out);
    }
    access_file_free(request.text);
    return r;
}

static int load_acl(const struct loading *loading, struct acl **acl_out)
{
    static const struct access_file file = {"ACL file", "acl_file", "listener_acl_file"};
    struct acl_request request = {.path = loading->listener->acl_file, .report = loading->report};
    int r = read_file(loading, &file, request.path, &request.text);

    if (r == ACCESS_LOADED && request.path) {
        r = acl_parse(&request, acl_out);
    }
    access_file_free(request.text);
    return r;
}

static int load_psk(const struct loading *loading, struct psk **psk_out)
{
    static const struct access_file file = {"PSK file", "psk_file", "listener_psk_file"};
    struct psk_request request = {.path = loading->listener->psk_file, .report = loading->report};
    int r = read_file(loading, &file, request.path, &request.text);

    if (r == ACCESS_LOADED && request.path) {
        r = psk_parse(&request, psk_out);
    }
    access_file_free(request.text);
    return r;
}

static bool has_files(const struct listener_settings *listener)
{
    return listener->password_file || listener->acl_file || listener->psk_file;
}

static bool has_same_files(const struct listener_settings *a, const struct listener_settings *b)
{
    return text_is_same(a->password_file, b->password_file) &&
           text_is_same(a->acl_file, b->acl_file) && text_is_same(a->psk_file, b->psk_file);
}

static int load_one(const struct settings *settings, const struct listener_settings *listener,
                    const struct report *report, struct access **access_out)
{
    const struct loading loading = {settings, listener, report};
    struct access *access = memory_alloc_zero(1, sizeof(*access));
    int r;

    *access_out = access;
    if (!access) {
        return -ENOMEM;
    }
    atomic_init(&access->refs, 1);
    r = load_passwords(&loading, &access->passwords);
    if (r == ACCESS_LOADED) {
        r = load_acl(&loading, &access->acl);
    }
    return r == ACCESS_LOADED ? load_psk(&loading, &access->psk) : r;
}

/* Listeners with the same files share them. */
static int load(const struct settings *settings, unsigned index, const struct report *report,
                struct access_set *set)
{
    const struct listener_settings *listener = &settings->listeners[index];

    if (!has_files(listener)) {
        return ACCESS_LOADED;
    }
    for (unsigned i = 0; i < index; i++) {
        if (set->accesses[i] && has_same_files(&settings->listeners[i], listener)) {
            set->accesses[index] = access_ref(set->accesses[i]);
            return ACCESS_LOADED;
        }
    }
    return load_one(settings, listener, report, &set->accesses[index]);
}

int access_load(const struct settings *settings, const struct report *report,
                struct access_set *set_out)
{
    struct access_set set = {.len = settings->listener_len};
    int r = 0;

    set.accesses = memory_alloc_zero(MAX(set.len, 1u), sizeof(struct access *));
    if (!set.accesses) {
        r = -ENOMEM;
    }
    for (unsigned i = 0; i < set.len && r == 0; i++) {
        r = load(settings, i, report, &set);
    }
    if (r != 0) {
        access_set_deinit(&set);
    }
    if (r == -ENOMEM) {
        report_line(report, LOG_ERROR, "Error: Out of memory for the files of users.");
    }
    *set_out = set;
    return r;
}

void access_set_deinit(struct access_set *set)
{
    for (unsigned i = 0; set->accesses && i < set->len; i++) {
        access_unref(set->accesses[i]);
    }
    memory_free(set->accesses);
    *set = (struct access_set){0};
}

struct access *access_ref(struct access *access)
{
    if (access) {
        atomic_fetch_add_explicit(&access->refs, 1, memory_order_relaxed);
    }
    return access;
}

struct access *access_unref(struct access *access)
{
    if (access && atomic_fetch_sub_explicit(&access->refs, 1, memory_order_acq_rel) == 1) {
        passwords_free(access->passwords);
        acl_free(access->acl);
        psk_free(access->psk);
        memory_free(access);
    }
    return NULL;
}

/* Connecting */

static const struct passwords *passwords_of(const struct access *access)
{
    return access ? access->passwords : NULL;
}

static enum access_verdict anonymous(const struct access_request *request)
{
    return request->listener->allow_anonymous ? ACCESS_YES : ACCESS_NO;
}

/*
 * With nothing that could check a name, any name passes where anonymous clients do: Mosquitto does
 * the same. Where names are known, one that is not is refused even so.
 */
enum access_verdict access_connect(const struct access_request *request)
{
    const struct passwords *passwords = passwords_of(request->access);

    if (request->is_vouched_for) {
        return ACCESS_YES;
    }
    if (!request->has_username || !passwords) {
        return anonymous(request);
    }
    return request->has_password && passwords_len(passwords) > 0 ? ACCESS_ASK : ACCESS_NO;
}

struct access_question access_question(const struct access *access, struct slice username)
{
    const struct passwords *passwords = passwords_of(access);
    struct passwords_entry entry;

    assert(passwords);
    if (passwords_find(passwords, username, &entry)) {
        return (struct access_question){entry.password, true, entry.credential};
    }
    return (struct access_question){.password = passwords_decoy(passwords, username)};
}

bool access_still_may(const struct access_request *request, uint64_t credential)
{
    const struct passwords *passwords = passwords_of(request->access);
    struct passwords_entry entry;

    if (request->is_vouched_for) {
        return true;
    }
    if (!request->has_username || !passwords) {
        return anonymous(request) == ACCESS_YES;
    }
    return passwords_find(passwords, request->username, &entry) && entry.credential == credential;
}

bool access_may_refuse(const struct listener_settings *before, const struct listener_settings *now)
{
    return before->allow_anonymous && !now->allow_anonymous;
}

const struct psk *access_psk(const struct access *access)
{
    return access ? access->psk : NULL;
}

/* Publishing and reading */

const struct acl *access_acl(const struct access *access)
{
    return access ? access->acl : NULL;
}

static bool is_under(struct slice topic, const char *top)
{
    struct slice prefix = slice_of_text(top);

    return topic.len >= prefix.len && slice_is_equal(slice_of(topic.data, prefix.len), prefix) &&
           (topic.len == prefix.len || topic.data[prefix.len] == '/');
}

/* $SYS is the broker's own; what $CONTROL would do is not there to be asked for. */
enum mqtt_reason access_publish(struct slice topic)
{
    return is_under(topic, "$SYS") || is_under(topic, "$CONTROL") ? MQTT_NOT_AUTHORIZED
                                                                  : MQTT_SUCCESS;
}
