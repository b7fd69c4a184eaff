"""
A new subscription is sent the retained messages that it matches, wildcards included, once each.
"""

import pytest

from harness import wire

TOPICS = ["a", "a/b", "a/c", "a/b/c", "b/b", "$x/a"]


def fill(broker, version):
    publisher = broker.connect("from", version)
    for topic in TOPICS:
        publisher.publish(topic, topic.encode(), 1, retain=True)


@pytest.mark.holds("3.1.1: MQTT-3.3.1-6 MQTT-3.3.1-8 MQTT-4.7.2-1",
                   "5.0: MQTT-3.3.1-9 MQTT-4.7.2-1")
@pytest.mark.workers
@pytest.mark.parametrize("topic_filter, expected", [
    ("#", TOPICS[:5]),
    ("a/#", TOPICS[:4]),
    ("a/+", ["a/b", "a/c"]),
    ("+/b", ["a/b", "b/b"]),
    ("$x/#", ["$x/a"]),
    ("a/b", ["a/b"]),
    ("nothing/#", []),
])
def test_wildcards(broker, version, topic_filter, expected, workers):
    fill(broker, version)
    client = broker.connect("to", version)
    client.subscribe(topic_filter)
    got = client.collect(len(expected))
    assert sorted(each.topic for each in got) == sorted(expected)
    assert all(each.retain and each.payload == each.topic.encode() for each in got)
    client.expect_nothing()


@pytest.mark.holds("3.1.1: MQTT-3.8.4-3",
                   "5.0: MQTT-3.3.1-9 MQTT-3.8.4-4")
@pytest.mark.workers
def test_again_with_each_subscribe(broker, version, workers):
    fill(broker, version)
    client = broker.connect("to", version)
    for _ in range(3):
        client.subscribe("a/+")
        assert sorted(each.topic for each in client.collect(2)) == ["a/b", "a/c"]


@pytest.mark.workers
def test_suback_comes_first(broker, version, workers):
    fill(broker, version)
    client = broker.connect("to", version)
    client.send(wire.subscribe(1, ("a", 0), ("b/b", 1), version=version))
    client.expect("SUBACK", id=1)
    assert sorted(each.topic for each in client.collect(2)) == ["a", "b/b"]


@pytest.mark.workers
def test_many(broker, version, workers):
    """More than fits a window or an iteration; at QoS 0 nothing may be lost."""
    publisher = broker.connect("from", version)
    for number in range(500):
        publisher.send(wire.publish(f"many/{number}", b"%d" % number, retain=True,
                                    version=version))
    publisher.ping()
    client = broker.connect("to", version)
    client.subscribe("many/#")
    assert sorted(int(each.payload) for each in client.collect(500)) == list(range(500))
    client.expect_nothing()


@pytest.mark.workers
def test_against_live_updates(broker, version, workers):
    """While values change, a new subscriber sees each topic's values in order, none twice."""
    publisher = broker.connect("from", version)
    publisher.send(*(wire.publish(f"v/{n}", b"0", retain=True, version=version)
                     for n in range(20)))
    publisher.ping()
    for attempt in range(5):
        client = broker.connect(f"to-{attempt}", version)
        client.send(wire.subscribe(1, ("v/+", 0), version=version))
        base = attempt * 10
        publisher.send(*(wire.publish(f"v/{n}", b"%d" % (base + step), retain=True,
                                      version=version)
                         for step in range(1, 11) for n in range(20)))
        client.expect("SUBACK")
        last = {}
        while len(last) < 20 or any(value < base + 10 for value in last.values()):
            got = client.expect("PUBLISH")
            value = int(got.payload)
            assert value > last.get(got.topic, -1), f"{got.topic}: {value} after {last}"
            last[got.topic] = value
        client.expect_nothing(0.03)
        client.close()


@pytest.mark.config("max_queued_messages 0")
@pytest.mark.workers
def test_in_the_middle_of_a_stream(broker, version, workers):
    """Subscribers that come while values stream in: none twice, none backwards, the last seen."""
    publisher = broker.connect("from", version)
    steps = 400
    publisher.send(*(wire.publish(f"v/{n}", b"0", retain=True, version=version) for n in range(5)))
    publisher.ping()
    clients = [broker.connect(f"to-{n}", version) for n in range(30)]
    for start in range(1, steps, 10):
        publisher.send(*(wire.publish(f"v/{n}", b"%d" % step, retain=True, version=version)
                         for step in range(start, start + 10) for n in range(5)))
        if start // 10 < len(clients):
            clients[start // 10].send(wire.subscribe(1, ("v/+", 0), version=version))
    for client in clients:
        client.expect("SUBACK")
        last = {}
        while len(last) < 5 or any(value < steps for value in last.values()):
            got = client.expect("PUBLISH")
            value = int(got.payload)
            before = last.get(got.topic)
            assert before is None or before < value, f"{got.topic}: {value} after {before}"
            assert before is None or value == before + 1, f"{got.topic}: {before}, then {value}"
            last[got.topic] = value
        client.expect_nothing(0.01)
