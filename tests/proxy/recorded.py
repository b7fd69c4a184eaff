"""
Every connection that HAProxy was seen to open, replayed against a PROXY listener: whole, byte by
byte and cut at every offset, with equal results. The log knows the real client; checks leave no
line that speaks of an error.
"""

import re
import time

import pytest

from harness import proxy
from harness.client import Closed

pytestmark = pytest.mark.nightjar("the PROXY protocol")

ALL = {each.name: each for each in proxy.recorded()}
SERVED = [each.name for each in ALL.values() if each.version and each.is_mqtt]
CHECKS = [each.name for each in ALL.values() if each.version and not each.payload]
FOREIGN = [each.name for each in ALL.values() if each.version and each.payload and not each.is_mqtt]
BARE = [each.name for each in ALL.values() if not each.version]

LISTENER = "listener {port} 127.0.0.1\nallow_anonymous true\nenable_proxy_protocol "
CONNACK = bytes.fromhex("20020000")


def mode_of(each):
    return "1" if each.version == 1 else "2"


def expect_served(broker, each, peer):
    """
    The lines of a client that came and went, under its real address. A header that names nobody
    may be a check: its connection has no line before CONNECT.
    """
    address = re.escape(each.client or peer)
    if each.client:
        broker.expect_line(rf"New connection from {address} on port {broker.port}.*")
    broker.expect_line(rf"New client connected from {address} as "
                       rf"{re.escape(each.described)}\.")
    broker.expect_line(rf"Client \w+ \[{address}\] disconnected\.")


@pytest.mark.parametrize("mode", ["own", "any"])
@pytest.mark.parametrize("name", SERVED)
def test_whole(start_broker, name, mode):
    each = ALL[name]
    broker = start_broker(LISTENER + (mode_of(each) if mode == "own" else "any") + "\n")
    client = broker.open()
    client.send(each.data)
    client.expect_bytes(CONNACK)
    client.expect_close()
    expect_served(broker, each, client.local)


@pytest.mark.workers
@pytest.mark.parametrize("name", SERVED)
def test_byte_by_byte(start_broker, name, workers):
    each = ALL[name]
    broker = start_broker(LISTENER + mode_of(each) + "\n")
    client = broker.open()
    client.send(each.data, pieces=1, delay=0.0005)
    client.expect_bytes(CONNACK)
    client.expect_close()
    expect_served(broker, each, client.local)


@pytest.mark.workers
@pytest.mark.parametrize("name", SERVED)
def test_cut_at_every_offset(start_broker, name, workers):
    """Several connections a time, so that the pauses between the pieces cost nothing."""
    each = ALL[name]
    broker = start_broker(LISTENER + "any\n")
    offsets = range(1, len(each.data))
    for start in range(0, len(offsets), 25):
        batch = [(cut, broker.open()) for cut in offsets[start:start + 25]]
        for cut, client in batch:
            client.send(each.data[:cut])
        time.sleep(0.01)
        for cut, client in batch:
            client.send(each.data[cut:])
            try:
                client.expect_bytes(CONNACK)
                client.expect_close()
            except Closed:
                # The same id again: a later connection of the batch may have come first.
                assert client.buffer in (b"", CONNACK), (cut, client.buffer)
            client.close()
    if each.client:
        pattern = rf"New client connected from {re.escape(each.client)} as .*"
        assert broker.count_lines(r"New client connected from (?!" + re.escape(each.client) +
                                  r" ).*") == 0
        broker.expect_line(pattern)


@pytest.mark.parametrize("end", ["reset", "close"])
@pytest.mark.parametrize("name", CHECKS)
def test_checks(start_broker, name, end):
    each = ALL[name]
    broker = start_broker(LISTENER + mode_of(each) + "\n")
    for pieces in (None, 1):
        client = broker.open()
        client.send(each.data, pieces=pieces)
        time.sleep(0.05)
        getattr(client, end)()
    broker.open().close()
    time.sleep(0.1)
    assert not broker.complaints()
    if each.version == 2:
        assert "New client" not in broker.log() and "disconnected" not in broker.log()


@pytest.mark.parametrize("name", FOREIGN)
def test_tls_is_not_expected(start_broker, name):
    """Behind a good header begins what this listener does not speak: closed, without a byte."""
    each = ALL[name]
    broker = start_broker(LISTENER + mode_of(each) + "\n")
    client = broker.open()
    client.send(each.data)
    client.expect_close()
    broker.connect("next", before=proxy.client("192.0.2.7", 1111)).ping()


@pytest.mark.parametrize("mode", ["1", "2", "any"])
@pytest.mark.parametrize("name", BARE)
def test_no_header(start_broker, name, mode):
    broker = start_broker(LISTENER + mode + "\n")
    client = broker.open()
    client.send(ALL[name].data)
    client.expect_close()
    assert "New client" not in broker.log()


@pytest.mark.parametrize("name, mode", [("v1-tcp4", "2"), ("s5-direct-v2", "1")])
def test_the_other_version(start_broker, name, mode):
    broker = start_broker(LISTENER + mode + "\n")
    client = broker.open()
    client.send(ALL[name].data)
    client.expect_close()
    assert "New client" not in broker.log()


def test_a_listener_without_proxy_protocol(start_broker):
    """A header there is just not MQTT."""
    broker = start_broker()
    for name in ("s5-direct-v2", "v1-tcp4"):
        client = broker.open()
        client.send(ALL[name].data)
        client.expect_close()
