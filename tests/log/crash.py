"""A broker that is aborted, by itself or by a watchdog, has written what it had logged."""

import signal

import pytest


@pytest.mark.nightjar("a log of its own")
def test_what_was_logged_is_written(start_broker):
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\nlog_type all\n")
    client = broker.connect("x", 4)
    for _ in range(100):
        client.ping()
    broker.signal(signal.SIGABRT)
    assert broker.wait(10) == -signal.SIGABRT
    assert broker.count_lines(r"Sending PINGRESP to x") == 100
