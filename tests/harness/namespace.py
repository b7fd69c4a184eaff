"""
A network of its own for a scenario: the thread that makes it, and whatever that starts, has a loopback
that nobody else sees, and limits of the kernel that are nobody else's.
"""

import contextlib
import ctypes
import os
import subprocess

import pytest

_NEWNET = 0x40000000  # include/uapi/linux/sched.h
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


@contextlib.contextmanager
def network_or_skip():
    """The scenario is skipped where whoever runs the tests may not make one."""
    with open("/proc/thread-self/ns/net") as outside:
        try:
            _check(_libc.unshare(_NEWNET))
        except OSError as error:
            pytest.skip(f"no network of its own: {error.strerror}")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True, capture_output=True)
            yield
        finally:
            _check(_libc.setns(outside.fileno(), _NEWNET))


def set_option(name, value):
    """One of net.*, of the network that this thread is in."""
    with open("/proc/sys/net/" + name.replace(".", "/"), "w") as file:
        file.write(value)
