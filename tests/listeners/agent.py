"""
A listener of protocol agent answers who connects with one line, at once, and closes: no login, no
place among the connections, whatever was sent.
"""

import re
import socket

import pytest

from harness import wire
from harness.client import PATIENCE

pytestmark = pytest.mark.nightjar("the agent is ours")

LISTENERS = "listener {port} 127.0.0.1\nallow_anonymous true\n" \
            "listener {port2} 127.0.0.1\nprotocol agent\n"


def ask(broker, sending=b"", name="port2"):
    """All that the agent says until it closes."""
    with socket.create_connection(("127.0.0.1", broker.places[name]), PATIENCE) as link:
        if sending:
            link.sendall(sending)
        said = b""
        while data := link.recv(1000):
            said += data
    return said.decode()


def weight(broker):
    match = re.fullmatch(r"up ready (\d+)%(?: maxconn:\d+)?\n", ask(broker))
    assert match, ask(broker)
    return int(match[1])


@pytest.mark.workers
def test_one_line(start_broker, workers):
    broker = start_broker(LISTENERS)
    for _ in range(20):
        assert re.fullmatch(r"up ready (\d\d|100)%\n", ask(broker))
    assert broker.count_lines(r"New connection .*") == 0
    assert not broker.complaints()


def test_nothing_is_read(start_broker):
    """What agent-send sends, and what belongs elsewhere."""
    broker = start_broker(LISTENERS)
    for sending in (b"broker1\n", wire.connect("x", 5), b"GET / HTTP/1.1\r\n\r\n"):
        assert ask(broker, sending).startswith("up ready ")
    assert broker.count_lines(r"New client .*") == 0


@pytest.mark.workers
def test_weight_follows_the_connections(start_broker, workers):
    broker = start_broker("global_max_connections 10\n" + LISTENERS)
    assert ask(broker) == "up ready 100% maxconn:10\n"
    for number in range(4):
        broker.connect(f"x-{number}", 5)
    assert ask(broker) == "up ready 60% maxconn:10\n"


def test_max_connections_of_a_listener_count(start_broker):
    broker = start_broker(LISTENERS.replace("true\n", "true\nmax_connections 2\n"))
    broker.connect("x", 5)
    assert weight(broker) == 50


@pytest.mark.workers
def test_it_answers_when_the_broker_is_full(start_broker, workers):
    broker = start_broker("global_max_connections 2\n" + LISTENERS)
    for number in range(2):
        broker.connect(f"x-{number}", 5)
    broker.open().expect_close()
    for _ in range(5):
        assert ask(broker) == "up ready 1% maxconn:2\n"


def test_it_answers_without_descriptors(start_broker):
    broker = start_broker("max_pending_connections 0\n" + LISTENERS, descriptors=(64, 64))
    held = [broker.open() for _ in range(80)]
    broker.expect_line(r"Warning: Out of file descriptors .*")
    for _ in range(5):
        assert weight(broker) == 1
    assert len([each for each in held if each.ended(0.01)]) > 10


def test_it_answers_without_memory(start_broker):
    broker = start_broker(LISTENERS)
    broker.reload(LISTENERS + "memory_limit 1\n")
    broker.open().expect_close()
    assert ask(broker) == "up ready 1%\n"


def test_it_comes_and_goes_at_a_reload(start_broker):
    broker = start_broker(LISTENERS)
    broker.reload(LISTENERS + "listener {port3} 127.0.0.1\nprotocol agent\n")
    assert ask(broker, name="port3").startswith("up ready ")
    broker.reload(LISTENERS)
    with pytest.raises(ConnectionRefusedError):
        ask(broker, name="port3")


def test_what_has_no_effect_is_told(start_broker):
    broker = start_broker(LISTENERS + "enable_proxy_protocol 2\nmax_connections 1\n"
                          "defer_accept true\n")
    for name in ("enable_proxy_protocol", "max_connections", "defer_accept"):
        broker.expect_line(rf"Warning: {name} has no effect on a listener of protocol agent\. .*")
    for _ in range(3):
        assert ask(broker).startswith("up ready ")
