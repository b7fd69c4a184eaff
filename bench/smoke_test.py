"""Every scenario of the load generator against the floor, over a Unix socket, for a moment."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOAD, FLOOR = sys.argv[1:3]

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


def main():
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = str(Path(folder) / "floor")
        floor = subprocess.Popen([FLOOR, path], stdout=subprocess.PIPE, text=True)
        try:
            while not Path(path).exists():
                assert floor.poll() is None, "the floor does not start"
                time.sleep(0.01)
            check_all(path, floor.pid)
        finally:
            floor.terminate()
            output = floor.communicate(timeout=10)[0]
    counts = json.loads(output)
    assert floor.returncode == 0 and counts["delivered"] >= sum(n for _, n in FLOWS), counts


main()
