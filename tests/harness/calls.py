"""
What a worker of the broker asks of the kernel: every system call of one thread, whatever function it
came from, counted by this process as its tracer. The thread is held where it would wait for events
and runs one iteration at a time, so that the figures are exact, on any machine: what clients have
sent meanwhile it finds all at once.
"""

import collections
import contextlib
import ctypes
import functools
import os
import pathlib
import re
import signal
import subprocess

import pytest

from .process import wait_until

SEIZE, INTERRUPT, SYSCALL, DETACH, GET_SYSCALL_INFO = 0x4206, 0x4207, 24, 17, 0x420E
TRACESYSGOOD = 1
WALL = 0x40000000
AT_SYSCALL = signal.SIGTRAP | 0x80
ENTRY = 1
WAITS = {"epoll_wait", "epoll_pwait", "epoll_pwait2"}

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


@functools.cache
def names():
    """Of system calls on this machine, by number."""
    text = subprocess.run(["cc", "-dM", "-E", "-"], input="#include <sys/syscall.h>\n",
                          capture_output=True, check=True, text=True).stdout
    return {int(number): name for name, number in
            re.findall(r"^#define __NR_(\w+) (\d+)$", text, re.M)}


def ptrace(request, tid, address=0, data=0):
    result = libc.ptrace(request, tid, address, data)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace({request:#x}): {os.strerror(number)}")
    return result


def workers_of(broker):
    """The broker's threads that wait for events, as soon as all of them do; there are no others."""
    def waiting():
        found = []
        for path in pathlib.Path(f"/proc/{broker.pid}/task").iterdir():
            number = (path / "syscall").read_text().split()[0]
            if number.isdecimal() and names()[int(number)] in WAITS:
                found.append(int(path.name))
        return sorted(found) if len(found) == broker.workers else None

    return wait_until(waiting, what="rest")


def home_of(client, workers):
    """Which of these threads serves the client: the one that a PINGREQ wakes."""
    def switches():
        return [int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)$", path.read_text(), re.M)[1])
                for path in (pathlib.Path(f"/proc/{tid}/status") for tid in workers)]

    before = switches()
    for _ in range(10):
        client.ping()
    grown = [after - old for after, old in zip(switches(), before)]
    return workers[grown.index(max(grown))]


class Worker:
    """One thread while it is traced; every use is the same thread's of this process."""

    def __init__(self, tid):
        self.tid = tid

    def __enter__(self):
        try:
            ptrace(SEIZE, self.tid, data=TRACESYSGOOD)
        except PermissionError:
            pytest.skip("no right to trace a process here")
        ptrace(INTERRUPT, self.tid)
        self.stopped()
        self.step(collections.Counter())
        return self

    def __exit__(self, *_):
        """Only a thread that is stopped can be let go; who timed out left it running."""
        try:
            ptrace(DETACH, self.tid)
        except ProcessLookupError:
            with contextlib.suppress(ProcessLookupError, AssertionError):
                ptrace(INTERRUPT, self.tid)
                self.stopped()
                ptrace(DETACH, self.tid)

    def stopped(self):
        """Waits for the thread's next stop; what signal it is for."""
        _, status = os.waitpid(self.tid, WALL)
        assert os.WIFSTOPPED(status), f"the thread ended with {status:#x}"
        return os.WSTOPSIG(status)

    def entered(self):
        """The name of the call that the thread stopped at the entry of; None at any other stop."""
        if self.stopped() != AT_SYSCALL:
            return None
        info = (ctypes.c_uint64 * 16)()
        ptrace(GET_SYSCALL_INFO, self.tid, ctypes.sizeof(info), ctypes.addressof(info))
        return names().get(info[3], str(info[3])) if info[0] & 0xFF == ENTRY else None

    def step(self, calls):
        """Lets the thread run until it wants to wait for events again."""
        name = None
        while name not in WAITS:
            ptrace(SYSCALL, self.tid)
            name = self.entered()
            if name:
                calls[name] += 1

    def turn(self):
        """Lets the thread run until it has done something; all its calls on the way."""
        calls = collections.Counter()
        while calls.keys() <= WAITS:
            self.step(calls)
        return calls
