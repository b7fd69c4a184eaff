#include "sim/network.h"
#include "sim/proxy.h"
#include "sim/scheduler.h"

/*
 * WebSocket and TLS at the client's end of a connection, the one inside the other, and a PROXY
 * header in front of both. Packets gather in `said`, go through frames to `framed`, and from there
 * through records to the wire; of both they go out together or in pieces. What a packet is to the
 * others does not depend on it: it is read with the byte of its frame that ends it, or with its
 * whole record.
 */

/* What is for the wire, or for TLS where there is that. */
static struct bytes *framed_of(struct connection *connection)
{
    return connection->port & NETWORK_TLS ? &connection->framed : &connection->to_server;
}

void stage_begin(struct connection *connection)
{
    struct choice *choice = scheduler_choice();

    if (connection->port & NETWORK_PROXY) {
        sim_proxy_put(choice, &connection->to_server);
    }
    if (connection->port & NETWORK_TLS) {
        sim_tls_begin(&connection->tls, choice, &connection->to_server);
    }
    if (connection->port & NETWORK_WEB) {
        connection->is_hasty = choice_chance(choice, 300);
        sim_web_request(&connection->web, choice, framed_of(connection));
    }
}

/* ---- frames ---- */

/* Those that end in what was put last. */
static void note_framed(struct connection *connection)
{
    struct packet_log *log = &connection->sent;

    while (log->framed < log->len &&
           log->packets[log->framed].packet.end <= connection->said.read) {
        struct logged_packet *logged = &log->packets[log->framed++];

        logged->wire_end =
            framed_of(connection)->written - (connection->said.read - logged->packet.end);
    }
    if ((connection->port & NETWORK_TLS) == 0) {
        log->on_wire = log->framed;
    }
}

/* Frames come behind the server's answer [RFC 6455 section 4.1]; who is hasty does not care. */
static bool may_frame(const struct connection *connection)
{
    return (connection->port & NETWORK_WEB) == 0 || connection->is_hasty ||
           (connection->agreed_end > 0 && connection->to_client.read >= connection->agreed_end);
}

static size_t put_frame(struct connection *connection)
{
    struct slice rest = bytes_rest(&connection->said);

    if (connection->port & NETWORK_WEB) {
        return sim_web_put(&connection->web, scheduler_choice(), rest, framed_of(connection));
    }
    bytes_write(framed_of(connection), rest.data, rest.len);
    return rest.len;
}

static bool push_frames(struct connection *connection)
{
    bool has_put = false;

    while (may_frame(connection) && bytes_waiting(&connection->said) > 0) {
        connection->said.read += put_frame(connection);
        note_framed(connection);
        has_put = true;
    }
    return has_put;
}

/* ---- records ---- */

/* Those that end in the record that was put last. */
static void note_sealed(struct connection *connection)
{
    struct packet_log *log = &connection->sent;

    while (log->on_wire < log->framed &&
           log->packets[log->on_wire].wire_end <= connection->framed.read) {
        log->packets[log->on_wire++].wire_end = connection->to_server.written;
    }
}

/* An answer of the handshake stands in front of all else, and nothing goes out before that is read
 * which it answers, or which ends the handshake. */
static bool may_seal(const struct connection *connection)
{
    return (connection->port & NETWORK_TLS) != 0 && !connection->tls.is_spoilt &&
           connection->to_client.read >= connection->asked_end;
}

static bool push_answer(struct connection *connection)
{
    bool has_answer = may_seal(connection) && sim_tls_has_answer(&connection->tls);

    if (has_answer) {
        sim_tls_put_answer(&connection->tls, &connection->to_server);
    }
    return has_answer;
}

static bool push_records(struct connection *connection)
{
    bool has_put = push_answer(connection);

    while (may_seal(connection) && connection->tls.is_ready &&
           bytes_waiting(&connection->framed) > 0) {
        connection->framed.read +=
            sim_tls_put(&connection->tls, scheduler_choice(), bytes_rest(&connection->framed),
                        &connection->to_server);
        note_sealed(connection);
        has_put = true;
    }
    return has_put;
}

bool stage_push(struct connection *connection)
{
    bool has_framed = push_frames(connection);

    return push_records(connection) || has_framed;
}

bool stage_is_done(const struct connection *connection)
{
    return (connection->port & NETWORK_TLS) == 0 ||
           (bytes_waiting(&connection->framed) == 0 && !sim_tls_has_answer(&connection->tls));
}

/* ---- what comes in ---- */

/* `behind`: bytes of to_client that are none of these. */
static void hear_frames(struct connection *connection, struct slice bytes, size_t behind,
                        stage_heard_fn on_heard)
{
    bool was_open = connection->web.is_open;

    while (bytes.len > 0) {
        struct slice data = bytes;

        if (connection->port & NETWORK_WEB) {
            data = sim_web_take(&connection->web, &bytes);
        } else {
            bytes.len = 0;
        }
        bytes_write(&connection->heard, data.data, data.len);
        on_heard(connection, connection->to_client.written - behind -
                                 (connection->port & NETWORK_TLS ? 0 : bytes.len));
    }
    if (!was_open && connection->web.is_open) {
        connection->agreed_end = connection->to_client.written - behind;
    }
}

static void hear_records(struct connection *connection, struct slice bytes, stage_heard_fn on_heard)
{
    struct sim_tls *tls = &connection->tls;

    while (bytes.len > 0) {
        bool was_ready = tls->is_ready;
        struct slice plain = sim_tls_take(tls, &bytes);

        if (sim_tls_has_answer(tls) || tls->is_ready != was_ready) {
            connection->asked_end = connection->to_client.written - bytes.len;
        }
        hear_frames(connection, plain, bytes.len, on_heard);
    }
}

void stage_hear(struct connection *connection, size_t from, stage_heard_fn on_heard)
{
    struct slice bytes =
        slice_of(connection->to_client.data + from, connection->to_client.written - from);

    if (connection->port & NETWORK_TLS) {
        hear_records(connection, bytes, on_heard);
    } else {
        hear_frames(connection, bytes, 0, on_heard);
    }
}

/* ---- the end ---- */

void stage_finish(struct connection *connection)
{
    struct choice *choice = scheduler_choice();

    stage_push(connection);
    if ((connection->port & NETWORK_WEB) && may_frame(connection) && choice_chance(choice, 500)) {
        sim_web_put_close(&connection->web, choice, framed_of(connection));
    }
    push_records(connection);
    if (may_seal(connection) && connection->tls.is_ready && choice_chance(choice, 500)) {
        sim_tls_put_close(&connection->tls, &connection->to_server);
    }
}

void stage_spoil(struct connection *connection)
{
    stage_push(connection);
    sim_tls_put_garbage(&connection->tls, scheduler_choice(), &connection->to_server);
}
