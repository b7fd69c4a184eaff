#pragma once

/*
 * Login
 *
 * What a CONNECT asked for, in memory of its own: it travels with the client to the worker that its
 * id lives on, together with the bytes that were read behind the CONNECT.
 */

#include "core/message.h"
#include "mqtt/decode.h"

struct verification;

/* Owner: its client. */
struct login {
    struct message *will;
    uint32_t will_delay;
    uint32_t will_expiry;
    uint32_t expiry_interval; /* seconds; SESSION_NEVER */
    uint32_t rest_len;        /* bytes behind the CONNECT */
    uint8_t *rest;
    struct verification *verification; /* under way, and the verifier's; NULL: none is */
    uint16_t keep_alive;               /* as it was asked for */
    uint16_t server_keep_alive;        /* what it becomes; 0 = as asked for */
    uint16_t receive_maximum;
    uint16_t id_len;
    bool clean_start;
    bool id_is_assigned;
    bool is_bridge;
    bool has_heard_out; /* what the earlier connection sent was read once more */
    uint8_t id[];
};

/* -ENOMEM. The will and the rest are empty. */
int login_new(const struct mqtt_connect *connect, struct slice client_id,
              struct login **login_out) MUST_CHECK;
struct login *login_free(struct login *login);

int login_keep_rest(struct login *login, struct slice rest) MUST_CHECK;

/* Nobody waits for the answer any more. */
void login_drop_verification(struct login *login);
