"""
Why a connection inside WebSocket ends is told by the code of the close frame, in every version of
MQTT: before it, clients of version 5 get DISCONNECT or CONNACK with the reason. The codes are those of
RFC 6455, section 7.4.1, and 1013 of IANA's registry; docs/reasons.md has them beside each reason.
What is wrong with frames (1002, 1003, 1007) is in frames.py.
"""

import signal
import time

import pytest

from harness import tls, users, wire
from harness.client import Closed
from harness.process import wait_until
from harness.websocket import CLOSE, PING, frame

NORMAL, GOING_AWAY, PROTOCOL_ERROR, MISMATCHED, POLICY, TOO_BIG, INTERNAL, TRY_AGAIN = \
    1000, 1001, 1002, 1007, 1008, 1009, 1011, 1013

pytestmark = [pytest.mark.workers, pytest.mark.timeout(60),
              pytest.mark.nightjar("Debian's is built with a library of other habits")]

WEB = "listener {port} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n"
PASSWORDS = {"passwords": users.password("anna")}
GUARDED = WEB + "password_file {dir}/passwords\n"


@pytest.fixture
def web(request, start_broker):
    marker = request.node.get_closest_marker("config")
    return start_broker(WEB + (marker.args[0] if marker else ""))


def expect_end(client, code, reason=None):
    """DISCONNECT, where version 5 hears of it, and the close frame last."""
    if reason is not None and client.version == 5:
        client.expect("DISCONNECT", reason=reason)
    client.expect_close_frame(code)


def refused(web, version, code_4, code_5, code, **fields):
    client = web.open_web(version)
    client.upgrade()
    client.send(wire.connect("x", version, **fields))
    client.expect("CONNACK", code=code_5 if version == 5 else code_4)
    client.expect_close_frame(code)


def test_who_leaves(web, version, workers):
    client = web.connect_web("x", version)
    client.send(wire.disconnect())
    client.expect_close_frame(NORMAL)


def test_who_leaves_with_its_will(web, workers):
    client = web.connect_web("x", 5, will=wire.Will("will"))
    client.send(wire.disconnect(4))
    client.expect_close_frame(NORMAL)


def test_taken_over(web, version, workers):
    """Nothing is wrong with it, and it is not to come back: that is the normal end."""
    first = web.connect_web("x", version)
    web.connect_web("x", version)
    expect_end(first, NORMAL, 0x8E)


def test_its_own_code_is_the_answer(web, version, workers):
    for code in [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]:
        client = web.connect_web("x", version)
        client.send_raw(frame(code.to_bytes(2, "big") + b"bye", CLOSE))
        client.expect_close_frame(code)


def test_a_code_that_nobody_may_send(web, version, workers):
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535]:
        client = web.connect_web("x", version)
        client.send_raw(frame(code.to_bytes(2, "big"), CLOSE))
        client.expect_close_frame(PROTOCOL_ERROR)


def test_the_broker_stops(web, version, workers):
    """Also to those that have not said who they are; to who was not upgraded, nothing."""
    clients = [web.connect_web(f"x{n}", version) for n in range(8)]
    silent, outside = web.open_web(), web.open_web()
    silent.upgrade()
    assert web.stop() == 0
    for each in clients:
        expect_end(each, GOING_AWAY, 0x8B)
    silent.expect_close_frame(GOING_AWAY)
    outside.expect_close()


@pytest.mark.config("drain_delay 0\ndrain_time 0\n")
def test_a_drain(web, version, workers):
    clients = [web.connect_web(f"x{n}", version) for n in range(8)]
    silent = web.open_web(version)
    silent.upgrade()
    web.signal(signal.SIGRTMIN + 1)
    for each in clients:
        expect_end_of_drained(each)
    silent.send(wire.connect("late", version))
    silent.expect("CONNACK", code=0x9C if version == 5 else 3)
    silent.expect_close_frame(GOING_AWAY)
    web.expect_line(r"Drained: no client is left\.", timeout=15)


def expect_end_of_drained(client):
    """It is for the client to close."""
    if client.version == 5:
        client.expect("DISCONNECT", reason=0x9C)
    payload = client.expect_control(CLOSE)
    assert int.from_bytes(payload, "big") == GOING_AWAY
    client.send_raw(frame(payload, CLOSE))
    client.close()


@pytest.mark.parametrize("packet, reason", [
    ("ff00", 0x82),                   # no packet of ours
    ("3003000161", 0x81),             # PUBLISH of which a part is missing, in version 5
    ("82050001000000", 0x82),         # SUBSCRIBE without a filter
    ("300700017423000078", 0x94),     # a topic alias of 0
])
def test_packets_that_are_wrong(web, packet, reason, workers):
    client = web.connect_web("x", 5)
    client.send(bytes.fromhex(packet))
    assert client.expect("DISCONNECT").reason in (0x81, 0x82, reason)
    client.expect_close_frame(PROTOCOL_ERROR)


def test_packets_that_are_wrong_in_version_3(web, workers):
    client = web.connect_web("x", 4)
    client.send(b"\xff\x00")
    client.expect_close_frame(PROTOCOL_ERROR)


def test_an_unknown_version(web, workers):
    client = web.open_web()
    client.upgrade()
    client.send(wire.connect("x", 4, level=6))
    client.expect_any()
    client.expect_close_frame(PROTOCOL_ERROR)


@pytest.mark.config("check_payload_format true\n")
def test_a_will_that_is_not_the_text_it_says(web, workers):
    refused(web, 5, 0, 0x99, MISMATCHED,
            will=wire.Will("will", b"\xff", properties={"payload_format_indicator": 1}))


def test_who_may_not(start_broker, version, workers):
    web = start_broker(GUARDED, files=PASSWORDS)
    refused(web, version, 5, 0x87, POLICY, username="anna", password="wrong")
    refused(start_broker(WEB.replace("allow_anonymous true", "")), version, 5, 0x87, POLICY)


@pytest.mark.config("max_keepalive 5\n")
def test_what_is_not_accepted(web, workers):
    """Of a client of version 3, which can't be told a shorter keep alive."""
    refused(web, 4, 2, 0, POLICY, keepalive=60)


def test_who_may_no_more(start_broker, version, workers):
    web = start_broker(GUARDED, files=PASSWORDS)
    client = web.connect_web("x", version, username="anna", password="anna-secret")
    (web.config.parent / "passwords").write_text(users.password("berta"))
    web.reload(GUARDED)
    expect_end(client, POLICY, 0x87)


def test_who_is_banned(start_broker, workers):
    web = start_broker(GUARDED + "max_failed_logins_per_address 2\n", files=PASSWORDS)
    early = web.open_web()
    early.upgrade()
    for _ in range(2):
        refused(web, 4, 5, 5, POLICY, username="anna", password="wrong")
    early.send(wire.connect("early", username="anna", password="anna-secret"))
    early.expect_close_frame(POLICY)


def test_who_is_silent(web, version, workers):
    client = web.connect_web("x", version, keepalive=1)
    expect_end(client, POLICY, 0x8D)


@pytest.mark.config("connect_timeout 1\n")
def test_who_says_nothing(web, workers):
    client = web.open_web()
    client.upgrade()
    client.expect_close_frame(POLICY)


@pytest.mark.config("max_packet_size 1000\n")
def test_too_large(web, version, workers):
    client = web.connect_web("x", version)
    client.send(wire.publish("t", b"x" * 1000, version=version))
    expect_end(client, TOO_BIG, 0x95)


@pytest.mark.config("global_max_clients 1\n")
def test_too_many(web, version, workers):
    web.connect_web("first", version)
    client = web.open_web(version)
    client.upgrade()
    client.send(wire.connect("x", version))
    if version == 5:
        client.expect("CONNACK", code=0x89)
    client.expect_close_frame(TRY_AGAIN)


@pytest.mark.config("max_pending_connections 4\nconnect_timeout 60\n")
def test_too_many_that_say_nothing(web, workers):
    clients = []
    for _ in range(16):
        clients.append(web.open_web())
        clients[-1].upgrade()
    wait_until(lambda: web.count_lines(r"Client .* too many connections without CONNECT\.") >= 8,
               10, what="the oldest")
    gone = [each for each in clients if each.fill(time.monotonic() + 0.2)]
    assert len(gone) >= 8
    for each in gone:
        each.expect_close_frame(TRY_AGAIN)


@pytest.mark.config("memory_limit 8388608\nmax_packet_size 100000000\n")
def test_no_memory(web, version, workers):
    """For a packet that is allowed, but grows beyond what there may be."""
    client = web.connect_web("x", version)
    packet = wire.publish("t", b"x" * (16 << 20), version=version)
    try:
        for at in range(0, len(packet), 8192):
            client.send_raw(frame(packet[at:at + 8192]), frame(b"", PING))
            client.expect_pong(b"")
    except (AssertionError, Closed):
        pass
    assert client.controls == [(CLOSE, INTERNAL.to_bytes(2, "big"))]
    web.expect_line(r"Client x \[.*\] disconnected: out of memory\.")


def test_behind_tls(start_broker, authority, version, workers):
    web = start_broker(WEB + authority.lines)
    client = web.connect_web("x", version, tls=tls.context(authority.cert))
    assert web.stop() == 0
    expect_end(client, GOING_AWAY, 0x8B)
