"""
acl_file: who may publish and read what. The tables are played to Debian's mosquitto as well
(--broker mosquitto); what it does otherwise is marked.
"""

import re

import pytest

from harness import users, wire
from harness.process import wait_until
from harness.wire import Will

TEXT = "listener {port} 127.0.0.1\nallow_anonymous true\npassword_file {dir}/passwords\n" \
    "acl_file {dir}/rules\n"
NAMES = ["anna", "bob", "carol"]
DENIED = {4: 0, 5: 0x87}


def start(start_broker, rules, text=TEXT, **options):
    files = {"passwords": users.passwords(NAMES), "rules": rules}
    return start_broker(text, files=files, **options)


def come(broker, name=None, client_id=None, version=5, **fields):
    """A client by this user name; None: without one."""
    if name:
        fields.update(username=name, password=f"{name}-secret")
    return broker.connect(client_id or f"c-{name}", version, **fields)


def written(client, topic):
    """Whether it may publish there: version 5 is told."""
    got = client.publish(topic, b"x", 1)
    assert got.fields.get("reason", 0) in (0, 0x10, 0x87)
    return got.fields.get("reason", 0) != 0x87


class Desk:
    """Somebody who may do everything, and sees what others may."""

    def __init__(self, broker):
        self.client = come(broker, "carol", "desk")

    def read(self, reader, topic):
        """Whether the reader gets what is published there. It has subscribed to it."""
        self.client.publish(topic, b"to be read", 1)
        self.client.publish("open", b"end", 1)
        got = reader.take_message()
        if got.topic == "open":
            return False
        assert got.topic == topic
        reader.expect_message("open", b"end")
        return True


ALL = "user carol\ntopic #\ntopic $other/#\n"
OPEN = "pattern read open\n"

# Columns: the rules, who (None: without a name), the client id, a topic, whether it may be read,
# and written.
TABLE = [
    ("", None, "c", "a", 0, 0),
    ("topic a", None, "c", "a", 1, 1),
    ("topic read a", None, "c", "a", 1, 0),
    ("topic write a", None, "c", "a", 0, 1),
    ("topic readwrite a", None, "c", "a", 1, 1),
    ("topic read a\ntopic write a", None, "c", "a", 1, 1),
    ("topic read a", "anna", "c", "a", 0, 0),
    ("topic read #", None, "c", "a/b", 1, 0),
    ("topic read a/#", None, "c", "a", 1, 0),
    ("topic read a/+", None, "c", "a/b", 1, 0),
    ("topic read a/+", None, "c", "a", 0, 0),
    ("topic read a/+/c", None, "c", "a/b/c", 1, 0),
    ("topic read   a b", None, "c", "a b", 1, 0),
    ("topic #", None, "c", "$other/a", 0, 0),
    ("topic read $other/#", None, "c", "$other/a", 1, 0),
    ("user anna\ntopic a", "anna", "c", "a", 1, 1),
    ("user anna\ntopic a", "bob", "c", "a", 0, 0),
    ("user anna\ntopic a", None, "c", "a", 0, 0),
    ("user anna\ntopic a\nuser bob\ntopic b\nuser anna\ntopic c", "anna", "c", "c", 1, 1),
    ("user anna\ntopic a\nuser bob\ntopic b\nuser anna\ntopic c", "anna", "c", "a", 1, 1),
    ("user anna\ntopic a\nuser bob\ntopic b\nuser anna\ntopic c", "anna", "c", "b", 0, 0),
    ("user anna\ntopic #\ntopic deny a", "anna", "c", "a", 0, 0),
    ("user anna\ntopic deny a\ntopic #", "anna", "c", "a", 0, 0),
    ("user anna\ntopic #\ntopic deny a/#", "anna", "c", "a/b", 0, 0),
    ("user anna\ntopic #\ntopic deny a/#", "anna", "c", "b", 1, 1),
    ("pattern x/%c", None, "c", "x/c", 1, 1),
    ("pattern x/%c", "anna", "c", "x/c", 1, 1),
    ("pattern read x/%u/#", "anna", "c", "x/anna/y", 1, 0),
    ("pattern read x/%u/#", "anna", "c", "x/bob/y", 0, 0),
    ("pattern read x/%u/#", None, "c", "x/anna/y", 0, 0),
    ("pattern write %u/%c/+", "anna", "c", "anna/c/x", 0, 1),
    ("pattern read x-%c-y", None, "c", "x-c-y", 1, 0),
    ("pattern #\npattern deny x/%c", None, "c", "x/c", 0, 0),
    ("pattern #\npattern deny x/%c", None, "c", "x/d", 1, 1),
    ("user anna\ntopic x/c\npattern deny x/%c", "anna", "c", "x/c", 1, 1),
    ("user anna\ntopic read x/c\npattern write x/%c", "anna", "c", "x/c", 1, 1),
    ("user anna\ntopic deny x\npattern #", "anna", "c", "x", 0, 0),
    # CVE-2017-7650: a wildcard for a name.
    ("pattern x/%c", None, "#", "x/a", 0, 0),
    ("pattern x/%c", None, "+", "x/a", 0, 0),
    ("pattern x/%c/y", None, "+", "x/a/y", 0, 0),
    ("pattern y/#", None, "a#", "y/a", 0, 0),
    ("topic x/a\npattern x/%c", None, "#", "x/a", 1, 1),
    ("pattern x/%c", None, "\u0441", "x/c", 0, 0),
]
# The same, where Mosquitto is not as strict: a name with a slash reaches below, and one with $ to
# topics that only a rule with $ in front is for.
STRICTER = [
    ("pattern %c/#", None, "$other", "$other/a", 0, 0),
    ("pattern x/%c/#", None, "a/b", "x/a/b/c", 0, 0),
    ("pattern x/%c", None, "a/b", "x/a/b", 0, 0),
    ("pattern x/%c/#\npattern y", None, "a/b", "y", 1, 1),
    ("pattern #\npattern deny x/%c", None, "a/b", "x/a/b", 0, 0),
    ("pattern #\npattern deny x/%c", None, "a/b", "y", 0, 0),
]


def play(start_broker, rules, name, client_id, topic):
    broker = start(start_broker, rules + "\n" + ALL + OPEN)
    client = come(broker, name, client_id)
    may_write = written(client, topic)
    if "#" in client_id or "+" in client_id:
        # Nothing at all is granted to it by patterns, so it hears of no end.
        other = come(broker, "carol", "other")
        other.publish(topic, b"x", 1)
        client.subscribe(topic, qos=1)
        other.publish(topic, b"x", 1)
        return bool(client.receive(0.3)), may_write
    client.subscribe(topic, "open", qos=1)
    return Desk(broker).read(client, topic), may_write


@pytest.mark.workers
@pytest.mark.parametrize("rules, name, client_id, topic, read, write", TABLE)
def test_table(start_broker, workers, rules, name, client_id, topic, read, write):
    assert play(start_broker, rules, name, client_id, topic) == (bool(read), bool(write))


@pytest.mark.nightjar("not as strict")
@pytest.mark.workers
@pytest.mark.parametrize("rules, name, client_id, topic, read, write", STRICTER)
def test_stricter(start_broker, workers, rules, name, client_id, topic, read, write):
    broker = start(start_broker, rules + "\n" + ALL)
    client = come(broker, name, client_id)
    assert written(client, topic) == bool(write)
    client.subscribe(topic, qos=1)
    come(broker, "carol", "desk").publish(topic, b"x", 1)
    assert bool(client.receive(0.3 if not read else 8)) == bool(read)


# ---- what a publisher and a subscriber see ----

RULES = "topic read news/#\ntopic write in/#\nuser anna\ntopic #\n"


@pytest.mark.workers
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_publish(start_broker, version, workers, qos):
    """Version 5 is told, version 3 is not; nobody gets it, and it is not retained."""
    broker = start(start_broker, RULES)
    anna = come(broker, "anna", version=version)
    anna.subscribe("#", qos=2)
    client = come(broker, version=version)
    got = client.publish("news/x", b"no", qos, retain=True)
    assert qos == 0 or got.fields.get("reason", 0) == DENIED[version]
    client.publish("in/x", b"yes", 1)
    anna.expect_message("in/x", b"yes")
    late = come(broker, "anna", "late", version)
    late.subscribe("news/#")
    late.expect_nothing()


@pytest.mark.workers
def test_subscribe_is_taken(start_broker, version, workers):
    """As Mosquitto: what may not be read just does not come."""
    broker = start(start_broker, RULES)
    client = come(broker, version=version)
    client.subscribe("secret", "#", qos=1)
    anna = come(broker, "anna", version=version)
    anna.publish("secret", b"x", 1)
    anna.publish("news/1", b"y", 1)
    client.expect_message("news/1", b"y")
    client.unsubscribe("secret", "#")


@pytest.mark.nightjar("the option is ours")
@pytest.mark.workers
def test_subscribe_is_denied(start_broker, version, workers):
    """acl_deny_subscribe: what does not lie within one rule is refused."""
    no = {4: 0x80, 5: 0x87}[version]
    broker = start(start_broker, RULES, TEXT + "acl_deny_subscribe true\n")
    client = come(broker, version=version)
    client.subscribe("secret", "#", "news/#", "news/+", "+/x", "news", "in/x", "$share/g/news/#",
                     "$share/g/#", codes=[no, no, 0, 0, no, 0, no, 0, no])
    anna = come(broker, "anna", version=version)
    anna.subscribe("#", "+/+", "$SYS/#", codes=[0, 0, no])


@pytest.mark.workers
def test_retained(start_broker, version, workers):
    """A replay is read as well."""
    broker = start(start_broker, RULES)
    anna = come(broker, "anna", version=version)
    for topic in "secret", "news/1", "in/x":
        anna.publish(topic, b"kept", 1, retain=True)
    client = come(broker, version=version)
    client.subscribe("#", qos=1)
    client.expect_message("news/1", b"kept")
    client.expect_nothing()


@pytest.mark.workers
def test_will(start_broker, version, workers):
    """One that may not be published is not, however its client goes."""
    broker = start(start_broker, RULES)
    anna = come(broker, "anna", version=version)
    anna.subscribe("#")
    for topic in "secret", "news/x", "in/will":
        client = come(broker, None, "will-" + topic, version, will=Will(topic, b"gone", 1, True))
        client.close()
    anna.expect_message("in/will", b"gone")
    anna.expect_nothing()


@pytest.mark.workers
def test_away(start_broker, version, workers):
    """What may not be read does not wait either, and takes nobody's room."""
    broker = start(start_broker, RULES, TEXT + "max_queued_messages 5\n")
    client = come(broker, None, "away", version, lasting=True)
    client.subscribe("#", qos=1)
    client.disconnect()
    anna = come(broker, "anna", version=version)
    for number in range(20):
        anna.publish("secret", b"x", 1)
        if number % 4 == 0:
            anna.publish("news/1", b"%d" % number, 1)
    client = come(broker, None, "away", version, lasting=True, session=True)
    assert [each.payload for each in client.collect(5)] == [b"0", b"4", b"8", b"12", b"16"]
    client.expect_nothing()


@pytest.mark.nightjar("there a turn is lost on a member that may not")
@pytest.mark.workers
def test_groups(start_broker, version, workers):
    """A turn is for somebody who may read it."""
    broker = start(start_broker, RULES)
    blind = [come(broker, None, f"blind-{n}", version) for n in range(3)]
    anna = come(broker, "anna", version=version)
    for each in [*blind, anna]:
        each.subscribe("$share/g/secret", qos=1)
    giver = come(broker, "anna", "giver", version)
    for number in range(8):
        giver.publish("secret", b"%d" % number, 1)
    assert sorted(each.payload for each in anna.collect(8)) == [b"%d" % n for n in range(8)]
    for each in blind:
        each.expect_nothing()


@pytest.mark.nightjar("2.0 leaves the mount point in front")
@pytest.mark.workers
def test_mount_point(start_broker, workers):
    """Rules speak of topics as they are inside."""
    text = TEXT + "mount_point m/\nlistener {port2} 127.0.0.1\n"
    broker = start(start_broker, "topic m/a\nuser anna\ntopic #\n", text)
    client = come(broker)
    assert (written(client, "a"), written(client, "m/a")) == (True, False)
    client.subscribe("a", "b", qos=1)
    anna = come(broker, "anna", address=("127.0.0.1", broker.places["port2"]))
    anna.publish("m/b", b"x", 1)
    anna.publish("m/a", b"y", 1)
    client.expect_message("a", b"y")


def test_own_topics_stay_shut(start_broker):
    """$SYS is nobody's to write, whatever the rules."""
    broker = start(start_broker, "topic $SYS/#\ntopic $CONTROL/#\ntopic #\n")
    client = come(broker)
    assert not written(client, "$SYS/broker/x")


@pytest.mark.workers
def test_two_scopes(start_broker, workers):
    """per_listener_settings: rules at one listener, none at the other."""
    text = "per_listener_settings true\nlistener {port} 127.0.0.1\nallow_anonymous true\n" \
        "acl_file {dir}/rules\nlistener {port2} 127.0.0.1\nallow_anonymous true\n"
    broker = start(start_broker, "topic read a\n", text)
    ruled = broker.connect("ruled", 5)
    free = broker.connect("free", 5, address=("127.0.0.1", broker.places["port2"]))
    ruled.subscribe("#", qos=1)
    assert (written(ruled, "a"), written(free, "b"), written(free, "a")) == (False, True, True)
    ruled.expect_message("a", b"x")
    ruled.expect_nothing()


@pytest.mark.nightjar("2.0 does not say when it has reloaded")
@pytest.mark.workers
@pytest.mark.parametrize("checks", [True, False])
def test_retained_of_whom(start_broker, version, workers, checks):
    """
    check_retain_source: what somebody retained who may not write it any more is not sent; also what a
    will did. Nor is it for those who come through another listener.
    """
    text = TEXT + f"check_retain_source {str(checks).lower()}\nlistener {{port2}} 127.0.0.1\n"
    broker = start(start_broker, "user anna\ntopic #\nuser bob\ntopic #\npattern x/%c/#\n", text)
    for name in "anna", "bob":
        giver = come(broker, name, version=version, will=Will(f"{name}/will", b"w", 1, True))
        giver.publish(f"{name}/1", b"x" * 40_000, 1, retain=True)
        giver.publish(f"{name}/2", b"y", 2, retain=True)
        giver.close()
    come(broker, "carol", "pat", version).publish("x/pat/1", b"z", 1, retain=True)
    broker.connect("nobody", version).publish("nowhere", b"", 1, retain=True)
    watcher = come(broker, "anna", "watcher", version)
    watcher.subscribe("#", qos=1)
    assert len({each.topic for each in watcher.collect(7)}) == 7
    (broker.folder / "rules").write_text("user anna\ntopic #\nuser bob\ntopic read #\n")
    broker.reload()
    for port in "port", "port2":
        reader = come(broker, "anna", f"reader-{port}", version,
                      address=("127.0.0.1", broker.places[port]))
        reader.subscribe("#", qos=1)
        seen = {each.topic for each in reader.collect(3 if checks else 7)}
        assert seen >= {"anna/1", "anna/2", "anna/will"} and len(seen) == (3 if checks else 7)
        reader.expect_nothing()


# ---- bad files ----

@pytest.mark.nightjar("2.0 has other words, and names no line")
@pytest.mark.parametrize("rules, says, line", [
    ("topic a\nnonsense\n", r"Invalid line in the ACL file: nonsense\.", 2),
    ("user anna\nuser\n", r"Missing user name in the ACL file\.", 2),
    ("topic\n", r"Empty topic in the ACL file\.", 1),
    ("topic maybe a\n", r"Invalid topic access type \"maybe\" in the ACL file\.", 1),
    ("\n\ntopic read a/#/b\n", r"Invalid ACL topic \"a/#/b\"\.", 3),
    ("topic a\0\n", r"A zero byte in the ACL file: this is no text file\.", 1),
], ids=["line", "user", "empty", "access", "topic", "binary"])
def test_a_bad_file_is_no_start(start_broker, rules, says, line):
    broker = start(start_broker, rules, ready=False)
    broker.expected_status = 3
    wait_until(lambda: broker.process.process.poll() is not None)
    assert re.search(rf"Error: {says}\n.*Error found at .*/rules:{line}\.", broker.log())


def test_no_file_is_no_start(start_broker):
    broker = start_broker(TEXT, files={"passwords": users.passwords(NAMES)}, ready=False)
    broker.expected_status = 3
    wait_until(lambda: broker.process.process.poll() is not None)
    assert "acl" in broker.log().lower()


def test_an_empty_file_allows_nothing(start_broker):
    """It is no missing one: CVE-2018-20145."""
    broker = start(start_broker, "")
    assert not written(come(broker), "a")


# ---- reload ----

@pytest.mark.nightjar("2.0 does not say when it has reloaded")
@pytest.mark.workers
def test_revoked(start_broker, version, workers):
    """
    CVE-2018-12546, CVE-2021-34434: what somebody may not do any more is neither done nor brought,
    with the session, the queue, the subscription and the will that it has.
    """
    broker = start(start_broker, "user anna\ntopic #\nuser bob\ntopic #\n")
    anna = come(broker, "anna", version=version)
    anna.subscribe("#", qos=1)
    giver = come(broker, "anna", "giver", version)
    live = come(broker, "bob", "live", version, will=Will("will", b"evil", 1))
    live.subscribe("a/#", "b", qos=1)
    away = come(broker, "bob", "away", version, lasting=True)
    away.subscribe("a/#", "b", qos=1)
    away.disconnect()
    giver.publish("a/1", b"before", 1)
    anna.expect_message("a/1", b"before")
    live.expect_message("a/1", b"before")
    (broker.folder / "rules").write_text("user anna\ntopic #\nuser bob\ntopic b\n")
    broker.reload()
    giver.publish("a/2", b"after", 1)
    anna.expect_message("a/2", b"after")
    live.expect_nothing()
    live.publish("a/3", b"mine", 1)
    live.close()
    away = come(broker, "bob", "away", version, lasting=True, session=True)
    away.expect_nothing()
    giver.publish("b", b"still", 1)
    anna.expect_message("b", b"still")
    away.expect_message("b", b"still")


@pytest.mark.nightjar("2.0 does not say when it has reloaded")
@pytest.mark.workers
def test_granted(start_broker, workers):
    """And the other way round: with no new subscription, and nothing remembered."""
    broker = start(start_broker, "user anna\ntopic #\n")
    anna, bob = come(broker, "anna"), come(broker, "bob")
    bob.subscribe("a", qos=1)
    for _ in range(3):
        assert not written(bob, "a")
        anna.publish("a", b"x", 1)
    (broker.folder / "rules").write_text("user anna\ntopic #\nuser bob\ntopic a\n")
    broker.reload()
    anna.publish("a", b"y", 1)
    bob.expect_message("a", b"y")
    assert written(come(broker, "bob", "other"), "a")
    bob.expect_message("a", b"x")


@pytest.mark.nightjar("2.0 does not say when it has reloaded")
@pytest.mark.workers
def test_rules_come_and_go(start_broker, workers):
    """A reload with the first rules holds for who is there at once, also for who is away."""
    text = TEXT.replace("acl_file {dir}/rules\n", "")
    broker = start(start_broker, "user anna\ntopic #\n", text)
    bob, giver = come(broker, "bob"), come(broker, "bob", "giver")
    away = come(broker, "bob", "away", lasting=True)
    for each in bob, away:
        each.subscribe("a", qos=1)
    away.disconnect()
    assert written(giver, "a")
    bob.take_message()
    broker.reload(TEXT)
    assert not written(giver, "a")
    come(broker, "anna").publish("a", b"x", 1)
    bob.expect_nothing()
    broker.reload(text)
    assert written(giver, "a")
    bob.take_message()
    # What waited for it before may be read again; what was denied meanwhile never waited.
    away = come(broker, "bob", "away", lasting=True, session=True)
    assert [each.payload for each in away.collect(2)] == [b"x", b"x"]
    away.expect_nothing()


@pytest.mark.nightjar("2.0 ends with status 3")
@pytest.mark.workers
def test_a_bad_reload_changes_nothing(start_broker, workers):
    broker = start(start_broker, "topic read a\n")
    client = come(broker)
    for rules in ("topic b\nnonsense\n", "topic a/#/b", "\0"):
        (broker.folder / "rules").write_text(rules)
        broker.reload(is_good=False)
        assert not written(client, "a") and not written(client, "b")
    (broker.folder / "rules").unlink()
    broker.reload(is_good=False)
    assert not written(client, "a")


@pytest.mark.workers
def test_another_user_takes_the_session_over(start_broker, workers):
    """What waits for the one is not for the other to read."""
    broker = start(start_broker, "user anna\ntopic #\nuser bob\ntopic b\n")
    anna = come(broker, "anna", "same", lasting=True)
    anna.subscribe("#", qos=1)
    anna.disconnect()
    giver = come(broker, "anna", "giver")
    giver.publish("a", b"for anna", 1)
    giver.publish("b", b"for both", 1)
    bob = come(broker, "bob", "same", lasting=True, session=True)
    bob.expect_message("b", b"for both")
    bob.expect_nothing()
