"""What the roles share: the clock, addresses, what was counted and what was broken."""

import collections
import itertools
import random

from .loop import Loop

VERSIONS = (3, 4, 5)

# Every invariant; one that nobody complains about has passed.
CHECKS = (
    "QoS 1 all arrive", "QoS 2 exactly once", "acknowledgements", "sessions stay",
    "connections", "take-over ends the old one", "retained values", "wills",
    "shared subscriptions", "queues lose what their limits say", "slow readers keep the order",
    "malformed packets end their connection", "storms are served", "reloads", "logs are opened again",
    "nothing is left", "descriptors", "memory", "end with status 0", "no report",
)


class World:
    queue = 500  # max_queued_messages of the configuration
    windows = (20, 30)  # max_inflight_messages that the reloads choose from

    def __init__(self, addresses, patience, pace, long_delay):
        self.loop, self.addresses = Loop(), addresses
        self.patience, self.pace = patience, pace
        self.long_delay = long_delay  # of wills, seconds; time enough to come back
        self.figures, self.violations = collections.Counter(), collections.defaultdict(list)
        self.is_ending = False
        self.guests = set()
        self.versions, self.turn = itertools.cycle(VERSIONS), itertools.cycle(addresses)

    def next_version(self):
        return next(self.versions) if random.random() < 0.9 else random.choice(VERSIONS)

    def next_address(self):
        return next(self.turn) if random.random() < 0.9 else random.choice(self.addresses)

    def violation(self, check, text):
        assert check in CHECKS, check
        self.violations[check].append(text)
        if len(self.violations[check]) <= 5:
            print(f"BROKEN {check}: {text}", flush=True)

    def expect_end(self, link, peer):
        """The broker must end this connection, since another one took its session."""
        told = []

        def on_packet(_link, packet):
            if packet.kind == "DISCONNECT":
                told.append(packet.reason)

        def on_end(_link):
            if peer.version == 5 and told != [0x8E]:
                # A reset may have lost it on the way.
                self.figures["take-overs without a word"] += 1

        def check():
            if link.is_open:
                self.violation("take-over ends the old one", f"{peer} still has it")
                link.close()

        link.on_packet, link.on_end = on_packet, on_end
        self.loop.after(self.patience, check)
