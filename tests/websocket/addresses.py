"""
Whose connection it is: the address of the socket, of the PROXY header, or of X-Forwarded-For, where
the proxy that wrote it is trusted.
"""

import pytest

from harness import figures, proxy, tls, wire
from harness.process import wait_until
from harness.websocket import request

pytestmark = pytest.mark.nightjar("2.0 has no PROXY protocol, and nothing reads the header")

WEB = "listener {port} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n"
BEHIND = WEB + "enable_proxy_protocol 2\nproxy_protocol_trusted 127.0.0.1\n"


@pytest.mark.workers
def test_behind_a_proxy(start_broker, version, workers):
    broker = start_broker(BEHIND)
    header = proxy.client("192.0.2.7", 1111)
    client = broker.connect_web("x", version, before=header)
    broker.expect_line(r"New connection from 192\.0\.2\.7:1111 on port %d via 127\.0\.0\.1:\d+\."
                       % broker.port)
    broker.expect_line(r"New client connected from 192\.0\.2\.7:1111 as x .*")
    client.ping()
    whole = header + request()
    for cut in range(0, len(whole), 5):
        client = broker.open_web(version)
        client.send_raw(whole, pieces=[cut], delay=0.001)
        client.expect_upgrade()
        client.send(wire.connect("y", version))
        client.expect("CONNACK", code=0)


@pytest.mark.workers
def test_behind_a_proxy_with_tls(start_broker, authority, version, workers):
    """All stages at once."""
    broker = start_broker(BEHIND + authority.lines)
    client = broker.connect_web("x", version, before=proxy.client("2001:db8::9", 2222),
                                tls=tls.context(authority.cert))
    client.subscribe("t", qos=1)
    client.send(wire.publish("t", b"x" * 40_000, 1, 5, version=version))
    assert {client.expect_any().kind for _ in range(2)} == {"PUBACK", "PUBLISH"}
    broker.expect_line(r"New client connected from 2001:db8::9:2222 as x .*")
    client.send(wire.disconnect())
    client.expect_close_frame(1000)


def test_no_header_no_upgrade(start_broker):
    broker = start_broker(BEHIND)
    client = broker.open_web()
    client.send_raw(request())
    client.expect_close()
    broker.expect_line(r"Connection from .* refused: PROXY header: .*")


FORWARDED = {"X-Forwarded-For": "198.51.100.1, 192.0.2.7"}


def test_forwarded_by_nobody_who_is_trusted(start_broker):
    """By default, nobody is."""
    for extra in ("", "forwarded_for_trusted 10.0.0.0/8\n"):
        broker = start_broker(WEB + extra)
        client = broker.connect_web("x", headers=FORWARDED)
        broker.expect_line(r"New client connected from %s as x .*"
                           % client.local.replace(".", r"\."))
        assert "192.0.2.7" not in broker.log()


@pytest.mark.parametrize("header, address", [
    ("192.0.2.7", "192.0.2.7:0"),
    ("198.51.100.1, 192.0.2.7", "192.0.2.7:0"),
    ("198.51.100.1,192.0.2.7:4444, 127.0.0.9", "192.0.2.7:4444"),
    ("[2001:db8::7]:80", "2001:db8::7:80"),
])
def test_forwarded(start_broker, header, address):
    broker = start_broker(WEB + "forwarded_for_trusted 127.0.0.0/8\n")
    client = broker.connect_web("x", headers={"X-Forwarded-For": header})
    broker.expect_line(r"New connection from %s on port %d via 127\.0\.0\.1:\d+\."
                       % (address.replace(".", r"\."), broker.port))
    broker.expect_line(r"New client connected from %s as x .*" % address.replace(".", r"\."))
    client.send(wire.disconnect())
    client.expect_close_frame(1000)
    broker.expect_line(r"Client x \[%s\] disconnected\." % address.replace(".", r"\."))
    assert broker.count_lines(r"New connection from .*") == 1


def test_forwarded_to_nowhere(start_broker):
    """A trusted proxy that names nobody is the client."""
    broker = start_broker(WEB + "forwarded_for_trusted 127.0.0.1\n")
    for headers in ({}, {"X-Forwarded-For": "unknown"}):
        client = broker.connect_web("x", headers=headers)
        broker.expect_line(r"New client connected from %s as x .*"
                           % client.local.replace(".", r"\."))


def test_behind_two_proxies(start_broker):
    """One that speaks HTTP behind one that does not: the first is trusted by its own address."""
    broker = start_broker(BEHIND + "forwarded_for_trusted 10.0.0.1\n")
    broker.connect_web("x", before=proxy.client("10.0.0.1", 99), headers=FORWARDED)
    broker.expect_line(r"New client connected from 192\.0\.2\.7:0 as x .*")
    broker.connect_web("y", before=proxy.client("10.0.0.2", 99), headers=FORWARDED, version=4)
    broker.expect_line(r"New client connected from 10\.0\.0\.2:99 as y .*")


test_behind_two_proxies = pytest.mark.workers(test_behind_two_proxies)


@pytest.mark.workers
def test_limits_are_for_the_client(start_broker, workers):
    """Not for the proxy that all of them come through."""
    broker = start_broker("max_connections_per_address 2\n" + WEB +
                          "forwarded_for_trusted 127.0.0.1\n")
    for n in range(1, 6):
        for m in range(2):
            broker.connect_web(f"x{n}-{m}", headers={"X-Forwarded-For": f"192.0.2.{n}"})
    client = broker.open_web()
    client.send_raw(request(X_Forwarded_For="192.0.2.3"))
    assert client.ended(5.0)
    broker.expect_line(r"Connection from 192\.0\.2\.3:0 on port %d via 127\.0\.0\.1:\d+ refused: "
                       r"too many connections\." % broker.port)


@pytest.mark.workers
def test_counted(start_broker, workers):
    """For each listener: who came, and who was sent away."""
    broker = start_broker("sys_interval 1\nlistener {port2} 127.0.0.1\nallow_anonymous true\n" +
                          WEB)
    watcher = broker.connect("w", 4, address=("127.0.0.1", broker.places["port2"]))
    watcher.subscribe(f"{figures.FRONT}listener/127.0.0.1:{broker.port}/#")
    clients = [broker.connect_web(f"x{n}") for n in range(3)]
    for data in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", request(protocol="x"), b"\x10\x0c\0\4MQTT"):
        broker.open_web().send_raw(data)
    seen = {}

    def is_told():
        while (got := watcher.receive(0.1)) is not None:
            seen["/".join(got.topic.split("/")[4:])] = got.payload
        return seen.get("websockets/refused") == b"3" and \
            seen.get("websockets/accepted") == b"3" and seen.get("connections/count") is not None

    try:
        wait_until(is_told, 8)
    except AssertionError:
        raise AssertionError(seen) from None
    for each in clients:
        each.ping()
