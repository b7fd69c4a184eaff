"""
Free ports, safe among parallel runs: each is held by a lock on a file until the process that took
it ends, and lies below the kernel's own range, so that no outgoing connection takes it meanwhile.
"""

import fcntl
import os
import pathlib
import random
import socket
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


def _listening(path):
    try:
        with open(path) as table:
            rows = [row.split() for row in table.readlines()[1:]]
    except FileNotFoundError:
        return set()
    return {int(row[1].rsplit(":", 1)[1], 16) for row in rows if row[3] == "0A"}


def listening():
    """The TCP ports that somebody on this machine listens on, without a connection to ask."""
    return _listening("/proc/net/tcp") | _listening("/proc/net/tcp6")
