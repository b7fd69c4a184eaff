"""
The broker under test: Nightjar, or Debian's mosquitto while a scenario is being written.

A configuration is text with places: {port}, {port2}, ... are free ports, {dir} the folder of this
broker. `workers N` is added when a scenario asks for it (and the broker knows the option).
"""

import atexit
import contextlib
import functools
import itertools
import os
import pathlib
import re
import signal
import tempfile

from . import ports, wire
from .certificates import Authority
from .client import Client
from .process import Process, wait_until
from .websocket import WebSocketClient

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT = "listener {port} 127.0.0.1\nallow_anonymous true\n"


def binary(kind):
    if kind == "mosquitto":
        return "/usr/sbin/mosquitto"
    return os.environ.get("NIGHTJAR", str(ROOT / "build/src/nightjar"))


@functools.cache
def server_folder():
    """Where a server's certificate is, for all brokers of this process: see Authority."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    os.chmod(folder.name, 0o755)
    authority = Authority(folder.name)
    authority.server()
    for key in authority.folder.glob("*.key"):
        key.chmod(0o644)  # there are brokers that serve as nobody
    return folder.name


class Places(dict):
    """Makes up what a configuration text asks for: ports, and {tls}, a folder with a certificate."""

    def __missing__(self, name):
        if name == "tls":
            self[name] = server_folder()
            return self[name]
        assert name.startswith("port"), f"no place {{{name}}} in a configuration"
        self[name] = ports.take()
        return self[name]


class Broker:
    def __init__(self, kind, folder, text=DEFAULT, workers=None, arguments=None, descriptors=None,
                 ready=True, places=None, environment=None, prefix=(), files=None):
        self.kind, self.folder = kind, pathlib.Path(folder)
        self.places = Places(places or {}, dir=str(folder))
        self.is_mosquitto = kind == "mosquitto"
        self.workers = workers
        self.text = self.complete(text) if text is not None else None
        self.expected_status = 0
        self.clients = []
        self._numbers = itertools.count(1)
        command = [*prefix, binary(kind)]
        self.config = self.folder / "broker.conf"
        for name, content in (files or {}).items():
            (self.folder / name).write_text(content)
        if self.text is not None:
            self.config.write_text(self.text)
            command += ["-c", str(self.config)]
        command += [each.format_map(self.places) for each in arguments or []]
        self.command = command
        self.process = Process(command, self.folder, "broker", descriptors, environment)
        if ready:
            self.wait_ready()

    def complete(self, text):
        """A configuration as it is written down."""
        text = text.format_map(self.places)
        if self.workers and not self.is_mosquitto:
            text += f"\nworkers {self.workers}\n"
        if os.geteuid() == 0 and not re.search("^user ", text, re.M):
            text += "\nuser root\n"  # else it gives up its rights on the folder
        return text

    def reload(self, text=None, is_good=True):
        """Has it take over another configuration (or the file as it is), or refuse it."""
        end = "Config loaded from" if is_good else "The configuration stays as it was"
        if text is not None:
            self.config.write_text(self.complete(text))
        before = self.log().count(end)
        self.signal(signal.SIGHUP)
        wait_until(lambda: self.process._text().count(end) > before, what=f'"{end}"')

    def __getattr__(self, name):
        return getattr(self.process, name)

    # ---- where it listens ----

    @property
    def port(self):
        return self.places["port"]

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    def wait_ready(self):
        """
        Until every port and socket of the configuration is listened on, and the broker says that it
        runs, or rests where it has nobody to say it to: it still has to write its pid, for one.
        """
        wanted = {value for name, value in self.places.items() if name.startswith("port")}
        if self.text is not None:  # places may know of more
            said = set(map(int, re.findall(r"\b\d+\b", " ".join([self.text, *self.command]))))
            wanted &= said
        paths = re.findall(r"^listener 0 (\S+)", self.text or "", re.M)

        def is_ready():
            assert self.process.is_alive(), \
                f"the broker ended with {self.process.process.poll()}:\n{self.log()}"
            if is_told and not re.search(r"version \S+ running", self.process._text()):
                return False
            return wanted <= ports.listening() and all(map(os.path.exists, paths))

        is_told = self.tells_when_it_runs()
        wait_until(is_ready, 20.0, what="listening")
        if not is_told:
            self.process.wait_quiet()

    def tells_when_it_runs(self):
        """Whether our copy of its log gets the line for that."""
        destinations = re.findall(r"^log_dest (\S+)", self.text or "", re.M)
        types = re.findall(r"^log_type (\S+)", self.text or "", re.M)
        is_quiet = {"-q", "--quiet"} & set(self.command)
        return self.text is not None and not self.is_mosquitto and not is_quiet and \
            (not destinations or {"stderr", "stdout"} & set(destinations)) and \
            (not types or {"all", "information"} & set(types))

    # ---- clients ----

    def open(self, version=4, address=None, source=None, name="", tls=None):
        """A connection on which nothing was sent yet; but `tls` begins with that."""
        client = Client(address or self.address, version, source, name)
        self.clients.append(client)
        return client.start_tls(tls) if tls else client

    def open_web(self, version=4, address=None, source=None, name="", tls=None, before=b""):
        """The same of a client that will ask for WebSocket, behind bytes that come before TLS."""
        client = WebSocketClient(address or self.address, version, source, name)
        self.clients.append(client)
        if before:
            client.send_raw(before)
        return client.start_tls(tls) if tls else client

    def connect_web(self, client_id=None, version=4, address=None, tls=None, before=b"",
                    headers=None, source=None, **fields):
        """A client of WebSocket whose CONNECT was answered."""
        if client_id is None:
            client_id = f"client-{next(self._numbers)}"
        client = self.open_web(version, address, source, client_id, tls, before)
        client.upgrade(**headers or {})
        client.send(wire.connect(client_id, version, **fields))
        client.connack = client.expect("CONNACK", code=0)
        return client

    def connect(self, client_id=None, version=4, code=0, address=None, source=None, session=None,
                before=b"", lasting=False, tls=None, **fields):
        """
        A client whose CONNECT was answered. `session` says whether one must be present, `lasting`
        asks for one that outlives the connection.
        """
        if client_id is None:
            client_id = f"client-{next(self._numbers)}"
        if lasting:
            fields.setdefault("clean", False)
            if version == 5:
                fields["properties"] = {"session_expiry_interval": 3600,
                                        **fields.get("properties", {})}
        client = self.open(version, address, source, client_id, tls)
        client.send(before + wire.connect(client_id, version, **fields))
        client.connack = client.expect("CONNACK", code=code)
        if session is not None:
            assert client.connack.session_present == session, client.connack
        return client

    # ---- the log ----

    def expect_end_line(self, client_id, address=r"127\.0\.0\.1:\d+", why=""):
        """The one line for the end of a connection, as 2.1 words it (2.0 does otherwise)."""
        if not self.is_mosquitto:
            why = f": {why}" if why else ""
            self.expect_line(rf"Client {client_id} \[{address}\] disconnected{why}\.")
            assert self.count_lines(rf"Client {client_id} \[{address}\] disconnected.*") == 1

    def complaints(self):
        """Lines that speak of something wrong."""
        found = re.compile(r"\berror|warning|malformed|refused", re.I)
        return [line for line in self.lines()
                if found.search(line) and not re.search("(be run|Running) as root", line)]

    def client_ids(self):
        """Of all who connected, as far as the log is written and tells it."""
        return set(re.findall(r"New client connected from \S+ as (.*) \(p\d", self.log()))

    # ---- the end ----

    def finish(self):
        """What every scenario holds besides its own matter: alive, no report, a clean stop."""
        for client in self.clients:
            with contextlib.suppress(OSError):
                client.close()
        try:
            if self.process.process.returncode is None:
                assert self.process.is_alive(), f"the broker died:\n{self.log()}"
                status = self.stop()
                assert status == self.expected_status, \
                    f"the broker ended with {status}, not {self.expected_status}:\n{self.log()}"
        finally:
            self.process.kill()
        self.check_log()
