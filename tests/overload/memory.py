"""
Out of memory for connections: more are refused with a close, who is there is served, and accepting
goes on when memory is free again. memory_limit stands for a machine without memory.
"""

import contextlib
import time

import pytest

from harness import ports, wire
from harness.broker import DEFAULT
from harness.process import wait_until

MIB = 1 << 20
CONFIG = f"memory_limit {8 * MIB}\nmax_queued_messages 0\nmax_pending_connections 0\n"
BEGUN = r"Warning: Out of memory on port \d+, refusing new connections for now\."
ENDED = r"Accepting connections again: (\d+) were refused for want of memory\."

pytestmark = [pytest.mark.timeout(120),
              pytest.mark.nightjar("2.0 counts only where it was built to")]


def publish_all(publisher, body):
    """Until one is refused."""
    for _ in range(MIB):
        if publisher.publish("kept/x", body, 1).reason == 0x97:
            return
    raise AssertionError("nothing was refused")


def fill(broker):
    """Messages for someone who is away, until the broker takes no more; answers the publisher."""
    broker.connect("away", 5, lasting=True).subscribe("kept/#", qos=1)
    broker.connect("away", 5, lasting=True, session=True).disconnect()
    publisher = broker.connect("from", 5)
    publish_all(publisher, b"x" * 65536)
    publish_all(publisher, b"x" * 500)
    return publisher


@pytest.mark.workers
def test_refused_and_resumed(start_broker, workers):
    broker = start_broker(DEFAULT + CONFIG)
    served = [broker.connect(f"x-{n}", 4 + n % 2) for n in range(5)] + [fill(broker)]
    silent = []
    while not silent or not all(each.ended(0.01) for each in silent[-50:]):  # of every worker
        assert len(silent) < 5000, "nothing was refused"
        silent += [broker.open() for _ in range(50)]
        # Who is still in the queue of the system was not judged yet.
        wait_until(lambda: ports.backlog(broker.port) == 0, 20, what="accepting all")
    print(f"about {len(silent)} connections fit behind what was refused to a publisher")
    for each in served:
        each.ping()
    before = broker.cpu_seconds()
    time.sleep(2)
    assert broker.cpu_seconds() - before < 0.1
    for each in silent:
        each.close()

    def comes_in():
        client = broker.open(5)
        with contextlib.suppress(OSError):
            client.send(wire.connect("late", 5))
            return not client.ended(0.5)
        return False

    wait_until(comes_in, 5, every=0.1, what="an answer after the shortage")
    assert int(broker.expect_line(ENDED, timeout=15).group(1)) >= 50
    assert broker.count_lines(BEGUN) == broker.count_lines(ENDED) == 1, broker.log()
