"""
A will is published when the connection ends without a DISCONNECT, at its QoS and with its retain
flag, and only then.
"""

import pytest

from harness import wire
from harness.wire import Will


def watch(broker, version):
    watcher = broker.connect("watcher", version)
    watcher.subscribe("gone", qos=2)
    return watcher


ENDS = {
    "closed": lambda client: client.close(),
    "reset": lambda client: client.reset(),
    "protocol error": lambda client: client.send(wire.connect("x", client.version)),
    "malformed packet": lambda client: client.send(b"\x00\x00"),
    "disconnect with flags": lambda client: client.send(b"\xe1\x00"),
}


@pytest.mark.holds("3.1.1: MQTT-3.1.2-8 MQTT-3.1.2-10 MQTT-3.14.1-1",
                   "5.0: MQTT-3.1.2-7 MQTT-3.1.2-8 MQTT-3.1.2-10 MQTT-3.14.1-1")
@pytest.mark.differs("2.0 publishes no will then", how="protocol error")
@pytest.mark.workers
@pytest.mark.parametrize("how", ENDS)
def test_published(broker, version, how, workers):
    watcher = watch(broker, version)
    for number in range(4):
        client = broker.connect(f"x-{number}", version, will=Will("gone", b"%d" % number, 1))
        ENDS[how](client)
        watcher.expect_message("gone", b"%d" % number, qos=1, retain=False)
        client.close()
    watcher.expect_nothing()


@pytest.mark.holds("3.1.1: MQTT-3.1.2-9",
                   "5.0: MQTT-3.1.2-9")
@pytest.mark.workers
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.versions(3, 4, 5)
def test_qos(broker, version, qos, workers):
    watcher = watch(broker, 4)
    broker.connect("x", version, will=Will("gone", b"bye", qos)).close()
    watcher.expect_message("gone", b"bye", qos=qos)


@pytest.mark.holds("3.1.1: MQTT-3.1.2-8 MQTT-3.1.2-10 MQTT-3.14.4-3",
                   "5.0: MQTT-3.1.2-8 MQTT-3.1.2-10 MQTT-3.14.4-3")
@pytest.mark.workers
def test_disconnect_removes_it(broker, version, workers):
    watcher = watch(broker, version)
    for number in range(4):
        broker.connect(f"x-{number}", version, will=Will("gone", b"x")).disconnect()
    watcher.expect_nothing()


@pytest.mark.holds("3.1.1: MQTT-3.1.2-17",
                   "5.0: MQTT-3.1.2-15")
@pytest.mark.workers
def test_retained(broker, version, workers):
    watcher = watch(broker, version)
    broker.connect("x", version, will=Will("gone", b"kept", retain=True)).close()
    watcher.expect_message("gone", b"kept", retain=False)
    late = broker.connect("late", version)
    late.subscribe("gone")
    late.expect_message("gone", b"kept", retain=True)


@pytest.mark.holds("3.1.1: MQTT-3.1.2-16",
                   "5.0: MQTT-3.1.2-14")
@pytest.mark.workers
def test_not_retained(broker, version, workers):
    watcher = watch(broker, version)
    broker.connect("x", version, will=Will("gone", b"x")).close()
    watcher.expect_message("gone", b"x")
    late = broker.connect("late", version)
    late.subscribe("gone")
    late.expect_nothing()


@pytest.mark.workers
def test_empty(broker, version, workers):
    watcher = watch(broker, version)
    broker.connect("x", version, will=Will("gone", b"")).close()
    watcher.expect_message("gone", b"")


@pytest.mark.holds("3.1.1: MQTT-3.1.2-12")
@pytest.mark.workers
def test_the_last_connect_counts(broker, version, workers):
    """The will belongs to the connection, not to the session."""
    watcher = watch(broker, version)
    broker.connect("x", version, lasting=True, will=Will("gone", b"old")).disconnect()
    broker.connect("x", version, lasting=True, session=True).close()
    watcher.expect_nothing()


@pytest.mark.workers
def test_a_large_will(broker, version, workers):
    watcher = watch(broker, version)
    payload = bytes(range(256)) * 200
    broker.connect("x", version, will=Will("gone", payload, 1)).close()
    watcher.expect_message("gone", payload)


def test_after_the_server_stops(start_broker):
    """A will does not stop the broker from ending."""
    broker = start_broker()
    broker.connect("x", 4, will=Will("gone", b"x"))
    assert broker.stop() == 0
