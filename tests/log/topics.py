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


def let_out(broker):
    """What was logged so far is published once what is logged now is."""
    reader = broker.connect("early", 4)
    reader.subscribe("$SYS/broker/log/#", qos=0)
    broker.connect("begin", 4)
    messages_until(reader, "as begin")


@pytest.mark.workers
@pytest.mark.config(LOG)
def test_types_have_topics(broker, workers, version):
    let_out(broker)
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
    let_out(broker)
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
    That lines are dropped for those who acknowledge none is logged, once for each, and published to
    nobody: of what a drop says another would have to be dropped. On whichever worker they live.
    """
    for number in range(8):
        broker.connect(f"full{number}", 5).subscribe("$SYS/broker/log/#", qos=1)
    reader = broker.connect("reader", 4)
    reader.subscribe("$SYS/broker/log/#", qos=0)
    broker.connect("begin", 4)
    messages_until(reader, "as begin")
    for number in range(10):
        broker.connect(f"x{number}", 4).disconnect()
    for number in range(8):
        broker.expect_line(rf"Outgoing messages are being dropped for client full{number}\.")
    broker.connect("last", 4)
    found = messages_until(reader, "as last")
    assert not [text for _, text in found if "dropped" in text]
    # Three lines of each that came and went, and two of the last one: nothing went round.
    assert sum("as x" in text for _, text in found) == 10
    assert len(found) <= 3 * 10 + 2, found
    assert broker.count_lines("Outgoing messages are being dropped for .*") == 8


@pytest.mark.workers
@pytest.mark.nightjar("the wording")
@pytest.mark.config(LOG + "max_queued_messages 2\nmax_inflight_messages 1\n")
def test_a_line_about_others_is_one(broker, workers):
    full = broker.connect("full", 5)
    full.subscribe("t", qos=1)
    reader = broker.connect("reader", 4)
    reader.subscribe("$SYS/broker/log/#", qos=0)
    sender = broker.connect("sender", 4)
    for _ in range(6):
        sender.publish("t", b"x", 1)
    found = messages_until(reader, "dropped")
    assert found[-1] == ("$SYS/broker/log/N",
                         "Outgoing messages are being dropped for client full.")
