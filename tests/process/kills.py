"""
SIGKILL at any moment leaves nothing that prevents the next start; a restart under load loses
nobody.
"""

import contextlib
import random
import signal
import socket
import time

import pytest

from harness import wire
from harness.client import Closed

CONFIG = """
listener {port} 127.0.0.1
allow_anonymous true
listener 0 {dir}/../socket
allow_anonymous true
pid_file {dir}/../pid
log_dest stderr
log_dest file {dir}/../own.log
max_queued_messages 0
"""


def kill(broker):
    broker.signal(signal.SIGKILL)
    broker.process.process.wait()
    for client in broker.clients:
        with contextlib.suppress(OSError):
            client.close()


@pytest.mark.timeout(240)
def test_sixty_kills(start_broker, workers):
    """From before the first line of the start to the middle of serving."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    places = {}
    for number in range(60):
        broker = start_broker(CONFIG, ready=False, places=places)
        places = {"port": broker.port}
        if number % 3 == 0:
            broker.wait_ready()
            with contextlib.suppress(Closed, OSError):
                client = broker.connect("x", 4, lasting=True)
                client.send(wire.subscribe(1, ("#", 1)),
                            *(wire.publish("t", b"x" * 500, 1, n + 1) for n in range(50)))
        time.sleep(dice.random() * 0.06)
        kill(broker)
    last = start_broker(CONFIG, places=places)
    last.connect("x", 4).ping()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(last.folder.parent / "socket"))
    assert (last.folder.parent / "pid").read_text() == f"{last.pid}\n"
    assert last.stop() == 0
    assert not (last.folder.parent / "pid").exists()
    assert not (last.folder.parent / "socket").exists()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.workers
def test_restart_under_clients(start_broker, workers, number):
    """Two hundred clients in the middle of publishing come back to the same port."""
    broker = start_broker(CONFIG)
    places = {"port": broker.port}
    for round_ in range(2):
        clients = [broker.connect(f"x-{n}", 4 + n % 2, lasting=True) for n in range(200)]
        for each in clients[:20]:
            each.subscribe("t/#", qos=1)
        for each in clients:
            each.send(*(wire.publish(f"t/{each.name}", b"x" * 200, 1, n + 1, version=each.version)
                        for n in range(20)))
        if number == signal.SIGKILL:
            kill(broker)
        else:
            assert broker.stop() == 0, broker.log()
            for each in clients:
                with contextlib.suppress(OSError):
                    each.close()
        broker = start_broker(CONFIG, places=places)
        for n in range(200):
            broker.connect(f"x-{n}", 4, lasting=True)
