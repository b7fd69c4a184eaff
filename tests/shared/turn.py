"""
The members of a group divide the messages of its filter: each is for one of them, in turn, whoever
publishes it; groups and ordinary subscriptions do not count for each other.
"""

import pytest


def takers(members, messages, qos=None):
    """Which member got each message, by its number; all are taken."""
    found = {}
    for number, member in enumerate(members):
        for _ in range(messages // len(members)):
            got = member.take_message()
            assert qos is None or got.qos == qos, got
            assert int(got.payload) not in found
            found[int(got.payload)] = number
    return [found[number] for number in range(messages)]


@pytest.mark.workers
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_strict_turn(broker, version, workers, qos):
    members = [broker.connect(f"member-{n}", version) for n in range(6)]
    for each in members:
        each.subscribe("$share/group/t/+", qos=qos)
    publisher = broker.connect("from", version)
    for number in range(30):
        publisher.publish("t/x", b"%d" % number, qos)
    got = takers(members, 30, qos)
    assert sorted(got[:6]) == list(range(6))
    assert got[6:] == got[:-6]
    for each in members:
        each.expect_nothing(0.03)


@pytest.mark.workers
def test_all_publishers_share_one_turn(broker, version, workers):
    members = [broker.connect(f"member-{n}", version) for n in range(5)]
    for each in members:
        each.subscribe("$share/group/t", qos=1)
    publishers = [broker.connect(f"from-{n}", version) for n in range(3)]
    for number in range(25):
        publishers[number % 3].publish("t", b"%d" % number, 1)
    got = takers(members, 25)
    assert got[5:] == got[:-5]


@pytest.mark.workers
def test_order_of_a_publisher_is_kept(broker, version, workers):
    members = [broker.connect(f"member-{n}", version) for n in range(3)]
    for each in members:
        each.subscribe("$share/group/t", qos=1)
    publisher = broker.connect("from", version)
    for number in range(300):
        publisher.publish("t", b"%d" % number)
    for each in members:
        got = [int(message.payload) for message in each.collect(100)]
        assert got == sorted(got)


@pytest.mark.workers
def test_groups_and_ordinary_subscriptions(broker, version, workers):
    """A session may be in several groups, and have the filter for itself as well."""
    one, two = broker.connect("one", version), broker.connect("two", version)
    one.subscribe("$share/a/t/#", "$share/b/t/+", "t/+", qos=1)
    two.subscribe("$share/a/t/#", "$share/b/t/#", qos=1)
    publisher = broker.connect("from", version)
    for number in range(8):
        publisher.publish("t/x", b"%d" % number, 1)
    # Group b is one group for each filter: both members of them get everything.
    got = [int(each.payload) for each in one.collect(8 + 8 + 4)]
    others = [int(each.payload) for each in two.collect(8 + 4)]
    assert sorted(got + others) == sorted(4 * list(range(8)))
    one.unsubscribe("t/+")
    publisher.publish("t/x", b"8", 1)
    publisher.publish("t/x", b"9", 1)
    got = [int(each.payload) for each in one.collect(3)]
    others = [int(each.payload) for each in two.collect(3)]
    assert sorted(got + others) == [8, 8, 8, 9, 9, 9]


@pytest.mark.workers
def test_versions_in_one_group(broker, workers):
    members = [broker.connect(f"member-{level}", level) for level in (3, 4, 5)]
    for each in members:
        each.subscribe("$share/group/t", qos=1)
    publisher = broker.connect("from", 4)
    for number in range(12):
        publisher.publish("t", b"%d" % number, 1)
    got = takers(members, 12)
    assert got[3:] == got[:-3]


@pytest.mark.holds("5.0: MQTT-4.8.2-3")
@pytest.mark.workers
def test_each_at_its_own_qos(broker, version, workers):
    members = [broker.connect(f"member-{qos}", version) for qos in (0, 1, 2)]
    for qos, each in enumerate(members):
        each.subscribe("$share/group/t", qos=qos)
    publisher = broker.connect("from", version)
    for _ in range(6):
        publisher.publish("t", b"x", 2)
    for qos, each in enumerate(members):
        assert [message.qos for message in each.collect(2)] == [qos, qos]


@pytest.mark.workers
def test_members_that_come_and_go(broker, version, workers):
    publisher = broker.connect("from", version)
    members = []
    for number in range(6):
        members.append(broker.connect(f"member-{number}", version))
        members[-1].subscribe("$share/group/t", qos=1)
        for _ in members:
            publisher.publish("t", b"x", 1)
        for each in members:
            each.expect_message("t", b"x")
    while members:
        members.pop(len(members) // 2).disconnect()
        if not members:
            break
        publisher.ping()
        for _ in members:
            publisher.publish("t", b"y", 1)
        for each in members:
            each.expect_message("t", b"y")
