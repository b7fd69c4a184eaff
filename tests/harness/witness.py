"""
Brokers that are kept from one script to the next, since starting one takes longer than playing to
it. What a script leaves behind, sessions and retained values, is taken away after it.
"""

import contextlib
import pathlib

from . import script as scripts
from . import wire
from .broker import DEFAULT, Broker
from .client import Closed

# 2.0.11 is told what 2.1 does without being told; scripts that are `bare` show the difference.
AS_2_1 = "max_packet_size 2000000\nallow_duplicate_messages true\n"
KINDS = [("mosquitto", 1), ("nightjar", 1), ("nightjar", 2)]


class Stage:
    """The three brokers, all with the configuration of the script that is played."""

    def __init__(self, folder):
        self.folder, self.number = pathlib.Path(folder), 0
        self.brokers = {}  # by kind and workers
        self.texts = {}

    def get(self, kind, workers, script):
        is_told = kind == "mosquitto" and not script.is_bare
        text = DEFAULT + (AS_2_1 if is_told else "") + script.config
        key = kind, workers
        if self.texts.get(key) != text:
            self.end(key)
            self.number += 1
            folder = self.folder / f"broker{self.number}"
            folder.mkdir()
            self.brokers[key] = Broker(kind, folder, text, workers=workers)
            self.texts[key] = text
        return self.brokers[key]

    def play(self, script, version):
        """What each of the three sent."""
        found = []
        for kind, workers in KINDS:
            broker = self.get(kind, workers, script)
            notes = scripts.Player(script, broker.address, version).play()
            found.append(scripts.gather(script, notes))
            wipe(broker, script)
        return found

    def end(self, key):
        broker = self.brokers.pop(key, None)
        self.texts.pop(key, None)
        if broker is not None:
            broker.finish()

    def end_all(self):
        for key in list(self.brokers):
            self.end(key)


def client_ids(script):
    words = [scripts.Words(step.rest) for step in script.steps if step.verb == "connect"]
    return {"a", *(each.plain[0] for each in words if each.plain)}


def wipe(broker, script):
    """Sessions first, since the will of one may be retained."""
    for client_id in sorted(client_ids(script)):
        client = join(broker, client_id)
        if client is None:
            return  # nobody is let in, so nothing was left
        client.close()
    wiper = join(broker, "wiper")
    wiper.send(wire.subscribe(1, ("#", 0), ("$x", 0), ("$x/#", 0),
                                version=wiper.version))
    topics = set()
    for _ in range(2):
        wiper.send(wire.pingreq())
        while (got := wiper.expect_any()).kind != "PINGRESP":
            topics |= {got.topic} if got.kind == "PUBLISH" else set()
    wiper.send(*(wire.publish(topic, retain=True, version=wiper.version) for topic in topics),
               wire.disconnect())
    with contextlib.suppress(Closed):
        while wiper.expect_any():
            pass
    wiper.close()


def join(broker, client_id):
    """A clean session."""
    client = broker.open(4)
    client.send(wire.connect(client_id, 4))
    with contextlib.suppress(Closed):
        if client.expect_any().code == 0:
            return client
    client.close()
    return None
