"""
Retained messages: kept, replaced, cleared; RETAIN tells a replay from a live message.
"""

import pytest

from harness import wire


@pytest.mark.holds("3.1.1: MQTT-3.3.1-5 MQTT-3.3.1-6 MQTT-3.3.1-8",
                   "5.0: MQTT-3.3.1-5 MQTT-3.3.1-9")
@pytest.mark.workers
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_kept_for_late_subscribers(broker, version, qos, workers):
    publisher = broker.connect("from", version)
    publisher.publish("t", b"x", qos, retain=True)
    publisher.disconnect()
    for number in range(4):
        client = broker.connect(f"late-{number}", version)
        client.subscribe("t", qos=2)
        client.expect_message("t", b"x", retain=True, dup=False, qos=qos)
        client.expect_nothing(0.03)


@pytest.mark.holds("3.1.1: MQTT-3.3.1-9",
                   "5.0: MQTT-3.3.1-12")
@pytest.mark.workers
def test_live_messages_are_not_marked(broker, version, workers):
    client = broker.connect("to", version)
    client.subscribe("t", qos=1)
    broker.connect("from", version).publish("t", b"x", 1, retain=True)
    client.expect_message("t", b"x", retain=False)


@pytest.mark.holds("3.1.1: MQTT-3.3.1-5 MQTT-3.3.1-6 MQTT-3.3.1-12",
                   "5.0: MQTT-3.3.1-5 MQTT-3.3.1-8")
@pytest.mark.workers
def test_the_last_one_counts(broker, version, workers):
    publisher = broker.connect("from", version)
    for number in range(20):
        publisher.publish("t", b"%d" % number, 1, retain=True)
    publisher.publish("t", b"not retained", 1)
    client = broker.connect("to", version)
    client.subscribe("t")
    client.expect_message("t", b"19", retain=True)
    client.expect_nothing()


@pytest.mark.holds("3.1.1: MQTT-3.3.1-7",
                   "5.0: MQTT-3.3.1-5")
@pytest.mark.workers
def test_qos_0_takes_the_place_of_qos_1(broker, version, workers):
    """The earlier one is never seen again, whatever becomes of the later."""
    publisher = broker.connect("from", version)
    publisher.publish("t", b"earlier", 1, retain=True)
    publisher.publish("t", b"later", 0, retain=True)
    publisher.ping()
    client = broker.connect("to", version)
    client.subscribe("t", qos=1)
    client.expect_message("t", b"later", retain=True, qos=0)
    client.expect_nothing()


@pytest.mark.holds("3.1.1: MQTT-3.3.1-10 MQTT-3.3.1-11",
                   "5.0: MQTT-3.3.1-6 MQTT-3.3.1-7")
@pytest.mark.workers
def test_cleared_by_an_empty_one(broker, version, workers):
    publisher = broker.connect("from", version)
    live = broker.connect("live", version)
    live.subscribe("t")
    publisher.publish("t", b"x", 1, retain=True)
    publisher.publish("t", b"", 1, retain=True)
    live.expect_message("t", b"x", retain=False)
    live.expect_message("t", b"", retain=False)
    late = broker.connect("late", version)
    late.subscribe("t")
    late.expect_nothing()


@pytest.mark.holds("3.1.1: MQTT-3.1.2-7")
@pytest.mark.workers
def test_not_part_of_a_session(broker, version, workers):
    client = broker.connect("from", version)
    client.publish("t", b"x", 1, retain=True)
    client.close()
    broker.connect("from", version).disconnect()
    late = broker.connect("late", version)
    late.subscribe("t")
    late.expect_message("t", b"x", retain=True)


@pytest.mark.workers
def test_order_of_the_last_value(broker, version, workers):
    """Two clients write the same topic: everybody ends with the same value, late ones too."""
    watchers = [broker.connect(f"watcher-{n}", version) for n in range(3)]
    for each in watchers:
        each.subscribe("t")
    writers = [broker.connect(f"writer-{n}", version) for n in range(2)]
    for number in range(100):
        for who, each in enumerate(writers):
            each.send(each_publish(version, who, number))
    for each in writers:
        each.ping()
    last = [each.collect(200)[-1].payload for each in watchers]
    late = broker.connect("late", version)
    late.subscribe("t")
    assert late.take_message().payload == last[0]
    assert len(set(last)) == 1


def each_publish(version, who, number):
    return wire.publish("t", b"%d:%d" % (who, number), retain=True, version=version)
