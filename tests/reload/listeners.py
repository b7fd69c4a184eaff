"""
Listeners open and close while clients are connected. Who came through one that closes stays, and
is served as before; nobody else gets in there.
"""

import os
import socket

import pytest

from harness import wire
from harness.process import wait_until

pytestmark = [pytest.mark.nightjar("2.0 has listeners for its whole life"), pytest.mark.workers]

ONE = "listener {port} 127.0.0.1\nallow_anonymous true\n"
TWO = ONE + "listener {port2} 127.0.0.1\n"


def at(broker, name):
    return "127.0.0.1", broker.places[name]


def is_open(address):
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0


def test_one_opens_and_one_closes(start_broker, workers):
    broker = start_broker(TWO)
    first = broker.connect("first", 5)
    second = broker.connect("second", 5, address=at(broker, "port2"))
    first.subscribe("t", qos=1)
    second.subscribe("t", qos=1)
    broker.reload(ONE + "listener {port3} 127.0.0.1\n")
    broker.expect_line(r"listener \d+ 127\.0\.0\.1: opens")
    broker.expect_line(r"listener \d+ 127\.0\.0\.1: closes")
    assert not is_open(at(broker, "port2"))
    third = broker.connect("third", 5, address=at(broker, "port3"))
    third.publish("t", "for all", 1)
    for client in first, second:
        client.expect_message("t", b"for all", qos=1)
    first.subscribe("back")
    second.publish("back", "and back", 1)
    first.expect_message("back", b"and back")
    second.disconnect()


def test_many_times(start_broker, workers):
    """Clients of many lives of a listener, which are all counted; nothing is left of them."""
    broker = start_broker(ONE)
    broker.expect_line("nightjar version .* running")
    broker.connect("first", 5).disconnect()  # workers have a descriptor in reserve from then on
    descriptors = len(os.listdir(f"/proc/{broker.pid}/fd"))
    clients = []
    for number in range(6):
        broker.reload(TWO + "max_connections 5\n" + ("max_qos 1\n" if number % 2 else ""))
        clients.append(broker.connect(f"c{number}", 5, address=at(broker, "port2")))
        broker.reload(ONE)
        assert not is_open(at(broker, "port2"))
    for client in clients:
        client.publish("t", "x", 1)
        client.disconnect()
    wait_until(lambda: len(os.listdir(f"/proc/{broker.pid}/fd")) == descriptors,
               what="as many descriptors as before")


def test_others_are_counted_on(start_broker, workers):
    """max_connections counts who came before the listener's options changed."""
    broker = start_broker(ONE + "max_connections 2\n")
    client = broker.connect("x", 5)
    broker.reload(ONE + "max_connections 2\nmax_qos 1\n")
    broker.connect("y", 5)
    broker.open().expect_close()
    client.disconnect()
    wait_until(lambda: try_connect(broker), what="room for one more")


def try_connect(broker):
    client = broker.open(5)
    client.send(wire.connect("z", 5))
    return not client.ended(0.3)


def test_a_unix_socket(start_broker, workers):
    broker = start_broker(ONE)
    path = str(broker.folder / "socket")
    broker.reload(ONE + "listener 0 {dir}/socket\n")
    client = broker.connect("x", 4, address=path)
    broker.reload(ONE + "max_qos 1\nlistener 0 {dir}/socket\nmax_qos 1\n")  # the same socket
    broker.connect("y", 4, address=path).ping()
    broker.reload(ONE)
    assert not os.path.exists(path)
    client.ping()


def test_in_another_order(start_broker, workers):
    """Each keeps its socket and gets its own options."""
    broker = start_broker(TWO)
    client = broker.connect("x", 5)
    broker.reload("listener {port2} 127.0.0.1\nmax_qos 1\nlistener {port} 127.0.0.1\nmax_qos 0\n"
                  "allow_anonymous true\n")
    assert broker.connect("y", 5).connack.properties["maximum_qos"] == 0
    other = broker.connect("z", 5, address=at(broker, "port2"))
    assert other.connack.properties["maximum_qos"] == 1
    assert not [line for line in broker.lines() if "opens" in line or "closes" in line]
    client.ping()


def test_all_at_once(start_broker, workers):
    """Not one of the listeners goes on."""
    broker = start_broker(ONE)
    client = broker.connect("x", 4)
    broker.reload("listener {port2} 127.0.0.1\nallow_anonymous true\n")
    broker.connect("y", 4, address=at(broker, "port2")).ping()
    assert not is_open(at(broker, "port"))
    client.ping()
