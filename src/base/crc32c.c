#include "base/crc32c.h"

/*
 * Half a byte at a time: a table of 64 bytes stays in one cache line, and headers are short. The
 * rows are the remainders of the 16 half bytes by the reflected polynomial 0x82F63B78.
 */

/* clang-format off */
static const uint32_t remainders[16] = {
    0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1,
    0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
    0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9,
    0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75,
};
/* clang-format on */

uint32_t crc32c_add(uint32_t crc, struct slice bytes)
{
    crc = ~crc;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= bytes.data[i];
        crc = remainders[crc & 0x0F] ^ crc >> 4;
        crc = remainders[crc & 0x0F] ^ crc >> 4;
    }
    return ~crc;
}
