#include "client/trust.h"

#include "base/memory.h"
#include "base/text.h"
#include "base/utf8.h"
#include "client/hub.h"
#include "net/certificate.h"

#include <stdio.h>

/*
 * TLS that ends here is what counts, with a header in front as well: then the proxy has passed it
 * through. But where the proxy tells of TLS that ended there, it is the proxy that speaks TLS here,
 * and what it tells of its client counts.
 */
static bool is_of_our_own(const struct client *client)
{
    const struct stream *stream = client_stream(client);
    const struct proxy_info *proxy = client_proxy(client);
    bool has_tls = stream ? stream_knows_names(stream) : client->is_staged && client->listener->tls;

    return has_tls && !(proxy && proxy->is_tls);
}

/*
 * Only bit 0 of the header's SSL TLV is TLS, and only a certificate that the proxy verified is one
 * (net/proxy.h has the bits). Who came without a header where that is allowed
 * (proxy_protocol_untrusted direct) has neither.
 */
static bool header_is_enough(const struct client *client)
{
    const struct listener_settings *listener = client->listener->settings;
    const struct proxy_info *info = client_proxy(client);
    bool wants_tls = listener->proxy.requires_tls || listener->certificates.is_required;

    if (listener->certificates.is_required && !(info && info->is_certificate_verified)) {
        return false;
    }
    return !wants_tls || (info && info->is_tls);
}

/* Also of who came before a reload that asks for more. */
static bool is_enough(const struct client *client)
{
    const struct listener_settings *listener = client->listener->settings;
    bool has_proxy = listener->proxy.version != SETTINGS_PROXY_OFF;

    if (is_of_our_own(client)) {
        return !(has_proxy && listener->proxy.requires_tls) &&
               (!listener->certificates.is_required ||
                stream_has_certificate(client_stream(client)));
    }
    return has_proxy ? header_is_enough(client) : !client->listener->tls;
}

bool trust_header(const struct client *client)
{
    if (!client_proxy(client)->has_address) {
        return true;
    }
    /* What the handshake is to show, it shows later. */
    return is_of_our_own(client) ? !client->listener->settings->proxy.requires_tls
                                 : header_is_enough(client);
}

/* Names */

static int copy_name(struct slice name, char **name_out)
{
    *name_out = memory_copy_slice(name);
    return *name_out ? 0 : -ENOMEM;
}

/* -ENOENT: there is none, or none that may be a user name. */
static int find_common_name(const struct client *client, char **name_out)
{
    const struct proxy_info *info = client_proxy(client);
    bool allows_slash = client->listener->settings->proxy.allows_slash;

    if (info->common_name < (allows_slash ? PROXY_NAME_SLASHED : PROXY_NAME_FIT)) {
        return -ENOENT;
    }
    return copy_name(proxy_find(info, PROXY_COMMON_NAME), name_out);
}

static int find_subject(const struct client *client, char **name_out)
{
    const struct proxy_info *info = client_proxy(client);
    struct slice subject = proxy_find(info, PROXY_SUBJECT);

    if (!info->is_certificate_verified) {
        return -ENOENT;
    }
    if (client->listener->settings->proxy.subject_tlv) {
        return subject.len > 0 && utf8_is_valid(subject) ? copy_name(subject, name_out) : -ENOENT;
    }
    return certificate_subject(proxy_find(info, PROXY_CLIENT_CERTIFICATE), name_out);
}

static int find_name(const struct client *client, char **name_out)
{
    if (is_of_our_own(client)) {
        return stream_find_name(client_stream(client),
                                client->listener->settings->certificates.gives_username
                                    ? STAGE_COMMON_NAME
                                    : STAGE_SUBJECT,
                                name_out);
    }
    if (!client_proxy(client)) {
        return -ENOENT;
    }
    return client->listener->settings->certificates.gives_username
               ? find_common_name(client, name_out)
               : find_subject(client, name_out);
}

#define COMPLAINT_CAP 320

/* What is wrong with the name that the header tells, or should, and which one that is. */
static const char *put_complaint(const struct client *client, char text[COMPLAINT_CAP])
{
    static const char *const complaints[] = {
        [PROXY_NAME_NONE] = "no common name that the proxy has verified",
        [PROXY_NAME_UNFIT] = "a common name that can't be a user name",
        [PROXY_NAME_SLASHED] = "a common name with a slash",
    };
    const struct proxy_info *info = client_proxy(client);
    struct slice told = proxy_find(info, PROXY_COMMON_NAME);
    char name[256];

    if (!client->listener->settings->certificates.gives_username) {
        return "no subject of a certificate that the proxy has verified";
    }
    text_escape(name, sizeof(name), told);
    snprintf(text, COMPLAINT_CAP, "%s%s%s", complaints[info->common_name], told.len > 0 ? ": " : "",
             name);
    return text;
}

/* The line about the CONNECT tells neither the proxy nor why. A check of the proxy's own, whose
 * header tells of nobody, is not worth another one. */
static void note_missing_name(const struct client *client)
{
    const struct proxy_info *proxy = client_proxy(client);
    const char *word = proxy_refusal_word(PROXY_REFUSAL_NAME);
    char address[CLIENT_ADDRESS_CAP];
    char via[CLIENT_ADDRESS_CAP];
    char complaint[COMPLAINT_CAP];

    if (is_of_our_own(client) || !proxy) {
        return;
    }
    hub_count(client->hub, client->listener, METRIC_PROXY_REFUSED + PROXY_REFUSAL_NAME, 1);
    if (proxy->has_address) {
        client_log(client, LOG_NOTICE, LOG_EVENT_CONNECTION_REFUSED, word,
                   "Connection from %s on port %u%s refused: PROXY header: %s: %s.",
                   client_address(client, address), client->listener->settings->port,
                   client_via(client, via), word, put_complaint(client, complaint));
    }
}

enum mqtt_reason trust_connect(struct client *client, struct mqtt_connect *connect)
{
    const struct listener_settings *listener = client->listener->settings;
    const struct settings_certificates *certificates = &listener->certificates;
    int r;

    if (!is_enough(client)) {
        if (listener->proxy.version != SETTINGS_PROXY_OFF) {
            hub_count(client->hub, client->listener, METRIC_PROXY_REFUSED + PROXY_REFUSAL_POLICY,
                      1);
        }
        return MQTT_NOT_AUTHORIZED;
    }
    if ((listener->proxy.version == SETTINGS_PROXY_OFF && !is_of_our_own(client)) ||
        (!certificates->gives_username && !certificates->gives_subject_username)) {
        return MQTT_SUCCESS;
    }
    r = find_name(client, &client->facts->username);
    if (r == -ENOMEM) {
        return MQTT_SERVER_BUSY;
    }
    if (r < 0) {
        note_missing_name(client);
        return MQTT_BAD_USERNAME_OR_PASSWORD;
    }
    client->is_vouched = true;
    connect->has_username = true;
    connect->username = slice_of_text(client_username(client));
    return MQTT_SUCCESS;
}

/* For others to look at */

static void describe_header(const struct proxy_info *info, struct trust_facts *facts_out)
{
    facts_out->authority = proxy_find(info, PROXY_AUTHORITY);
    facts_out->alpn = proxy_find(info, PROXY_ALPN);
    if (info->is_tls) {
        facts_out->is_tls = true;
        facts_out->is_proxys = true;
        facts_out->has_certificate = info->is_certificate_verified;
        facts_out->version = proxy_find(info, PROXY_TLS_VERSION);
        facts_out->cipher = proxy_find(info, PROXY_CIPHER);
    }
}

void trust_describe(const struct client *client, struct trust_facts *facts_out)
{
    struct stage_facts facts;

    *facts_out = (struct trust_facts){.is_tls = false};
    if (!is_of_our_own(client)) {
        if (client_proxy(client)) {
            describe_header(client_proxy(client), facts_out);
        }
    } else if (stream_describe(client_stream(client), &facts)) {
        *facts_out = (struct trust_facts){
            .is_tls = true,
            .has_certificate = stream_has_certificate(client_stream(client)),
            .version = slice_of_text(facts.version),
            .cipher = slice_of_text(facts.cipher),
            .authority = facts.authority,
            .alpn = facts.alpn,
        };
    }
}

int trust_common_name(const struct client *client, char **name_out)
{
    struct slice name;

    if (is_of_our_own(client)) {
        return stream_find_name(client_stream(client), STAGE_COMMON_NAME, name_out);
    }
    name = client_proxy(client) ? proxy_find(client_proxy(client), PROXY_COMMON_NAME)
                                : slice_of(NULL, 0);
    return name.len > 0 ? copy_name(name, name_out) : -ENOENT;
}

/* The log */

/* One more item of the list. */
static void tell(char text[TRUST_TOLD_CAP], const char *label, const char *value)
{
    size_t len = strlen(text);

    if (*value) {
        snprintf(text + len, TRUST_TOLD_CAP - len, "%s%s%s", len > 0 ? ", " : " (", label, value);
    }
}

static void tell_field(char text[TRUST_TOLD_CAP], const struct proxy_info *info, const char *label,
                       enum proxy_field field)
{
    char value[160];

    text_escape(value, sizeof(value), proxy_find(info, field));
    tell(text, label, value);
}

const char *trust_told(const struct client *client, char text[TRUST_TOLD_CAP])
{
    const struct proxy_info *info = client_proxy(client);
    char cloud[PROXY_CLOUD_CAP];
    size_t len;

    text[0] = '\0';
    if (!info || !info->has_address) {
        return text;
    }
    if (info->is_tls) {
        tell_field(text, info, "", PROXY_TLS_VERSION);
        tell_field(text, info, "", PROXY_CIPHER);
    }
    tell_field(text, info, "host ", PROXY_AUTHORITY);
    tell_field(text, info, "alpn ", PROXY_ALPN);
    tell_field(text, info, "id ", PROXY_UNIQUE_ID);
    tell(text, "endpoint ", proxy_cloud_text(info, cloud));
    len = strlen(text);
    if (len > 0) {
        snprintf(text + len, TRUST_TOLD_CAP - len, ")");
    }
    return text;
}
