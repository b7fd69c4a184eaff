#include "sim/network.h"
#include "sim/scheduler.h"

/*
 * WebSocket at the client's end of a connection. Packets gather in `said` and go out together or
 * in pieces. What a packet is to the others does not depend on it: it is read with the byte of its
 * frame that ends it.
 */

void stage_begin(struct connection *connection)
{
    struct choice *choice = scheduler_choice();

    connection->is_hasty = choice_chance(choice, 300);
    sim_web_request(&connection->web, choice, &connection->to_server);
}

/* Those that end in the frame that was put last. */
static void note_sent(struct connection *connection)
{
    struct packet_log *log = &connection->sent;

    while (log->on_wire < log->len &&
           log->packets[log->on_wire].packet.end <= connection->said.read) {
        struct logged_packet *logged = &log->packets[log->on_wire++];

        logged->wire_end =
            connection->to_server.written - (connection->said.read - logged->packet.end);
    }
}

/* Frames come behind the server's answer [RFC 6455 section 4.1]; who is hasty does not care. */
static bool may_send(const struct connection *connection)
{
    return connection->is_hasty ||
           (connection->agreed_end > 0 && connection->to_client.read >= connection->agreed_end);
}

bool stage_push(struct connection *connection)
{
    bool has_sent = false;

    while (may_send(connection) && bytes_waiting(&connection->said) > 0) {
        connection->said.read += sim_web_put(&connection->web, scheduler_choice(),
                                             bytes_rest(&connection->said), &connection->to_server);
        note_sent(connection);
        has_sent = true;
    }
    return has_sent;
}

void stage_hear(struct connection *connection, size_t from, stage_heard_fn on_heard)
{
    struct slice bytes =
        slice_of(connection->to_client.data + from, connection->to_client.written - from);
    bool was_open = connection->web.is_open;

    while (bytes.len > 0) {
        struct slice data = sim_web_take(&connection->web, &bytes);

        bytes_write(&connection->heard, data.data, data.len);
        on_heard(connection, connection->to_client.written - bytes.len);
    }
    if (!was_open && connection->web.is_open) {
        connection->agreed_end = connection->to_client.written;
    }
}

void stage_finish(struct connection *connection)
{
    struct choice *choice = scheduler_choice();

    stage_push(connection);
    if (may_send(connection) && choice_chance(choice, 500)) {
        sim_web_put_close(&connection->web, choice, &connection->to_server);
    }
}
