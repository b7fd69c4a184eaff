"""
Every call that a reload comes by is made to fail, there and back. It is taken or refused as a whole:
what the log says holds is what clients meet and where lines go, and a refusal has its reason.
"""

import os
import time

import pytest

from harness import failpoints, rights
from harness.client import Closed
from harness.failpoints import EVERY, FOREVER, MEMORY, Failpoints, numbers
from harness.reloads import NEW, OLD, Reloads

pytestmark = [
    pytest.mark.nightjar("failpoints are ours"),
    pytest.mark.timeout(8 * 3600 if EVERY else 3600),
    pytest.mark.skipif(not failpoints.is_built_in(), reason="not built with -Dfailpoints=true"),
]

# From which hit on there is no memory at all.
MEMORY_FROM = range(1, 80) if EVERY else (1, 2, 4, 8, 16, 32)


class Run:
    def __init__(self, start_broker, points, folder):
        self.points = points
        self.reloads = Reloads(start_broker, points, folder)
        self.failed, self.errors, self.tries = set(), [], 0

    def record(self):
        """How often each point is hit on the way to either side; what is chance is not twice."""
        self.hits = {}
        for _ in range(2):
            self.reloads.fresh()
            for side in (NEW, OLD):
                hits = self.reloads.go(side)
                earlier = self.hits.get(side["name"], hits)
                self.hits[side["name"]] = [min(pair) for pair in zip(hits, earlier)]
                self.reloads.expect_whole()

    def one(self, side, what, first, times=1):
        self.tries += 1
        name = "memory" if what == MEMORY else self.points.points[what].name
        began = time.monotonic()
        try:
            is_failed = self.reloads.fail(side, what, first, times)
        except (AssertionError, Closed, OSError) as error:
            self.errors.append(f"{name}, hit {first} on the way to the {side['name']} "
                               f"configuration: {type(error).__name__}: {error}")
            self.reloads.bench.broker.process.kill()
            self.reloads.fresh()
            is_failed = True
            if "NIGHTJAR_TESTS_FAULTS_TELL" in os.environ:
                print(self.errors[-1], flush=True)
        if is_failed:
            self.failed.add(name)
        if os.environ.get("NIGHTJAR_TESTS_FAULTS_TELL"):
            print(f"{time.monotonic() - began:6.2f} to {side['name']} {name} {first}: {is_failed}, "
                  f"at {self.reloads.at['name']}", flush=True)

    def fail_point(self, point):
        for side in (NEW, OLD):
            count = self.hits[side["name"]][point.index]
            if count and (EVERY or point.name not in self.failed):
                for first in numbers(count):
                    self.one(side, point.index, first)
        for side in (NEW, OLD) * 2:  # only the first one of a broker may come by it
            if point.name not in self.failed:
                self.reloads.fresh()
                self.one(side, point.index, 1)

    def fail_all(self):
        self.record()
        passed = [point for point in self.points.points
                  if any(hits[point.index] for hits in self.hits.values())]
        for point in passed:
            if point.ends_process:
                self.errors.append(f"{point} ends a process that reloads")
            else:
                self.fail_point(point)
        for side in (NEW, OLD):
            for first in MEMORY_FROM:
                self.one(side, MEMORY, first, FOREVER)
        self.reloads.finish()
        self.errors += [f"never failed: {point}" for point in passed
                        if point.name not in self.failed]
        print(f"a reload comes by {len(passed)} points: {self.tries} failed reloads, "
              f"{len(self.errors)} errors")


def test_every_point_of_a_reload(start_broker):
    with rights.open_folder() as folder:
        run = Run(start_broker, Failpoints(folder / "points"), folder)
        try:
            run.fail_all()
        finally:
            run.reloads.close()
    assert not run.errors, "\n\n".join(run.errors)
