"""
MQTT packets as bytes, for 3.1, 3.1.1 and 5.0.

Encoders take every field by name, also wrong ones: what a scenario wants on the wire is what it
gets. The decoder reads what a server sent and is strict about it: a reserved bit, an over-long
length, a property in the wrong packet or a byte left over is an assertion failure of the scenario.
"""

import struct

TYPES = {
    1: "CONNECT", 2: "CONNACK", 3: "PUBLISH", 4: "PUBACK", 5: "PUBREC", 6: "PUBREL", 7: "PUBCOMP",
    8: "SUBSCRIBE", 9: "SUBACK", 10: "UNSUBSCRIBE", 11: "UNSUBACK", 12: "PINGREQ", 13: "PINGRESP",
    14: "DISCONNECT", 15: "AUTH",
}
NUMBERS = {name: number for number, name in TYPES.items()}

# name: identifier, wire type, packets in which a server may send it
PROPERTIES = {
    "payload_format_indicator": (0x01, "byte", "PUBLISH"),
    "message_expiry_interval": (0x02, "four", "PUBLISH"),
    "content_type": (0x03, "text", "PUBLISH"),
    "response_topic": (0x08, "text", "PUBLISH"),
    "correlation_data": (0x09, "binary", "PUBLISH"),
    "subscription_identifier": (0x0B, "varint", "PUBLISH"),
    "session_expiry_interval": (0x11, "four", "CONNACK"),
    "assigned_client_identifier": (0x12, "text", "CONNACK"),
    "server_keep_alive": (0x13, "two", "CONNACK"),
    "authentication_method": (0x15, "text", "CONNACK AUTH"),
    "authentication_data": (0x16, "binary", "CONNACK AUTH"),
    "request_problem_information": (0x17, "byte", ""),
    "will_delay_interval": (0x18, "four", ""),
    "request_response_information": (0x19, "byte", ""),
    "response_information": (0x1A, "text", "CONNACK"),
    "server_reference": (0x1C, "text", "CONNACK DISCONNECT"),
    "reason_string": (
        0x1F, "text", "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH"),
    "receive_maximum": (0x21, "two", "CONNACK"),
    "topic_alias_maximum": (0x22, "two", "CONNACK"),
    "topic_alias": (0x23, "two", "PUBLISH"),
    "maximum_qos": (0x24, "byte", "CONNACK"),
    "retain_available": (0x25, "byte", "CONNACK"),
    "user_property": (
        0x26, "pair",
        "CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH"),
    "maximum_packet_size": (0x27, "four", "CONNACK"),
    "wildcard_subscription_available": (0x28, "byte", "CONNACK"),
    "subscription_identifier_available": (0x29, "byte", "CONNACK"),
    "shared_subscription_available": (0x2A, "byte", "CONNACK"),
}
NAMES = {row[0]: name for name, row in PROPERTIES.items()}

# The reason codes that a server may put into each packet (5.0, section 2.4).
REASONS = {
    "CONNACK": {0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90,
                0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F},
    "PUBACK": {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
    "PUBREC": {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
    "PUBREL": {0x00, 0x92},
    "PUBCOMP": {0x00, 0x92},
    "SUBACK": {0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
    "UNSUBACK": {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    "DISCONNECT": {0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93,
                   0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0,
                   0xA1, 0xA2},
    "AUTH": {0x00, 0x18, 0x19},
}


# ---- pieces ----

def varint(value, size=None):
    """A variable byte integer; `size` asks for more bytes than needed, which no one may send."""
    out = bytearray()
    while True:
        byte, value = value % 128, value // 128
        more = value > 0 or (size is not None and len(out) + 1 < size)
        out.append(byte | (0x80 if more else 0))
        if not more:
            return bytes(out)


def two(value):
    return struct.pack("!H", value)


def binary(data):
    return two(len(data)) + data


def text(value):
    """A UTF-8 string; bytes pass as they are, well formed or not."""
    return binary(value.encode() if isinstance(value, str) else value)


def one_property(name, value):
    number, kind, _ = PROPERTIES[name]
    front = bytes([number])
    if kind == "byte":
        return front + bytes([value])
    if kind == "two":
        return front + two(value)
    if kind == "four":
        return front + struct.pack("!I", value)
    if kind == "varint":
        return front + varint(value)
    if kind == "pair":
        return front + text(value[0]) + text(value[1])
    return front + text(value)


def encode_properties(given):
    """Properties with their length; a dict (a list as value repeats the name), pairs, or bytes."""
    if isinstance(given, bytes):
        return varint(len(given)) + given
    pairs = given.items() if isinstance(given, dict) else given or ()
    body = b""
    for name, value in pairs:
        for each in value if isinstance(value, list) else [value]:
            body += one_property(name, each)
    return varint(len(body)) + body


def packet(kind, flags, body, length=None):
    """Any packet: the type's name or number, flags, body, and a length to announce instead."""
    number = NUMBERS.get(kind, kind)
    return bytes([number << 4 | flags]) + (varint(len(body)) if length is None else length) + body


# ---- what a client sends ----

class Will:
    def __init__(self, topic, payload=b"", qos=0, retain=False, properties=None):
        self.topic, self.payload, self.qos, self.retain = topic, payload, qos, retain
        self.properties = properties


def connect(client_id="", version=4, clean=True, keepalive=60, will=None, username=None,
            password=None, properties=None, name=None, level=None, flags=None, tail=b""):
    bits = 0x02 if clean else 0
    if will is not None:
        bits |= 0x04 | will.qos << 3 | (0x20 if will.retain else 0)
    bits |= (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    body = text(name or ("MQIsdp" if version == 3 else "MQTT"))
    body += bytes([version if level is None else level, bits if flags is None else flags])
    body += two(keepalive)
    if version == 5:
        body += encode_properties(properties)
    body += text(client_id)
    if will is not None:
        if version == 5:
            body += encode_properties(will.properties)
        body += text(will.topic) + binary(will.payload)
    if username is not None:
        body += text(username)
    if password is not None:
        body += text(password)
    return packet("CONNECT", 0, body + tail)


def publish(topic, payload=b"", qos=0, id=None, retain=False, dup=False, version=4,
            properties=None):
    body = text(topic)
    if id is not None:
        body += two(id)
    if version == 5:
        body += encode_properties(properties)
    return packet("PUBLISH", (8 if dup else 0) | qos << 1 | (1 if retain else 0), body + payload)


def ack(kind, id, reason=None, properties=None, flags=None):
    body = two(id)
    if reason is not None:
        body += bytes([reason])
    if properties is not None:
        body += encode_properties(properties)
    return packet(kind, (2 if kind == "PUBREL" else 0) if flags is None else flags, body)


def subscribe(id, *filters, version=4, properties=None, flags=2):
    """Filters are (filter, options), the options being the QoS and what 5.0 puts beside it."""
    body = two(id)
    if version == 5:
        body += encode_properties(properties)
    for topic_filter, options in filters:
        body += text(topic_filter) + bytes([options])
    return packet("SUBSCRIBE", flags, body)


def unsubscribe(id, *filters, version=4, properties=None, flags=2):
    body = two(id)
    if version == 5:
        body += encode_properties(properties)
    return packet("UNSUBSCRIBE", flags, body + b"".join(text(each) for each in filters))


def pingreq():
    return packet("PINGREQ", 0, b"")


def disconnect(reason=None, properties=None):
    body = b"" if reason is None else bytes([reason])
    if properties is not None:
        body += encode_properties(properties)
    return packet("DISCONNECT", 0, body)


def auth(reason, properties=None):
    return packet("AUTH", 0, bytes([reason]) + encode_properties(properties))


# ---- what a server sent ----

class Packet:
    """A decoded packet: `kind` and its fields as attributes; `raw` is what arrived."""

    def __init__(self, kind, raw, **fields):
        self.kind, self.raw, self.fields = kind, raw, fields
        self.__dict__.update(fields)

    def __repr__(self):
        shown = []
        for name, value in self.fields.items():
            if isinstance(value, bytes) and len(value) > 40:
                value = value[:40] + b"... (%d bytes)" % len(value)
            shown.append(f"{name}={value!r}")
        return f"{self.kind}({', '.join(shown)})"


class Reader:
    """Takes values off the front of a body."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        assert self.at + size <= len(self.data), f"a value is cut off in {self.data.hex()}"
        self.at += size
        return self.data[self.at - size:self.at]

    def rest(self):
        return self.take(len(self.data) - self.at)

    def left(self):
        return len(self.data) - self.at

    def byte(self):
        return self.take(1)[0]

    def two(self):
        return struct.unpack("!H", self.take(2))[0]

    def four(self):
        return struct.unpack("!I", self.take(4))[0]

    def varint(self):
        start, value, shift = self.at, 0, 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        assert self.data[start:self.at] == varint(value), "an over-long variable byte integer"
        return value

    def binary(self):
        return self.take(self.two())

    def text(self):
        return self.binary().decode("utf-8", "strict")

    def pair(self):
        return (self.text(), self.text())

    def properties(self, kind):
        """In order of arrival; repeated names gather in a list."""
        end = self.varint() + self.at
        assert end <= len(self.data), f"properties reach past the end of {self.data.hex()}"
        found = {}
        while self.at < end:
            name = NAMES[self.byte()]
            _, wire_type, packets = PROPERTIES[name]
            assert kind in packets.split(), f"{name} in a {kind} from the server"
            value = getattr(self, wire_type)()
            if name in ("user_property", "subscription_identifier"):
                found.setdefault(name, []).append(value)
            else:
                assert name not in found, f"{name} twice in a {kind}"
                found[name] = value
        assert self.at == end, f"properties of wrong length in {self.data.hex()}"
        return found


def decode(raw, header_size, version):
    """One whole packet from a server to a client of this version."""
    kind, flags = TYPES.get(raw[0] >> 4), raw[0] & 15
    assert kind is not None, f"packet type 0 from the server: {raw.hex()}"
    assert raw[1:header_size] == varint(len(raw) - header_size), f"over-long length: {raw.hex()}"
    reader = Reader(raw[header_size:])
    five = version == 5
    if kind == "PUBLISH":
        return decode_publish(reader, raw, flags, five)
    assert flags == (2 if kind == "PUBREL" else 0), f"flags {flags} in a {kind}"
    fields = {}
    if kind == "CONNACK":
        bits = reader.byte()
        assert bits <= 1, f"reserved bits in CONNACK: {raw.hex()}"
        fields = {"session_present": bits == 1, "code": reader.byte()}
        if five:
            fields["properties"] = reader.properties(kind)
    elif kind in ("PUBACK", "PUBREC", "PUBREL", "PUBCOMP"):
        fields = {"id": reader.two(), "reason": 0, "properties": {}}
        assert fields["id"] != 0, f"{kind} for id 0"
        read_reason(reader, kind, fields, five)
    elif kind in ("SUBACK", "UNSUBACK"):
        fields = {"id": reader.two()}
        if five:
            fields["properties"] = reader.properties(kind)
        fields["codes"] = list(reader.rest())
    elif kind in ("DISCONNECT", "AUTH"):
        assert five, f"{kind} to a client of version {version}"
        fields = {"reason": 0, "properties": {}}
        read_reason(reader, kind, fields, five)
    else:
        assert kind == "PINGRESP", f"{kind} from the server"
    assert reader.left() == 0, f"bytes left over in {kind}: {raw.hex()}"
    check_codes(kind, fields, five)
    return Packet(kind, raw, **fields)


def read_reason(reader, kind, fields, five):
    if five and reader.left():
        fields["reason"] = reader.byte()
        if reader.left():
            fields["properties"] = reader.properties(kind)


def check_codes(kind, fields, five):
    for name in ("code", "reason"):
        if five and name in fields and kind in REASONS:
            assert fields[name] in REASONS[kind], f"{kind} with reason 0x{fields[name]:02X}"
    if kind == "CONNACK":
        assert five or fields["code"] <= 5, f"CONNACK code {fields['code']}"
        assert not (fields["code"] and fields["session_present"]), "session present on refusal"
    if kind == "SUBACK":
        allowed = REASONS["SUBACK"] if five else {0, 1, 2, 0x80}
        assert set(fields["codes"]) <= allowed, f"SUBACK codes {fields['codes']}"
    if kind == "UNSUBACK":
        assert set(fields["codes"]) <= (REASONS["UNSUBACK"] if five else set())


def decode_publish(reader, raw, flags, five):
    qos = flags >> 1 & 3
    assert qos < 3, f"PUBLISH with QoS 3: {raw.hex()}"
    assert qos or not flags & 8, "DUP on a QoS 0 PUBLISH"
    fields = {"topic": reader.text(), "payload": None, "qos": qos, "retain": bool(flags & 1),
              "dup": bool(flags & 8), "id": reader.two() if qos else None}
    assert fields["id"] != 0, "PUBLISH with id 0"
    fields["properties"] = reader.properties("PUBLISH") if five else {}
    fields["payload"] = reader.rest()
    assert fields["topic"] or "topic_alias" in fields["properties"], "PUBLISH without topic"
    return Packet("PUBLISH", raw, **fields)
