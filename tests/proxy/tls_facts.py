"""
What a header tells of the client's TLS, and what it is worth: who comes in, under which name, and
what the log says of it.
"""

import json
import re
import struct

import pytest

from harness import proxy, wire
from harness.certificates import Authority
from harness.proxy import LOCAL, UNSPEC, client, tlv, v2

pytestmark = pytest.mark.nightjar("the PROXY protocol")

BASE = "listener {port} 127.0.0.1\nallow_anonymous true\nenable_proxy_protocol any\n"
TLS = BASE + "proxy_protocol_v2_require_tls true\n"
MUTUAL = BASE + "require_certificate true\n"
NAMED = BASE + "use_identity_as_username true\n"

SSL, NOW, EARLIER = 1, 2, 4


def header(bits=SSL, verify=0, *subs, more=()):
    """Of a client that spoke TLS to the proxy, as far as the bits say so."""
    return client("192.0.2.7", 1111, tlv(0x20, struct.pack("!BI", bits, verify) + b"".join(subs)),
                  *more)


def cn(name):
    return tlv(0x22, name)


PLAIN = client("192.0.2.7", 1111)
UNTOLD = {
    "LOCAL": v2(command=LOCAL, family=UNSPEC, transport=0),
    "UNSPEC": v2(family=UNSPEC, transport=0),
    "v1 UNKNOWN": b"PROXY UNKNOWN\r\n",
    # HAProxy's own check of a TLS server: the TLS is the check's.
    "LOCAL with TLS": v2(tlv(0x20, struct.pack("!BI", 7, 0) + cn(b"admin")), command=LOCAL,
                         family=UNSPEC, transport=0),
}

NO_TLS = {
    "without the TLV": PLAIN,
    "with the TLV, bit 0 unset": header(0),
    "a certificate, and no TLS": header(NOW | EARLIER),
    "v1": b"PROXY TCP4 192.0.2.7 192.0.2.1 1111 1883\r\n",
}

NO_CERTIFICATE = {
    **NO_TLS,
    "TLS alone": header(SSL),
    "not verified": header(SSL | NOW, 21),
    "not verified, resumed": header(SSL | EARLIER, 10),
    "verify 0 without a certificate": header(SSL, 0, cn(b"admin")),
}

GOOD = {"now": header(SSL | NOW, 0, cn(b"meter")), "resumed": header(SSL | EARLIER, 0, cn(b"meter")),
        "both": header(SSL | NOW | EARLIER, 0, cn(b"meter"))}

NO_NAME = {
    **NO_CERTIFICATE,
    "no name": header(SSL | NOW),
    "empty": header(SSL | NOW, 0, cn(b"")),
    "zero byte": header(SSL | NOW, 0, cn(b"ad\0min")),
    "line break": header(SSL | NOW, 0, cn(b"ad\nmin")),
    "wildcard": header(SSL | NOW, 0, cn(b"#")),
    "plus": header(SSL | NOW, 0, cn(b"a+b")),
    "slash": header(SSL | NOW, 0, cn(b"a/b")),
    "not UTF-8": header(SSL | NOW, 0, cn(b"\xff")),
    "not verified": header(SSL | NOW, 21, cn(b"admin")),
    "too long": header(SSL | NOW, 0, cn(b"x" * 257)),
    "beside the TLV": header(SSL | NOW, 0, more=(cn(b"admin"),)),
}


def expect_refused_header(broker, before):
    """Closed without an answer; one line, with the client's address."""
    peer = broker.open()
    peer.send(before, wire.connect("x", 5))
    peer.expect_close()
    broker.expect_line(r"Connection from 192\.0\.2\.7:1111 on port \d+ via .* refused: "
                       r"PROXY header: policy\.")
    assert " as x " not in broker.log()


def expect_refused_connect(broker, before, version, reason):
    peer = broker.open(version=version)
    peer.send(before, wire.connect("refused", version))
    peer.expect("CONNACK", code=reason)
    peer.expect_close()
    assert " as refused " not in broker.log()


@pytest.mark.parametrize("name", NO_TLS)
def test_no_tls(start_broker, name):
    expect_refused_header(start_broker(TLS), NO_TLS[name])


@pytest.mark.parametrize("name", NO_CERTIFICATE)
def test_no_certificate(start_broker, name):
    expect_refused_header(start_broker(MUTUAL), NO_CERTIFICATE[name])


@pytest.mark.workers
@pytest.mark.parametrize("text", [TLS, MUTUAL, TLS + "require_certificate true\n"])
def test_good(start_broker, text, workers):
    broker = start_broker(text)
    for name, before in GOOD.items():
        broker.connect(name, before=before).ping()
    if text == TLS:
        broker.connect("x", before=header(SSL)).ping()


@pytest.mark.parametrize("name", UNTOLD)
@pytest.mark.parametrize("text, codes", [(TLS, (5, 0x87)), (MUTUAL, (5, 0x87)),
                                         (NAMED, (4, 0x86))], ids=["tls", "mutual", "named"])
def test_who_is_not_told_of_is_answered(start_broker, name, text, codes):
    """A check that speaks MQTT sees that the broker lives, and is let into nothing."""
    broker = start_broker(text)
    for version, code in zip((4, 5), codes):
        expect_refused_connect(broker, UNTOLD[name], version, code)


@pytest.mark.parametrize("name", UNTOLD)
def test_without_a_policy_they_are_served(start_broker, name):
    start_broker(BASE).connect("x", before=UNTOLD[name]).ping()


def test_direct_clients_have_no_tls(start_broker):
    broker = start_broker(TLS + "proxy_protocol_trusted 127.0.0.5\n"
                          "proxy_protocol_untrusted direct\n")
    expect_refused_connect(broker, b"", 5, 0x87)
    broker.connect("y", source="127.0.0.5", before=header()).ping()


# ---- names ----

@pytest.mark.workers
def test_the_name_of_the_certificate(start_broker, workers):
    """Before CONNECT's own, and without a password, also where anonymous clients may not come."""
    broker = start_broker(NAMED.replace("allow_anonymous true", "allow_anonymous false"))
    for name, given in (("one", {}), ("two", {"username": "admin", "password": b"x"})):
        broker.connect(name, before=GOOD["now"], **given).ping()
        broker.expect_line(rf"New client connected from 192\.0\.2\.7:1111 as {name} "
                           r"\(.*, u'meter'\)\.")
    broker.connect("three", before=header(SSL | NOW, 0, cn("Gerät-Ω".encode()))).ping()
    broker.expect_line(r"New client connected from .* as three \(.*, u'Gerät-Ω'\)\.")
    assert "admin" not in broker.log()


def test_the_name_may_be_the_client_id(start_broker):
    broker = start_broker(NAMED + "use_username_as_clientid true\n")
    broker.connect("x", before=GOOD["now"]).ping()
    broker.expect_line(r"New client connected from 192\.0\.2\.7:1111 as meter .*")


@pytest.mark.parametrize("name", NO_NAME)
def test_no_name(start_broker, name):
    broker = start_broker(NAMED)
    for version, code in ((4, 4), (5, 0x86)):
        expect_refused_connect(broker, NO_NAME[name], version, code)


SLASH = NAMED + "proxy_protocol_common_name_slash true\n"


@pytest.mark.workers
def test_a_slash_may_be_in_it(start_broker, workers):
    """Where the listener says so, and it alone: nothing else that means something in topics."""
    broker = start_broker(SLASH + BASE.replace("{port}", "{port2}") +
                          "use_identity_as_username true\n")
    for name in (b"plant/7", b"/", b"//a/"):
        broker.connect("x", before=header(SSL | NOW, 0, cn(name))).ping()
        broker.expect_line(r"New client connected from 192\.0\.2\.7:1111 as x "
                           rf"\(.*, u'{name.decode()}'\)\.")
    wrong = [NO_NAME[each] for each in NO_NAME if each != "slash"]
    for before in [*wrong, *(header(SSL | NOW, 0, cn(each)) for each in
                             (b"a/+", b"a/#", b"/\0", b"a/\n", b"a/\xff"))]:
        expect_refused_connect(broker, before, 5, 0x86)
    other = broker.open(5, ("127.0.0.1", broker.places["port2"]))
    other.send(NO_NAME["slash"], wire.connect("refused", 5))
    other.expect("CONNACK", code=0x86)


TOLD_NAMES = {
    "slash": "a common name with a slash: a/b",
    "plus": r"a common name that can't be a user name: a\+b",
    "zero byte": r"a common name that can't be a user name: ad\\x00min",
    "not verified": "no common name that the proxy has verified: admin",
    "no name": "no common name that the proxy has verified",
}


@pytest.mark.workers
def test_why_there_is_no_name(start_broker, workers):
    """A line with the client and the proxy, and a figure; of a proxy's own check the figure alone."""
    broker = start_broker("sys_interval 1\n" + NAMED)
    for name, told in TOLD_NAMES.items():
        peer = broker.open(5)
        address = re.escape(peer.local)
        peer.send(NO_NAME[name], wire.connect("refused", 5))
        peer.expect("CONNACK", code=0x86)
        broker.expect_line(rf"Connection from 192\.0\.2\.7:1111 on port \d+ via {address} refused: "
                           rf"PROXY header: name: {told}\.")
    expect_refused_connect(broker, UNTOLD["LOCAL"], 5, 0x86)
    assert broker.count_lines("Connection from .* refused: .*") == len(TOLD_NAMES)
    watcher = broker.connect("w", before=GOOD["now"])
    watcher.subscribe("$SYS/broker/listener/+/proxy/errors/+")
    while (found := watcher.expect("PUBLISH")).payload != b"%d" % (len(TOLD_NAMES) + 1):
        assert found.topic.endswith("/name")


def test_no_subject_is_told(start_broker):
    broker = start_broker(BASE + "use_subject_as_username true\n")
    expect_refused_connect(broker, GOOD["now"], 5, 0x86)
    broker.expect_line(r"Connection from 192\.0\.2\.7:1111 .* refused: PROXY header: name: "
                       r"no subject of a certificate that the proxy has verified\.")


def test_json_has_the_reason(start_broker):
    broker = start_broker("log_format json\n" + NAMED)
    expect_refused_connect(broker, NO_NAME["slash"], 5, 0x86)
    broker.expect_line(r'.*"connection_refused".*')
    line = re.search(r'.*"connection_refused".*', broker.log())[0]
    facts = json.loads(line[line.index("{"):])
    assert (facts["address"], facts["proxy"], facts["reason"]) == ("192.0.2.7", "127.0.0.1", "name")


def test_direct_clients_have_no_name(start_broker):
    broker = start_broker(NAMED + "proxy_protocol_trusted 127.0.0.5\n"
                          "proxy_protocol_untrusted direct\n")
    expect_refused_connect(broker, b"", 5, 0x86)


def test_two_names_are_none(start_broker):
    broker = start_broker(NAMED)
    peer = broker.open()
    peer.send(header(SSL | NOW, 0, cn(b"one"), cn(b"two")), wire.connect("x", 5))
    peer.expect_close()
    broker.expect_line(r"Connection from .* refused: PROXY header: tlv\.")


SUBJECT = BASE + "use_subject_as_username true\n"


def test_the_subject_of_the_certificate(start_broker, tmp_path):
    """The certificate itself, in the TLV that has it."""
    broker = start_broker(SUBJECT)
    der = Authority(tmp_path / "ca").client("meter", "/O=Plant 7/CN=meter").der()
    broker.connect("x", before=header(SSL | NOW, 0, tlv(0x28, der))).ping()
    broker.expect_line(r"New client connected from .* as x \(.*, u'CN=meter,O=Plant 7'\)\.")
    for wrong in (header(SSL | NOW), header(SSL | NOW, 0, tlv(0x28, der[:-1])),
                  header(SSL | NOW, 21, tlv(0x28, der)), header(NOW, 0, tlv(0x28, der))):
        expect_refused_connect(broker, wrong, 5, 0x86)


def test_the_subject_that_the_proxy_tells(start_broker):
    broker = start_broker(SUBJECT + "proxy_protocol_subject_tlv 0xE1\n")
    name = b"/O=Plant 7/CN=meter"
    broker.connect("y", before=header(SSL | NOW, 0, more=(tlv(0xE1, name),))).ping()
    broker.expect_line(r"New client connected from .* as y \(.*, u'/O=Plant 7/CN=meter'\)\.")
    for wrong in (header(SSL | NOW, 0, more=(tlv(0xE2, name),)),
                  header(SSL, 0, more=(tlv(0xE1, name),)),
                  header(SSL | NOW, 0, more=(tlv(0xE1, b""),)),
                  header(SSL | NOW, 0, more=(tlv(0xE1, b"a\nb"),)),
                  header(SSL | NOW, 0, tlv(0xE1, name))):
        expect_refused_connect(broker, wrong, 5, 0x86)


# ---- checksums ----

@pytest.mark.workers
def test_a_checksum_may_be_asked_for(start_broker, workers):
    broker = start_broker(BASE + "proxy_protocol_v2_require_crc32c true\n")
    broker.connect("x", before=proxy.with_crc("192.0.2.7", 1111)).ping()
    broker.connect("y", before=UNTOLD["LOCAL"]).ping()
    peer = broker.open()
    peer.send(PLAIN, wire.connect("z", 4))
    peer.expect_close()
    broker.expect_line(r"Connection from 192\.0\.2\.7:1111 .* refused: PROXY header: crc\.")


# ---- what the log says ----

FACTS = header(SSL, 0, tlv(0x21, b"TLSv1.3"), tlv(0x23, b"TLS_AES_128_GCM_SHA256"),
               more=(tlv(1, b"mqtt"), tlv(2, b"mqtt.example"), tlv(5, b"id\n7"),
                     tlv(0xEA, b"\1vpce-1")))


def test_the_log_tells_of_it(start_broker):
    broker = start_broker(BASE)
    broker.connect("x", before=FACTS).ping()
    broker.expect_line(
        r"New connection from 192\.0\.2\.7:1111 on port \d+ via 127\.0\.0\.1:\d+ \(TLSv1\.3, "
        r"TLS_AES_128_GCM_SHA256, host mqtt\.example, alpn mqtt, id id\\x0a7, "
        r"endpoint vpce-1\)\.")


def test_so_does_json(start_broker):
    broker = start_broker("log_format json\n" + BASE)
    broker.connect("x", before=FACTS).ping()
    broker.expect_line(r'.*"event":"connection_opened".*')
    line = re.search(r'.*"connection_opened".*', broker.log())[0]
    facts = json.loads(line[line.index("{"):])
    assert {key: facts[key] for key in ("tls", "cipher", "authority", "alpn", "unique_id")} == {
        "tls": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256", "authority": "mqtt.example",
        "alpn": "mqtt", "unique_id": "id\n7"}


@pytest.mark.workers
def test_refusals_are_counted(start_broker, workers):
    broker = start_broker("sys_interval 1\n" + TLS)
    for _ in range(3):
        expect_refused_header(broker, PLAIN)
    expect_refused_connect(broker, UNTOLD["LOCAL"], 5, 0x87)
    watcher = broker.connect("w", before=header())
    watcher.subscribe("$SYS/broker/listener/+/proxy/errors/policy")
    while watcher.expect("PUBLISH").payload != b"4":
        pass


# ---- the configuration ----

@pytest.mark.parametrize("option", ["proxy_protocol_v2_require_tls", "require_certificate",
                                    "use_identity_as_username", "use_subject_as_username"])
def test_version_1_tells_nothing(start_broker, option):
    broker = start_broker("listener {port} 127.0.0.1\nenable_proxy_protocol 1\n" +
                          f"{option} true\n", ready=False, workers=None)
    assert broker.wait(5) == 3
    broker.expect_line(rf"Error: {option} at .*:3 needs version 2 of the PROXY protocol, .*")
