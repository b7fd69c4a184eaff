"""
Free ports, safe among parallel runs: each is held by a lock on a file until the scenario that took
it ends, and lies below the kernel's own range, so that no outgoing connection takes it meanwhile.
"""

import contextlib
import fcntl
import os
import pathlib
import random
import socket
import struct
import sys
import tempfile

FOLDER = pathlib.Path(tempfile.gettempdir()) / f"nightjar-ports-{os.getuid()}"
LOWEST, HIGHEST = 12000, 31999

_held = []


def _is_free(port):
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def take():
    """A port that nobody listens on and no other test run gets."""
    FOLDER.mkdir(exist_ok=True)
    while True:
        port = random.randint(LOWEST, HIGHEST)
        lock = open(FOLDER / str(port), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        if _is_free(port):
            _held.append(lock)
            return port
        lock.close()


@contextlib.contextmanager
def borrowed():
    """What is taken inside is given back: each costs a descriptor, of which select() knows 1,024."""
    before = len(_held)
    yield
    for lock in _held[before:]:
        lock.close()
    del _held[before:]


# include/uapi/linux/sock_diag.h, inet_diag.h: ask for the sockets of one family in one state. The
# kernel keeps those that listen in a table of their own, while /proc/net/tcp is written out with
# every connection that ended in the last minute, thousands of them in a run.
_NETLINK_SOCK_DIAG = 4
_DIAG_BY_FAMILY, _REQUEST_DUMP, _DONE, _ERROR = 20, 0x301, 3, 2
_HEADER = struct.Struct("=IHHII")
_PORT, _QUEUED = slice(20, 22), slice(72, 76)
_LISTEN = 1 << 10


def _answers(family):
    """The kernel's messages about the sockets of a family that listen."""
    request = struct.pack("=BBBxI48x", family, socket.IPPROTO_TCP, 0, _LISTEN)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(_HEADER.pack(_HEADER.size + len(request), _DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0)
                    + request)
        while True:
            block = kernel.recv(1 << 16)
            while block:
                size, kind, *_ = _HEADER.unpack_from(block)
                if kind == _DONE:
                    return
                assert kind != _ERROR, f"the kernel does not tell who listens: {block.hex()}"
                yield block
                block = block[(size + 3) & ~3:]


def listening():
    """The TCP ports that somebody on this machine listens on, without a connection to ask."""
    return {int.from_bytes(each[_PORT], "big") for family in (socket.AF_INET, socket.AF_INET6)
            for each in _answers(family)}


def backlog(port):
    """How many connections to a port of ours were not accepted yet."""
    return max((int.from_bytes(each[_QUEUED], sys.byteorder) for each in _answers(socket.AF_INET)
                if int.from_bytes(each[_PORT], "big") == port), default=0)
