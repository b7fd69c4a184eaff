"""The files of examples/haproxy, run as they are: only ports, paths and HAProxy's user are others."""

import os
import pathlib
import re

from . import ports
from .certificates import Authority

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "examples/haproxy"
# The ports that the files have.
PORTS = (1883, 8883, 1884, 1885, 8404, 8080, 8081)


def names():
    return sorted(path.stem for path in FOLDER.glob("*.cfg"))


class Example:
    """
    One pair of files. `at` answers the test's own port for one of the files', `pki` is a folder in
    which the certificates are that the files speak of; `authority` made them.
    """

    def __init__(self, name, folder):
        self.name, self.folder = name, pathlib.Path(folder)
        self.folder.mkdir()
        self._ports = {}
        self.authority = Authority(self.folder / "pki")
        self.server, self.client = self.authority.server(), self.authority.client("meter")
        self.foreign = Authority(self.folder / "foreign").client("meter")
        certs = self.folder / "certs"
        certs.mkdir()
        (certs / "server.pem").write_bytes(self.server.both.read_bytes())

    def at(self, port):
        if port not in self._ports:
            self._ports[port] = ports.take()
        return self._ports[port]

    def address(self, port):
        return ("127.0.0.1", self.at(port))

    def known(self, pair=None):
        """What the clients of mosquitto need to know to speak TLS."""
        certificate = ["--cert", str(pair.cert), "--key", str(pair.key)] if pair else []
        return ["--cafile", str(self.authority.cert), *certificate]

    def _adapt(self, text):
        for port in PORTS:
            text = re.sub(rf"(?<![\d.]){port}\b", lambda _: str(self.at(port)), text)
        for path, ours in (("/etc/haproxy/certs", self.folder / "certs"),
                           ("/etc/haproxy/client-ca.crt", self.authority.cert),
                           ("/etc/nightjar/server.crt", self.server.cert),
                           ("/etc/nightjar/server.key", self.server.key),
                           ("/etc/nightjar/client-ca.crt", self.authority.cert),
                           ("/run/nightjar", self.folder)):
            text = text.replace(path, str(ours))
        return text

    def broker_text(self):
        return self._adapt((FOLDER / f"{self.name}.conf").read_text())

    def haproxy_text(self):
        text = self._adapt((FOLDER / f"{self.name}.cfg").read_text())
        # Its user is in no group of ours, as it should be for a socket at a path.
        if os.geteuid() != 0 or "unix@" in text:
            text = re.sub(r"(?m)^\s*(user|group) .*\n", "", text)
        return text

    def run(self, start_broker, start_haproxy, front, **options):
        """Both, with HAProxy listening on what the files call these ports."""
        broker = start_broker(self.broker_text(), places={"port": self.at(1884)}, **options)
        haproxy = start_haproxy(self.haproxy_text(), {str(port): self.at(port) for port in front},
                                defaults=None, frontends=[str(port) for port in front])
        return broker, haproxy
