"""
A CONNECT that breaks the rules ends the connection, and nothing sent behind it has an effect.

Version 3 sees a bare close; version 5 may be told why first.
"""

import pytest

from harness import wire
from harness.client import Closed
from harness.wire import Will, connect

BAD_UTF8 = b"\xc3\x28"
SURROGATE = b"\xed\xa0\x80"
NUL = b"a\x00b"


def wrong(version):
    """name: the packet"""
    return {
        "protocol name": connect("x", version, name="MQTt"),
        "reserved flag": connect("x", version, flags=0x03),
        "will flag without fields": connect("x", version, flags=0x06),
        "will QoS without will": connect("x", version, flags=0x0A),
        "will retain without will": connect("x", version, flags=0x22),
        "will QoS 3": connect("x", version, will=Will("w", qos=3)),
        "user name flag without field": connect("x", version, flags=0x82),
        "password flag without field": connect("x", version, username="u", flags=0xC2),
        "bytes behind the end": connect("x", version, tail=b"\0"),
        "will without its flag": connect("x", version, tail=wire.text("w") + wire.text("bye")),
        "user name without its flag": connect("x", version, tail=wire.text("u")),
        "password without its flag": connect("x", version, username="u", tail=wire.text("p")),
        "no client id": connect("", version)[:-2].replace(
            connect("", version)[:2], bytes([0x10, len(connect("", version)) - 4]), 1),
        "client id not UTF-8": connect(BAD_UTF8, version),
        "client id with a surrogate": connect(SURROGATE, version),
        "client id with NUL": connect(NUL, version),
        "user name not UTF-8": connect("x", version, username=BAD_UTF8),
        "will topic not UTF-8": connect("x", version, will=Will(BAD_UTF8)),
        "will topic with a wildcard": connect("x", version, will=Will("a/+")),
        "will topic empty": connect("x", version, will=Will("")),
        "flags in the fixed header": wire.packet("CONNECT", 1, connect("x", version)[2:]),
        "body cut short": wire.packet("CONNECT", 0, connect("xyz", version)[2:-2]),
        "empty body": wire.packet("CONNECT", 0, b""),
    }


def wrong_in_5():
    def with_properties(*pairs):
        return connect("x", 5, properties=pairs)

    return {
        "password that does not exist": connect("x", 5, flags=0x42),
        "receive maximum 0": with_properties(("receive_maximum", 0)),
        "maximum packet size 0": with_properties(("maximum_packet_size", 0)),
        "session expiry twice": with_properties(("session_expiry_interval", 1),
                                                ("session_expiry_interval", 1)),
        "property of PUBLISH": with_properties(("topic_alias", 1)),
        "unknown property": connect("x", 5, properties=b"\x7f\x00"),
        "property cut short": connect("x", 5, properties=b"\x11\x00"),
        "request problem information 2": with_properties(("request_problem_information", 2)),
        "request response information 2": with_properties(("request_response_information", 2)),
        "authentication data alone": with_properties(("authentication_data", b"x")),
        "user property not UTF-8": with_properties(("user_property", ("a", BAD_UTF8))),
        "will property that is not one": connect(
            "x", 5, will=Will("w", properties={"receive_maximum": 1})),
        "will payload format 2": connect(
            "x", 5, will=Will("w", properties={"payload_format_indicator": 2})),
        "will response topic with a wildcard": connect(
            "x", 5, will=Will("w", properties={"response_topic": "a/#"})),
    }


CASES = [(version, name) for version in (4, 5) for name in wrong(version)]
CASES += [(5, name) for name in wrong_in_5()]
CASES += [(4, "password without user name"), (3, "protocol name"),
          (3, "bytes behind the end"), (3, "client id not UTF-8")]


def the_packet(version, name):
    if name == "password without user name":
        return connect("x", 4, flags=0x42, tail=wire.text("p"))
    return (wrong(version) | (wrong_in_5() if version == 5 else {}))[name]


@pytest.mark.holds("3.1.1: MQTT-1.5.3-1 MQTT-1.5.3-2 MQTT-2.2.2-2 MQTT-3.1.2-1 MQTT-3.1.2-3",
                   "3.1.1: MQTT-3.1.2-9 MQTT-3.1.2-11 MQTT-3.1.2-13 MQTT-3.1.2-14",
                   "3.1.1: MQTT-3.1.2-15 MQTT-3.1.2-18 MQTT-3.1.2-19 MQTT-3.1.2-20",
                   "3.1.1: MQTT-3.1.2-21 MQTT-3.1.2-22 MQTT-3.1.3-3 MQTT-3.1.3-4",
                   "3.1.1: MQTT-3.1.3-10 MQTT-3.1.3-11 MQTT-3.1.4-1 MQTT-3.1.4-5",
                   "3.1.1: MQTT-3.2.2-6",
                   "5.0: MQTT-1.5.4-1 MQTT-1.5.4-2 MQTT-1.5.7-1 MQTT-3.1.2-1 MQTT-3.1.2-3",
                   "5.0: MQTT-3.1.2-9 MQTT-3.1.2-11 MQTT-3.1.2-12 MQTT-3.1.2-13",
                   "5.0: MQTT-3.1.2-16 MQTT-3.1.2-17 MQTT-3.1.2-18 MQTT-3.1.2-19",
                   "5.0: MQTT-3.1.3-3 MQTT-3.1.3-4 MQTT-3.1.3-11 MQTT-3.1.3-12 MQTT-3.1.4-1",
                   "5.0: MQTT-3.1.4-6 MQTT-3.14.0-1")
@pytest.mark.differs("2.0 lets them pass", protocol=5, name=[
    "authentication data alone", "will payload format 2", "will response topic with a wildcard"])
@pytest.mark.parametrize("protocol, name", [
    pytest.param(*case, id=f"{case[0]}-{case[1].replace(' ', '_')}") for case in CASES])
def test_closes(broker, protocol, name):
    watcher = broker.connect("watcher")
    watcher.subscribe("#")
    client = broker.open(protocol)
    client.send(the_packet(protocol, name),
                wire.publish("smuggled", b"x", version=protocol))
    try:
        got = client.receive()
        assert got is not None, "the connection is still open"
        assert protocol == 5 and got.kind == "CONNACK" and got.code >= 0x80, got
        client.expect_close()
    except Closed:
        pass
    watcher.expect_nothing()


# What a refusal with a code of its own looks like: the packet, and the code.
REFUSED = {
    4: (connect("", 4, clean=False), 0x02),
    5: (connect("x", 5, properties={"authentication_method": "none such"}), 0x8C),
}


@pytest.mark.holds("3.1.1: MQTT-3.1.4-5",
                   "5.0: MQTT-3.1.2-30 MQTT-3.1.4-6")
@pytest.mark.workers
def test_nothing_counts_behind_a_refusal(broker, version, workers):
    watcher = broker.connect("watcher")
    watcher.subscribe("#")
    client = broker.open(version)
    client.send(REFUSED[version][0], wire.publish("smuggled", b"x", version=version),
                wire.publish("smuggled", b"x", 1, 1, version=version), wire.pingreq())
    client.expect("CONNACK", code=REFUSED[version][1])
    client.expect_close()
    watcher.expect_nothing()


@pytest.mark.holds("3.1.1: MQTT-3.1.3-9 MQTT-3.2.2-4 MQTT-3.2.2-5 MQTT-3.2.2-6")
@pytest.mark.config("max_keepalive 100\nretain_available false")
@pytest.mark.parametrize("fields, code", [
    ({"keepalive": 200}, 2), ({"will": Will("w", retain=True)}, None)], ids=["code", "no code"])
def test_refusals_of_3_1_1_that_the_server_chose(broker, fields, code):
    """There is no code for a will that cannot be retained: the connection is just closed."""
    client = broker.open()
    client.send(connect("x", 4, **fields))
    if code is not None:
        client.expect_bytes(bytes([0x20, 2, 0, code]))
    client.expect_close()


@pytest.mark.holds("3.1.1: MQTT-3.2.2-4",
                   "5.0: MQTT-3.2.2-6")
@pytest.mark.nightjar("2.0 takes such a keep alive for its own")
@pytest.mark.config("max_keepalive 100")
def test_a_refusal_tells_of_no_session(broker, version):
    """Session present is 0 with every refusal, also where a session waits."""
    broker.connect("x", version, lasting=True, keepalive=60).disconnect()
    client = broker.open(version)
    client.send(connect("x", 4, clean=False, keepalive=200) if version == 4 else
                connect("x", 5, clean=False, properties={"authentication_method": "none such"}))
    client.expect_bytes(bytes.fromhex("20 02 00 02" if version == 4 else "20 03 00 8c 00"))
    client.expect_close()
    broker.connect("x", version, lasting=True, keepalive=60, session=True)
