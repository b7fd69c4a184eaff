"""
max_failed_logins_per_address: an address of which too many logins fail is banned for a while, by the
client's own address and only where that is known.
"""

import re

import pytest

from harness import proxy, users, wire
from harness.process import wait_until

pytestmark = [pytest.mark.nightjar("limits by address are ours"), pytest.mark.timeout(60)]

LISTENER = "listener {port} 127.0.0.1\npassword_file {dir}/passwords\nallow_anonymous true\n"
BAN = "max_failed_logins_per_address 3\nfailed_login_window 50\n"
FILES = {"passwords": users.password("anna")}


def attempt(broker, word="wrong", before=b"", source=None, address=None, name="anna"):
    """The code of a login, or None: it was closed without a word."""
    client = broker.open(4, address, source)
    client.send(before + wire.connect("", 4, username=name, password=word))
    return None if client.ended(3) else client.expect("CONNACK").code


@pytest.mark.workers
def test_ban(start_broker, workers):
    """Also for the right password, and for those without one; another address has its own."""
    broker = start_broker(LISTENER + BAN, files=FILES)
    kept = broker.connect("kept", username="anna", password="anna-secret")
    assert [attempt(broker) for _ in range(3)] == [5, 5, 5]
    broker.expect_line(r"Connections from 127\.0\.0\.1:\d+ on port \d+ are refused for 300 seconds: "
                       r"too many failed logins\.", count=1)
    assert [attempt(broker), attempt(broker, "anna-secret")] == [None, None]
    assert broker.open(4).ended(3)
    broker.expect_line(r"Connection from 127\.0\.0\.1:\d+ on port \d+ refused: "
                       r"too many failed logins\.", count=3)
    assert attempt(broker, "anna-secret", source="127.0.0.2") == 0
    kept.ping()


@pytest.mark.workers
def test_what_counts(start_broker, workers):
    """Wrong and unknown names and passwords, not good ones, and not those who give no name."""
    broker = start_broker(LISTENER.replace("allow_anonymous true\n", "") + BAN, files=FILES)
    for _ in range(5):
        assert attempt(broker, "anna-secret") == 0
        client = broker.open(4)
        client.send(wire.connect("", 4))
        client.expect("CONNACK", code=5)
    assert [attempt(broker), attempt(broker, name="nobody"), attempt(broker, name="")] == [5, 5, 5]
    assert attempt(broker, "anna-secret") is None


@pytest.mark.workers
def test_it_ends(start_broker, workers):
    broker = start_broker(LISTENER + BAN + "failed_login_ban 2\n", files=FILES)
    for _ in range(3):
        attempt(broker)
    assert attempt(broker, "anna-secret") is None
    wait_until(lambda: attempt(broker, "anna-secret") == 0, 8, every=0.3, what="the end of the ban")


@pytest.mark.workers
def test_connections_from_before(start_broker, workers):
    """Those that were open when the ban came have no more tries either."""
    broker = start_broker(LISTENER + BAN, files=FILES)
    open_ones = [broker.open(4, name=f"o{n}") for n in range(5)]
    assert [attempt(broker) for _ in range(3)] == [5, 5, 5]
    for each in open_ones:
        each.send(wire.connect("", 4, username="anna", password="anna-secret"))
        each.expect_close()


@pytest.mark.workers
def test_behind_a_proxy(start_broker, workers):
    """The real address is banned, and the proxy's never: it is everybody's."""
    broker = start_broker(LISTENER + "enable_proxy_protocol any\nlistener {port2} 127.0.0.1\n" + BAN,
                          files=FILES)
    bad, good = proxy.client("192.0.2.9", 999), proxy.client("192.0.2.10", 999)
    assert [attempt(broker, before=bad) for _ in range(3)] == [5, 5, 5]
    broker.expect_line(r"Connections from 192\.0\.2\.9:\d+ on port \d+ via 127\.0\.0\.1:\d+ are "
                       r"refused for 300 seconds: too many failed logins\.", count=1)
    assert attempt(broker, "anna-secret", bad) is None
    assert attempt(broker, "anna-secret", good) == 0
    other = ("127.0.0.1", broker.places["port2"])
    assert attempt(broker, "anna-secret", address=other) == 0


@pytest.mark.workers
def test_figures(start_broker, workers):
    broker = start_broker(LISTENER + BAN + "sys_interval 1\n", files=FILES)
    watcher = broker.connect("watcher")
    for _ in range(4):
        attempt(broker, source="127.0.0.3")
    watcher.subscribe("$SYS/broker/listener/+/logins/bans",
                      "$SYS/broker/listener/+/connections/rejected/max_failed_logins_per_address")
    seen = {}
    while len(seen) < 2:
        got = watcher.expect("PUBLISH")
        if got.payload != b"0":
            seen[re.sub(r".*/(\w+/\w+)$", r"\1", got.topic)] = got.payload
    assert seen == {"logins/bans": b"1", "rejected/max_failed_logins_per_address": b"1"}


@pytest.mark.workers
def test_off_by_default(start_broker, workers):
    broker = start_broker(LISTENER, files=FILES)
    assert [attempt(broker) for _ in range(12)] == [5] * 12
    assert attempt(broker, "anna-secret") == 0
