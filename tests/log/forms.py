"""log_format json, and that nothing from a client gets into a line as it is."""

import json
import re

import pytest

from harness import wire

pytestmark = pytest.mark.nightjar("a form of its own")

HIDDEN = "a\u202eb\u00ad\u2028c\\"  # well-formed, and not for a terminal
ESCAPED = r"a\xe2\x80\xaeb\xc2\xad\xe2\x80\xa8c\\"


def objects(broker):
    return [json.loads(line) for line in broker.log().splitlines()]


def only(broker, event, **fields):
    found = [each for each in objects(broker)
             if each["event"] == event and fields.items() <= each.items()]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.config("log_format json\nlog_type all")
def test_each_line_is_an_object(broker, version):
    client = broker.connect("x", version, username="who")
    client.subscribe("a/b", qos=1)
    client.disconnect()
    broker.expect_line(r'.*"event":"client_disconnected".*')
    for each in objects(broker):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", each["time"])
        assert each["type"] in ("debug", "notice", "information", "subscribe", "warning")
    ip, port = client.local.split(":") if not client.closed else ("127.0.0.1", None)
    connected = only(broker, "client_connected")
    assert connected["client"] == "x" and connected["username"] == "who"
    assert connected["address"] == ip and connected["listener"] == broker.port
    assert connected["version"] == version and connected["clean_start"] == 1
    assert connected["keep_alive"] == 60 and connected["port"] == int(port or connected["port"])
    assert re.fullmatch(rf"New client connected from {ip}:\d+ as x "
                        rf"\(p{version}, c1, k60, u'who'\)\.", connected["message"])
    ended = only(broker, "client_disconnected")
    assert ended["client"] == "x" and ended["port"] == connected["port"] and "reason" not in ended
    assert only(broker, "subscribed")["filter"] == "a/b"
    assert only(broker, "connection_opened")["port"] == connected["port"]
    assert only(broker, "broker_running")["version"]


@pytest.mark.config("log_format json\nlog_type all")
def test_json_has_the_characters_themselves(broker, version):
    client = broker.connect(HIDDEN, version, username=HIDDEN)
    client.subscribe(HIDDEN)
    client.disconnect()
    broker.expect_line(r'.*"event":"client_disconnected".*')
    assert only(broker, "client_connected")["client"] == HIDDEN
    assert only(broker, "client_connected")["username"] == HIDDEN
    assert only(broker, "subscribed")["filter"] == HIDDEN
    assert not re.search("[\u202e\u00ad\u2028]", broker.log())


@pytest.mark.config("log_format json\nallow_anonymous false")
def test_who_is_refused_is_named(broker, version):
    client = broker.open(version)
    client.send(wire.connect("x", version))
    client.expect("CONNACK")
    broker.expect_line(r'.*"event":"client_refused".*')
    refused = only(broker, "client_refused")
    assert refused["client"] == "x" and refused["reason"] == "not authorised"
    assert refused["type"] == "notice" and refused["address"] == "127.0.0.1"


def test_json_tells_the_proxy(start_broker):
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n"
                          "enable_proxy_protocol any\nlog_format json\n")
    broker.connect("x", 4, before=b"PROXY TCP4 192.0.2.7 192.0.2.1 1111 1883\r\n")
    broker.expect_line(r'.*"event":"client_connected".*')
    connected = only(broker, "client_connected")
    assert connected["address"] == "192.0.2.7" and connected["port"] == 1111
    assert connected["proxy"] == "127.0.0.1"


@pytest.mark.config("log_type all")
def test_text_from_clients_is_escaped(broker, version):
    """Ids, names, topics and filters; wills, too."""
    client = broker.connect(HIDDEN, version, username=HIDDEN,
                            will=wire.Will(HIDDEN, b""))
    client.subscribe(HIDDEN)
    client.publish(HIDDEN, b"x", 0)
    client.expect("PUBLISH")
    client.unsubscribe(HIDDEN)
    client.close()
    whole = re.escape(ESCAPED)
    broker.expect_line(rf"Client {whole} \[.*\] disconnected: .*\.")
    for line in (rf"New client connected from .* as {whole} \(p\d, c1, k60, u'{whole}'\)\.",
                 rf"{whole} 0 {whole}", rf"{whole} {whole}", rf"Received PUBLISH from {whole} "
                 rf"\(d0, q0, r0, m0, '{whole}', \.\.\. \(1 bytes\)\)", rf"\t{whole}"):
        broker.expect_line(line)
    assert not re.search("[\u202e\u00ad\u2028]", broker.log())


@pytest.mark.workers
@pytest.mark.config("max_queued_messages 1")
def test_dropped_messages_name_the_client_escaped(broker, workers):
    broker.connect(HIDDEN, 4, lasting=True).subscribe("t", qos=1)
    broker.clients[-1].disconnect()
    sender = broker.connect("sender", 4)
    for _ in range(3):
        sender.publish("t", b"x", 1)
    broker.expect_line(rf"Outgoing messages are being dropped for client {re.escape(ESCAPED)}\.")


@pytest.mark.config("log_type all")
def test_long_lines_are_cut(broker):
    client = broker.connect("x", 4)
    client.publish("t" * 3000, b"", 0)
    client.ping()
    broker.expect_line(r"Received PINGREQ from x")
    assert all(len(line) < 1000 for line in broker.log().splitlines())
