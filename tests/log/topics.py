"""log_dest topic: lines of the log as messages, without one begetting another."""

import pytest

LOG = ("log_dest topic\nlog_dest stderr\nlog_type all\nlog_timestamp false\n")


def messages_until(client, text):
    """Topic and text of all messages up to the one that holds the text."""
    found = []
    while True:
        got = client.take_message()
        found.append((got.topic, got.payload.decode()))
        if text in found[-1][1]:
            return found


@pytest.mark.workers
@pytest.mark.config(LOG)
def test_types_have_topics(broker, workers, version):
    reader = broker.connect("reader", version)
    reader.subscribe("$SYS/broker/log/#", qos=0)
    client = broker.connect("x", version)
    client.subscribe("a/b", qos=1)
    client.unsubscribe("a/b")
    client.disconnect()
    found = messages_until(reader, "Client x [")
    topics = {text.split(" from ")[0]: topic for topic, text in found}
    assert topics["New client connected"] == "$SYS/broker/log/N"
    assert ("$SYS/broker/log/M/subscribe", "x 1 a/b") in found
    assert ("$SYS/broker/log/M/unsubscribe", "x a/b") in found
    assert {topic for topic, _ in found} <= {
        "$SYS/broker/log/N", "$SYS/broker/log/I", "$SYS/broker/log/M/subscribe",
        "$SYS/broker/log/M/unsubscribe"}
    broker.expect_line(r"Received SUBSCRIBE from x")  # debug lines: elsewhere only


@pytest.mark.workers
@pytest.mark.nightjar("the wording")
@pytest.mark.config(LOG)
def test_nothing_is_kept(broker, workers, version):
    """Who comes later sees what is logged from then on."""
    reader = broker.connect("reader", version)
    reader.subscribe("$SYS/broker/log/#", qos=2)
    broker.connect("x", version)
    for topic, text in messages_until(reader, "New client connected"):
        assert topic in ("$SYS/broker/log/N", "$SYS/broker/log/M/subscribe"), text


@pytest.mark.workers
@pytest.mark.nightjar("the wording")
@pytest.mark.config(LOG + "max_queued_messages 2\nmax_inflight_messages 1\n")
def test_a_line_about_a_line_is_none(broker, workers):
    """
    A reader that acknowledges nothing: that its messages are dropped is logged once, and each line
    that is dropped begets no other.
    """
    reader = broker.connect("reader", 5)
    reader.subscribe("$SYS/broker/log/#", qos=1)
    for number in range(10):
        broker.connect(f"x{number}", 4).disconnect()
    broker.expect_line(r"Outgoing messages are being dropped for client reader\.")
    before = len(broker.lines())
    broker.connect("last", 4)
    broker.expect_line(r"New client connected from .* as last .*")
    more = [line for line in broker.lines()[before:] if not line.startswith("Sending CONNACK")]
    assert len(more) < 8, more


@pytest.mark.nightjar("the wording")
def test_what_publishing_a_line_logs_does_not_go_round(start_broker):
    """A line that fills a queue makes one more at most, and that one none."""
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n" + LOG +
                          "max_queued_messages 2\nmax_inflight_messages 1\n", workers=1)
    full = broker.connect("full", 4)
    full.subscribe("$SYS/broker/log/#", qos=1)
    reader = broker.connect("reader", 4)
    reader.subscribe("$SYS/broker/log/#", qos=0)
    for number in range(10):
        broker.connect(f"x{number}", 4).disconnect()
    broker.expect_line(r"Outgoing messages are being dropped for client full\.")
    broker.connect("last", 4)
    found = messages_until(reader, "as last")
    assert sum("dropped" in text for _, text in found) <= 1, found
