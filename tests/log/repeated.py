"""log_repeat_limit: lines of one event above it are counted instead of written."""

import re

import pytest

pytestmark = pytest.mark.nightjar("a limit")

DROPPED = r"Outgoing messages are being dropped for client n\d+\."


def drop_for(broker, count):
    """One line for each of that many clients, and all at once."""
    for number in range(count):
        client = broker.connect(f"n{number}", 4, lasting=True)
        client.subscribe("t", qos=1)
        client.disconnect()
    sender = broker.connect("sender", 4)
    for _ in range(2):
        sender.publish("t", b"x", 1)


def left_out(broker):
    found = [re.fullmatch(r"Warning: (\d+) more lines of messages_dropped within a second were "
                          r"left out\.", line) for line in broker.lines()]
    return sum(int(match[1]) for match in found if match)


@pytest.mark.workers
@pytest.mark.config("max_queued_messages 1\nlog_repeat_limit 3")
def test_what_is_too_much_is_counted(broker, workers):
    drop_for(broker, 30)
    broker.expect_line(r"Warning: \d+ more lines of messages_dropped within a second were "
                       r"left out\.", 20)
    broker.stop()
    written = broker.count_lines(DROPPED)
    assert written % 3 == 0  # so many in each second that it took
    assert written + left_out(broker) == 30


@pytest.mark.workers
@pytest.mark.config("max_queued_messages 1\nlog_repeat_limit 0")
def test_without_a_limit_all_are_written(broker, workers):
    drop_for(broker, 30)
    broker.stop()
    assert broker.count_lines(DROPPED) == 30


@pytest.mark.workers
@pytest.mark.config("log_repeat_limit 1")
def test_connections_are_always_told(broker, workers):
    """Each line names somebody that a script may be after."""
    for number in range(30):
        broker.connect(f"n{number}", 4).disconnect()
    broker.stop()
    for pattern in (r"New connection from .*", r"New client connected from .*",
                    r"Client n\d+ \[.*\] disconnected\."):
        assert broker.count_lines(pattern) == 30
