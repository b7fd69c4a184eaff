"""Roles whose messages all must arrive: pairs, groups, retained values."""

import random

from .peer import Peer, number_of

AHEAD = 100  # messages that a publisher may be ahead of its slowest subscriber
WINDOW = 8  # of a publisher, below every Receive Maximum that the reloads choose


def payload_of(number):
    size = random.choice((0, 20, 200, 200, 1000, 4000) if random.random() < 0.99 else (40000,))
    return b"%d " % number + b"x" * size


class Churn:
    """Has lasting peers come and go in every way that their sessions must survive."""

    def __init__(self, world, peers, least=0.3, most=3.0):
        self.world, self.peers, self.least, self.most = world, peers, least, most
        self.later()

    def later(self):
        self.world.loop.after(random.uniform(self.least, self.most) * self.world.pace, self.turn)

    def turn(self):
        if self.world.is_ending:
            return
        peer = random.choice(self.peers)
        if peer.is_ready and not peer.answers:
            how = random.choice(("reset", "close", "disconnect", "take over", "take over"))
            if how == "take over":
                self.world.figures["take-overs"] += 1
                peer.connect()
            else:
                peer.leave(how)
                self.world.loop.after(random.uniform(0, 1), peer.connect)
        self.later()


class Countdown:
    """Does something when it was called for the last time of so many."""

    def __init__(self, times, then):
        self.times, self.then = times, then

    def __call__(self):
        self.times -= 1
        if self.times == 0:
            self.then()


class Flow:
    """One publisher and its subscribers, at one QoS: everything arrives, in order; QoS 2 once."""

    def __init__(self, world, name, qos, subscribers):
        self.world, self.name, self.qos = world, name, qos
        self.check = f"QoS {qos} " + ("exactly once" if qos == 2 else "all arrive")
        self.number = 0
        self.publisher = Peer(world, f"{name}-p")
        self.last = {}
        on_subscribed = Countdown(subscribers, self.tick)
        self.resent = set()
        self.publisher.on_resent = lambda payload: self.resent.add(number_of(payload))
        peers = [Peer(world, f"{name}-s{n}", on_message=self.on_message)
                 for n in range(subscribers)]
        for each in peers:
            self.last[each] = 0
            each.connect()
            each.on_ready.append(lambda each=each: each.subscribe(f"flow/{name}/+", qos,
                                                                  on_subscribed))
        self.publisher.connect()
        self.churn = Churn(world, [*peers, self.publisher])

    def peers(self):
        return [*self.last, self.publisher]

    def tick(self):
        if self.world.is_ending:
            return
        for _ in range(5):
            if len(self.publisher.unacknowledged) >= WINDOW or \
                    self.number - min(self.last.values()) >= AHEAD:
                break
            self.number += 1
            self.publisher.publish(f"flow/{self.name}/t", payload_of(self.number), self.qos)
        self.world.loop.after(random.uniform(0.02, 0.12) * self.world.pace, self.tick)

    def on_message(self, peer, packet):
        number = number_of(packet.payload)
        if number == self.last[peer] + 1:
            self.last[peer] = number
        elif number > self.last[peer]:
            self.world.violation(self.check, f"{peer} of {self.name}: {number} after "
                                             f"{self.last[peer]}")
            self.last[peer] = number
        elif self.qos == 2 or not (packet.dup or number in self.resent):
            self.world.violation(self.check, f"{peer} of {self.name}: {number} again")
        else:
            self.world.figures["repeated (QoS 1)"] += 1

    def is_complete(self):
        return not self.publisher.unacknowledged and \
            all(each == self.number for each in self.last.values())

    def tell_missing(self):
        for peer, last in self.last.items():
            if last != self.number:
                self.world.violation(self.check, f"{peer}: {last} of {self.number} arrived")


class Group:
    """A shared subscription: together its members get everything; members come and go."""

    check = "shared subscriptions"

    def __init__(self, world, name, members, guests):
        self.world, self.name = world, name
        self.number, self.received, self.receivers = 0, set(), {}
        self.publisher = Peer(world, f"{name}-p")
        self.publisher.connect()
        self.members = [Peer(world, f"{name}-m{n}", on_message=self.on_message)
                        for n in range(members)]
        on_subscribed = Countdown(members, self.tick)
        for each in self.members:
            each.connect()
            each.on_ready.append(lambda each=each: each.subscribe(
                f"$share/{name}/work/{name}/#", 1, on_subscribed))
        self.churn = Churn(world, self.members)
        self.guests = guests
        for n in range(guests):
            self.invite(n)

    def peers(self):
        return [*self.members, self.publisher]

    def invite(self, number):
        """A guest has no lasting session; what it leaves behind another member must get."""
        if self.world.is_ending:
            return
        guest = Peer(self.world, f"{self.name}-g{number}", lasting=False,
                     on_message=self.on_message)
        guest.connect()
        guest.on_ready.append(lambda: guest.subscribe(f"$share/{self.name}/work/{self.name}/#", 1))

        def go():
            guest.leave(random.choice(("reset", "close", "disconnect")))
            self.invite(number)

        self.world.guests.add(guest)
        self.world.loop.after(random.uniform(1, 5), go)

    def tick(self):
        if self.world.is_ending:
            return
        if len(self.publisher.unacknowledged) < WINDOW and \
                self.number - len(self.received) < AHEAD:
            self.number += 1
            self.publisher.publish(f"work/{self.name}/x", payload_of(self.number), 1)
        self.world.loop.after(random.uniform(0.01, 0.05) * self.world.pace, self.tick)

    def on_message(self, peer, packet):
        number = number_of(packet.payload)
        if number in self.received:
            before = self.receivers.get(number)
            if not packet.dup and before is not None and before.is_open and \
                    before is not peer.link:
                self.world.violation(self.check, f"{peer} of {self.name}: {number} came twice")
            self.world.figures["repeated (QoS 1)"] += 1
        self.received.add(number)
        self.receivers[number] = peer.link
        self.receivers.pop(number - 2000, None)

    def is_complete(self):
        return not self.publisher.unacknowledged and len(self.received) == self.number

    def tell_missing(self):
        missing = sorted(set(range(1, self.number + 1)) - self.received)
        if missing:
            self.world.violation(self.check, f"{self.name}: {len(missing)} of {self.number} "
                                             f"did not arrive, {missing[:10]}")


class Retained:
    """One writer of many topics. When all is acknowledged, whoever asks anew gets the last values."""

    check = "retained values"

    def __init__(self, world, name, topics, qos):
        self.world, self.name, self.topics, self.qos = world, name, topics, qos
        self.values, self.seen, self.number, self.rounds = {}, {}, 0, 0
        self.writer = Peer(world, f"{name}-w")
        self.watcher = Peer(world, f"{name}-r", on_message=self.on_watched)
        self.is_over = False
        self.watcher.connect()
        self.watcher.on_ready.append(lambda: self.watcher.subscribe(f"kept/{name}/#", 1,
                                                                    self.begin))
        self.writer.connect()
        self.churn = Churn(world, [self.writer, self.watcher])

    def peers(self):
        return [self.writer, self.watcher]

    def begin(self):
        self.left = 3 * self.topics
        self.write()

    def write(self):
        while self.left and len(self.writer.unacknowledged) < WINDOW:
            topic = f"kept/{self.name}/{random.randrange(self.topics)}"
            self.number += 1
            is_empty = random.random() < 0.2
            self.values[topic] = b"" if is_empty else payload_of(self.number)
            self.left -= 1
            self.writer.publish(topic, self.values[topic], self.qos, True)
        if self.left or self.writer.unacknowledged:
            self.world.loop.after(0.02, self.write)
        else:
            self.read()

    def read(self):
        expected = {topic: value for topic, value in self.values.items() if value}
        got = {}

        def on_message(peer, packet):
            if not packet.retain or packet.topic in got:
                self.world.violation(self.check, f"{peer} got {packet}")
            got[packet.topic] = packet.payload

        reader = Peer(self.world, f"{self.name}-n{self.rounds}", lasting=False,
                      on_message=on_message)
        state = {"deadline": None}

        def compare():
            if len(got) < len(expected) and state["deadline"] > 0:
                state["deadline"] -= 0.25
                self.world.loop.after(0.25, compare)
                return
            if got != expected:
                wrong = [topic for topic in {**got, **expected}
                         if got.get(topic) != expected.get(topic)]
                self.world.violation(self.check, f"a new reader's {len(wrong)} of "
                                                 f"{len(expected)} differ: {wrong[:5]}")
            reader.leave("disconnect")
            self.rounds += 1
            self.world.figures["retained rounds"] += 1
            if self.world.is_ending:
                self.is_over = True
            else:
                self.world.loop.after(random.uniform(0, 1), self.begin)

        def subscribed():
            state["deadline"] = self.world.patience
            self.world.loop.after(0.25, compare)

        reader.connect()
        reader.on_ready.append(lambda: reader.subscribe(f"kept/{self.name}/#", 1, subscribed))

    def on_watched(self, peer, packet):
        self.seen[packet.topic] = packet.payload

    def is_complete(self):
        return self.is_over and self.seen == self.values

    def tell_missing(self):
        wrong = [topic for topic in self.values if self.seen.get(topic) != self.values[topic]]
        if wrong or not self.is_over:
            self.world.violation(self.check, f"{self.watcher}: not the last value of {wrong[:5]}")

    def clear(self):
        """Takes every value back; is_clear() when the broker has them all."""
        while self.values and len(self.writer.unacknowledged) < WINDOW:
            self.writer.publish(self.values.popitem()[0], b"", self.qos, True)
        if self.values:
            self.world.loop.after(0.02, self.clear)

    def is_clear(self):
        return not self.values and not self.writer.unacknowledged
