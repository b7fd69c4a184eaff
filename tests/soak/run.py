"""
The soak: every kind of client at once for a long time, while the configuration is read again and the
log goes to new files; then all leave, and nothing of them may be left.

    NIGHTJAR=build-release/src/nightjar /usr/bin/python3 -m soak.run --seconds 900

Two rounds, the first one short: what the broker holds after the second it may not hold beyond what
it held after the first. Each invariant of world.CHECKS is one result.
"""

import argparse
import os
import pathlib
import random
import re
import signal
import sys
import tempfile
import time

from harness.broker import Broker
from harness.haproxy import HAProxy

from .flows import Flow, Group, Retained
from .guests import Dam, Fire, Hostile, Storms, Wills
from .peer import Peer
from .world import CHECKS, World

FIXED = """listener {port} 127.0.0.1
allow_anonymous true
listener {port2} 127.0.0.1
enable_proxy_protocol 2
proxy_protocol_trusted 127.0.0.1
log_dest file {dir}/nightjar.log
max_queued_messages 500
sys_interval 1
"""

PROXY = """frontend mqtt_frontend
    bind 127.0.0.1:{front}
    default_backend mqtt_backend

backend mqtt_backend
    server server1 127.0.0.1:{port2} check inter 1s send-proxy-v2
"""

# What a reload chooses from; the first value is the one of the start.
CHANGES = {
    "max_inflight_messages": World.windows,
    "log_type": ("all", "error"),
    "connection_messages": ("true", "false"),
    "log_format": ("text", "json"),
    "log_timestamp": ("true", "false"),
    "queue_qos0_messages": ("false", "true"),
    "message_size_limit": ("0", "1000000"),
    "max_packet_size": ("2000000", "1000000"),
    "persistent_client_expiration": ("2h", "1h"),
    "check_payload_format": ("false", "true"),
}
RESIDENT_SLACK = 4 << 20
# What $SYS tells of the heap is exact but for 64 KiB for each thread, so this finds small leaks.
HEAP_SLACK = 1 << 20
# A shorter first round does not see the highest tide.
SECONDS_FOR_MEMORY = 120


class Operator:
    """Has the configuration read again, sometimes with a mistake in it, and takes log files away."""

    def __init__(self, world, broker):
        self.world, self.broker = world, broker
        self.base = broker.config.read_text()
        self.path = broker.folder / "nightjar.log"
        self.reload()
        world.loop.after(2, self.rotate)

    def lines(self, choose):
        return "".join(f"{name} {choose(values)}\n" for name, values in CHANGES.items())

    def write(self, text):
        """As editors do it: the broker never sees half a file."""
        new = self.broker.config.with_suffix(".new")
        new.write_text(text)
        new.replace(self.broker.config)

    def reload(self):
        if self.world.is_ending:
            self.write(self.base)
            self.broker.signal(signal.SIGHUP)
            return
        text = self.base + self.lines(random.choice)
        if random.random() < 0.2:
            text += "max_keepalive never\n"
        if random.random() < 0.5:
            text += f"listener {self.broker.places['port3']} 127.0.0.1\n"
        self.write(text)
        self.broker.signal(signal.SIGHUP)
        self.world.figures["reloads"] += 1
        self.world.loop.after(random.uniform(2, 4), self.reload)

    def rotate(self):
        if self.world.is_ending:
            return
        self.path.replace(self.path.with_suffix(".old"))
        self.broker.signal(signal.SIGRTMIN)
        self.world.figures["log rotations"] += 1
        self.check_rotated(time.monotonic() + self.world.patience)

    def check_rotated(self, deadline):
        if self.path.exists():
            self.world.loop.after(random.uniform(4, 8), self.rotate)
        elif time.monotonic() < deadline:
            self.world.loop.after(0.1, lambda: self.check_rotated(deadline))
        else:
            self.world.violation("logs are opened again", "there is no new log file")


def resident_size(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) << 10


def descriptors(process):
    """Of a broker that is left alone, but for the proxy's checks."""
    counts = []
    for _ in range(20):
        counts.append(process.descriptors())
        time.sleep(0.05)
    return min(counts)


class Round:
    def __init__(self, world, broker, size):
        self.world, self.broker = world, broker
        world.is_ending = False
        self.roles = [Flow(world, f"q{qos}-{n}", qos, 2) for qos in (1, 2) for n in range(3 * size)]
        self.roles += [Group(world, f"g{n}", 3, 2) for n in range(size)]
        self.roles += [Retained(world, f"k{n}", 30, 1 + n % 2) for n in range(2 * size)]
        self.roles += [Wills(world), Dam(world), Fire(world, 3, 3), Hostile(world),
                       Storms(world, 40 * size)]
        Operator(world, broker)

    def peers(self):
        return [each for role in self.roles for each in role.peers()]

    def run(self, seconds):
        """Until the time is over, then until all that was promised has come."""
        world = self.world
        world.loop.run(seconds, lambda: not self.broker.is_alive())
        world.is_ending = True
        lasting = [each for each in self.peers() if each.lasting]
        world.loop.run(2 * world.patience, lambda: all(each.is_ready for each in lasting))
        world.loop.run(3 * world.patience, lambda: all(each.is_complete() for each in self.roles))
        for each in self.roles:
            each.tell_missing()

    def leave(self):
        world = self.world
        kept = [each for each in self.roles if isinstance(each, Retained)]
        for each in kept:
            each.clear()
        world.loop.run(world.patience, lambda: all(each.is_clear() for each in kept))
        for number, peer in enumerate(self.peers()):
            if peer.link.is_open and peer.is_ready:
                peer.end_session(2 if number % 2 else 0)
        world.loop.run(3)
        for peer in [*self.peers(), *world.guests]:
            if peer.link:
                peer.leave("disconnect")
        world.guests.clear()
        world.loop.run(world.patience + 1, lambda: not world.loop.links)
        # By then every session that was left behind has ended.
        world.loop.run(world.long_delay + 4)
        world.loop.timers.clear()


def dump(broker):
    """What is printed upon SIGUSR2, without the headings and the broker's own topics."""
    before = len(broker.log())
    broker.signal(signal.SIGUSR2)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        text = broker.log()[before:]
        if "\nEnd.\n" in text:
            return [line for line in text.splitlines()
                    if line.startswith("  ") and "$SYS/" not in line]
        time.sleep(0.1)
    return ["no answer to SIGUSR2"]


def heap(world):
    """The bytes that the broker itself has allocated, as it tells them a second later."""
    told = []
    peer = Peer(world, "soak-reader", 5, lasting=False,
                on_message=lambda _, packet: told.append(int(packet.payload)))
    peer.connect()
    peer.on_ready.append(lambda: peer.subscribe("$SYS/broker/heap/current", 0))
    world.loop.run(3)
    peer.leave("disconnect")
    world.loop.run(1)
    world.loop.timers.clear()
    return told[-1] if told else 0


def look(world, broker, before):
    """After a round: what is left."""
    held = heap(world)
    left = dump(broker)
    if left:
        world.violation("nothing is left", f"{len(left)} lines: {left[:8]}")
    now = descriptors(broker)
    if now != before:
        world.violation("descriptors", f"{before} before, {now} after")
    resident = resident_size(broker.pid)
    print(f"after a round: {resident >> 10} KiB resident, {held >> 10} KiB of heap, {now} "
          "descriptors", flush=True)
    return resident, held


def soak(world, broker, options):
    broker.connect("first").disconnect()  # with the first one the broker takes its reserve
    before = descriptors(broker)
    print(f"at the start: {resident_size(broker.pid) >> 10} KiB resident, {before} descriptors",
          flush=True)
    warm = min(60, options.seconds * 0.3)
    memories = []
    for seconds in (warm, options.seconds - warm):
        one = Round(world, broker, options.size)
        one.run(seconds)
        if not broker.is_alive():
            world.violation("end with status 0", "the broker ended by itself")
            return
        one.leave()
        memories.append(look(world, broker, before))
    if options.memory and options.seconds >= SECONDS_FOR_MEMORY:
        for what, slack, (first, second) in zip(("resident", "of heap"),
                                                (RESIDENT_SLACK, HEAP_SLACK), zip(*memories)):
            if second > first + slack:
                world.violation("memory", f"{second - first} bytes more {what} after the second "
                                          "round than after the first")


def finish(world, broker):
    try:
        status = broker.stop(60)
        if status != 0:
            world.violation("end with status 0", f"it was {status}")
        broker.check_log()
    except AssertionError as error:
        world.violation("no report", str(error)[-3000:])


def report(world, broker, options, started):
    print(f"\n{time.monotonic() - started:.0f} s, {options.workers} workers")
    for name, count in sorted(world.figures.items()):
        print(f"{count:10}  {name}")
    print()
    for name in CHECKS:
        broken = world.violations.get(name)
        print(f"{'FAILED' if broken else 'ok':7} {name}" + (f" ({len(broken)})" if broken else ""))
    failed = sum(name in world.violations for name in CHECKS)
    if failed:
        print(f"\nThe last lines of the broker:\n{broker.log()[-2000:]}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def arguments():
    parser = argparse.ArgumentParser(prog="./dev test-long")
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--size", type=int, default=1, help="so many times as many clients")
    parser.add_argument("--pace", type=float, default=1, help="so many times as slow")
    parser.add_argument("--patience", type=float, default=20, help="seconds that an answer may take")
    parser.add_argument("--no-memory", dest="memory", action="store_false",
                        help="of a build whose memory says nothing")
    return parser.parse_args()


def main():
    options = arguments()
    random.seed(options.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before its time"))
    started = time.monotonic()
    print(f"seed {options.seed}, {options.seconds:.0f} s", flush=True)
    with tempfile.TemporaryDirectory(prefix="nightjar-soak-") as folder:
        os.chmod(folder, 0o755)
        broker = Broker("nightjar", folder, FIXED, workers=options.workers, ready=False)
        proxy = None
        try:
            broker.wait_ready()
            broker.places["port3"]  # the one that comes and goes
            places = {**broker.places, "front": broker.places["port4"]}
            proxy = HAProxy(pathlib.Path(folder) / "haproxy", PROXY, places)
            addresses = [broker.address, broker.address, ("127.0.0.1", places["front"])]
            world = World(addresses, options.patience, options.pace,
                          6 if options.seconds >= 60 else 3)
            soak(world, broker, options)
            finish(world, broker)
        finally:
            if proxy:
                proxy.stop()
            broker.kill()
        return report(world, broker, options, started)


if __name__ == "__main__":
    sys.exit(main())
