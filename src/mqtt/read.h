#pragma once

/*
 * Reading
 *
 * The steps that the decoders of this folder are made of: each takes a value off the front of
 * `*input` and answers false, with `*input` as it was, when the bytes are not there or not well
 * formed.
 */

#include "base/slice.h"
#include "base/utf8.h"
#include "mqtt/decode.h"

static inline bool mqtt_read_byte(struct slice *input, uint8_t *value_out)
{
    if (unlikely(input->len < 1)) {
        return false;
    }
    *value_out = input->data[0];
    *input = slice_skip(*input, 1);
    return true;
}

static inline bool mqtt_read_two(struct slice *input, uint16_t *value_out)
{
    if (unlikely(input->len < 2)) {
        return false;
    }
    *value_out = (uint16_t)(input->data[0] << 8 | input->data[1]);
    *input = slice_skip(*input, 2);
    return true;
}

static inline bool mqtt_read_four(struct slice *input, uint32_t *value_out)
{
    if (unlikely(input->len < 4)) {
        return false;
    }
    *value_out = (uint32_t)input->data[0] << 24 | (uint32_t)input->data[1] << 16 |
                 (uint32_t)input->data[2] << 8 | (uint32_t)input->data[3];
    *input = slice_skip(*input, 4);
    return true;
}

static inline bool mqtt_read_variable(struct slice *input, uint32_t *value_out)
{
    unsigned size;

    if (unlikely(mqtt_variable_decode(*input, value_out, &size) != MQTT_FRAME_OK)) {
        return false;
    }
    *input = slice_skip(*input, size);
    return true;
}

/* Two bytes of length and as many bytes: binary data, or a string whose content is not looked at.
 */
static inline bool mqtt_read_field(struct slice *input, struct slice *field_out)
{
    size_t len;

    if (unlikely(input->len < 2)) {
        return false;
    }
    len = (size_t)input->data[0] << 8 | input->data[1];
    if (unlikely(input->len - 2 < len)) {
        return false;
    }
    *field_out = slice_of(input->data + 2, len);
    *input = slice_skip(*input, 2 + len);
    return true;
}

/* A field that is valid UTF-8. */
static inline bool mqtt_read_text(struct slice *input, struct slice *text_out)
{
    struct slice rest = *input;

    if (!mqtt_read_field(&rest, text_out) || !utf8_is_valid(*text_out)) {
        return false;
    }
    *input = rest;
    return true;
}

/*
 * Nothing present. By pieces that compilers make a few vector stores of: as a whole it becomes `rep
 * stos`, which takes longer than all the rest of decoding a PUBLISH (10 of 20 ns).
 */
static inline void mqtt_clear_properties(struct mqtt_properties *properties)
{
    uint8_t *at = (uint8_t *)properties;

    static_assert(sizeof(*properties) == 208, "the pieces below cover the whole struct");
    memset(at, 0, 64);
    memset(at + 64, 0, 64);
    memset(at + 128, 0, 64);
    memset(at + 192, 0, 16);
}

/*
 * The property block of a packet; below 5.0 there is none, and nothing is present. The caller's
 * slice goes nowhere else, so that it may stay in registers: read back from the stack in one piece,
 * after it was written there in two, it cost 4 % of a PUBLISH.
 */
static inline enum mqtt_reason mqtt_read_properties(struct slice *input, unsigned version,
                                                    unsigned packet_type, bool from_server,
                                                    struct mqtt_properties *properties_out)
{
    enum mqtt_reason reason;
    struct slice rest;

    if (version < MQTT_5_0) {
        mqtt_clear_properties(properties_out);
        return MQTT_SUCCESS;
    }
    rest = *input;
    reason = mqtt_properties_decode(&rest, packet_type, from_server, properties_out);
    *input = rest;
    return reason;
}
