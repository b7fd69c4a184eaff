"""
A broker at which calls fail: clients that take a refusal for want of memory for an answer, and
witnesses who must not notice anything.
"""

import contextlib
import re
import signal
import time

from . import wire
from .client import PATIENCE, Client, Closed
from .process import wait_until
from .websocket import WebSocketClient

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
                     r"no buffer space|PROXY header: memory|messages are being dropped|"
                     r"configuration stays as it was).*", re.I)
# Whoever comes while one of these holds is closed without another line; how many, the end says.
SHORTAGE = re.compile(r".*Out of [a-z ]+ on port \d+, refusing new connections for now\.")
SHORTAGE_OVER = re.compile(r".*Accepting connections again: (\d+) were refused for want of .*\.")
# What is waited for while a call fails: longer than a listener's pause without descriptors.
SHORT = 2.5
# A broker that is still at it is waited for as long as this: the machine may be slow.
LONG = 90.0


class Broken(AssertionError):
    """The broker did what it must not, whatever fails."""


class Peer(Client):
    """Notes what it was refused."""

    def __init__(self, bench, *arguments, **options):
        self.bench = bench
        self.foreseen = {0x8B, 0x8E}  # what it may be told for other reasons
        super().__init__(*arguments, **options)

    def receive(self, timeout=PATIENCE):
        return super().receive(min(timeout, self.bench.patience))

    def receive_new(self, timeout=PATIENCE):
        end = time.monotonic() + LONG
        while (got := super().receive_new(timeout)) is None and self.bench.may_wait(end):
            pass
        if got is not None:
            self.bench.note(self, got)
        return got


class WebPeer(Peer, WebSocketClient):
    """The same inside WebSocket."""


class Bench:
    def __init__(self, start_broker, text, points, **options):
        self.points, self.patience = points, PATIENCE
        self.refused, self.peers, self.serial = [], [], 0
        self.shortages, self.turned_away, self.counted = 0, 0, 0
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

    def open_web(self, version=5, address=None, name=""):
        peer = WebPeer(self, address, version, None, name)
        self.peers.append(peer)
        return peer

    def connect(self, name=None, version=5, before=b"", behind=b"", address=None, **fields):
        """A client whose name no step has used before, unless the step gives it one."""
        self.serial += 1
        peer = self.open(version, address, name or f"peer-{self.serial}")
        peer.send(before + wire.connect(peer.name, version, **fields) + behind)
        peer.expect("CONNACK", code=0)
        return peer

    def name(self, front=""):
        self.serial += 1
        return f"{front}{self.serial}"

    def note(self, peer, got):
        if got.kind == "CONNACK":
            peer.connack = got
        code = got.fields.get("code", got.fields.get("reason", 0))
        codes = [each for each in [code, *got.fields.get("codes", [])] if each >= 0x80 or
                 (got.kind == "CONNACK" and each)]
        for each in codes:
            self.refused.append((peer.name, got.kind, each))
            if each not in peer.foreseen | REFUSALS.get(got.kind, set()):
                raise Broken(f"{peer} was told 0x{each:02X} in {got}")

    # ---- waiting ----

    def may_wait(self, end):
        """Whether what did not come in time may still come."""
        return time.monotonic() < end and self.broker.is_busy()

    def wait(self, condition, what):
        """Until it holds, as long as patience lasts or the broker is busy."""
        end = time.monotonic() + LONG
        while True:
            deadline = time.monotonic() + self.patience
            while time.monotonic() < deadline:
                if condition():
                    return
                time.sleep(0.005)
            assert self.may_wait(end), what

    def log_size(self):
        return self.broker.log_path.stat().st_size

    def log_since(self, size):
        """What was logged when the log was longer than that; a thread of its own writes it."""
        with open(self.broker.log_path, "rb") as log:
            log.seek(size)
            return log.read().decode(errors="backslashreplace")

    def log_lines(self):
        """The whole lines since this was asked last."""
        text = self.log_since(self.log_at)
        text = text[:text.rfind("\n") + 1]
        self.log_at += len(text.encode())
        lines = text.splitlines()
        for line in lines:
            over = SHORTAGE_OVER.fullmatch(line)
            self.shortages += bool(SHORTAGE.fullmatch(line)) - bool(over)
            self.counted += int(over[1]) if over else 0
        return lines

    def reload(self):
        """SIGHUP; whether the new configuration holds now, as the log tells."""
        said = re.compile(r"(Config loaded from)|configuration stays as it was")
        before = self.log_size()
        self.broker.signal(signal.SIGHUP)
        self.wait(lambda: said.search(self.log_since(before)), "a reload came to no end")
        return said.search(self.log_since(before))[1] is not None

    # ---- one step ----

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
        self.patience = SHORT
        excuse, at_door = None, 0
        try:
            with self.points.armed(what, first, times):
                step(self)
        except Broken:
            raise
        except (AssertionError, Closed, OSError) as error:
            excuse = error
            at_door = self.count_at_door(error)
        finally:
            self.patience = PATIENCE
            self.leave()
        failed = self.points.failed()
        if hasattr(step, "tidy"):
            step.tidy(self)
        if excuse and times == 1 and not self.refused and not self.finds_excuse(at_door):
            raise Broken(f"nobody said why: {type(excuse).__name__}: {excuse}")
        self.check()
        return failed > 0

    def count_at_door(self, error):
        """Those who were closed before they were anybody."""
        if isinstance(error, AssertionError) and "closed" not in str(error):
            return 0
        return sum(not peer.connack for peer in self.peers)

    def finds_excuse(self, at_door):
        """A line that was logged meanwhile; for who was closed at the door one that still holds."""
        found = []

        def is_excused():
            found.extend(line for line in self.log_lines()
                         if EXCUSES.fullmatch(line) and not SHORTAGE.fullmatch(line))
            return found or (at_door and self.shortages > 0)

        self.broker.wait_quiet()
        try:
            self.wait(is_excused, "an excuse")
        except AssertionError:
            return False
        if not found:
            self.turned_away += at_door
        return True

    def finish(self):
        """Whoever was turned away without a line has been counted by the one at the end."""
        if self.turned_away:
            self.wait_for_shortages()
        self.broker.finish()

    def wait_for_shortages(self):
        def is_over():
            self.log_lines()
            return self.shortages == 0

        wait_until(is_over, 30, what="the end of a shortage")
        if self.counted < self.turned_away:
            raise Broken(f"{self.turned_away} were turned away, {self.counted} counted")

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
            self.wait(lambda: self.broker.descriptors() <= self.descriptors, "descriptors")
        except AssertionError:
            raise Broken(f"{self.broker.descriptors()} descriptors, not {self.descriptors}") \
                from None
