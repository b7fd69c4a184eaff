#include "sim/store.h"

#include "core/message.h"
#include "core/shard.h"
#include "sim/fail.h"
#include "sim/ledger.h"
#include "sim/model.h"
#include "sim/network.h"

#include <stdlib.h>

/*
 * The log itself is not needed, only how far it reaches: for each message the place of its latest
 * record. A commit is two steps, so that there is a time in which more gathers behind it.
 */

#define WAIT_CAP    16384
#define UNACKED_CAP 256

struct wait_entry {
    struct store_wait *wait;
    uint64_t place; /* of the log when it began */
};

/* A PUBLISH that was read and is not acknowledged. */
struct unacked {
    uint16_t packet_id;
    uint32_t message;
};

struct talk {
    struct unacked unacked[UNACKED_CAP];
    unsigned len;
};

static struct {
    uint64_t place; /* records so far */
    uint64_t kept;
    uint64_t taken; /* by the commit under way; 0: none */
    bool is_dead;
    struct wait_entry *waits;
    unsigned wait_begin;
    unsigned wait_end;
    uint64_t latest[WIRE_MESSAGE_CAP];                      /* record of each message, 0 = none */
    uint64_t deliveries[WIRE_MESSAGE_CAP][MODEL_ACTOR_CAP]; /* first record to each actor */
    bool is_acked[WIRE_MESSAGE_CAP];
    unsigned reads[WIRE_MESSAGE_CAP]; /* how often it was read, and so perhaps published */
    struct talk *talks[NETWORK_CONNECTION_CAP];
} self;

/* "M0123:" */
static uint32_t message_number(struct slice payload)
{
    uint32_t number = 0;

    if (payload.len < 6) {
        return WIRE_NO_MESSAGE;
    }
    for (unsigned i = 1; i < 5; i++) {
        number = number * 10 + (payload.data[i] - (unsigned)'0');
    }
    return number < WIRE_MESSAGE_CAP ? number : WIRE_NO_MESSAGE;
}

uint32_t sim_store_message(const struct message *message)
{
    return message_number(message_payload(message));
}

/* "c12" */
unsigned sim_store_actor(struct slice client_id)
{
    unsigned number = 0;

    for (size_t i = 1; i < client_id.len; i++) {
        number = number * 10 + (client_id.data[i] - (unsigned)'0');
    }
    return number;
}

/* The store of the server */

static void note_delivery(uint32_t message, unsigned actor)
{
    uint64_t *first = &self.deliveries[message][actor];

    *first = *first ? *first : self.place;
}

/* What is retained is delivered again to whoever subscribes later, and a group's message to another
 * member when one leaves. Neither was promised to the publisher. */
static void put(void *context, struct shard *shard, const struct store_record *record)
{
    uint32_t number = WIRE_NO_MESSAGE;

    (void)context;
    self.place++;
    if (record->message) {
        number = sim_store_message(record->message);
    }
    ledger_put(shard, record, number);
    if (number == WIRE_NO_MESSAGE || record->kind != STORE_DELIVERY) {
        return;
    }
    note_delivery(number, sim_store_actor(record->client_id));
    if (record->message->marks.retain || record->is_handed_on) {
        return;
    }
    /* Of one that was published again an earlier publication may still be under way. */
    if (self.is_acked[number] && self.reads[number] == 1) {
        sim_fail("message %u is handed to the store after it was acknowledged", number);
    }
    self.latest[number] = self.place;
}

static void await(void *context, struct store_wait *wait)
{
    (void)context;
    if (self.is_dead) {
        store_end_wait(wait, false);
        return;
    }
    if (self.wait_end == WAIT_CAP) {
        sim_fail("too many wait for the store");
    }
    self.waits[self.wait_end++] = (struct wait_entry){wait, self.place};
}

static const struct store_ops ops = {.put = put, .await = await};

struct store sim_store(void)
{
    return (struct store){.ops = &ops};
}

/* Chance */

static void end_waits(uint64_t up_to, bool is_kept)
{
    while (self.wait_begin < self.wait_end && self.waits[self.wait_begin].place <= up_to) {
        store_end_wait(self.waits[self.wait_begin++].wait, is_kept);
    }
    if (self.wait_begin == self.wait_end) {
        self.wait_begin = self.wait_end = 0;
    }
}

/* A commit may have nothing to write: those who wait are waited for all the same. */
bool sim_store_step(void)
{
    if (self.taken) {
        self.kept = self.taken - 1;
        self.taken = 0;
        end_waits(self.kept, true);
        return true;
    }
    if (self.wait_begin < self.wait_end) {
        self.taken = self.place + 1;
        return true;
    }
    return false;
}

void sim_store_die(void)
{
    self.is_dead = true;
    self.taken = 0;
    end_waits(UINT64_MAX, false);
}

bool sim_store_is_dead(void)
{
    return self.is_dead;
}

/* What it is for */

static struct talk *talk_of(unsigned connection)
{
    if (!self.talks[connection]) {
        self.talks[connection] = calloc(1, sizeof(struct talk));
    }
    if (!self.talks[connection]) {
        sim_fail("out of memory");
    }
    return self.talks[connection];
}

void sim_store_on_read(unsigned connection, const struct wire_packet *packet)
{
    struct talk *talk = talk_of(connection);

    if (packet->type == MQTT_PUBLISH && packet->qos > 0 && talk->len < UNACKED_CAP) {
        talk->unacked[talk->len++] = (struct unacked){packet->packet_id, packet->message};
        if (packet->message != WIRE_NO_MESSAGE) {
            /* Sent again, for its acknowledgement may have been lost: published again. */
            self.is_acked[packet->message] = false;
            self.reads[packet->message]++;
        }
    }
}

static void check_message(uint32_t message)
{
    if (message == WIRE_NO_MESSAGE) {
        return;
    }
    /* Of one that was published twice, the other copy may be on its way. */
    if (self.reads[message] == 1 && self.latest[message] > self.kept) {
        sim_fail("message %u is acknowledged and not kept", message);
    }
    self.is_acked[message] = true;
}

/* Of the first copy to each client alone: others may still be held when that one leaves. */
static void check_exactly_once(unsigned connection, const struct wire_packet *packet)
{
    unsigned actor = network_connection(connection)->actor;

    if (packet->qos == 2 && !packet->dup && packet->message != WIRE_NO_MESSAGE &&
        self.deliveries[packet->message][actor] > self.kept) {
        sim_fail("message %u is sent to client %u and not kept", packet->message, actor);
    }
}

void sim_store_on_written(unsigned connection, const struct wire_packet *packet)
{
    struct talk *talk = talk_of(connection);

    if (packet->type == MQTT_PUBLISH) {
        check_exactly_once(connection, packet);
    }
    if (packet->type != MQTT_PUBACK && packet->type != MQTT_PUBREC) {
        return;
    }
    for (unsigned i = 0; i < talk->len; i++) {
        if (talk->unacked[i].packet_id == packet->packet_id) {
            uint32_t message = talk->unacked[i].message;

            talk->unacked[i] = talk->unacked[--talk->len];
            if (packet->code < MQTT_UNSPECIFIED_ERROR) {
                check_message(message);
            }
            return;
        }
    }
}

/* Life */

void sim_store_start(void)
{
    memset(&self, 0, sizeof(self));
    ledger_start();
    self.waits = calloc(WAIT_CAP, sizeof(*self.waits));
    if (!self.waits) {
        sim_fail("out of memory");
    }
}

void sim_store_end(void)
{
    if (self.wait_begin < self.wait_end) {
        sim_fail("%u waits for the store are left", self.wait_end - self.wait_begin);
    }
    free(self.waits);
    ledger_end();
    for (unsigned i = 0; i < NETWORK_CONNECTION_CAP; i++) {
        free(self.talks[i]);
    }
}
