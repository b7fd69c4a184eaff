#include "sim/ports.h"

#include "sim/fail.h"
#include "sim/run.h"
#include "sim/tls_server.h"

unsigned ports_find(const struct run_params *params, unsigned ports_out[NETWORK_PORT_LEN])
{
    unsigned used = (params->web_permille > 0 ? NETWORK_WEB : 0) |
                    (params->tls_permille > 0 ? NETWORK_TLS : 0) |
                    (params->proxy_permille > 0 ? NETWORK_PROXY : 0);
    unsigned len = 0;

    for (unsigned port = 0; port < NETWORK_PORT_LEN; port++) {
        if ((port & ~used) == 0) {
            ports_out[len++] = port;
        }
    }
    return len;
}

void ports_make_tls(const struct run_params *params, unsigned which,
                    struct stage_source *tls_out[NETWORK_PORT_LEN])
{
    unsigned ports[NETWORK_PORT_LEN];
    unsigned len = ports_find(params, ports);

    for (unsigned i = 0; i < len; i++) {
        tls_out[i] = ports[i] & NETWORK_TLS ? tls_server_source(which) : NULL;
    }
}

void ports_make_listeners(const struct run_params *params, struct settings *settings)
{
    unsigned ports[NETWORK_PORT_LEN];
    unsigned len = ports_find(params, ports);
    struct listener_settings *listeners = arena_alloc(&settings->arena, len * sizeof(*listeners));

    for (unsigned i = 0; i < len; i++) {
        if (!listeners || settings_init_listener(&listeners[i], &settings->arena) < 0) {
            sim_fail("no listener");
        }
        listeners[i].port = (uint16_t)(1883 + ports[i]);
        listeners[i].allow_anonymous = true;
        listeners[i].queue_policy = (enum settings_queue_policy)params->queue_policy;
        listeners[i].max_topic_alias = (uint16_t)params->max_topic_alias;
        listeners[i].protocol =
            ports[i] & NETWORK_WEB ? SETTINGS_PROTOCOL_WEBSOCKETS : SETTINGS_PROTOCOL_MQTT;
        listeners[i].proxy.version =
            ports[i] & NETWORK_PROXY ? SETTINGS_PROXY_ANY : SETTINGS_PROXY_OFF;
    }
    settings->listeners = listeners;
    settings->listener_len = len;
}
