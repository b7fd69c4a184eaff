#pragma once

/*
 * CRC-32C
 *
 * The Castagnoli checksum, as the PROXY protocol uses it. Computed piece by piece: begin with 0 and
 * hand the answer in again with the next bytes.
 */

#include "base/slice.h"

uint32_t crc32c_add(uint32_t crc, struct slice bytes);
