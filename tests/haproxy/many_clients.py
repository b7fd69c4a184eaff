"""
What examples/haproxy/many-clients.cfg is about: each connection of HAProxy's takes a port, and there
are only so many of them between one address and one listener of the broker. In a network of its own,
which has a few hundred ports instead of some ten thousand.
"""

import re
import resource
import time

import pytest

from harness import namespace, ports, wire
from harness.client import Client, Closed
from harness.examples import Example
from harness.process import wait_until

pytestmark = [pytest.mark.nightjar("the examples are ours"), pytest.mark.timeout(120),
              pytest.mark.workers]

PORTS = 200  # that the kernel gives to an address
FIRST = 40_000
FILES = 2 * 6 * PORTS + 200
OWN = 2000  # of each client: what was bound, to whichever address, the kernel gives to nobody
OFTEN = (" check", " check inter 200ms")


@pytest.fixture
def network():
    """Taken first, so that all that the scenario starts is inside."""
    with namespace.network_or_skip():
        namespace.set_option("ipv4.ip_local_port_range", f"{FIRST} {FIRST + PORTS - 1}")
        yield


@pytest.fixture
def crowd():
    """Clients, each from an address of its own, and from a port that HAProxy is not given."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < FILES:
        pytest.skip(f"HAProxy would need {FILES} files, and may open {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Crowd() as crowd:
        yield crowd
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    def __init__(self):
        self.clients = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self.clients:
            each.close()

    def come(self, address, count):
        """Those that were let in; the others were closed."""
        self.clients = [Client(address, 5, (f"127.1.{n // 250}.{n % 250 + 1}", OWN), f"x-{n}")
                        for n in range(count)]
        for each in self.clients:
            each.send(wire.connect(each.name, 5))
        return [each for each in self.clients if is_in(each)]


def is_in(client):
    try:
        return client.receive(20).code == 0
    except Closed:
        return False


def sources(broker):
    """(client's address, HAProxy's address, its port) of all that have come."""
    return re.findall(r"New connection from ([\d.]+):\d+ on port \d+ via ([\d.]+):(\d+)\.",
                      broker.log())


@pytest.fixture
def run(network, start_broker, start_haproxy, tmp_path):
    """An example as it stands there, or with other words in HAProxy's file."""
    def begin(name, *others):
        example = Example(name, tmp_path / "example")
        text = example.haproxy_text()
        for old, new in others:
            assert old in text
            text = text.replace(old, new)
        example.haproxy_text = lambda: text
        broker, haproxy = example.run(start_broker, start_haproxy, [1883])
        return example.address(1883), broker, haproxy
    return begin


def test_the_example(run, crowd, workers):
    """Six times as many: all are there, each by its own address, and each tells the next one."""
    address, broker, haproxy = run("many-clients")
    count = 6 * PORTS
    clients = crowd.come(address, count)
    assert len(clients) == count
    for each in clients:
        each.send(wire.subscribe(1, (f"own/{each.name}", 0), version=5))
    for each in clients:
        each.expect("SUBACK", id=1)
    others = clients[1:] + clients[:1]
    for each, other in zip(clients, others):
        each.send(wire.publish(f"own/{other.name}", each.name.encode(), version=5))
    for each, other in zip(clients, others):
        other.expect_message(f"own/{other.name}", each.name.encode())
    seen = sources(broker)
    assert {client for client, _, _ in seen} == {each.local.split(":")[0] for each in clients}
    assert len(set(seen)) == count
    assert {proxy for _, proxy, _ in seen} == {f"127.0.0.{n}" for n in range(2, 6)}
    assert haproxy.server()["status"].startswith("UP")


def test_the_example_when_it_is_full(run, crowd, workers):
    """As many as it says, with a port to spare for the check: so nobody who is there is cut off."""
    address, broker, haproxy = run("many-clients", (":1024-65535", ":50001-50100"),
                                   ("maxconn 64000", "maxconn 90"), OFTEN)
    clients = crowd.come(address, 4 * 90 + 30)
    assert len(clients) == 4 * 90
    assert_checked_on(haproxy)
    for each in clients:
        each.ping()
    assert {int(port) for _, _, port in sources(broker)} <= set(range(50001, 50101))


def assert_checked_on(haproxy):
    """As often as it takes to give a server up, and more."""
    time.sleep(1)
    row = haproxy.server()
    assert row["status"].startswith("UP") and row["chkfail"] == "0", row


def test_a_plain_set_up(run, crowd, workers):
    """
    As many as there are ports. What comes of the next is worse than that it is not let in: the check
    finds no port either, the server counts as down, and all are cut off.
    """
    address, broker, haproxy = run("direct-proxy", OFTEN)
    clients = crowd.come(address, PORTS + 30)
    assert PORTS - 1 <= len(clients) <= PORTS
    assert {int(port) for _, _, port in sources(broker)} <= set(range(FIRST, FIRST + PORTS))
    wait_until(lambda: haproxy.server()["status"] == "DOWN", 20, what="the end of the server")
    for each in clients:
        each.expect_close()


def test_a_plain_set_up_with_a_limit(run, crowd, workers):
    limit = PORTS - 10
    address, _, haproxy = run("direct-proxy", (" check ", f" check maxconn {limit} "), OFTEN)
    clients = crowd.come(address, PORTS + 30)
    assert len(clients) == limit
    assert_checked_on(haproxy)
    for each in clients:
        each.ping()


FRONT = """
frontend mqtt_frontend
    bind 127.0.0.1:{front}
    default_backend mqtt_backend

backend mqtt_backend
    balance leastconn
    default-server send-proxy-v2
"""


@pytest.mark.parametrize("servers, times", [
    (["127.0.0.1:{port}"], 1),
    (["127.0.0.1:{port} source 127.0.0.2", "127.0.0.1:{port} source 127.0.0.3"], 2),
    (["127.0.0.1:{port}", "127.0.0.1:{port2}"], 2),
    (["127.0.0.1:{port}", "127.0.0.6:{port}", "127.0.0.7:{port}"], 3),
    (["127.0.0.1:{port} source 127.0.0.2", "127.0.0.1:{port} source 127.0.0.3",
      "127.0.0.1:{port2} source 127.0.0.2", "127.0.0.1:{port2} source 127.0.0.3"], 4),
    (["127.0.0.1:{port} source 127.0.0.2:50001-50200",
      "127.0.0.1:{port2} source 127.0.0.2:50001-50200"], 2),
], ids=["one", "two sources", "two listeners", "three addresses of the broker", "both", "chosen"])
def test_ports_are_those_of_a_pair(network, crowd, start_broker, start_haproxy, servers, times, workers):
    """Of an address of HAProxy's and a listener: the numbers multiply."""
    broker = start_broker("".join(f"listener {{{port}}}\nenable_proxy_protocol 2\n"
                                  "proxy_protocol_trusted 127.0.0.0/29\nallow_anonymous true\n"
                                  for port in ("port", "port2")))
    places = {**broker.places, "front": ports.take()}
    start_haproxy(FRONT + "".join(f"    server server{n} {each}\n"
                                  for n, each in enumerate(servers)), places)
    clients = crowd.come(("127.0.0.1", places["front"]), times * PORTS + 20)
    assert len(clients) == times * PORTS
    assert len(set(sources(broker))) == times * PORTS
