"""
Sessions outlive connections when they are asked to: subscriptions, queues and nothing else.
"""

import time

import pytest

from harness import wire


@pytest.mark.holds("3.1.1: MQTT-3.1.2-4 MQTT-3.1.4-3 MQTT-3.2.2-2 MQTT-3.2.2-3 MQTT-4.1.0-1",
                   "5.0: MQTT-3.1.2-5 MQTT-3.1.2-6 MQTT-3.1.2-23 MQTT-3.1.4-4 MQTT-3.2.2-3")
@pytest.mark.workers
def test_subscriptions_stay(broker, version, workers):
    for number in range(4):
        name = f"x-{number}"
        broker.connect(name, version, lasting=True, session=False).subscribe("a/+", "b", qos=1)
        broker.clients[-1].disconnect()
        again = broker.connect(name, version, lasting=True, session=True)
        again.publish(f"a/{number}", b"x")
        again.expect_message(f"a/{number}", b"x")


@pytest.mark.holds("3.1.1: MQTT-3.1.2-6 MQTT-3.1.4-3 MQTT-3.2.2-1",
                   "5.0: MQTT-3.1.2-4 MQTT-3.1.4-4 MQTT-3.2.2-2")
@pytest.mark.workers
def test_clean_forgets(broker, version, workers):
    first = broker.connect("x", version, lasting=True)
    first.subscribe("t", qos=1)
    first.disconnect()
    broker.connect("from", version).publish("t", b"x", 1)
    second = broker.connect("x", version, clean=True, session=False)
    second.expect_nothing()
    second.disconnect()
    third = broker.connect("x", version, lasting=True, session=False)
    broker.connect("from", version).publish("t", b"y", 1)
    third.expect_nothing()


@pytest.mark.holds("3.1.1: MQTT-3.1.2-6",
                   "5.0: MQTT-4.1.0-2")
@pytest.mark.workers
def test_a_clean_session_ends_with_its_connection(broker, version, workers):
    first = broker.connect("x", version, clean=True)
    first.subscribe("t", qos=1)
    first.close()
    broker.connect("from", version).publish("t", b"x", 1)
    second = broker.connect("x", version, lasting=True, session=False)
    second.expect_nothing()


@pytest.mark.holds("3.1.1: MQTT-4.1.0-2",
                   "5.0: MQTT-4.1.0-1")
@pytest.mark.workers
def test_it_lives_as_long_as_its_connection(broker, version, workers):
    """Also one that ends with it: nothing of a session is dropped while its client is there."""
    client = broker.connect("x", version, clean=True)
    client.subscribe("t", qos=1)
    publisher = broker.connect("from", version)
    publisher.publish("t", b"kept", 1)
    kept = client.expect("PUBLISH", payload=b"kept")
    time.sleep(1.5)
    publisher.publish("t", b"later", 1)
    client.expect_message("t", b"later")
    client.acknowledge(kept)
    client.ping()


@pytest.mark.holds("3.1.1: MQTT-3.1.3-2",
                   "5.0: MQTT-3.1.3-2")
@pytest.mark.workers
def test_between_versions(broker, workers):
    """The session belongs to the client id, whatever the version that resumes it."""
    client = broker.connect("x", 4, lasting=True)
    client.subscribe("t", qos=1)
    client.disconnect()
    broker.connect("from", 4).publish("t", b"x", 1)
    broker.connect("x", 5, lasting=True, session=True).expect_message("t", b"x")


@pytest.mark.versions(3)
def test_3_1_has_no_session_present(broker, version):
    broker.connect("x", version, clean=False).disconnect()
    broker.connect("x", version, clean=False, session=False)


@pytest.mark.workers
def test_unsubscribed_while_away_is_not_possible_but_before(broker, version, workers):
    client = broker.connect("x", version, lasting=True)
    client.subscribe("t", "u", qos=1)
    client.unsubscribe("t")
    client.disconnect()
    publisher = broker.connect("from", version)
    publisher.publish("t", b"x", 1)
    publisher.publish("u", b"y", 1)
    again = broker.connect("x", version, lasting=True, session=True)
    again.expect_message("u", b"y")
    again.expect_nothing()


@pytest.mark.holds("3.1.1: MQTT-3.1.3-2 MQTT-4.5.0-1",
                   "5.0: MQTT-3.1.3-2 MQTT-4.5.0-1")
@pytest.mark.workers
def test_many_sessions(broker, version, workers):
    """Spread over the workers, each finds its own again."""
    for number in range(40):
        client = broker.connect(f"x-{number}", version, lasting=True)
        client.subscribe(f"t/{number}", qos=1)
        client.disconnect()
    publisher = broker.connect("from", version)
    for number in range(40):
        publisher.publish(f"t/{number}", b"%d" % number, 1)
    for number in range(40):
        client = broker.connect(f"x-{number}", version, lasting=True, session=True)
        client.expect_message(f"t/{number}", b"%d" % number)


# ---- 5.0: how long ----

@pytest.mark.holds("5.0: MQTT-4.1.0-2")
def test_expires(broker):
    """(5.0: MQTT-4.1.0-2)"""
    broker.connect("x", 5, clean=False, properties={"session_expiry_interval": 1}).disconnect()
    time.sleep(3.2)
    broker.connect("x", 5, lasting=True, session=False)


@pytest.mark.holds("5.0: MQTT-3.1.2-23 MQTT-4.1.0-1")
def test_does_not_expire_while_connected(broker):
    client = broker.connect("x", 5, clean=False, properties={"session_expiry_interval": 1})
    time.sleep(2.5)
    client.ping()
    client.close()
    broker.connect("x", 5, lasting=True, session=True)


def test_no_expiry_interval_means_none(broker):
    client = broker.connect("x", 5, clean=False)
    client.subscribe("t")
    client.disconnect()
    broker.connect("x", 5, clean=False, session=False)


def test_disconnect_may_change_it(broker):
    broker.connect("x", 5, lasting=True).disconnect(0, {"session_expiry_interval": 0})
    broker.connect("x", 5, lasting=True, session=False).disconnect(
        0, {"session_expiry_interval": 60})
    broker.connect("x", 5, lasting=True, session=True)


def test_disconnect_may_not_revive_it(broker):
    """From none at CONNECT to some at DISCONNECT is a protocol error. (5.0, 3.14.2.2.2)"""
    client = broker.connect("x", 5, clean=False)
    client.send(wire.disconnect(0, {"session_expiry_interval": 60}))
    client.expect_end(0x82)


def test_for_ever(broker):
    broker.connect("x", 5, clean=False,
                   properties={"session_expiry_interval": 0xFFFFFFFF}).disconnect()
    time.sleep(1.5)
    broker.connect("x", 5, lasting=True, session=True)
