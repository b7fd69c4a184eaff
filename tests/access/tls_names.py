"""
Patterns of an ACL file that name what TLS tells: the host name that a client asked for, and the
protocol that was agreed on, by our own TLS or by a proxy's word.
"""

import ssl

import pytest

from harness import proxy, tls, wire
from harness.process import wait_until

pytestmark = pytest.mark.nightjar("Mosquitto has none")

RULES = "pattern t/%{authority}/#\npattern read p/%{alpn}\npattern open\n"
HEADS = "enable_proxy_protocol 2\nproxy_protocol_trusted 127.0.0.1\n"
TEXT = "acl_file {dir}/rules\nallow_anonymous true\nlistener {port} 127.0.0.1\n"


def come(broker, name, authority=None, alpn=None, port="port", **fields):
    """A client behind a proxy that tells this of it."""
    told = [proxy.tlv(kind, value.encode()) for kind, value in ((1, alpn), (2, authority))
            if value is not None]
    return broker.connect(name, fields.pop("version", 5), address=("127.0.0.1", broker.places[port]),
                          before=proxy.client("192.0.2.1", 5, *told), **fields)


def may_write(client, topic):
    got = client.publish(topic, b"x", 1)
    return got.fields.get("reason", 0) != 0x87


def may_read(giver, reader, topic):
    """The giver may write it."""
    reader.subscribe(topic, "open", qos=1)
    giver.publish(topic, b"to be read", 1)
    giver.publish("open", b"end", 1)
    got = reader.take_message()
    if got.topic == topic:
        reader.expect_message("open", b"end")
    reader.unsubscribe(topic, "open")
    return got.topic == topic


@pytest.mark.workers
def test_by_a_header(start_broker, workers):
    """Each tenant has its own part; who tells of none, or of something odd, has no part of any."""
    broker = start_broker(TEXT + HEADS, files={"rules": RULES})
    first, second = come(broker, "first", "a.example"), come(broker, "second", "B.Example", "mqtt")
    assert may_write(first, "t/a.example/x") and not may_write(first, "t/b.example/x")
    assert may_write(second, "t/b.example/x") and not may_write(second, "t/B.Example/x")
    assert may_read(first, come(broker, "beside", "A.EXAMPLE"), "t/a.example/x")
    assert not may_read(first, second, "t/a.example/x")
    assert not may_write(second, "p/mqtt")
    for n, odd in enumerate((None, "", "#", "+", "a.example/x", "a.example.", "/")):
        client = come(broker, f"odd-{n}", odd, odd)
        for topic in ("t//x", "t/x", "t/a.example/x", "t/a.example./x", "p/"):
            assert not may_write(client, topic), (odd, topic)
        assert not may_read(first, client, "t/a.example/x")
        assert may_write(client, "open")


@pytest.mark.workers
def test_alpn(start_broker, workers):
    broker = start_broker(TEXT + HEADS, files={"rules": RULES + "user anna\ntopic p/#\n"})
    anna = come(broker, "anna", username="anna")
    assert may_read(anna, come(broker, "with", alpn="mqtt"), "p/mqtt")
    assert not may_read(anna, come(broker, "other", alpn="x-amzn-mqtt-ca"), "p/mqtt")
    assert not may_read(anna, come(broker, "without", "mqtt"), "p/mqtt")


@pytest.mark.workers
@pytest.mark.parametrize("tls_version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_by_our_own_tls(start_broker, authority, workers, tls_version):
    """Whole and resumed: a session of TLS brings its host name along."""
    broker = start_broker(TEXT + authority.lines, files={"rules": RULES})

    def meet(name, host, session=None, rules=None):
        client = broker.open(5, name=name)
        client.start_tls(rules or context, host, session)
        client.send(wire.connect(name, 5))
        client.expect("CONNACK", code=0)
        return client

    context = tls.context(version=tls_version)
    context.set_alpn_protocols(["other", "mqtt"])
    first = meet("first", "a.example")
    again = meet("again", "a.example", first.socket.tls.session)
    assert again.socket.tls.session_reused
    for client in first, again, meet("loud", "A.Example"):
        assert may_write(client, "t/a.example/x") and not may_write(client, "t/b.example/x")
    nameless = meet("nameless", None, rules=tls.context(version=tls_version))
    assert not may_write(nameless, "t/a.example/x") and not may_write(nameless, "t//x")
    assert not may_read(first, nameless, "t/a.example/x")
    assert may_read(first, again, "t/a.example/x")


def test_a_header_in_front_of_our_own(start_broker, authority):
    """What the client asked us for counts, and not what the proxy says that it did."""
    broker = start_broker(TEXT + HEADS + authority.lines, files={"rules": RULES})
    client = broker.open(5, name="through")
    client.send(proxy.client("192.0.2.1", 5, proxy.tlv(2, b"told.example")))
    client.start_tls(tls.context(), "asked.example")
    client.send(wire.connect("through", 5))
    client.expect("CONNACK", code=0)
    assert may_write(client, "t/asked.example/x") and not may_write(client, "t/told.example/x")


@pytest.mark.workers
def test_away(start_broker, workers, version):
    """A session keeps what its client came with, and takes what the next one comes with."""
    broker = start_broker(TEXT + HEADS, files={"rules": RULES + "user anna\ntopic t/#\n"})
    anna = come(broker, "anna", username="anna")
    client = come(broker, "away", "a.example", version=version, lasting=True)
    client.subscribe("t/#", qos=1)
    client.disconnect()
    for tenant in "a.example", "b.example":
        anna.publish(f"t/{tenant}/x", b"while away", 1)
    client = come(broker, "away", "a.example", version=version, lasting=True, session=True)
    client.expect_message("t/a.example/x", b"while away")
    client.expect_nothing()
    client.disconnect()
    client = come(broker, "away", "b.example", version=version, lasting=True, session=True)
    for tenant in "a.example", "b.example":
        anna.publish(f"t/{tenant}/x", b"here", 1)
    client.expect_message("t/b.example/x", b"here")
    client.expect_nothing()
    client.disconnect()
    client = come(broker, "away", None, version=version, lasting=True, session=True)
    anna.publish("t/b.example/x", b"here", 1)
    client.expect_nothing()


@pytest.mark.workers
def test_will(start_broker, workers, version):
    """It is looked at when its client has gone."""
    broker = start_broker(TEXT + HEADS, files={"rules": RULES + "user anna\ntopic t/#\n"})
    anna = come(broker, "anna", username="anna")
    anna.subscribe("t/#", qos=1)
    for tenant in "b.example", "a.example":
        come(broker, f"will-{tenant}", "a.example", version=version,
             will=wire.Will(f"t/{tenant}/w", b"gone", 1)).close()
    anna.expect_message("t/a.example/w", b"gone")
    anna.expect_nothing()


@pytest.mark.workers
def test_retained_of_whom(start_broker, workers, version):
    """check_retain_source: who it was is known with that, long after it has gone."""
    rules = "user anna\ntopic read #\n"
    broker = start_broker(TEXT + HEADS + "check_retain_source true\n", files={
        "rules": rules + "pattern %{authority}/#\npattern write %{alpn}/%u/#\n"})
    for tenant in "a.example", "b.example":
        client = come(broker, f"of-{tenant}", tenant, version=version,
                      will=wire.Will(f"{tenant}/will", b"w", 1, True))
        client.publish(f"{tenant}/kept", b"x", 1, retain=True)
        client.close()
    come(broker, "other", None, "mqtt", username="bob").publish("mqtt/bob/kept", b"x", 1,
                                                                retain=True)

    def found():
        reader = come(broker, "reader", username="anna")
        reader.subscribe("#", qos=1)
        topics = {each.topic for each in iter(lambda: reader.receive(0.3), None)}
        reader.disconnect()
        return topics

    of_a, of_b = {"a.example/kept", "a.example/will"}, {"b.example/kept", "b.example/will"}
    assert found() == {*of_a, *of_b, "mqtt/bob/kept"}
    (broker.folder / "rules").write_text(
        rules + "pattern %{authority}/kept\npattern write x/%{alpn}/%u/#\n")
    broker.reload()
    assert found() == {"a.example/kept", "b.example/kept"}


@pytest.mark.workers
def test_revoked(start_broker, workers):
    """New rules are about the same names, of who is here and who is away."""
    broker = start_broker(TEXT + HEADS, files={"rules": RULES + "user anna\ntopic #\n"})
    anna = come(broker, "anna", username="anna")
    here = come(broker, "here", "a.example")
    here.subscribe("#", qos=1)
    away = come(broker, "away", "a.example", lasting=True)
    away.subscribe("#", qos=1)
    away.disconnect()
    beside = come(broker, "beside", "a.example")
    assert may_write(beside, "t/a.example/x")
    here.expect_message("t/a.example/x", b"x")
    (broker.folder / "rules").write_text(
        "pattern u/%{authority}/#\npattern deny u/%{authority}/secret\nuser anna\ntopic #\n")
    broker.reload()
    assert not may_write(beside, "t/a.example/x") and may_write(beside, "u/a.example/x")
    here.expect_message("u/a.example/x", b"x")
    for topic in "t/a.example/x", "u/a.example/secret", "u/b.example/x", "u/a.example/end":
        anna.publish(topic, b"y", 1)
    here.expect_message("u/a.example/end", b"y")
    away = come(broker, "away", "a.example", lasting=True, session=True)
    away.expect_message("u/a.example/x", b"x")
    away.expect_message("u/a.example/end", b"y")
    away.expect_nothing()


def test_subscribing(start_broker):
    """acl_deny_subscribe: a filter lies within the part of its tenant, or is refused."""
    broker = start_broker(TEXT + HEADS + "acl_deny_subscribe true\n", files={"rules": RULES})
    client = come(broker, "x", "a.example")
    client.subscribe("t/a.example/#", codes=[0])
    for filter in "t/+/x", "t/#", "t/b.example/x", "t//#":
        client.subscribe(filter, codes=[0x87])


def test_requests_of_http(start_broker, authority):
    """The path is a topic, and who asks has a host name, too."""
    broker = start_broker(TEXT + "listener {port2} 127.0.0.1\nprotocol http_api\n"
                          "allow_anonymous true\n" + authority.lines, files={
        "rules": "pattern read /api/v1/version\npattern deny %{authority}/x\n"})
    for host, status in (("localhost", 200), (None, 403)):
        client = broker.open_web(address=("127.0.0.1", broker.places["port2"]))
        client.start_tls(tls.context(), host)
        client.send_raw(b"GET /api/v1/version HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_answer()[0] == status


@pytest.mark.parametrize("rules, says", [
    ("pattern t/%{authorty}/#", '"%{authorty}"'),
    ("pattern t/%{alpn", '"%{alpn"')])
def test_a_name_that_there_is_none_of(start_broker, rules, says):
    broker = start_broker(TEXT, files={"rules": rules}, ready=False)
    broker.expected_status = 3
    wait_until(lambda: broker.process.process.poll() is not None)
    assert f"Error: No name in an ACL pattern: {says}. There are " in broker.log()
    assert "/rules:1." in broker.log()
