"""
SIGUSR2: who is connected, who subscribes to what, and what is retained, on standard output; nobody
waits for it.
"""

import os
import signal
import subprocess

import pytest

from harness import ports, proxy, wire
from harness.broker import binary
from harness.client import Client
from harness.process import wait_until

pytestmark = pytest.mark.nightjar("words of ours")

CONFIG = """
listener {port} 127.0.0.1
allow_anonymous true
listener {port2} 127.0.0.1
allow_anonymous true
enable_proxy_protocol 2
proxy_protocol_trusted 127.0.0.1
log_dest none
sys_interval 0
"""


def sections(broker, meanwhile=lambda: None):
    """What is printed upon the signal, by section."""
    before = len(broker.log())
    broker.signal(signal.SIGUSR2)
    meanwhile()
    found = {}

    def complete():
        found.clear()
        for line in broker.log()[before:].splitlines():
            if line.startswith("  "):
                found[name].append(line[2:])
            else:
                name = line
                found[name] = []
        return "End." in found

    wait_until(complete, 20, what="the end of the trees")
    return found


@pytest.mark.workers
def test_what_is_there(start_broker, workers):
    broker = start_broker(CONFIG)
    clients = [broker.connect(f"x-{n}", 4 + n % 2) for n in range(20)]
    for each in clients:
        each.subscribe("a/+/b")
    for each in clients[:7]:
        each.subscribe("a/#", "long/" + "level/" * 40, qos=1)
    for each in clients[:5]:
        each.subscribe("$share/group/s")
    away = broker.connect("away", 4, lasting=True)
    away.subscribe("a/#")
    away.close()
    clients[0].publish("keep/this", b"x", qos=1, retain=True)
    clients[0].publish("keep/this/too", b"x", qos=1, retain=True)
    found = sections(broker)
    assert set(found) == {"Clients:", "Subscriptions:", "Retained:", "End."}
    expected = {f"{each.name} [{each.local}]" for each in clients}
    assert {each for each in found["Clients:"] if each.startswith("x-")} == expected
    subscriptions = dict(each.rsplit(": ", 1) for each in found["Subscriptions:"])
    assert subscriptions.pop("s/#group") == "5"
    assert subscriptions == {"a/+/b": "20", "a/#": "8", "long/" + "level/" * 40: "7", }
    assert sorted(found["Retained:"]) == ["keep/this", "keep/this/too"]


@pytest.mark.workers
def test_many(start_broker, workers):
    """More than a piece of everything, while all of it changes."""
    broker = start_broker(CONFIG)
    clients = [broker.connect(f"x-{n}", 5) for n in range(200)]
    for n, each in enumerate(clients):
        each.subscribe(*(f"t/{n}/{i}" for i in range(10)))
    for n in range(300):
        clients[0].publish(f"r/{n}", b"x", qos=1, retain=True)

    def change():
        for n in range(0, 200, 5):
            clients[n + 1].close()
            clients[n].send(wire.unsubscribe(9, *(f"t/{n}/{i}" for i in range(10)), version=5))
            clients[0].send(wire.publish(f"r/{n}", b"", retain=True, version=5))

    found = sections(broker, change)
    assert len({each.split(" ")[0] for each in found["Clients:"]} & {"x-3", "x-188"}) == 2
    kept = {f"t/{n}/{i}: 1" for n in range(200) for i in range(10) if n % 5 > 1}
    assert kept <= set(found["Subscriptions:"])
    assert {f"r/{n}" for n in range(300) if n % 5 or n >= 200} <= set(found["Retained:"])


def test_behind_a_proxy(start_broker):
    broker = start_broker(CONFIG)
    client = broker.open(4, address=("127.0.0.1", broker.places["port2"]))
    client.send(proxy.client("192.0.2.7", 1111), wire.connect("behind", 4))
    client.expect("CONNACK", code=0)
    assert f"behind [192.0.2.7:1111] via {client.local}" in sections(broker)["Clients:"]


def test_nothing_is_there(start_broker):
    found = sections(start_broker(CONFIG))
    assert found["Subscriptions:"] == [] and found["Retained:"] == []


@pytest.mark.workers
def test_the_end_meanwhile(start_broker, workers):
    broker = start_broker(CONFIG)
    client = broker.connect("x", 5)
    for n in range(30):
        client.subscribe(*(f"t/{n}/{i}" for i in range(50)))
    broker.signal(signal.SIGUSR2)
    assert broker.stop() == 0


def test_nobody_reads_it(tmp_path):
    """A pipe that is full holds up neither clients nor the end."""
    port = ports.take()
    (tmp_path / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    read, write = os.pipe()
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen([binary("nightjar"), "-c", "conf"], cwd=tmp_path, stdout=write,
                                   stderr=log)
    os.close(write)
    wait_until(lambda: port in ports.listening(), 20, what="listening")
    client = Client(("127.0.0.1", port), 4)
    client.send(wire.connect("x", 4))
    client.expect("CONNACK", code=0)
    for n in range(40):
        client.subscribe(*(f"t/{n}/{i:050}" for i in range(50)))
    process.send_signal(signal.SIGUSR2)
    wait_until(lambda: b"Nobody takes what SIGUSR2 prints" in (tmp_path / "log").read_bytes(), 30,
               what="the warning")
    client.ping()
    process.terminate()
    assert process.wait(20) == 0
    os.close(read)
