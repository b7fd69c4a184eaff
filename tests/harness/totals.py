"""
What went over the connections of a scenario, counted on the clients' side: to compare with what the
broker says of itself.
"""

import collections
import struct

from . import wire

TYPES = ("connect connack publish puback pubrec pubrel pubcomp subscribe suback unsubscribe unsuback "
         "pingreq pingresp disconnect auth").split()


class Stream:
    """One direction of one connection: takes it apart into packets as it comes."""

    def __init__(self, counts):
        self.counts, self.rest = counts, b""

    def take(self, data):
        self.counts["bytes"] += len(data)
        self.rest += data
        while (size := self.whole()) is not None:
            packet, self.rest = self.rest[:size], self.rest[size:]
            self.counts[TYPES[(packet[0] >> 4) - 1]] += 1
            self.counts["messages"] += 1

    def whole(self):
        length = 0
        for i in range(1, min(len(self.rest), 5)):
            length |= (self.rest[i] & 127) << 7 * (i - 1)
            if not self.rest[i] & 128:
                size = 1 + i + length
                if len(self.rest) < size:
                    return None
                self.look(self.rest[0], self.rest[1 + i:size])
                return size
        return None

    def look(self, first, body):
        """The payload of a PUBLISH, of versions without properties."""
        if first >> 4 == 3:
            topic = 2 + struct.unpack(">H", body[:2])[0]
            self.counts["payload"] += len(body) - topic - (2 if first & 6 else 0)


class Socket:
    def __init__(self, socket, totals):
        self.socket = socket
        self.sent, self.received = Stream(totals.received), Stream(totals.sent)

    def __getattr__(self, name):
        return getattr(self.socket, name)

    def sendall(self, data):
        self.socket.sendall(data)
        self.sent.take(data)

    def recv(self, size):
        data = self.socket.recv(size)
        self.received.take(data)
        return data


class Totals:
    """`received` and `sent` are seen from the broker."""

    def __init__(self):
        self.received, self.sent = collections.Counter(), collections.Counter()
        self.sockets = 0

    def watch(self, client):
        """From now on."""
        client.socket = Socket(client.socket, self)
        self.sockets += 1
        return client

    def open(self, broker, version=4, name=""):
        return self.watch(broker.open(version, name=name))

    def connect(self, broker, name, version=4, **fields):
        client = self.open(broker, version, name)
        client.send(wire.connect(name, version, **fields))
        client.expect("CONNACK", code=0)
        return client
