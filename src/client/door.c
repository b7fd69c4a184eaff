#include "client/door.h"

#include "client/addresses.h"

/* Of all files, those that may be connections without a CONNECT. */
#define PENDING_PART 4

/* Those that may linger. */
#define LINGERING_PART 16

int door_init(struct door *door, const struct hash_key *key, unsigned worker_len,
              unsigned long file_limit)
{
    int r;

    *door = (struct door){
        .pending_default = (uint32_t)MIN(file_limit / PENDING_PART, (unsigned long)INT32_MAX),
        .lingering_default = (uint32_t)MIN(file_limit / LINGERING_PART, (unsigned long)INT32_MAX),
        .worker_len = worker_len,
        .file_limit = file_limit,
    };
    r = reserve_new(worker_len, &door->reserve);
    if (r == 0) {
        r = addresses_new(key, &door->addresses);
    }
    if (r == 0) {
        r = addresses_new(key, &door->proxies);
    }
    return r;
}

void door_deinit(struct door *door)
{
    door->proxies = addresses_free(door->proxies);
    door->addresses = addresses_free(door->addresses);
    door->reserve = reserve_free(door->reserve);
    assert(door->pending_len == 0);
    assert(door->lingering_len == 0);
}
