"""
A WebSocket client made of bytes: frames as the scenario wants them, right or wrong. What a client
of harness/client.py sends goes out in one frame, and what comes is taken out of frames, each of which
must be one that a server may send.
"""

import base64
import hashlib
import os
import time

from .client import PATIENCE, Client, Closed

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def masked(payload, mask):
    whole = (mask * (len(payload) // 4 + 1))[:len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(
        len(payload), "big")


def frame(payload=b"", opcode=BINARY, final=True, reserved=0, mask=None, form=None):
    """`mask` b"": none at all; `form`: the number of bytes of the length, whatever it needs."""
    mask = os.urandom(4) if mask is None else mask
    if form is None:
        form = 0 if len(payload) < 126 else 2 if len(payload) < 65536 else 8
    short = {0: len(payload), 2: 126, 8: 127}[form]
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode, (0x80 if mask else 0) | short])
    long = len(payload).to_bytes(form, "big") if form else b""
    return head + long + mask + (masked(payload, mask) if mask else payload)


def fragments(payload, *cuts):
    """One message in as many frames as there are cuts, and one more."""
    ends = [*cuts, len(payload)]
    parts = [payload[start:end] for start, end in zip([0, *cuts], ends)]
    return [frame(part, CONTINUATION if n else BINARY, n == len(parts) - 1)
            for n, part in enumerate(parts)]


def request(path="/mqtt", key=KEY, protocol="mqtt", version="13", method="GET", **headers):
    """A request for the upgrade; a header that is None is left out, `_` is for `-`."""
    all_headers = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade",
                   "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": version,
                   "Sec-WebSocket-Protocol": protocol}
    all_headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    lines = [f"{name}: {value}" for name, value in all_headers.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode()


class WebSocketClient(Client):
    def __init__(self, *given, **fields):
        super().__init__(*given, **fields)
        self.raw = b""
        self.is_upgraded = False
        self.controls = []  # (opcode, payload) of what came

    # ---- the upgrade ----

    def send_raw(self, *data, pieces=None, delay=0.0):
        super().send(*data, pieces=pieces, delay=delay)

    def read_answer(self):
        """Status, headers in order and text of an answer of HTTP."""
        status, headers, _ = self.read_head()
        size = int(dict(headers).get("Content-Length", 0))
        return status, headers, self.read_raw(lambda: size if len(self.raw) >= size else None)

    def read_head(self):
        """The same without a text."""
        head = self.read_raw(lambda: self.raw.index(b"\r\n\r\n") + 4
                             if b"\r\n\r\n" in self.raw else None).decode()
        first, *lines = head[:-4].split("\r\n")
        headers = [tuple(line.split(": ", 1)) for line in lines]
        return int(first.split()[1]), headers, b""

    def read_raw(self, measure):
        """As many bytes as `measure` says once it says so."""
        deadline = time.monotonic() + PATIENCE
        while (size := measure()) is None:
            assert super().fill(deadline), f"{self}: no whole answer in {self.raw!r}"
            self.raw, self.buffer = self.raw + self.buffer, b""
        data, self.raw = self.raw[:size], self.raw[size:]
        return data

    def upgrade(self, behind=b"", **fields):
        """Asks, and the answer must be the right one; `behind` is sent in the same segment."""
        self.send_raw(request(**fields) + behind)
        self.expect_upgrade(fields.get("protocol", "mqtt"), fields.get("key", KEY))

    def expect_upgrade(self, protocol="mqtt", key=KEY):
        status, headers, _ = self.read_answer()
        assert status == 101, (status, headers)
        assert headers == [("Upgrade", "WebSocket"), ("Connection", "Upgrade"),
                           ("Sec-WebSocket-Accept", accept_of(key)),
                           ("Sec-WebSocket-Protocol", protocol)]
        self.is_upgraded = True
        self.unwrap()

    # ---- frames ----

    def send(self, *packets, pieces=None, delay=0.0):
        self.send_raw(frame(b"".join(packets)), pieces=pieces, delay=delay)

    def fill(self, deadline):
        before, self.buffer = self.buffer, b""
        try:
            done = super().fill(deadline)
            self.raw += self.buffer
        finally:
            self.buffer = before
        if self.is_upgraded:
            self.unwrap()
        return done

    def unwrap(self):
        while (taken := self.take_frame()) is not None:
            opcode, payload = taken
            if opcode == BINARY:
                self.buffer += payload
            else:
                assert opcode in (CLOSE, PING, PONG), f"{self}: opcode {opcode}"
                self.controls.append((opcode, payload))

    def take_frame(self):
        if len(self.raw) < 2:
            return None
        first, short = self.raw[0], self.raw[1]
        assert first & 0xF0 == 0x80 and short < 128, f"{self}: {self.raw[:10].hex(' ')}"
        form = {126: 2, 127: 8}.get(short, 0)
        if len(self.raw) < 2 + form:
            return None
        size = int.from_bytes(self.raw[2:2 + form], "big") if form else short
        assert size >= {0: 0, 2: 126, 8: 65536}[form], f"{self}: not the shortest form"
        if len(self.raw) < 2 + form + size:
            return None
        payload = self.raw[2 + form:2 + form + size]
        self.raw = self.raw[2 + form + size:]
        return first & 15, payload

    def expect_control(self, opcode):
        """The payload of a frame that is the next control frame."""
        deadline = time.monotonic() + PATIENCE
        while not self.controls:
            assert self.fill(deadline), f"{self}: no control frame"
        assert self.controls[0][0] == opcode, f"{self}: {self.controls[0]}"
        return self.controls.pop(0)[1]

    def expect_pong(self, payload):
        assert self.expect_control(PONG) == payload

    def expect_close_frame(self, code):
        """A close frame with this code (None: without one), then the end of the connection."""
        deadline = time.monotonic() + PATIENCE
        try:
            while self.fill(deadline):
                pass
            raise AssertionError(f"{self}: not closed")
        except Closed:
            pass
        payload = b"" if code is None else code.to_bytes(2, "big")
        assert (self.buffer, self.raw) == (b"", b""), (self.buffer, self.raw)
        assert self.controls == [(CLOSE, payload)], self.controls
