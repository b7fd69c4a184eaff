"""
Who is told why its connection ends can read that, however much it has sent behind the cause: the
broker closes its side alone, throws away what still comes, and closes when the client has; or when
that takes too long, or is too much.
"""

import contextlib
import select
import socket
import ssl
import threading
import time

import pytest

from harness import proxy, tls, wire
from harness.client import PATIENCE
from harness.process import wait_until
from harness.websocket import CLOSE, frame, request

pytestmark = [pytest.mark.nightjar("2.0 closes at once, and that may be a reset")]

PORTS = {"tcp": "port", "proxy": "port2", "tls": "port3", "websocket": "port4", "wss": "port5"}
TRANSPORTS = pytest.mark.parametrize("transport", ["unix", *PORTS])

MIB = 1 << 20
FLOOD = 3 * MIB  # more than buffers hold, and less than is thrown away


def listeners(files, options="", each=""):
    return f"""linger_timeout 60
max_linger_bytes 1073741824
{options}
listener {{port}} 127.0.0.1
allow_anonymous true
{each}
listener 0 {{dir}}/socket
allow_anonymous true
{each}
listener {{port2}} 127.0.0.1
allow_anonymous true
{each}
enable_proxy_protocol 2
listener {{port3}} 127.0.0.1
allow_anonymous true
{each}
{files}
listener {{port4}} 127.0.0.1
allow_anonymous true
{each}
protocol websockets
listener {{port5}} 127.0.0.1
allow_anonymous true
{each}
protocol websockets
{files}
"""


@pytest.fixture
def serve(start_broker, authority, transport):
    """A broker and its address for this transport."""
    def start(options="", each=""):
        broker = start_broker(listeners(authority.lines, options, each))
        broker.to = broker.places["dir"] + "/socket" if transport == "unix" else \
            ("localhost", broker.places[PORTS[transport]])
        broker.secure = tls.context(authority.cert) if transport in ("tls", "wss") else None
        broker.is_web = transport in ("websocket", "wss")
        broker.before = proxy.client("192.0.2.7", 1111) if transport == "proxy" else b""
        return broker
    return start


def open_one(broker, version=5, name=""):
    """Up to where MQTT begins."""
    if broker.is_web:
        client = broker.open_web(version, broker.to, name=name, tls=broker.secure)
        client.upgrade()
        return client
    client = broker.open(version, broker.to, name=name, tls=broker.secure)
    if broker.before:
        client.send(broker.before)
    return client


def connect(broker, name="x", version=5, **fields):
    client = open_one(broker, version, name)
    client.send(wire.connect(name, version, **fields))
    client.expect("CONNACK", code=0)
    return client


def flood(client, size=FLOOD, start=b""):
    """`start` and much behind it; what is not taken any more does not matter."""
    behind = wire.publish("flood", b"x" * 1000, version=client.version) * (size // 1000)
    if hasattr(client, "unwrap"):
        whole = frame(start) + b"".join(frame(behind[at:at + 65536])
                                        for at in range(0, len(behind), 65536))
    else:
        whole = start + behind
    client.socket.settimeout(PATIENCE)
    client.socket.sendall(whole)


@contextlib.contextmanager
def flooding(client):
    """All the while, and a while longer."""
    is_over, failures = threading.Event(), []

    def run():
        try:
            while not is_over.is_set():
                flood(client, MIB)
            flood(client, FLOOD)
        except OSError as error:
            failures.append(error)

    sender = threading.Thread(target=run)
    sender.start()
    try:
        yield
    finally:
        is_over.set()
        sender.join()
    assert not failures, failures


def all_of(client):
    """Everything up to the end, which must be one in good order; what is for MQTT of it."""
    client.socket.settimeout(PATIENCE)
    if isinstance(client.socket, tls.Socket):
        got = client.socket.recv_to_the_end()
        assert client.socket.below.recv(1) == b""
    else:
        got = b""
        while data := client.socket.recv(1 << 16):
            got += data
    if not hasattr(client, "unwrap"):
        return client.buffer + got
    client.raw += got
    client.unwrap()
    assert client.raw == b"", client.raw
    assert [opcode for opcode, _ in client.controls] == [CLOSE]
    return client.buffer


def packets_of(client):
    rest, packets = all_of(client), []
    while rest:
        client.buffer = rest
        size, head = client.whole_packet()
        packets.append(wire.decode(rest[:size], head, client.version))
        rest = rest[size:]
    return packets


def expect_last(client, kind, **fields):
    """The last packet is this one, then the end. Time passes, so that a reset would have come."""
    time.sleep(0.1)
    last = packets_of(client)[-1]
    assert last.kind == kind, last
    for name, value in fields.items():
        assert last.fields[name] == value, last


# ---- mistakes of a client ----

WRONG = {
    "a second CONNECT": (wire.connect("x", 5), 0x82),
    "a packet of no type": (b"\x00\x00", 0x81),
    "a topic with a wildcard": (wire.publish("a/#", b"", version=5), 0x90),
    "an alias that is too large": (
        wire.publish("t", b"", version=5, properties={"topic_alias": 100}), 0x94),
    "a packet that is too large": (b"\x30\xff\xff\xff\x7f", 0x95),
    "too much at once": (b"".join(wire.publish("t", b"", 2, n, version=5)
                                  for n in range(1, 30)), 0x93),
    "a DISCONNECT of servers": (wire.disconnect(0x8B), 0x82),
}


@TRANSPORTS
@pytest.mark.parametrize("name", WRONG)
def test_a_mistake(serve, transport, name):
    packet, reason = WRONG[name]
    broker = serve("max_packet_size 100000\n")
    for _ in range(5):
        client = connect(broker)
        flood(client, start=packet)
        expect_last(client, "DISCONNECT", reason=reason)
        client.close()


@TRANSPORTS
def test_a_mistake_of_version_3(serve, transport):
    """It is told nothing, and loses nothing that it was told before."""
    broker = serve()
    for _ in range(5):
        client = connect(broker, version=4)
        flood(client, start=wire.publish("t", b"", 1, 7) + b"\x00\x00")
        expect_last(client, "PUBACK", id=7)
        client.close()


# ---- a CONNECT that is refused ----

REFUSED = {
    "version": (wire.connect("x", 4).replace(b"MQTT\x04", b"MQTT\x06"), 4, 1),
    "client id": (wire.connect("other", 5), 5, 0x87),
    "client id of version 3": (wire.connect("other", 4), 4, 5),
    "method": (wire.connect("x", 5, properties={"authentication_method": "m"}), 5, 0x8C),
}


@TRANSPORTS
@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal(serve, transport, name):
    packet, version, code = REFUSED[name]
    broker = serve("clientid_prefixes x\n")
    for _ in range(5):
        client = open_one(broker, version)
        flood(client, start=packet)
        expect_last(client, "CONNACK", code=code)
        client.close()


# ---- ends that the client has no part in ----

@pytest.mark.workers
@TRANSPORTS
def test_taken_over(serve, transport, workers):
    broker = serve()
    for _ in range(3):
        old = connect(broker)
        with flooding(old):
            new = connect(broker)
        expect_last(old, "DISCONNECT", reason=0x8E)
        new.ping()
        new.disconnect()


@TRANSPORTS
def test_keep_alive(serve, transport):
    """It begins to talk again when it is too late."""
    broker = serve()
    client = connect(broker, keepalive=1)
    assert select.select([client.socket], [], [], PATIENCE)[0]
    flood(client)
    expect_last(client, "DISCONNECT", reason=0x8D)


@TRANSPORTS
def test_not_allowed_any_more(serve, transport, authority):
    broker = serve()
    client = connect(broker)
    with flooding(client):
        broker.reload(listeners(authority.lines).replace("anonymous true", "anonymous false"))
    expect_last(client, "DISCONNECT", reason=0x87)


@pytest.mark.workers
@TRANSPORTS
def test_a_queue_is_full(serve, transport, workers):
    broker = serve("max_inflight_messages 1\nmax_queued_messages 1\n", "queue_policy disconnect\n")
    client = connect(broker)
    client.subscribe("t", qos=1)
    other = connect(broker, "other")
    for _ in range(3):
        other.publish("t", b"x", 1)
    assert select.select([client.socket], [], [], PATIENCE)[0]
    flood(client)
    expect_last(client, "DISCONNECT", reason=0x97)


# ---- HTTP, WebSocket, TLS ----

API = "listener {port} 127.0.0.1\nprotocol http_api\n" \
      "listener {port2} 127.0.0.1\nprotocol http_api\n"


@pytest.mark.parametrize("is_secure", [False, True])
@pytest.mark.parametrize("asked, status", [
    (b"POST /api/v1/listeners HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n", None),
    (b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"200"),
    (b"no request\r\n\r\n", b"400"),
])
def test_an_answer_of_http(start_broker, authority, is_secure, asked, status):
    broker = start_broker(API + authority.lines)
    for _ in range(5):
        if is_secure:
            client = broker.open(address=("localhost", broker.places["port2"]),
                                 tls=tls.context(authority.cert))
        else:
            client = broker.open()
        client.socket.settimeout(PATIENCE)
        client.socket.sendall(asked + b"x" * FLOOD)
        time.sleep(0.1)
        answer = all_of(client)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 ")
        assert status is None or head.split()[1] == status
        assert f"Content-Length: {len(body)}\r\n".encode() in head + b"\r\n"


WEB = pytest.mark.parametrize("transport", ["websocket", "wss"])


@WEB
def test_no_upgrade(serve, transport):
    broker = serve()
    for _ in range(5):
        client = broker.open_web(5, broker.to, tls=broker.secure)
        client.socket.settimeout(PATIENCE)
        client.socket.sendall(request(version="12") + b"x" * FLOOD)
        time.sleep(0.1)
        assert client.read_answer()[0] == 426
        assert client.ended(PATIENCE) and client.raw == b""


@WEB
def test_a_frame_that_is_wrong(serve, transport):
    broker = serve()
    for _ in range(5):
        client = connect(broker)
        client.socket.settimeout(PATIENCE)
        client.socket.sendall(frame(b"x", mask=b"") + b"x" * FLOOD)
        time.sleep(0.1)
        assert all_of(client) == b""
        assert client.controls == [(CLOSE, (1002).to_bytes(2, "big"))]


@WEB
def test_a_close_frame_behind_disconnect(serve, transport):
    """It crosses ours, and a browser calls the end clean only if it has seen that."""
    broker = serve()
    for _ in range(5):
        client = connect(broker)
        client.send(wire.disconnect())
        time.sleep(0.02)
        client.socket.sendall(frame(b"\x03\xe8", CLOSE))
        time.sleep(0.02)
        assert all_of(client) == b""
        client.close()


@pytest.mark.parametrize("transport", ["tls", "wss"])
def test_an_alert(serve, transport):
    """A record that no key fits."""
    broker = serve()
    for _ in range(5):
        client = connect(broker)
        below = client.socket.below
        below.settimeout(PATIENCE)
        below.sendall((b"\x17\x03\x03\x04\x00" + b"x" * 1024) * (FLOOD // 1029))
        time.sleep(0.1)
        with pytest.raises(ssl.SSLError, match="(?i)bad.record.mac"):
            all_of(client)
        assert below.recv(1) == b""


@pytest.mark.parametrize("transport", ["tls", "wss"])
def test_an_alert_before_there_are_keys(serve, transport):
    """A ClientHello of one byte."""
    broker = serve()
    for _ in range(5):
        with socket.create_connection(broker.to, PATIENCE) as plain:
            plain.sendall(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00" + b"x" * FLOOD)
            time.sleep(0.1)
            got = b""
            while data := plain.recv(1000):
                got += data
            assert len(got) == 7 and got[0] == 0x15, got


# ---- peers that are no friends ----

LISTENER = "listener {port} 127.0.0.1\nallow_anonymous true\n"


def offend(client):
    """It is told so, and its side stays open."""
    client.send(b"\x00\x00")
    client.expect_end(0x81)
    return client


def is_closed(client):
    """Whether the broker is gone altogether, and not only for writing."""
    try:
        for _ in range(2):
            client.socket.send(b"x")
            time.sleep(0.02)
    except OSError:
        return True
    return False


@pytest.mark.workers
def test_one_that_never_stops(start_broker, workers):
    """It is cut where max_linger_bytes has it, and long before linger_timeout."""
    broker = start_broker("linger_timeout 600\nmax_linger_bytes 100000\n" + LISTENER)
    client = broker.connect("x", 5)
    client.socket.settimeout(PATIENCE)
    sent = 0
    with pytest.raises(OSError) as caught:
        client.socket.sendall(b"\x00\x00")
        while sent < 64 * MIB:
            sent += client.socket.send(b"x" * 65536)
    assert not isinstance(caught.value, TimeoutError)
    broker.connect("y", 5).ping()


def test_one_that_never_closes(start_broker):
    broker = start_broker("linger_timeout 2\n" + LISTENER)
    begun = time.monotonic()
    client = offend(broker.connect("x", 5))
    assert not is_closed(client)
    wait_until(lambda: is_closed(client), 5)
    assert time.monotonic() - begun >= 2


def test_not_at_all(start_broker):
    broker = start_broker("linger_timeout 0\n" + LISTENER)
    assert is_closed(offend(broker.connect("x", 5)))


def test_so_many_at_once(start_broker):
    """The oldest goes."""
    broker = start_broker("linger_timeout 600\nmax_lingering_connections 3\n" + LISTENER,
                          workers=1)
    clients = [offend(broker.connect(f"x-{n}", 5)) for n in range(7)]
    assert [is_closed(each) for each in clients] == 4 * [True] + 3 * [False]


@pytest.mark.workers
def test_they_are_counted(start_broker, workers):
    """Among the connections of their listener, until they are gone."""
    broker = start_broker("linger_timeout 600\nsys_interval 1\n" + LISTENER)
    watcher = broker.connect("watcher", 5, keepalive=0)
    clients = [offend(broker.connect(f"x-{n}", 5)) for n in range(4)]
    name = f"$SYS/broker/listener/127.0.0.1:{broker.port}/connections"
    watcher.subscribe(f"{name}/lingering", f"{name}/count", codes=[0, 0])
    values = {}

    def has(lingering, count):
        while (got := watcher.receive(0.1)) is not None:
            values[got.topic] = int(got.payload)
        return values == {f"{name}/lingering": lingering, f"{name}/count": count}

    wait_until(lambda: has(4, 5), 10)
    for each in clients[:3]:
        each.close()
    wait_until(lambda: has(1, 2), 10)


@pytest.mark.parametrize("limit", ["max_connections", "global_max_connections"])
def test_they_make_way(start_broker, limit):
    """Whoever comes gets the place of one that only lingers."""
    broker = start_broker("linger_timeout 600\n" + (f"{limit} 3\n" + LISTENER
                          if limit.startswith("global") else LISTENER + f"{limit} 3\n"), workers=1)
    clients = [offend(broker.connect(f"x-{n}", 5)) for n in range(3)]
    served = [broker.connect(f"y-{n}", 5) for n in range(3)]
    assert all(map(is_closed, clients))
    broker.open(5).expect_close()
    for each in served:
        each.ping()


def test_they_give_their_descriptors(start_broker):
    broker = start_broker("linger_timeout 600\nmax_lingering_connections 0\n" + LISTENER,
                          descriptors=(64, 64), workers=1)
    for n in range(200):
        offend(broker.connect(f"x-{n}", 5))
    served = [broker.connect(f"y-{n}", 5) for n in range(30)]
    for each in served:
        each.ping()
    assert broker.count_lines("Warning: Out of file descriptors.*") == 0


@pytest.mark.workers
def test_they_go_at_the_end(start_broker, workers):
    """The broker waits for none of them."""
    broker = start_broker("linger_timeout 600\n" + LISTENER)
    clients = [offend(broker.connect(f"x-{n}", 5)) for n in range(20)]
    assert broker.stop() == 0
    assert all(map(is_closed, clients))
