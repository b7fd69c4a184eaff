"""
One message to many who want it in different forms, one behind the other in the same list: what one
gets is what the next one gets only where it is the same.
"""

import pytest

LISTENERS = """
listener {port} 127.0.0.1
allow_anonymous true
max_topic_alias_broker 5
listener {port2} 127.0.0.1
allow_anonymous true
mount_point m/
max_topic_alias_broker 5
"""
PROPERTIES = {"user_property": [("k", "v")], "content_type": "text"}
AS_PUBLISHED = 8
ALIASES = {"topic_alias_maximum": 5}
SMALL = {"maximum_packet_size": 22}

# name: version, options of the subscription, its properties, properties of CONNECT
FORMS = {
    "3.1": (3, 2, None, None),
    "3.1.1, QoS 2": (4, 2, None, None),
    "5.0, QoS 2": (5, 2, None, None),
    "3.1.1, QoS 0": (4, 0, None, None),
    "5.0, QoS 0": (5, 0, None, None),
    "3.1.1, QoS 1": (4, 1, None, None),
    "5.0, QoS 1": (5, 1, None, None),
    "with aliases": (5, 1, None, ALIASES),
    "as published": (5, 1 | AS_PUBLISHED, None, None),
    "with identifier": (5, 1, {"subscription_identifier": [300]}, None),
    "too small": (5, 1, None, SMALL),
    "mounted": (4, 1, None, None),
    "mounted, with aliases": (5, 2, None, ALIASES),
}


class Receiver:
    def __init__(self, broker, form, number):
        self.form, self.aliases = form, {}
        self.version, self.options, self.properties, connect = FORMS[form]
        self.gets_it = connect is not SMALL
        is_mounted = form.startswith("mounted")
        address = ("127.0.0.1", broker.places["port2" if is_mounted else "port"])
        self.client = broker.connect(f"c{number}", self.version, properties=connect,
                                     address=address)
        self.topic = "t" if is_mounted else "m/t"
        self.client.subscribe((self.topic, self.options), properties=self.properties)

    def expect(self, payload, qos, retain):
        if not self.gets_it:
            return
        got = self.client.expect("PUBLISH", payload=payload, qos=min(qos, self.options & 3),
                                 retain=retain and bool(self.options & AS_PUBLISHED), dup=False)
        properties = dict(got.properties) if self.version == 5 else {}
        alias = properties.pop("topic_alias", None)
        topic = got.topic or self.aliases[alias]
        self.aliases[alias] = topic
        assert (self.form, topic) == (self.form, self.topic)
        if self.version == 5:
            assert (self.form, properties) == (self.form, {**PROPERTIES, **(self.properties or {})})
        self.client.acknowledge(got)


@pytest.mark.differs("2.0 does not take the mount point off")
@pytest.mark.workers
@pytest.mark.parametrize("retain", [False, True], ids=["", "retained"])
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("size", [1, 1000, 1100, 2000])
def test_each_gets_its_own(start_broker, size, qos, retain, workers):
    broker = start_broker(LISTENERS)
    forms = [*FORMS, *reversed(FORMS), *FORMS]
    receivers = [Receiver(broker, form, number) for number, form in enumerate(forms)]
    publisher = broker.connect("from", 5)
    for number in range(2):
        payload = b"%d" % number * size
        publisher.publish("m/t", payload, qos, retain=retain, properties=PROPERTIES)
        for receiver in receivers:
            receiver.expect(payload, qos, retain)
    for receiver in receivers:
        receiver.client.ping()
