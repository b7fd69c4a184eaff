"""
Start, stop and the lines that scripts look for.
"""

import contextlib
import re
import signal
import time

import pytest

from harness import wire
from harness.client import Closed

ADDRESS = r"127\.0\.0\.1:\d+"


def test_sigterm(start_broker):
    broker = start_broker()
    broker.connect("x").ping()
    begun = time.monotonic()
    assert broker.stop() == 0
    assert time.monotonic() - begun < 5
    assert re.search(r"(nightjar|mosquitto) version \S+ terminating", broker.log())


def test_sigint(start_broker):
    broker = start_broker()
    broker.signal(signal.SIGINT)
    assert broker.wait(10) == 0


@pytest.mark.holds("5.0: MQTT-3.14.2-1 MQTT-3.14.2-2")
@pytest.mark.differs("closes without a DISCONNECT", version=5)
@pytest.mark.workers
def test_clients_at_the_stop(start_broker, version, workers):
    broker = start_broker()
    clients = [broker.connect(f"x-{n}", version) for n in range(8)]
    assert broker.stop() == 0
    for each in clients:
        each.expect_end(0x8B)


@pytest.mark.workers
def test_stop_under_load(start_broker, workers):
    """Messages on their way, half packets and queues do not keep it from ending."""
    broker = start_broker()
    subscribers = [broker.connect(f"to-{n}", 4) for n in range(4)]
    for each in subscribers:
        each.subscribe("#", qos=2)
    away = broker.connect("away", 4, lasting=True)
    away.subscribe("#", qos=1)
    away.close()
    for number in range(4):
        client = broker.connect(f"from-{number}", 4)
        client.send(*(wire.publish("t", b"x" * 1000, 1, n + 1) for n in range(500)))
    broker.open().send(wire.connect("half", 4)[:7])
    assert broker.stop() == 0


def test_lines_of_the_start(start_broker):
    broker = start_broker()
    broker.expect_line(r"(nightjar|mosquitto) version \S+ starting")
    broker.expect_line(rf"Config loaded from {broker.config}\.")
    broker.expect_line(rf"Opening ipv4 listen socket on port {broker.port}\.")
    broker.expect_line(r"(nightjar|mosquitto) version \S+ running")
    stamped = re.compile(r"(\d+): .*")
    for line in broker.log().splitlines():
        assert abs(int(stamped.fullmatch(line).group(1)) - time.time()) < 20


@pytest.mark.nightjar("words of 2.1")
@pytest.mark.versions(3, 4, 5)
def test_lines_of_a_client(broker, version):
    client = broker.connect("the-id", version, keepalive=77)
    address = re.escape(client.local)
    client.disconnect()
    broker.expect_line(rf"New connection from {address} on port {broker.port}\.")
    broker.expect_line(rf"New client connected from {address} as the-id \(p{version}, c1, k77\)\.")
    broker.expect_line(rf"Client the-id \[{address}\] disconnected\.")


@pytest.mark.nightjar("words of 2.1")
def test_lines_with_a_user_name(broker):
    client = broker.connect("x", 4, clean=False, keepalive=0, username="joe")
    broker.expect_line(
        rf"New client connected from {re.escape(client.local)} as x \(p4, c0, k0, u'joe'\)\.")


@pytest.mark.nightjar("words of 2.1")
@pytest.mark.workers
def test_lines_of_endings(broker, workers):
    watch = broker.connect("closed", 4)
    address = re.escape(watch.local)
    watch.close()
    broker.expect_line(rf"Client closed \[{address}\] disconnected: connection closed by client\.")
    first = broker.connect("twice", 4)
    address = re.escape(first.local)
    broker.connect("twice", 5)
    broker.expect_line(rf"Client twice \[{address}\] disconnected: session taken over\.")
    stranger = broker.open()
    address = re.escape(stranger.local)
    stranger.send(b"GET / HTTP/1.1\r\n\r\n")
    stranger.expect_close()
    broker.expect_line(rf"Protocol error from {address}: First packet not CONNECT \(47\)\.")
    broker.expect_line(rf"Client 127\.0\.0\.1 \[{address}\] disconnected: protocol error\.")
    silent = broker.open()
    address = re.escape(silent.local)
    silent.close()
    broker.expect_line(
        rf"Client 127\.0\.0\.1 \[{address}\] disconnected: connection closed by client\.")


def test_hostile_names_stay_in_their_line(broker):
    """What a client says cannot end a line of the log or begin another."""
    for name in ("a\nb", "a\rb", "a\x1b[31mb"):
        client = broker.open(5)
        client.send(wire.connect(f"{name}1790000000: New client connected from nobody", 5,
                                 username=f"{name}1790000000: x"))
        with contextlib.suppress(Closed):
            client.receive(1)
    for line in broker.log().splitlines():
        assert re.match(r"\d{10}: ", line) and not line.startswith("1790000000"), line
        assert "\x1b" not in line and "\r" not in line


@pytest.mark.config("connection_messages false")
def test_connection_messages(broker):
    broker.connect("x", 4).disconnect()
    broker.connect("y", 4).ping()
    assert "New client" not in broker.log() and "disconnected" not in broker.log()


def test_log_dest_none(start_broker):
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\nlog_dest none\n")
    broker.connect("x", 4).disconnect()
    assert "New c" not in broker.log()


def test_log_dest_file(start_broker):
    broker = start_broker(
        "listener {port} 127.0.0.1\nallow_anonymous true\nlog_dest file {dir}/own.log\n")
    broker.connect("x", 4).disconnect()
    broker.stop()
    assert "New client connected from" in (broker.folder / "own.log").read_text()


def test_log_types(start_broker):
    broker = start_broker(
        "listener {port} 127.0.0.1\nallow_anonymous true\nlog_type error\nlog_type warning\n")
    broker.connect("x", 4).disconnect()
    assert "New client" not in broker.log()


def test_verbose(start_broker):
    """-v shows every type of line, whatever the configuration says."""
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\nlog_type error\n",
                          arguments=["-v"])
    client = broker.connect("x", 4)
    client.subscribe("a/#", qos=1)
    client.ping()
    client.disconnect()
    for line in (r"New client connected from .* as x .*", r"Sending CONNACK to x \(0, 0\)",
                 r"Received SUBSCRIBE from x", r"Sending SUBACK to x", r"Received PINGREQ from x",
                 r"Sending PINGRESP to x", r"Received DISCONNECT from x"):
        broker.expect_line(line)


@pytest.mark.config("set_tcp_nodelay true\nlog_timestamp false")
def test_no_timestamps(broker):
    broker.connect("x", 4).disconnect()
    assert "\nNew connection from " in broker.log()


def test_version_and_help(start_broker):
    for argument, found in (("--version", "version"), ("-h", "Usage")):
        broker = start_broker(None, arguments=[argument], ready=False)
        status = broker.wait(5)
        assert found.lower() in broker.log().lower()
        assert status == 0 or broker.is_mosquitto
