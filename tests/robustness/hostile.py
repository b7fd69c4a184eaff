"""
A hostile client's mistakes cost nobody else anything: garbage, broken packets, connections that
come and go, while two good clients exchange messages all the time.
"""

import contextlib
import random
import threading
import time

import pytest

from harness import wire
from harness.client import Client, Closed

SECONDS = 3


def garbage(random_source):
    choice = random_source.randrange(5)
    if choice == 0:
        return random_source.randbytes(random_source.randrange(1, 300))
    packets = [
        wire.connect("good", 4), wire.connect("h%d" % random_source.randrange(20), 5),
        wire.publish("noise", b"x" * random_source.randrange(2000), 1, 7),
        wire.subscribe(3, ("#", 2)), wire.unsubscribe(4, "#"), wire.ack("PUBREL", 9),
        wire.pingreq(), wire.disconnect(),
    ]
    data = bytearray(wire.connect("h%d" % random_source.randrange(20),
                                  random_source.choice((4, 5))))
    for _ in range(random_source.randrange(5)):
        data += random_source.choice(packets[2:])
    if choice >= 3:
        for _ in range(random_source.randrange(1, 4)):
            data[random_source.randrange(len(data))] = random_source.randrange(256)
    return bytes(data[:random_source.randrange(1, len(data) + 1)] if choice == 4 else data)


def attack(address, seed, until):
    source = random.Random(seed)
    while time.monotonic() < until:
        with contextlib.suppress(OSError, Closed, AssertionError):
            client = Client(address)
            client.send(garbage(source), pieces=source.choice((None, None, 7)))
            if source.random() < 0.3:
                client.receive(0.01)
            client.reset() if source.random() < 0.5 else client.close()


@pytest.mark.workers
@pytest.mark.parametrize("seed", [1, 2])
def test_good_clients_notice_nothing(broker, version, seed, workers):
    receiver = broker.connect("receiver", version)
    receiver.subscribe("good", qos=1)
    sender = broker.connect("sender", version)
    until = time.monotonic() + SECONDS
    attackers = [threading.Thread(target=attack, args=(broker.address, seed * 100 + n, until))
                 for n in range(3)]
    for each in attackers:
        each.start()
    worst, number = 0, 0
    while time.monotonic() < until:
        begun = time.monotonic()
        sender.publish("good", b"%d" % number, number % 3)
        receiver.expect_message("good", b"%d" % number)
        worst = max(worst, time.monotonic() - begun)
        number += 1
    for each in attackers:
        each.join()
    assert number > 20
    assert worst < 2.0, f"a message took {worst:.2f} s"


@pytest.mark.workers
def test_vanishing_in_a_fan_out(broker, version, workers):
    """Subscribers that reset their connections while they are being served."""
    publisher = broker.connect("from", version)
    staying = broker.connect("staying", version)
    staying.subscribe("t")
    for turn in range(10):
        leaving = [broker.connect(f"leaving-{n}", version) for n in range(10)]
        for each in leaving:
            each.subscribe("t", qos=1)
        publisher.send(*(wire.publish("t", b"%d" % n + b"." * 2000, version=version)
                         for n in range(100)))
        for each in leaving:
            each.reset()
        for number in range(100):
            assert staying.expect("PUBLISH").payload.startswith(b"%d." % number)
