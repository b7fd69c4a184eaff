"""What a client sends that does not wait for CONNACK, and what has to come of it, in order."""

from . import wire


def conversation(client_id, version):
    """Its packets."""
    topic = "own/" + client_id
    return [wire.connect(client_id, version),
            wire.subscribe(1, (topic, 1), version=version),
            wire.publish(topic, b"first", 1, 2, version=version),
            wire.publish(topic, b"second", version=version),
            wire.pingreq()]


def expect_answers(client, client_id):
    """CONNACK, SUBACK, then the acknowledgement and both messages, the latter in order."""
    client.expect("CONNACK", code=0)
    client.expect("SUBACK", id=1, codes=[1])
    seen = [client.expect_any() for _ in range(4)]
    kinds = [each.kind for each in seen]
    assert sorted(kinds) == ["PINGRESP", "PUBACK", "PUBLISH", "PUBLISH"], seen
    assert kinds.index("PUBACK") < kinds.index("PINGRESP"), seen
    messages = [(each.topic, each.payload) for each in seen if each.kind == "PUBLISH"]
    assert messages == [("own/" + client_id, b"first"), ("own/" + client_id, b"second")], seen
