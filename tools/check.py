"""
Builds and tests everything: what ./dev test and .ci/run do.

The work is a list of stages. A stage is one command (or a few, one after another) with a log of its
own in build-check/, and it gives results: one per unit test, one per scenario, one for everything
that just succeeds or fails. A stage whose folder could not be built does not run and counts as a
failure; nothing is skipped silently.

Two slots, for two cores: builds use all cores and take both, the rest takes one. The last line is
always "N passed, N failed".
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "build-check"
SLOTS = 2
CORES = os.cpu_count() or 2
SEEDS = "2000"
FUZZ_SECONDS = "10"

# So many failed scenarios are run once more, alone (docs/decisions/0010): more are no accident.
AGAIN_MAX = 12
# What no second run takes back: the broker itself was found wrong, whatever else was going on.
FINAL = ("reported an error:", "the broker died", "the broker ended with", "had not ended after")

SANITIZERS = {
    # Malloc answers NULL where it can't help: the code under test must cope, as without sanitizer.
    "ASAN_OPTIONS": "allocator_may_return_null=1:detect_leaks=1:detect_stack_use_after_return=1:"
                    "strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "allocator_may_return_null=1:second_deadlock_stack=1:history_size=4",
    "ASAN_SYMBOLIZER_PATH": "/usr/bin/llvm-symbolizer-14",
    "TSAN_SYMBOLIZER_PATH": "/usr/bin/llvm-symbolizer-14",
    "UBSAN_SYMBOLIZER_PATH": "/usr/bin/llvm-symbolizer-14",
}


@dataclasses.dataclass
class Build:
    folder: str
    compiler: str
    options: list
    # What runs of it, where that is not all: targets, and the programs of these suites.
    targets: tuple = ()
    suites: tuple = ()


BUILDS = {
    "gcc": Build("build-gcc", "gcc", ["--buildtype=release", "-Db_lto=true"]),
    "asan": Build("build-asan", "clang-14",
                  ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dfailpoints=true"]),
    "tsan": Build("build-tsan", "clang-14", ["-Db_sanitize=thread", "-Db_lundef=false"],
                  targets=("src/nightjar", "src/nightjar-passwd"), suites=("threads",)),
    "fuzz": Build("build-fuzz", "clang-14",
                  ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dfuzz=true"],
                  suites=("fuzz",)),
}


@dataclasses.dataclass
class Result:
    name: str
    passed: bool
    text: str = ""
    again: bool = False  # passed only when it ran once more, alone


class Failure(Exception):
    """A stage that cannot give results of its own."""


class Stage:
    def __init__(self, name, run, needs=(), after=(), slots=1, seconds=600, ci_only=False):
        self.name, self.run = name, run
        self.needs, self.after = needs, after  # must have passed; must only be over
        self.slots, self.seconds, self.ci_only = slots, seconds, ci_only
        self.log = OUT / f"{name}.log"
        self.results, self.skipped, self.took = None, 0, 0.0
        self.process = None

    @property
    def is_failed(self):
        return self.results is not None and not all(each.passed for each in self.results)

    def execute(self):
        started = time.monotonic()
        self.deadline = started + self.seconds
        self.log.write_text("")
        try:
            self.results = self.run(self)
        except Failure as failure:
            self.results = [Result(self.name, False, str(failure))]
        except Exception as error:  # pylint: disable=broad-except
            self.results = [Result(self.name, False, f"{type(error).__name__}: {error}")]
        self.took = time.monotonic() - started

    def call(self, *command, **environment):
        """Runs a command into the log of the stage; its exit status, or Failure when too slow."""
        with self.log.open("a") as log:
            log.write("$ " + " ".join(map(str, command)) + "\n")
            log.flush()
            self.process = subprocess.Popen(
                list(map(str, command)), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, **SANITIZERS, **environment})
            try:
                return self.process.wait(max(1.0, self.deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.stop()
                raise Failure(f"not finished after {self.seconds} s") from None

    def stop(self):
        """Ends the process with everything it started, giving it time to tidy up."""
        process = self.process
        for number, patience in ((signal.SIGTERM, 20), (signal.SIGKILL, 5)):
            if process is None or process.poll() is not None:
                return
            try:
                os.killpg(process.pid, number)
                process.wait(patience)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass

    def tail(self, lines=40):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def must(self, *command, **environment):
        status = self.call(*command, **environment)
        if status != 0:
            raise Failure(f"exit status {status}\n{self.tail()}")


# ---- what stages do ----

def make(name, werror):
    build = BUILDS[name]

    def run(stage):
        folder = ROOT / build.folder
        options = build.options + [f"-Dtests={'disabled' if name == 'fuzz' else 'enabled'}",
                                   f"-Dwerror={'true' if werror else 'false'}"]
        if (folder / "build.ninja").exists():
            stage.must("meson", "configure", folder, *options)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            stage.must("meson", "setup", folder, *options, CC=build.compiler)
        stage.must("ninja", "-C", folder, "-j", str(CORES), *targets_of(build))
        return [Result(stage.name, True)]

    return Stage(f"build-{name}", run, slots=SLOTS, seconds=900)


def targets_of(build):
    """For ninja; none is everything."""
    if not build.suites:
        return []
    folder = ROOT / build.folder
    done = subprocess.run(["meson", "introspect", "--tests", str(folder)], capture_output=True,
                          text=True, check=True)
    programs = {pathlib.Path(each["cmd"][0]) for each in json.loads(done.stdout)
                if set(build.suites) & {suite.split(":")[-1] for suite in each["suite"]}}
    if not programs:
        raise Failure(f"no test of {', '.join(build.suites)} in {build.folder}")
    return [*build.targets, *sorted(str(each.relative_to(folder)) for each in programs)]


def meson_tests(name, suites, number):
    build = BUILDS[name]

    def run(stage):
        results = run_meson(stage, build, stage.name, "--num-processes", number, *suites)
        failed = [each for each in results if is_stress(each)]
        if 0 < len(failed) <= AGAIN_MAX:
            second = run_meson(stage, build, f"{stage.name}-again", "--num-processes", 1,
                               *(each.name.split(" / ")[-1] for each in failed))
            note_second_run(failed, second)
        return results or [Result(stage.name, False, "no unit test ran")]

    return Stage(f"unit-{name}", run, needs=(f"build-{name}",), slots=number)


def run_meson(stage, build, name, *arguments):
    folder = ROOT / build.folder
    log = folder / "meson-logs" / f"{name}.json"
    log.unlink(missing_ok=True)
    stage.call("meson", "test", "-C", folder, "--no-rebuild", "--logbase", name, *arguments)
    if not log.exists():
        raise Failure(f"no unit test ran\n{stage.tail()}")
    results = []
    for line in log.read_text().splitlines():
        test = json.loads(line)
        if test["result"] == "SKIP":
            stage.skipped += 1
            continue
        text = (test.get("stdout") or "") + (test.get("stderr") or "")
        passed = test["result"] in ("OK", "EXPECTEDFAIL")
        results.append(Result(test["name"], passed, f"{test['result']}\n{text}"))
    return results


def is_stress(result):
    """A unit test on threads, which is worth another run unless a sanitizer spoke."""
    return not result.passed and "+threads" in result.name and \
        not any(each in result.text for each in ("Sanitizer", "runtime error:", "Assertion"))


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def scenarios(name, *options, default_port=False, **how):
    """They mostly wait, for time-outs and for each other: so many at a time."""
    build = BUILDS[name]

    def run(stage):
        environment = {"NIGHTJAR": str(ROOT / build.folder / "src" / "nightjar")}
        if default_port and port_is_free(1883):
            environment["NIGHTJAR_TESTS_PORT_1883"] = "1"
        status, results = run_pytest(stage, stage.name, "tests", "-n", str(4 * CORES), *options,
                                     **environment)
        if status not in (0, 1) or not results:
            reason = {5: "no scenario ran"}.get(status, f"pytest ended with {status}")
            results.append(Result(stage.name, False, f"{reason}\n{stage.tail()}"))
        failed = [each for each in results if is_worth_another_run(each)]
        if status == 1 and 0 < len(failed) <= AGAIN_MAX:
            # Named one by one: what the marks chose is chosen.
            _, second = run_pytest(stage, f"{stage.name}-again", *map(node_of, failed),
                                   *without_marks(options), **environment)
            note_second_run(failed, second)
        return results

    return Stage(f"scenarios-{name}", run, needs=(f"build-{name}",), seconds=2100, **how)


def run_pytest(stage, name, *arguments, **environment):
    """The exit status and the results."""
    report = OUT / f"{name}.xml"
    report.unlink(missing_ok=True)
    status = stage.call("/usr/bin/python3", "-m", "pytest", f"--junitxml={report}", *arguments,
                        **environment)
    if not report.exists():
        raise Failure(f"pytest ended with {status}\n{stage.tail()}")
    return status, read_junit(stage, report)


def is_worth_another_run(result):
    """Not when a sanitizer spoke or the broker ended by itself: that is no matter of time."""
    return not result.passed and "::" in result.name and \
        not any(each in result.text for each in FINAL)


def node_of(result):
    """area.file::test[x], as reports have it, for the command line."""
    module, test = result.name.split("::", 1)
    return f"tests/{module.replace('.', '/')}.py::{test}"


def without_marks(options):
    kept = list(options)
    while "-m" in kept:
        at = kept.index("-m")
        del kept[at:at + 2]
    return kept


def note_second_run(failed, second):
    passed = {each.name for each in second if each.passed}
    for result in failed:
        if result.name in passed:
            result.passed = result.again = True


def read_junit(stage, path):
    """One result for each test; pytest writes two cases where a test and its clean-up fail."""
    results = {}
    for case in xml.parse(path).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        wrong = [each for each in case if each.tag in ("failure", "error")]
        result = results.setdefault(name, Result(name, True))
        if wrong:
            result.passed = False
            result.text += (wrong[0].text or wrong[0].get("message") or "") + "\n"
        elif case.find("skipped") is not None:
            stage.skipped += 1
            del results[name]
    return list(results.values())


def simulator(stage):
    program = ROOT / BUILDS["gcc"].folder / "sim" / "nightjar-sim"
    if not program.exists():
        raise Failure("there is no simulator at " + str(program.relative_to(ROOT)))
    if stage.call(program, "--seeds", SEEDS) != 0:
        raise Failure(f"{stage.tail()}\nReplay a seed with: ./dev sim --seed N")
    return [Result(f"simulator, {SEEDS} seeds", True)]


def fuzz(stage):
    report = OUT / "fuzz.json"
    report.unlink(missing_ok=True)
    status = stage.call("/usr/bin/python3", "tools/fuzz.py", BUILDS["fuzz"].folder, "all",
                        FUZZ_SECONDS, "--report", report)
    if not report.exists():
        raise Failure(f"exit status {status}\n{stage.tail()}")
    return [Result(f"fuzz {each['name']}", each["passed"], each["text"])
            for each in json.loads(report.read_text())]


def single(name, *command, **options):
    def run(stage):
        stage.must(*command)
        return [Result(name, True)]

    return Stage(name, run, **options)


def stages(is_ci):
    """In the order in which they are begun when there is room: the long ones first."""
    return [
        # Mostly waits for packages: beside whatever else runs.
        single("bare", "./dev", "test-bare", "--only", "run", slots=0, seconds=1300, ci_only=True),
        make("gcc", is_ci),
        make("asan", is_ci),
        make("tsan", is_ci),
        make("fuzz", is_ci),
        scenarios("gcc", "--timeout", "60", default_port=True, after=("bare",)),
        # The release build takes every number of workers, the sanitizers one each.
        scenarios("asan", "--timeout", "120", "--workers", "2"),
        scenarios("tsan", "--timeout", "120", "-m", "workers and not laborious", "--workers", "4"),
        Stage("simulator", simulator, needs=("build-gcc",), seconds=600),
        Stage("fuzz", fuzz, needs=("build-fuzz",), seconds=900),
        meson_tests("gcc", [], 2),
        meson_tests("asan", ["--no-suite", "house"], 2),
        meson_tests("tsan", ["--suite", "threads"], 1),
        single("lint", "./dev", "lint", seconds=900, ci_only=True),
        single("format", "./dev", "format", "--check", ci_only=True),
    ]


# ---- running them ----

class Runner:
    def __init__(self, chosen):
        self.waiting, self.running, self.done = list(chosen), [], []
        self.names = {each.name for each in chosen}
        self.changed = threading.Condition()

    def is_ready(self, stage):
        finished = {each.name for each in self.done}
        return all(each in finished or each not in self.names
                   for each in (*stage.needs, *stage.after))

    def is_lost(self, stage):
        return any(each.is_failed for each in self.done if each.name in stage.needs)

    def next_stage(self):
        """
        The first that is ready and fits. Those behind a large one that does not fit may pass it:
        there are few of them, and it gets its turn when both slots are free.
        """
        free = SLOTS - sum(each.slots for each in self.running)
        for stage in self.waiting:
            if self.is_ready(stage) and stage.slots <= free:
                return stage
        return None

    def work(self, stage):
        stage.execute()
        with self.changed:
            self.running.remove(stage)
            self.finish(stage)
            self.changed.notify()

    def finish(self, stage):
        self.done.append(stage)
        passed = sum(each.passed for each in stage.results)
        failed = len(stage.results) - passed
        skipped = f", {stage.skipped} skipped" if stage.skipped else ""
        again = sum(each.again for each in stage.results)
        skipped += f", {again} only when run again" if again else ""
        print(f"{'FAILED' if failed else 'ok':7} {stage.name:16} {stage.took:6.0f} s  "
              f"{passed} passed, {failed} failed{skipped}", flush=True)

    def run(self):
        with self.changed:
            while self.waiting or self.running:
                stage = self.next_stage()
                if stage is None:
                    self.changed.wait()
                    continue
                self.waiting.remove(stage)
                if self.is_lost(stage):
                    stage.results = [Result(stage.name, False, "its build failed")]
                    self.finish(stage)
                    continue
                self.running.append(stage)
                threading.Thread(target=self.work, args=(stage,), daemon=True).start()
        return self.done

    def stop(self):
        for stage in list(self.running):
            stage.stop()


def shorten(text, lines=30):
    """The end of a text: there the reason stands."""
    kept = text.strip().splitlines()
    return "\n".join(["    ..."] * (len(kept) > lines) + [f"    {each}" for each in kept[-lines:]])


def tell_unsteady(done):
    """Passed, but only alone: whoever reads this should find out why."""
    unsteady = [(stage, each) for stage in done for each in stage.results if each.again]
    if unsteady:
        print("\nFailed among the others and passed when run again, alone\n")
    for stage, result in unsteady:
        print(f"- {stage.name}: {result.name}   ({stage.log.relative_to(ROOT)})")
        print(shorten(result.text, 12) + "\n")


def summary(done):
    tell_unsteady(done)
    failed = [(stage, each) for stage in done for each in stage.results if not each.passed]
    if failed:
        print("\nFailures\n")
    for number, (stage, result) in enumerate(failed, 1):
        if number > 40:
            print(f"... and {len(failed) - 40} more")
            break
        print(f"{number}. {stage.name}: {result.name}   ({stage.log.relative_to(ROOT)})")
        if number <= 15 and result.text:
            print(shorten(result.text) + "\n")
    return sum(len(stage.results) for stage in done) - len(failed), len(failed)


def arguments():
    parser = argparse.ArgumentParser(prog="./dev test")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="only these, and their builds")
    parser.add_argument("--ci", action="store_true", help="everything that CI does")
    parser.add_argument("--self-test", action="store_true", help="try this program itself")
    parser.add_argument("--list", action="store_true", help="name the stages and end")
    return parser.parse_args()


def choose(every, options):
    if not options.stages:
        return [each for each in every if options.ci or not each.ci_only]
    known = {each.name: each for each in every}
    unknown = [each for each in options.stages if each not in known]
    if unknown:
        sys.exit(f"./dev test: there is no stage {unknown[0]}; see ./dev test --list")
    wanted = set(options.stages)
    for name in options.stages:
        wanted.update(known[name].needs)
    return [each for each in every if each.name in wanted]


def end_on_signal(number, frame):
    del frame
    raise KeyboardInterrupt(number)


def self_test():
    """That a failure of any kind is counted, and that nothing is counted that did not run."""
    class Fake(Stage):
        def execute(self):
            self.results = self.run(self)

    def gives(*passed):
        return lambda stage: [Result(stage.name, each) for each in passed]

    order = []

    def note(stage):
        order.append(stage.name)
        return [Result(stage.name, True)]

    done = Runner([Fake("a", gives(True, True)), Fake("b", gives(True, False), slots=2),
                   Fake("after a", note, needs=["a"]), Fake("after b", note, needs=["b"]),
                   Fake("after none", note, needs=["not chosen"]),
                   Fake("when b is over", note, after=["b"])]).run()
    assert summary(done) == (6, 2), [vars(each) for each in done]
    assert sorted(order) == ["after a", "after none", "when b is over"], order

    OUT.mkdir(exist_ok=True)
    for command, seconds, is_right in (("true", 9, True), ("false", 9, False),
                                       ("sleep 9 & sleep 9", 1, False)):
        stage = single("self-test", "bash", "-c", command, seconds=seconds)
        stage.execute()
        assert [each.passed for each in stage.results] == [is_right], command

    report = OUT / "self-test.xml"
    report.write_text('<testsuites><testsuite><testcase classname="a" name="b"/>'
                      '<testcase classname="a" name="c"><failure message="m">text</failure>'
                      '</testcase><testcase classname="a" name="d"><error/></testcase>'
                      '<testcase classname="a" name="c"><error/></testcase>'
                      '<testcase classname="a" name="e"><skipped/></testcase>'
                      "</testsuite></testsuites>")
    stage = Stage("self-test", None)
    results = read_junit(stage, report)
    assert [each.passed for each in results] == [True, False, False]
    assert stage.skipped == 1
    test_second_run(results)


def test_second_run(results):
    """One that failed twice stays failed, and so does what no second run may take back."""
    assert [is_worth_another_run(each) for each in results] == [False, True, True]
    assert not any(is_worth_another_run(Result("a::b", False, each)) for each in FINAL)
    assert is_stress(Result("nightjar:unit+threads / client/storm", False, "FAIL"))
    assert not is_stress(Result("nightjar:unit+threads / base/rcu", False, "ThreadSanitizer: data"))
    assert not is_stress(Result("nightjar:unit / base/utf8", False, "FAIL"))
    assert not is_worth_another_run(Result("no scenario", False))
    assert node_of(Result("connect.versions::test_x[5-w1]", False)) == \
        "tests/connect/versions.py::test_x[5-w1]"
    assert without_marks(("--timeout", "9", "-m", "workers")) == ["--timeout", "9"]
    note_second_run(results[1:], [Result("a::c", True), Result("a::d", False)])
    assert [each.passed for each in results] == [True, True, False]
    assert [each.again for each in results] == [False, True, False]


def main():
    options = arguments()
    if options.self_test:
        return self_test()
    every = stages(options.ci)
    if options.list:
        print("\n".join(each.name + (" (with --ci)" if each.ci_only else "") for each in every))
        return 0
    OUT.mkdir(exist_ok=True)
    started = time.monotonic()
    print(f"Building and testing, {SLOTS} stages at a time; their logs are in "
          f"{OUT.relative_to(ROOT)}/.", flush=True)
    signal.signal(signal.SIGTERM, end_on_signal)
    runner = Runner(choose(every, options))
    try:
        done = runner.run()
    except KeyboardInterrupt:
        runner.stop()
        done = runner.done + [Stage("interrupted", None)]
        done[-1].results = [Result("interrupted", False)]
    passed, failed = summary(done)
    print(f"\n{time.monotonic() - started:.0f} s, logs in {OUT.relative_to(ROOT)}/")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
