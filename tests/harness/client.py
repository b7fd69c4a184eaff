"""
A client made of bytes: it sends what the scenario says, whole or in pieces, and the next packet
that the server sends is the one that the scenario expects, or the scenario fails.
"""

import os
import socket
import time

from . import tls, wire

# How long something that must come may take, seconds: generous, since sanitizers are slow.
PATIENCE = float(os.environ.get("NIGHTJAR_TESTS_PATIENCE", "8"))
QUIET = 0.15  # how long nothing must come where nothing may


class Closed(Exception):
    """The server closed the connection."""


class Client:
    def __init__(self, address, version=4, source=None, name=""):
        self.version, self.name = version, name
        self.buffer = b""
        self.postponed = []  # packets that came while another one was waited for
        self.closed = False
        self.next_id = 0
        self.connack = None
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(PATIENCE)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(
                address, PATIENCE, (source, 0) if isinstance(source, str) else source)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        return f"client {self.name!r}"

    @property
    def local(self):
        """ADDRESS:PORT of our side, as the server's log writes it."""
        return "%s:%d" % self.socket.getsockname()[:2]

    def start_tls(self, rules, name="localhost", session=None, holds_last=False):
        """From here on everything goes through TLS."""
        self.socket = tls.Socket(self.socket, rules, name, session)
        self.socket.handshake(holds_last)
        return self

    def begin_tls(self, rules):
        """The first flight alone."""
        self.socket = tls.Socket(self.socket, rules)
        self.socket.begin()

    # ---- sending ----

    def send(self, *packets, pieces=None, delay=0.0):
        """Sends the packets as one segment, or cut at the offsets `pieces` (an int: that size)."""
        data = b"".join(packets)
        if pieces is None:
            self.socket.sendall(data)
            return
        if isinstance(pieces, int):
            pieces = range(pieces, len(data), pieces)
        start = 0
        for end in [*pieces, len(data)]:
            self.socket.sendall(data[start:end])
            start = end
            time.sleep(delay)

    def fresh_id(self):
        self.next_id += 1
        return self.next_id

    def close(self):
        """Goes away without a DISCONNECT."""
        self.socket.close()

    def reset(self):
        """Goes away with an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    # ---- receiving ----

    def fill(self, deadline):
        """Reads once more into the buffer; False when the deadline passed."""
        if self.closed:
            raise Closed(f"{self} was closed by the server")
        self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            data = self.socket.recv(1 << 20)
        except (socket.timeout, BlockingIOError):
            return False
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            raise Closed(f"{self} was closed by the server")
        self.buffer += data
        return True

    def whole_packet(self):
        """(size, header size) of the packet at the front of the buffer, or None."""
        value = 0
        for i in range(1, min(len(self.buffer), 5)):
            value |= (self.buffer[i] & 0x7F) << 7 * (i - 1)
            if not self.buffer[i] & 0x80:
                return (1 + i + value, 1 + i) if len(self.buffer) >= 1 + i + value else None
        assert len(self.buffer) < 5, f"a length of more than four bytes: {self.buffer[:8].hex()}"
        return None

    def receive(self, timeout=PATIENCE):
        """The next packet, or None after `timeout`; raises Closed when there can be none."""
        if self.postponed:
            return self.postponed.pop(0)
        return self.receive_new(timeout)

    def receive_new(self, timeout=PATIENCE):
        deadline = time.monotonic() + timeout
        while (sizes := self.whole_packet()) is None:
            if not self.fill(deadline):
                return None
        raw, self.buffer = self.buffer[:sizes[0]], self.buffer[sizes[0]:]
        return wire.decode(raw, sizes[1], self.version)

    def expect(self, kind, timeout=PATIENCE, **fields):
        """The next packet must be of this kind and have these fields; it is returned."""
        try:
            got = self.receive(timeout)
        except Closed:
            raise AssertionError(f"{self}: expected {kind} {fields}, but the server closed") \
                from None
        assert got is not None, f"{self}: expected {kind} {fields}, got nothing in {timeout} s"
        assert got.kind == kind, f"{self}: expected {kind} {fields}, got {got}"
        for name, value in fields.items():
            value = value.encode() if name == "payload" and isinstance(value, str) else value
            assert got.fields[name] == value, f"{self}: {name} is not {value!r} in {got}"
        return got

    def expect_bytes(self, expected):
        """The next bytes must be exactly these."""
        deadline = time.monotonic() + PATIENCE
        while len(self.buffer) < len(expected) and self.fill(deadline):
            pass
        got, self.buffer = self.buffer[:len(expected)], self.buffer[len(expected):]
        assert got == expected, f"{self}: expected {expected.hex(' ')}, got {got.hex(' ')}"

    def expect_any(self, timeout=PATIENCE):
        """The next packet, whatever it is; a PUBLISH is not acknowledged."""
        got = self.receive(timeout)
        assert got is not None, f"{self}: expected a packet, got nothing in {timeout} s"
        return got

    def peek(self, size, among):
        """Which of these byte strings is at the front of what comes (up to `size` bytes)."""
        deadline = time.monotonic() + PATIENCE
        try:
            while len(self.buffer) < size and self.fill(deadline):
                pass
        except Closed:
            pass
        found = [each for each in among if self.buffer.startswith(each)]
        assert found, f"{self}: got {self.buffer.hex(' ')}"
        return found[0]

    def expect_message(self, topic, payload, **fields):
        """A PUBLISH must come; it is acknowledged to the end."""
        got = self.expect("PUBLISH", topic=topic, payload=payload, **fields)
        self.acknowledge(got)
        return got

    def acknowledge(self, message):
        if message.qos == 1:
            self.send(wire.ack("PUBACK", message.id))
        elif message.qos == 2:
            self.send(wire.ack("PUBREC", message.id))
            self.await_pubrel(message.id)
            self.send(wire.ack("PUBCOMP", message.id))

    def await_pubrel(self, id):
        """Other packets may come before it; they are left for later, in order."""
        kept = []
        while True:
            got = self.expect_any()
            if got.kind == "PUBREL" and got.id == id:
                break
            kept.append(got)
        self.postponed = kept + self.postponed

    def collect(self, count, timeout=PATIENCE):
        """That many messages in order of arrival, each acknowledged (at once, QoS 0 and 1)."""
        return [self.take_message(timeout) for _ in range(count)]

    def take_message(self, timeout=PATIENCE):
        got = self.expect("PUBLISH", timeout=timeout)
        self.acknowledge(got)
        return got

    def expect_nothing(self, wait=QUIET):
        """Nothing may come for a while, and the connection must live: a PINGREQ is answered."""
        got = self.receive(wait)
        assert got is None, f"{self}: expected nothing, got {got}"
        self.ping()

    def ping(self):
        self.send(wire.pingreq())
        self.expect("PINGRESP")

    def expect_close(self, timeout=PATIENCE):
        """The server must close, without another byte."""
        deadline = time.monotonic() + timeout
        try:
            assert not self.postponed, f"{self}: expected a close, got {self.postponed}"
            while self.fill(deadline):
                assert self.whole_packet() is None, f"{self}: expected a close, got " + \
                    f"{self.receive(0)}"
        except Closed:
            assert not self.buffer, f"{self}: closed, but first came {self.buffer.hex(' ')}"
            return
        raise AssertionError(f"{self}: not closed within {timeout} s")

    def expect_end(self, *reasons, timeout=PATIENCE):
        """The connection ends: 5.0 with a DISCONNECT that gives one of the reasons, 3.x bare."""
        if self.version == 5:
            got = self.expect("DISCONNECT", timeout=timeout)
            listed = " or ".join(f"0x{each:02X}" for each in reasons)
            assert got.reason in reasons, f"{self}: reason is not {listed} in {got}"
        self.expect_close(timeout)

    def ended(self, timeout=1.0):
        """Whether the server closes without another byte (what it sent instead stays readable)."""
        try:
            self.fill(time.monotonic() + timeout)
        except Closed:
            return True
        return False

    # ---- whole exchanges ----

    def subscribe(self, *filters, qos=0, properties=None, codes=None):
        """Subscribes; filters are texts (at `qos`) or (filter, options). Answers the SUBACK."""
        pairs = [(each, qos) if isinstance(each, str) else each for each in filters]
        id = self.fresh_id()
        self.send(wire.subscribe(id, *pairs, version=self.version, properties=properties))
        expected = [options & 3 for _, options in pairs] if codes is None else codes
        return self.expect("SUBACK", id=id, codes=expected)

    def unsubscribe(self, *filters):
        id = self.fresh_id()
        self.send(wire.unsubscribe(id, *filters, version=self.version))
        return self.expect("UNSUBACK", id=id)

    def publish(self, topic, payload=b"", qos=0, retain=False, properties=None):
        """Publishes and sees the handshake through; answers the last packet of it."""
        payload = payload.encode() if isinstance(payload, str) else payload
        id = self.fresh_id() if qos else None
        self.send(wire.publish(topic, payload, qos, id, retain, version=self.version,
                               properties=properties))
        if qos == 1:
            return self.expect("PUBACK", id=id)
        if qos == 2:
            got = self.expect("PUBREC", id=id)
            if got.fields.get("reason", 0) >= 0x80:
                return got  # a refusal ends it, and frees the identifier
            self.send(wire.ack("PUBREL", id))
            return self.expect("PUBCOMP", id=id)
        return None

    def disconnect(self, reason=None, properties=None):
        """Leaves in order, and waits until the server has closed too."""
        self.send(wire.disconnect(reason, properties))
        self.expect_close()
        self.close()
