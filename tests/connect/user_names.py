"""
User name and password are taken in every combination that the version allows, and nobody is asked
for them where anonymous clients may come.
"""

import pytest

from harness.wire import Will, connect


@pytest.mark.holds("3.1.1: MQTT-3.1.2-19 MQTT-3.1.2-21 MQTT-3.1.3-1",
                   "5.0: MQTT-3.1.2-17 MQTT-3.1.2-19 MQTT-3.1.3-1")
@pytest.mark.versions(3, 4, 5)
@pytest.mark.parametrize("fields", [
    {"username": "joe"},
    {"username": "joe", "password": b"secret \x00\xff"},
    {"username": "", "password": b""},
    {"username": "joe", "password": b"x", "will": Will("gone", b"y", 1)},
], ids=["user", "both", "empty", "with will"])
def test_taken(broker, version, fields):
    broker.connect("x", version, **fields).ping()


def test_password_alone_in_5(broker):
    broker.connect("x", 5, password=b"token").ping()


@pytest.mark.holds("3.1.1: MQTT-3.1.2-9 MQTT-3.1.3-1",
                   "5.0: MQTT-3.1.2-9 MQTT-3.1.3-1")
@pytest.mark.workers
def test_fields_in_their_order(broker, version, workers):
    """Each field is what stands in its place: the id, the will, the name, then the password."""
    watcher = broker.connect("watcher", version)
    watcher.subscribe("#")
    client = broker.open(version)
    client.send(connect("the-id", version, will=Will("will/topic", b"will payload"),
                        username="the-name", password=b"secret"))
    client.expect("CONNACK", code=0)
    broker.expect_line(r".* as the-id \(p\d, c1, k60, u'the-name'\)\.")
    client.close()
    watcher.expect_message("will/topic", b"will payload")
