"""
max_packet_size: what is larger is refused from its header on, what is not passes.
"""

import pytest

from harness import wire


@pytest.mark.holds("5.0: MQTT-3.2.2-15")
@pytest.mark.differs("2.0 waits for the whole packet")
@pytest.mark.config("max_packet_size 1000")
def test_larger(broker, version):
    client = broker.connect("x", version)
    if version == 5:
        assert client.connack.properties["maximum_packet_size"] == 1000
    client.send(b"\x30" + wire.varint(998))  # 1001 bytes as a whole; no more is needed
    client.expect_end(0x95)
    broker.expect_end_line("x", why="oversize packet")


@pytest.mark.config("max_packet_size 1000")
@pytest.mark.workers
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_just_as_large(broker, version, qos, workers):
    watcher = broker.connect("watcher", version)
    watcher.subscribe("t")
    client = broker.connect("x", version)
    room = 1000 - len(wire.publish("t", b"", qos, 1 if qos else None, version=version)) - 1
    payload = b"x" * room
    assert len(wire.publish("t", payload, qos, 1 if qos else None, version=version)) == 1000
    client.publish("t", payload, qos)
    watcher.expect_message("t", payload)


@pytest.mark.holds("5.0: MQTT-3.2.2-15")
@pytest.mark.differs("2.0 has no limit by default")
def test_two_million_by_default(broker, version):
    client = broker.connect("x", version)
    client.send(b"\x30" + wire.varint(2_000_000))
    client.expect_end(0x95)


@pytest.mark.workers
def test_announced_but_not_sent(broker, workers):
    """A length near the limit claims no memory: many such clients change nothing for others."""
    for number in range(50):
        client = broker.connect(f"x-{number}", 4)
        client.send(b"\x30" + wire.varint(1_900_000) + b"\0\1t" + b"x" * 100)
    rss = [int(line.split()[1]) for line in open(f"/proc/{broker.pid}/status")
           if line.startswith("VmRSS")][0]
    other = broker.connect("other", 4)
    other.ping()
    assert rss < 64 * 1024 or "san" in open(f"/proc/{broker.pid}/maps").read(), f"{rss} KiB"


@pytest.mark.differs("2.0 waits for it", packet="CONNECT")
@pytest.mark.parametrize("packet", ["CONNECT", "SUBSCRIBE"])
def test_before_connect(broker, packet):
    """Nothing of that size is waited for from a peer that has not connected."""
    client = broker.open()
    client.send(bytes([wire.NUMBERS[packet] << 4 | (2 if packet == "SUBSCRIBE" else 0)]) +
                wire.varint(1_900_000))
    client.expect_close()
