"""The topics below $SYS: which there are, and what they say."""

import json
import re
import subprocess
import time

from .broker import binary

FRONT = "$SYS/broker/"


def listener_names(broker):
    """The listeners of its configuration, as topics call them."""
    found = []
    for port, at in re.findall(r"^listener (\d+)(?: (\S+))?$", broker.text, re.M):
        if port == "0":
            found.append(at.replace("/", "%2F"))
        else:
            found.append(f"[{at}]:{port}" if ":" in at else f"{at}:{port}" if at else port)
    return found


def topics(broker):
    """
    All that the table of metrics has, and the two that are no metrics. Without those of listeners
    that begin with an event: they end with a reason or code.
    """
    text = subprocess.run([binary("nightjar"), "--describe", "metrics", "--format", "json"],
                          capture_output=True, check=True, text=True).stdout
    found = ["version", "uptime"]
    for row in json.loads(text):
        for each in filter(None, row["topics"].replace("`", "").split(", ")):
            if each.startswith("listener/"):
                found += [each.replace("{name}", name) for name in listener_names(broker)
                          if not each.endswith("}")]
            elif each.endswith("/..."):
                found += [each[:-3] + period for period in ("1min", "5min", "15min")]
            else:
                found.append(each)
    return [FRONT + each for each in found]


def read(client, expected):
    """The retained values by their names below the front, to a client that has just come."""
    client.subscribe("$SYS/broker/#")
    found = {}
    while len(found) < expected:
        got = client.expect("PUBLISH")
        if got.retain:
            found[got.topic[len(FRONT):]] = got.payload.decode()
    return found


def sleep_past(interval, margin=0.3):
    """Until shortly after the next interval has begun, with some rest before it does."""
    now = time.time()
    begins = (now + margin) // interval * interval + interval
    time.sleep(begins + margin - now)


def settled(totals, broker, interval=2, attempts=6):
    """
    The figures of a moment in which nothing went on, and the totals of the same: read by a client
    that came afterwards and was gone before the next interval.
    """
    expected = len(topics(broker))
    for _ in range(attempts):
        sleep_past(interval)
        began = time.time() // interval
        then = (dict(totals.received), dict(totals.sent), totals.sockets)
        reader = totals.connect(broker, "reader")
        found = read(reader, expected)
        reader.disconnect()
        if time.time() // interval == began:
            return found, *then
    raise AssertionError("no interval was long enough to read the figures in")
