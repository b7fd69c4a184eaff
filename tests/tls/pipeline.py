"""
SUBSCRIBE and PUBLISH in one record with CONNECT, or with the end of the handshake: what was opened
before the connection moved to its home, what its TLS still holds, and what comes behind is taken
once and in order, wherever it is cut.
"""

import ssl

import pytest

from harness import pipeline, tls, wire
from harness.pipeline import expect_answers

LEVELS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
pytestmark = [pytest.mark.workers]


@pytest.fixture
def secure(start_broker, authority, workers):
    return start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n"
                        f"{authority.lines}")


def conversation(client_id):
    return b"".join(pipeline.conversation(client_id, 5))


@pytest.mark.parametrize("level", LEVELS)
def test_in_one_record(secure, authority, level):
    rules = tls.context(authority.cert, version=level)
    for number in range(12):
        client = secure.open(5, tls=rules)
        client.send(conversation(f"p{number}"))
        expect_answers(client, f"p{number}")
        client.close()


@pytest.mark.parametrize("level", LEVELS)
def test_records_cut_at_every_byte(secure, authority, level):
    rules = tls.context(authority.cert, version=level)
    size = len(secure.open(5, tls=rules).socket.seal(conversation("p000")))
    for cut in range(1, size, 1 if level == LEVELS[1] else 3):
        client = secure.open(5, tls=rules)
        client.socket.send_cut(client.socket.seal(conversation(f"p{cut:03}")), cut, 0.001)
        expect_answers(client, f"p{cut:03}")
        client.close()


def test_two_records_for_every_cut(secure, authority):
    """A record ends in the middle of a packet, and both come at once."""
    rules = tls.context(authority.cert)
    for cut in range(1, len(conversation("p000"))):
        client = secure.open(5, tls=rules)
        data = conversation(f"p{cut:03}")
        client.socket.below.sendall(client.socket.seal(data[:cut]) + client.socket.seal(data[cut:]))
        expect_answers(client, f"p{cut:03}")
        client.close()


def test_a_record_for_each_byte(secure, authority):
    for number in range(4):
        client = secure.open(5, tls=tls.context(authority.cert))
        data = conversation(f"p{number}")
        client.socket.below.sendall(b"".join(client.socket.seal(data[at:at + 1])
                                             for at in range(len(data))))
        expect_answers(client, f"p{number}")


@pytest.mark.parametrize("level", LEVELS)
def test_with_the_end_of_the_handshake(secure, authority, level):
    """Of TLS 1.3, where the client's last flight is the last of all, cut at every byte."""
    rules = tls.context(authority.cert, version=level)
    cuts = [None]
    if level == LEVELS[1]:
        probe = secure.open(5).start_tls(rules, holds_last=True)
        cuts += range(1, len(probe.socket.seal(conversation("p000"))), 2)
        probe.close()
    for number, cut in enumerate(cuts):
        client = secure.open(5).start_tls(rules, holds_last=level == LEVELS[1])
        data = client.socket.seal(conversation(f"p{number:03}"))
        client.socket.send_cut(data, cut or len(data), 0.001)
        expect_answers(client, f"p{number:03}")
        client.close()


def test_gone_at_once(secure, authority):
    """All that was said before close_notify in the same record counts."""
    watcher = secure.connect("watcher", 5, tls=tls.context(authority.cert))
    watcher.subscribe("gone", qos=1)
    for number in range(8):
        client = secure.open(5).start_tls(tls.context(authority.cert), holds_last=True)
        client.socket.tls.write(wire.connect(f"p{number}", 5) +
                                wire.publish("gone", b"%d" % number, 1, 2, version=5) +
                                wire.disconnect())
        client.socket.say_end()
        watcher.expect_message("gone", b"%d" % number)


def test_a_large_packet_behind(secure, authority):
    """More than one record and one read: CONNECT with a large will, and a large PUBLISH behind."""
    rules = tls.context(authority.cert)
    watcher = secure.connect("watcher", 5, tls=rules)
    watcher.subscribe("will", "big", qos=1)
    for number in range(6):
        client = secure.open(5, tls=rules)
        body = bytes([number]) * 60_000
        client.send(wire.connect(f"p{number}", 5, will=wire.Will("will", body, 1)) +
                    wire.publish("big", body + b"!", 1, 2, version=5) + wire.pingreq())
        client.expect("CONNACK", code=0)
        assert {client.expect_any().kind, client.expect_any().kind} == {"PUBACK", "PINGRESP"}
        watcher.expect_message("big", body + b"!")
        client.close()
        watcher.expect_message("will", body)
