"""
A destination that takes nothing stops no client: a pipe that nobody reads, a syslog that is
stopped. What does not fit into log_buffer_size is lost, and the number is told.
"""

import os
import pathlib
import re
import shutil
import socket
import tempfile
import time

import pytest

from harness.process import wait_until

pytestmark = [pytest.mark.nightjar("a log that waits for nobody"), pytest.mark.timeout(120)]

LISTENER = ("listener {port} 127.0.0.1\nallow_anonymous true\nlog_type all\nlog_timestamp false\n"
            "log_buffer_size 16384\n")
COUNT = 1500  # pings: two lines each, more than a pipe and the buffer hold


@pytest.fixture
def short():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nj"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def pipe(short):
    """A pipe by a name, that a log may be written to; opened for reading by us, and not read."""
    path = short / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


def read_now(reader):
    found = b""
    while True:
        try:
            block = os.read(reader, 65536)
        except BlockingIOError:
            block = b""
        if not block:
            return found.decode()
        found += block


def ping_much(broker, what):
    """Every answer comes, whatever the log does. How long the slowest took is only printed."""
    client = broker.connect("busy", 4)
    slowest = 0.0
    for _ in range(COUNT):
        begin = time.monotonic()
        client.ping()
        slowest = max(slowest, time.monotonic() - begin)
    print(f"{what}: the slowest of {COUNT} round trips took {slowest * 1000:.1f} ms")


def lost_in(text):
    return sum(int(number) for number in re.findall(r"^Warning: (\d+) log lines were lost\.$",
                                                    text, re.M))


def is_accounted_for(text):
    """
    Every line of the pings is there, or told as lost; then there is room for more. Lines may be lost
    and told early as well, while the thread that writes them waits for a processor.
    """
    written = text.count("from busy") + text.count("to busy")
    return lost_in(text) > 0 and written + lost_in(text) >= 2 * COUNT


@pytest.mark.workers
def test_a_pipe_that_nobody_reads(start_broker, pipe, workers):
    path, reader = pipe
    broker = start_broker(LISTENER + f"log_dest file {path}\n")
    ping_much(broker, "unread pipe")
    text = ""

    def is_told():
        nonlocal text
        text += read_now(reader)
        return is_accounted_for(text)

    wait_until(is_told, 20, what="the number of lost lines")
    broker.connect("later", 4)

    def is_back():
        nonlocal text
        text += read_now(reader)
        return re.search(r"^New client connected from .* as later ", text, re.M)

    wait_until(is_back, 20, what="a later line")


def test_a_pipe_that_nobody_reads_does_not_stop_the_end(start_broker, pipe):
    broker = start_broker(LISTENER + f"log_dest file {pipe[0]}\n")
    ping_much(broker, "unread pipe")
    assert broker.stop() == 0


@pytest.mark.workers
def test_one_that_takes_nothing_leaves_others_alone(start_broker, pipe, workers):
    """The pipe is waited for once, for a second, and passed over then; nothing else is lost."""
    broker = start_broker(LISTENER.replace("16384", "1048576") +
                          f"log_dest file {pipe[0]}\nlog_dest stderr\n")
    ping_much(broker, "unread pipe beside stderr")
    broker.connect("later", 4)
    broker.expect_line(r"New client connected from .* as later .*", 20)
    assert broker.count_lines(r"Received PINGREQ from busy") == COUNT
    assert lost_in(broker.log()) == 0


@pytest.mark.workers
def test_a_syslog_that_is_stopped(start_broker, short, workers):
    path = short / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(path))
        syslog.settimeout(20)
        broker = start_broker(LISTENER + f"log_dest syslog\nlog_syslog_path {path}\n")
        ping_much(broker, "stopped syslog")
        text = ""
        while not is_accounted_for(text):
            text += syslog.recv(5000).decode().split("]: ")[1] + "\n"
        broker.connect("later", 4)
        while not re.search(r"^New client connected from .* as later ", text, re.M):
            text += syslog.recv(5000).decode().split("]: ")[1] + "\n"


def test_a_full_disk(start_broker):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    broker = start_broker(LISTENER + "log_dest file /dev/full\nlog_dest stderr\n")
    broker.connect("x", 4).ping()
    broker.expect_line(r"Sending PINGRESP to x")
