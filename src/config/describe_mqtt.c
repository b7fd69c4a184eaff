#include "config/describe_mqtt.h"

#include "mqtt/packets.h"
#include "mqtt/properties.h"
#include "mqtt/reasons.h"

#include <inttypes.h>

/* The names of a set of packet types; bit 0 is that of the will's properties. */
static void print_packets(FILE *file, unsigned packets)
{
    const char *separator = "";

    for (unsigned type = 0; type < MQTT_PACKET_TYPE_CAP; type++) {
        if ((packets >> type & 1) != 0) {
            fprintf(file, "%s%s", separator,
                    type == MQTT_WILL_PROPERTIES ? "will" : mqtt_packet_name(type));
            separator = ", ";
        }
    }
}

/* Packets */

enum packet_column {
    PACKET_NAME,
    PACKET_TYPE,
    PACKET_SENDER,
    PACKET_FLAGS,
    PACKET_ID,
    PACKET_PROPERTIES,
    PACKET_LEAST,
    PACKET_LEAST_5
};

static const char *sender_of(const struct mqtt_packet_row *row)
{
    switch (row->direction) {
    case MQTT_FROM_CLIENT: return "client";
    case MQTT_FROM_SERVER: return "broker";
    default: return "both";
    }
}

static void print_packet(FILE *file, size_t row, unsigned column)
{
    unsigned type = (unsigned)row + 1;
    const struct mqtt_packet_row *packet = mqtt_packet_find(type);

    switch ((enum packet_column)column) {
    case PACKET_NAME: fputs(packet->name, file); break;
    case PACKET_TYPE: fprintf(file, "%u", type); break;
    case PACKET_SENDER: fputs(sender_of(packet), file); break;
    case PACKET_FLAGS: fprintf(file, packet->any_flags ? "its own" : "%u", packet->flags); break;
    case PACKET_ID:
        fputs(packet->has_id ? "yes" : packet->any_flags ? "QoS 1 and 2" : "no", file);
        break;
    case PACKET_PROPERTIES: fputs(packet->has_properties ? "yes" : "no", file); break;
    case PACKET_LEAST:
        if (packet->first_version < MQTT_5_0) {
            fprintf(file, "%u", packet->body_min);
        }
        break;
    case PACKET_LEAST_5: fprintf(file, "%u", packet->body_min_5); break;
    }
}

const struct page describe_packets_page = {
    .name = "nightjar-packets",
    .title = "Packets",
    .intro =
        "The packets of MQTT 3.1, 3.1.1 and 5.0 as the broker reads and writes them: the low four\n"
        "bits of the first byte, whether there is a packet identifier, whether there are\n"
        "properties in 5.0, and the fewest bytes behind the fixed header.\n",
    .columns = {"Packet", "Type", "From", "Flags", "Packet identifier", "Properties",
                "Least size in 3.x",                                                           "Least size in 5.0"},
    .keys = {"name",   "type", "from", "flags", "packet_id",         "properties", "min_3", "min_5"            },
    .column_len = PACKET_LEAST_5 + 1,
    .row_len = MQTT_AUTH,
    .print = print_packet,
};

/* Properties */

enum property_column {
    PROPERTY_NAME,
    PROPERTY_ID,
    PROPERTY_TYPE,
    PROPERTY_PACKETS,
    PROPERTY_REPEATS,
    PROPERTY_CLIENT,
    PROPERTY_SERVER,
    PROPERTY_VALUES
};

static const char *const type_names[] = {
    [MQTT_BYTE] = "byte",
    [MQTT_TWO_BYTES] = "two bytes",
    [MQTT_FOUR_BYTES] = "four bytes",
    [MQTT_VARIABLE] = "variable byte integer",
    [MQTT_STRING] = "text",
    [MQTT_STRING_PAIR] = "two texts",
    [MQTT_BINARY] = "binary",
};

static void print_property_cell(FILE *file, unsigned id, enum property_column column)
{
    const struct mqtt_property_row *property = mqtt_property_find(id);

    switch (column) {
    case PROPERTY_NAME: fputs(property->name, file); break;
    case PROPERTY_ID: fprintf(file, "0x%02X", id); break;
    case PROPERTY_TYPE: fputs(type_names[property->type], file); break;
    case PROPERTY_PACKETS: print_packets(file, property->packets); break;
    case PROPERTY_REPEATS: print_packets(file, property->repeats); break;
    case PROPERTY_CLIENT: print_packets(file, property->client_only); break;
    case PROPERTY_SERVER: print_packets(file, property->server_only); break;
    case PROPERTY_VALUES:
        if (property->type < MQTT_STRING) {
            fprintf(file, "%" PRIu32 "..%" PRIu32, property->min, property->max);
        }
        break;
    }
}

/* Identifiers have gaps. */
static void print_property(FILE *file, size_t row, unsigned column)
{
    unsigned id = 0;

    for (size_t found = 0; found <= row; id++) {
        found += mqtt_property_find(id) != NULL;
    }
    print_property_cell(file, id - 1, (enum property_column)column);
}

const struct page describe_properties_page = {
    .name = "nightjar-properties",
    .title = "Properties",
    .intro =
        "The properties of MQTT 5.0 as the broker reads and writes them: the packets that each "
        "may\n"
        "stand in, where it may stand more than once, where only one side may send it, and what\n"
        "values it has.\n",
    .columns = {"Property", "Identifier", "Type", "Packets", "Repeats in", "From clients alone in",
                "From the broker alone in",                                                                        "Values"},
    .keys = {"name",     "id",         "type", "packets", "repeats",    "client_only",           "server_only", "values"},
    .column_len = PROPERTY_VALUES + 1,
    .row_len = 27,
    .print = print_property,
};

/* Reason codes */

enum reason_column { REASON_CODE, REASON_NAME, REASON_PACKETS, REASON_CONNACK, REASON_WEBSOCKET };

static void print_reason(FILE *file, size_t row, unsigned column)
{
    size_t len;
    const struct mqtt_reason_row *reason = &mqtt_reason_table(&len)[row];

    switch ((enum reason_column)column) {
    case REASON_CODE: fprintf(file, "0x%02X", reason->code); break;
    case REASON_NAME: fputs(reason->name, file); break;
    case REASON_PACKETS: print_packets(file, reason->packets); break;
    case REASON_CONNACK:
        if ((reason->packets & MQTT_IN(CONNACK)) == 0) {
            break;
        }
        if (reason->code >= MQTT_UNSPECIFIED_ERROR && reason->connack_3 == 0) {
            fputs("close", file);
        } else {
            fprintf(file, "%u", reason->connack_3);
        }
        break;
    case REASON_WEBSOCKET:
        if (reason->websocket) {
            fprintf(file, "%u", reason->websocket);
        }
        break;
    }
}

struct page describe_reasons_page(void)
{
    struct page page = {
        .name = "nightjar-reasons",
        .title = "Reason codes",
        .intro =
            "The reason codes of MQTT 5.0, the packets that each may stand in, and the return "
            "code of\n"
            "CONNACK that clients of 3.1 and 3.1.1 get instead, if they get one before the "
            "close.\n"
            "Inside WebSocket a close frame comes last, in every version: its code is that "
            "of RFC 6455,\n"
            "section 7.4.1, or of IANA's registry. 1000 is also said to who has left, 1001 to "
            "all when the\n"
            "broker stops, 1008 to who sends no CONNECT in time, 1011 where memory has run out, "
            "and 1013\n"
            "where too many wait; what is wrong with frames is told with 1002, with 1003 (text) "
            "or 1007\n"
            "(a reason that is not UTF-8). A close frame of the client is answered with its own "
            "code.\n",
        .columns = {"Code", "Name", "Packets", "CONNACK in 3.x", "WebSocket"},
        .keys = {"code", "name", "packets", "connack_3",      "websocket"},
        .column_len = REASON_WEBSOCKET + 1,
        .print = print_reason,
    };

    mqtt_reason_table(&page.row_len);
    return page;
}
