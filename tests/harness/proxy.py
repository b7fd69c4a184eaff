"""PROXY protocol headers: written for scenarios, and those that HAProxy was seen to send."""

import ipaddress
import pathlib
import struct

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
LOCAL, PROXY = 0, 1
UNSPEC, INET, INET6, UNIX = 0, 1, 2, 3
RECORDED = pathlib.Path(__file__).parents[1] / "proxy/headers.txt"


def v2(block=b"", command=PROXY, family=INET, transport=1, version=2, length=None):
    size = len(block) if length is None else length
    return SIGNATURE + bytes([version << 4 | command, family << 4 | transport]) + \
        struct.pack("!H", size) + block


def addresses(source, port, to="192.0.2.1", to_port=1883):
    """The address block of a client, either family."""
    return ipaddress.ip_address(source).packed + ipaddress.ip_address(to).packed + \
        struct.pack("!HH", port, to_port)


def client(source, port, *tlvs):
    """A whole header that announces this client."""
    if ":" in source:
        return v2(addresses(source, port, "2001:db8::1") + b"".join(tlvs), family=INET6)
    return v2(addresses(source, port) + b"".join(tlvs))


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def crc32c(data):
    """Castagnoli's, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def with_crc(source, port, wrong=0):
    """A header with a checksum TLV, off by `wrong`."""
    blank = client(source, port, tlv(3, bytes(4)))
    return blank[:-4] + struct.pack("!I", crc32c(blank) ^ wrong)


class Recorded:
    """One recorded connection: its header, what follows, and the client it announces."""

    def __init__(self, name, data):
        self.name, self.data = name, data
        self.version, self.client, size = 0, None, 0
        if data.startswith(SIGNATURE):
            self.version = 2
            size = 16 + struct.unpack("!H", data[14:16])[0]
            if data[12] & 15 == PROXY:
                wide = 16 if data[13] >> 4 == INET6 else 4
                self.client = self.endpoint(data[16:16 + wide], data[16 + 2 * wide:][:2])
        elif data.startswith(b"PROXY "):
            self.version = 1
            size = data.index(b"\r\n") + 2
            words = data[:size - 2].decode().split(" ")
            if words[1] != "UNKNOWN":
                self.client = self.endpoint(ipaddress.ip_address(words[2]).packed,
                                            struct.pack("!H", int(words[4])))
        self.header, self.payload = data[:size], data[size:]

    @staticmethod
    def endpoint(packed, port):
        address = ipaddress.ip_address(packed)
        mapped = getattr(address, "ipv4_mapped", None)
        return f"{mapped or address}:{struct.unpack('!H', port)[0]}"

    @property
    def is_mqtt(self):
        return self.payload.startswith(b"\x10")

    @property
    def described(self):
        """The client of the CONNECT as the log describes it: `cap1 (p4, c1, k60)`."""
        level, flags, keepalive, size = struct.unpack("!BBHH", self.payload[8:14])
        name = self.payload[14:14 + size].decode()
        return f"{name} (p{level}, c{flags >> 1 & 1}, k{keepalive})"


def recorded():
    lines = [line.split() for line in RECORDED.read_text().splitlines() if line[:1] != "#"]
    return [Recorded(name, bytes.fromhex(data)) for name, data in lines]
