"""
A reload that can't be done whole is not done: whatever is wrong, the line that says so comes, one
more says that all stays, and every option is as before.
"""

import os
import pathlib
import socket
import tempfile

import pytest

from harness import ports
from harness.process import wait_until

pytestmark = pytest.mark.nightjar("2.0 keeps half of it")

OPEN = "listener {port} 127.0.0.1\nallow_anonymous true\n"

# What would change, were it not for the mistake behind it.
CHANGES = OPEN + "max_keepalive 60\nmax_qos 1\nconnection_messages false\nlistener {port2} 127.0.0.1\n"


def expect_unchanged(broker):
    probe = broker.connect("probe", 5)
    assert not {"server_keep_alive", "maximum_qos"} & probe.connack.properties.keys()
    probe.disconnect()
    with socket.socket() as other:
        assert other.connect_ex(("127.0.0.1", broker.places["port2"])) != 0
    broker.expect_line("New client connected .* as probe .*")


def refused(broker, text, *lines):
    broker.expect_line("nightjar version .* running")
    broker.connect("probe", 5).disconnect()  # workers have a descriptor in reserve from then on
    descriptors = len(os.listdir(f"/proc/{broker.pid}/fd"))
    client = broker.connect("probe", 5)
    broker.reload(text, is_good=False)
    for line in lines:
        broker.expect_line(line)
    assert not [line for line in broker.lines() if "->" in line or "opens" in line]
    client.ping()
    client.disconnect()
    expect_unchanged(broker)
    wait_until(lambda: len(os.listdir(f"/proc/{broker.pid}/fd")) == descriptors,
               what="as many descriptors as before")


@pytest.mark.parametrize("wrong, line", [
    ("max_keepalive x", r"Error: Invalid max_keepalive value \(x\)\..*"),
    ("no_such_option 1", "Error: .*no_such_option.*"),
    ("max_inflight_bytes", "Error: .*max_inflight_bytes.*"),
    ("persistence true", ".*allow_memory_only.*"),
    ("log_dest file {dir}/none/log", "Error: Unable to open log file .*/none/log for writing: .*"),
    ("listener 1 192.0.2.77", r"Error: .* \(192\.0\.2\.77 port 1\)"),
    ("listener 0 {dir}/none/socket", r"Error: No such file or directory \(unix socket .*\)"),
    ("listener {port3}\nbind_interface none0", "Error: There is no network interface 'none0'.*"),
    ("include_dir {dir}/none", "Error: Unable to open include_dir '.*/none'.*"),
])
def test_a_mistake(start_broker, wrong, line):
    broker = start_broker(OPEN)
    refused(broker, CHANGES + wrong + "\n", line)
    broker.reload(CHANGES)
    assert broker.connect("probe", 5).connack.properties["maximum_qos"] == 1


def test_a_mistake_in_an_included_file(start_broker):
    broker = start_broker(OPEN)
    (broker.folder / "more").mkdir()
    (broker.folder / "more/a.conf").write_text("max_inflight_messages 3\n")
    (broker.folder / "more/b.conf").write_text("\nmax_qos 1\n")
    (broker.folder / "more/c.conf").write_text("max_queued_messages -1\n")
    refused(broker, CHANGES + "include_dir {dir}/more\n", "Error: Invalid max_queued_messages .*",
            r"Error found at .*/more/c\.conf:1\.")


def test_no_file_any_more(start_broker):
    broker = start_broker(OPEN)
    broker.config.rename(broker.folder / "away")
    broker.reload(is_good=False)
    broker.connect("x", 4).ping()


def test_an_address_in_use(start_broker):
    """Found out although others were opened before it, which are closed again."""
    broker = start_broker(OPEN)
    with socket.create_server(("127.0.0.1", broker.places["port3"])):
        refused(broker, CHANGES + "listener {port3} 127.0.0.1\n",
                r"Error: Address already in use \(127\.0\.0\.1 port \d+\)")
    broker.reload(CHANGES + "listener {port3} 127.0.0.1\n")
    broker.connect("probe", 5, address=("127.0.0.1", broker.places["port3"])).ping()


def test_another_address_of_an_open_port(start_broker):
    broker = start_broker(OPEN)
    broker.reload("listener {port}\nallow_anonymous true\n", is_good=False)
    broker.expect_line(r"Error: Port \d+ is open already: .*")
    broker.connect("x", 4).ping()


def unprivileged_from():
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
        return int(file.read())


@pytest.mark.skipif(os.geteuid() != 0, reason="has no rights to give up")
@pytest.mark.skipif(unprivileged_from() < 1024, reason="any port is for everybody here")
def test_a_port_below_1024(start_broker):
    text = "listener {port} 127.0.0.1\nallow_anonymous true\nuser nobody\n"
    with tempfile.TemporaryDirectory() as folder:  # that everybody may read
        os.chmod(folder, 0o755)
        config = pathlib.Path(folder) / "conf"
        port = ports.take()
        config.write_text(text.format(port=port))
        broker = start_broker(None, arguments=["-c", str(config)], places={"port": port})
        broker.config = config
        broker.reload(text + "listener 1023 127.0.0.1\n", is_good=False)
        broker.expect_line(r"Error: Permission denied \(127\.0\.0\.1 port 1023\)")
        broker.expect_line("Error: Listeners below port 1024 can only be opened at the start, .*")
        broker.connect("x", 4).ping()
