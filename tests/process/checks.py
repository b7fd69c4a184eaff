"""
--test-config looks as deep as a start would, and leaves everything as it was.
"""

import os

import pytest

from harness.rights import as_root, open_folder

GOOD = "listener {port} 127.0.0.1\nlistener 0 {dir}/socket\npid_file {dir}/pid\n" \
       "log_dest file {dir}/own.log\nlog_dest stderr\n"

pytestmark = pytest.mark.nightjar("2.0 only reads")


def look(start_broker, text, **options):
    broker = start_broker(text, arguments=["--test-config"], ready=False, **options)
    return broker, broker.wait()


def test_good(start_broker):
    broker, status = look(start_broker, GOOD)
    assert status == 0, broker.log()
    assert broker.lines() == ["Configuration file is OK."]
    assert sorted(os.listdir(broker.folder)) == ["broker.conf", "broker.log"]


def test_while_it_runs(start_broker):
    """What an operator does before a reload: ports and socket are taken, and that is right."""
    running = start_broker(GOOD)
    broker, status = look(start_broker, GOOD.replace("{dir}", str(running.folder)),
                          places={"port": running.port})
    assert status == 0, broker.log()
    running.connect("x", 4, code=5)
    assert (running.folder / "pid").read_text() == f"{running.pid}\n"


@pytest.mark.parametrize("line, says", [
    ("no_such_option 1", r"Error: Unknown configuration variable 'no_such_option'\."),
    ("pid_file /nowhere/at/all/pid", r"Error: Unable to write pid file '/nowhere/at/all/pid': .*"),
    ("log_dest file /nowhere/log", r"Error: Unable to open log file /nowhere/log for writing: .*"),
    ("listener 1884 192.0.2.77", r"Error: Cannot assign requested address \(192\.0\.2\.77 port .*"),
    ("listener 0 /nowhere/socket", r"Error: No such file or directory \(unix socket .*"),
    ("bind_interface nonesuch0", r"Error: There is no network interface 'nonesuch0'\."),
    pytest.param("user no-such-user", r"Error: Unable to drop privileges to 'no-such-user' .*",
                 marks=as_root),
    ("include_dir /nowhere", r"Error: Unable to open include_dir '/nowhere'\. .*"),
])
def test_wrong(start_broker, line, says):
    broker, status = look(start_broker, f"# first\n\nlistener {{port}}\n{line}\n", workers=None)
    assert status == 3, broker.log()
    broker.expect_line(says)
    broker.expect_line(rf"Error found at {broker.config}:4\.")


@as_root
def test_interfaces_and_addresses_of_this_place(start_broker):
    """Of the network that it would run in."""
    text = "listener {port} 192.0.2.77\nbind_interface there0\n"
    inside = ["unshare", "--net", "sh", "-c",
              'ip link set lo name there0 && ip address add 192.0.2.77/24 dev there0 && '
              'ip link set there0 up && exec "$0" "$@"']
    broker, status = look(start_broker, text, prefix=inside)
    assert status == 0, broker.log()
    broker, status = look(start_broker, text)
    assert status == 3, broker.log()


@as_root
def test_as_an_ordinary_user(start_broker):
    """Who can't write to a folder hears of it, as at a start."""
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with open_folder() as folder:
        config = folder / "conf"
        config.write_text(f"pid_file {folder}/pid\nlog_dest file /root/log\nuser no-such-user\n")
        broker = start_broker(None, prefix=prefix, ready=False,
                              arguments=["--test-config", "-c", str(config)])
        assert broker.wait() == 3, broker.log()
        broker.expect_line(r"Error: Unable to open log file /root/log for writing: .*denied\.")
        assert broker.count_lines(r"Error: .*") == 1
