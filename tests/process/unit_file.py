"""
The unit for systemd: it can be read, and leaves the service next to nothing to do harm with.
"""

import pathlib
import re
import shutil
import subprocess

import pytest

from harness.broker import ROOT, binary

UNIT = ROOT / "packaging/systemd/nightjar.service"

pytestmark = [
    pytest.mark.nightjar("ours"),
    pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze"),
]


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", "--no-pager", *arguments], capture_output=True,
                          text=True, timeout=60, check=False)


def test_exposure():
    """1.5 at most, of 10."""
    done = analyze("security", "--offline=true", "--threshold=15", str(UNIT))
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_can_be_read(tmp_path):
    unit = tmp_path / "nightjar.service"
    unit.write_text(UNIT.read_text().replace("/usr/sbin/nightjar", binary("nightjar")))
    done = analyze("verify", "--man=no", str(unit))
    assert done.returncode == 0 and done.stderr == "", done.stderr


def test_the_sockets_can_be_read(tmp_path):
    (tmp_path / "nightjar.service").write_text(
        UNIT.read_text().replace("/usr/sbin/nightjar", binary("nightjar")))
    unit = tmp_path / "nightjar.socket"
    unit.write_text(UNIT.with_suffix(".socket").read_text())
    done = analyze("verify", "--man=no", str(unit))
    assert done.returncode == 0 and done.stderr == "", done.stderr


def allowed_calls():
    """What SystemCallFilter= of the unit comes to."""
    calls = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), re.M):
        take_away = line.startswith("~")
        for name in line.lstrip("~").split():
            named = expand(name)
            calls = calls - named if take_away else calls | named
    return calls


def expand(name):
    if not name.startswith("@"):
        return {name}
    lines = analyze("syscall-filter", name).stdout.splitlines()[1:]
    names = {each.strip() for each in lines if each.strip() and not each.strip().startswith("#")}
    return set().union(*map(expand, names))


def is_sanitized():
    """A sanitizer calls what it likes, and can't look into a process that is traced already."""
    program = pathlib.Path(binary("nightjar"))
    return program.exists() and re.search(rb"__[at]san_init", program.read_bytes()) is not None


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.skipif(is_sanitized(), reason="a sanitizer has calls of its own")
@pytest.mark.timeout(120)
def test_the_filter_lets_pass_what_is_called(start_broker, tmp_path):
    """But for becoming another user, which a service of this unit need not."""
    trace = tmp_path / "trace"
    broker = start_broker("listener {port}\nallow_anonymous true\nlistener 0 {dir}/socket\n"
                          "log_dest file {dir}/own.log\npid_file {dir}/pid\n",
                          prefix=["strace", "-f", "-qq", "-o", str(trace)])
    client = broker.connect("x", 5)
    client.subscribe("#", qos=2)
    client.publish("t", b"x" * 100000, qos=0)
    child = pathlib.Path(f"/proc/{broker.pid}/task/{broker.pid}/children").read_text().split()[0]
    subprocess.run(["kill", "-USR2", child], check=True)
    subprocess.run(["kill", "-TERM", child], check=True)
    assert broker.wait(60) == 0
    calls = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.M))
    assert "epoll_wait" in calls or "epoll_pwait" in calls, calls
    assert calls - allowed_calls() <= set(), calls - allowed_calls()
