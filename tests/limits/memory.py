"""
memory_limit: what asks for more memory is refused and told so; nobody waits, who asks for nothing is
served on, and memory that is given back is there for others.
"""

import pytest

from harness import wire
from harness.broker import DEFAULT

MIB = 1 << 20
CONFIG = f"memory_limit {8 * MIB}\nmax_queued_messages 0\n"

pytestmark = [pytest.mark.config(CONFIG), pytest.mark.timeout(120),
              pytest.mark.nightjar("2.0 counts only where it was built to")]


BODY = b"x" * 65536


def publish_all(publisher, body):
    """Until one is refused; answers how many were taken."""
    for number in range(MIB):
        if publisher.publish("kept/x", body, 1).reason == 0x97:
            return number
    raise AssertionError("nothing was refused")


def fill(broker, publisher):
    """Messages for someone who is away: large ones, and small ones into the gap that is left."""
    broker.connect("away", 5, lasting=True).subscribe("kept/#", qos=1)
    broker.connect("away", 5, lasting=True, session=True).disconnect()
    taken = publish_all(publisher, BODY)
    publish_all(publisher, b"x" * 500)
    return taken


@pytest.mark.workers
def test_a_publish_is_refused(broker, workers):
    """Version 5 is told, version 3 closed: an acknowledgement would be a promise."""
    publisher = broker.connect("from", 5)
    old = broker.connect("old", 4)
    assert 40 <= fill(broker, publisher) <= 128
    publisher.send(wire.publish("kept/x", BODY, 2, 7, version=5))
    publisher.expect("PUBREC", id=7, reason=0x97)
    for id in range(1, 10):  # its worker may know of a few less
        old.send(wire.publish("kept/x", BODY, 1, id))
        if old.ended(0.5):
            break
        old.expect("PUBACK", id=id)
    assert old.closed
    publisher.ping()


@pytest.mark.workers
def test_others_are_served_on(broker, workers):
    watcher = broker.connect("watcher", 5)
    watcher.subscribe("t")
    bystander = broker.connect("bystander", 4)
    publisher = broker.connect("from", 5)
    fill(broker, publisher)
    watcher.ping()
    bystander.ping()
    publisher.ping()


@pytest.mark.workers
def test_a_subscription_is_refused(broker, workers):
    publisher = broker.connect("from", 5)
    fill(broker, publisher)
    id = publisher.fresh_id()
    publisher.send(wire.subscribe(id, ("a", 0), ("b", 0), version=5))
    publisher.expect("SUBACK", id=id, codes=[0x97, 0x97])


@pytest.mark.workers
def test_a_connect_is_refused(start_broker, workers):
    broker = start_broker(DEFAULT + CONFIG, workers=1)
    publisher = broker.connect("from", 5)
    fill(broker, publisher)
    for version in (4, 5):
        client = broker.open(version)
        client.send(wire.connect("new", version))
        client.expect("CONNACK", code=0x97 if version == 5 else 3)
        client.expect_close()
    publisher.ping()


@pytest.mark.workers
def test_what_is_given_back_serves_again(broker, workers):
    publisher = broker.connect("from", 5)
    back = broker.connect("back", 5, lasting=True)
    back.subscribe("kept/#", qos=1)
    for _ in range(publish_all(publisher, BODY)):
        back.expect_message("kept/x", BODY)
    assert publisher.publish("kept/x", b"again", 1).reason == 0
    back.expect_message("kept/x", b"again")
