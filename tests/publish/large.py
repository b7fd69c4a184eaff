"""
Large messages arrive whole and in order, whatever comes before and behind them and however they are
cut on their way: whoever sent one is expected to send another of its size.
"""

import pytest

from harness import wire

SMALL = 60
MEDIUM = 5000
LARGE = 65536

# What is sent in one go, by size.
FLOWS = {
    "alone": [LARGE] * 4,
    "others behind": [LARGE, SMALL, SMALL, LARGE, MEDIUM, LARGE, SMALL],
    "others in front": [SMALL, LARGE, SMALL, MEDIUM, LARGE],
    "larger": [LARGE, 3 * LARGE, LARGE, 20 * LARGE, LARGE],
    "smaller": [LARGE, LARGE // 2, LARGE // 4, LARGE // 7, SMALL, LARGE],
    "many small behind": [LARGE, LARGE // 2, *[SMALL] * 600, LARGE],
}


def payload(number, size):
    return (b"%d:" % number).ljust(size, bytes([97 + number % 26]))


def packets(sizes, version, qos):
    return [wire.publish("t", payload(number, size), qos, number + 1 if qos else None,
                         version=version) for number, size in enumerate(sizes)]


def check(subscriber, sizes):
    for number, size in enumerate(sizes):
        assert subscriber.expect("PUBLISH").payload == payload(number, size), (number, size)


@pytest.mark.config("max_queued_messages 0\nmax_inflight_messages 0")
@pytest.mark.workers
@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("qos", [0, 1])
def test_large_messages(broker, version, flow, qos, workers):
    sizes = FLOWS[flow]
    subscribers = [broker.connect(f"to-{n}", version) for n in range(2)]
    for each in subscribers:
        each.subscribe("t", qos=0)
    publisher = broker.connect("from", version)
    publisher.send(*packets(sizes, version, qos))
    for each in subscribers:
        check(each, sizes)


# The first packet teaches what to expect; where the others are cut differs.
@pytest.mark.workers
@pytest.mark.parametrize("pieces", [[1], [3], [100], [LARGE // 8], [LARGE // 2], [LARGE + 2],
                                    [LARGE + 10, LARGE + 20]])
def test_cut_behind_a_large_message(broker, version, pieces, workers):
    subscriber = broker.connect("to", version)
    subscriber.subscribe("t")
    publisher = broker.connect("from", version)
    sizes = [LARGE, LARGE, SMALL, LARGE]
    first, *others = packets(sizes, version, 0)
    publisher.send(first)
    assert subscriber.expect("PUBLISH").payload == payload(0, LARGE)
    publisher.send(*others, pieces=pieces, delay=0.05)
    for number, size in enumerate(sizes[1:], 1):
        assert subscriber.expect("PUBLISH").payload == payload(number, size)


@pytest.mark.config("max_packet_size 70000")
def test_too_large_behind_a_large_message(broker, version):
    publisher = broker.connect("from", version)
    publisher.send(wire.publish("t", b"x" * LARGE, version=version), wire.pingreq())
    publisher.expect("PINGRESP")
    publisher.send(wire.publish("t", b"x" * 2 * LARGE, version=version)[:100])
    publisher.expect_end(0x95)
