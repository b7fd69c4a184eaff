"""
A client need not wait for CONNACK: what it sends behind CONNECT, in the same segment or in pieces
cut anywhere, has its effect in order. With several workers the connection moves meanwhile.
"""

import pytest

from harness import wire
from harness.pipeline import conversation, expect_answers


@pytest.mark.holds("3.1.1: MQTT-3.2.0-1 MQTT-3.8.4-1 MQTT-4.6.0-6",
                   "5.0: MQTT-3.2.0-1 MQTT-3.8.4-1 MQTT-4.6.0-5")
@pytest.mark.workers
def test_in_one_segment(broker, version, workers):
    for number in range(16):
        client = broker.open(version)
        client.send(*conversation(f"p{number}", version))
        expect_answers(client, f"p{number}")


@pytest.mark.holds("3.1.1: MQTT-3.2.0-1 MQTT-7.1.1-1",
                   "5.0: MQTT-3.2.0-1 MQTT-4.2.0-1")
@pytest.mark.workers
def test_cut_at_every_byte(broker, version, workers):
    for cut in range(1, len(b"".join(conversation("p00", version)))):
        client = broker.open(version)
        client.send(*conversation(f"p{cut:02}", version), pieces=[cut], delay=0.002)
        expect_answers(client, f"p{cut:02}")
        client.close()


@pytest.mark.workers
def test_byte_by_byte(broker, version, workers):
    clients = [broker.open(version) for _ in range(4)]
    for number, client in enumerate(clients):
        client.send(*conversation(f"p{number}", version), pieces=1, delay=0.0005)
    for number, client in enumerate(clients):
        expect_answers(client, f"p{number}")


@pytest.mark.workers
def test_disconnect_in_the_same_segment(broker, version, workers):
    """All that came before the DISCONNECT counts."""
    watcher = broker.connect("watcher", version)
    watcher.subscribe("said/#")
    for number in range(16):
        client = broker.open(version)
        client.send(wire.connect(f"brief-{number}", version),
                    wire.publish(f"said/{number}", b"x", version=version), wire.disconnect())
        client.expect("CONNACK", code=0)
        client.expect_close()
        watcher.expect_message(f"said/{number}", b"x")


@pytest.mark.workers
def test_much_behind_connect(broker, version, workers):
    """More than a read buffer holds follows CONNECT at once."""
    for number in range(4):
        client = broker.open(version)
        client.send(wire.connect(f"much-{number}", version),
                    wire.subscribe(1, (f"much/{number}", 0), version=version),
                    *(wire.publish(f"much/{number}", b"%04d" % i + b"." * 500, version=version)
                      for i in range(200)))
        client.expect("CONNACK", code=0)
        client.expect("SUBACK")
        for i in range(200):
            assert client.expect("PUBLISH").payload[:4] == b"%04d" % i
