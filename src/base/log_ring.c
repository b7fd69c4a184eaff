#include "base/log_ring.h"

#include "base/memory.h"

#include <string.h>

/*
 * A record is a head of eight bytes, its size, and its bytes, rounded up to eight; it may go on at
 * the beginning of the memory. Who pushes reserves room by moving `head`, copies, and writes the
 * size last: that is what makes it visible. Memory that is not in use is zero, so that a head that
 * was reserved and not written yet reads as "not complete": who takes stops there, in order.
 */

#define HEAD_SIZE sizeof(uint64_t)

static_assert(sizeof(_Atomic uint64_t) == HEAD_SIZE, "the size of a record is an atomic word");

static uint64_t round_up(uint64_t size)
{
    return (size + HEAD_SIZE - 1) & ~(uint64_t)(HEAD_SIZE - 1);
}

static _Atomic uint64_t *size_at(const struct log_ring *ring, uint64_t position)
{
    return (_Atomic uint64_t *)(void *)(ring->bytes + (position & (ring->cap - 1)));
}

/* How much of `size` bytes at `position` stands before the end of the memory. */
static size_t first_piece(const struct log_ring *ring, uint64_t position, size_t size)
{
    return MIN((uint64_t)size, ring->cap - (position & (ring->cap - 1)));
}

int log_ring_init(struct log_ring *ring, size_t size)
{
    *ring = (struct log_ring){.cap = HEAD_SIZE};
    while (ring->cap < size) {
        ring->cap *= 2;
    }
    ring->bytes = memory_alloc_zero(1, ring->cap);
    return ring->bytes ? 0 : -ENOMEM;
}

void log_ring_deinit(struct log_ring *ring)
{
    ring->bytes = memory_free(ring->bytes);
}

/* False: no room. */
static bool reserve(struct log_ring *ring, uint64_t size, uint64_t *position_out)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

    do {
        /* What was taken must be seen as zeroed before it is written again. */
        uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

        if (head + size - tail > ring->cap) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&ring->head, &head, head + size,
                                                    memory_order_relaxed, memory_order_relaxed));
    *position_out = head;
    return true;
}

bool log_ring_push(struct log_ring *ring, const void *record, size_t size)
{
    uint64_t position;
    size_t piece;

    assert(size > 0);
    if (!reserve(ring, HEAD_SIZE + round_up(size), &position)) {
        atomic_fetch_add_explicit(&ring->lost, 1, memory_order_relaxed);
        return false;
    }
    piece = first_piece(ring, position + HEAD_SIZE, size);
    memcpy(size_at(ring, position + HEAD_SIZE), record, piece);
    memcpy(ring->bytes, (const uint8_t *)record + piece, size - piece);
    /* Sequentially consistent: before the look whether the one who takes is asleep. */
    atomic_store_explicit(size_at(ring, position), size, memory_order_seq_cst);
    return true;
}

static size_t first_size(const struct log_ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

    return atomic_load_explicit(size_at(ring, tail), memory_order_seq_cst);
}

bool log_ring_has_record(const struct log_ring *ring)
{
    return first_size(ring) > 0;
}

size_t log_ring_peek(const struct log_ring *ring, void *record, size_t cap)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t size = first_size(ring);
    size_t piece = first_piece(ring, tail + HEAD_SIZE, size);

    assert(size <= cap);
    if (size > 0) {
        memcpy(record, size_at(ring, tail + HEAD_SIZE), piece);
        memcpy((uint8_t *)record + piece, ring->bytes, size - piece);
    }
    return size;
}

void log_ring_drop(struct log_ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t size =
        HEAD_SIZE + round_up(atomic_load_explicit(size_at(ring, tail), memory_order_relaxed));
    size_t piece = first_piece(ring, tail, size);

    assert(size > HEAD_SIZE);
    memset(ring->bytes + (tail & (ring->cap - 1)), 0, piece);
    memset(ring->bytes, 0, size - piece);
    atomic_store_explicit(&ring->tail, tail + size, memory_order_release);
}

bool log_ring_is_empty(const struct log_ring *ring)
{
    return log_ring_used(ring) == 0;
}

uint64_t log_ring_used(const struct log_ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

    return atomic_load_explicit(&ring->head, memory_order_relaxed) - tail;
}

uint64_t log_ring_take_lost(struct log_ring *ring)
{
    return atomic_exchange_explicit(&ring->lost, 0, memory_order_relaxed);
}
