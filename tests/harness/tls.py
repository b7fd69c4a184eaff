"""
TLS as a client, over any socket: what a record is cut into, and how many bytes of it go at once, is
the scenario's to say.
"""

import contextlib
import ssl
import time


def context(authority=None, certificate=None, version=None):
    """Trusts the authority (without one, everybody), and shows the (certificate, key)."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = authority is not None
    if authority:
        made.load_verify_locations(str(authority))
    else:
        made.verify_mode = ssl.CERT_NONE
    if certificate:
        made.load_cert_chain(*map(str, certificate))
    if version:
        made.minimum_version = made.maximum_version = version
    return made


class Socket:
    """As much of a socket as Client wants, with TLS on another one."""

    def __init__(self, below, rules, name="localhost", session=None):
        self.below = below
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = rules.wrap_bio(self.incoming, self.outgoing, server_hostname=name,
                                  session=session)

    def begin(self):
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        self.flush()

    def handshake(self, holds_last=False):
        """With `holds_last` our last flight goes only with what is sent next."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                self.fill()
            except ssl.SSLError:
                self.flush()
                raise
        if not holds_last:
            self.flush()

    def fill(self):
        data = self.below.recv(1 << 16)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    def flush(self):
        data = self.outgoing.read()
        if data:
            self.below.sendall(data)

    def seal(self, data):
        """The records of these bytes, with all that was not sent yet."""
        self.tls.write(data)
        return self.outgoing.read()

    def send_pieces(self, data, size, delay=0.0):
        """Records and all, so many bytes at a time."""
        for start in range(0, len(data), size):
            self.below.sendall(data[start:start + size])
            time.sleep(delay)

    def send_cut(self, data, at, delay=0.0):
        """Records and all, in two pieces."""
        self.below.sendall(data[:at])
        time.sleep(delay)
        self.below.sendall(data[at:])

    def recv_to_the_end(self):
        """All that comes until the other side says that nothing more does; fails where it goes
        without saying so."""
        data = []
        while not data or data[-1]:
            try:
                data.append(self.tls.read(1 << 16))
            except ssl.SSLWantReadError:
                self.fill()
        return b"".join(data)

    def say_end(self):
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.flush()

    # ---- a socket ----

    def sendall(self, data):
        while data:
            size = self.tls.write(data)
            self.flush()
            data = data[size:]

    def recv(self, size):
        while True:
            try:
                return self.tls.read(size)
            except ssl.SSLWantReadError:
                self.flush()
                self.fill()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    def close(self):
        self.below.close()

    def __getattr__(self, name):
        return getattr(self.below, name)
