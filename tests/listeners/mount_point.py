"""
mount_point: the clients of a listener live under a prefix that they never see.
"""

import pytest

from harness import wire
from harness.wire import Will

TWO = """
listener {port} 127.0.0.1
allow_anonymous true
mount_point site/
listener {port2} 127.0.0.1
allow_anonymous true
"""


@pytest.fixture
def sides(start_broker):
    """A broker and how to connect inside the mount point and outside of it."""
    broker = start_broker(TWO)
    outside = ("127.0.0.1", broker.places["port2"])

    def connect_outside(client_id, version, **fields):
        return broker.connect(client_id, version, address=outside, **fields)

    return broker.connect, connect_outside, broker


@pytest.mark.differs("2.0.11 does not take it off")
@pytest.mark.workers
@pytest.mark.versions(3, 4, 5)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_publish_and_subscribe(sides, version, qos, workers):
    inside, outside, _ = sides
    here, there = inside("here", version), outside("there", version)
    here.subscribe("a/+", qos=2)
    there.subscribe("#", qos=2)
    inside("from", version).publish("a/b", b"in", qos)
    here.expect_message("a/b", b"in")
    there.expect_message("site/a/b", b"in")
    publisher = outside("from-there", version)
    publisher.publish("a/b", b"elsewhere", qos)
    publisher.publish("site/a/c", b"out", qos)
    here.expect_message("a/c", b"out")
    there.expect_message("a/b", b"elsewhere")
    there.expect_message("site/a/c", b"out")


@pytest.mark.differs("2.0.11 does not know it there")
@pytest.mark.workers
def test_unsubscribe(sides, version, workers):
    inside, outside, _ = sides
    client = inside("here", version)
    client.subscribe("t", "last")
    got = client.unsubscribe("t")
    assert got.codes == ([0] if version == 5 else [])
    publisher = outside("there", version)
    publisher.publish("site/t", b"no more")
    publisher.publish("site/last", b"x")
    client.expect_message("last", b"x")


@pytest.mark.differs("2.0.11 does not take it off")
@pytest.mark.workers
def test_retained(sides, version, workers):
    inside, outside, _ = sides
    inside("from", version).publish("t", b"kept", 1, retain=True)
    late = outside("late", version)
    late.subscribe("site/#")
    late.expect_message("site/t", b"kept", retain=True)
    again = inside("again", version)
    again.subscribe("#")
    again.expect_message("t", b"kept", retain=True)


@pytest.mark.workers
def test_will(sides, version, workers):
    inside, outside, _ = sides
    watcher = outside("watcher", version)
    watcher.subscribe("#")
    inside("dying", version, will=Will("w", b"gone")).close()
    watcher.expect_message("site/w", b"gone")


@pytest.mark.workers
def test_topic_aliases_are_of_the_inside(sides, workers):
    inside, outside, _ = sides
    watcher = outside("watcher", 5)
    watcher.subscribe("#")
    client = inside("from", 5)
    client.publish("topic", b"1", properties={"topic_alias": 1})
    client.publish("", b"2", properties={"topic_alias": 1})
    watcher.expect_message("site/topic", b"1")
    watcher.expect_message("site/topic", b"2")


@pytest.mark.workers
@pytest.mark.differs("2.0.11 does not take it off")
def test_what_is_outside_is_not_delivered(sides, version, workers):
    """`site/#` matches `site` too, and `site/` would be nothing inside."""
    inside, outside, _ = sides
    client = inside("here", version)
    client.subscribe("#", qos=1)
    publisher = outside("there", version)
    for qos in (0, 1):
        publisher.publish("site", b"beside", qos)
        publisher.publish("site/", b"nameless", qos)
        publisher.publish("site/t", b"x", qos)
        client.expect_message("t", b"x")


@pytest.mark.holds("3.1.1: MQTT-4.7.2-1", "5.0: MQTT-4.7.2-1")
@pytest.mark.workers
@pytest.mark.nightjar("2.0.11 shows it")
@pytest.mark.parametrize("wildcard", ["#", "+", "+/x", "$share/g/#"])
def test_wildcards_do_not_show_internal_topics(sides, version, wildcard, workers):
    """What begins with $ to the client; outside it is a topic like others."""
    inside, outside, _ = sides
    topic = "$own/x" if "/x" in wildcard else "$own"
    publisher = inside("from", version)
    publisher.publish(topic, b"kept", 1, retain=True)
    here, there = inside("here", version), outside("there", version)
    here.subscribe(wildcard, qos=1)
    here.subscribe("last", qos=1)
    there.subscribe("site/#")
    there.expect_message(f"site/{topic}", b"kept", retain=True)
    publisher.publish(topic, b"live", 1)
    publisher.publish("last", b"x", 1)
    there.expect_message(f"site/{topic}", b"live")
    assert {here.take_message().payload for _ in range(here_len(wildcard))} == {b"x"}
    here.expect_nothing()
    here.subscribe("$own/#", qos=1)
    here.expect_message(topic, b"kept", retain=True)
    publisher.publish(topic, b"asked for", 1)
    here.expect_message(topic, b"asked for")


def here_len(wildcard):
    """Copies of `last`: one for each subscription that matches."""
    return 1 if wildcard == "+/x" else 2


@pytest.mark.workers
@pytest.mark.nightjar("2.0.11 shows it")
def test_a_group_gives_it_to_who_may_see_it(sides, version, workers):
    """A group with members behind the mount point and outside of it."""
    inside, outside, _ = sides
    inside("here", version).subscribe("$share/g/#")
    there = outside("there", version)
    there.subscribe("$share/g/site/#")
    publisher = inside("from", version)
    for i in range(4):
        publisher.publish("$own", str(i), 1)
        there.expect_message("site/$own", str(i))


@pytest.mark.workers
@pytest.mark.nightjar("2.0 lets it pass")
def test_too_long_behind_it(sides, version, workers):
    inside, outside, broker = sides
    watcher = outside("watcher", version)
    watcher.subscribe("#")
    room = 65535 - len("site/")
    client = inside("from", version)
    client.publish("x" * room, b"fits")
    client.send(wire.publish("x" * (room + 1), b"too long", version=version))
    client.expect_end(0x90)
    watcher.expect_message("site/" + "x" * room, b"fits")
    watcher.expect_nothing()


@pytest.mark.nightjar("2.0 lets it pass")
def test_a_filter_too_long_behind_it(sides, version):
    inside, outside, _ = sides
    room = 65535 - len("site/")
    client = inside("to", version)
    client.subscribe("t", "x" * (room + 1), codes=[0, 0x8F if version == 5 else 0x80])
    client.subscribe("x" * room)
    if version == 5:
        assert client.unsubscribe("x" * (room + 1)).codes == [0x8F]


@pytest.mark.nightjar("2.0 lets it pass")
def test_a_will_too_long_behind_it(sides, version):
    _, _, broker = sides
    client = broker.open(version)
    client.send(wire.connect("x", version, will=Will("x" * 65535, b"x")))
    if version == 5:
        client.expect("CONNACK", code=0x90)
    client.expect_close()


@pytest.mark.workers
@pytest.mark.nightjar("2.0.11 puts it before $share")
def test_shared_subscriptions(sides, version, workers):
    inside, outside, _ = sides
    member = inside("member", version)
    member.subscribe("$share/group/t/+", qos=1)
    publisher = outside("from", version)
    publisher.publish("t/1", b"elsewhere", 1)
    publisher.publish("site/t/1", b"x", 1)
    member.expect_message("t/1", b"x")
    member.unsubscribe("$share/group/t/+")
    publisher.publish("site/t/1", b"no more", 1)
    member.expect_nothing()
