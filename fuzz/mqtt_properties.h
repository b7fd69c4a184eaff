#pragma once

/*
 * What must hold of every property block that was decoded from `whole`.
 */

#include "base/utf8.h"
#include "fuzz.h"
#include "mqtt/packets.h"
#include "mqtt/properties.h"

static inline UNUSED void fuzz_check_property_slices(const struct mqtt_properties *properties)
{
    const struct slice slices[] = {
        properties->content_type,          properties->response_topic,
        properties->correlation_data,      properties->assigned_client_identifier,
        properties->authentication_method, properties->authentication_data,
        properties->response_information,  properties->server_reference,
        properties->reason_string,
    };

    for (size_t i = 0; i < ARRAY_LEN(slices); i++) {
        fuzz_assert_inside(slices[i], properties->raw);
    }
    assert(utf8_is_valid(properties->reason_string) && utf8_is_valid(properties->content_type));
}

static inline UNUSED void fuzz_check_properties(const struct mqtt_properties *properties,
                                                unsigned packet_type, struct slice whole)
{
    struct slice raw = properties->raw;
    uint64_t present = 0;
    enum mqtt_property id;
    struct slice property;
    size_t size = 0;

    fuzz_assert_inside(raw, whole);
    fuzz_check_property_slices(properties);
    while (mqtt_properties_next(&raw, &id, &property)) {
        const struct mqtt_property_row *row = mqtt_property_find(id);
        bool is_first = (present >> id & 1) == 0;

        assert(row && (row->packets >> packet_type & 1) != 0);
        assert(is_first || (row->repeats >> packet_type & 1) != 0);
        present |= UINT64_C(1) << id;
        size += property.len;
        if (id == MQTT_USER_PROPERTY) {
            struct slice name;
            struct slice value;

            mqtt_user_property_decode(property, &name, &value);
            assert(utf8_is_valid(name) && utf8_is_valid(value));
        }
    }
    assert(size == properties->raw.len && present == properties->present);
}
