"""
-d: the broker goes into the background once it serves; a start that fails has the status and the
words of the foreground.
"""

import os
import pathlib
import signal
import socket
import subprocess

import pytest

from harness import ports, wire
from harness.broker import binary
from harness.client import Client
from harness.process import SANITIZER, wait_until

pytestmark = pytest.mark.nightjar("2.0 ends before it knows")


class Background:
    """A broker that was started with -d; `status` is that of the process that was started."""

    def __init__(self, folder, text, *arguments):
        self.folder, self.port = folder, ports.take()
        self.config = folder / "broker.conf"
        self.config.write_text(text.format(port=self.port, dir=folder) +
                               f"pid_file {folder}/pid\nuser root\nworkers 2\n")
        with open(folder / "broker.log", "wb") as log:
            self.status = subprocess.run(
                [binary("nightjar"), "-c", str(self.config), "-d", *arguments], cwd=folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=20, check=False).returncode
        self.pid = int((folder / "pid").read_text()) if (folder / "pid").exists() else None

    def log(self):
        return (self.folder / "broker.log").read_text()

    def is_alive(self):
        return self.pid and pathlib.Path(f"/proc/{self.pid}/exe").exists()

    def descriptor(self, number):
        return os.readlink(f"/proc/{self.pid}/fd/{number}")

    def serve(self):
        client = Client(("127.0.0.1", self.port), 4)
        client.send(wire.connect("x", 4))
        client.expect("CONNACK", code=0)
        client.close()

    def end(self):
        if self.is_alive():
            os.kill(self.pid, signal.SIGTERM)
            wait_until(lambda: not self.is_alive(), 20, what="the end")
        assert not (self.folder / "pid").exists()
        assert not SANITIZER.search(self.log()), self.log()


LISTENER = "listener {port} 127.0.0.1\nallow_anonymous true\n"


@pytest.fixture
def start(tmp_path):
    started = []

    def start(text, *arguments):
        folder = tmp_path / f"broker{len(started)}"
        folder.mkdir()
        started.append(Background(folder, text, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.end()


def test_it_serves_when_the_start_is_over(start):
    broker = start(LISTENER)
    assert broker.status == 0, broker.log()
    broker.serve()
    assert "running" in broker.log()


def test_it_is_on_its_own(start):
    """A session of its own, no terminal, and nothing of who started it but the log."""
    broker = start(LISTENER + "log_dest file {dir}/own.log\n")
    fields = pathlib.Path(f"/proc/{broker.pid}/stat").read_text().rsplit(")", 1)[1].split()
    assert int(fields[3]) == broker.pid and int(fields[4]) == 0, fields
    assert [broker.descriptor(n) for n in range(3)] == ["/dev/null"] * 3
    broker.serve()
    wait_until(lambda: "New client connected" in (broker.folder / "own.log").read_text(), 20)


@pytest.mark.parametrize("destination, kept", [("stdout", {1}), ("stderr", {2}), ("none", set())])
def test_where_the_log_goes_stays(start, destination, kept):
    broker = start(LISTENER + f"log_dest {destination}\n")
    log = str(broker.folder / "broker.log")
    assert {n for n in range(3) if broker.descriptor(n) == log} == kept
    assert all(broker.descriptor(n) == "/dev/null" for n in {0, 1, 2} - kept)


def test_relative_paths_stay_what_they_were(start):
    broker = start(LISTENER)
    assert os.readlink(f"/proc/{broker.pid}/cwd") == str(broker.folder)


def test_wrong_configuration(start):
    broker = start(LISTENER + "no_such_option 1\n")
    assert broker.status == 3 and not broker.pid
    assert "Error: Unknown configuration variable 'no_such_option'." in broker.log()


def test_port_in_use(start):
    first = start(LISTENER)
    second = start(f"listener {first.port} 127.0.0.1\n")
    assert second.status == 1 and not second.pid
    assert "Error: Address already in use" in second.log()
    first.serve()


def test_no_such_user(start, tmp_path):
    broker = start("listener {port} 127.0.0.1\nlog_dest file /nowhere/at/all/log\n")
    assert broker.status != 0 and not broker.pid
    assert "Error: Unable to open log file" in broker.log()


def test_killed_before_it_serves(start, tmp_path):
    """Whoever waits does not wait for ever."""
    folder = tmp_path / "killed"
    folder.mkdir()
    (folder / "conf").write_text("listener 0 {0}/s\npid_file {0}/fifo\nuser root\n".format(folder))
    os.mkfifo(folder / "fifo")  # the start hangs there until somebody reads
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([binary("nightjar"), "-c", "conf", "-d"], cwd=folder,
                                   stdout=log, stderr=log)
    wait_until((folder / "s").exists, 20, what="the listener")
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    child = int(pathlib.Path(children).read_text())
    os.kill(child, signal.SIGKILL)
    assert process.wait(20) == 1
    assert "Error: The broker was ended by signal 9 before it served." in \
        (folder / "log").read_text()


def test_nobody_waits_for_its_output(tmp_path):
    """A script that reads what the start prints gets the end of it."""
    port = ports.take()
    (tmp_path / "conf").write_text(f"listener {port} 127.0.0.1\nlog_dest none\nuser root\n"
                                   f"pid_file {tmp_path}/pid\n")
    done = subprocess.run([binary("nightjar"), "-c", "conf", "-d"], cwd=tmp_path,
                          capture_output=True, timeout=20, check=False)
    assert done.returncode == 0 and done.stdout == b""
    with socket.create_connection(("127.0.0.1", port)):
        pass
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
    wait_until(lambda: not (tmp_path / "pid").exists(), 20, what="the end")
