"""
Headers as the specification allows and forbids them: addresses of either family, what has none,
every TLV, the longest header, and what must be dropped.
"""

import re
import struct

import pytest

from harness import proxy, wire
from harness.proxy import INET, INET6, LOCAL, UNIX, UNSPEC, addresses, client, tlv, v2

pytestmark = pytest.mark.nightjar("the PROXY protocol")

LISTENER = """
listener {port} 127.0.0.1
allow_anonymous true
enable_proxy_protocol any
"""
V4 = addresses("192.0.2.7", 1111)


@pytest.fixture
def listener(start_broker):
    return start_broker(LISTENER)


def ssl(bits=1, verify=0, *subs):
    return tlv(0x20, struct.pack("!BI", bits, verify) + b"".join(subs))


SERVED = {
    "IPv4": (client("192.0.2.7", 1111), "192.0.2.7:1111"),
    "IPv6": (client("2001:db8::7", 2222), "2001:db8::7:2222"),
    "IPv4 mapped": (client("::ffff:192.0.2.7", 1111), "192.0.2.7:1111"),
    "port 0": (client("192.0.2.7", 0), "192.0.2.7:0"),
    "LOCAL": (v2(command=LOCAL, family=UNSPEC, transport=0), None),
    "LOCAL with a block": (v2(V4, command=LOCAL), None),
    "LOCAL of an unknown family": (v2(b"x" * 50, command=LOCAL, family=9, transport=9), None),
    "UNSPEC": (v2(family=UNSPEC, transport=0), None),
    "UNSPEC with a block": (v2(b"x" * 20, family=UNSPEC, transport=0), None),
    "half UNSPEC": (v2(V4, family=INET, transport=0), None),
    "DGRAM": (v2(V4, family=INET, transport=2), None),
    "UNIX": (v2(b"/run/a".ljust(108, b"\0") + b"/run/b".ljust(108, b"\0"), family=UNIX), "/run/a"),
    "TLVs": (client("192.0.2.7", 1111, tlv(1, b"mqtt"), tlv(2, b"mqtt.example"), tlv(4, b"pad"),
                    tlv(5, b"x" * 128), ssl(1, 0, tlv(0x21, b"TLSv1.3")), tlv(0x30, b"ns"),
                    tlv(0xEA, b"\1vpce-1"), tlv(0xF0, b""), tlv(0xFF, b"x")), "192.0.2.7:1111"),
    "CRC32C": (proxy.with_crc("192.0.2.7", 1111), "192.0.2.7:1111"),
    "600 bytes of padding": (client("192.0.2.7", 1111, tlv(4, b"x" * 600)), "192.0.2.7:1111"),
    "the longest": (client("192.0.2.7", 1111, tlv(4, b"x" * (65535 - 12 - 3))), "192.0.2.7:1111"),
    "v1 IPv4": (b"PROXY TCP4 192.0.2.7 192.0.2.1 1111 1883\r\n", "192.0.2.7:1111"),
    "v1 IPv6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 2222 1883\r\n", "2001:db8::7:2222"),
    "v1 port 0": (b"PROXY TCP4 192.0.2.7 192.0.2.1 0 65535\r\n", "192.0.2.7:0"),
    "v1 longest": (b"PROXY TCP6 " + (b"ffff:" * 7 + b"ffff ") * 2 + b"65535 65535\r\n",
                   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:65535"),
    "v1 UNKNOWN": (b"PROXY UNKNOWN\r\n", None),
    "v1 UNKNOWN with words": (b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", None),
}


@pytest.mark.parametrize("pieces", [None, 1, 7], ids=["whole", "bytes", "sevens"])
@pytest.mark.parametrize("name", SERVED)
def test_served(listener, name, pieces):
    header, address = SERVED[name]
    if pieces and len(header) > 10000:  # or the time for a header runs out
        pieces = 500
    peer = listener.open()
    peer.send(header, wire.connect("x", 4), wire.pingreq(), pieces=pieces)
    peer.expect("CONNACK", code=0)
    peer.expect("PINGRESP")
    address = re.escape(address or peer.local)
    if name == "UNIX":
        address = rf"(/run/a(:0)?|{re.escape(peer.local)})"  # never an empty one
    listener.expect_line(rf"New client connected from {address} as x \(p4, c1, k60\)\.")
    peer.disconnect()
    listener.expect_end_line("x", address)


DROPPED = {
    "version 1 in binary": v2(V4, version=1),
    "version 3": v2(V4, version=3),
    "command 2": v2(V4, command=2),
    "family 4": v2(V4, family=4),
    "transport 3": v2(V4, transport=3),
    "block too short": v2(V4[:-1]),
    "IPv6 block too short": v2(addresses("2001:db8::7", 1, "::1")[:-1], family=INET6),
    "UNIX block too short": v2(b"x" * 215, family=UNIX),
    "TLV cut off in its header": client("192.0.2.7", 1111, b"\4\0"),
    "TLV longer than the rest": client("192.0.2.7", 1111, b"\4\0\5abc"),
    "SSL TLV too short": client("192.0.2.7", 1111, tlv(0x20, b"\1\0\0\0")),
    "SSL sub-TLV cut off": client("192.0.2.7", 1111, ssl(1, 0, b"\x21\0")),
    "SSL sub-TLV too long": client("192.0.2.7", 1111, ssl(1, 0, b"\x21\0\5abc")),
    "two SSL TLVs": client("192.0.2.7", 1111, ssl(), ssl()),
    "two CNs": client("192.0.2.7", 1111, ssl(7, 0, tlv(0x22, b"a"), tlv(0x22, b"b"))),
    "two checksums": client("192.0.2.7", 1111, tlv(3, bytes(4)), tlv(3, bytes(4))),
    "wrong checksum": proxy.with_crc("192.0.2.7", 1111, wrong=1),
    "checksum of three bytes": client("192.0.2.7", 1111, tlv(3, bytes(3))),
    "unique id of 129 bytes": client("192.0.2.7", 1111, tlv(5, b"x" * 129)),
    "broken signature": proxy.SIGNATURE[:-1] + b"\x0b\x21\x11\x00\x0c" + V4,
    "v1 two blanks": b"PROXY TCP4  192.0.2.7 192.0.2.1 1111 1883\r\n",
    "v1 trailing blank": b"PROXY TCP4 192.0.2.7 192.0.2.1 1111 1883 \r\n",
    "v1 lower case": b"proxy TCP4 192.0.2.7 192.0.2.1 1111 1883\r\n",
    "v1 no CR": b"PROXY TCP4 192.0.2.7 192.0.2.1 1111 1883\n",
    "v1 bare CR": b"PROXY TCP4 192.0.2.7 192.0.2.1 1111 1883\rx\r\n",
    "v1 leading zero": b"PROXY TCP4 192.0.2.7 192.0.2.1 01111 1883\r\n",
    "v1 port 65536": b"PROXY TCP4 192.0.2.7 192.0.2.1 65536 1883\r\n",
    "v1 port missing": b"PROXY TCP4 192.0.2.7 192.0.2.1 1111\r\n",
    "v1 bad address": b"PROXY TCP4 192.0.2.256 192.0.2.1 1111 1883\r\n",
    "v1 leading zero in the address": b"PROXY TCP4 192.0.2.07 192.0.2.1 1111 1883\r\n",
    "v1 wrong family": b"PROXY TCP4 2001:db8::7 2001:db8::1 1111 1883\r\n",
    "v1 other family": b"PROXY UDP4 192.0.2.7 192.0.2.1 1111 1883\r\n",
    "v1 no family": b"PROXY \r\n",
    "v1 too long": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    "v1 without end": b"PROXY UNKNOWN " + b"x" * 200,
}


@pytest.mark.parametrize("pieces", [None, 1], ids=["whole", "bytes"])
@pytest.mark.parametrize("name", DROPPED)
def test_dropped(listener, name, pieces):
    """Closed without a byte; one line names the client if known, else the proxy; others go on."""
    peer = listener.open()
    address = re.escape(peer.local)
    try:
        peer.send(DROPPED[name], wire.connect("x", 4), pieces=pieces)
    except (BrokenPipeError, ConnectionResetError):
        pass
    peer.expect_close()
    assert "as x " not in listener.log()
    listener.expect_line(rf".*({address}|192\.0\.2\.7:1111|2001:db8::7:1).*")
    listener.connect("next", before=client("192.0.2.8", 1)).ping()


@pytest.mark.parametrize("header", [client("192.0.2.7", 1111), b"PROXY UNKNOWN\r\n"])
def test_ended_inside_the_header(listener, header):
    for cut in range(1, len(header)):
        peer = listener.open()
        peer.send(header[:cut])
        peer.close()
    listener.connect("next", before=header).ping()
    assert listener.count_lines(r"New client connected .*") == 1


@pytest.mark.workers
def test_many_clients_behind_one_proxy(start_broker, version, workers):
    broker = start_broker(LISTENER)
    clients = [broker.connect(f"x-{n}", version, before=client(f"192.0.2.{n}", 1000 + n))
               for n in range(1, 20)]
    for each in clients:
        each.subscribe("t")
    broker.connect("from", version, before=client("2001:db8::9", 9)).publish("t", b"x", 1)
    for number, each in enumerate(clients, 1):
        each.expect_message("t", b"x")
        broker.expect_line(
            rf"New client connected from 192\.0\.2\.{number}:{1000 + number} as x-{number} .*")


