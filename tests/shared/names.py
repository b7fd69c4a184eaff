"""
Shared subscriptions are served, or refused with the code for it: never granted and then ignored.

5.0: MQTT-4.8.2-1 MQTT-4.8.2-2 MQTT-4.8.2-3
"""

import pytest

from harness import wire


@pytest.mark.workers
def test_each_message_to_one_member(broker, version, workers):
    members = [broker.connect(f"member-{n}", version) for n in range(3)]
    granted = []
    for each in members:
        each.send(wire.subscribe(1, ("$share/group/t", 1), version=version))
        granted += each.expect("SUBACK", id=1).codes
    publisher = broker.connect("from", version)
    if granted[0] >= 0x80:
        assert granted == [0x9E if version == 5 else 0x80] * 3
        publisher.publish("t", b"x", 1)
        for each in members:
            each.expect_nothing(0.05)
        return
    assert granted == [1, 1, 1]
    for number in range(30):
        publisher.publish("t", b"%d" % number, 1)
    got = []
    for each in members:
        while (message := each.receive(0.5)) is not None:
            each.acknowledge(message)
            got.append(int(message.payload))
    assert sorted(got) == list(range(30))


@pytest.mark.differs("2.0 grants it", topic_filter=["$share/g", "$share//t", "$share/g/"])
@pytest.mark.parametrize("topic_filter", ["$share/g", "$share//t", "$share/g+/t", "$share/#/t",
                                          "$share/g/"])
def test_bad_names(broker, topic_filter):
    client = broker.connect("x", 5)
    client.send(wire.subscribe(1, (topic_filter, 0), version=5))
    got = client.expect_any()
    if got.kind == "SUBACK":
        assert got.codes[0] in (0x8F, 0x9E, 0x80), got
    else:
        assert got.kind == "DISCONNECT" and got.reason in (0x81, 0x82, 0x8F, 0x9E), got
