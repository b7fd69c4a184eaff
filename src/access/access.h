#pragma once

/*
 * Access
 *
 * Who may connect, publish and subscribe. Today that is what `allow_anonymous` and the protected
 * topics say; passwords, rules and certificates join the same chain. Pure: any thread.
 */

#include "base/slice.h"
#include "config/settings.h"
#include "mqtt/reasons.h"

struct access_request {
    const struct listener_settings *listener;
    struct slice client_id;
    struct slice username;
    bool has_username;
    bool is_vouched_for; /* the name is that of a certificate: no password is asked for */
};

/* MQTT_SUCCESS, or why not. */
enum mqtt_reason access_connect(const struct access_request *request);

/* Whether a client of this listener that was let in before might be refused now. */
bool access_may_refuse(const struct listener_settings *before, const struct listener_settings *now);

/* A valid topic. MQTT_SUCCESS or MQTT_NOT_AUTHORIZED. */
enum mqtt_reason access_publish(struct slice topic);
