#include "client/login.h"

#include "access/verifier.h"
#include "base/memory.h"
#include "base/spares.h"
#include "core/session.h"

/* 3.1 and 3.1.1 know two lives of a session: the connection's, and for ever. */
static uint32_t expiry_interval(const struct mqtt_connect *connect)
{
    if (connect->version >= MQTT_5_0) {
        return mqtt_properties_has(&connect->properties, MQTT_SESSION_EXPIRY_INTERVAL)
                   ? connect->properties.session_expiry_interval
                   : 0;
    }
    return connect->clean_start ? 0 : SESSION_NEVER;
}

int login_new(const struct mqtt_connect *connect, struct slice client_id, struct login **login_out)
{
    struct login *login = spares_alloc_zero(sizeof(*login) + client_id.len);

    if (!login) {
        return -ENOMEM;
    }
    login->keep_alive = connect->keep_alive;
    login->clean_start = connect->clean_start;
    login->is_bridge = connect->is_bridge;
    login->expiry_interval = expiry_interval(connect);
    login->receive_maximum = mqtt_properties_has(&connect->properties, MQTT_RECEIVE_MAXIMUM)
                                 ? connect->properties.receive_maximum
                                 : UINT16_MAX;
    login->id_len = (uint16_t)client_id.len;
    memcpy(login->id, client_id.data, client_id.len);
    *login_out = login;
    return 0;
}

/* The verifier has it: it comes back, and goes where it was asked, which must find nobody. */
void login_drop_verification(struct login *login)
{
    struct verification *verification = TAKE(login->verification);

    if (verification) {
        verification->asker = NULL;
        atomic_store_explicit(&verification->is_void, true, memory_order_relaxed);
    }
}

struct login *login_free(struct login *login)
{
    if (login) {
        login_drop_verification(login);
        message_unref(login->will);
        memory_free(login->rest);
        spares_free(login, sizeof(*login) + login->id_len);
    }
    return NULL;
}

int login_keep_rest(struct login *login, struct slice rest)
{
    if (rest.len == 0) {
        return 0;
    }
    login->rest = memory_alloc(rest.len);
    if (!login->rest) {
        return -ENOMEM;
    }
    memcpy(login->rest, rest.data, rest.len);
    login->rest_len = (uint32_t)rest.len;
    return 0;
}
