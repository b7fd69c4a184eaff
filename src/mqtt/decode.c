#include "mqtt/decode.h"

enum mqtt_frame_verdict mqtt_variable_decode(struct slice input, uint32_t *value_out,
                                             unsigned *size_out)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < 4; i++) {
        if (i == input.len) {
            return MQTT_FRAME_SHORT;
        }
        value |= (uint32_t)(input.data[i] & 0x7F) << (7 * i);
        if ((input.data[i] & 0x80) == 0) {
            bool is_long = i > 0 && input.data[i] == 0;

            *value_out = value;
            *size_out = i + 1;
            return is_long ? MQTT_FRAME_MALFORMED : MQTT_FRAME_OK;
        }
    }
    return MQTT_FRAME_MALFORMED;
}

/* 3.1 says of all but PUBLISH that the flags are not used, or that DUP marks a retry. */
static bool is_first_byte_valid(const struct mqtt_packet_row *row, unsigned version, uint8_t flags)
{
    if (version != 0 && version < row->first_version) {
        return false;
    }
    return row->any_flags || version == MQTT_3_1 || flags == row->flags;
}

enum mqtt_frame_verdict mqtt_frame_decode(struct slice input, unsigned version,
                                          struct mqtt_frame *frame_out)
{
    const struct mqtt_packet_row *row;
    enum mqtt_frame_verdict verdict;
    unsigned length_size;

    if (input.len == 0) {
        return MQTT_FRAME_SHORT;
    }
    frame_out->type = (enum mqtt_packet_type)(input.data[0] >> 4);
    frame_out->flags = input.data[0] & 0x0F;
    row = mqtt_packet_find(frame_out->type);
    if (!row || !is_first_byte_valid(row, version, frame_out->flags)) {
        return MQTT_FRAME_MALFORMED;
    }
    verdict = mqtt_variable_decode(slice_skip(input, 1), &frame_out->body_size, &length_size);
    if (verdict == MQTT_FRAME_OK) {
        frame_out->header_size = (uint8_t)(1 + length_size);
    }
    return verdict;
}

enum mqtt_reason mqtt_decode_ping(struct slice body)
{
    return body.len == 0 ? MQTT_SUCCESS : MQTT_MALFORMED_PACKET;
}
