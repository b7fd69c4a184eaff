"""
max_connections and global_max_connections: what is more is closed before a word, and a place is
free again when a connection has ended.
"""

import pytest

from harness import wire
from harness.process import wait_until

BOTH = """
global_max_connections 3
listener {port} 127.0.0.1
allow_anonymous true
max_connections 2
listener {port2} 127.0.0.1
allow_anonymous true
"""


def is_refused(broker, address):
    client = broker.open(4, address)
    if client.ended(0.5):
        return True
    client.close()
    return False


def wait_connected(broker, client_id, address):
    """A place that was given back is seen by the next who asks."""
    found = []

    def comes_in():
        client = broker.open(4, address)
        try:
            client.send(wire.connect(client_id))
            client.expect("CONNACK", code=0)
        except (AssertionError, OSError):
            return False
        found.append(client)
        return True

    wait_until(comes_in, 10, what="a free place")
    return found[0]


@pytest.mark.workers
@pytest.mark.nightjar("2.0 has no global_max_connections")
def test_each_listener_and_all_together(start_broker, workers):
    broker = start_broker(BOTH)
    first, second = broker.address, ("127.0.0.1", broker.places["port2"])
    clients = [broker.connect(f"x-{number}", 4, address=first) for number in range(2)]
    assert is_refused(broker, first)
    clients.append(broker.connect("x-2", 4, address=second))
    assert is_refused(broker, second)
    clients.pop(0).disconnect()
    clients.append(wait_connected(broker, "x-3", second))
    assert is_refused(broker, first) and is_refused(broker, second)
    for client in clients:
        client.ping()
