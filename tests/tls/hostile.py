"""
Peers that speak TLS badly, or not at all: each is closed, in time and for little memory, and
somebody who behaves is served meanwhile.
"""

import os
import pathlib
import random
import re
import socket
import ssl
import struct
import subprocess
import time

import pytest

from harness import tls, wire
from harness.client import Closed
from harness.process import wait_until


@pytest.fixture
def secure(start_broker, authority, workers):
    return start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n"
                        f"certfile {authority.folder}/server.crt\n"
                        f"keyfile {authority.folder}/server.key\nconnect_timeout 2\n"
                        "memory_limit 200000000\n")


@pytest.fixture
def bystander(secure, authority):
    """Was there before, and must be served at the end."""
    client = secure.connect("bystander", 5, tls=tls.context(authority.cert))
    yield client
    client.publish("t", b"x", 1)


def hello():
    """A ClientHello that would be answered."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    engine = tls.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        engine.do_handshake()
    return outgoing.read()


def record(kind, body, version=0x0303):
    return struct.pack("!BHH", kind, version, len(body)) + body


def ended(client):
    """The server closes, whatever it says before."""
    try:
        while True:
            client.fill(time.monotonic() + 8)
            client.buffer = b""
    except (Closed, OSError):
        return True


GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "mqtt": wire.connect("c", 5),
    "nothing": bytes(500),
    "ones": b"\xff" * 500,
    "an old hello": b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + bytes(range(37)),
    "a record too long": struct.pack("!BHH", 22, 0x0301, 0x4800 + 1) + bytes(18433),
    "a hello of nothing": record(22, b"\x01\x00\x00\x00"),
    "a hello too long": record(22, b"\x01\xff\xff\xff" + bytes(200)),
    "an alert": record(21, b"\x02\x28"),
    "data too early": record(23, bytes(50)),
    "a change of ciphers": record(20, b"\x01") * 100,
    "heartbeats": record(24, b"\x01\x40\x00x"),
    "empty records": record(22, b"") * 3000,
    "warnings": record(21, b"\x01\x00") * 3000,
    "two hellos": hello() + hello(),
    "a hello and garbage": hello() + bytes(100),
    "a hello in record after record": b"".join(record(22, hello()[5:][n:n + 1], 0x0301)
                                               for n in range(3)) + record(22, b""),
}


@pytest.mark.parametrize("what", sorted(GARBAGE))
def test_garbage(secure, bystander, what):
    client = secure.open(5)
    client.send(GARBAGE[what])
    assert ended(client)
    bystander.ping()


def test_garbage_by_chance(secure, bystander):
    """Hellos in which some bytes are others."""
    dice = random.Random(7)
    first = hello()
    for _ in range(150):
        data = bytearray(first)
        for _ in range(dice.randrange(1, 6)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        client = secure.open(5)
        client.send(bytes(data))
        client.socket.shutdown(socket.SHUT_WR)
        assert ended(client)
    bystander.ping()


@pytest.mark.parametrize("cut", [1, 5, 6, 40, -1])
def test_half_of_a_handshake(secure, bystander, cut):
    """The deadline for CONNECT ends it, and so does a half-close."""
    stops = secure.open(5)
    stops.send(hello()[:cut])
    closes = secure.open(5)
    closes.send(hello()[:cut])
    closes.socket.shutdown(socket.SHUT_WR)
    assert ended(closes)
    assert ended(stops)
    secure.expect_line(r".*disconnected: no CONNECT in time\.")
    bystander.ping()


def test_a_slow_handshake(secure, bystander):
    """A byte at a time does not put the deadline off."""
    client = secure.open(5)
    began = time.monotonic()
    with pytest.raises(OSError):
        for byte in hello() * 4:
            client.send(bytes([byte]))
            time.sleep(0.02)
    assert time.monotonic() - began < 15
    secure.expect_line(r".*disconnected: no CONNECT in time\.")
    bystander.ping()


def test_only_a_handshake(secure, bystander, authority):
    client = secure.open(5, tls=tls.context(authority.cert))
    client.expect_close()
    secure.expect_line(r".*disconnected: no CONNECT in time\.")


@pytest.mark.workers
def test_a_half_close(secure, authority, bystander, workers):
    """Without close_notify, by one who is connected: it has sent a whole packet before."""
    client = secure.connect("c", 5, tls=tls.context(authority.cert))
    client.send(wire.pingreq())
    client.socket.shutdown(socket.SHUT_WR)
    secure.expect_line(r"Client c \[.*\] disconnected: connection closed by client\.")


@pytest.mark.workers
def test_what_is_announced_takes_no_memory(secure, authority, bystander, workers):
    """A large packet of MQTT, and records that never come to their end."""
    status = pathlib.Path(f"/proc/{secure.pid}/status")

    def resident():
        return int(re.search(r"VmRSS:\s+(\d+)", status.read_text())[1])

    before = resident()
    clients = [secure.connect(f"c{n}", 5, tls=tls.context(authority.cert)) for n in range(10)]
    for n, client in enumerate(clients):
        client.send(b"\x30" + wire.varint(1_900_000) + b"\0\1t" if n % 2 else b"\x30")
        client.socket.below.sendall(struct.pack("!BHH", 23, 0x0303, 16400) + b"x" * 100)
    bystander.ping()
    if not secure.is_sanitized():
        assert resident() - before < 20_000
    first = secure.open(5, tls=tls.context(authority.cert))
    first.send(b"\x10\xff\xff\xff\x7f")
    first.expect_close()


@pytest.mark.parametrize("level, key, excuse", [
    ("-tls1_2", b"R\n", "no renegotiation"), ("-tls1_3", b"K\n" * 3, "")])
def test_other_keys(secure, authority, bystander, level, key, excuse):
    """No renegotiation is done; a KeyUpdate is, and MQTT goes on behind it."""
    process = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{secure.port}", level, "-CAfile",
         str(authority.cert)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    try:
        os.set_blocking(process.stdout.fileno(), False)
        said = b""

        def hears(text):
            nonlocal said
            said += process.stdout.read() or b""
            return text in said

        wait_until(lambda: hears(b"Verify return code: 0"), what="a handshake")
        process.stdin.write(key)
        process.stdin.flush()
        if excuse:
            wait_until(lambda: hears(excuse.encode()), what=excuse)
        else:
            wait_until(lambda: hears(b"KEYUPDATE"), what="a key update")
    finally:
        process.kill()
        process.communicate()
    bystander.ping()


@pytest.mark.workers
def test_who_does_not_read(secure, authority, bystander, workers):
    """What is sealed for a peer that takes nothing is bounded; the rest waits in the queue."""
    rules = tls.context(authority.cert)
    sleeper = secure.connect("sleeper", 5, tls=rules)
    sleeper.subscribe("flood", qos=0)
    giver = secure.connect("giver", 5, tls=rules)
    for _ in range(40):
        giver.send(*(wire.publish("flood", bytes(50_000), version=5) for _ in range(10)))
        giver.ping()
    bystander.ping()
    # It wakes up, and gets whole messages in order until it has caught up.
    giver.publish("flood", b"last", 0)
    seen = 0
    while (got := sleeper.receive(2)) is not None and got.payload != b"last":
        assert len(got.payload) == 50_000
        seen += 1
    assert seen > 0
