"""
What a leaving member had not acknowledged goes to another: by UNSUBSCRIBE what was not sent yet, by
the end of its session also what was in flight with QoS 1. What was sent with QoS 2 stays with its
receiver.
"""

import pytest

from harness import wire

pytestmark = pytest.mark.config("max_inflight_messages 1")


def fill(broker, version, qos, lasting=False):
    """A member with one message in flight and two that wait, and an empty one that came later."""
    leaver = broker.connect("leaver", version, lasting=lasting)
    leaver.subscribe("$share/g/t", qos=qos)
    publisher = broker.connect("from", version)
    for number in range(3):
        publisher.publish("t", b"%d" % number, qos)
    kept = leaver.expect("PUBLISH", topic="t", payload=b"0", qos=qos)
    heir = broker.connect("heir", version)
    heir.subscribe("$share/g/t", qos=qos)
    return leaver, heir, kept


def expect_all(client, *payloads):
    assert sorted(each.payload for each in client.collect(len(payloads))) == sorted(payloads)
    client.expect_nothing(0.05)


@pytest.mark.holds("3.1.1: MQTT-3.10.4-2 MQTT-3.10.4-3", "5.0: MQTT-3.10.4-2 MQTT-3.10.4-3")
@pytest.mark.workers
@pytest.mark.parametrize("qos", [1, 2])
def test_by_unsubscribe(broker, version, workers, qos):
    leaver, heir, kept = fill(broker, version, qos)
    leaver.unsubscribe("$share/g/t")
    expect_all(heir, b"1", b"2")
    leaver.acknowledge(kept)
    leaver.expect_nothing(0.05)


@pytest.mark.holds("5.0: MQTT-4.8.2-5")
@pytest.mark.workers
@pytest.mark.parametrize("how", ["disconnect", "close"])
@pytest.mark.parametrize("qos", [1, 2])
def test_by_the_end_of_its_session(broker, version, workers, qos, how):
    leaver, heir, _ = fill(broker, version, qos)
    getattr(leaver, how)()
    expect_all(heir, *([b"0"] if qos == 1 else []), b"1", b"2")


@pytest.mark.workers
@pytest.mark.parametrize("qos", [1, 2])
def test_by_take_over_with_clean_start(broker, version, workers, qos):
    _, heir, _ = fill(broker, version, qos, lasting=True)
    again = broker.connect("leaver", version, session=False)
    expect_all(heir, *([b"0"] if qos == 1 else []), b"1", b"2")
    again.expect_nothing(0.05)


@pytest.mark.workers
def test_by_expiry(broker, workers):
    leaver = broker.connect("leaver", 5, properties={"session_expiry_interval": 1})
    leaver.subscribe("$share/g/t", qos=1)
    heir = broker.connect("heir", 5, lasting=True)
    leaver.disconnect()
    publisher = broker.connect("from", 5)
    for number in range(3):
        publisher.publish("t", b"%d" % number, 1)
    heir.subscribe("$share/g/t", qos=1)
    expect_all(heir, b"0", b"1", b"2")


@pytest.mark.holds("5.0: MQTT-4.8.2-4")
@pytest.mark.workers
@pytest.mark.parametrize("qos", [1, 2])
def test_a_lasting_session_keeps_its_own(broker, version, workers, qos):
    leaver, heir, _ = fill(broker, version, qos, lasting=True)
    leaver.disconnect()
    heir.expect_nothing()
    again = broker.connect("leaver", version, lasting=True, session=True)
    expect_all(again, b"0", b"1", b"2")


@pytest.mark.workers
def test_released_stays(broker, version, workers):
    """The receiver has it: PUBREC came."""
    leaver, heir, kept = fill(broker, version, 2)
    leaver.send(wire.ack("PUBREC", kept.id))
    leaver.expect("PUBREL", id=kept.id)
    leaver.close()
    expect_all(heir, b"1", b"2")


@pytest.mark.holds("5.0: MQTT-4.8.2-6")
@pytest.mark.workers
@pytest.mark.parametrize("qos", [1, 2])
def test_a_refusal_is_the_end(broker, workers, qos):
    leaver, heir, kept = fill(broker, 5, qos)
    leaver.send(wire.ack("PUBACK" if qos == 1 else "PUBREC", kept.id, 0x80))
    leaver.expect("PUBLISH", payload=b"1")
    leaver.unsubscribe("$share/g/t")
    expect_all(heir, b"2")
