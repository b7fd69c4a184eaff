"""
systemd hears that the broker serves, that it stops, and as often as it wants that every worker is
alive; a worker that hangs is told by silence.
"""

import os
import signal
import socket
import time

import pytest

from harness.process import wait_until

LISTENER = "listener {port} 127.0.0.1\nallow_anonymous true\n"

pytestmark = pytest.mark.nightjar("built without it")


@pytest.fixture
def manager(tmp_path):
    """The socket that a service manager listens at."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(20)
        yield listener


def told(manager):
    return {"NOTIFY_SOCKET": manager.getsockname()}


@pytest.mark.workers
def test_begin_and_end(start_broker, manager, workers):
    broker = start_broker(LISTENER, environment=told(manager), ready=False)
    assert manager.recv(100) == b"READY=1"
    broker.connect("x", 4).ping()  # not a moment before it serves
    assert broker.stop() == 0
    assert manager.recv(100) == b"STOPPING=1"


def test_a_start_that_fails_is_not_ready(start_broker, manager):
    broker = start_broker(LISTENER + "pid_file /nowhere/at/all/pid\n", environment=told(manager),
                          ready=False)
    assert broker.wait() == 1
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(100)


@pytest.mark.parametrize("text, is_good", [(LISTENER + "max_qos 1\n", True), ("wrong\n", False)])
def test_reload(start_broker, manager, text, is_good):
    """When it began is no earlier than when it was asked for, or systemd would not believe it."""
    broker = start_broker(LISTENER, environment=told(manager), ready=False)
    assert manager.recv(100) == b"READY=1"
    asked = time.monotonic_ns() // 1000
    broker.reload(text, is_good)
    first, second = manager.recv(100).split(b"\n")
    assert first == b"RELOADING=1"
    name, number = second.split(b"=")
    assert name == b"MONOTONIC_USEC" and asked <= int(number) <= time.monotonic_ns() // 1000
    assert manager.recv(100) == b"READY=1"


def count(manager, seconds):
    """How often the watchdog is fed in this time."""
    end, fed = time.monotonic() + seconds, 0
    while (left := end - time.monotonic()) > 0:
        manager.settimeout(left)
        try:
            assert manager.recv(100) == b"WATCHDOG=1"
        except TimeoutError:
            break
        fed += 1
    return fed


@pytest.mark.workers
def test_watchdog(start_broker, manager, workers):
    """Also by workers that have nothing to do, and sooner than they would look at their clocks."""
    start_broker(LISTENER, environment={**told(manager), "WATCHDOG_USEC": "400000"}, ready=False)
    assert manager.recv(100) == b"READY=1"
    assert count(manager, 3) >= 4


def test_no_watchdog(start_broker, manager):
    start_broker(LISTENER, environment=told(manager), ready=False)
    assert manager.recv(100) == b"READY=1"
    assert count(manager, 1) == 0


def test_watchdog_of_another_process(start_broker, manager):
    start_broker(LISTENER, ready=False, environment={
        **told(manager), "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
    assert manager.recv(100) == b"READY=1"
    assert count(manager, 1) == 0


def test_signals_do_not_put_the_watchdog_off(start_broker, manager):
    broker = start_broker(LISTENER, ready=False,
                          environment={**told(manager), "WATCHDOG_USEC": "400000"})
    assert manager.recv(100) == b"READY=1"
    end = time.monotonic() + 3
    fed = 0
    while time.monotonic() < end:
        for _ in range(10):
            os.kill(broker.pid, signal.SIGUSR1)
        fed += count(manager, 0.1)
    assert fed >= 4


def test_nobody_listens(start_broker, tmp_path):
    broker = start_broker(LISTENER, environment={"NOTIFY_SOCKET": str(tmp_path / "none"),
                                                 "WATCHDOG_USEC": "100000"})
    broker.connect("x", 4).ping()
    wait_until(lambda: "running" in broker.log(), what="running")
