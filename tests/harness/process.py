"""A process of ours: started in a folder of its own, its output kept, ended by its id."""

import os
import pathlib
import re
import resource
import select
import signal
import subprocess
import time

SANITIZER = re.compile(
    r"ERROR: (Address|Leak|Thread|Memory)Sanitizer|WARNING: ThreadSanitizer|runtime error:|"
    r"UndefinedBehaviorSanitizer|Assertion .* failed")


def wait_until(condition, timeout=10.0, every=0.01, what="it"):
    """Polls until the condition holds and answers its value."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout} s"
        time.sleep(every)
    return value


class Process:
    def __init__(self, arguments, folder, name, descriptors=None, environment=None):
        self.name = name
        self.log_path = pathlib.Path(folder) / f"{name}.log"
        self.started = time.monotonic()

        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, descriptors)

        # A function to call between fork and exec makes Python copy itself for it.
        between = None if descriptors is None else limit

        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                cwd=folder, preexec_fn=between, env={**os.environ, **(environment or {})})

    @property
    def pid(self):
        return self.process.pid

    def is_alive(self):
        return self.process.poll() is None

    def is_busy(self):
        """Whether a thread of it runs or wants to."""
        states = []
        for path in pathlib.Path(f"/proc/{self.pid}/task").glob("*/stat"):
            try:
                states.append(path.read_text().rsplit(")", 1)[1].split()[0])
            except OSError:
                pass  # it has ended meanwhile
        return "R" in states

    def wait_quiet(self, timeout=2.0):
        """
        Until nothing more is on its way into the log: the broker's threads sleep, and a moment
        later the file is as long as before. One that never rests is not waited for.
        """
        deadline = time.monotonic() + timeout
        size = -1
        while time.monotonic() < deadline and self.is_alive():
            before, size = size, self.log_path.stat().st_size
            if size == before and not self.is_busy():
                break
            time.sleep(0.05)

    def log(self):
        """All that has been logged until now."""
        self.wait_quiet()
        return self._text()

    def _text(self):
        return self.log_path.read_text(errors="backslashreplace")

    def lines(self, is_complete=True):
        """The log's lines without their time."""
        text = self.log() if is_complete else self._text()
        return [re.sub(r"^\d+: ", "", line) for line in text.splitlines()]

    def expect_line(self, pattern, timeout=5.0, count=1):
        """Waits until a line of the log matches as a whole; answers the match."""
        whole = re.compile(pattern)

        def matches():
            found = [match for line in self.lines(False) if (match := whole.fullmatch(line))]
            return found if len(found) >= count else None

        try:
            return wait_until(matches, timeout)[-1]
        except AssertionError:
            raise AssertionError(f"no line {pattern!r} in the log of {self.name}:\n{self.log()}") \
                from None

    def count_lines(self, pattern):
        whole = re.compile(pattern)
        return sum(1 for line in self.lines() if whole.fullmatch(line))

    def wait(self, timeout=10.0):
        """The exit status of a process that ends by itself."""
        if not self.has_ended_within(timeout):
            self.kill()
            raise AssertionError(f"{self.name} had not ended after {timeout} s:\n{self.log()}")
        return self.process.wait()

    def has_ended_within(self, timeout):
        """Popen.wait() looks again and again, up to 50 ms apart; the kernel can tell."""
        if not self.is_alive():
            return True
        descriptor = os.pidfd_open(self.pid)
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        try:
            return bool(ended.poll(timeout * 1000))
        finally:
            os.close(descriptor)

    def cpu_seconds(self):
        """Processor time used so far, user and system."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def is_sanitized(self):
        """Whether it was built with a sanitizer, and is slow by that."""
        return b"sanitizer" in pathlib.Path(f"/proc/{self.pid}/exe").read_bytes()

    def limit_descriptors(self, number):
        """Changes the limit of the running process; never above the one that it began with."""
        hard = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (number, hard))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, timeout=10.0):
        """SIGTERM; answers the exit status."""
        if self.is_alive():
            self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self):
        if self.is_alive():
            self.process.kill()
            self.process.wait()

    def check_log(self):
        found = SANITIZER.search(self.log())
        assert not found, f"{self.name} reported an error:\n{self.log()}"
