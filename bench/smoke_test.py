"""Every scenario of the load generator for a moment, over a Unix socket: against the floor, and those
that the floor can't answer against Nightjar. What becomes of unanswered clients, against one who
leaves some unanswered."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOAD, FLOOR, PROBE, NIGHTJAR = sys.argv[1:5]

# Arguments, and how many messages must arrive.
FLOWS = [
    (f"{flow} --mqtt {version} --qos {qos} --window {window} --size {size}", messages)
    for flow, messages in (("p2p -n 5 --count 70", 350), ("fanout -n 20 --count 70", 1400),
                           ("fanin -n 20 --count 70", 1400))
    for version, qos, window, size in ((4, 0, 1, 64), (4, 1, 32, 16), (4, 2, 32, 64), (5, 0, 32, 64),
                                       (5, 1, 1, 64), (5, 2, 7, 300), (4, 0, 3, 70000),
                                       (4, 1, 3, 300000))
]


def load(arguments, path, pid):
    command = [LOAD, *arguments.split(), "--unix", path, "--pid", str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (arguments, done.stdout, done.stderr)
    return json.loads(done.stdout)


def check_all(path, pid):
    for arguments, messages in FLOWS:
        result = load(arguments, path, pid)
        assert result["messages"] == messages, (arguments, result)
        assert result["lost"] + result["doubled"] + result["stray"] == 0, (arguments, result)
    result = load("latency -n 5 --qos 1 --rate 1000 --seconds 0.3 --warm-up 0.1", path, pid)
    assert 200 <= result["messages"] <= 400, result
    assert 0 < result["p50_us"] <= result["p90_us"] <= result["p999_us"], result
    result = load("connect -n 8 --seconds 0.2 --warm-up 0", path, pid)
    assert result["connections"] > 8, result
    result = load("idle -n 50 --seconds 0.1 --subscribe", path, pid)
    assert result["connections"] == 50, result
    result = load("subscriptions --exact -n 7 --count 3000 --window 9 --seconds 0.1 --warm-up 0",
                  path, pid)
    assert result["total"] == 3000 and result["messages"] >= 9, result
    result = load("storm -n 40", path, pid)
    assert result["connections"] == 120 and result["unanswered"] == 0, result
    assert result["deliveries"] > 0, result


def check_ways(path, pid):
    """TLS and WebSocket lie under the same flows."""
    for way, end in (("--tls", ".tls"), ("--websocket", ".web")):
        for flow in ("p2p -n 5 --qos 1 --window 32", "p2p -n 5 --size 300000",
                     "p2p -n 5 --mqtt 5 --qos 2 --size 200"):
            result = load(f"{flow} --count 70 {way}", path + end, pid)
            assert result["messages"] == 350, (way, flow, result)
        result = load(f"connect -n 8 --seconds 0.2 --warm-up 0 {way}", path + end, pid)
        assert result["connections"] > 8 and 0 < result["busiest_share"] <= 1, result
        result = load(f"idle -n 50 --seconds 0.1 {way}", path + end, pid)
        assert result["connections"] == 50, result


def check_nightjar(path, pid):
    check_ways(path, pid)
    user = "--user somebody --password word"
    result = load(f"shared -n 5 --qos 1 --window 32 --count 70 {user}", path, pid)
    assert result["messages"] == 350, result
    result = load("subscriptions -n 7 --count 3000 --window 9 --seconds 0.1 --warm-up 0", path, pid)
    assert result["total"] == 3000 and result["messages"] >= 9, result
    result = load("retained -n 3 --count 2000 --qos 1 --window 9 --seconds 0.1", path, pid)
    assert result["total"] == 2000 and result["messages"] >= 9, result
    assert result["replay_us"] > 0 and result["stall_ms"] >= 0, result  # it may fall in a rest
    result = load("wildcards -n 5 --count 100", path, pid)
    assert result["messages"] == 3 * 5 * 100 and result["stall_ms"] > 0, result


class Deaf(asyncio.Protocol):
    """A broker that lets everyone in, but the last few only once."""
    LAST = range(1001 + 37, 1001 + 40)

    def __init__(self, seen, subscribers):
        self.seen = seen  # how often by client id
        self.subscribers = subscribers
        self.unread = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.unread += data
        while len(self.unread) >= 2 and len(self.unread) >= 2 + self.unread[1]:
            packet = self.unread[:2 + self.unread[1]]
            self.unread = self.unread[len(packet):]
            self.on_packet(packet)

    def on_packet(self, packet):
        kind = packet[0] >> 4
        if kind == 1:
            name = packet[-14:].decode()
            self.seen[name] = self.seen.get(name, 0) + 1
            if self.seen[name] == 1 or int(name[6:]) not in self.LAST:
                self.transport.write(b"\x20\x02\x00\x00")
        elif kind == 8:
            self.subscribers.append(self.transport)
            self.transport.write(b"\x90\x03" + packet[2:4] + packet[-1:])
        elif kind == 3:
            for subscriber in self.subscribers:
                subscriber.write(packet)


async def check_unanswered(path):
    """Three give up in the first of three storms, count in all of them, and come no more."""
    seen, subscribers = {}, []
    server = await asyncio.get_running_loop().create_unix_server(
        lambda: Deaf(seen, subscribers), path)
    result = await asyncio.to_thread(load, "storm -n 40 --patience 4", path, os.getpid())
    server.close()
    assert result["connections"] == 120 and result["unanswered"] == 3, result
    assert 4000 <= result["p99_ms"] <= 4100 and result["deliveries"] == 3000, result
    assert result["p50_ms"] < 4000, result
    assert [seen[f"bench-{index:08}"] for index in (*Deaf.LAST, Deaf.LAST[0] - 1)] == [2, 2, 2, 4], seen


def listening(command, path):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while not Path(path).exists():
        assert process.poll() is None, f"{command[0]} does not start"
        time.sleep(0.01)
    return process


def run(command, path, check):
    """What the server said until its end."""
    process = listening(command, path)
    try:
        check(path, process.pid)
    finally:
        process.terminate()
        output = process.communicate(timeout=10)[0]
    assert process.returncode == 0, process.returncode
    return output


def make_certificate(folder):
    """The lines of a listener that has it."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                    "-keyout", f"{folder}/key", "-out", f"{folder}/certificate"],
                   check=True, capture_output=True)
    done = subprocess.run([PROBE, "50", f"{folder}/certificate", f"{folder}/key"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and json.loads(done.stdout)["connections"] == 50, done
    return f"certfile {folder}/certificate\nkeyfile {folder}/key\n"


def main():
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = str(Path(folder) / "floor")
        counts = json.loads(run([FLOOR, path], path, check_all))
        assert counts["delivered"] >= sum(n for _, n in FLOWS), counts
        path, config = str(Path(folder) / "nightjar"), Path(folder) / "nightjar.conf"
        certificate = make_certificate(folder)
        config.write_text(f"listener 0 {path}.tls\n{certificate}listener 0 {path}.web\n"
                          f"protocol websockets\nlistener 0 {path}\nallow_anonymous true\n"
                          "log_type error\nmax_inflight_messages 100\n")
        run([NIGHTJAR, "-c", str(config)], path, check_nightjar)
        asyncio.run(check_unanswered(str(Path(folder) / "deaf")))


main()
