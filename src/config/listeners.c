#include "config/listeners.h"

#include "config/values.h"

int listeners_new_draft(struct listener_drafts *drafts, const struct report_place *place,
                        struct listener_draft **draft_out)
{
    struct listener_draft *draft = arena_alloc(drafts->scratch, sizeof(*draft));
    int r;

    if (!draft) {
        return -ENOMEM;
    }
    draft->place = *place;
    draft->places = arena_alloc_array(drafts->arena, option_len, sizeof(*draft->places));
    if (!draft->places) {
        return -ENOMEM;
    }
    *draft_out = draft;
    r = settings_init_listener(&draft->settings, drafts->arena);
    draft->settings.places = draft->places;
    draft->places[option_index(option_find(slice_of_text("listener")))] = *place;
    return r;
}

void listeners_add(struct listener_drafts *drafts, struct listener_draft *draft)
{
    *(drafts->last ? &drafts->last->next : &drafts->first) = draft;
    drafts->last = draft;
    drafts->len++;
}

int listeners_get_fallback(struct listener_drafts *drafts, const struct report_place *place,
                           struct listener_draft **draft_out)
{
    struct option_target target = {.arena = drafts->arena};
    int r;

    if (!drafts->fallback) {
        struct listener_draft *draft;

        r = listeners_new_draft(drafts, place, &draft);
        if (r < 0) {
            return r;
        }
        target.listener = &draft->settings;
        r = value_parse_fallbacks(&target, OPTION_DEFAULT_LISTENER);
        if (r < 0) {
            return r;
        }
        listeners_add(drafts, draft);
        drafts->fallback = draft;
    }
    *draft_out = drafts->fallback;
    return 0;
}

static const struct report_place *place_of(const struct listener_draft *draft, const char *name)
{
    return option_place(draft->places, name);
}

static bool is_written(const struct listener_draft *draft, const char *name)
{
    return place_of(draft, name)->line != 0;
}

static void inherit(struct listener_draft *draft, const struct settings *settings)
{
    if (!is_written(draft, "listener_allow_anonymous")) {
        draft->settings.allow_anonymous = settings->clients.allow_anonymous;
    }
    if (!is_written(draft, "listener_allow_zero_length_clientid")) {
        draft->settings.allow_zero_length_clientid = settings->clients.allow_zero_length_clientid;
    }
    if (!is_written(draft, "listener_auto_id_prefix")) {
        draft->settings.auto_id_prefix = settings->clients.auto_id_prefix;
    }
}

/* A file of one listener's own takes the place of the one for all. */
static void inherit_files(struct listener_draft *draft, const struct settings *settings)
{
    if (!is_written(draft, "listener_password_file")) {
        draft->settings.password_file = settings->access.password_file;
    }
    if (!is_written(draft, "listener_acl_file")) {
        draft->settings.acl_file = settings->access.acl_file;
    }
    if (!is_written(draft, "listener_psk_file")) {
        draft->settings.psk_file = settings->access.psk_file;
    }
}

static const char *version_name(enum settings_proxy_version version)
{
    static const char *const names[] = {"0", "1", "2", "any"};

    return names[version];
}

/* The two spellings of the same thing: one alone, or both with the same meaning. */
static int settle_proxy(const struct report *report, struct listener_draft *draft)
{
    struct settings_proxy *proxy = &draft->settings.proxy;
    const struct report_place *place = place_of(draft, "enable_proxy_protocol");
    const struct report_place *place_v2 = place_of(draft, "enable_proxy_protocol_v2");

    if (place_v2->line == 0) {
        return 0;
    }
    if (place->line != 0 && proxy->is_v2 != (proxy->version >= SETTINGS_PROXY_V2)) {
        report_line(report, LOG_ERROR,
                    "Error: enable_proxy_protocol %s at %s:%u contradicts "
                    "enable_proxy_protocol_v2 %s at %s:%u.",
                    version_name(proxy->version), place->file, place->line,
                    proxy->is_v2 ? "true" : "false", place_v2->file, place_v2->line);
        return 1;
    }
    if (proxy->is_v2 && proxy->version == SETTINGS_PROXY_OFF) {
        proxy->version = SETTINGS_PROXY_V2;
    }
    return 0;
}

static bool is_on_loopback(const struct listener_settings *listener)
{
    const char *address = listener->bind_address;

    if (listener->unix_path || listener->is_loopback ||
        (listener->bind_interface && strcmp(listener->bind_interface, "lo") == 0)) {
        return true;
    }
    return address && (strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0 ||
                       strcmp(address, "localhost") == 0);
}

/* Who is believed. */
static void warn_of_proxy(const struct report *report, const struct listener_draft *draft)
{
    const struct settings_proxy *proxy = &draft->settings.proxy;

    if (proxy->version == SETTINGS_PROXY_OFF || proxy->trusted_len > 0) {
        return;
    }
    if (!is_on_loopback(&draft->settings)) {
        report_warning(report, &draft->place,
                       "The listener on port %u believes the PROXY header of everybody who can "
                       "reach it. Name the proxies with proxy_protocol_trusted.",
                       draft->settings.port);
    }
    if (proxy->untrusted == SETTINGS_PROXY_DIRECT) {
        report_warning(report, place_of(draft, "proxy_protocol_untrusted"),
                       "proxy_protocol_untrusted has no effect without proxy_protocol_trusted.");
    }
}

static bool has_header(const struct listener_draft *draft)
{
    return draft->settings.proxy.version != SETTINGS_PROXY_OFF;
}

static bool has_tls(const struct listener_draft *draft)
{
    const struct settings_tls *tls = &draft->settings.tls;

    return tls->certfile || tls->keyfile || tls->psk_hint;
}

static bool has_certificates(const struct listener_draft *draft)
{
    return has_header(draft) || has_tls(draft);
}

static bool is_web(const struct listener_draft *draft)
{
    return draft->settings.protocol == SETTINGS_PROTOCOL_WEBSOCKETS;
}

static bool is_api(const struct listener_draft *draft)
{
    return draft->settings.protocol == SETTINGS_PROTOCOL_HTTP_API;
}

/* Options that say something about another one, and are idle without it. */
static void warn_of_idle(const struct report *report, const struct listener_draft *draft)
{
    static const struct {
        bool (*is_met)(const struct listener_draft *draft);
        const char *name;
        const char *needed;
    } rows[] = {
        {has_header,       "proxy_protocol_trusted",           "enable_proxy_protocol"            },
        {has_header,       "proxy_protocol_untrusted",         "enable_proxy_protocol"            },
        {has_header,       "proxy_protocol_timeout",           "enable_proxy_protocol"            },
        {has_header,       "proxy_protocol_v2_require_tls",    "enable_proxy_protocol"            },
        {has_header,       "proxy_protocol_v2_require_crc32c", "enable_proxy_protocol"            },
        {has_header,       "proxy_protocol_subject_tlv",       "enable_proxy_protocol"            },
        {has_header,       "proxy_protocol_common_name_slash", "enable_proxy_protocol"            },
        {has_certificates, "require_certificate",              "certfile or enable_proxy_protocol"},
        {has_certificates, "use_identity_as_username",         "certfile or enable_proxy_protocol"},
        {has_certificates, "use_subject_as_username",          "certfile or enable_proxy_protocol"},
        {is_web,           "websockets_origin",                "protocol websockets"              },
        {is_web,           "forwarded_for_trusted",            "protocol websockets"              },
        {is_api,           "http_dir",                         "protocol http_api"                },
        {is_api,           "http_max_file_size",               "protocol http_api"                },
        {has_tls,          "cafile",                           "certfile"                         },
        {has_tls,          "capath",                           "certfile"                         },
        {has_tls,          "crlfile",                          "certfile"                         },
        {has_tls,          "ciphers",                          "certfile"                         },
        {has_tls,          "ciphers_tls1.3",                   "certfile"                         },
        {has_tls,          "disable_client_cert_date_checks",  "certfile"                         },
        {has_tls,          "tls_version",                      "certfile"                         },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!rows[i].is_met(draft) && is_written(draft, rows[i].name)) {
            report_warning(report, place_of(draft, rows[i].name), "%s has no effect without %s.",
                           rows[i].name, rows[i].needed);
        }
    }
}

/* Version 1 says nothing of TLS: nobody could ever come in. */
static int refuse_silent_proxy(const struct report *report, const struct listener_draft *draft)
{
    static const char *const asking[] = {"proxy_protocol_v2_require_tls", "require_certificate",
                                         "use_identity_as_username", "use_subject_as_username"};
    const struct listener_settings *settings = &draft->settings;
    const struct settings_certificates *certificates = &settings->certificates;
    bool is_ours = has_tls(draft);
    const bool is_asked[] = {settings->proxy.requires_tls, certificates->is_required && !is_ours,
                             certificates->gives_username && !is_ours,
                             certificates->gives_subject_username && !is_ours};

    static_assert(ARRAY_LEN(asking) == ARRAY_LEN(is_asked), "a word for each");
    for (size_t i = 0; i < ARRAY_LEN(asking) && settings->proxy.version == SETTINGS_PROXY_V1; i++) {
        if (is_asked[i]) {
            const struct report_place *place = place_of(draft, asking[i]);

            report_line(report, LOG_ERROR,
                        "Error: %s at %s:%u needs version 2 of the PROXY protocol, and "
                        "enable_proxy_protocol is 1.",
                        asking[i], place->file, place->line);
            return 1;
        }
    }
    return 0;
}

/* Where it listens is all that an agent listener needs to be told. */
static void warn_of_agent(const struct report *report, const struct listener_draft *draft)
{
    static const char *const used[] = {"listener",       "port",          "bind_address",
                                       "bind_interface", "socket_domain", "listen_backlog",
                                       "protocol"};

    for (size_t i = 0; i < option_len; i++) {
        const struct option *option = &options[i];
        bool is_used = option->alias_of || draft->places[i].line == 0;

        for (size_t j = 0; j < ARRAY_LEN(used) && !is_used; j++) {
            is_used = strcmp(option->name, used[j]) == 0;
        }
        if (!is_used) {
            report_warning(report, &draft->places[i],
                           "%s has no effect on a listener of protocol agent.", option->name);
        }
    }
}

static void warn(const struct report *report, const struct listener_draft *draft)
{
    if (draft->settings.protocol == SETTINGS_PROTOCOL_AGENT) {
        warn_of_agent(report, draft);
    } else {
        warn_of_proxy(report, draft);
        warn_of_idle(report, draft);
    }
}

int listeners_finish(struct listener_drafts *drafts, struct settings *settings)
{
    bool is_contradictory = false;

    settings->listeners =
        arena_alloc_array(drafts->arena, drafts->len, sizeof(*settings->listeners));
    if (!settings->listeners) {
        return -ENOMEM;
    }
    for (struct listener_draft *draft = drafts->first; draft; draft = draft->next) {
        inherit(draft, settings);
        inherit_files(draft, settings);
        if (settle_proxy(drafts->report, draft) != 0 ||
            refuse_silent_proxy(drafts->report, draft) != 0) {
            is_contradictory = true;
            continue;
        }
        warn(drafts->report, draft);
        settings->listeners[settings->listener_len++] = draft->settings;
    }
    return is_contradictory ? 1 : 0;
}

int listeners_add_loopback(struct settings *settings, const uint16_t *ports, unsigned port_len)
{
    assert(settings->listener_len == 0 && port_len > 0);
    settings->listeners =
        arena_alloc_array(&settings->arena, port_len, sizeof(*settings->listeners));
    if (!settings->listeners) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < port_len; i++) {
        struct listener_settings *listener = &settings->listeners[i];
        int r = settings_init_listener(listener, &settings->arena);

        if (r < 0) {
            return r;
        }
        listener->port = ports[i];
        listener->is_loopback = true;
        listener->allow_anonymous = settings->clients.allow_anonymous;
        listener->allow_zero_length_clientid = settings->clients.allow_zero_length_clientid;
        listener->auto_id_prefix = settings->clients.auto_id_prefix;
        listener->password_file = settings->access.password_file;
        listener->acl_file = settings->access.acl_file;
        listener->psk_file = settings->access.psk_file;
        settings->listener_len++;
    }
    return 0;
}
