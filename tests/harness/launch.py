"""Starts and ends of the broker, each call of which is made to fail."""

import collections
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from . import users, wire
from .broker import Places, binary
from .client import Client, Closed
from .process import SANITIZER, wait_until
from .rights import NO_LEAK_CHECK

# What a broker says that can't start.
REASON = re.compile(r"Error: .+")


class Recipe:
    """
    How a broker is started: `text` its configuration, `files` what lies in its folder, `serves`
    whether it does or ends by itself, `visit` who is there when it is told to end.
    """

    def __init__(self, name, text=None, arguments=(), serves=True, user="root", environment=None,
                 files=None, visit=None, prefix=()):
        self.name, self.text, self.arguments, self.serves = name, text, arguments, serves
        self.user, self.environment, self.prefix = user, environment or {}, list(prefix)
        self.files, self.visit = files or {}, visit

    @property
    def needs_root(self):
        return self.user != "root"


def visit(launch):
    """Clients with wills, subscriptions and messages on their way."""
    address = ("127.0.0.1", launch.places["port"])
    clients = [Client(address, 5) for _ in range(4)]
    for n, each in enumerate(clients):
        each.send(wire.connect(f"v{n}", 5, will=wire.Will("will", b"gone", 1, True)))
        each.expect("CONNACK", code=0)
        each.subscribe("will", "$share/g/will", qos=1)
    clients[0].send(wire.publish("will", b"x" * 5000, 1, 1, version=5))
    clients[3].expect("PUBLISH")
    clients[1].send(wire.publish("cut", bytes(100_000), 1, 1, version=5)[:40_000])
    return clients


HEADER = ("0d0a0d0a000d0a515549540a2111002c7f0000017f000001cee6521020001d0700000000210007544c5376312e"
          "3322000b73656e736f722d30303432")
SOCKET = "listener 0 {dir}/s\n"
PLAIN = """
listener {port} 127.0.0.1
listener {port2} 0.0.0.0
socket_domain ipv4
bind_interface lo
enable_proxy_protocol 2
proxy_protocol_trusted 127.0.0.1
listener {port3} localhost
mount_point x/
certfile {tls}/server.crt
keyfile {tls}/server.key
password_file {dir}/passwords
acl_file {dir}/rules
psk_file {dir}/keys
allow_anonymous true
pid_file {dir}/pid
log_dest stderr
log_dest file {dir}/file.log
log_dest topic
log_dest syslog
log_syslog_path {dir}/syslog
log_timestamp_format %Y
include_dir {dir}/more
""" + SOCKET
MORE = {"passwords": users.password("anna"), "keys": "meter:0123456789abcdef\n",
        "rules": "topic #\npattern read %u/%c\nuser anna\ntopic #\n", "more/a.conf": "max_keepalive 600\n" + "# a long comment\n" * 600,
        "more/b.conf": "max_inflight_messages 30\n",
        "syslog": (socket.SOCK_DGRAM, True)}
AGAIN = {"pid": "1", "file.log": "a line\n", "s": (socket.SOCK_STREAM, False),
         "syslog": (socket.SOCK_DGRAM, False)}
SMALL = "listener {port} 127.0.0.1\nallow_anonymous true\n"

CAPABLE = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
           "--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"]

PASSED = "listener {port} 127.0.0.1\nbind_interface lo\nallow_anonymous true\n" \
         "listener 0 {dir}/passed\n"
ACTIVATED = [sys.executable, str(pathlib.Path(__file__).with_name("activate.py")),
             "127.0.0.1:{port}", "{dir}/passed", "--"]

RECIPES = [
    Recipe("all options", PLAIN, files=MORE),
    Recipe("files from before", PLAIN, files={**MORE, **AGAIN}),
    Recipe("keys told", SMALL, ["--tls-keylog", "/dev/full"]),
    Recipe("in the background", SMALL + "pid_file {dir}/pid\n", ["-d"]),
    Recipe("checked only", PLAIN, ["--test-config"], serves=False, files=MORE),
    Recipe("described", None, ["--describe", "options", "--format", "man"], serves=False),
    Recipe("a header decoded", None, ["--decode-proxy", HEADER], serves=False),
    Recipe("told in a table", None, ["--describe", "reasons", "--format", "man"], serves=False),
    Recipe("another user", SMALL + "pid_file {dir}/pid\nlog_dest file {dir}/file.log\n",
           user="nobody"),
    Recipe("nobody there", SMALL, user="mosquitto"),
    Recipe("by number", SMALL, user="nobody", environment={"PUID": "65534", "PGID": "65534"}),
    Recipe("a number without a name", SMALL, user="nobody", environment={"PUID": "54321"}),
    Recipe("with a capability", SMALL, user="nobody", prefix=CAPABLE),
    Recipe("with passed sockets", PASSED, prefix=ACTIVATED),
    Recipe("with clients", PLAIN, files=MORE, visit=visit),
]


class Launch:
    """One recipe, launched again and again with another point failing."""

    def __init__(self, recipe, points):
        self.recipe, self.points = recipe, points
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="nj"))
        self.folder.chmod(0o777)
        self.places = Places(dir=str(self.folder))
        self.config, self.live = None, []
        if recipe.text is not None:
            self.config = recipe.text.format_map(self.places) + \
                f"\nworkers 2\nuser {recipe.user}\n"
        self.waits = [point.index for point in points.points if point.call == "epoll_wait"]
        self.may_leave = False  # a file that it can't remove
        self.errors, self.failed, self.ended = [], collections.Counter(), 0

    def close(self):
        while self.live:
            self.live.pop().close()
        shutil.rmtree(self.folder)

    # ---- one launch ----

    def prepare(self):
        while self.live:
            self.live.pop().close()
        for each in self.folder.iterdir():
            if each.is_dir():
                shutil.rmtree(each)
            else:
                each.unlink()
        for name, content in self.recipe.files.items():
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            if isinstance(content, str):
                path.write_text(content)
                continue
            kind, is_live = content
            bound = socket.socket(socket.AF_UNIX, kind)
            bound.bind(str(path))
            if is_live:
                self.live.append(bound)
            else:
                bound.close()
        if self.config is not None:
            (self.folder / "broker.conf").write_text(self.config)

    def start(self):
        self.prepare()
        prefix = [each.format_map(self.places) for each in self.recipe.prefix]
        command = [*prefix, binary("nightjar"), *self.recipe.arguments]
        if self.config is not None:
            command += ["-c", str(self.folder / "broker.conf")]
        environment = {**os.environ, **self.points.environment, **self.recipe.environment}
        if self.recipe.needs_root:
            environment.update(NO_LEAK_CHECK)
        self.log = self.folder / "output"
        with open(self.log, "wb") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, cwd=self.folder,
                                    stderr=subprocess.STDOUT, env=environment)

    def output(self):
        """What was printed, and what was logged to the file."""
        own = self.folder / "file.log"
        text = self.log.read_text(errors="replace")
        return text + (own.read_text(errors="replace") if own.exists() else "")

    def wait_ready(self, process):
        """Until a worker waits, or the process has ended; whether it serves."""
        def is_decided():
            hits = self.points.hits()
            return process.poll() is not None or any(hits[index] for index in self.waits)

        wait_until(is_decided, 20, 0.003, "a start")
        if "-d" in self.recipe.arguments:
            return process.wait(20) == 0
        return process.poll() is None

    def pid(self, process):
        if "-d" in self.recipe.arguments:
            return int((self.folder / "pid").read_text())
        return process.pid

    def end(self, process):
        """SIGTERM; the exit status, None of one that is not ours to wait for."""
        pid = self.pid(process)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        if pid == process.pid:
            return process.wait(20)
        wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 20, what="an end")
        return 0

    def launch(self, arm_start, arm_end):
        """A whole life: hits at the start and at the end, its status, what was wrong if so."""
        self.points.clear()
        arm_start()
        process = self.start()
        clients = []
        try:
            serves = self.wait_ready(process) if self.recipe.serves else False
            first = before = self.points.hits()
            if serves and self.recipe.visit:
                clients = self.recipe.visit(self)
                before = self.points.hits()
            arm_end()
            status = self.end(process) if serves else process.wait(20)
            last = self.points.hits()
        finally:
            for each in clients:
                each.close()
            if process.poll() is None:
                process.kill()
                process.wait()
        at_end = [b - a for a, b in zip(before, last)]
        return first, at_end, status, self.judge(serves, status)

    def try_launch(self, arm_start, arm_end):
        """A launch; also one that comes to nothing is told with what was printed."""
        try:
            return self.launch(arm_start, arm_end)
        except (AssertionError, Closed, OSError) as error:
            none = [0] * len(self.points.points)
            return none, none, 0, f"{type(error).__name__}: {error}\n{self.output()}"

    def judge(self, serves, status):
        text = self.output()
        if SANITIZER.search(text):
            return f"a report:\n{text}"
        left = [name for name in ("s", "pid") if (self.folder / name).exists()]
        if left and not self.recipe.files.keys() & set(left) and not self.may_leave:
            return f"it left {left}:\n{text}"
        if status == 0:
            return None
        if serves or status not in (1, 3) or not REASON.search(text):
            return f"it ended with {status}:\n{text}"
        return None

    # ---- all of them ----

    def fail_one(self, point, first, is_end):
        def arm():
            self.points.arm(point.index, first)

        self.may_leave = point.call == "unlink"
        _, _, status, wrong = self.try_launch(
            *((lambda: None, arm) if is_end else (arm, lambda: None)))
        self.points.disarm()  # a life that did not come by it must not leave it to another
        at = "end" if is_end else "start"
        self.failed[at, point.name] += self.points.failed() > 0
        self.ended += status != 0 and not wrong
        if wrong:
            self.errors.append(f"{point}, hit {first} of the {at}, {self.recipe.name}: {wrong}")

    def fail_all(self, is_wanted, numbers):
        begin, end, _, wrong = self.try_launch(lambda: None, lambda: None)
        if wrong:
            self.errors.append(f"{self.recipe.name}: {wrong}")
        for is_end, hits in ((False, begin), (True, end)):
            for point in self.points.points:
                at = "end" if is_end else "start"
                if hits[point.index] and is_wanted(at, point.name):
                    for first in numbers(hits[point.index]):
                        self.fail_one(point, first, is_end)
