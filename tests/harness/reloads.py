"""
Reloads of which a call fails: from one configuration to another and back. They differ in all that
clients and the log can see; whatever was said to hold must hold as a whole.
"""

import contextlib
import itertools
import re
import socket
import threading

from . import proxy, users, wire
from .bench import Bench, Broken
from .client import Closed
from .failpoints import MEMORY

BOTH = """
per_listener_settings true
listener {port} 127.0.0.1
allow_anonymous true
max_topic_alias %(aliases)d
listener {port2} localhost
allow_anonymous %(welcome)s
password_file {dir}/%(name)s-passwords
acl_file {dir}/rules
enable_proxy_protocol any
proxy_protocol_trusted 127.0.0.1
listener %(port)s 127.0.0.1
allow_anonymous true
socket_domain ipv4
bind_interface lo
mount_point %(name)s/
listener {port_tls} 127.0.0.1
allow_anonymous true
certfile {tls}/server.crt
keyfile {tls}/server.key
listener 0 FOLDER/%(name)s-socket
allow_anonymous true
log_dest stderr
log_dest file FOLDER/%(name)s-log
log_dest topic
log_dest syslog
log_syslog_path FOLDER/%(name)s-syslog
log_type all
sys_interval 0
log_timestamp_format %(name)s
include_dir FOLDER/%(name)s-more
"""
OLD = {"name": "old", "port": "{port3}", "aliases": 20, "welcome": "true", "keepalive": 500}
NEW = {"name": "new", "port": "{port4}", "aliases": 5, "welcome": "false", "keepalive": 700}
SIDES = (OLD, NEW)
FILES = {"rules": "topic #\npattern read %u/%c\nuser anna\ntopic #\n",
         **{f"{side['name']}-passwords": users.password("anna") for side in SIDES}}
NOBODY = {0x87}  # is not welcome
HEADER = proxy.client("192.0.2.9", 999)

# The old log file stays in place then, and the line says so.
LOG_FAILED = re.compile(r"Error: Unable to (open|replace) (the )?log file")
WHY = re.compile(r"Error: (?!The configuration stays)\S+")


class Daemon:
    """Reads what is sent to a syslog socket, so that nobody waits."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.lines = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while line := self.socket.recv(65536):
            self.lines.append(line.decode(errors="replace"))

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


class Reloads:
    """A broker that is told to reload, and where it stands."""

    numbers = itertools.count(1)

    def __init__(self, start_broker, points, folder):
        self.start_broker, self.points, self.folder = start_broker, points, folder
        self.bench, self.daemons = None, {}
        for side in SIDES:
            name = side["name"]
            self.daemons[name] = Daemon(folder / f"{name}-syslog")
            (folder / f"{name}-more").mkdir()
            for number, line in enumerate((f"max_keepalive {side['keepalive']}", "# " + "x" * 9000)):
                (folder / f"{name}-more/{number}.conf").write_text(line + "\n")

    def close(self):
        for each in self.daemons.values():
            each.close()

    def text(self, side):
        return (BOTH % side).replace("FOLDER", str(self.folder))

    def fresh(self):
        """Another broker, with the old configuration."""
        self.finish()
        self.at = OLD
        self.bench = Bench(self.start_broker, self.text(OLD), self.points, workers=2,
                           files=FILES)

    def finish(self):
        if self.bench:
            bench, self.bench = self.bench, None
            bench.finish()

    # ---- a reload ----

    def invite(self):
        """Somebody whom the new configuration does not welcome."""
        guest = self.bench.connect(address=self.address("port2"), before=HEADER)
        guest.foreseen = NOBODY
        return guest

    def turn(self, side, guest):
        """To that side; whether the log says so. The guest must see it, too."""
        bench = self.bench
        bench.broker.config.write_text(bench.broker.complete(self.text(side)))
        is_taken = bench.reload()
        if guest and is_taken:
            with contextlib.suppress(Closed):
                guest.expect("DISCONNECT", reason=0x87)
        elif guest:
            guest.ping()
        return is_taken

    def go(self, side):
        """Nothing fails; how often each point is hit meanwhile."""
        guest = self.invite() if side is NEW else None
        self.bench.broker.wait_quiet()
        before = self.points.hits()
        if not self.turn(side, guest):
            raise Broken(f"a reload to {side['name']} was refused though nothing failed")
        self.at = side
        return [b - a for a, b in zip(before, self.points.hits())]

    def fail(self, side, what, first, times=1):
        """The reload to this side while something fails; whether it did."""
        if self.at is side:
            self.go(NEW if side is OLD else OLD)
        self.bench.log_lines()
        before = self.bench.log_size()
        guest = self.invite() if side is NEW else None
        try:
            with self.points.armed(what, first, times):
                is_taken = self.turn(side, guest)
        finally:
            self.bench.leave()
        is_failed = self.points.failed() > 0
        said = self.bench.log_since(before)
        if not is_taken and not WHY.search(said):
            raise Broken(f"nobody said why:\n{said}")
        self.at = side if is_taken else self.at
        self.expect_whole(said, what != MEMORY and self.points.points[what].call == "unlink")
        self.bench.check()
        return is_failed

    # ---- what holds ----

    def address(self, name):
        return ("127.0.0.1", self.bench.broker.places[name])

    def opens(self, name, before=b""):
        """Whether somebody without a name is let in there."""
        try:
            peer = self.bench.open(address=self.address(name))
        except ConnectionRefusedError:
            return False
        peer.foreseen = NOBODY
        peer.send(before + wire.connect(self.bench.name("stranger-"), 5))
        return peer.expect("CONNACK").code == 0

    def seen(self, name):
        found = {path.name for path in self.folder.glob("*-socket")}
        probe = self.bench.connect(name, keepalive=1000)
        return {"keepalive": probe.connack.properties.get("server_keep_alive"),
                "aliases": probe.connack.properties.get("topic_alias_maximum"),
                "old port": self.opens("port3"), "new port": self.opens("port4"),
                "welcome": self.opens("port2", HEADER),
                "sockets": found}

    def expect_whole(self, said="", leaves_file=False):
        """All of it is as on the side where we are; a file that stays is replaced another time."""
        name = f"probe-{next(self.numbers)}."
        wanted = {"keepalive": self.at["keepalive"], "aliases": self.at["aliases"],
                  "old port": self.at is OLD, "new port": self.at is NEW,
                  "welcome": self.at is OLD, "sockets": {self.at["name"] + "-socket"}}
        got = self.seen(name)
        if leaves_file:
            got["sockets"] &= wanted["sockets"]
        if got != wanted:
            raise Broken(f"with the {self.at['name']} configuration: {got}")
        self.bench.wait(lambda: self.logged(name), "nothing was logged")
        for where, prefixes in self.logged(name).items():
            if where == "file" and LOG_FAILED.search(said):
                continue
            if prefixes != {(self.at["name"], self.at["name"])}:
                raise Broken(f"{where} with the {self.at['name']} configuration: {prefixes}")
        self.bench.leave()

    def logged(self, name):
        """Per kind of destination: in which one, and in which format, the name was logged."""
        texts = {}
        for side in SIDES:
            path = self.folder / f"{side['name']}-log"
            texts["file", side["name"]] = path.read_text() if path.exists() else ""
            texts["syslog", side["name"]] = "\n".join(self.daemons[side["name"]].lines)
        found = {"file": set(), "syslog": set()}
        for (where, side), text in texts.items():
            for match in re.finditer(rf"(?:^|: )(\w+): New client .* as {re.escape(name)} ", text,
                                     re.M):
                found[where].add((side, match[1]))
        return found if all(found.values()) else None
