#include "client/broker_test.h"
#include "client/bulletin.h"
#include "client/hub.h"
#include "net/proxy.h"

/* The whole broker but for the process. The test's thread is all clients. */

#define ASKED_MAX (64u * 1024 * 1024) /* bytes; far more than sockets and the broker hold */

/* Without memory */

/* Each allocation of the start fails once: there is no broker then, and nothing is left of it. */
static void test_no_memory_to_start(void **state)
{
    struct config_request request = {.path = "x.conf", .report = {.on_line = ignore_line}};
    struct server_params params = {.worker_len = 2, .budgets = server_budgets_default};
    struct server *server = NULL;
    unsigned n = 0;
    int r = -ENOMEM;

    (void)state;
    request.text = slice_of_text("listener 1883\n");
    assert_int_equal(config_read(&request, &params.settings), 0);
    while (r < 0) {
        memory_fail_after(++n);
        r = server_new(&params, &server);
        memory_fail_after(0);
        assert_true(r == 0 || r == -ENOMEM);
    }
    assert_true(n > 10);
    server_free(server);
    settings_unref(params.settings);
}

/* A session that ends here; a will with delay, expiry and a user property; a user name. */
#define RICH_CONNECT                                                                \
    "'MQTT' 05 c6 0000 05 11 00000000 'victim' 11 18 00000000 02 00000009 26'a''b'" \
    "'will' 'dead' 'anna' 'pw'"

/* Everything that makes the broker allocate. False: it was refused somewhere. */
static bool live_fully(struct peer *peer)
{
    if (!say(peer, 0x10, RICH_CONNECT, 0x20) ||
        !say(peer, 0x82, "0001 02 0b07 'a/+' 01 'b/#' 02 'c' 00 'big' 01", 0x90) ||
        !say(peer, 0x33, "'r/1' 0002 05 26'''' 72", 0x40) || /* retained */
        !say(peer, 0x32, "'c' 0003 03 230001 70", 0x40) ||   /* sets an alias */
        !say(peer, 0x32, "'' 0004 03 230001 70", 0x40)) {    /* uses it */
        return false;
    }
    put_large(peer, 0x34, "'big' 0007 00", 20000, "");
    return await(peer, 0x50) && say(peer, 0x62, "0007", 0x70) &&
           say(peer, 0x82, "0008 00 'r/#' 00", 0x90) && say(peer, 0xA2, "0009 00 'b/#'", 0xB0) &&
           is_alive(peer);
}

/* Ends with a reset, so that the will is sent. */
static bool live_until_reset(const struct broker *broker)
{
    struct peer *peer = peer_new(broker);
    struct linger linger = {.l_onoff = 1};
    bool is_good = live_fully(peer);

    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    peer_free(peer);
    return is_good;
}

/*
 * The n-th allocation of each worker fails. Answers whether one did. It may cost one client its
 * connection, and nobody else anything.
 */
static bool fail_nth(unsigned long n, unsigned worker_len)
{
    struct broker *broker = broker_new("", worker_len, n);
    struct peer *control = peer_new(broker);
    bool is_good = say(control, 0x10, "'MQTT' 04 02 0000 'control'", 0x20) &&
                   say(control, 0x82, "0001 'will' 01", 0x90);
    unsigned lost = 0;

    lost += !live_until_reset(broker);
    lost += !live_until_reset(broker);
    lost += !(is_good && is_alive(control));
    peer_free(control);
    assert_true(lost <= worker_len);
    return broker_free(broker);
}

/* Holds 3.1.1: MQTT-4.8.0-2. */
static void test_one_worker_without_memory(void **state)
{
    unsigned long n = 1;

    (void)state;
    while (fail_nth(n, 1)) {
        n++;
        assert_true(n < 1000);
    }
    assert_true(n > 20);
}

static void test_four_workers_without_memory(void **state)
{
    (void)state;
    for (unsigned long n = 1; n < 30; n++) {
        fail_nth(n, 4);
    }
}

/* Bytes */

/* What follows it is not lost when the client moves to its home. */
static void test_packets_behind_a_large_connect(void **state)
{
    struct broker *broker = broker_new("", 4, 0);

    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        struct peer *peer = peer_new(broker);
        char front[64];

        /* A user name of zeros is none; a will's payload may be: of 0x2000 bytes. */
        snprintf(front, sizeof(front), "'MQTT' 04 06 0000 'large%x' 'w' 2000", i);
        put_large(peer, 0x10, front, 10 + 2 + 6 + 3 + 2 + 0x2000, "82 06 0001 'a' 00");
        assert_answer(peer, 0x20, "0000");
        assert_answer(peer, 0x90, "0001 00");
        peer_free(peer);
    }
    broker_free(broker);
}

/* Requests, and the answer: a DISCONNECT's reason, or what else comes. */
static void test_what_ends_a_connection(void **state)
{
    static const struct {
        uint8_t type;
        const char *body;
        uint8_t answer; /* 0: just closed */
        const char *answer_body;
    } rows[] = {
        {0xE0, "",                                    0,    ""  }, /* DISCONNECT */
        {0xE0, "04",                                  0,    ""  },
        {0xE0, "98",                                  0,    ""  }, /* allowed to both sides */
        {0xE0, "8b",                                  0xE0, "82"}, /* to servers alone */
        {0xE0, "8e",                                  0xE0, "82"},
        {0xE0, "87",                                  0xE0, "82"},
        {0xE0, "a2",                                  0xE0, "82"},
        {0xE0, "00 05 11 00000005",                   0xE0, "82"}, /* section 3.14.2.2.2 */
        {0x10, "'MQTT' 05 02 0000 00 'x'",            0xE0, "82"}, /* [MQTT-3.1.0-2] */
        {0xF0, "",                                    0xE0, "82"}, /* AUTH without a method */
        {0x20, "0000 00",                             0xE0, "82"}, /* CONNACK from a client */
        {0xC0, "00",                                  0xE0, "81"},
        {0xC1, "",                                    0xE0, "81"},
        {0x36, "'a' 0001 00",                         0xE0, "81"}, /* QoS 3 */
        {0x30, "'a/#' 00",                            0xE0, "90"},
        {0x30, "0001 ff 00",                          0xE0, "81"}, /* [MQTT-1.5.4-1] */
        {0x30, "0001 ff 03 230001",                   0xE0, "81"},
        {0x30, "'a' 03 230000",                       0xE0, "94"},
        {0x30, "'a' 03 23000b",                       0xE0, "94"},
        {0x30, "'' 03 230001",                        0xE0, "82"},
        {0x82, "0001 00 'a/#/b' 00",                  0xE0, "81"},
        {0x82, "0001 00",                             0xE0, "82"},
        {0x82,
         "0001 00 'a' 00 'a' 00 'a' 00 'a' 00 'a' 00 'a' 00 'a' 00 'a' 00 'a' 00 'a' 00"
         "'a' 00 'a' 00 'a' 00 'a' 00 'a' 00 'a' 00", 0xE0, "95"}, /* answer too large */
    };
    struct broker *broker = broker_new("", 2, 0);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct peer *peer = peer_new(broker);

        assert_true(say(peer, 0x10, "'MQTT' 05 02 0000 05 27 00000014 'x'", 0x20));
        put(peer, rows[i].type, rows[i].body);
        if (rows[i].answer) {
            assert_answer(peer, rows[i].answer, rows[i].answer_body);
        }
        assert_false(get(peer));
        peer_free(peer);
    }
    broker_free(broker);
}

static void test_connack(void **state)
{
    static const struct {
        const char *options;
        const char *connect;
        const char *answer; /* NULL: just closed */
    } rows[] = {
        {"",                                  "'MQTT' 04 02 0000 'x'",                   "0000"                            },
        {"",                                  "'MQTT' 05 02 0000 00 'x'",                "0000 0b 22000a 27001e8480 210014"},
        {"",                                  "'MQTT' 05 02 0000 05 27 00000010 'x'",    "0000 0b 22000a 27001e8480 210014"},
        {"",                                  "'MQTT' 05 02 0000 05 27 0000000f 'x'",    NULL                              }, /* one byte too large for it */
        {"persistent_client_expiration 1h\n", "'MQTT' 05 02 0000 05 11 ffffffff 'x'",
         "0000 10 22000a 11 00000e10 27001e8480 210014"                                                                    },
        {"persistent_client_expiration 1h\n", "'MQTT' 05 02 0000 05 11 00000e10 'x'",
         "0000 0b 22000a 27001e8480 210014"                                                                                },
        {"max_keepalive 60\n",                "'MQTT' 05 02 0000 00 'x'",
         "0000 0e 22000a 13003c 27001e8480 210014"                                                                         },
        {"max_keepalive 60\n",                "'MQTT' 04 02 0000 'x'",                   "0002"                            },
        {"allow_anonymous false\n",           "'MQTT' 04 02 0000 'x'",                   "0005"                            },
        {"allow_anonymous false\n",           "'MQTT' 05 02 0000 00 'x'",                "0087 00"                         },
        {"",                                  "'MQTT' 04 00 0000 ''",                    "0002"                            },
        {"",                                  "'MQIsdp' 03 02 0000 ''",                  "0002"                            },
        {"",                                  "'MQTT' 06 02 0000 00 'x'",                "0001"                            },
        {"",                                  "'MQTT' 00 02 0000 'x'",                   "0001"                            }, /* [MQTT-3.1.2-2] */
        {"",                                  "'MQTX' 04 02 0000 'x'",                   NULL                              },
        {"",                                  "'MQTT' 05 02 0000 04 15'm' 'x'",          "008c 00"                         },
        {"",                                  "'MQTT' 05 06 0000 00 'x' 00 '$SYS/x' ''", "0087 00"                         },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct broker *broker = broker_new(rows[i].options, 1, 0);
        struct peer *peer = peer_new(broker);

        put(peer, 0x10, rows[i].connect);
        if (rows[i].answer) {
            assert_answer(peer, 0x20, rows[i].answer);
        } else {
            assert_false(get(peer));
        }
        peer_free(peer);
        broker_free(broker);
    }
}

/* Exactly as many as allowed, however many workers accept; and a place is given back. */
static void test_max_connections(void **state)
{
    struct broker *broker = broker_new("max_connections 3\n", 4, 0);

    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct peer *peers[12];
        unsigned welcome = 0;

        for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
            peers[i] = peer_new(broker);
        }
        for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
            welcome += say(peers[i], 0x10, "'MQTT' 04 02 0000 ''", 0x20);
        }
        assert_int_equal(welcome, 3);
        for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
            put(peers[i], 0xE0, "");
            assert_false(get(peers[i]));
            peer_free(peers[i]);
        }
    }
    broker_free(broker);
}

/* What limits refuse */

/* Says `connect`, must get `answer` and a close. */
static void expect_refused(struct broker *broker, const char *connect, const char *answer)
{
    struct peer *peer = peer_new(broker);

    put(peer, 0x10, connect);
    assert_answer(peer, 0x20, answer);
    assert_false(get(peer));
    peer_free(peer);
}

/* A client of 5.0 that sends this packet, must get `answer` and a close. */
static void expect_ended(struct broker *broker, uint8_t type, const char *body, const char *answer)
{
    struct peer *peer = peer_new(broker);

    assert_true(say(peer, 0x10, "'MQTT' 05 02 0000 00 'a'", 0x20));
    put(peer, type, body);
    assert_answer(peer, 0xE0, answer);
    assert_false(get(peer));
    peer_free(peer);
}

static void refuse_one_each(struct broker *broker)
{
    struct peer *peer = peer_new(broker);

    assert_true(say(peer, 0x10, "'MQTT' 05 02 0000 00 'kept'", 0x20));
    put(peer, 0x32, "'t' 0001 00 313233");
    assert_answer(peer, 0x40, "0001 83"); /* message_size_limit */
    expect_refused(broker, "'MQIsdp' 03 02 0000 'a'", "00 01");
    expect_refused(broker, "'MQTT' 04 02 0000 ''", "00 02"); /* max_keepalive */
    expect_refused(broker, "'MQTT' 05 02 0001 03 15 0000 'a'", "00 8c 00");
    expect_refused(broker, "'MQTT' 04 82 0000 '' 'me'", "00 02"); /* before its name is looked at */
    expect_ended(broker, 0x34, "'t' 0001 00", "9b");              /* max_qos */
    expect_ended(broker, 0x30, "'t' 03 230063", "94");
    put(peer, 0xE0, "");
    assert_false(get(peer));
    peer_free(peer);
}

/* Each by its reason, and nothing else. */
static void test_refusals_are_counted(void **state)
{
    struct broker *broker = broker_new(
        "max_qos 1\nmax_keepalive 60\nmessage_size_limit 2\naccept_protocol_versions 4, 5\n", 2, 0);
    static const uint64_t expected[METRIC_LEN] = {
        [METRIC_KEEP_ALIVE_REFUSED] = 2,
        [METRIC_CONNECT_REFUSED + MQTT_CLIENT_ID_NOT_VALID] = 2,
        [METRIC_CONNECT_REFUSED + MQTT_BAD_AUTHENTICATION_METHOD] = 1,
        [METRIC_CONNECT_REFUSED + MQTT_UNSUPPORTED_PROTOCOL_VERSION] = 1,
        [METRIC_ENDED + MQTT_QOS_NOT_SUPPORTED] = 1,
        [METRIC_ENDED + MQTT_TOPIC_ALIAS_INVALID] = 1,
        [METRIC_PUBLISH_REFUSED + MQTT_IMPLEMENTATION_SPECIFIC_ERROR] = 1,
    };
    static const unsigned families[] = {METRIC_CONNECT_REFUSED, METRIC_ENDED,
                                        METRIC_PUBLISH_REFUSED};
    uint64_t values[METRIC_LEN];

    (void)state;
    refuse_one_each(broker);
    server_sum(broker->server, values);
    assert_int_equal(values[METRIC_KEEP_ALIVE_REFUSED], expected[METRIC_KEEP_ALIVE_REFUSED]);
    for (unsigned i = 0; i < ARRAY_LEN(families); i++) {
        assert_memory_equal(&values[families[i]], &expected[families[i]], 256 * sizeof(values[0]));
    }
    broker_free(broker);
}

/* Only who gives a name logs in, whatever becomes of it. */
static void test_logins_are_counted(void **state)
{
    static const struct {
        const char *options;
        uint64_t success;
        uint64_t fail;
    } rows[] = {
        {"allow_anonymous true\n",  2, 0},
        {"allow_anonymous false\n", 0, 2},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct broker *broker = broker_new(rows[i].options, 2, 0);
        const char *answer = rows[i].success > 0 ? "0000" : "0005";
        static const char *const connects[] = {"'MQTT' 04 82 0000 'a' 'me'",
                                               "'MQTT' 04 02 0000 'b'",
                                               "'MQTT' 04 c2 0000 'c' 'me' 'word'"};
        uint64_t values[METRIC_LEN];

        for (size_t j = 0; j < ARRAY_LEN(connects); j++) {
            struct peer *peer = peer_new(broker);

            put(peer, 0x10, connects[j]);
            assert_answer(peer, 0x20, answer);
            peer_free(peer);
        }
        server_sum(broker->server, values);
        assert_int_equal(values[METRIC_BASIC_AUTH_SUCCESS], rows[i].success);
        assert_int_equal(values[METRIC_BASIC_AUTH_FAIL], rows[i].fail);
        broker_free(broker);
    }
}

/* As they are sent, in hexadecimal, before a CONNECT; false: the broker has closed. */
static bool come_with(struct broker *broker, const char *header)
{
    struct slice bytes = bytes_parse(header);
    struct peer *peer = peer_new(broker);
    bool is_in;

    put_bytes(peer, bytes.data, bytes.len);
    is_in = say(peer, 0x10, "'MQTT' 04 02 0000 'a'", 0x20);
    peer_free(peer);
    bytes_free(bytes);
    return is_in;
}

#define PROXY_V2 "0d0a0d0a000d0a515549540a"

/* The broken ones are no CONNECT either. */
static void test_proxy_headers_are_counted(void **state)
{
    struct broker *broker = broker_new("enable_proxy_protocol any\n", 2, 0);
    uint64_t values[METRIC_LEN];

    (void)state;
    assert_true(come_with(broker, PROXY_V2 "21 11 000c c0000201 c6336401 1111 2222"));
    assert_true(come_with(broker, PROXY_V2 "20 00 0000"));
    assert_true(come_with(broker, PROXY_V2 "20 00 0000"));
    assert_false(come_with(broker, PROXY_V2 "2f 11 000c c0000201 c6336401 1111 2222"));
    assert_false(come_with(broker, ""));
    server_sum(broker->server, values);
    assert_int_equal(values[METRIC_PROXY_PROXY], 1);
    assert_int_equal(values[METRIC_PROXY_LOCAL], 2);
    assert_int_equal(values[METRIC_PROXY_REFUSED + PROXY_REFUSAL_COMMAND], 1);
    assert_int_equal(values[METRIC_PROXY_REFUSED + PROXY_REFUSAL_SIGNATURE], 1);
    broker_free(broker);
}

static void await_bulletin(struct broker *broker, struct bulletin *bulletin)
{
    assert_int_equal(server_publish(broker->server, bulletin), 0);
    for (unsigned i = 0; bulletin_is_under_way(bulletin); i++) {
        assert_true(i < PATIENCE_S * 1000);
        usleep(1000);
    }
}

/* What is due is published, retained, to those who are there and who come. */
static void test_bulletins(void **state)
{
    struct broker *broker = broker_new("", 4, 0);
    struct peer *peer = peer_new(broker);
    struct bulletin_row rows[] = {
        {.topic = "$SYS/a", .is_due = true, .len = 1,   .text = "1"},
        {.topic = "$SYS/b",                 .len = 1,               .text = "2"},
        {.topic = "$SYS/c",                 .len = 1,               .text = "3"},
    };
    struct bulletin bulletin = {.rows = rows, .row_len = ARRAY_LEN(rows)};

    (void)state;
    await_bulletin(broker, &bulletin);
    assert_false(rows[0].is_due || rows[1].is_due || rows[2].is_due);
    assert_true(say(peer, 0x10, "'MQTT' 04 02 0000 'a'", 0x20));
    assert_true(say(peer, 0x82, "0001 '$SYS/#' 02", 0x90));
    assert_answer(peer, 0x35, "'$SYS/a' 0001 31");
    rows[1].is_due = true;
    rows[2].is_due = true;
    await_bulletin(broker, &bulletin);
    assert_answer(peer, 0x34, "'$SYS/b' 0002 32");
    assert_answer(peer, 0x34, "'$SYS/c' 0003 33");
    assert_int_equal(core_count(server_core(broker->server), METRIC_RETAINED), 3);
    peer_free(peer);
    broker_free(broker);
}

/* Sends requests until the broker reads no more of them; answers how many that were. */
static size_t ask_without_reading(struct peer *peer)
{
    uint8_t packets[4096];
    size_t sent = 0;
    ssize_t len = 0;

    for (size_t i = 0; i < sizeof(packets); i += 2) {
        packets[i] = 0xC0;
        packets[i + 1] = 0;
    }
    /* A piece of a packet may be left over: so much the better. */
    while (len >= 0 && sent < ASKED_MAX) {
        struct timeval second = {.tv_sec = 1};

        setsockopt(peer->fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
        len = send(peer->fd, packets + sent % 2, sizeof(packets) - sent % 2, MSG_NOSIGNAL);
        sent += len > 0 ? (size_t)len : 0;
    }
    return sent / 2;
}

/* Who does not read the answers is not read any more; nothing is lost, and nobody else suffers. */
static void test_answers_that_nobody_reads(void **state)
{
    struct broker *broker = broker_new("", 1, 0);
    struct peer *peer = peer_new(broker);
    struct peer *other = peer_new(broker);
    size_t asked;

    (void)state;
    assert_true(say(peer, 0x10, "'MQTT' 04 02 0000 'x'", 0x20));
    assert_true(say(other, 0x10, "'MQTT' 04 02 0000 'y'", 0x20));
    asked = ask_without_reading(peer);
    assert_true(asked * 2 < ASKED_MAX);
    assert_true(is_alive(other));
    for (size_t left = asked * 2; left > 0; left -= MIN(left, (size_t)PACKET_CAP)) {
        assert_true(get_bytes(peer, peer->body, MIN(left, (size_t)PACKET_CAP)));
    }
    peer_free(peer);
    peer_free(other);
    broker_free(broker);
}

int main(void)
{
    const struct log_options quiet = {0};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory_to_start),
        cmocka_unit_test(test_one_worker_without_memory),
        cmocka_unit_test(test_four_workers_without_memory),
        cmocka_unit_test(test_packets_behind_a_large_connect),
        cmocka_unit_test(test_what_ends_a_connection),
        cmocka_unit_test(test_connack),
        cmocka_unit_test(test_max_connections),
        cmocka_unit_test(test_refusals_are_counted),
        cmocka_unit_test(test_logins_are_counted),
        cmocka_unit_test(test_proxy_headers_are_counted),
        cmocka_unit_test(test_bulletins),
        cmocka_unit_test(test_answers_that_nobody_reads),
    };

    log_init(&quiet);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
