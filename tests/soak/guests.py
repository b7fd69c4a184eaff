"""Roles that go wrong, are slow, or only pass by."""

import os
import random
import time

from harness import wire

from .loop import Link
from .peer import Peer, number_of


class Wills:
    """Clients that vanish or leave; a watcher that gets exactly the wills that are due."""

    check = "wills"

    def __init__(self, world):
        self.world = world
        self.due = {}  # payload: (earliest, latest), or None: never
        self.came, self.number = set(), 0
        self.watcher = Peer(world, "wills-w", on_message=self.on_will)
        self.watcher.connect()
        self.watcher.on_ready.append(lambda: self.watcher.subscribe("will/#", 1, self.tick))

    def peers(self):
        return [self.watcher]

    def tick(self):
        if self.world.is_ending:
            return
        self.make()
        self.world.loop.after(random.uniform(0.1, 0.4) * self.world.pace, self.tick)

    def make(self):
        self.number += 1
        version = self.world.next_version()
        delay = random.choice((0, 1, 2, self.world.long_delay)) if version == 5 else 0
        payload = b"will %d" % self.number
        will = wire.Will("will/w", payload, random.choice((1, 2)), False,
                         {"will_delay_interval": delay} if delay else None)
        peer = Peer(self.world, f"dying-{self.number}", version, lasting=version == 5, will=will,
                    expiry=delay + 2)
        self.world.guests.add(peer)
        peer.connect()
        peer.on_ready.append(lambda: self.world.loop.after(random.uniform(0, 1), lambda:
                                                           self.end(peer, payload, delay)))

    def end(self, peer, payload, delay):
        how = random.choice(("reset", "close", "disconnect", "with will", "back in time"))
        now = time.monotonic()
        if how == "with will" and peer.version == 5:
            peer.link.outgoing.append(wire.disconnect(0x04))
            peer.link.write()
            peer.link.close()
        elif how == "back in time" and delay == self.world.long_delay:
            peer.leave("close")
            peer.will = None
            self.due[payload] = None
            self.world.loop.after(0.3, peer.connect)
            self.world.loop.after(delay + 1, lambda: peer.leave("disconnect"))
            return
        else:
            how = "close" if how in ("with will", "back in time") else how
            peer.leave(how)
        self.due[payload] = None if how == "disconnect" else \
            (now + delay, now + delay + self.world.patience)

    def on_will(self, peer, packet):
        payload, now = packet.payload, time.monotonic()
        due = self.due.get(payload)
        if due is None:
            self.world.violation(self.check, f"{payload} came and was not due")
        elif payload in self.came and not packet.dup:
            self.world.violation(self.check, f"{payload} came twice")
        elif not due[0] <= now <= due[1]:
            self.world.violation(self.check, f"{payload} came {now - due[0]:+.3f} s beside its time")
        self.came.add(payload)
        self.world.figures["wills"] += 1

    def missing(self):
        return [payload for payload, due in self.due.items() if due and payload not in self.came]

    def is_complete(self):
        return not self.missing()

    def tell_missing(self):
        if self.missing():
            self.world.violation(self.check, f"{len(self.missing())} of {len(self.due)} did not "
                                             f"come: {self.missing()[:5]}")


class Dam:
    """
    A subscriber that acknowledges nothing for a while: it loses what the queue's limit says, the
    newest, and nothing else.
    """

    check = "queues lose what their limits say"

    def __init__(self, world):
        self.world, self.round = world, 0
        self.least, self.is_over = world.queue + min(world.windows), True
        self.publisher = Peer(world, "dam-p")
        self.publisher.connect()
        self.publisher.on_ready.append(self.begin)

    def peers(self):
        return [self.publisher]

    def begin(self):
        if self.world.is_ending:
            return
        self.round += 1
        self.got, self.sent, self.is_over = [], 0, False
        self.wanted = self.world.queue + max(self.world.windows) + 50
        self.subscriber = Peer(self.world, f"dam-{self.round}", on_message=self.on_message)
        self.subscriber.held = []
        self.subscriber.connect()
        self.subscriber.on_ready.append(lambda: self.subscriber.subscribe(
            f"dam/{self.round}", 1, self.fill))

    def fill(self):
        while self.sent < self.wanted and len(self.publisher.unacknowledged) < 8:
            self.sent += 1
            self.publisher.publish(f"dam/{self.round}", b"%d " % self.sent, 1)
        if self.sent < self.wanted or self.publisher.unacknowledged:
            self.world.loop.after(0.01, self.fill)
        else:
            self.subscriber.release()
            self.drain(time.monotonic() + self.world.patience)

    def drain(self, deadline):
        """When all that must come is there, one more is sent: it comes behind what was queued."""
        if len(self.got) < self.least and time.monotonic() < deadline:
            self.world.loop.after(0.05, lambda: self.drain(deadline))
            return
        self.publisher.publish(f"dam/{self.round}", b"0 ", 1)
        this = self.round
        self.world.loop.after(self.world.patience, lambda: self.conclude(this))

    def conclude(self, this):
        if this != self.round or self.is_over:
            return
        self.is_over = True
        most = self.world.queue + max(self.world.windows)
        got = self.got[:-1]
        if self.got[-1:] != [0] or got != list(range(1, len(got) + 1)) or \
                not self.least <= len(got) <= most:
            self.world.violation(self.check, f"{len(got)} of {self.sent} came (the limits leave "
                                             f"{self.least} to {most}), the last {self.got[-3:]}")
        self.world.figures["dams"] += 1
        self.world.figures["dropped at a dam"] += self.sent - len(got)
        self.subscriber.end_session()
        self.world.loop.after(random.uniform(2, 8), self.begin)

    def on_message(self, peer, packet):
        number = number_of(packet.payload)
        self.got.append(number)
        if number == 0:
            this = self.round
            self.world.loop.after(0, lambda: self.conclude(this))

    def is_complete(self):
        return self.is_over

    def tell_missing(self):
        if not self.is_over:
            self.world.violation(self.check, f"{len(self.got)} of {self.sent} came, and no more")


class Fire:
    """QoS 0 at a rate that slow readers cannot follow and deaf ones never see; nobody else minds."""

    check = "slow readers keep the order"

    def __init__(self, world, slow, deaf):
        self.world, self.number, self.last = world, 0, {}
        self.publisher = Peer(world, "fire-p", lasting=False, address=world.addresses[0])
        self.publisher.connect()
        self.readers = [Peer(world, f"fire-{n}", lasting=False, on_message=self.on_message,
                             address=world.addresses[0]) for n in range(slow + deaf + 1)]
        self.slow, self.deaf = self.readers[:slow], self.readers[slow:-1]
        for each in self.readers:
            each.connect()
            each.on_ready.append(lambda each=each: each.subscribe(
                "fire/#", 0, lambda: each.link.pause(each is not self.readers[-1])))
        self.publisher.on_ready.append(self.tick)
        self.sip()

    def peers(self):
        return [*self.readers, self.publisher]

    def tick(self):
        if self.world.is_ending:
            return
        for _ in range(4):
            self.number += 1
            self.publisher.publish("fire/x", b"%d " % self.number + b"x" * 3000)
        self.world.loop.after(0.05 * self.world.pace, self.tick)

    def sip(self):
        if self.world.is_ending:
            return
        for each in self.slow:
            if each.link.is_open and each.link.is_paused:
                try:
                    each.link.read(8192)
                except BlockingIOError:
                    pass
        self.world.loop.after(0.3, self.sip)

    def on_message(self, peer, packet):
        number = number_of(packet.payload)
        if number <= self.last.get(peer, 0):
            self.world.violation(self.check, f"{peer}: {number} after {self.last[peer]}")
        self.last[peer] = number

    def is_complete(self):
        return True

    def tell_missing(self):
        for each in self.readers[:-1]:
            each.leave("reset")
        if self.number and not self.last.get(self.readers[-1]):
            self.world.violation(self.check, "the quick one got nothing")


def bad_packets(version):
    """Each ends a connection that has been served until then."""
    # 3.1 leaves the flags of these to the sender.
    flags = [] if version == 3 else [
        b"\x63\x02\x00\x01", b"\x80" + wire.subscribe(1, ("a", 0), version=version)[1:]]
    return flags + [
        b"\x00\x00", b"\xf1\x00" if version != 5 else b"\x00\x02ab",
        b"\x30\xff\xff\xff\xff\xff", b"\x82\x02\x00\x01", b"\x36\x05\x00\x01a\x00\x01",
        b"\x30\x05\x00\x03a/#", b"\x30\x04\x00\x02\xff\xfe", b"\x20\x02\x00\x00", b"\x10\x00",
    ]


class Hostile:
    """Garbage before and after CONNECT: the connection ends, and nobody else notices."""

    check = "malformed packets end their connection"

    def __init__(self, world):
        self.world, self.number = world, 0
        self.world.loop.after(1, self.tick)

    def peers(self):
        return []

    def tick(self):
        if self.world.is_ending:
            return
        self.number += 1
        self.world.figures["hostile connections"] += 1
        version = self.world.next_version()
        data = wire.connect(f"bad-{self.number}", version) + random.choice(bad_packets(version))
        first = random.random()
        if first < 0.3:
            data = os.urandom(random.randrange(1, 200))
        elif first < 0.5:
            data = data[:random.randrange(1, len(data))]
        link = Link(self.world.loop, self.world.next_address(), version, lambda *_: None,
                    lambda _: None)
        link.take_packets = link.incoming.clear  # whatever it says; only the end counts
        link.send(data)
        self.world.figures["connections"] += 1
        if first < 0.5:
            # It may be the beginning of something: the deadline ends it, or a broken packet.
            self.world.loop.after(random.uniform(0, 3), link.close)
        else:
            self.world.loop.after(self.world.patience, lambda: self.expect_end(link, data))
        self.world.loop.after(random.uniform(0.05, 0.3) * self.world.pace, self.tick)

    def expect_end(self, link, data):
        if link.is_open:
            self.world.violation(self.check, f"still open after {data.hex()}")
            link.close()

    def is_complete(self):
        return True

    def tell_missing(self):
        pass


class Storms:
    """Many that connect at once, each subscribes, gets what it publishes itself, and is gone."""

    check = "storms are served"

    def __init__(self, world, size):
        self.world, self.size, self.number, self.left = world, size, 0, 0
        self.world.loop.after(2, self.begin)

    def peers(self):
        return []

    def begin(self):
        if self.world.is_ending:
            return
        self.number += 1
        self.left = self.size
        self.world.figures["storms"] += 1
        for n in range(self.size):
            self.start(n)
        number = self.number
        self.world.loop.after(2 * self.world.patience, lambda: self.expect_over(number))
        self.wait()

    def start(self, n):
        topic = f"storm/{self.number}/{n}"
        qos = n % 3

        def on_message(peer, _packet):
            self.world.loop.after(0, lambda: self.over(peer))

        peer = Peer(self.world, f"storm-{self.number}-{n}", lasting=False, on_message=on_message)
        self.world.guests.add(peer)
        peer.connect()
        peer.on_ready.append(lambda: peer.subscribe(topic, qos, lambda:
                                                    peer.publish(topic, b"1 ", qos)))

    def over(self, peer):
        peer.leave(random.choice(("disconnect", "reset", "close")))
        self.left -= 1

    def wait(self):
        if self.left:
            self.world.loop.after(0.1, self.wait)
        else:
            self.world.loop.after(random.uniform(3, 12) * self.world.pace, self.begin)

    def expect_over(self, number):
        if self.number == number and self.left:
            self.world.violation(self.check, f"{self.left} of {self.size} were not")

    def is_complete(self):
        return self.left == 0

    def tell_missing(self):
        if self.left:
            self.world.violation(self.check, f"{self.left} of {self.size} were not")
