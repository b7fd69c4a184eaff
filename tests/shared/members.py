"""
Who gets a message when not everybody can take it: members that are connected and have room come
first; else it waits for a member whose session is kept.
"""

import pytest

from harness.process import wait_until


def first_takes_one(publisher, full, other):
    """Both get a message; `full` keeps its own unacknowledged. Answers what that was."""
    publisher.publish("t", b"first", 1)
    publisher.publish("t", b"first", 1)
    other.expect_message("t", b"first")
    kept = full.expect("PUBLISH", topic="t")
    # The first answer may be of the iteration in which there was no room any more, the second is of
    # one behind it; and what the other one acknowledged has been read.
    full.ping()
    full.ping()
    other.ping()
    return kept


@pytest.mark.workers
@pytest.mark.config("max_inflight_messages 1")
def test_a_full_member_is_passed_over(broker, version, workers):
    full, other = broker.connect("full", version), broker.connect("other", version)
    for each in (full, other):
        each.subscribe("$share/g/t", qos=1)
    publisher = broker.connect("from", version)
    kept = first_takes_one(publisher, full, other)
    for number in range(10):
        publisher.publish("t", b"%d" % number, 1)
        other.expect_message("t", b"%d" % number)
        other.ping()
    full.acknowledge(kept)
    full.ping()
    publisher.publish("t", b"again", 1)
    publisher.publish("t", b"again", 1)
    full.expect_message("t", b"again")
    other.expect_message("t", b"again")


@pytest.mark.workers
@pytest.mark.config("max_inflight_messages 1")
def test_a_full_group_queues(broker, version, workers):
    """Nobody has room: nothing is lost."""
    members = [broker.connect(f"member-{n}", version) for n in range(3)]
    for each in members:
        each.subscribe("$share/g/t", qos=1)
    publisher = broker.connect("from", version)
    for number in range(30):
        publisher.publish("t", b"%d" % number, 1)
    got = []
    while len(got) < 30:
        for each in members:
            message = each.receive(0.05)
            if message is not None:
                got.append(int(message.payload))
                each.acknowledge(message)
    assert sorted(got) == list(range(30))


@pytest.mark.workers
def test_connected_members_come_first(broker, version, workers):
    away = broker.connect("away", version, lasting=True)
    away.subscribe("$share/g/t", qos=1)
    away.disconnect()
    here = broker.connect("here", version)
    here.subscribe("$share/g/t", qos=1)
    publisher = broker.connect("from", version)
    for number in range(10):
        publisher.publish("t", b"%d" % number, 1)
    for number in range(10):
        here.expect_message("t", b"%d" % number)
    away = broker.connect("away", version, lasting=True, session=True)
    away.expect_nothing()


def take(members, got):
    for each in members:
        message = each.receive(0.05)
        if message is not None and message.kind == "PUBLISH" and message.qos > 0:
            got.append(int(message.payload))
            each.acknowledge(message)
    return len(got)


@pytest.mark.workers
@pytest.mark.parametrize("qos", [1, 2])
def test_it_waits_for_a_lasting_session(broker, version, workers, qos):
    members = [broker.connect(f"member-{n}", version, lasting=True) for n in range(3)]
    for each in members:
        each.subscribe("$share/g/t", qos=qos)
    for each in members:
        each.disconnect()
    publisher = broker.connect("from", version)
    publisher.publish("t", b"lost", 0)
    for number in range(9):
        publisher.publish("t", b"%d" % number, qos)
    # A turn may still be on its way between workers: who has come back gets it then.
    members = [broker.connect(f"member-{n}", version, lasting=True, session=True) for n in range(3)]
    got = []
    wait_until(lambda: take(members, got) == 9, what="nine messages")
    assert sorted(got) == list(range(9))


@pytest.mark.workers
def test_back_again(broker, version, workers):
    """A member that was away has its turn again."""
    one = broker.connect("one", version, lasting=True)
    two = broker.connect("two", version)
    for each in (one, two):
        each.subscribe("$share/g/t", qos=1)
    one.disconnect()
    publisher = broker.connect("from", version)
    publisher.publish("t", b"x", 1)
    two.expect_message("t", b"x")
    one = broker.connect("one", version, lasting=True, session=True)
    for _ in range(2):
        publisher.publish("t", b"y", 1)
    one.expect_message("t", b"y")
    two.expect_message("t", b"y")
