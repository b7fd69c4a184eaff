#include "sim/proxy.h"

#include <stdio.h>

#define PREFIX_LEN    16
#define ADDRESSES_LEN 12 /* of IPv4 */
#define TLV_HEAD_LEN  3
#define TLV_MAX       600

enum { COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21 };
enum { FAMILY_NONE = 0x00, FAMILY_TCP4 = 0x11 };
enum { TYPE_NOOP = 0x04, TYPE_UNIQUE_ID = 0x05 };

static void put_line(struct choice *choice, struct bytes *to)
{
    char line[108];
    int len = choice_chance(choice, 200)
                  ? snprintf(line, sizeof(line), "PROXY UNKNOWN\r\n")
                  : snprintf(line, sizeof(line), "PROXY TCP4 10.0.0.%u 10.1.0.1 %u 1883\r\n",
                             choice_below(choice, 256), choice_between(choice, 1024, 65535));

    bytes_write(to, line, (size_t)len);
}

static void put_tlv(uint8_t type, unsigned len, struct bytes *to)
{
    const uint8_t head[TLV_HEAD_LEN] = {type, (uint8_t)(len >> 8), (uint8_t)len};
    static const uint8_t value[TLV_MAX];

    bytes_write(to, head, sizeof(head));
    bytes_write(to, value, len);
}

static void put_prefix(bool has_address, unsigned len, struct bytes *to)
{
    static const uint8_t signature[] = {'\r', '\n', '\r', '\n', 0,   '\r',
                                        '\n', 'Q',  'U',  'I',  'T', '\n'};
    const uint8_t rest[] = {has_address ? COMMAND_PROXY : COMMAND_LOCAL,
                            has_address ? FAMILY_TCP4 : FAMILY_NONE, (uint8_t)(len >> 8),
                            (uint8_t)len};

    static_assert(sizeof(signature) + sizeof(rest) == PREFIX_LEN, "as the text has it");
    bytes_write(to, signature, sizeof(signature));
    bytes_write(to, rest, sizeof(rest));
}

static void put_block(struct choice *choice, struct bytes *to)
{
    uint8_t addresses[ADDRESSES_LEN] = {10, 0, 0, 1, 10, 1, 0, 1, 0x80, 0, 0x07, 0x5B};
    bool has_address = choice_chance(choice, 800);
    unsigned noop_len = choice_chance(choice, 300) ? choice_below(choice, TLV_MAX) : 0;
    unsigned id_len = choice_below(choice, 30);
    unsigned tlvs_len = TLV_HEAD_LEN + noop_len + TLV_HEAD_LEN + id_len;

    addresses[3] = (uint8_t)choice_below(choice, 256);
    put_prefix(has_address, has_address ? ADDRESSES_LEN + tlvs_len : tlvs_len, to);
    bytes_write(to, addresses, has_address ? ADDRESSES_LEN : 0);
    put_tlv(TYPE_NOOP, noop_len, to);
    put_tlv(TYPE_UNIQUE_ID, id_len, to);
}

void sim_proxy_put(struct choice *choice, struct bytes *to)
{
    if (choice_chance(choice, 500)) {
        put_line(choice, to);
    } else {
        put_block(choice, to);
    }
}
