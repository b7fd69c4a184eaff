"""
The topics below $SYS as such: retained, with QoS 2, at full intervals, and only where something has
changed.
"""

import math
import re
import time

import pytest

from harness import figures, wire
from harness.client import Closed

pytestmark = pytest.mark.nightjar("2.0.11 has other topics, and no aligned intervals")


def listen(client, seconds):
    """(time, topic, payload, retained) of all that comes."""
    found = []
    ends = time.time() + seconds
    while (left := ends - time.time()) > 0:
        got = client.receive(left)
        if got and got.kind == "PUBLISH":
            client.acknowledge(got)
            found.append((time.time(), got.topic[len(figures.FRONT):], got.payload, got.retain))
    return found


def test_there_at_once_by_default(broker):
    """Also without a word about it in the configuration, and for who comes first."""
    client = broker.connect("first")
    found = figures.read(client, len(figures.topics(broker)))
    assert set(figures.topics(broker)) == {figures.FRONT + each for each in found}
    assert re.fullmatch(r"\d+\.\d\d", found["load/messages/received/15min"])


@pytest.mark.config("sys_interval 0")
def test_0_switches_them_off(broker):
    client = broker.connect("c")
    client.subscribe("$SYS/#")
    client.expect_nothing(1.5)


@pytest.mark.config("sys_interval 1")
def test_only_what_has_changed(broker):
    """Nothing is said twice, and what never changes is said once."""
    client = broker.connect("c")
    client.subscribe("$SYS/#", qos=2)
    found = listen(client, 5)
    last = {}
    for _, topic, payload, retained in found:
        assert retained == (topic not in last), topic
        assert last.get(topic) != payload, topic
        last[topic] = payload
    assert len(last) == len(figures.topics(broker))
    often = [topic for _, topic, _, _ in found]
    assert often.count("uptime") >= 4
    assert often.count("version") == often.count("mqtt/auth/sent") == 1
    assert often.count("subscriptions/count") <= 2


@pytest.mark.config("sys_interval 2")
def test_at_full_intervals(broker):
    client = broker.connect("c")
    client.subscribe("$SYS/broker/uptime", qos=2)
    times = [when for when, _, _, retained in listen(client, 7) if not retained]
    assert len(times) >= 3
    assert sorted(when % 2 for when in times)[len(times) // 2] < 0.5
    assert all(abs(b - a - 2) < 1 for a, b in zip(times, times[1:]))


@pytest.mark.config("sys_interval 1")
def test_they_have_qos_2(broker):
    client = broker.connect("c")
    client.subscribe("$SYS/broker/uptime", qos=2)
    for retain in (True, False):
        got = client.expect("PUBLISH", qos=2, retain=retain)
        client.acknowledge(got)
        assert got.payload.decode().split(" ")[1:] == ["seconds"]


@pytest.mark.config("sys_interval 1")
@pytest.mark.workers
def test_wildcards_do_not_reach_them(broker, workers):
    client = broker.connect("c")
    client.subscribe("#", "+/broker/uptime")
    client.expect_nothing(2.5)
    other = broker.connect("d")
    other.publish("a/broker/uptime", "x", qos=1)
    assert {client.expect("PUBLISH").topic for _ in range(2)} == {"a/broker/uptime"}


@pytest.mark.config("sys_interval 1")
def test_nobody_else_writes_them(broker):
    client = broker.connect("c", 5)
    client.send(wire.publish("$SYS/broker/uptime", b"0", 1, 7, True, version=5))
    assert client.expect("PUBACK", id=7).reason == 0x87
    client.subscribe("$SYS/broker/uptime")
    assert client.expect("PUBLISH").payload != b"0"


@pytest.mark.config("sys_interval 1")
@pytest.mark.config("mount_point house/")
def test_behind_a_mount_point_there_are_none(broker):
    client = broker.connect("c")
    client.subscribe("$SYS/#")
    client.expect_nothing(1.5)


@pytest.mark.timeout(60)
@pytest.mark.config("sys_interval 1")
def test_averages_of_a_known_rate(broker):
    """300 a minute from the start on: after t seconds 300 * (1 - e^(-t/T))."""
    publisher = broker.connect("c")
    client = broker.connect("c")
    try:
        publisher.expect_end(0x8E)  # the same name: one client in the broker, as elsewhere
    except (AssertionError, Closed):
        pass
    client.subscribe(*(f"$SYS/broker/load/publish/received/{each}" for each in
                       ("1min", "5min", "15min")), "$SYS/broker/uptime",
                     "$SYS/broker/publish/messages/received")
    ends = time.time() + 12
    found = {}
    sent = 0
    began = time.time()
    while time.time() < ends:
        if time.time() - began >= sent / 5:
            client.publish("t", "x")
            sent += 1
        got = client.receive(0.05)
        if got and got.kind == "PUBLISH":
            found.setdefault(got.topic[len(figures.FRONT):], []).append(got.payload.decode())
    counted = int(found["publish/messages/received"][-1])
    passed = int(found["uptime"][-1].split(" ")[0])
    rate = counted / passed * 60
    for name, minutes in (("1min", 1), ("5min", 5), ("15min", 15)):
        said = float(found[f"load/publish/received/{name}"][-1])
        wanted = rate * (1 - math.exp(-passed / 60 / minutes))
        assert abs(said - wanted) < 0.2 * wanted, (name, said, wanted)
