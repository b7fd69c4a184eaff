"""
Signals: each does what Mosquitto's manual says, or says that it does not yet; none ends a broker
that should go on, and a storm of them changes nothing for clients.
"""

import os
import signal
import subprocess
import time

import pytest

from harness import wire
from harness.broker import binary

LISTENER = "listener {port} 127.0.0.1\nallow_anonymous true\n"


@pytest.mark.nightjar("words of ours")
def test_what_is_not_there_yet(broker):
    broker.signal(signal.SIGUSR1)
    broker.expect_line(r"Warning: SIGUSR1 saves nothing: persistence is not built in\.")
    broker.connect("x", 4).ping()


@pytest.mark.parametrize("number", [
    signal.SIGPIPE, signal.SIGUSR1, signal.SIGHUP, signal.SIGRTMIN, signal.SIGWINCH,
    signal.SIGCHLD, signal.SIGALRM, signal.SIGRTMIN + 1])
@pytest.mark.differs("2.0 has no handlers for these",
                     number=[signal.SIGRTMIN, signal.SIGALRM, signal.SIGRTMIN + 1])
def test_it_goes_on(broker, number):
    client = broker.connect("x", 4)
    broker.signal(number)
    client.ping()
    time.sleep(0.2)
    client.ping()


@pytest.mark.nightjar("2.0 does everything in its handlers")
@pytest.mark.workers
def test_a_storm(start_broker, workers):
    """Thousands of signals are a few lines, and no load."""
    broker = start_broker(LISTENER)
    client = broker.connect("x", 4)
    client.subscribe("t")
    begun = time.monotonic()
    sent = 0
    while sent < 20000 or time.monotonic() - begun < 2:
        for number in (signal.SIGUSR1, signal.SIGHUP, signal.SIGRTMIN):
            os.kill(broker.pid, number)
            sent += 1
        if sent % 3000 == 0:
            client.send(wire.publish("t", b"still here"))
            client.expect_message("t", b"still here")
    took = time.monotonic() - begun
    assert len(broker.lines()) < 40 + 15 * took, f"{len(broker.lines())} lines in {took:.1f} s"
    assert broker.stop() == 0


def test_the_end_in_a_storm(start_broker):
    broker = start_broker(LISTENER)
    for _ in range(500):
        os.kill(broker.pid, signal.SIGRTMIN)
    assert broker.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_twice(start_broker, number):
    broker = start_broker(LISTENER)
    broker.connect("x", 4)
    for _ in range(5):
        broker.signal(number)
    assert broker.wait() == 0


@pytest.mark.nightjar("2.0 is killed by it")
def test_started_with_signals_ignored(tmp_path):
    """As nohup and some scripts do; the end is still heard."""
    (tmp_path / "conf").write_text(f"listener 0 {tmp_path}/s\nuser root\n")
    process = subprocess.Popen(
        ["sh", "-c", f"trap '' TERM INT HUP; exec {binary('nightjar')} -c conf"], cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    for line in process.stderr:
        if b"running" in line:
            break
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.stderr.read()
    assert process.wait(20) == 0
