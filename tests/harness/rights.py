"""What a process may do, as the kernel tells it, and folders that every user may use."""

import contextlib
import os
import pathlib
import shutil
import tempfile

import pytest

NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

# After its user has changed, a process can't be looked into by the leak sanitizer that it brings.
NO_LEAK_CHECK = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}


@contextlib.contextmanager
def open_folder():
    """A folder for everybody; pytest's own are root's alone."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nightjar-tests-"))
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def statuses(pid):
    """The fields of /proc/PID/status of each thread."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        yield {name: value.split() for name, value in (line.split(":", 1) for line in lines)}


def capabilities(status):
    """All that the thread holds or could come to hold, but for the bounding set."""
    return [int(status[name][0], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")]
