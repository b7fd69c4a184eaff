"""The clients that users run: mosquitto_pub, mosquitto_sub, mosquitto_rr and paho-mqtt."""

import queue
import subprocess
import threading

import paho.mqtt.client as paho

from .client import PATIENCE

VERSIONS = {3: "mqttv31", 4: "mqttv311", 5: "mqttv5"}
PAHO = {3: paho.MQTTv31, 4: paho.MQTTv311, 5: paho.MQTTv5}


def arguments(program, address, version, *more, source=None):
    host = ["--unix", address] if isinstance(address, str) else \
        ["-h", address[0], "-p", str(address[1])]
    bound = ["-A", source] if source else []
    return [f"mosquitto_{program}", *host, "-V", VERSIONS[version], *bound, *more]


def pub(address, version, *more, source=None):
    """Runs mosquitto_pub to its end; it must succeed."""
    done = subprocess.run(arguments("pub", address, version, *more, source=source),
                          capture_output=True, timeout=PATIENCE + 7, check=False)
    assert done.returncode == 0, f"mosquitto_pub: {done.returncode} {done.stderr.decode()}"
    return done


class Sub:
    """A mosquitto_sub that has subscribed when the constructor returns."""

    def __init__(self, address, version, *more, source=None, program="sub"):
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", *arguments(program, address, version, "-d", *more, source=source)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.seen = []
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.wait_for("Subscribed (mid: ")

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode(errors="replace").rstrip("\n"))

    def wait_for(self, start):
        """The next line that begins so; debug lines in between are passed over."""
        while True:
            try:
                line = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                raise AssertionError(f"no line {start!r} after {self.seen}") from None
            self.seen.append(line)
            if line.startswith(start):
                return line

    def expect(self, *messages):
        for each in messages:
            assert self.wait_for(each) == each

    def stop(self):
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Paho:
    """A paho-mqtt client whose callbacks fill queues. `tls`: whom it trusts, and its certificate."""

    def __init__(self, address, version, client_id, source="", keepalive=60, tls=None, prepare=None,
                 **options):
        if version != 5:
            options.setdefault("clean_session", True)
        self.client = paho.Client(client_id, protocol=PAHO[version], **options)
        if prepare:
            prepare(self.client)
        self.messages, self.events = queue.Queue(), queue.Queue()
        if tls:
            ca, pair = tls
            self.client.tls_set(str(ca), *((str(pair.cert), str(pair.key)) if pair else ()))
        self.client.on_connect = lambda *given: self.events.put(("connect", given[3]))
        self.client.on_disconnect = lambda *given: self.events.put(("disconnect", given[2]))
        self.client.on_subscribe = lambda *given: self.events.put(("subscribe", given[2]))
        self.client.on_publish = lambda *given: self.events.put(("publish", given[2]))
        self.client.on_message = lambda *given: self.messages.put(given[2])
        self.client.connect(address[0], address[1], keepalive, bind_address=source)
        self.client.loop_start()
        self.expect("connect")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()

    def expect(self, kind):
        got = self.events.get(timeout=PATIENCE)
        assert got[0] == kind, got
        return got[1]

    def subscribe(self, *given, **fields):
        self.client.subscribe(*given, **fields)
        self.expect("subscribe")

    def publish(self, *given, **fields):
        self.client.publish(*given, **fields)
        self.expect("publish")

    def message(self):
        return self.messages.get(timeout=PATIENCE)
