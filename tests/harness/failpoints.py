"""
The table of failpoints that a broker built with -Dfailpoints=true shares with us (the layout is that
of src/base/failpoint.h): which points there are, how often each was hit and failed; arming one.
"""

import collections
import contextlib
import mmap
import os
import pathlib
import struct
import subprocess

from .broker import binary

MAGIC = b"NJFAIL1\0"
HEAD, ROW, NAME = 64, 128, 112
ANY, MEMORY, NONE = 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF
FOREVER = 0x7FFFFFFF
# Of a call that is come by more often so many hits fail, evenly spread.
EVERY = os.environ.get("NIGHTJAR_TESTS_FAULTS") == "every"
HITS_MAX = 100 if EVERY else 2


def numbers(count):
    """Which of so many hits fail."""
    wanted = min(count, HITS_MAX)
    return [1 + count * n // wanted for n in range(wanted)]


def is_built_in():
    """Whether the broker under test has failpoints at all."""
    return b"NIGHTJAR_FAILPOINTS" in pathlib.Path(binary("nightjar")).read_bytes()


class Point:
    """Its name has no line: it stays the same when lines are added above it."""

    def __init__(self, index, text):
        self.index, self.text = index, text
        place, self.function, self.call = text.split(" ")
        self.file, line = place.split(":")
        self.line = int(line)
        self.name = f"{self.file} {self.function} {self.call}"

    @property
    def ends_process(self):
        return self.call.startswith("memory_must_")

    def __repr__(self):
        return self.text


class Failpoints:
    """One file; several processes one after the other may use it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        subprocess.run([binary("nightjar"), "--version"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, **self.environment})
        self.path.chmod(0o666)  # brokers may be other users
        self.file = open(self.path, "r+b")
        self.memory = mmap.mmap(self.file.fileno(), 0)
        assert self.memory[:8] == MAGIC, "no table of failpoints"
        count, size = struct.unpack_from("<II", self.memory, 8)
        assert size == ROW and len(self.memory) == HEAD + ROW * count
        self.points = [Point(i, self._name(i)) for i in range(count)]
        self._number()
        self.clear()

    @property
    def environment(self):
        return {"NIGHTJAR_FAILPOINTS": str(self.path)}

    def _number(self):
        """The second call of a kind in a function is told from the first by a number."""
        seen = collections.Counter()
        for point in sorted(self.points, key=lambda point: (point.file, point.line)):
            seen[point.name] += 1
            if seen[point.name] > 1:
                point.name += f" {seen[point.name]}"

    def _name(self, index):
        start = HEAD + ROW * index
        return self.memory[start:start + NAME].split(b"\0")[0].decode()

    def hits(self):
        return [struct.unpack_from("<Q", self.memory, HEAD + ROW * i + NAME)[0]
                for i in range(len(self.points))]

    def failed(self):
        """How often what is armed has failed."""
        return struct.unpack_from("<Q", self.memory, 32)[0]

    def clear(self):
        """No counts, nothing armed."""
        struct.pack_into("<I", self.memory, 16, NONE)
        struct.pack_into("<Q", self.memory, 32, 0)
        for i in range(len(self.points)):
            struct.pack_into("<QQ", self.memory, HEAD + ROW * i + NAME, 0, 0)

    def arm(self, what, first=1, times=1):
        """From now on, hit number `first` of this (an index, ANY, MEMORY) and more fail."""
        struct.pack_into("<I", self.memory, 16, NONE)
        struct.pack_into("<Q", self.memory, 32, 0)
        struct.pack_into("<III", self.memory, 20, 0, first, times)
        struct.pack_into("<I", self.memory, 16, what)

    def disarm(self):
        struct.pack_into("<I", self.memory, 16, NONE)

    @contextlib.contextmanager
    def armed(self, what, first=1, times=1):
        self.arm(what, first, times)
        try:
            yield
        finally:
            self.disarm()
