"""
A broker at which calls fail: clients that take a refusal for want of memory for an answer, and
witnesses who must not notice anything.
"""

import contextlib
import re
import time

from . import wire
from .client import PATIENCE, Client, Closed
from .process import wait_until

# What a peer may be told when the broker can't: by packet. Version 3 knows less.
REFUSALS = {
    "CONNACK": {0x80, 0x83, 0x88, 0x89, 0x97, 3},
    "SUBACK": {0x80, 0x83, 0x97},
    "UNSUBACK": {0x80, 0x83},
    "PUBACK": {0x80, 0x83, 0x97},
    "PUBREC": {0x80, 0x83, 0x97},
    "DISCONNECT": {0x80, 0x83, 0x97},
}
# The line that says why somebody was closed without a word.
EXCUSES = re.compile(r".*(out of memory|cannot allocate memory|quota exceeded|server unavailable|"
                     r"implementation specific error|server busy|too many open files|"
                     r"no buffer space|PROXY header: memory|messages are being dropped|configuration stays as it was).*", re.I)
# What is waited for while a call fails: longer than a listener's pause without descriptors.
SHORT = 4.0


class Broken(AssertionError):
    """The broker did what it must not, whatever fails."""


class Peer(Client):
    """Notes what it was refused."""

    def __init__(self, bench, *arguments, **options):
        self.bench = bench
        super().__init__(*arguments, **options)

    def receive(self, timeout=PATIENCE):
        return super().receive(min(timeout, self.bench.patience))

    def receive_new(self, timeout=PATIENCE):
        got = super().receive_new(timeout)
        if got is not None:
            self.bench.note(self, got)
        return got


class Bench:
    def __init__(self, start_broker, text, points, **options):
        self.points, self.patience = points, PATIENCE
        self.refused, self.peers, self.serial = [], [], 0
        self.broker = start_broker(text, environment=points.environment, **options)
        self.witnesses = [self.witness(n) for n in range(2)]
        self.descriptors = self.broker.descriptors()
        self.log_at = 0

    # ---- clients ----

    def witness(self, number):
        client = self.broker.connect(f"witness-{number}", 4 + number % 2)
        client.subscribe(f"witness/{number}", qos=1)
        return client

    def open(self, version=5, address=None, name=""):
        peer = Peer(self, address or self.broker.address, version, None, name)
        self.peers.append(peer)
        return peer

    def connect(self, name=None, version=5, before=b"", behind=b"", address=None, **fields):
        """A client whose name no step has used before, unless the step gives it one."""
        self.serial += 1
        peer = self.open(version, address, name or f"peer-{self.serial}")
        peer.send(before + wire.connect(peer.name, version, **fields) + behind)
        peer.connack = peer.expect("CONNACK", code=0)
        return peer

    def name(self, front=""):
        self.serial += 1
        return f"{front}{self.serial}"

    def note(self, peer, got):
        code = got.fields.get("code", got.fields.get("reason", 0))
        codes = [each for each in [code, *got.fields.get("codes", [])] if each >= 0x80 or
                 (got.kind == "CONNACK" and each)]
        for each in codes:
            self.refused.append((peer.name, got.kind, each))
            if each not in REFUSALS.get(got.kind, ()) and each not in (0x8B, 0x8E):
                raise Broken(f"{peer} was told 0x{each:02X} in {got}")

    # ---- one step ----

    def log_lines(self):
        """What was logged since this was asked last; the log is written by a thread of its own."""
        text = self.broker.process._text()
        lines, self.log_at = text[self.log_at:].splitlines(), len(text)
        return lines

    def run(self, step):
        """The step as it is when nothing fails."""
        try:
            step(self)
        finally:
            self.leave()

    def leave(self):
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.close()
        self.peers.clear()

    def run_failing(self, step, what, first, times=1):
        """
        The step while something fails; whether it did fail. A peer may be refused or closed, with a
        line that says why (not while everything fails: then some just have to wait); the broker
        must live, and serve everybody else.
        """
        self.log_lines()
        self.refused.clear()
        self.patience = getattr(step, "patience", SHORT)
        excuse = None
        try:
            with self.points.armed(what, first, times):
                step(self)
        except Broken:
            raise
        except (AssertionError, Closed, OSError) as error:
            excuse = error
        finally:
            self.patience = PATIENCE
            self.leave()
        failed = self.points.failed()
        if hasattr(step, "tidy"):
            step.tidy(self)
        if excuse and times == 1 and not self.refused and not self.finds_excuse():
            raise Broken(f"nobody said why: {type(excuse).__name__}: {excuse}")
        self.check()
        return failed > 0

    def finds_excuse(self):
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            if any(EXCUSES.fullmatch(line) for line in self.log_lines()):
                return True
            time.sleep(0.02)
        return False

    def check(self):
        """Everybody else is served, and so is who comes now; what belonged to the others is free."""
        if not self.broker.is_alive():
            raise Broken("the broker died")
        for number, witness in enumerate(self.witnesses):
            other = self.witnesses[1 - number]
            self.serial += 1
            payload = b"still %d" % self.serial
            other.publish(f"witness/{number}", payload, qos=1)
            witness.expect_message(f"witness/{number}", payload, qos=1)
        fresh = self.connect()
        fresh.subscribe("fresh/+", qos=1)
        fresh.send(wire.publish("fresh/x", b"me", 1, 9, version=5))
        got = {fresh.expect_any().kind, fresh.expect_any().kind}
        if got != {"PUBACK", "PUBLISH"}:
            raise Broken(f"a fresh client got {got}")
        self.leave()
        try:
            wait_until(lambda: self.broker.descriptors() <= self.descriptors, 5)
        except AssertionError:
            raise Broken(f"{self.broker.descriptors()} descriptors, not {self.descriptors}") \
                from None
