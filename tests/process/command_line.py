"""
The command line: what Mosquitto's users and packages type.
"""

import json
import os
import socket
import subprocess

import pytest

from harness import ports
from harness.broker import ROOT, binary
from harness.process import wait_until


def run(kind, *arguments, name=None, folder="/"):
    return subprocess.run([name or binary(kind), *arguments], capture_output=True, text=True,
                          timeout=20, check=False, cwd=folder)


@pytest.fixture
def kind(request):
    return request.config.getoption("broker")


@pytest.mark.nightjar("2.0 ends with another status")
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help(kind, flag):
    done = run(kind, flag)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith(f"Usage: {binary(kind)} ")
    for each in ("-c, --config-file", "-d, --daemon", "-p, --port", "-q, --quiet", "-v, --verbose",
                 "-h, --help", "--test-config", "--version"):
        assert each in done.stdout


@pytest.mark.nightjar("ours")
def test_usage_has_the_name_of_the_start(kind, tmp_path):
    name = tmp_path / "mosquitto"
    os.symlink(binary(kind), name)
    assert run(kind, "-h", name=str(name)).stdout.startswith(f"Usage: {name} ")


@pytest.mark.nightjar("2.0 has no --version")
def test_version(kind):
    done = run(kind, "--version")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("nightjar version ")


@pytest.mark.nightjar("2.0 prints to both")
@pytest.mark.parametrize("flag", ["-x", "--no-such-thing", "file.conf"])
def test_unknown_argument(kind, flag):
    done = run(kind, flag)
    assert done.returncode == 3 and done.stdout == ""
    first, rest = done.stderr.split("\n", 1)
    assert first == f"Error: Unknown option '{flag}'." and rest.startswith("Usage: ")


@pytest.mark.nightjar("ours")
@pytest.mark.parametrize("arguments", [["-c"], ["-p", "0"], ["-p", "x"], ["--test-config"],
                                       ["-p", "1"] * 11])
def test_wrong_value(kind, arguments):
    done = run(kind, *arguments)
    assert done.returncode == 3 and done.stdout == ""
    assert done.stderr.startswith("Error: ") and "Usage" not in done.stderr


@pytest.mark.workers
def test_ten_ports(start_broker, workers):
    """All of them on the loopback addresses, and for everybody."""
    arguments = [each for n in range(10) for each in ("-p", f"{{port{n}}}")]
    broker = start_broker(None, arguments=arguments)
    for number in range(10):
        broker.connect(f"x-{number}", 4, address=("127.0.0.1", broker.places[f"port{number}"]))


def test_port_beside_listeners(start_broker):
    """The configuration's listeners win."""
    port = ports.take()
    broker = start_broker(arguments=["-p", str(port)])
    broker.connect("x", 4)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("flag", ["-q", "--quiet"])
def test_quiet(start_broker, flag):
    broker = start_broker(arguments=[flag, "-v"])
    broker.connect("x", 4).disconnect()
    assert broker.stop() == 0
    assert broker.log() == ""


@pytest.mark.nightjar("2.0 has no long form of this kind")
def test_verbose(start_broker):
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\nlog_dest none\n",
                          arguments=["--verbose"])
    broker.connect("x", 4).disconnect()
    broker.expect_line(r"Received DISCONNECT from x")


def test_second_broker(start_broker):
    """The port is taken: status 1, and the first one is left alone with its files."""
    text = "listener {port} 127.0.0.1\nallow_anonymous true\npid_file {dir}/../pid\n"
    first = start_broker(text)
    pid_file = first.folder.parent / "pid"
    wait_until(pid_file.exists, what="the pid file")
    second = start_broker(text, ready=False, places={"port": first.port})
    assert second.wait() == 1
    second.expect_line(r"Error: Address already in use.*")
    assert pid_file.read_text() == f"{first.pid}\n"
    first.connect("x", 4).ping()


@pytest.mark.nightjar("ours")
def test_closed_standard_descriptors(kind, tmp_path):
    """No file of the broker gets their numbers."""
    (tmp_path / "conf").write_text("listener 0 s\nno_such_option 1\n")
    done = subprocess.run(["sh", "-c", f"exec {binary(kind)} -c conf <&- >&- 2>&-"], cwd=tmp_path,
                          timeout=20, check=False)
    assert done.returncode == 3


@pytest.mark.nightjar("ours")
@pytest.mark.parametrize("what", ["options", "packets", "properties", "reasons"])
def test_describe(kind, what):
    """The pages of docs/, and the same for man and for tools."""
    page = run(kind, "--describe", what)
    assert page.returncode == 0 and page.stdout == (ROOT / f"docs/{what}.md").read_text()
    rows = json.loads(run(kind, "--describe", what, "--format", "json").stdout)
    man = run(kind, "--describe", what, "--format", "man").stdout
    assert len(rows) == man.count("\n.TP\n") > 10 and man.startswith(".TH nightjar")


@pytest.mark.nightjar("ours")
def test_describe_the_options_of_mosquitto(kind):
    rows = json.loads(run(kind, "--describe", "mosquitto", "--format", "json").stdout)
    assert len(rows) == 141
    text = (ROOT / "docs/mosquitto.md").read_text()
    for row in rows:
        assert f"| {row['name']} | {row['verdict']} |" in text


@pytest.mark.nightjar("ours")
@pytest.mark.parametrize("arguments", [["nothing"], ["options", "--format", "html"]])
def test_describe_what_is_not_there(kind, arguments):
    done = run(kind, "--describe", *arguments)
    assert done.returncode == 3 and done.stdout == "" and done.stderr.startswith("Error: --")
