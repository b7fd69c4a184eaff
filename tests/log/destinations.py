"""
Where the log goes: nowhere, to the standard streams, a file, syslog, or several at once; and how a
file is opened anew after it was renamed.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import tempfile

import pytest

from harness.process import wait_until
from harness.rights import NO_LEAK_CHECK, NOBODY, as_root, open_folder

LISTENER = "listener {port} 127.0.0.1\nallow_anonymous true\nlog_timestamp false\n"


def lines_of(path):
    return path.read_text().splitlines()


def wait_for(path, pattern):
    def found():
        return path.exists() and any(re.fullmatch(pattern, line) for line in lines_of(path))

    wait_until(found, 20, what=f"{pattern!r} in {path}")


@pytest.fixture
def short():
    """A folder whose name leaves room for a socket's."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nj"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def syslog(short):
    """A daemon's socket; text lines come out of read()."""
    return Syslog(short / "log")


class Syslog:
    def __init__(self, path):
        self.path = path
        self.open()

    def open(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(20)
        self.socket.bind(str(self.path))

    def close(self):
        self.socket.close()
        self.path.unlink()

    def wait_for(self, pattern):
        """The priority of the first line with that text."""
        while True:
            whole = re.fullmatch(r"<(\d+)>\w{3} [ \d]\d \d\d:\d\d:\d\d nightjar\[(\d+)\]: (.*)",
                                 self.socket.recv(5000).decode())
            if re.fullmatch(pattern, whole[3]):
                return int(whole[1]), int(whole[2])


@pytest.mark.nightjar("the mode of the file")
def test_a_file_is_added_to(start_broker, tmp_path):
    path = tmp_path / "own.log"
    for _ in range(2):
        broker = start_broker(LISTENER + f"log_dest file {path}\n")
        broker.connect("x").disconnect()
        broker.stop()
    starts = [line for line in lines_of(path) if re.fullmatch(r".* version \S+ starting", line)]
    ends = [line for line in lines_of(path) if re.fullmatch(r".* version \S+ terminating", line)]
    assert len(starts) == len(ends) == 2
    assert lines_of(path)[-1].startswith("Client x [") or lines_of(path)[-1] in ends
    assert stat.S_IMODE(path.stat().st_mode) == 0o640 & ~current_umask()


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.workers
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGRTMIN])
@pytest.mark.nightjar("a signal that only opens the log anew")
def test_a_file_is_opened_anew(start_broker, tmp_path, workers, number):
    path, old = tmp_path / "own.log", tmp_path / "own.log.1"
    broker = start_broker(LISTENER + f"log_dest file {path}\n")
    broker.connect("one")
    wait_for(path, r"New client connected from .* as one .*")
    path.rename(old)
    broker.connect("two")
    wait_for(old, r"New client connected from .* as two .*")
    broker.signal(number)
    wait_until(path.exists, what="a new file")
    broker.connect("three")
    wait_for(path, r"New client connected from .* as three .*")
    assert not any("three" in line for line in lines_of(old))


@pytest.mark.nightjar("a line when that fails")
def test_a_file_that_cannot_be_opened_anew_stays(start_broker, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    broker = start_broker(LISTENER + f"log_dest stderr\nlog_dest file {folder}/own.log\n")
    folder.rename(tmp_path / "moved")
    broker.signal(signal.SIGRTMIN)
    broker.expect_line(rf"Error: Unable to open log file {folder}/own\.log for writing: "
                       "No such file or directory.")
    broker.connect("x")
    wait_for(tmp_path / "moved/own.log", r"New client connected from .* as x .*")


def test_a_file_in_no_folder_is_an_error(start_broker):
    broker = start_broker(LISTENER + "log_dest file {dir}/none/own.log\n", ready=False)
    assert broker.wait(5) == 1 or broker.is_mosquitto
    assert re.search(r"Error: Unable to open log file .*/none/own.log for writing", broker.log())


@pytest.mark.nightjar("a socket by a name")
def test_syslog(start_broker, syslog):
    broker = start_broker(LISTENER + f"log_dest syslog\nlog_syslog_path {syslog.path}\n"
                          "log_type all\n")
    assert syslog.wait_for(r"nightjar version \S+ running") == (3 << 3 | 6, broker.pid)
    client = broker.connect("x")
    assert syslog.wait_for(r"New client connected from .* as x .*")[0] == 3 << 3 | 5
    client.subscribe("a/b")
    assert syslog.wait_for(r"x 0 a/b")[0] == 3 << 3 | 5
    assert syslog.wait_for(r"Sending SUBACK to x")[0] == 3 << 3 | 7
    assert "New client" not in broker.log()


@pytest.mark.nightjar("a socket by a name")
@pytest.mark.parametrize("facility", [0, 7])
def test_syslog_facility(start_broker, syslog, facility):
    start_broker(LISTENER + f"log_dest syslog\nlog_syslog_path {syslog.path}\n"
                 f"log_facility {facility}\n")
    assert syslog.wait_for(r"nightjar version \S+ running")[0] == (16 + facility) << 3 | 6


@pytest.mark.workers
@pytest.mark.nightjar("a socket by a name")
def test_syslog_is_started_anew(start_broker, syslog, workers):
    """What is logged while there is none is counted."""
    broker = start_broker(LISTENER + f"log_dest syslog\nlog_syslog_path {syslog.path}\n"
                          "log_dest stderr\n")
    syslog.wait_for(r"nightjar version \S+ running")
    syslog.close()
    broker.connect("one")
    broker.expect_line(r"New client connected from .* as one .*")
    syslog.open()
    broker.connect("two")
    syslog.wait_for(r"Warning: 2 log lines were lost\.")
    syslog.wait_for(r"New client connected from .* as two .*")


@pytest.mark.nightjar("a socket by a name")
def test_several_at_once(start_broker, syslog, tmp_path):
    path = tmp_path / "own.log"
    broker = start_broker(LISTENER + f"log_dest syslog\nlog_syslog_path {syslog.path}\n"
                          f"log_dest file {path}\nlog_dest stdout\n")
    broker.connect("x")
    pattern = r"New client connected from .* as x .*"
    broker.expect_line(pattern)
    wait_for(path, pattern)
    syslog.wait_for(pattern)
    assert broker.count_lines(pattern) == 1


def test_none(start_broker):
    broker = start_broker(LISTENER + "log_dest none\n")
    broker.connect("x").disconnect()
    assert broker.log() == "" or broker.is_mosquitto


@pytest.mark.nightjar("which destinations are built in")
@pytest.mark.parametrize("name", ["dlt", "android"])
def test_destinations_of_other_systems_are_refused(start_broker, name):
    broker = start_broker(LISTENER + f"log_dest {name}\n", ready=False)
    assert broker.wait(5) == 3
    assert f"Error: log_dest {name} is not built in." in broker.log()


def test_times_have_the_form_that_is_asked_for(start_broker):
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n"
                          "log_timestamp_format %Y-%m-%dT%H:%M:%S\n")
    broker.connect("x")
    broker.expect_line(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d: New client connected from .*")


@as_root
@pytest.mark.nightjar("who owns the file")
def test_the_file_belongs_to_who_the_broker_becomes(start_broker):
    """Or it could not be opened anew."""
    with open_folder() as folder:
        path = folder / "own.log"
        broker = start_broker(LISTENER + f"log_dest file {path}\nuser nobody\n",
                              environment=NO_LEAK_CHECK)
        wait_for(path, r"nightjar version \S+ running")
        assert path.stat().st_uid == NOBODY
        broker.signal(signal.SIGRTMIN)
        wait_for(path, r"The log was asked to be opened again\.")
        assert not any("Unable" in line for line in lines_of(path))
