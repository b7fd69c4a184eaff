"""
Many clients in one thread, that come back as soon as they are sent away, and remember everything that
happened to them. Publishers publish to themselves with QoS 1, one number after the other, and repeat
what was not acknowledged.
"""

import selectors
import socket
import time

from . import wire


class Member:
    """One client. What is counted is counted since `connects` was last set to 0."""

    def __init__(self, number, version, publishes):
        self.name, self.version, self.publishes = f"m-{number}", version, publishes
        self.topic = f"own/{number}"
        self.socket, self.buffer = None, b""
        self.is_online = self.is_subscribed = False
        self.connects = self.refusals = 0
        self.ends = []  # of each connection: the reason of its DISCONNECT, or None
        self.last_reason = None
        self.next_number, self.in_flight, self.due = 1, None, 0.0
        self.acknowledged, self.received = set(), set()

    def __repr__(self):
        return f"{self.name}: {self.connects} connects, {self.refusals} refused, ended {self.ends}"

    def connect(self, address):
        self.socket = socket.create_connection(address, 10)
        self.socket.setblocking(False)
        self.buffer, self.is_online, self.last_reason = b"", False, None
        self.is_subscribed = False
        self.connects += 1
        self.send(wire.connect(self.name, self.version))

    def end(self):
        self.socket.close()
        self.ends.append(self.last_reason)
        self.is_online = self.is_subscribed = False

    def packets(self):
        while len(self.buffer) >= 2:
            size, shift, at = 0, 0, 1
            while at < len(self.buffer):
                size |= (self.buffer[at] & 127) << shift
                shift, at = shift + 7, at + 1
                if not self.buffer[at - 1] & 128:
                    break
            if len(self.buffer) < at + size:
                return
            raw, self.buffer = self.buffer[:at + size], self.buffer[at + size:]
            yield wire.decode(raw, at, self.version)

    def on_packet(self, got):
        if got.kind == "CONNACK":
            self.refusals += got.code != 0
            self.is_online = got.code == 0
            if self.publishes and self.is_online:
                self.send(wire.subscribe(1, (self.topic, 1), version=self.version))
        elif got.kind == "SUBACK":
            self.is_subscribed = True
            self.publish()
        elif got.kind == "DISCONNECT":
            self.last_reason = got.reason
        elif got.kind == "PUBLISH":
            self.received.add(int(got.payload))
            self.send(wire.ack("PUBACK", got.id))
        elif got.kind == "PUBACK":
            self.acknowledged.add(self.in_flight)
            self.in_flight = None

    def publish(self):
        """The next one, or that which was not acknowledged."""
        if self.in_flight is None:
            self.in_flight = self.next_number
            self.next_number += 1
        self.send(wire.publish(self.topic, b"%d" % self.in_flight, 1, 7, version=self.version))

    def send(self, *packets):
        try:
            self.socket.sendall(b"".join(packets))
        except OSError:
            pass  # told by the next read


class Swarm:
    """`publish_every`: seconds between two messages of a publisher."""

    def __init__(self, address, members, publish_every=0.05):
        self.address, self.members, self.every = address, members, publish_every
        self.selector = selectors.DefaultSelector()
        for each in members:
            self.join(each)

    def join(self, member):
        member.connect(self.address)
        self.selector.register(member.socket, selectors.EVENT_READ, member)

    def read(self, member):
        try:
            data = member.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        member.buffer += data
        for got in member.packets():
            member.on_packet(got)
        if not data:
            self.selector.unregister(member.socket)
            member.end()
            self.join(member)

    def step(self):
        for key, _ in self.selector.select(0.01):
            self.read(key.data)
        now = time.monotonic()
        for each in self.members:
            if each.is_subscribed and each.in_flight is None and now >= each.due:
                each.due = now + self.every
                each.publish()

    def run_until(self, condition, timeout=60.0, what="it"):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen within {timeout} s"
            self.step()

    def run_for(self, seconds):
        end = time.monotonic() + seconds
        self.run_until(lambda: time.monotonic() >= end, seconds + 5)

    def all_online(self):
        return all(each.is_online for each in self.members)

    def forget(self):
        for each in self.members:
            each.connects = each.refusals = 0
            each.ends = []

    def close(self):
        for each in self.members:
            each.socket.close()
        self.selector.close()
