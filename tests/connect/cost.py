"""
What a connection costs that comes, is welcomed and leaves, in system calls: accept, one receive for
CONNECT and one for DISCONNECT, one send, one place in the poller and the end of the descriptor. No more,
also when its session lives on another worker. How many wait is asked once for all of them, and nobody
is accepted in vain.
"""

import pytest

from harness import calls, proxy, wire

pytestmark = [pytest.mark.laborious, pytest.mark.nightjar("what has come is read at once"),
              pytest.mark.timeout(90)]

LEN = 16
PLAIN = "listener {port} 127.0.0.1\nallow_anonymous true\nconnection_messages false\n"
ONCE = {"eventfd2", "mmap", "munmap", "mprotect"}  # a worker's reserve and its heap
HEADER = proxy.client("192.0.2.7", 1111)
WAYS = {"plain": (PLAIN, b""), "PROXY": (PLAIN + "enable_proxy_protocol 2\n", HEADER)}


def come(broker, before):
    """Clients of which the kernel has the CONNECT as soon as the connection."""
    clients = [broker.open() for _ in range(LEN)]
    for number, client in enumerate(clients):
        client.send(before + wire.connect(f"c-{number}"))
    return clients


def leave(clients):
    for client in clients:
        assert client.receive().kind == "CONNACK"
        client.send(wire.disconnect())
        client.close()


def start_plainly(start_broker, text, workers):
    broker = start_broker(text, workers=workers)
    if broker.is_sanitized():
        pytest.skip("a sanitizer has calls of its own")
    return broker


def of_connections(counted):
    return {name: number for name, number in counted.items()
            if name not in calls.WAITS and name not in ONCE}


@pytest.mark.parametrize("way", WAYS)
def test_on_one_worker(start_broker, way):
    text, before = WAYS[way]
    broker = start_plainly(start_broker, text, 1)
    [tid] = calls.workers_of(broker)
    with calls.Worker(tid) as worker:
        clients = come(broker, before)
        counted = worker.turn()
        leave(clients)
        while counted["close"] < LEN:
            counted += worker.turn()
    assert of_connections(counted) == {"getsockopt": 1, "accept4": LEN, "recvfrom": 2 * LEN,
                                      "sendmsg": LEN, "epoll_ctl": LEN, "close": LEN}


def test_at_home_on_another_worker(start_broker):
    """Whoever accepts it never watches it."""
    broker = start_plainly(start_broker, PLAIN, 2)
    tids = calls.workers_of(broker)
    with calls.Worker(tids[0]) as near, calls.Worker(tids[1]) as far:
        clients = come(broker, b"")
        counted = near.turn() + far.turn()
        leave(clients)
        counted += near.turn() + far.turn()
    assert counted.pop("getsockopt") <= 2
    assert counted.pop("accept4") <= LEN + 1  # both may have been told of the last ones
    assert counted.pop("write", 0) <= 1  # wakes the other worker for all of them
    assert of_connections(counted) == {"recvfrom": 2 * LEN, "sendmsg": LEN, "epoll_ctl": LEN,
                                      "close": LEN}


def test_one_that_takes_its_time_says_little_of_the_next(start_broker):
    """After it a single one is not read before it is watched."""
    broker = start_plainly(start_broker, PLAIN, 1)
    [tid] = calls.workers_of(broker)
    with calls.Worker(tid) as worker:
        silent = broker.open()
        clients = come(broker, b"")
        counted = worker.turn()
        worker.turn()
        leave(clients)
    silent.close()
    assert counted["recvfrom"] == 1 + LEN - 1


def test_who_takes_its_time_is_seldom_asked(start_broker):
    """After the first, second and third that have sent nothing one, three and seven are not read."""
    broker = start_plainly(start_broker, PLAIN, 1)
    [tid] = calls.workers_of(broker)
    with calls.Worker(tid) as worker:
        clients = [broker.open() for _ in range(LEN)]
        counted = worker.turn()
        for number, client in enumerate(clients):
            client.send(wire.connect(f"c-{number}"))
        later = worker.turn()
        leave(clients)
    assert counted["recvfrom"] == 4
    assert counted["epoll_ctl"] == LEN
    assert later["recvfrom"] == LEN and later["epoll_ctl"] == 0
