"""
Large messages arrive whole, in one segment or in pieces, to several subscribers, beside small ones.
"""

import random

import pytest

from harness import wire

SIZES = {"16k": 16384, "200k": 200_000, "1900k": 1_900_000}


def payload(size):
    return random.Random(size).randbytes(size)


@pytest.mark.workers
@pytest.mark.parametrize("qos", [0, 2])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_whole(broker, version, size, qos, workers):
    subscribers = [broker.connect(f"to-{n}", version) for n in range(3)]
    for each in subscribers:
        each.subscribe("t", qos=qos)
    publisher = broker.connect("from", version)
    publisher.publish("t", payload(size), qos)
    publisher.publish("t", b"small", qos)
    for each in subscribers:
        each.expect_message("t", payload(size), qos=qos)
        each.expect_message("t", b"small", qos=qos)


@pytest.mark.holds("3.1.1: MQTT-4.6.0-6",
                   "5.0: MQTT-4.6.0-5")
@pytest.mark.workers
@pytest.mark.parametrize("size, pieces, delay", [
    (200_000, 1460, 0.0), (200_000, 16384, 0.001), (200_000, 16385, 0.001),
    (1_900_000, 65536, 0.0), (3000, 1, 0.0),
])
def test_in_pieces(broker, version, size, pieces, delay, workers):
    subscriber = broker.connect("to", version)
    subscriber.subscribe("t", qos=1)
    publisher = broker.connect("from", version)
    publisher.send(wire.publish("t", payload(size), 1, 1, version=version),
                   wire.publish("t", b"behind", 1, 2, version=version),
                   pieces=pieces, delay=delay)
    publisher.expect("PUBACK", id=1)
    publisher.expect("PUBACK", id=2)
    subscriber.expect_message("t", payload(size))
    subscriber.expect_message("t", b"behind")


@pytest.mark.workers
@pytest.mark.parametrize("size", list(range(118, 132)) + list(range(16374, 16396)) +
                         list(range(2097140, 2097141)))
@pytest.mark.config("max_packet_size 4000000")
def test_around_the_borders_of_lengths_and_buffers(broker, size, workers):
    subscriber = broker.connect("to", 4)
    subscriber.subscribe("t")
    publisher = broker.connect("from", 4)
    publisher.send(wire.publish("t", payload(size)), wire.publish("t", b"behind"))
    subscriber.expect_message("t", payload(size))
    subscriber.expect_message("t", b"behind")


@pytest.mark.workers
def test_retained(broker, version, workers):
    publisher = broker.connect("from", version)
    publisher.publish("t", payload(1_900_000), 1, retain=True)
    for number in range(3):
        client = broker.connect(f"to-{number}", version)
        client.subscribe("t")
        client.expect_message("t", payload(1_900_000), retain=True)


@pytest.mark.workers
def test_published_in_turns(broker, version, workers):
    """Several large messages cross each other, each in pieces on its own connection."""
    subscriber = broker.connect("to", version)
    subscriber.subscribe("t/+")
    publishers = [broker.connect(f"from-{n}", version) for n in range(4)]
    packets = [wire.publish(f"t/{n}", payload(100_000 + n), version=version) for n in range(4)]
    for start in range(0, 110_000, 10_000):
        for client, packet in zip(publishers, packets):
            client.send(packet[start:start + 10_000])
    got = {each.topic: each.payload for each in subscriber.collect(4)}
    assert got == {f"t/{n}": payload(100_000 + n) for n in range(4)}


@pytest.mark.workers
def test_cut_off(broker, version, workers):
    """A publisher that vanishes in the middle published nothing."""
    subscriber = broker.connect("to", version)
    subscriber.subscribe("t")
    publisher = broker.connect("from", version)
    publisher.send(wire.publish("t", payload(200_000), version=version)[:150_000])
    publisher.close()
    subscriber.expect_nothing()
