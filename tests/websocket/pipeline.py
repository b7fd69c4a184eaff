"""
A connection inside WebSocket moves to its home with what it sent behind CONNECT: in one frame, in
one segment, cut at every byte; nothing is lost and nothing comes twice.
"""

import pytest

from harness import tls, wire
from harness.pipeline import conversation, expect_answers
from harness.websocket import frame, request

pytestmark = [pytest.mark.workers,
              pytest.mark.nightjar("Debian's is built with a library of other habits")]

WEB = "listener {port} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n"


@pytest.fixture(params=["ws", "wss"])
def web(request, start_broker, authority):
    """Plain, and over TLS."""
    files = authority.lines
    broker = start_broker(WEB + (files if request.param == "wss" else ""))
    broker.tls = tls.context(authority.cert) if request.param == "wss" else None
    return broker


def test_in_one_frame(web, version, workers):
    for n in range(16):
        client = web.open_web(version, tls=web.tls)
        client.upgrade()
        client.send(*conversation(f"p{n}", version))
        expect_answers(client, f"p{n}")


def test_a_frame_for_each(web, version, workers):
    for n in range(16):
        client = web.open_web(version, tls=web.tls)
        client.upgrade()
        client.send_raw(*map(frame, conversation(f"p{n}", version)))
        expect_answers(client, f"p{n}")


def test_behind_the_request(web, version, workers):
    """A client may not, before it was answered; but if it does, nothing is lost."""
    for n in range(8):
        client = web.open_web(version, tls=web.tls)
        client.upgrade(behind=frame(b"".join(conversation(f"p{n}", version))))
        expect_answers(client, f"p{n}")


def test_cut_at_every_byte(web, version, workers):
    size = len(frame(b"".join(conversation("p000", version))))
    for cut in range(1, size):
        client = web.open_web(version, tls=web.tls)
        client.upgrade()
        client.send(*conversation(f"p{cut:03}", version), pieces=[cut], delay=0.001)
        expect_answers(client, f"p{cut:03}")
        client.close()


def test_byte_by_byte(web, version, workers):
    clients = [web.open_web(version, tls=web.tls) for _ in range(4)]
    for n, each in enumerate(clients):
        each.send_raw(request(), pieces=1)
        each.expect_upgrade()
        each.send(*conversation(f"p{n}", version), pieces=1, delay=0.0005)
    for n, each in enumerate(clients):
        expect_answers(each, f"p{n}")


def test_much_behind_connect(web, version, workers):
    """More than a read buffer holds follows CONNECT at once, in a single frame."""
    for n in range(4):
        client = web.open_web(version, tls=web.tls)
        client.upgrade()
        client.send(wire.connect(f"much-{n}", version),
                    wire.subscribe(1, (f"much/{n}", 0), version=version),
                    *(wire.publish(f"much/{n}", b"%04d" % i + b"." * 500, version=version)
                      for i in range(200)))
        client.expect("CONNACK", code=0)
        client.expect("SUBACK")
        for i in range(200):
            assert client.expect("PUBLISH").payload[:4] == b"%04d" % i


def test_records_and_frames_cut_anywhere(web, version, workers):
    """Several frames in a record, a frame in several records, and both cut by TCP."""
    if not web.tls:
        pytest.skip("of TLS")
    for size in (1, 7, 60):
        client = web.open_web(version, tls=web.tls)
        client.upgrade()
        stream = b"".join(map(frame, conversation(f"r{size}", version)))
        for at in range(0, len(stream), size):
            client.socket.send_pieces(client.socket.seal(stream[at:at + size]), 11, 0.0002)
        expect_answers(client, f"r{size}")


def test_taken_over(web, version, workers):
    for n in range(8):
        first = web.connect_web(f"twice-{n}", version, tls=web.tls)
        second = web.open_web(version, tls=web.tls)
        second.upgrade()
        second.send(*conversation(f"twice-{n}", version))
        if version == 5:
            first.expect("DISCONNECT", reason=0x8E)
        first.expect_close_frame(1000)
        expect_answers(second, f"twice-{n}")
