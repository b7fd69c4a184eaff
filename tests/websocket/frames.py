"""
Frames carry one stream of bytes: packets may span them and share them (MQTT 3.1.1 and 5.0 section
6). What RFC 6455 does not allow ends the connection with its code, and nobody else notices.
"""

import os
import pathlib
import re
import struct

import pytest

from harness import wire
from harness.websocket import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, fragments, frame)

pytestmark = [pytest.mark.workers,
              pytest.mark.nightjar("Debian's is built with a library of other habits")]

WEB = "listener {port} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n" \
      "listener {port2} 127.0.0.1\nallow_anonymous true\n"


@pytest.fixture
def web(start_broker):
    return start_broker(WEB)


@pytest.fixture
def bystander(web, version):
    """A plain client, which sees what the others do."""
    client = web.connect("bystander", version, address=("127.0.0.1", web.places["port2"]))
    client.subscribe("seen")
    return client


@pytest.mark.holds("3.1.1: MQTT-6.0.0-2", "5.0: MQTT-6.0.0-2")
def test_packets_span_and_share_frames(web, bystander, version, workers):
    client = web.connect_web("x", version)
    stream = b"".join(wire.publish("seen", b"%d" % n + b"." * n * 7, version=version)
                      for n in range(40))
    for size in (1, 2, 3, 7, 50, 125, 126, 127, 1000, len(stream)):
        parts = [stream[at:at + size] for at in range(0, len(stream), size)]
        client.send_raw(b"".join(frame(part) for part in parts))
        for n in range(40):
            bystander.expect("PUBLISH", payload=b"%d" % n + b"." * n * 7)
    client.ping()


def test_fragments_with_control_frames_between(web, bystander, version, workers):
    client = web.connect_web("x", version)
    packet = wire.publish("seen", b"in fragments", version=version)
    for cuts in ([1], [1, 2, 3], range(1, len(packet)), [0, 5, 5, len(packet)]):
        parts = fragments(packet, *cuts)
        client.send_raw(b"".join(part + frame(b"%d" % n, PING) + frame(b"", PONG)
                                 for n, part in enumerate(parts)))
        bystander.expect("PUBLISH", payload=b"in fragments")
        for n in range(len(parts)):
            client.expect_pong(b"%d" % n)
    client.ping()


def test_cut_anywhere(web, bystander, version, workers):
    """Frames of every form, with masks, cut at every byte by TCP."""
    client = web.connect_web("x", version)
    data = frame(wire.publish("seen", b"x", version=version)) + frame(b"ping", PING) + \
        b"".join(fragments(wire.publish("seen", b"y" * 120, version=version), 3, 9)) + \
        frame(wire.publish("seen", b"z" * 200, version=version))
    for cut in range(1, len(data)):
        client.send_raw(data, pieces=[cut], delay=0.0005)
        for payload in (b"x", b"y" * 120, b"z" * 200):
            bystander.expect("PUBLISH", payload=payload)
        client.expect_pong(b"ping")


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 1_000_000])
def test_large_messages(web, version, size, workers):
    """Both ways, with every form of a length, and in fragments."""
    client, other = web.connect_web("x", version), web.connect_web("y", version)
    other.subscribe("t", qos=1)
    payload = os.urandom(size)
    client.publish("t", payload, qos=1)
    other.expect_message("t", payload)
    packet = wire.publish("t", payload, 1, 9, version=version)
    client.send_raw(b"".join(fragments(packet, *range(1000, len(packet), 50_000))))
    client.expect("PUBACK", id=9)
    other.expect_message("t", payload)


def test_many_messages(web, version, workers):
    clients = [web.connect_web(f"x{n}", version) for n in range(4)]
    for each in clients:
        each.subscribe("t", qos=2)
    for n in range(200):
        clients[n % 4].send(wire.publish("t", b"%d" % n, 1, n + 1, version=version))
    for each in clients:
        got = []
        for _ in range(250):
            packet = each.expect_any()
            if packet.kind == "PUBLISH":
                each.acknowledge(packet)
                got.append(int(packet.payload))
        assert sorted(got) == list(range(200))


def test_close(web, version, workers):
    """A code is answered with itself; the will is sent, as there was no DISCONNECT."""
    watcher = web.connect_web("watcher", version)
    watcher.subscribe("will")
    for payload in (b"", b"\x03\xe8", b"\x03\xe9going", b"\x0f\xa0", b"\x03\xe8\xc3\xa4"):
        client = web.connect_web("x", version, will=wire.Will("will", b"gone"))
        client.send_raw(frame(payload, CLOSE), frame(wire.pingreq()))
        client.expect_close_frame(struct.unpack(">H", payload[:2])[0] if payload else None)
        watcher.expect("PUBLISH", topic="will")
    web.expect_line(r"Client x \[.*\] disconnected: connection closed by client\.")


def test_disconnect(web, version, workers):
    watcher = web.connect_web("watcher", version)
    watcher.subscribe("will")
    client = web.connect_web("x", version, will=wire.Will("will", b"gone"))
    client.send(wire.disconnect())
    client.expect_close_frame(1000)
    watcher.expect_nothing()
    web.expect_line(r"Client x \[.*\] disconnected\.")


def test_protocol_errors(web, version, workers):
    """Of MQTT: DISCONNECT in a frame, then the close frame."""
    client = web.connect_web("x", version)
    client.send(b"\xf0\x00" if version == 4 else wire.subscribe(0, ("t", 0), version=5))
    if version == 5:
        assert client.expect("DISCONNECT").reason in (0x81, 0x82)
    client.expect_close_frame(1002)


HOSTILE = {
    "text": (1003, "text frame", frame(b"hello", TEXT)),
    "no mask": (1002, "unmasked frame", frame(b"x", mask=b"")),
    "reserved bit 1": (1002, "reserved bit in a frame", frame(b"x", reserved=4)),
    "reserved bit 3": (1002, "reserved bit in a frame", frame(b"x", reserved=1)),
    "opcode 3": (1002, "unknown opcode", frame(b"x", 3)),
    "opcode 15": (1002, "unknown opcode", frame(b"x", 15)),
    "nothing to continue": (1002, "nothing to continue", frame(b"x", CONTINUATION)),
    "a message inside another": (1002, "message inside another",
                                 frame(b"", BINARY, False) + frame(b"x")),
    "a ping in fragments": (1002, "control frame in fragments", frame(b"x", PING, False)),
    "a long ping": (1002, "control frame is too long", frame(b"x" * 126, PING)),
    "a long length for a short one": (1002, "length is not in its shortest form",
                                      frame(b"x", form=2)),
    "a longer one": (1002, "length is not in its shortest form", frame(b"x", form=8)),
    "64 bits": (1002, "length of more than 63 bits", b"\x82\xff" + b"\xff" * 8 + b"mask"),
    "half a code": (1002, "close frame with half a code", frame(b"\x03", CLOSE)),
    "code 1005": (1002, "close frame with a code that can't be", frame(b"\x03\xed", CLOSE)),
    "code 0": (1002, "close frame with a code that can't be", frame(b"\0\0", CLOSE)),
    "a reason that is no text": (1007, "close frame with a reason that is no text",
                                 frame(b"\x03\xe8\xff", CLOSE)),
}


@pytest.mark.holds("3.1.1: MQTT-6.0.0-1", "5.0: MQTT-6.0.0-1")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(web, bystander, version, name, workers):
    """What stood in front of it counts, what comes behind does not."""
    code, why, data = HOSTILE[name]
    client = web.connect_web("bad", version)
    client.send_raw(frame(wire.publish("seen", b"before", version=version)), data,
                    frame(wire.publish("seen", b"behind", version=version)))
    client.expect_close_frame(code)
    web.expect_line(rf"Client bad \[.*\] disconnected: WebSocket: {why}\.")
    bystander.expect("PUBLISH", payload=b"before")
    bystander.expect_nothing()


def test_announced_and_never_sent(web, bystander, version, workers):
    """2 to the 62 bytes cost nothing until they come."""
    clients = [web.connect_web(f"x{n}", version) for n in range(50)]
    for each in clients:
        each.send_raw(b"\x82\xff\x40" + b"\0" * 7 + b"mask" + b"x" * 10)
    bystander.ping()
    text = pathlib.Path(f"/proc/{web.pid}/status").read_text()
    size = int(re.search(r"VmRSS:\s+(\d+)", text)[1])
    assert size < 64 * 1024 or web.is_sanitized(), f"{size} KiB"


def test_flood_of_pings(web, bystander, version, workers):
    """Who asks and does not listen is cut off before it costs much, and delays nobody."""
    client = web.connect_web("bad", version)
    client.socket.settimeout(0.5)
    data = frame(b"p" * 125, PING) * 2000
    try:
        for _ in range(400):
            client.socket.sendall(data)
            bystander.ping()
    except OSError:
        pass
    bystander.ping()
    web.expect_line(r"Client bad \[.*\] disconnected: answers are not read\.")


def test_empty_frames(web, bystander, version, workers):
    client = web.connect_web("x", version)
    client.send_raw(frame(b"") * 5000 + frame(wire.publish("seen", b"x", version=version)))
    bystander.expect("PUBLISH", payload=b"x")
    client.ping()


def test_slow_reader(web, version, workers):
    """A queue is bounded inside WebSocket as without it."""
    slow, fast = web.connect_web("slow", version), web.connect_web("fast", version)
    slow.subscribe("t")
    payload = b"x" * 20_000
    for n in range(3000):
        fast.send(wire.publish("t", payload, version=version))
    fast.ping()
    got = 0
    while slow.receive(0.5) is not None:
        got += 1
    assert 0 < got < 3000
    slow.ping()
