#include "core/share.h"

#include "base/memory.h"
#include "core/membership.h"
#include "core/session.h"
#include "core/shard.h"

/*
 * A worker's members lie in one array, sorted by state. To change a state is to swap with the last,
 * or first, of each state in between: no other member is looked at, however many there are. So the
 * publishing worker finds whose turn it is from the counts alone, and the member's worker finds the
 * member by its place.
 */

struct share *share_new(unsigned worker_len, uint32_t node, struct slice name)
{
    size_t size = sizeof(struct share) + worker_len * sizeof(struct share_part);
    struct share *share = memory_alloc_zero(1, size + name.len);

    if (share) {
        memcpy((uint8_t *)share + size, name.data, name.len);
        share->name = slice_of((uint8_t *)share + size, name.len);
        atomic_init(&share->refs, 1);
        share->node = node;
        share->worker_len = worker_len;
    }
    return share;
}

struct share *share_ref(struct share *share)
{
    uint32_t before = atomic_fetch_add_explicit(&share->refs, 1, memory_order_relaxed);

    assert(before > 0 && before < UINT32_MAX);
    return share;
}

/* A group without members has no references but of those that go through it: nobody joins it. */
struct share *share_unref(struct share *share)
{
    if (share && atomic_fetch_sub_explicit(&share->refs, 1, memory_order_acq_rel) == 1) {
        for (unsigned i = 0; i < share->worker_len; i++) {
            assert(share->parts[i].ends[SHARE_GONE] == 0);
            memory_free(share->parts[i].members);
        }
        memory_free(share);
    }
    return NULL;
}

/* Members */

static uint32_t state_begin(const struct share_part *part, enum share_state state)
{
    return state == SHARE_ABLE ? 0 : part->ends[state - 1];
}

static enum share_state state_at(const struct share_part *part, uint32_t place)
{
    enum share_state state = SHARE_ABLE;

    while (place >= part->ends[state]) {
        state++;
        assert(state < SHARE_STATE_LEN);
    }
    return state;
}

static struct subscription *subscription_of(const struct share *share,
                                            const struct session *session)
{
    struct subscription *subscription = subscriptions_find(&session->subscriptions, share->node);

    assert(subscription);
    return subscription;
}

static void swap_members(struct share *share, struct share_part *part, uint32_t a, uint32_t b)
{
    struct share_member member = part->members[a];

    if (a == b) {
        return;
    }
    part->members[a] = part->members[b];
    part->members[b] = member;
    subscription_of(share, part->members[a].session)->place = a;
    subscription_of(share, part->members[b].session)->place = b;
}

/* Answers the member's new place. */
static uint32_t change_state(struct share *share, struct share_part *part, uint32_t place,
                             enum share_state to)
{
    enum share_state from = state_at(part, place);

    for (; from < to; from++) {
        swap_members(share, part, place, part->ends[from] - 1);
        place = --part->ends[from];
    }
    for (; from > to; from--) {
        swap_members(share, part, place, part->ends[from - 1]);
        place = part->ends[from - 1]++;
    }
    for (unsigned state = 0; state < SHARE_GONE; state++) {
        atomic_store_explicit(&part->lens[state], part->ends[state] - state_begin(part, state),
                              memory_order_release);
    }
    return place;
}

static int part_grow(struct share_part *part)
{
    uint32_t cap = part->cap ? part->cap * 2 : 2;
    struct share_member *members = memory_resize(part->members, cap * sizeof(*members));

    if (!members) {
        return -ENOMEM;
    }
    part->members = members;
    part->cap = cap;
    return 0;
}

int share_add_member(struct shard *shard, struct share *share, struct subscriber subscriber)
{
    struct share_part *part = &share->parts[shard->worker];
    uint32_t place = part->ends[SHARE_GONE];

    if (place == part->cap) {
        int r = part_grow(part);

        if (r < 0) {
            return r;
        }
    }
    part->members[place] = (struct share_member){
        .session = subscriber.session,
        .identifier = subscriber.identifier,
        .at = membership_add(subscriber.session, share->node),
        .options = subscriber.options,
    };
    subscriptions_add(&subscriber.session->subscriptions, share->node, place);
    part->ends[SHARE_GONE]++;
    change_state(share, part, place, SHARE_ABLE);
    return 0;
}

void share_remove_member(struct shard *shard, struct share *share, struct session *session)
{
    struct share_part *part = &share->parts[shard->worker];
    uint32_t place = subscription_of(share, session)->place;

    membership_remove(shard, session, part->members[place].at);
    place = change_state(share, part, place, SHARE_GONE);
    swap_members(share, part, place, part->ends[SHARE_GONE] - 1);
    part->ends[SHARE_GONE]--;
    subscriptions_remove(&session->subscriptions, share->node);
}

struct share_member *share_member(const struct shard *shard, struct share *share,
                                  const struct session *session)
{
    return &share->parts[shard->worker].members[subscription_of(share, session)->place];
}

void share_set_state(const struct shard *shard, struct share *share, const struct session *session,
                     enum share_state state)
{
    struct share_part *part = &share->parts[shard->worker];

    change_state(share, part, subscription_of(share, session)->place, state);
}

/* Dealing */

static uint32_t len_of(const struct share *share, unsigned worker, enum share_state state)
{
    return atomic_load_explicit(&share->parts[worker].lens[state], memory_order_acquire);
}

uint32_t share_len(const struct share *share, unsigned worker, enum share_state last)
{
    uint32_t len = 0;

    for (unsigned state = SHARE_ABLE; state <= last; state++) {
        len += len_of(share, worker, state);
    }
    return len;
}

/* Counts may change between the two looks: then the turn is the last worker's that has any. */
static bool deal_in_state(const struct share *share, uint64_t ticket, enum share_state state,
                          unsigned *worker_out, uint32_t *turn_out)
{
    uint64_t total = 0;
    uint64_t turn;
    bool found = false;

    for (unsigned i = 0; i < share->worker_len; i++) {
        total += len_of(share, i, state);
    }
    if (total == 0) {
        return false;
    }
    turn = ticket % total;
    for (unsigned i = 0; i < share->worker_len; i++) {
        uint32_t len = len_of(share, i, state);

        if (len > 0) {
            *worker_out = i;
            *turn_out = (uint32_t)MIN(turn, (uint64_t)len - 1);
            found = true;
        }
        if (turn < len) {
            break;
        }
        turn -= len;
    }
    return found;
}

bool share_deal(struct share *share, unsigned *worker_out, uint32_t *turn_out)
{
    uint64_t ticket = atomic_fetch_add_explicit(&share->ticket, 1, memory_order_relaxed);

    for (unsigned state = SHARE_ABLE; state < SHARE_GONE; state++) {
        if (deal_in_state(share, ticket, state, worker_out, turn_out)) {
            return true;
        }
    }
    return false;
}
