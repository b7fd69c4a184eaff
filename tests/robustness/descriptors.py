"""
Out of descriptors: accepting pauses, those who are served go on, nothing spins, and accepting goes
on when descriptors are free again.
"""

import time

import pytest

from harness import wire

LIMIT = (64, 64)


@pytest.mark.differs("2.0 accepts and closes")
@pytest.mark.workers
def test_accept_pauses(start_broker, workers):
    broker = start_broker(descriptors=LIMIT)
    served, waiting = [], []
    for number in range(100):
        client = broker.open(4, name=f"x-{number}")
        client.send(wire.connect(f"x-{number}", 4))
        if not waiting and client.receive(1.0) is not None:
            served.append(client)
        else:
            waiting.append(client)
        if len(waiting) == 10:
            break
    assert len(served) >= 20 and len(waiting) == 10, len(served)

    for each in served:
        each.subscribe("t")
    served[0].send(wire.publish("t", b"still here"))
    for each in served:
        each.expect_message("t", b"still here")

    before, begun = broker.cpu_seconds(), time.monotonic()
    time.sleep(2)
    share = (broker.cpu_seconds() - before) / (time.monotonic() - begun)
    assert share < 0.05, f"{share:.0%} of a processor while accepting pauses"

    for each in served[:15]:
        each.disconnect()
    for each in waiting:
        each.expect("CONNACK", code=0)
        each.ping()
    assert broker.count_lines(r".*[Ee]rror.*") <= 2, broker.log()


@pytest.mark.workers
def test_descriptors_come_back(start_broker, workers):
    """Connections of every fate leave nothing open."""
    broker = start_broker()
    broker.connect("first", 4).disconnect()
    time.sleep(0.2)
    before = broker.descriptors()
    for number in range(60):
        broker.connect(f"a-{number}", 4).disconnect()
        broker.connect(f"b-{number}", 5).close()
        broker.connect(f"c-{number}", 5, lasting=True).reset()
        broker.connect("same", 4)
        half = broker.open()
        half.send(wire.connect("half", 4)[:5])
        half.close()
        bad = broker.open()
        bad.send(b"\xff\xff\xff")
        bad.expect_close()
    broker.connect("same", 4).disconnect()
    deadline = time.monotonic() + 5
    while broker.descriptors() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert broker.descriptors() <= before
