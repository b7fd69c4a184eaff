"""
Who the broker is once it serves: an ordinary user, whatever it was started as, without a capability
and without a way to gain one.
"""

import os
import stat

import pytest

from harness.process import wait_until
from harness.rights import NO_LEAK_CHECK, NOBODY, as_root, capabilities, open_folder, statuses

LISTENER = "listener {port} 127.0.0.1\nallow_anonymous true\n"

pytestmark = pytest.mark.nightjar("no such promises")


@pytest.fixture
def folder():
    with open_folder() as path:
        yield path


def expect_rights(broker, uid, gid, groups):
    """Every thread, before any client byte can have been read."""
    seen = wait_until(lambda: len(found := list(statuses(broker.pid))) >= 2 and found,
                      what="the start of the workers")
    for status in seen:
        assert {int(each) for each in status["Uid"]} == {uid}, status
        assert {int(each) for each in status["Gid"]} == {gid}, status
        assert sorted(map(int, status["Groups"])) == groups, status
        assert status["NoNewPrivs"] == ["1"]
        if uid != 0:
            assert capabilities(status) == [0, 0, 0, 0], status


@as_root
def test_user(start_broker):
    broker = start_broker(LISTENER + "user nobody\n", environment=NO_LEAK_CHECK)
    expect_rights(broker, NOBODY, NOBODY, [NOBODY])
    broker.connect("x", 4).ping()


@as_root
def test_root_stays_root(start_broker):
    broker = start_broker(LISTENER + "user root\n")
    for status in statuses(broker.pid):
        assert status["Uid"][0] == "0" and status["NoNewPrivs"] == ["1"]
    broker.expect_line(r"Warning: Running as root.*")


@as_root
@pytest.mark.parametrize("given, uid, gid", [
    ({"PUID": "12345"}, 12345, 12345), ({"PUID": "12345", "PGID": "23456"}, 12345, 23456),
    ({"PGID": "23456"}, NOBODY, 23456)])
def test_numbers_of_the_environment(start_broker, given, uid, gid):
    broker = start_broker(LISTENER + "user nobody\n", environment={**given, **NO_LEAK_CHECK})
    expect_rights(broker, uid, gid, [gid])


@as_root
@pytest.mark.parametrize("name", ["PUID", "PGID"])
def test_no_number(start_broker, name):
    broker = start_broker(LISTENER, environment={name: "mqtt"}, ready=False)
    assert broker.wait() == 3
    broker.expect_line(rf"Error: Invalid {name} value \(mqtt\)\.")


@as_root
def test_in_a_snap(start_broker):
    broker = start_broker(LISTENER + "user nobody\n", environment={"SNAP_NAME": "mosquitto"})
    assert all(status["Uid"][0] == "0" for status in statuses(broker.pid))


@as_root
def test_no_such_user(start_broker):
    broker = start_broker(LISTENER + "user no-such-user\n", ready=False)
    assert broker.wait() == 1
    broker.expect_line(r"Error: Unable to drop privileges to 'no-such-user' because this user does "
                       r"not exist\.")


def accounts(folder, *names):
    """What a shell does before the broker starts: other accounts, in a mount namespace."""
    with open("/etc/passwd") as file:
        kept = [line for line in file if line.split(":")[0] in ("root", *names)]
    (folder / "passwd").write_text("".join(kept))
    (folder / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
    mounts = " && ".join(f"mount --bind {folder}/{name} /etc/{name}"
                         for name in ("passwd", "nsswitch.conf"))
    return ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$0" "$@"']


@as_root
def test_without_mosquitto_it_is_nobody(start_broker, tmp_path):
    broker = start_broker("listener {port} 127.0.0.1\nuser mosquitto\n", ready=True,
                          prefix=accounts(tmp_path, "nobody"), environment=NO_LEAK_CHECK)
    broker.expect_line(r"Warning: Unable to drop privileges to 'mosquitto' because this user does "
                       r"not exist\. Trying 'nobody' instead\.")
    expect_rights(broker, NOBODY, NOBODY, [NOBODY])


@as_root
def test_nobody_at_all(start_broker, tmp_path):
    """mosquitto is also whom the broker becomes when nobody said whom."""
    broker = start_broker("listener {port} 127.0.0.1\nuser mosquitto\n", ready=False,
                          prefix=accounts(tmp_path))
    assert broker.wait() == 1
    broker.expect_line(r"Error: Unable to drop privileges to 'nobody' because .*")


@as_root
def test_a_drop_that_fails_is_the_end(start_broker):
    """Without the right to change its groups root can't become another user."""
    broker = start_broker(LISTENER + "user nobody\n", ready=False,
                          prefix=["setpriv", "--bounding-set=-setgid", "--inh-caps=-setgid"])
    assert broker.wait() == 1
    broker.expect_line(r"Error: Unable to set groups whilst dropping privileges: .*")
    assert "running" not in broker.log()


@as_root
def test_an_ordinary_user_keeps_no_capability(start_broker, folder):
    """Started with one, to open a port below 1024, and the option user means nothing."""
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
              "--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"]
    config = folder / "conf"
    config.write_text(f"listener 0 {folder}/s\nuser root\nallow_anonymous true\n")
    broker = start_broker(None, prefix=prefix, ready=False, environment=NO_LEAK_CHECK,
                          arguments=["-c", str(config)])
    broker.expect_line(r"nightjar version \S+ running")
    expect_rights(broker, NOBODY, NOBODY, [])


@pytest.mark.parametrize("mask, mode", [("027", 0o640), ("000", 0o644), ("0777", 0)])
def test_umask(start_broker, tmp_path, mask, mode):
    broker = start_broker(LISTENER + f"pid_file {tmp_path}/pid\n", environment={"UMASK_SET": mask})
    wait_until((tmp_path / "pid").exists, what="the pid file")
    assert (tmp_path / "pid").stat().st_mode & 0o777 == mode
    broker.stop()


@pytest.mark.parametrize("mask", ["8", "rw", "01777", ""])
def test_wrong_umask(start_broker, mask):
    broker = start_broker(LISTENER, environment={"UMASK_SET": mask}, ready=False)
    assert broker.wait() == 3
    broker.expect_line(rf"Error: Invalid UMASK_SET value \({mask}\)\.")


# ---- the pid file ----

def test_pid_file(start_broker, tmp_path):
    path = tmp_path / "pid"
    path.write_text("4194304 was somebody else, long ago\n")
    broker = start_broker(LISTENER + f"pid_file {path}\n")
    wait_until(lambda: path.read_text() == f"{broker.pid}\n", what="the pid file")
    broker.connect("x", 4)
    assert broker.stop() == 0
    assert not path.exists()


@as_root
def test_pid_file_after_the_drop(start_broker, folder):
    """The folder is root's with the sticky bit: only who owns a file may remove it."""
    folder.chmod(0o1777)
    broker = start_broker(LISTENER + f"user nobody\npid_file {folder}/pid\n",
                          environment=NO_LEAK_CHECK)
    path = folder / "pid"
    wait_until(path.exists, what="the pid file")
    assert path.stat().st_uid == NOBODY and path.read_text() == f"{broker.pid}\n"
    assert broker.stop() == 0
    assert not path.exists()


@as_root
def test_pid_file_that_stays_is_empty(start_broker, folder):
    """Where nothing may be removed, at least nobody is named any more."""
    folder.chmod(0o755)
    broker = start_broker(LISTENER + f"user nobody\npid_file {folder}/pid\n",
                          environment=NO_LEAK_CHECK)
    assert broker.stop() == 0
    assert (folder / "pid").read_text() == ""
    again = start_broker(LISTENER + f"user nobody\npid_file {folder}/pid\n",
                         environment=NO_LEAK_CHECK)
    assert (folder / "pid").read_text() == f"{again.pid}\n"


@pytest.mark.parametrize("path", ["/nowhere/at/all/pid", "/proc", "/dev/full"])
def test_no_pid_file(start_broker, path):
    broker = start_broker(LISTENER + f"pid_file {path}\n", ready=False)
    assert broker.wait() == 1
    broker.expect_line(rf"Error: Unable to write pid file '{path}': .*")


@as_root
def test_devices_are_accepted(start_broker, tmp_path):
    device = tmp_path / "null"
    os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    broker = start_broker(LISTENER + f"user nobody\npid_file {device}\n",
                          environment=NO_LEAK_CHECK)
    assert device.stat().st_uid == 0
    assert broker.stop() == 0
    assert device.exists()
