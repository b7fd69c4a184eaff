"""One thread for all clients of the soak: an epoll set, timers, and connections upon them."""

import collections
import errno
import heapq
import itertools
import select
import socket
import time

from harness import wire


class Loop:
    def __init__(self):
        self.epoll = select.epoll()
        self.links = {}
        self.timers = []
        self.numbers = itertools.count()

    def after(self, seconds, action):
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.numbers), action))

    def turn(self):
        """Waits for one batch of events and handles it, and what is due."""
        now = time.monotonic()
        wait = min(0.05, max(self.timers[0][0] - now, 0)) if self.timers else 0.05
        for number, events in self.epoll.poll(wait):
            link = self.links.get(number)
            if link is not None:
                link.handle(events)
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            heapq.heappop(self.timers)[2]()

    def run(self, seconds, until=lambda: False):
        """Turns until the condition holds, and answers whether it did, or the time is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if until():
                return True
            self.turn()
        return until()


class Link:
    """A connection; `on_packet` gets what comes, `on_end` the end that the other side made."""

    def __init__(self, loop, address, version, on_packet, on_end):
        self.loop, self.version = loop, version
        self.on_packet, self.on_end = on_packet, on_end
        self.incoming, self.outgoing = bytearray(), collections.deque()
        self.is_open, self.is_paused, self.events = True, False, 0
        self.socket = socket.socket(socket.AF_INET)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        error = self.socket.connect_ex(address)
        assert error in (0, errno.EINPROGRESS), f"connect: {errno.errorcode.get(error, error)}"
        self.number = self.socket.fileno()
        loop.links[self.number] = self
        loop.epoll.register(self.number, 0)
        self.watch()

    def watch(self):
        wanted = (0 if self.is_paused else select.EPOLLIN) | \
            (select.EPOLLOUT if self.outgoing else 0)
        if wanted != self.events:
            self.events = wanted
            self.loop.epoll.modify(self.number, wanted)

    def send(self, data):
        if self.is_open:
            self.outgoing.append(data)
            self.watch()

    def pause(self, is_paused):
        """A paused link leaves what comes in the socket."""
        self.is_paused = is_paused
        if self.is_open:
            self.watch()

    def handle(self, events):
        try:
            if events & select.EPOLLOUT:
                self.write()
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                self.read()
        except BlockingIOError:
            pass
        except OSError:
            self.lose()

    def write(self):
        data = b"".join(self.outgoing)
        self.outgoing.clear()
        sent = self.socket.send(data) if data else 0
        if sent < len(data):
            self.outgoing.append(data[sent:])
        self.watch()

    def read(self, size=1 << 16):
        data = self.socket.recv(size)
        if not data:
            self.lose()
            return
        self.incoming += data
        self.take_packets()

    def take_packets(self):
        """Every whole packet is handed on, as long as its receiver keeps the link open."""
        at = 0
        while self.is_open and (sizes := self.whole_packet(at)):
            raw = bytes(self.incoming[at:at + sizes[0]])
            at += sizes[0]
            self.on_packet(self, wire.decode(raw, sizes[1], self.version))
        del self.incoming[:at]

    def whole_packet(self, at):
        value = 0
        for i in range(1, min(len(self.incoming) - at, 5)):
            byte = self.incoming[at + i]
            value |= (byte & 0x7F) << 7 * (i - 1)
            if not byte & 0x80:
                size = 1 + i + value
                return (size, 1 + i) if len(self.incoming) - at >= size else None
        return None

    def lose(self):
        if self.is_open:
            self.close()
            self.on_end(self)

    def close(self, is_reset=False):
        if not self.is_open:
            return
        self.is_open = False
        del self.loop.links[self.number]
        self.loop.epoll.unregister(self.number)
        if is_reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()
