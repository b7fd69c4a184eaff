"""
SIGKILL at any moment, those of a reload and of a stop among them, leaves nothing that prevents the
next start; a restart under load loses nobody.
"""

import contextlib
import random
import re
import signal
import socket
import time

import pytest

from harness import wire
from harness.client import Closed
from harness.process import wait_until

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


def dice_of(seed=None):
    seed = random.randrange(1 << 32) if seed is None else seed
    print(f"seed {seed}")
    return random.Random(seed)


def expect_whole(broker):
    """Started where another was killed, it has all that it was told to have."""
    broker.connect("x", 4).ping()
    assert (broker.folder.parent / "pid").read_text() == f"{broker.pid}\n"
    for path in sockets_of(broker):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def sockets_of(broker):
    return re.findall(r"^listener 0 (\S+)", broker.text, re.M)


def expect_clean_end(broker):
    """What was left by those that were killed goes with the last one, and the log has no torn line."""
    assert broker.stop() == 0
    assert not [each for each in broker.folder.parent.iterdir()
                if each.is_socket() or each.name == "pid"]
    for log in broker.folder.parent.glob("*.log"):
        torn = [line for line in log.read_text().split("\n")[:-1] if not re.match(r"\d+: \S", line)]
        assert not torn, (log, torn)


@pytest.mark.timeout(240)
def test_sixty_kills(start_broker, workers):
    """From before the first line of the start to the middle of serving."""
    dice = dice_of()
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
    expect_whole(last)
    expect_clean_end(last)


def sides(letter, ports_):
    """A configuration of which nothing but one port, the pid file and the names is the other's."""
    listeners = [f"{{{port}}} 127.0.0.1" for port in ports_]
    listeners += [f"0 {{dir}}/../{letter}{number}" for number in range(12)]
    return "".join(f"listener {each}\nallow_anonymous true\n" for each in listeners) + \
        f"pid_file {{dir}}/../pid\nlog_dest stderr\nlog_dest file {{dir}}/../{letter}.log\n"


# They share the first port, which goes on.
SIDES = [sides("a", ["port", "port2", "port3"]), sides("b", ["port", "port4", "port5"])]
WHOLES = [{f"{letter}{number}" for number in range(12)} for letter in "ab"]


def sockets_left(broker):
    return {each.name for each in broker.folder.parent.iterdir() if each.is_socket()}


@pytest.mark.nightjar("2.0 opens and closes no listener in a reload")
@pytest.mark.timeout(240)
def test_kills_while_reloading(start_broker, workers):
    """A reload that was watched says how long one takes; what stands there then whether one hit."""
    dice = dice_of()
    places, took, halves = {}, None, 0
    for number in range(61):
        broker = start_broker(SIDES[number % 2], places=places)
        expect_whole(broker)
        for name in sockets_left(broker) - WHOLES[number % 2]:
            (broker.folder.parent / name).unlink()
        before = time.monotonic()
        if number == 0:
            broker.config.write_text(broker.complete(SIDES[1]))
            broker.signal(signal.SIGHUP)
            wait_until(lambda b=broker: sockets_left(b) == WHOLES[1], every=0, what="the reload")
            took = time.monotonic() - before
        else:
            broker.config.write_text(broker.complete(SIDES[1 - number % 2]))
            broker.signal(signal.SIGHUP)
            time.sleep(dice.random() * took)
        kill(broker)
        places = {name: place for name, place in broker.places.items() if name != "dir"}
        halves += sockets_left(broker) not in WHOLES
        if halves >= 3 and number >= 20:
            break
    print(f"{halves} hits, {took} s")
    assert halves > 0, f"a reload took {took} s, and none of {number} was hit"
    for side in SIDES:
        last = start_broker(side, places=places)
        expect_whole(last)
        assert last.stop() == 0
    assert not sockets_left(last) and not (last.folder.parent / "pid").exists()


@pytest.mark.timeout(240)
def test_kills_while_stopping(start_broker, workers):
    """With clients to tell it to, wills to publish and much to free."""
    dice = dice_of()
    places, took, hits = {}, None, 0
    for number in range(13):
        broker = start_broker(CONFIG, places=places, workers=2)
        places = {"port": broker.port}
        expect_whole(broker)
        for n in range(80):
            client = broker.connect(f"x-{n}", 4 + n % 2, lasting=True,
                                    will=wire.Will("will", b"gone", 1))
            client.subscribe("#", qos=1)
        before = time.monotonic()
        broker.signal(signal.SIGTERM)
        if number == 0:
            broker.process.process.wait()
            slept = time.monotonic() - before
        else:
            slept = dice.random() * took
            time.sleep(slept)
        kill(broker)
        if broker.process.process.returncode == -signal.SIGKILL:
            hits += 1
        else:
            took = slept  # it had ended by then, and the first one may have been slow
    print(f"{hits} hits, {took} s")
    assert hits > 0, f"a stop took {took} s, and none of 12 was hit"
    last = start_broker(CONFIG, places=places, workers=2)
    expect_whole(last)
    expect_clean_end(last)


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
