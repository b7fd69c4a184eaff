"""
Every call of the broker that may fail is made to fail: at the start, while it serves, and at its
end. Either the broker ends by itself with a line that says why (at the start alone), or it goes on,
refuses what it can't do, and everybody else is served.

A point is a place in the source (src/base/failpoint.h); all that exist are counted, not only those
that were come by. NIGHTJAR_TESTS_FAULTS=first fails the first hit of each and one in the middle,
NIGHTJAR_TESTS_FAULTS=every up to a hundred.
"""

import collections
import os
import re
import time

import pytest

from harness import failpoints, rights, steps
from harness.bench import Bench, Broken
from harness.failpoints import EVERY, FOREVER, MEMORY, Failpoints, numbers
from harness.launch import RECIPES, Launch

pytestmark = [
    pytest.mark.nightjar("failpoints are ours"),
    pytest.mark.timeout(8 * 3600 if EVERY else 3600),
    pytest.mark.skipif(not failpoints.is_built_in(), reason="not built with -Dfailpoints=true"),
]

# Points that nothing here can fail: by name, with the reason. Those that do fail must not stand here.
UNREACHED = {
    "client/acks.c ack_new memory_alloc_zero": "needs a store that makes acknowledgements wait",
    "core/keep.c keep_prepare_hold memory_alloc": "needs a store that makes acknowledgements wait",
    "core/keep.c keep_begin_drops memory_alloc": "needs a store that keeps deliveries",
}
# Points that only some machines come by.
UNSURE = {
    "app/privileges.c find_user getpwnam 2": "only where nobody is called mosquitto",
}
NEED_ROOT = re.compile(r"app/privileges\.c .*|.* fchown")


class Run:
    """What is failed at brokers that serve, one after the other."""

    def __init__(self, start_broker, points, text, todo, done):
        self.start_broker, self.points, self.text, self.todo = start_broker, points, text, todo
        self.done = set(done)
        self.bench, self.errors, self.lived = None, [], []
        self.failed = collections.Counter()

    def fresh(self):
        self.finish()
        self.bench = Bench(self.start_broker, self.text, self.points, workers=2,
                           files=steps.FILES)

    def finish(self):
        if not self.bench:
            return
        try:
            self.bench.finish()
        except AssertionError as error:
            self.errors.append(f"at the end, after {self.lived[-40:]}: {error}")
        self.bench, self.lived = None, []

    def record(self):
        """How often each step hits each point."""
        self.fresh()
        self.seconds, self.hits = {}, {}
        for step in self.todo:
            before, began = self.points.hits(), time.monotonic()
            self.bench.run(step)
            self.seconds[step] = time.monotonic() - began
            self.hits[step] = [after - b for b, after in zip(before, self.points.hits())]
            ending = [point for point in self.points.points
                      if point.ends_process and self.hits[step][point.index]]
            self.errors += [f"{point} ends a process that serves, in {step.__name__}"
                            for point in ending]

    def one(self, step, what, first, times=1):
        """Whether it came to a failure."""
        name = what if isinstance(what, str) else repr(what)
        index = MEMORY if what == "memory" else what.index
        self.lived.append(f"{step.__name__}/{name}/{first}")
        began = time.monotonic()
        try:
            is_failed = self.bench.run_failing(step, index, first, times)
        except (Broken, AssertionError) as error:
            self.errors.append(f"{name}, hit {first} in {step.__name__}: {error}")
            if "NIGHTJAR_TESTS_FAULTS_TELL" in os.environ:
                print(self.errors[-1], flush=True)
            self.bench.broker.process.kill()
            self.fresh()
            return True
        if os.environ.get("NIGHTJAR_TESTS_FAULTS_TELL"):
            print(f"{time.monotonic() - began:6.2f} {step.__name__} {name} {first}: "
                  f"{is_failed} {self.bench.refused[:3]}", flush=True)
        return is_failed

    def fail_point(self, point):
        """In the quickest step that comes by it; in a fresh broker where it only comes at first."""
        at = sorted((step for step in self.todo if self.hits[step][point.index]),
                    key=lambda step: self.seconds[step])
        for step in at if EVERY else at[:1]:
            for first in numbers(self.hits[step][point.index]):
                self.failed[point.name] += self.one(step, point, first)
        for step in at:
            if self.failed[point.name]:
                return
            self.fresh()
            self.failed[point.name] += self.one(step, point, 1)

    def fail_all(self):
        self.record()
        for point in self.points.points:
            if not point.ends_process and point.name not in self.done:
                self.fail_point(point)
        for step in self.todo:
            for first in (1, 8):
                self.one(step, "memory", first, FOREVER)
        self.finish()


def test_every_point(start_broker):
    with rights.open_folder() as folder:
        fail_every_point(start_broker, Failpoints(folder / "points"))


def fail_every_point(start_broker, points):
    exist = {point.name for point in points.points}
    failed, errors = collections.Counter(), []

    def serve(again=False):
        for text, todo in steps.PARTS:
            run = Run(start_broker, points, text, todo, +failed if again or not EVERY else ())
            run.fail_all()
            failed.update(run.failed)
            errors.extend(run.errors)

    def never():
        names = {name for name in exist if not failed[name]}
        if os.geteuid() != 0:
            names = {name for name in names if not NEED_ROOT.fullmatch(name)}
        return names

    serve()
    launched, ended = collections.Counter(), 0
    for recipe in RECIPES:
        if recipe.needs_root and os.geteuid() != 0:
            continue
        launch = Launch(recipe, points)
        launch.fail_all(lambda at, name: EVERY or not launched[at, name], numbers)
        launch.close()
        launched += launch.failed
        ended += launch.ended
        errors += launch.errors
    for (_, name), times in launched.items():
        failed[name] += times
    # Which worker accepts a connection is chance: what nobody came by may be come by another time.
    for _ in range(3):
        if never() <= set(UNREACHED) | set(UNSURE):
            break
        serve(again=True)
    times = sum(failed.values())
    print(f"{len(exist)} points, {len(exist - never())} of them failed, {times} times: "
          f"{times - ended - len(errors)} survived, {ended} ended cleanly, {len(errors)} neither")
    errors += [f"never failed: {name}" for name in sorted(never() - set(UNREACHED) - set(UNSURE))]
    errors += [f"listed as unreached, but is not: {name}" for name in UNREACHED
               if name not in never()]
    errors += [f"listed, but is not there: {name}" for name in UNSURE if name not in exist]
    assert not errors, "\n\n".join(errors)
