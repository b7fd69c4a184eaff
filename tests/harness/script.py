"""
Scripted sessions: a text says which client sends what and when, a player plays it to a broker and
notes what the server sends to whom, step by step. tests/witness/README.md describes the text.

Nothing is timed. After a step every client sends PINGREQ and is heard until PINGRESP comes, first
the one that acted: what the step caused stands before it, since a broker answers one client in
order and acknowledges a message only when everybody's share of it is on its way.
"""

import dataclasses
import re
import shlex
import socket
import time

from . import wire
from .client import PATIENCE, Client, Closed

LEVELS = {"3.1": 3, "3.1.1": 4, "5": 5}
OPTIONS = {"nl": 0x04, "rap": 0x08, "rh0": 0x00, "rh1": 0x10, "rh2": 0x20, "rh3": 0x30}
ACKS = ("puback", "pubrec", "pubrel", "pubcomp")
CLOSED, SILENT = "closed", "(no answer)"


# ---- the text ----

@dataclasses.dataclass
class Step:
    """One line: `client verb words key=value .property=value`, with & when nobody is heard."""

    client: str
    verb: str
    rest: str
    is_heard: bool

    def __str__(self):
        return f"{self.client} {self.verb} {self.rest}".rstrip()


@dataclasses.dataclass
class Script:
    name: str
    about: str
    versions: tuple = tuple(LEVELS)
    config: str = ""
    is_bare: bool = False
    has_order: bool = True
    steps: list = dataclasses.field(default_factory=list)


def parse(text, where):
    """The scripts of a text; a line that makes no sense is named."""
    scripts = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        try:
            if word == "script":
                name, _, about = rest.partition(": ")
                assert name and about, "a script has a name and says what it is about"
                scripts.append(Script(name, about))
            else:
                parse_line(scripts[-1], word, rest)
        except (AssertionError, IndexError) as error:
            raise ValueError(f"{where}:{number}: {line!r}: {error}") from error
    return scripts


def parse_line(script, word, rest):
    if word == "versions":
        script.versions = tuple(rest.split())
        assert set(script.versions) <= set(LEVELS), "no such version"
    elif word == "config":
        script.config += rest + "\n"
    elif word == "bare":
        script.is_bare = True
    elif word == "unordered":
        script.has_order = False
    else:
        assert re.fullmatch("[a-z]", word), "a client is one small letter"
        is_heard = not rest.endswith(" &")
        verb, _, rest = rest.removesuffix(" &").partition(" ")
        assert hasattr(Player, f"do_{verb}") or verb in ACKS, f"no verb {verb!r}"
        script.steps.append(Step(word, verb, rest, is_heard))


def to_bytes(text, version):
    """Hex digits; 'text' with its length before it, "text" without; N*hex; a dot: no properties."""
    out = b""
    for quoted, bare, count, digits, dot in re.findall(
            r"""'([^']*)'|"([^"]*)"|(?:(\d+)\*)?([0-9a-fA-F]{2,})|(\.)""", text):
        if digits:
            out += bytes.fromhex(digits) * int(count or 1)
        elif bare:
            out += bare.encode()
        elif dot:
            out += b"\0" if version == 5 else b""
        else:
            out += wire.text(quoted)
    return out


def to_property(name, text):
    kind = wire.PROPERTIES[name][1]
    if kind in ("byte", "two", "four", "varint"):
        return name, int(text, 0)
    if kind == "pair":
        return name, tuple(text.split(":", 1))
    return name, text.encode() if kind == "binary" else text


class Words:
    """A step's words, taken apart."""

    def __init__(self, rest):
        self.plain, self.fields, self.properties, self.will = [], {}, [], []
        for word in shlex.split(rest):
            key, equals, value = word.partition("=")
            if equals and key.startswith("will."):
                self.will.append(to_property(key[5:], value))
            elif equals and key.startswith("."):
                self.properties.append(to_property(key[1:], value))
            elif equals and key.isidentifier():
                self.fields[key] = value
            else:
                self.plain.append(word)

    def number(self, key, otherwise):
        return int(self.fields.get(key, otherwise), 0) if key in self.fields else otherwise


def to_subscription(word, version):
    topic_filter, _, options = word.rpartition(":")
    bits = 0
    for each in options.split(","):
        bits |= OPTIONS[each] if each in OPTIONS else int(each, 0)
    if version < 5 and bits & 3 != 3 and not options.startswith("0x"):
        bits &= 3
    return topic_filter, bits


def to_will(words):
    if "will" not in words.fields:
        return None
    topic, _, payload = words.fields["will"].partition(":")
    return wire.Will(topic, payload.encode(), words.number("wqos", 0),
                     bool(words.number("wretain", 0)), words.will)


def to_connect(words, version):
    fields = words.fields
    return wire.connect(
        words.plain[0] if words.plain else "", version, bool(words.number("clean", 1)),
        words.number("keepalive", 60), to_will(words), fields.get("username"),
        fields.get("password"), words.properties, fields.get("name"), words.number("level", None),
        words.number("flags", None))


def to_publish(words, version):
    topic, payload = (words.plain + [""])[:2]
    data = payload.encode() + b"x" * words.number("size", 0)
    return wire.publish(topic, data, words.number("qos", 0), words.number("id", None),
                        bool(words.number("retain", 0)), bool(words.number("dup", 0)), version,
                        words.properties)


def to_ack(verb, words, version):
    reason = int(words.plain[1], 16) if len(words.plain) > 1 else None
    return wire.ack(verb.upper(), int(words.plain[0]), reason if version == 5 else None,
                    words.properties if words.properties and version == 5 else None)


# ---- playing ----

class Role:
    """One connection of a script, and what was heard on it since the last step."""

    def __init__(self, address, version):
        self.client = Client(address, version)
        self.version = version
        self.is_welcome = False  # CONNACK with success has come: PINGREQ may be sent
        self.asked = 0           # PINGREQs that the script sent itself, not answered yet
        self.heard = []

    @property
    def is_open(self):
        return not self.client.closed

    def send(self, data):
        try:
            self.client.send(data)
        except OSError:
            pass  # closed by the server, which is heard when we read

    def hear(self, patience=PATIENCE):
        """The next packet as bytes; None: nothing comes any more."""
        deadline = time.monotonic() + patience
        client = self.client
        try:
            while (sizes := client.whole_packet()) is None:
                if not client.fill(deadline):
                    self.heard.append(SILENT)
                    return None
        except Closed:
            if client.buffer:
                self.heard.append(client.buffer)
            self.heard.append(CLOSED)
            return None
        raw, client.buffer = client.buffer[:sizes[0]], client.buffer[sizes[0]:]
        if raw[:1] == b"\x20" and len(raw) > 3 and raw[sizes[1] + 1] == 0:
            self.is_welcome = True
        self.heard.append(raw)
        return raw

    def hear_all(self):
        """Until the end."""
        while self.is_open and self.hear() is not None:
            pass

    def hear_pings(self, count):
        """Until that many PINGREQs of ours are answered; those answers are not noted."""
        wanted = self.asked + count
        while wanted > 0 and self.is_open:
            raw = self.hear()
            if raw is None:
                return
            if raw == b"\xd0\0":
                wanted -= 1
                if wanted < count:
                    self.heard.pop()
        self.asked = 0

    def settle(self, rounds):
        """
        Until all that was caused has come. Twice for who acted: a replay begins when the packets
        that were read together are answered, so behind the first PINGRESP.
        """
        if not self.is_welcome:
            return
        for _ in range(rounds):
            if self.is_open:
                self.send(wire.pingreq())
                self.hear_pings(1)


class Player:
    """Plays a script to one broker. `notes` is [(step number, client, [bytes or text])]."""

    def __init__(self, script, address, version):
        self.script, self.address, self.version = script, address, version
        self.roles, self.notes = {}, []

    def play(self):
        try:
            for number, step in enumerate(self.script.steps, 1):
                self.play_step(step)
                if step.is_heard:
                    self.note(number, step.client)
        finally:
            for role in self.roles.values():
                role.client.close()
        return self.notes

    def play_step(self, step):
        words = None if step.verb in ("packet", "bytes") else Words(step.rest)
        if step.verb in ACKS:
            role = self.roles[step.client]
            role.send(to_ack(step.verb, words, role.version))
        else:
            getattr(self, f"do_{step.verb}")(step, words)

    def note(self, number, acting):
        role = self.roles[acting]
        if role.is_open and not role.is_welcome and not role.heard:
            role.hear()
            if not role.is_welcome:
                role.hear_all()
        role.settle(2)
        for name in sorted(self.roles):
            if name != acting:
                self.roles[name].settle(1)
        for name in sorted(self.roles):
            role = self.roles[name]
            if role.heard:
                self.notes.append((number, name, role.heard, role.version))
                role.heard = []

    # ---- verbs ----

    def open(self, step, words):
        level = LEVELS[words.fields.get("version", self.version)]
        old = self.roles.get(step.client)
        if old is None or not old.is_open:
            self.roles[step.client] = Role(self.address, level)
        return self.roles[step.client]

    def do_open(self, step, words):
        """A connection on which nothing is sent; nothing is heard either."""
        self.open(step, words).heard = ["opened"]

    def do_connect(self, step, words):
        role = self.open(step, words)
        role.send(to_connect(words, role.version))
        if step.is_heard:
            raw = role.hear() if role.is_open else None
            if raw is not None and not role.is_welcome:
                role.hear_all()

    def do_subscribe(self, step, words):
        role = self.roles[step.client]
        pairs = [to_subscription(each, role.version) for each in words.plain[1:]]
        role.send(wire.subscribe(int(words.plain[0]), *pairs, version=role.version,
                                 properties=words.properties))

    def do_unsubscribe(self, step, words):
        role = self.roles[step.client]
        role.send(wire.unsubscribe(int(words.plain[0]), *words.plain[1:], version=role.version,
                                   properties=words.properties))

    def do_publish(self, step, words):
        role = self.roles[step.client]
        role.send(to_publish(words, role.version))

    def do_ping(self, step, _words):
        role = self.roles[step.client]
        role.asked += 1
        role.send(wire.pingreq())

    def do_disconnect(self, step, words):
        """Leaves, and waits until the server has closed."""
        role = self.roles[step.client]
        five = role.version == 5
        reason = int(words.plain[0], 16) if words.plain and five else None
        role.send(wire.disconnect(reason, words.properties if words.properties and five else None))
        role.hear_all()

    def do_auth(self, step, words):
        self.roles[step.client].send(wire.auth(int(words.plain[0], 16), words.properties))

    def do_packet(self, step, _words):
        """A packet of any bytes: the first one, then the body, whose length is put between."""
        role = self.roles[step.client]
        body = to_bytes(step.rest, role.version)
        role.send(body[:1] + wire.varint(len(body) - 1) + body[1:])

    def do_bytes(self, step, _words):
        role = self.roles[step.client]
        role.send(to_bytes(step.rest, role.version))

    def do_leave(self, step, _words):
        """Closes its side without a DISCONNECT, and waits until the server has closed too."""
        role = self.roles[step.client]
        if role.is_open:
            role.client.socket.shutdown(socket.SHUT_WR)
            role.hear_all()

    def do_await(self, step, words):
        """Until so many packets have come since the last step that was heard."""
        role = self.roles[step.client]
        while len(role.heard) < int(words.plain[0]) and role.is_open:
            if role.hear() is None:
                return

    def do_gone(self, step, _words):
        """Until the server closes."""
        self.roles[step.client].hear_all()


# ---- what was heard, to be compared and read ----

def even_out(raw, packet):
    """Bytes without what chance and the clock put into them."""
    given = packet.fields.get("properties") or {}
    made_up = given.get("assigned_client_identifier")
    if made_up:
        raw = raw.replace(made_up.encode(), b"?" * len(made_up))
    left = given.get("message_expiry_interval")
    if left and left > 9:  # a second less on the way; scripts use multiples of ten
        packet.fields["properties"]["message_expiry_interval"] = tens = -(-left // 10) * 10
        raw = raw.replace(b"\2" + left.to_bytes(4, "big"), b"\2" + tens.to_bytes(4, "big"))
    if made_up:
        given["assigned_client_identifier"] = re.sub("[0-9A-Fa-f-]{36}$", "UUID", made_up)
    return raw


def show_value(value):
    if isinstance(value, bytes):
        return repr(value)[1:] if len(value) <= 24 else f"({len(value)} bytes)"
    if isinstance(value, dict):
        return "{" + " ".join(f"{k}={show_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str) and len(value) > 40:
        return f"({len(value)} characters)"
    return repr(value)


def show(heard, version):
    """One packet as (a line to read, bytes to compare)."""
    if isinstance(heard, str):
        return heard, b""
    sizes = 1 + next((i for i in range(1, 5) if not heard[i] & 0x80), 4) if len(heard) > 1 else 1
    try:
        packet = wire.decode(heard, sizes, version)
    except (AssertionError, IndexError, KeyError, UnicodeDecodeError):
        return f"bytes {heard.hex(' ')}", heard
    raw = even_out(heard, packet)
    shown = [f"{name}={show_value(value)}" for name, value in packet.fields.items()
             if value not in (False, None, {}, b"") or name in ("code", "reason")]
    return " ".join([packet.kind, *shown]), raw


def gather(script, notes):
    """{(step, client): [(line, bytes)]}; sorted where a script says that no order is promised."""
    found = {}
    for number, name, heard, version in notes:
        lines = [show(each, version) for each in heard]
        if not script.has_order:
            lines = sorted(((re.sub(r" id=\d+", "", line), b"") for line, _ in lines))
        found[number, name] = lines
    return found


def join(lines, with_bytes):
    if not lines:
        return "nothing"
    return "; ".join(f"{line} [{raw.hex(' ')}]" if with_bytes and raw else line
                     for line, raw in lines)


def differences(theirs, ours):
    """[(step, client, what they sent, what we sent)] of two gathered plays."""
    found = []
    for key in sorted(theirs.keys() | ours.keys()):
        left, right = theirs.get(key, []), ours.get(key, [])
        if left != right:
            same_text = [line for line, _ in left] == [line for line, _ in right]
            found.append((*key, join(left, same_text), join(right, same_text)))
    return found
