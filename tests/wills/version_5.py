"""
What 5.0 adds to wills: DISCONNECT 0x04 publishes it, it may be delayed, and it has properties.
"""

import time

import pytest

from harness.wire import Will

DELAY_1 = {"will_delay_interval": 1}


def watch(broker):
    watcher = broker.connect("watcher", 5)
    watcher.subscribe("gone", qos=2)
    return watcher


@pytest.mark.holds("5.0: MQTT-3.1.2-8")
@pytest.mark.workers
def test_disconnect_with_will(broker, workers):
    watcher = watch(broker)
    for number in range(4):
        broker.connect(f"x-{number}", 5, will=Will("gone", b"%d" % number)).disconnect(0x04)
        watcher.expect_message("gone", b"%d" % number)


@pytest.mark.holds("5.0: MQTT-3.1.2-8")
@pytest.mark.differs("2.0 publishes no will then")
@pytest.mark.workers
def test_disconnect_with_an_error(broker, workers):
    """Any reason but 0x00 leaves the will to be published. (5.0, 3.14.4)"""
    watcher = watch(broker)
    broker.connect("x", 5, will=Will("gone", b"x")).disconnect(0x80)
    watcher.expect_message("gone", b"x")


@pytest.mark.holds("5.0: MQTT-3.1.2-8")
@pytest.mark.workers
def test_delayed(broker, workers):
    watcher = watch(broker)
    client = broker.connect("x", 5, lasting=True, will=Will("gone", b"x", properties=DELAY_1))
    client.close()
    closed = time.monotonic()
    watcher.expect_message("gone", b"x")
    waited = time.monotonic() - closed
    assert waited >= 1.0, f"after {waited:.3f} s"
    assert waited < 4.0, f"after {waited:.3f} s"


@pytest.mark.holds("5.0: MQTT-3.1.2-8 MQTT-3.1.3-9")
@pytest.mark.workers
def test_delayed_and_back_in_time(broker, workers):
    watcher = watch(broker)
    will = Will("gone", b"x", properties={"will_delay_interval": 2})
    broker.connect("x", 5, lasting=True, will=will).close()
    broker.connect("x", 5, lasting=True, session=True)
    watcher.expect_nothing(3.5)


@pytest.mark.holds("5.0: MQTT-3.1.2-8")
@pytest.mark.differs("2.0 publishes no will then")
@pytest.mark.workers
def test_the_end_of_the_session_comes_first(broker, workers):
    """A delay does not outlive the session: with no expiry the will is published at once."""
    watcher = watch(broker)
    will = Will("gone", b"x", properties={"will_delay_interval": 100})
    broker.connect("x", 5, will=will).close()
    watcher.expect_message("gone", b"x", timeout=4)


@pytest.mark.differs("2.0 publishes no will then")
@pytest.mark.workers
def test_a_new_session_publishes_a_delayed_will(broker, workers):
    watcher = watch(broker)
    will = Will("gone", b"x", properties={"will_delay_interval": 100})
    broker.connect("x", 5, lasting=True, will=will).close()
    broker.connect("x", 5, clean=True, session=False)
    watcher.expect_message("gone", b"x", timeout=4)


@pytest.mark.holds("5.0: MQTT-3.1.3-10")
@pytest.mark.workers
def test_properties(broker, workers):
    watcher = watch(broker)
    given = {
        "payload_format_indicator": 1, "content_type": "text/plain", "response_topic": "answer",
        "correlation_data": b"\0\1\2",
        "user_property": [("b", "2"), ("a", "1"), ("b", "3")],
    }
    broker.connect("x", 5, will=Will("gone", b"x", 1, properties=given)).close()
    got = watcher.expect_message("gone", b"x")
    assert got.properties == given


@pytest.mark.workers
def test_expiry_of_a_will_counts_from_its_publication(broker, workers):
    watcher = watch(broker)
    will = Will("gone", b"x", properties={"message_expiry_interval": 100})
    client = broker.connect("x", 5, will=will)
    time.sleep(1.2)
    client.close()
    got = watcher.expect_message("gone", b"x")
    assert got.properties["message_expiry_interval"] in (99, 100)
