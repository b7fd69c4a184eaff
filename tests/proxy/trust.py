"""
Whose header is believed, and how long it may take.
"""

import contextlib
import re
import time

import pytest

from harness import proxy, wire

pytestmark = pytest.mark.nightjar("the PROXY protocol")

HEADER = proxy.client("192.0.2.7", 1111)
BASE = "listener {port} 127.0.0.1\nallow_anonymous true\nenable_proxy_protocol 2\n"
PROXY_AT, OTHER = "127.0.0.5", "127.0.0.6"


@pytest.mark.parametrize("trusted", ["127.0.0.5", "127.0.0.5/32", "127.0.0.4/31",
                                     "192.0.2.0/24\nproxy_protocol_trusted 127.0.0.5"])
def test_untrusted_are_refused(start_broker, trusted):
    broker = start_broker(BASE + f"proxy_protocol_trusted {trusted}\n")
    broker.connect("x", source=PROXY_AT, before=HEADER).ping()
    broker.expect_line(r"New client connected from 192\.0\.2\.7:1111 as x .*")
    for before in (HEADER, b""):
        peer = broker.open(source=OTHER)
        address = re.escape(peer.local)
        peer.send(before, wire.connect("y", 4))
        peer.expect_close()
        broker.expect_line(rf".*{address}.*")
    assert " as y " not in broker.log()


@pytest.mark.workers
def test_untrusted_may_be_direct(start_broker, workers):
    """Without a header: ordinary clients. With one: it is not theirs to send."""
    broker = start_broker(
        BASE + f"proxy_protocol_trusted {PROXY_AT}\nproxy_protocol_untrusted direct\n")
    broker.connect("x", source=PROXY_AT, before=HEADER).ping()
    client = broker.connect("y", source=OTHER)
    client.ping()
    broker.expect_line(rf"New client connected from {re.escape(client.local)} as y .*")
    forger = broker.open(source=OTHER)
    forger.send(HEADER, wire.connect("z", 4))
    forger.expect_close()
    bare = broker.open(source=PROXY_AT)
    bare.send(wire.connect("z", 4))
    bare.expect_close()
    assert " as z " not in broker.log()


def test_everybody_when_unset(start_broker):
    broker = start_broker(BASE)
    for source in (PROXY_AT, OTHER):
        broker.connect("x", source=source, before=HEADER).ping()


def test_unix_may_be_trusted(start_broker):
    text = "listener 0 {dir}/s\nallow_anonymous true\nenable_proxy_protocol 2\n"
    broker = start_broker(text + "proxy_protocol_trusted unix\n")
    broker.connect("x", address=str(broker.folder / "s"), before=HEADER).ping()
    broker.expect_line(r"New client connected from 192\.0\.2\.7:1111 as x .*")
    other = start_broker(text + "proxy_protocol_trusted 127.0.0.1\n")
    peer = other.open(address=str(other.folder / "s"))
    with contextlib.suppress(BrokenPipeError):  # closed already
        peer.send(HEADER, wire.connect("x", 4))
    peer.expect_close()


@pytest.mark.parametrize("line", ["127.0.0.1/33", "::1/129", "localhost", "127.0.0.1/x", ""])
def test_bad_addresses(start_broker, line):
    broker = start_broker(BASE + f"proxy_protocol_trusted {line}\n", ready=False, workers=None)
    assert broker.wait(5) == 3
    broker.expect_line(rf"Error found at {broker.config}:4\.")


@pytest.mark.parametrize("v2", ["true", "false"])
def test_the_other_spelling(start_broker, v2):
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n"
                          f"enable_proxy_protocol_v2 {v2}\n")
    if v2 == "true":
        broker.connect("x", before=HEADER).ping()
    else:
        broker.connect("x").ping()



def test_the_header_has_a_deadline(start_broker):
    """From accept, absolute: neither silence nor single bytes get more."""
    broker = start_broker(BASE + "proxy_protocol_timeout 2\nconnect_timeout 30\n")
    silent, slow = broker.open(), broker.open()
    begun = time.monotonic()
    header = proxy.client("192.0.2.7", 1111)
    for byte in header[:15]:
        slow.send(bytes([byte]))
        time.sleep(0.1)
    silent.expect_close()
    assert 1.9 < time.monotonic() - begun < 4.5
    slow.expect_close()
    assert time.monotonic() - begun < 4.5


def test_the_connect_has_its_own(start_broker):
    broker = start_broker(BASE + "proxy_protocol_timeout 1\nconnect_timeout 3\n")
    peer = broker.open()
    peer.send(HEADER)
    begun = time.monotonic()
    peer.expect_close()
    assert 2.5 < time.monotonic() - begun < 6
