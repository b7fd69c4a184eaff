#include "core/merge.h"

#include "base/memory.h"
#include "mqtt/encode.h"

void merge_init(struct merge *merge, struct session *session, struct publication *publication)
{
    *merge = (struct merge){
        .session = session, .publication = publication, .cap = ARRAY_LEN(merge->room)};
    merge->identifiers = merge->room;
}

void merge_deinit(struct merge *merge)
{
    if (merge->identifiers != merge->room) {
        memory_free(merge->identifiers);
    }
}

static int grow(struct merge *merge)
{
    uint32_t *identifiers = memory_alloc(2 * merge->cap * sizeof(*identifiers));

    if (!identifiers) {
        return -ENOMEM;
    }
    memcpy(identifiers, merge->identifiers, merge->len * sizeof(*identifiers));
    merge_deinit(merge);
    merge->identifiers = identifiers;
    merge->cap *= 2;
    return 0;
}

void merge_add(struct merge *merge, uint32_t identifier, uint8_t qos, bool retain)
{
    merge->is_any = true;
    merge->qos = qos > merge->qos ? qos : merge->qos;
    merge->retain = merge->retain || retain;
    if (identifier == 0) {
        return;
    }
    if (merge->len == merge->cap && grow(merge) < 0) {
        merge->out_of_memory = true;
        return;
    }
    merge->identifiers[merge->len++] = identifier;
}

int merge_publication(const struct merge *merge, struct publication *merged_out,
                      uint8_t **properties_out)
{
    const struct publication *publication = merge->publication;
    struct slice properties = publication->parts.properties;
    size_t size = properties.len;
    uint8_t *at;

    for (uint32_t i = 1; i < merge->len; i++) {
        size += 1 + mqtt_variable_size(merge->identifiers[i]);
    }
    at = memory_alloc(size);
    if (!at || merge->out_of_memory) {
        memory_free(at);
        return -ENOMEM;
    }
    *properties_out = at;
    for (uint32_t i = 1; i < merge->len; i++) {
        at = mqtt_put_byte(at, MQTT_SUBSCRIPTION_IDENTIFIER);
        at = mqtt_put_variable(at, merge->identifiers[i]);
    }
    mqtt_put_bytes(at, properties);
    *merged_out = (struct publication){
        .parts = publication->parts,
        .topic_hash = publication->topic_hash,
        .retained_number = publication->retained_number,
        .ticket = publication->ticket,
    };
    merged_out->parts.properties = slice_of(*properties_out, size);
    return 0;
}
