"""
A well-behaved client: it keeps its half of a session over connections, repeats what it must, and
complains about whatever a broker must not do to it.
"""

from harness import wire

from .loop import Link

PING_SECONDS = 20


class Peer:
    """
    `lasting` asks for a session that outlives its connections. `on_message(peer, packet)` gets each
    PUBLISH that is new to the session.
    """

    def __init__(self, world, name, version=None, lasting=True, will=None, on_message=None,
                 expiry=3600, address=None):
        self.world, self.name, self.lasting = world, name, lasting
        self.version = version or world.next_version()
        self.address, self.will, self.expiry = address, will, expiry
        self.on_message = on_message or (lambda peer, packet: None)
        self.link, self.is_ready, self.has_session = None, False, False
        self.next_id, self.filters = 0, {}
        self.unacknowledged = {}  # packet id: [make, qos, is_released, done, payload]
        self.released_again = set()  # packet ids of PUBRELs that were sent more than once
        self.answers = {}  # packet id of SUBSCRIBE and UNSUBSCRIBE: done
        self.inbound = set()  # packet ids of QoS 2 whose PUBREL is awaited
        self.held = None  # acknowledgements that are kept back, or None
        self.aliases = {}
        self.on_resent = lambda payload: None
        self.on_ready = []

    def __repr__(self):
        return f"{self.name} (version {self.version})"

    # ---- connections ----

    def connect(self, clean=None):
        """A second connection while there is one takes the session over."""
        old = self.link if self.link and self.link.is_open else None
        self.is_ready, self.aliases = False, {}
        clean = not self.lasting if clean is None else clean
        if clean:
            self.has_session = False
        properties = {"topic_alias_maximum": 10, "session_expiry_interval": self.expiry
                      if self.lasting else 0}
        self.link = Link(self.world.loop, self.address or self.world.next_address(), self.version,
                         self.on_packet, self.on_end)
        self.world.figures["connections"] += 1
        self.link.send(wire.connect(self.name, self.version, clean, will=self.will,
                                    properties=properties))
        if old:
            self.world.expect_end(old, self)
        link = self.link
        self.world.loop.after(self.world.patience, lambda: self.check_ready(link))
        self.world.loop.after(PING_SECONDS, lambda: self.ping(link))
        return link

    def check_ready(self, link):
        if link is self.link and link.is_open and not self.is_ready:
            self.world.violation("connections", f"{self} got no CONNACK")

    def ping(self, link):
        if link.is_open and link is self.link:
            link.answered = False
            link.send(wire.pingreq())
            self.world.loop.after(self.world.patience, lambda: self.check_ping(link))

    def check_ping(self, link):
        if link.is_open and link is self.link:
            if not link.answered and not link.is_paused:
                self.world.violation("connections", f"{self} got no PINGRESP")
            self.ping(link)

    def leave(self, how):
        """reset, close or disconnect; the session stays if it is a lasting one."""
        link = self.link
        self.is_ready = False
        if not link or not link.is_open:
            return
        if how == "disconnect":
            link.outgoing.append(wire.disconnect())
            try:
                link.write()
            except OSError:
                pass
        link.close(how == "reset")

    def end_session(self, expiry=0):
        """Connected: a DISCONNECT that lets the session end; 3.x needs a clean connection."""
        if self.version == 5:
            self.link.outgoing.append(
                wire.disconnect(0, {"session_expiry_interval": expiry} if self.lasting else None))
            self.link.write()
            self.link.close()
            self.is_ready = False
            return
        self.leave("disconnect")
        self.connect(clean=True)
        self.on_ready.append(lambda: self.leave("disconnect"))

    def on_end(self, link):
        if link is not self.link:
            return
        self.is_ready = False
        self.world.violation("connections", f"{self} was closed by the broker")
        self.world.loop.after(1, self.connect)

    # ---- what is sent ----

    def fresh_id(self):
        while True:
            self.next_id = self.next_id % 65535 + 1
            if self.next_id not in self.unacknowledged and self.next_id not in self.answers:
                return self.next_id

    def publish(self, topic, payload, qos=0, retain=False, done=None):
        id = self.fresh_id() if qos else None
        self.world.figures["published"] += 1

        def make(dup):
            return wire.publish(topic, payload, qos, id, retain, dup, self.version)

        if qos:
            self.unacknowledged[id] = [make, qos, False, done, payload]
        if self.is_ready:
            self.link.send(make(False))

    def resume(self):
        """What was not acknowledged, in the order in which it was sent first."""
        for id, (make, _, is_released, _, payload) in self.unacknowledged.items():
            self.link.send(wire.ack("PUBREL", id) if is_released else make(True))
            if is_released:
                self.released_again.add(id)
            self.on_resent(payload)

    def subscribe(self, topic_filter, options=0, done=None):
        id = self.fresh_id()
        self.filters[topic_filter] = options
        self.answers[id] = done
        self.link.send(wire.subscribe(id, (topic_filter, options), version=self.version))

    # ---- what comes ----

    def on_packet(self, link, packet):
        if link is not self.link:
            return
        self.world.figures["packets received"] += 1
        getattr(self, "on_" + packet.kind.lower())(packet)

    def on_connack(self, packet):
        if packet.code:
            self.world.violation("connections", f"{self} was refused: {packet}")
            return
        # 3.1 has no such flag.
        if self.version > 3 and packet.session_present != self.has_session:
            self.world.violation("sessions stay",
                                 f"{self}: session present is {packet.session_present}")
        if not self.has_session:
            self.inbound.clear()
        self.has_session = self.lasting
        self.is_ready = True
        self.resume()
        waiting, self.on_ready = self.on_ready, []
        for each in waiting:
            each()

    def on_publish(self, packet):
        self.world.figures["messages received"] += 1
        alias = packet.properties.get("topic_alias")
        if alias:
            if packet.topic:
                self.aliases[alias] = packet.topic
            packet.topic = self.aliases.get(alias, "")
        if packet.qos == 2 and packet.id in self.inbound:
            if not packet.dup:
                self.world.violation("QoS 2 exactly once",
                                     f"{self}: packet id {packet.id} again without DUP")
        else:
            if packet.qos == 2:
                self.inbound.add(packet.id)
            self.on_message(self, packet)
        if packet.qos:
            self.acknowledge(wire.ack("PUBACK" if packet.qos == 1 else "PUBREC", packet.id))

    def acknowledge(self, data):
        if self.held is None:
            self.link.send(data)
        else:
            self.held.append(data)

    def release(self):
        held, self.held = self.held, None
        self.link.send(b"".join(held))

    def finish(self, id):
        found = self.unacknowledged.pop(id, None)
        if found and found[3]:
            found[3]()

    def on_puback(self, packet):
        self.expect_known(packet, 1)
        self.finish(packet.id)

    def on_pubrec(self, packet):
        if self.expect_known(packet, 2):
            self.unacknowledged[packet.id][2] = True
            self.link.send(wire.ack("PUBREL", packet.id))

    def on_pubcomp(self, packet):
        if packet.id in self.released_again and packet.reason == 0x92:
            packet.reason = 0  # the first one arrived, and its answer was lost
        self.released_again.discard(packet.id)
        self.expect_known(packet, 2)
        self.finish(packet.id)

    def expect_known(self, packet, qos):
        found = self.unacknowledged.get(packet.id)
        is_right = found is not None and found[1] == qos
        if not is_right or packet.reason not in (0, 0x10):
            self.world.violation("acknowledgements", f"{self} got {packet}")
        return is_right

    def on_pubrel(self, packet):
        self.inbound.discard(packet.id)
        self.link.send(wire.ack("PUBCOMP", packet.id))

    def on_suback(self, packet):
        if any(code >= 0x80 for code in packet.codes):
            self.world.violation("acknowledgements", f"{self} got {packet}")
        done = self.answers.pop(packet.id)
        if done:
            done()

    def on_unsuback(self, packet):
        self.answers.pop(packet.id)

    def on_pingresp(self, _packet):
        self.link.answered = True

    def on_disconnect(self, packet):
        self.world.violation("connections", f"{self} was sent {packet}")


def number_of(payload):
    """The number that the payloads of a flow begin with."""
    return int(payload.split(b" ", 1)[0])
