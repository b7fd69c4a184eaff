#include "client/client.h"
#include "client/hub.h"
#include "client/login.h"

/*
 * What programs are told about a connection: the same keys on all its lines, so that one filter
 * finds them all. Raw, since JSON has escapes of its own.
 */

struct facts {
    struct log_field fields[16];
    unsigned len;
    char address[ADDRESS_TEXT_CAP];
    char proxy[ADDRESS_TEXT_CAP];
};

static void add_text(struct facts *facts, const char *name, struct slice text)
{
    assert(facts->len < ARRAY_LEN(facts->fields));
    facts->fields[facts->len++] = log_field_text(name, text);
}

static void add_number(struct facts *facts, const char *name, uint64_t number)
{
    assert(facts->len < ARRAY_LEN(facts->fields));
    facts->fields[facts->len++] = log_field_number(name, number);
}

static void add_address(struct facts *facts, const struct client *client)
{
    const struct listener_settings *listener = client->listener->settings;
    struct address peer = client_peer(client);
    struct address socket = client_socket(client);
    const char *path = listener->unix_path;

    if (address_format(&peer, facts->address) > 0) {
        add_text(facts, "address", slice_of_text(facts->address));
        add_number(facts, "port", peer.port);
    } else if (path) {
        add_text(facts, "address", slice_of_text(path));
    }
    add_number(facts, "listener", listener->port);
    if (!address_is_equal(&peer, &socket) && address_format(&socket, facts->proxy) > 0) {
        add_text(facts, "proxy", slice_of_text(facts->proxy));
    }
}

static void add_client(struct facts *facts, const struct client *client)
{
    if (client_id(client).len > 0) {
        add_text(facts, "client", client_id(client));
    }
    if (client_username(client)) {
        add_text(facts, "username", slice_of_text(client_username(client)));
    }
}

static void add_connect(struct facts *facts, const struct client *client)
{
    const struct login *login = client->facts->login;

    add_number(facts, "version", client->version);
    add_number(facts, "clean_start", login->clean_start);
    add_number(facts, "keep_alive", login->keep_alive);
}

/* What the proxy told of the client's TLS. */
static void add_told(struct facts *facts, const struct client *client)
{
    static const struct {
        const char *name;
        enum proxy_field field;
    } told[] = {
        {"tls",       PROXY_TLS_VERSION},
        {"cipher",    PROXY_CIPHER     },
        {"authority", PROXY_AUTHORITY  },
        {"alpn",      PROXY_ALPN       },
        {"unique_id", PROXY_UNIQUE_ID  },
    };

    for (size_t i = 0; client_proxy(client) && i < ARRAY_LEN(told); i++) {
        struct slice value = proxy_find(client_proxy(client), told[i].field);

        if (value.len > 0) {
            add_text(facts, told[i].name, value);
        }
    }
}

bool client_is_logged(const struct client *client, enum log_type type)
{
    return client->hub->settings->log.connection_messages && log_is_on(type);
}

void client_log(const struct client *client, enum log_type type, enum log_event event,
                const char *reason, const char *format, ...)
{
    UNINITIALIZED struct facts facts;
    va_list arguments;

    facts.len = 0;
    if (!client_is_logged(client, type)) {
        return;
    }
    if (log_has_fields()) {
        add_client(&facts, client);
        add_address(&facts, client);
        if (event == LOG_EVENT_CLIENT_CONNECTED) {
            add_connect(&facts, client);
        }
        if (event == LOG_EVENT_CONNECTION_OPENED) {
            add_told(&facts, client);
        }
        if (reason) {
            add_text(&facts, "reason", slice_of_text(reason));
        }
    }
    va_start(arguments, format);
    log_event_list(type, &(struct log_facts){event, facts.len, facts.fields}, format, arguments);
    va_end(arguments);
}
