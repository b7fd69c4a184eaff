#include "access/acl.h"
#include "base/random_test.h"
#include "base/test.h"
#include "client/client.h"
#include "client/hub.h"
#include "client/rights.h"
#include "config/reader.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Rights that are remembered are those that the rules give who asks: compared with the rules
 * themselves, for every kind of rule and client, while rules and clients come and go.
 */

enum { CLIENT_LEN = 12, TOPIC_LEN = 15 };

struct visitor {
    const char *id;
    const char *username; /* NULL: none */
    struct client client;
    struct client_facts facts;
    struct session *session;
};

struct fixture {
    struct hub *hub;
    struct shard shard;
    struct settings *settings;
    struct server_listener *listener;
    struct access *access; /* the rules that hold */
    struct visitor visitors[CLIENT_LEN];
    struct match_groups groups[TOPIC_LEN]; /* as the match cache keeps them, for ever */
};

static void ignore_line(void *context, enum log_type type, const char *text)
{
    (void)context;
    (void)type;
    (void)text;
}

static const struct report report = {.on_line = ignore_line};

/* The settings with an ACL file of this text, and what is read from it; NULL: no file. */
static struct settings *read_rules(const char *rules, struct access **access_out)
{
    char path[] = "/tmp/nightjar-rights-XXXXXX";
    char text[256];
    int fd = mkstemp(path);
    struct config_request request = {.report = report, .path = "x.conf"};
    struct settings *settings;
    struct access_set set;

    assert_true(fd >= 0);
    if (rules) {
        assert_int_equal(write(fd, rules, strlen(rules)), strlen(rules));
        assert_int_equal(fchmod(fd, 0600), 0);
    }
    close(fd);
    snprintf(text, sizeof(text), "listener 1883\nallow_anonymous true\n%s%s\n",
             rules ? "acl_file " : "", rules ? path : "");
    request.text = slice_of_text(text);
    assert_int_equal(config_read(&request, &settings), 0);
    assert_int_equal(access_load(settings, &report, &set), ACCESS_LOADED);
    unlink(path);
    *access_out = access_ref(set.accesses[0]);
    access_set_deinit(&set);
    return settings;
}

static struct session *session_of(const char *id)
{
    size_t len = strlen(id);
    struct session *session = memory_must_alloc_zero(1, sizeof(*session) + len);

    session->id_len = (uint16_t)len;
    memcpy(session->id, id, len);
    return session;
}

static void leave(struct visitor *visitor)
{
    if (visitor->session) {
        rights_free(visitor->session->rights);
    }
    visitor->session = memory_free(visitor->session);
}

/* Anew, with what it may be known by. */
static void come(struct fixture *fixture, struct visitor *visitor, const char *id,
                 const char *username)
{
    leave(visitor);
    visitor->id = id;
    visitor->username = username;
    visitor->facts = (struct client_facts){.username = (char *)(uintptr_t)username};
    visitor->client = (struct client){
        .hub = fixture->hub, .listener = fixture->listener, .facts = &visitor->facts};
    visitor->session = session_of(id);
    visitor->session->client = &visitor->client;
}

static struct fixture *fixture_new(const char *rules)
{
    struct fixture *fixture = memory_must_alloc_zero(1, sizeof(*fixture));
    struct server_listener_params params = {.worker_len = 1};

    fixture->hub = memory_must_alloc_zero(1, sizeof(*fixture->hub));
    fixture->hub->shard = &fixture->shard;
    fixture->shard.peer = &client_peer_ops;
    fixture->shard.limits.asks_rights = true;
    fixture->settings = read_rules(rules, &fixture->access);
    params.terms = fixture->settings;
    params.settings = &fixture->settings->listeners[0];
    params.access = fixture->access;
    assert_int_equal(server_listener_new(&params, &fixture->listener), 0);
    return fixture;
}

static void fixture_free(struct fixture *fixture)
{
    for (size_t i = 0; i < CLIENT_LEN; i++) {
        leave(&fixture->visitors[i]);
    }
    server_listener_unref(fixture->listener);
    settings_unref(fixture->settings);
    access_unref(fixture->access);
    memory_free(fixture->hub);
    memory_free(fixture);
}

/* As a reload does on this worker. */
static void change_rules(struct fixture *fixture, const char *rules)
{
    struct access *access;

    settings_unref(read_rules(rules, &access));
    server_places_turn(fixture->listener->places, 0, access);
    access_unref(fixture->access);
    fixture->access = access;
}

static const char *const names[] = {"anna", "bob", "a", "c#", "b", NULL};
static const char *const topics[TOPIC_LEN] = {
    "a/b",  "a/c",  "a/b/c", "b/a",      "b/b",    "anna/bob", "anna/a",   "bob/b",
    "c#/b", "anna", "b",     "bob/anna", "$SYS/a", "anna/b",   "nowhere/x"};

/* Few hashes for many topics: a decision is not taken for another topic's. */
static bool may(struct fixture *fixture, const struct visitor *visitor, const char *topic,
                enum peer_right right)
{
    struct slice copy = bytes_copy(slice_of_text(topic));
    bool is_allowed = rights_may(&fixture->shard, visitor->session, copy, copy.len % 2, right);

    bytes_free(copy);
    return is_allowed;
}

/* The same, of a message that is published: what is known of its topic comes first. */
static bool may_with(struct fixture *fixture, const struct visitor *visitor, size_t topic,
                     enum peer_right right)
{
    struct message_parts parts = {.topic = bytes_copy(slice_of_text(topics[topic])),
                                  .topic_hash = topic % 2};
    bool is_allowed =
        session_may(&fixture->shard, visitor->session, &parts, right, &fixture->groups[topic]);

    bytes_free(parts.topic);
    return is_allowed;
}

/* What the rules say, looked up for this question alone. */
static bool should(const struct fixture *fixture, const struct visitor *visitor, const char *topic,
                   enum peer_right right)
{
    const struct acl *acl = access_acl(fixture->access);
    struct slice username = slice_of_text(visitor->username ? visitor->username : "");
    struct acl_who who;

    if (!acl) {
        return true;
    }
    acl_look_up(acl, slice_of_text(visitor->id), visitor->username ? &username : NULL, NULL, &who);
    return (acl_rights(acl, &who, slice_of_text(topic)) & right) != 0;
}

static const char *const rule_sets[] = {
    "topic read a/#\nuser anna\ntopic write a/b\nuser bob\ntopic deny a/b\ntopic readwrite a/#\n",
    "topic write a/b\nuser anna\ntopic read b/#\nuser bob\ntopic readwrite anna/bob\n",
    "pattern read a/#\nuser anna\ntopic write a/c\n",
    "pattern readwrite %c/#\n",
    "pattern readwrite %u/#\nuser bob\ntopic read a/b\n",
    "pattern read %c/%u\npattern deny %u/b\nuser anna\ntopic readwrite #\n",
    "pattern read %{authority}/#\ntopic read a/b\n",
    NULL,
};

static const char *any_name(struct dice *dice, bool must_be)
{
    return names[dice_below(dice, (uint32_t)ARRAY_LEN(names) - must_be)];
}

static const char *any_rules(struct dice *dice)
{
    return rule_sets[dice_below(dice, ARRAY_LEN(rule_sets))];
}

static void check_some(struct fixture *fixture, struct dice *dice)
{
    for (unsigned i = 0; i < 40; i++) {
        const struct visitor *visitor = &fixture->visitors[dice_below(dice, CLIENT_LEN)];
        size_t topic = dice_below(dice, TOPIC_LEN);
        enum peer_right right = dice_below(dice, 2) ? PEER_READ : PEER_WRITE;
        bool is_allowed = dice_below(dice, 2) ? may(fixture, visitor, topics[topic], right)
                                              : may_with(fixture, visitor, topic, right);

        if (is_allowed != should(fixture, visitor, topics[topic], right)) {
            fail_msg("%s, %s: %d of %s", visitor->id, visitor->username, right, topics[topic]);
        }
    }
}

static void test_as_the_rules_say(void **state)
{
    struct dice dice = {1};

    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct fixture *fixture = fixture_new(any_rules(&dice));

        for (size_t i = 0; i < CLIENT_LEN; i++) {
            come(fixture, &fixture->visitors[i], any_name(&dice, true), any_name(&dice, false));
        }
        for (unsigned i = 0; i < 100; i++) {
            check_some(fixture, &dice);
            if (dice_below(&dice, 4) == 0) {
                change_rules(fixture, any_rules(&dice));
            }
            come(fixture, &fixture->visitors[dice_below(&dice, CLIENT_LEN)], any_name(&dice, true),
                 any_name(&dice, false));
        }
        fixture_free(fixture);
    }
}

static const struct decisions *decisions_of(const struct fixture *fixture)
{
    return &fixture->listener->places->rules[0].decisions;
}

/* All of a user, and all users without rules, find the decision of the first who asked. */
static void test_shared_by_who_has_the_same(void **state)
{
    static const char *const usernames[] = {"anna", "anna", "bob", "stranger", "other", NULL, NULL};
    struct fixture *fixture = fixture_new("topic read a\nuser anna\ntopic read a\nuser bob\n");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(usernames); i++) {
        come(fixture, &fixture->visitors[i], i % 2 ? "x" : "y", usernames[i]);
        may(fixture, &fixture->visitors[i], "a", PEER_READ);
        may(fixture, &fixture->visitors[i], "a", PEER_WRITE);
    }
    assert_int_equal(decisions_of(fixture)->len, 4);
    fixture_free(fixture);
}

/* The host name that TLS was asked for is one that only this client has. */
static void test_not_shared_where_a_pattern_names_somebody(void **state)
{
    static const char *const patterns[] = {"pattern read %c", "pattern read %u",
                                           "pattern read %{authority}/a", "pattern read %{alpn}",
                                           "pattern deny %c/x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        struct fixture *fixture = fixture_new(patterns[i]);

        for (size_t who = 0; who < 3; who++) {
            come(fixture, &fixture->visitors[who], "x", "anna");
            may(fixture, &fixture->visitors[who], "a", PEER_READ);
        }
        assert_int_equal(decisions_of(fixture)->len, 3);
        fixture_free(fixture);
    }
}

/* Nothing that other rules decided is there, nor the rules themselves, whoever is still around. */
static void test_gone_with_the_rules(void **state)
{
    struct fixture *fixture = fixture_new("topic read a");
    struct visitor *visitor = &fixture->visitors[0];

    (void)state;
    come(fixture, visitor, "x", NULL);
    assert_true(may(fixture, visitor, "a", PEER_READ));
    assert_int_equal(decisions_of(fixture)->len, 1);
    change_rules(fixture, "topic write a");
    assert_int_equal(decisions_of(fixture)->len, 0);
    assert_null(decisions_of(fixture)->places);
    assert_false(may(fixture, visitor, "a", PEER_READ));
    assert_true(may(fixture, visitor, "a", PEER_WRITE));
    change_rules(fixture, NULL);
    assert_true(may(fixture, visitor, "b", PEER_READ));
    assert_int_equal(decisions_of(fixture)->len, 0);
    fixture_free(fixture);
}

/* Without memory to remember it in, it is asked each time. */
static void test_no_memory(void **state)
{
    struct fixture *fixture = fixture_new("topic read a");
    struct visitor *visitor = &fixture->visitors[0];

    (void)state;
    come(fixture, visitor, "x", NULL);
    assert_false(may(fixture, visitor, "b", PEER_READ));
    leave(visitor);
    come(fixture, visitor, "x", NULL);
    memory_fail_after(1);
    /* Nobody knows who that is. */
    assert_false(rights_may(&fixture->shard, visitor->session, slice_of_text("a"), 1, PEER_READ));
    memory_fail_after(0);
    assert_true(may(fixture, visitor, "a", PEER_READ));
    change_rules(fixture, "topic write a");
    memory_fail_after(1);
    assert_true(rights_may(&fixture->shard, visitor->session, slice_of_text("a"), 1, PEER_WRITE));
    memory_fail_after(0);
    assert_int_equal(decisions_of(fixture)->len, 0);
    fixture_free(fixture);
}

/* Who is known to be allowed is not looked up: but it is one group, and of these rules. */
static void test_the_youngest_group_is_known(void **state)
{
    struct fixture *fixture =
        fixture_new("user anna\ntopic read a/b\nuser bob\ntopic readwrite #\n");
    struct visitor *anna = &fixture->visitors[0];
    struct visitor *bob = &fixture->visitors[1];
    struct match_groups *groups = &fixture->groups[0];

    (void)state;
    come(fixture, anna, "a", "anna");
    come(fixture, bob, "b", "bob");
    assert_false(may_with(fixture, anna, 0, PEER_WRITE));
    assert_int_equal(groups->writer, 0);
    assert_false(groups->is_new);
    assert_true(may_with(fixture, bob, 0, PEER_READ));
    assert_true(groups->is_new);
    assert_int_equal(groups->reader, bob->session->rights->group);
    /* Older: by her turns with him nothing new is learned. */
    groups->is_new = false;
    assert_true(may_with(fixture, anna, 0, PEER_READ));
    assert_false(groups->is_new);
    assert_int_equal(groups->reader, bob->session->rights->group);
    change_rules(fixture, "user anna\ntopic read a/b\n");
    assert_false(may_with(fixture, bob, 0, PEER_READ));
    assert_true(may_with(fixture, anna, 0, PEER_READ));
    assert_int_equal(groups->reader, anna->session->rights->group);
    /* Without rules all are of one group. */
    change_rules(fixture, NULL);
    assert_true(may_with(fixture, bob, 0, PEER_WRITE));
    assert_true(may_with(fixture, anna, 0, PEER_READ));
    assert_int_equal(groups->writer, groups->reader);
    fixture_free(fixture);
}

/* What one listener's rules let do is no answer for another's, though one has gone and the other
 * stands where it was. */
static void test_no_two_rules_have_a_group(void **state)
{
    struct fixture *fixture = fixture_new("topic readwrite a/b");
    struct match_groups kept;
    uint64_t rules_len;

    (void)state;
    come(fixture, &fixture->visitors[0], "x", NULL);
    assert_true(may_with(fixture, &fixture->visitors[0], 0, PEER_READ));
    kept = fixture->groups[0];
    rules_len = fixture->shard.rules_len;
    fixture_free(fixture);
    fixture = fixture_new("topic readwrite b/a");
    fixture->shard.rules_len = rules_len;
    fixture->groups[0] = kept;
    come(fixture, &fixture->visitors[0], "x", NULL);
    assert_false(may_with(fixture, &fixture->visitors[0], 0, PEER_READ));
    assert_true(may_with(fixture, &fixture->visitors[0], 3, PEER_READ));
    assert_true(fixture->groups[3].reader > kept.reader);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_the_rules_say),
        cmocka_unit_test(test_shared_by_who_has_the_same),
        cmocka_unit_test(test_not_shared_where_a_pattern_names_somebody),
        cmocka_unit_test(test_gone_with_the_rules),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_the_youngest_group_is_known),
        cmocka_unit_test(test_no_two_rules_have_a_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
