"""Debian's HAProxy in the foreground, from a readable configuration with its own folder."""

import pathlib
import socket
import subprocess

from .broker import Places
from .ports import listening
from .process import Process, wait_until

GLOBAL = """global
    stats socket {dir}/stats level admin
    log stdout format raw local0

"""

# The seed's own section.
DEFAULTS = """defaults
    mode tcp
    timeout connect 5000
    timeout client 60000
    timeout server 60000

"""


class HAProxy:
    """`frontends` names the places ({port...}) that it listens on itself."""

    def __init__(self, folder, text, places, frontends=("front",), defaults=DEFAULTS):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        places = Places({**places, "dir": str(self.folder)})
        config = self.folder / "haproxy.cfg"
        if defaults is None:  # a whole file, as it is
            config.write_text(text.replace("/run/haproxy/admin.sock", str(self.folder / "stats")))
        else:
            config.write_text((GLOBAL + defaults + text).format_map(places))
        checked = subprocess.run(["haproxy", "-c", "-q", "-f", str(config)], capture_output=True,
                                 check=False)
        assert checked.returncode == 0, checked.stderr.decode()
        self.process = Process(["haproxy", "-db", "-f", str(config)], self.folder, "haproxy")
        ports = {places[name] for name in frontends if isinstance(places.get(name), int)}
        wait_until(lambda: self._alive() and ports <= listening() and self._answers(),
                   what="HAProxy's listening")

    def _alive(self):
        assert self.process.is_alive(), self.process.log()
        return True

    def _answers(self):
        try:
            return bool(self.ask("show info"))
        except OSError:
            return False

    def ask(self, command):
        """One command on the stats socket."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            link.connect(str(self.folder / "stats"))
            link.sendall(command.encode() + b"\n")
            answer = b""
            while data := link.recv(65536):
                answer += data
        return answer.decode()

    def server(self, backend="mqtt_backend", server="server1"):
        """The statistics of one server, by the names of their columns."""
        rows = self.ask("show stat").lstrip("# ").splitlines()
        names = rows[0].split(",")
        for row in rows[1:]:
            found = dict(zip(names, row.split(",")))
            if (found.get("pxname"), found.get("svname")) == (backend, server):
                return found
        raise AssertionError(f"no server {backend}/{server} in HAProxy's statistics")

    def stop(self):
        self.process.kill()
