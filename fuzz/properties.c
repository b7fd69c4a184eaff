#include "mqtt/properties.h"

#include "fuzz.h"
#include "mqtt/encode.h"
#include "mqtt_properties.h"

/*
 * The first byte: packet type (or will) and, in bit 4, who sent it. With bit 5 the rest is a block
 * with its length; without, the length is put in front of it, so that mutations need not hit it.
 */

static struct slice make_block(struct slice rest, bool has_length)
{
    uint8_t *block;
    uint8_t *at;

    if (has_length) {
        return fuzz_copy(rest);
    }
    block = memory_must_alloc(mqtt_variable_size((uint32_t)rest.len) + rest.len);
    at = mqtt_put_properties(block, rest);
    return slice_of(block, (size_t)(at - block));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mqtt_properties properties;
    struct slice block;
    struct slice input;

    if (size == 0) {
        return 0;
    }
    block = make_block(slice_of(data + 1, size - 1), (data[0] & 0x20) != 0);
    input = block;
    if (mqtt_properties_decode(&input, data[0] & 0x0F, (data[0] & 0x10) != 0, &properties) ==
        MQTT_SUCCESS) {
        fuzz_assert_inside(input, block);
        fuzz_check_properties(&properties, data[0] & 0x0F, block);
    }
    fuzz_free(block);
    return 0;
}
