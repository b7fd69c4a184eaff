"""
Every option that a reload changes, seen to change: `live` ones for clients that are there, those of
class `listener` for clients that come later, while the others keep what they were told. Which
options these are is the table's to say; one without a case here fails.
"""

import json
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest

from harness import proxy, tls, users, websocket, wire
from harness.broker import binary
from harness.certificates import Authority, openssl
from harness.process import wait_until

pytestmark = pytest.mark.nightjar("2.0 reloads less, and not as a whole")

OPEN = "listener {port} 127.0.0.1\nallow_anonymous true\n"

CASES = {}

# Changes that nothing shows within the time of a scenario, and why.
UNSEEN = {
    "retain_expiry_interval": "the least is a minute: core/sweep_test has it",
    "persistence": "nothing is kept yet",
    "allow_memory_only": "nothing is kept yet",
    "log_facility": "the first byte of a datagram: in the case of log_syslog_path",
}


def case(before, after, base=OPEN):
    """
    A generator: what it does before its first yield is before the reload. Named as the option.
    """
    def add(function):
        CASES[function.__name__] = (base + before + "\n", base + after + "\n", function)
        return function
    return add


def table():
    text = subprocess.run([binary("nightjar"), "--describe", "options", "--format", "json"],
                          check=True, capture_output=True).stdout
    return [row for row in json.loads(text) if row.get("status") == "built"]


# ---- the broker ----

@case("", "include_dir {dir}/more")
def include_dir(broker):
    """Also what is in the files."""
    (broker.folder / "more").mkdir()
    for keepalive in 60, 50:
        (broker.folder / "more/x.conf").write_text(f"max_keepalive {keepalive}\n")
        if keepalive == 60:
            yield
        else:
            broker.reload()
        client = broker.connect("x", 5, keepalive=100)
        assert client.connack.properties["server_keep_alive"] == keepalive


@case("listener {port} 127.0.0.1\nlistener {port2} 127.0.0.1\nallow_anonymous true",
      "per_listener_settings true\nlistener {port} 127.0.0.1\nallow_anonymous true\n"
      "listener {port2} 127.0.0.1", base="")
def per_listener_settings(broker):
    kept = broker.connect("kept", 5)
    other = broker.connect("other", 5, address=("127.0.0.1", broker.places["port2"]))
    yield
    other.expect_end(0x87)
    kept.ping()
    broker.connect("x", 4, code=5, address=("127.0.0.1", broker.places["port2"])).expect_close()


@case("", "memory_limit 1")
def memory_limit(broker):
    """Also away again, which takes memory itself."""
    broker.connect("before", 5)
    yield
    broker.open().expect_close()
    broker.reload(OPEN)
    broker.connect("after", 5).ping()
    broker.reload(OPEN + "memory_limit 1\n")


@case("sys_interval 0", "sys_interval 1")
def sys_interval(broker):
    """Also off again."""
    client = broker.connect("x", 4)
    client.subscribe("$SYS/broker/uptime")
    client.expect_nothing()
    yield
    for _ in range(2):
        assert client.expect("PUBLISH").topic == "$SYS/broker/uptime"
    broker.reload(OPEN + "sys_interval 0\n")
    client.expect_nothing(1.5)
    broker.reload(OPEN + "sys_interval 1\n")


@case("connect_timeout 100", "connect_timeout 1")
def connect_timeout(broker):
    broker.connect("x", 4)
    yield
    broker.open().expect_close(5)


@case("", "global_max_clients 1")
def global_max_clients(broker):
    client = broker.connect("x", 5)
    yield
    broker.connect("y", 5, code=0x89).expect_close()
    client.ping()


@case("", "global_max_connections 1")
def global_max_connections(broker):
    client = broker.connect("x", 5)
    yield
    broker.open().expect_close()
    client.ping()


@case("", "max_pending_connections 1")
def max_pending_connections(broker):
    """A new one takes the place of an older one, if its worker has one."""
    silent = [broker.open() for _ in range(4)]
    yield
    silent += [broker.open() for _ in range(4)]
    wait_until(lambda: sum(each.ended(0.01) for each in silent) >= 3)
    broker.connect("x", 5).ping()


def is_cut(client):
    """Whether the broker has closed a connection that lingered, and not only its own side."""
    try:
        client.socket.send(b"x")
    except OSError:
        return True
    return False


def offend(broker, name="x"):
    client = broker.connect(name, 5)
    client.send(b"\x00\x00")
    client.expect_end(0x81)
    return client


@case("linger_timeout 600", "linger_timeout 1")
def linger_timeout(broker):
    """Who lingers already keeps its time."""
    before = offend(broker)
    yield
    after = offend(broker)
    wait_until(lambda: is_cut(after))
    assert not is_cut(before)


@case("linger_timeout 600", "linger_timeout 600\nmax_linger_bytes 1")
def max_linger_bytes(broker):
    client = offend(broker)
    yield
    wait_until(lambda: is_cut(client))


@case("linger_timeout 600", "linger_timeout 600\nmax_lingering_connections 1")
def max_lingering_connections(broker):
    """Each worker keeps one."""
    clients = [offend(broker, f"x-{n}") for n in range(4)]
    yield
    clients += [offend(broker, f"y-{n}") for n in range(8)]
    wait_until(lambda: sum(map(is_cut, clients)) >= 4)


HALF = OPEN + "enable_proxy_protocol 2\nproxy_protocol_timeout 100\n"


def max_pending_headers_per_proxy(broker):
    """Those from before are counted; and it goes up again."""
    waiting = [broker.open() for _ in range(3)]
    assert not any(each.ended(0.2) for each in waiting)
    yield
    broker.open().expect_close()
    waiting[0].send(proxy.client("192.0.2.7", 1111))
    broker.expect_line("New connection from 192.0.2.7.*")
    broker.open().expect_close()
    broker.reload(HALF + "max_pending_headers_per_proxy 3\n")
    assert not broker.open().ended(0.2)
    broker.open().expect_close()


CASES["max_pending_headers_per_proxy"] = (
    HALF, HALF + "max_pending_headers_per_proxy 2\n", max_pending_headers_per_proxy)


@case("", "max_connections_per_address 1")
def max_connections_per_address(broker):
    """Those from before the first limit are not counted."""
    before = broker.connect("before", 5)
    yield
    after = broker.connect("after", 5)
    broker.open().expect_close()
    for each in before, after:
        each.ping()


@case("", "connect_rate_per_address 1")
def connect_rate_per_address(broker):
    broker.connect("before", 5)
    yield
    broker.connect("after", 5)
    broker.open().expect_close()


# ---- what clients may have ----

def told(name, value, before=None):
    """A property of CONNACK, for who comes after the reload; who was there stays."""
    def steps(broker):
        client = broker.connect("before", 5)
        assert client.connack.properties.get(name) == before
        yield
        assert broker.connect("after", 5).connack.properties.get(name) == value
        client.ping()
    return steps


def add_told(option, text, name, value, before=None):
    steps = told(name, value, before)
    steps.__name__ = option
    case("", f"{option} {text}")(steps)


add_told("max_inflight_messages", 7, "receive_maximum", 7, 20)
add_told("max_packet_size", 1000, "maximum_packet_size", 1000, 2000000)
add_told("max_keepalive", 30, "server_keep_alive", 30)
add_told("proxy_idle_timeout", 60, "server_keep_alive", 45)
add_told("max_qos", 1, "maximum_qos", 1)
add_told("max_topic_alias", 3, "topic_alias_maximum", 3, 10)


@case("", "retain_available false")
def retain_available(broker):
    client = broker.connect("before", 5)
    yield
    client.publish("t", b"1", 1, retain=True)
    after = broker.connect("after", 5)
    assert after.connack.properties["retain_available"] == 0
    after.send(wire.publish("t", b"1", retain=True, version=5))
    after.expect_end(0x9A)


@case("", "persistent_client_expiration 1h")
def persistent_client_expiration(broker):
    wants = {"properties": {"session_expiry_interval": 7200}}
    assert "session_expiry_interval" not in broker.connect("x", 5, **wants).connack.properties
    yield
    assert broker.connect("y", 5, **wants).connack.properties["session_expiry_interval"] == 3600


@case("", "max_inflight_bytes 10")
def max_inflight_bytes(broker):
    client = broker.connect("x", 4)
    client.subscribe("t", qos=1)
    yield
    publisher = broker.connect("y", 4)
    for _ in range(3):
        publisher.publish("t", b"0123456789", 1)
    first = client.expect("PUBLISH")
    client.expect_nothing()
    client.acknowledge(first)
    client.take_message()
    client.take_message()


def queue(broker):
    """What waits for somebody who was away at the reload."""
    away = broker.connect("away", 4, lasting=True)
    away.subscribe("t", qos=1)
    away.disconnect()
    yield
    publisher = broker.connect("from", 4)
    for number in range(5):
        publisher.publish("t", str(number), 1)
    client = broker.connect("away", 4, lasting=True, session=True)
    return [got.payload for got in client.collect(2)], client


@case("", "max_queued_messages 2")
def max_queued_messages(broker):
    got, client = yield from queue(broker)
    assert got == [b"0", b"1"]
    client.expect_nothing()


@case("", "max_queued_bytes 2")
def max_queued_bytes(broker):
    got, client = yield from queue(broker)
    assert got == [b"0", b"1"]
    client.expect_nothing()


@case("max_queued_messages 2", "max_queued_messages 2\nqueue_policy drop_oldest")
def queue_policy(broker):
    """Held to the session from its connection on: one that was there before drops the newest."""
    old = broker.connect("old", 4, lasting=True)
    old.subscribe("t", qos=1)
    old.disconnect()
    yield
    new = broker.connect("new", 4, lasting=True)
    new.subscribe("t", qos=1)
    new.disconnect()
    publisher = broker.connect("from", 4)
    for number in range(5):
        publisher.publish("t", str(number), 1)
    for name, expected in ("old", [b"0", b"1"]), ("new", [b"3", b"4"]):
        client = broker.connect(name, 4, lasting=True, session=True)
        assert [got.payload for got in client.collect(2)] == expected


@case("", "queue_qos0_messages true")
def queue_qos0_messages(broker):
    away = broker.connect("away", 4, lasting=True)
    away.subscribe("t")
    away.disconnect()
    yield
    publisher = broker.connect("from", 4)
    publisher.publish("t", "kept")
    publisher.ping()
    broker.connect("away", 4, lasting=True, session=True).expect_message("t", b"kept")


@case("", "message_size_limit 3")
def message_size_limit(broker):
    client = broker.connect("x", 5)
    assert client.publish("t", "1234", 1).reason == 0x10
    yield
    assert client.publish("t", "1234", 1).reason == 0x83


@case("", "allow_duplicate_messages false")
def allow_duplicate_messages(broker):
    client = broker.connect("x", 4)
    client.subscribe("t", "+")
    client.publish("t", "two")
    client.expect_message("t", b"two")
    client.expect_message("t", b"two")
    yield
    client.publish("t", "one")
    client.expect_message("t", b"one")
    client.expect_nothing()


@case("", "upgrade_outgoing_qos true")
def upgrade_outgoing_qos(broker):
    client = broker.connect("x", 4)
    client.subscribe("t", qos=1)
    client.publish("t", "0")
    client.expect_message("t", b"0", qos=0)
    yield
    client.publish("t", "1")
    client.expect_message("t", b"1", qos=1)


@case("max_inflight_messages 1", "max_inflight_messages 1\nreceive_maximum_exceeded quota")
def receive_maximum_exceeded(broker):
    client = broker.connect("x", 5)
    yield
    for id, reason in (1, 0x10), (2, 0x97):
        client.send(wire.publish("t", b"", 2, id, version=5))
        client.expect("PUBREC", id=id, reason=reason)


@case("", "check_payload_format true")
def check_payload_format(broker):
    client = broker.connect("x", 5)
    text = {"payload_format_indicator": 1}
    assert client.publish("t", b"\xff", 1, properties=text).reason == 0x10
    yield
    assert client.publish("t", b"\xff", 1, properties=text).reason == 0x99


# ---- a drain ----

DRAIN = signal.SIGRTMIN + 1


@case("drain_delay 3000\ndrain_time 3000", "drain_delay 0\ndrain_time 3000")
def drain_delay(broker):
    """Also of the drain that is under way."""
    broker.connect("before", 5)
    broker.signal(DRAIN)
    broker.expect_line("A drain was asked for: .*")
    yield
    broker.expect_line("Draining: 1 clients are sent away over 3000 seconds.")
    broker.connect("after", 5, code=0x9C)


@case("drain_delay 0\ndrain_time 3000", "drain_delay 0\ndrain_time 0")
def drain_time(broker):
    client = broker.connect("x", 5)
    broker.signal(DRAIN)
    broker.expect_line("Draining: 1 clients are sent away .*")
    yield
    client.expect_end(0x9C)


@case("drain_delay 0\ndrain_time 0", "drain_delay 0\ndrain_time 0\nserver_reference there")
def server_reference(broker):
    client = broker.connect("x", 5)
    yield
    broker.signal(DRAIN)
    got = client.expect("DISCONNECT", reason=0x9C)
    assert got.properties == {"server_reference": "there"}


@case("drain_delay 0\ndrain_time 0", "drain_delay 0\ndrain_time 0\nserver_moved true")
def server_moved(broker):
    client = broker.connect("x", 5)
    yield
    broker.signal(DRAIN)
    client.expect_end(0x9D)


# ---- who may come ----

@case("", "clientid_prefixes good")
def clientid_prefixes(broker):
    client = broker.connect("bad", 5)
    yield
    broker.connect("bad-too", 5, code=0x87).expect_close()
    broker.connect("good-one", 5)
    client.ping()


def not_welcome(broker):
    """Who could not come now has to go; a connection that has not said CONNECT is refused it."""
    new, old = broker.connect("new", 5), broker.connect("old", 4)
    silent = broker.open(5)
    yield
    new.expect_end(0x87)
    old.expect_close()
    silent.send(wire.connect("silent", 5))
    silent.expect("CONNACK", code=0x87)
    broker.connect("late", 4, code=5).expect_close()
    broker.expect_line(r"Client new \[.*\] disconnected: not authorised\.")


CASES["allow_anonymous"] = ("listener {port} 127.0.0.1\nallow_anonymous true\n",
                            "listener {port} 127.0.0.1\nallow_anonymous false\n", not_welcome)
CASES["listener_allow_anonymous"] = (OPEN, OPEN + "listener_allow_anonymous false\n", not_welcome)


def no_empty_id(broker):
    client = broker.connect("", 5)
    yield
    broker.connect("", 5, code=0x85).expect_close()
    client.ping()


CASES["allow_zero_length_clientid"] = (OPEN, OPEN + "allow_zero_length_clientid false\n",
                                       no_empty_id)
CASES["listener_allow_zero_length_clientid"] = (
    OPEN, OPEN + "listener_allow_zero_length_clientid false\n", no_empty_id)


def other_prefix(broker):
    assert broker.connect("", 5).connack.properties["assigned_client_identifier"] \
        .startswith("auto-")
    yield
    assert broker.connect("", 5).connack.properties["assigned_client_identifier"] \
        .startswith("mine-")


CASES["auto_id_prefix"] = (OPEN, OPEN + "auto_id_prefix mine-\n", other_prefix)
CASES["listener_auto_id_prefix"] = (OPEN, OPEN + "listener_auto_id_prefix mine-\n", other_prefix)


# ---- listeners ----

def opens_elsewhere(broker):
    client = broker.connect("x", 4)
    yield
    broker.connect("y", 4, address=("127.0.0.1", broker.places["port2"])).ping()
    client.ping()


CASES["listener"] = (OPEN, OPEN + "listener {port2} 127.0.0.1\n", opens_elsewhere)
CASES["port"] = ("port {port}\nallow_anonymous true\n", "port {port2}\nallow_anonymous true\n",
                 opens_elsewhere)


@case("bind_address 127.0.0.1", "bind_address 127.0.0.2", "port {port}\nallow_anonymous true\n")
def bind_address(broker):
    client = broker.connect("x", 4)
    yield
    broker.connect("y", 4, address=("127.0.0.2", broker.port)).ping()
    client.ping()


@case("", "accept_protocol_versions 5")
def accept_protocol_versions(broker):
    client = broker.connect("x", 4)
    yield
    broker.connect("y", 4, code=1).expect_close()
    client.ping()


@case("", "max_connections 1")
def max_connections(broker):
    client = broker.connect("x", 5)
    yield
    broker.open().expect_close()
    client.ping()


@case("", "max_topic_alias_broker 0")
def max_topic_alias_broker(broker):
    wants = {"properties": {"topic_alias_maximum": 5}}
    topic = "a/topic/that/is/worth/an/alias"
    before = broker.connect("before", 5, **wants)
    before.subscribe(topic)
    yield
    after = broker.connect("after", 5, **wants)
    after.subscribe(topic)
    after.publish(topic, "x")
    assert "topic_alias" in before.expect("PUBLISH").properties
    assert "topic_alias" not in after.expect("PUBLISH").properties


@case("", "mount_point m/")
def mount_point(broker):
    before = broker.connect("before", 4)
    before.subscribe("m/t", "t")
    yield
    after = broker.connect("after", 4)
    after.publish("t", "mounted")
    before.expect_message("m/t", b"mounted")
    before.publish("t", "as before")
    before.expect_message("t", b"as before")


@case("", "use_username_as_clientid true")
def use_username_as_clientid(broker):
    client = broker.connect("x", 5)
    yield
    broker.connect("y", 5, code=0x87).expect_close()
    client.ping()


def header_wanted(broker):
    client = broker.connect("x", 4)
    yield
    broker.connect("y", 4, before=proxy.client("192.0.2.7", 1111))
    broker.expect_line(r"New client connected from 192\.0\.2\.7:1111 as y .*")
    plain = broker.open()
    plain.send(wire.connect("z"))
    plain.expect_close()
    client.ping()


CASES["enable_proxy_protocol"] = (OPEN, OPEN + "enable_proxy_protocol 2\n", header_wanted)
CASES["enable_proxy_protocol_v2"] = (OPEN, OPEN + "enable_proxy_protocol_v2 true\n", header_wanted)


@case("enable_proxy_protocol 2\nproxy_protocol_trusted 127.0.0.1",
      "enable_proxy_protocol 2\nproxy_protocol_trusted 10.0.0.0/8")
def proxy_protocol_trusted(broker):
    client = broker.connect("x", 4, before=proxy.client("192.0.2.7", 1111))
    yield
    broker.open().expect_close()
    client.ping()


@case("enable_proxy_protocol 2\nproxy_protocol_trusted 10.0.0.0/8",
      "enable_proxy_protocol 2\nproxy_protocol_trusted 10.0.0.0/8\nproxy_protocol_untrusted direct")
def proxy_protocol_untrusted(broker):
    broker.open().expect_close()
    yield
    broker.connect("x", 4).ping()


@case("enable_proxy_protocol 2\nproxy_protocol_timeout 100",
      "enable_proxy_protocol 2\nproxy_protocol_timeout 1")
def proxy_protocol_timeout(broker):
    broker.connect("x", 4, before=proxy.client("192.0.2.7", 1111))
    yield
    broker.open().expect_close(4)


TOLD = proxy.client("192.0.2.7", 1111, proxy.tlv(
    0x20, b"\7\0\0\0\0" + proxy.tlv(0x22, b"meter")), proxy.tlv(0xE1, b"CN=subject"))


def asked_of(option, more="", code=None):
    """Who is there stays; whoever comes must be told of by the proxy."""
    def check(broker):
        client = broker.connect("x", 4, before=proxy.client("192.0.2.7", 1111))
        yield
        broker.connect("y", 4, before=TOLD).ping()
        plain = broker.open(5)
        plain.send(proxy.client("192.0.2.8", 1111), wire.connect("z", 5))
        if code:
            plain.expect("CONNACK", code=code)
        plain.expect_close()
        assert " as z " not in broker.log()
        client.ping()
    base = OPEN + "enable_proxy_protocol 2\n" + more
    CASES[option] = (base, base + f"{option} true\n", check)


@case("enable_proxy_protocol 2\nuse_identity_as_username true",
      "enable_proxy_protocol 2\nuse_identity_as_username true\nproxy_protocol_common_name_slash true")
def proxy_protocol_common_name_slash(broker):
    """Also of whose header was read before: CONNECT asks."""
    named = proxy.client("192.0.2.7", 1111, proxy.tlv(
        0x20, b"\7\0\0\0\0" + proxy.tlv(0x22, b"plant/7")))
    broker.connect("x", 5, before=named, code=0x86)
    early = broker.open(5)
    early.send(named)
    broker.expect_line("New connection from 192.0.2.7.*", count=2)
    yield
    early.send(wire.connect("y", 5))
    early.expect("CONNACK", code=0)
    broker.connect("z", 5, before=named).ping()


asked_of("proxy_protocol_v2_require_tls")
asked_of("require_certificate")
asked_of("use_identity_as_username", code=0x86)
asked_of("use_subject_as_username", "proxy_protocol_subject_tlv 0xE1\n", 0x86)


@case("enable_proxy_protocol 2", "enable_proxy_protocol 2\nproxy_protocol_v2_require_crc32c true")
def proxy_protocol_v2_require_crc32c(broker):
    client = broker.connect("x", 4, before=proxy.client("192.0.2.7", 1111))
    yield
    broker.connect("y", 4, before=proxy.with_crc("192.0.2.7", 1112)).ping()
    plain = broker.open()
    plain.send(proxy.client("192.0.2.8", 1111), wire.connect("z", 4))
    plain.expect_close()
    client.ping()


@case("enable_proxy_protocol 2\nuse_subject_as_username true\nproxy_protocol_subject_tlv 0xE2",
      "enable_proxy_protocol 2\nuse_subject_as_username true\nproxy_protocol_subject_tlv 0xE1")
def proxy_protocol_subject_tlv(broker):
    broker.connect("x", 5, code=0x86, before=TOLD)
    yield
    broker.connect("y", 4, before=TOLD).ping()
    broker.expect_line(r"New client connected from .* as y \(.*, u'CN=subject'\)\.")


# ---- WebSocket ----

WEB = "listener {port} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n"


@case("", "packet_buffer_size 300", WEB)
def packet_buffer_size(broker):
    long = {"X": "y" * 300}
    client = broker.connect_web("x", headers=long)
    yield
    refused = broker.open_web()
    refused.send_raw(websocket.request(**long)[:300])
    assert refused.read_answer()[0] == 431
    client.ping()


@case("", "max_http_headers 6", WEB)
def max_http_headers(broker):
    client = broker.connect_web("x", headers={"X": "y"})
    yield
    refused = broker.open_web()
    refused.send_raw(websocket.request(X="y"))
    assert refused.read_answer()[0] == 431
    broker.connect_web("y").ping()
    client.ping()


@case("websockets_origin http://a", "websockets_origin http://b\nwebsockets_origin http://c", WEB)
def websockets_origin(broker):
    client = broker.connect_web("x", headers={"Origin": "http://a"})
    yield
    refused = broker.open_web()
    refused.send_raw(websocket.request(Origin="http://a"))
    refused.expect_close()
    broker.connect_web("y", headers={"Origin": "http://c"}).ping()
    client.ping()


@case("", "forwarded_for_trusted 127.0.0.1", WEB)
def forwarded_for_trusted(broker):
    told = {"X-Forwarded-For": "192.0.2.7"}
    broker.connect_web("x", headers=told)
    assert "192.0.2.7" not in broker.log()
    yield
    broker.connect_web("y", headers=told)
    broker.expect_line(r"New client connected from 192\.0\.2\.7:0 as y .*")


# ---- HTTP ----

def files(broker, status, after):
    """What a file of 2,000 bytes is answered with, before and after."""
    for name in ("www", "other"):
        (broker.folder / name).mkdir()
    (broker.folder / "www/x").write_bytes(b"y" * 2000)
    for expected in (status, after):
        client = broker.open_web(address=("127.0.0.1", broker.places["port2"]))
        client.send_raw(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_answer()[0] == expected
        if expected == status:
            yield


API = OPEN + "listener {port2} 127.0.0.1\nprotocol http_api\n"


@case("http_dir {dir}/www", "http_dir {dir}/other", API)
def http_dir(broker):
    yield from files(broker, 200, 404)


@case("http_dir {dir}/www", "http_dir {dir}/www\nhttp_max_file_size 1999", API)
def http_max_file_size(broker):
    yield from files(broker, 200, 403)


# ---- the log ----

@case("", "log_dest stderr\nlog_dest file {dir}/one")
def log_dest(broker):
    """To a file, to another, and to none any more."""
    yield
    broker.connect("x", 4)
    one, two = broker.folder / "one", broker.folder / "two"
    wait_until(lambda: "as x" in one.read_text())
    broker.reload(OPEN + "log_dest stderr\nlog_dest file {dir}/two\n")
    broker.connect("y", 4)
    wait_until(lambda: "as y" in two.read_text())
    assert "as y" not in one.read_text()
    broker.reload(OPEN + "log_dest stderr\n")
    broker.connect("z", 4)
    broker.expect_line(".* as z .*")
    assert "as z" not in two.read_text()


@case("", "log_type information\nlog_type error\nlog_type subscribe")
def log_type(broker):
    client = broker.connect("x", 4)
    client.subscribe("before")
    yield
    client.subscribe("after")
    broker.expect_line(".*x 0 after")
    assert "before" not in broker.log()


@case("", "log_timestamp false")
def log_timestamp(broker):
    yield
    broker.connect("x", 4)
    broker.expect_line(".* as x .*")
    assert "\nNew client connected" in broker.log()


@case("", "log_timestamp_format at %Y")
def log_timestamp_format(broker):
    yield
    broker.connect("x", 4)
    broker.expect_line(r"at \d\d\d\d: New client connected .*")


def open_syslog(broker):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(broker.folder / "syslog"))
    listener.settimeout(8)
    return listener


@case("log_dest stderr\nlog_dest syslog\nlog_syslog_path {dir}/none",
      "log_dest stderr\nlog_dest syslog\nlog_syslog_path {dir}/syslog\nlog_facility 3")
def log_syslog_path(broker):
    with open_syslog(broker) as listener:
        yield
        broker.connect("x", 4)
        text = listener.recv(2000)
        while b"as x" not in text:
            text = listener.recv(2000)
        assert int(text[1:text.index(b">")]) >> 3 == 16 + 3


@case("", "log_format json")
def log_format(broker):
    yield
    broker.connect("x", 4)
    wait_until(lambda: '"event":"client_connected"' in broker.log())


@case("log_repeat_limit 2\nlog_type all", "log_repeat_limit 0\nlog_type all")
def log_repeat_limit(broker):
    """Only that it is taken over: tests/log/repeated.py has what it does."""
    yield
    broker.expect_line("log_repeat_limit 2 -> 0")


@case("", "connection_messages false")
def connection_messages(broker):
    yield
    broker.connect("unheard", 4).disconnect()
    broker.reload()
    assert "unheard" not in broker.log()


# ---- who may do what ----

def write_users(broker, *names, file="passwords", form="sha512-pbkdf2"):
    (broker.folder / file).write_text("".join(users.password(each, form) for each in names))


def refusal(broker, name, **fields):
    """The code that this user gets."""
    client = broker.open(4, name=name)
    client.send(wire.connect(name, 4, username=name, password=f"{name}-secret", **fields))
    return client.expect("CONNACK").code


@case("", "password_file {dir}/passwords")
def password_file(broker):
    """Who came in with a name that nobody asked for has to come again."""
    write_users(broker, "anna")
    nobody = broker.connect("nobody", 5)
    named = broker.connect("named", 5, username="anna", password="anna-secret")
    yield
    named.expect_end(0x87)
    nobody.ping()
    assert (refusal(broker, "anna"), refusal(broker, "bob")) == (0, 5)


@case("password_file {dir}/passwords",
      "password_file {dir}/passwords\nlistener_password_file {dir}/others")
def listener_password_file(broker):
    write_users(broker, "bob", file="others")
    anna = broker.connect("anna", 5, username="anna", password="anna-secret")
    yield
    anna.expect_end(0x87)
    assert (refusal(broker, "anna"), refusal(broker, "bob")) == (5, 0)


listener_password_file.files = {"passwords": users.password("anna")}


@case("password_file {dir}/passwords\npassword_threads 1",
      "password_file {dir}/passwords\npassword_threads 1\npassword_queue 1")
def password_queue(broker):
    yield
    waiting = [broker.open(5) for _ in range(4)]
    for each in waiting:
        each.send(wire.connect("", 5, username="slow", password="x"))
    wait_until(lambda: "too many wait to be let in" in broker.process._text())


password_queue.files = {"passwords": "slow:$7$500000$c2FsdA==$" + "A" * 86 + "==\n"}


def a_bound(broker, what):
    """A file over it is refused, and all stays as it was."""
    yield
    (broker.folder / "passwords").write_text(users.password("bob", "argon2id"))
    broker.reload(is_good=False)
    broker.expect_line(rf"Error: The password of user 'bob' asks for more {what}\.")
    assert (refusal(broker, "anna"), refusal(broker, "bob")) == (0, 5)
    write_users(broker, "anna")


@case("password_file {dir}/passwords", "password_file {dir}/passwords\npassword_memory_max 1000")
def password_memory_max(broker):
    yield from a_bound(broker, "memory than password_memory_max")


password_memory_max.files = listener_password_file.files


@case("password_file {dir}/passwords",
      "password_file {dir}/passwords\npassword_iterations_max 100")
def password_iterations_max(broker):
    yield
    (broker.folder / "passwords").write_text("bob:$7$101$c2FsdA==$" + "A" * 86 + "==\n")
    broker.reload(is_good=False)
    broker.expect_line(r"Error: .* asks for more iterations than password_iterations_max\.")
    write_users(broker, "six", form="sha512")


password_iterations_max.files = {"passwords": users.password("six", "sha512")}
def may_publish(client, topic):
    return client.publish(topic, b"x", 1).fields.get("reason", 0) != 0x87


@case("", "acl_file {dir}/rules")
def acl_file(broker):
    """Also what is in the file."""
    client = broker.connect("x", 5)
    assert may_publish(client, "b")
    (broker.folder / "rules").write_text("topic a\n")
    yield
    assert (may_publish(client, "a"), may_publish(client, "b")) == (True, False)
    (broker.folder / "rules").write_text("topic b\n")
    broker.reload()
    assert (may_publish(client, "a"), may_publish(client, "b")) == (False, True)


@case("acl_file {dir}/rules", "acl_file {dir}/rules\nlistener_acl_file {dir}/others")
def listener_acl_file(broker):
    client = broker.connect("x", 5)
    assert not may_publish(client, "b")
    (broker.folder / "others").write_text("topic b\n")
    yield
    assert (may_publish(client, "a"), may_publish(client, "b")) == (False, True)


listener_acl_file.files = {"rules": "topic a\n"}


@case("acl_file {dir}/rules", "acl_file {dir}/rules\nacl_deny_subscribe true")
def acl_deny_subscribe(broker):
    client = broker.connect("x", 5)
    client.subscribe("b")
    yield
    client.subscribe("a", "b", codes=[0, 0x87])


acl_deny_subscribe.files = listener_acl_file.files


RULES = "acl_file {dir}/rules\n"


@case(RULES + "check_retain_source false", RULES + "check_retain_source true")
def check_retain_source(broker):
    """A message from before says nothing of who published it."""
    for topic in "a", "b":
        broker.connect(f"giver-{topic}", 5).publish(topic, b"x", 1, retain=True)
        if topic == "a":
            yield
    (broker.folder / "rules").write_text("topic read #\n")
    broker.reload()
    reader = broker.connect("reader", 5)
    reader.subscribe("a", "b")
    reader.expect("PUBLISH", topic="a")
    reader.expect_nothing()


check_retain_source.files = {"rules": "topic #\n"}


def banned_after(broker, most):
    """How many logins it takes from an address that nobody has used."""
    banned_after.address += 1
    for number in range(1, most + 1):
        client = broker.open(4, source=f"127.0.3.{banned_after.address}")
        client.send(wire.connect("", 4, username="anna", password="wrong"))
        if client.ended(0.5):
            return number - 1
    return None


banned_after.address = 0

FAILING = "password_file {dir}/passwords\n"


@case(FAILING, FAILING + "max_failed_logins_per_address 2")
def max_failed_logins_per_address(broker):
    assert banned_after(broker, 4) is None
    yield
    assert banned_after(broker, 4) == 2


max_failed_logins_per_address.files = {"passwords": users.password("anna")}


@case(FAILING + "max_failed_logins_per_address 2",
      FAILING + "max_failed_logins_per_address 2\nfailed_login_ban 1")
def failed_login_ban(broker):
    yield
    assert banned_after(broker, 4) == 2
    source = f"127.0.3.{banned_after.address}"
    wait_until(lambda: not broker.open(4, source=source).ended(0.3), 8, every=0.2)


failed_login_ban.files = max_failed_logins_per_address.files


@case(FAILING + "max_failed_logins_per_address 3",
      FAILING + "max_failed_logins_per_address 3\nfailed_login_window 1")
def failed_login_window(broker):
    """Two, a moment, two: within a minute that was a ban."""
    yield
    for _ in range(2):
        for _ in range(2):
            client = broker.open(4)
            client.send(wire.connect("", 4, username="anna", password="wrong"))
            client.expect("CONNACK", code=5)
        time.sleep(2.1)
    assert refusal(broker, "anna") == 0


failed_login_window.files = max_failed_logins_per_address.files


@case("", "psk_file {dir}/keys")
def psk_file(broker):
    """Read and checked; no listener asks for a key yet."""
    (broker.folder / "keys").write_text("anna:00ff\n")
    yield
    (broker.folder / "keys").write_text("anna:0g\n")
    broker.reload(is_good=False)
    broker.expect_line(r"Error: A key must be .*")
    (broker.folder / "keys").write_text("anna:00ff\n")


@case("", "listener_psk_file {dir}/keys")
def listener_psk_file(broker):
    yield from psk_file(broker)


# ---- TLS ----

PAIR = "certfile {dir}/server.crt\nkeyfile {dir}/server.key"


def begins_tls(broker):
    """Who comes later speaks TLS, and who is there goes on without."""
    authority = Authority(broker.folder)
    authority.server()
    before = broker.connect("a", 5)
    yield
    broker.connect("b", 5, tls=tls.context(authority.cert)).ping()
    before.ping()
    broker.open(5).send(wire.connect("c", 5))
    broker.expect_line(r".* disconnected: TLS: wrong version number\.")


def becomes(lines, see, name=None):
    """A case that goes from no TLS to TLS with these lines, and has `see(broker, Clients)` look."""
    def run(broker):
        authority, clients = Authority(broker.folder), Clients(broker.folder / "clients")
        authority.server()
        before = broker.connect("a", 5)
        yield
        see(lambda pair, version=None: broker.connect("b", 5, tls=tls.context(
            authority.cert, pair and (pair.cert, pair.key), version)), clients)
        before.ping()
    run.__name__ = name or lines.split()[0]
    case("", PAIR + "\n" + lines)(run)


class Clients(Authority):
    """With a certificate of each kind, and in a folder by its hash."""

    def __init__(self, folder):
        super().__init__(folder)
        self.good, self.old = self.client("good"), self.client("old", days=-1)
        self.lost = self.client("lost")
        self.revoke(self.lost)
        by_hash = openssl("x509", "-in", self.cert, "-noout", "-hash").decode().strip()
        (folder / f"{by_hash}.0").write_bytes(self.cert.read_bytes())


def only(good, *others):
    def see(connect, clients):
        connect(getattr(clients, good)).ping()
        for each in others:
            with pytest.raises((ssl.SSLError, AssertionError)):
                connect(each and getattr(clients, each))
    return see


def with_cipher(version, name):
    def see(connect, clients):
        assert connect(None, version).socket.tls.cipher()[0] == name
    return see


def not_1_2(connect, clients):
    connect(None, ssl.TLSVersion.TLSv1_3)
    with pytest.raises(ssl.SSLError):
        connect(None, ssl.TLSVersion.TLSv1_2)


REQUIRED = "\ncafile {dir}/clients/ca.crt\nrequire_certificate true"

becomes("cafile {dir}/clients/ca.crt\nrequire_certificate true", only("good", None))
becomes("capath {dir}/clients\nrequire_certificate true", only("good", None))
becomes("crlfile {dir}/clients/revoked.pem" + REQUIRED, only("good", "lost"))
becomes("disable_client_cert_date_checks true" + REQUIRED, only("old", None))
becomes("ciphers ECDHE-ECDSA-CHACHA20-POLY1305",
        with_cipher(ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-CHACHA20-POLY1305"))
becomes("ciphers_tls1.3 TLS_AES_128_GCM_SHA256",
        with_cipher(ssl.TLSVersion.TLSv1_3, "TLS_AES_128_GCM_SHA256"))
becomes("tls_version tlsv1.3", not_1_2)


@case("", PAIR)
def certfile(broker):
    yield from begins_tls(broker)


@case("", "psk_file {dir}/keys\npsk_hint plant\n")
def psk_hint(broker):
    (broker.folder / "keys").write_text("meter:00112233\n")
    before = broker.connect("a", 5)
    yield
    for key, status in (("00112233", 0), ("00112234", 1)):
        done = subprocess.run(
            ["mosquitto_pub", "-h", "localhost", "-p", str(broker.port), "-t", "t", "-n", "--psk",
             key, "--psk-identity", "meter", "-i", "b"], capture_output=True, check=False)
        assert (done.returncode != 0) == bool(status)
    before.ping()


@case("", PAIR)
def keyfile(broker):
    yield from begins_tls(broker)


# ---- all of them ----

def test_all_have_a_case():
    wanted = {row["name"] for row in table() if row["reload"] in ("live", "listener")}
    assert wanted == CASES.keys() | UNSEEN.keys()
    assert not CASES.keys() & UNSEEN.keys()


@pytest.mark.parametrize("name", sorted(CASES))
def test_it_changes(start_broker, name):
    """
    Everything is as before until the reload, and another reload with the same file says nothing.
    """
    before, after, function = CASES[name]
    broker = start_broker(before, workers=2, files=getattr(function, "files", None))
    steps = function(broker)
    next(steps)
    broker.reload(after)
    with pytest.raises(StopIteration):
        next(steps)
    if "log" not in name:
        said = len(broker.lines())
        broker.reload()
        assert not [line for line in broker.lines()[said:]
                    if re.search(r"->|opens|closes|restart", line)]


@pytest.mark.parametrize("name, value", [
    ("workers", "3"), ("password_threads", "3"), ("pid_file", "{dir}/pid"), ("user", "nobody"), ("log_buffer_size", "20000"),
    ("listen_backlog", "7"), ("defer_accept", "true"), ("socket_domain", "ipv4"),
    ("bind_interface", "lo"), ("protocol", "agent")])
def test_it_needs_a_restart(start_broker, name, value):
    assert name in {row["name"] for row in table() if row["reload"] == "never"}
    broker = start_broker("listener {port}\nallow_anonymous true\nuser root\n")
    text = "listener {port}\nallow_anonymous true\n" + f"{name} {value}\n"
    if name == "workers":
        broker.workers = None
    elif name != "user":
        text += "user root\n"
    broker.reload(text)
    broker.expect_line(rf"Warning: .*{name}: needs a restart\.")
    broker.connect("x").ping()


def test_those_that_need_a_restart_are_all_tried():
    never = {row["name"] for row in table() if row["reload"] == "never"}
    parameters = test_it_needs_a_restart.pytestmark[0].args[1]
    assert never == {name for name, _ in parameters}
