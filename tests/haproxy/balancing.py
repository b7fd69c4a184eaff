"""
What each of the files of examples/haproxy is for that are about more than one connection: drain,
sticky, mqtt-only, rate-limits, many-clients.
"""

import re
import signal
import socket

import pytest

from harness import ports, wire
from harness.client import PATIENCE, Client
from harness.examples import Example
from harness.process import wait_until

pytestmark = pytest.mark.nightjar("the examples are ours")

DRAIN = signal.SIGRTMIN + 1


@pytest.fixture
def run(start_broker, start_haproxy, tmp_path):
    def begin(name):
        example = Example(name, tmp_path / "example")
        broker, haproxy = example.run(start_broker, start_haproxy, [1883])
        return example, broker, haproxy
    return begin


def is_up(haproxy, server="server1"):
    return haproxy.server(server=server)["status"].startswith("UP")


@pytest.mark.workers
def test_drain(run, workers):
    """Who is there stays at first, nobody new comes, and a word more takes it back."""
    example, broker, haproxy = run("drain")
    address = example.address(1883)
    wait_until(lambda: haproxy.server()["agent_status"] == "L7OK", what="the agent's answer")
    client = broker.connect("there", 5, address=address)
    broker.signal(DRAIN)
    wait_until(lambda: haproxy.server()["status"].startswith("DRAIN"), what="a drain")
    client.ping()
    late = broker.open(5, address=address)
    late.send(wire.connect("late", 5))
    late.expect_close()
    broker.signal(DRAIN)
    wait_until(lambda: is_up(haproxy), what="the server's return")
    broker.connect("late", 5, address=address).ping()
    client.ping()
    assert haproxy.server()["chkfail"] == "0"


@pytest.mark.workers
def test_sticky(run, start_broker, workers):
    """Each comes back to its own session, wherever the others go."""
    example, first, haproxy = run("sticky")
    text = example.broker_text().replace(str(example.at(1884)), str(example.at(1885)))
    second = start_broker(text, places={"port": example.at(1885)})
    wait_until(lambda: is_up(haproxy) and is_up(haproxy, "server2"), what="both")
    address = example.address(1883)
    for number in range(12):
        client = first.connect(f"x-{number}", 5, address=address, lasting=True, session=False)
        client.disconnect()
    held = [first.connect(f"y-{number}", 5, address=address) for number in range(5)]
    for number in range(12):
        first.connect(f"x-{number}", 5, address=address, lasting=True, session=True).disconnect()
    for each in held:
        each.ping()
    for broker in first, second:
        assert len(broker.client_ids()) > 3


def test_mqtt_only(run):
    example, broker, _ = run("mqtt-only")
    address = example.address(1883)
    silent = Client(address, 5)
    with socket.create_connection(address, PATIENCE) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert is_cut(link)
    client = broker.open(5, address=address)
    client.send(wire.connect("x", 5), pieces=4, delay=0.01)
    client.expect("CONNACK", code=0)
    silent.expect_close(timeout=10)
    assert broker.count_lines(r"New connection .*") == 1


def is_cut(link):
    """Closed, or reset, without a byte."""
    try:
        return link.recv(100) == b""
    except ConnectionResetError:
        return True


def test_rate_limits(run):
    example, broker, _ = run("rate-limits")
    address = example.address(1883)
    many = [Client(address, 4, source="127.0.0.50") for _ in range(60)]
    ended = 0
    for each in many:
        try:
            ended += each.ended(0.05)
        except ConnectionResetError:
            ended += 1
    assert 5 <= ended <= 15
    client = broker.open(5, address=address, source="127.0.0.51")
    client.send(wire.connect("other", 5))
    client.expect("CONNACK", code=0)
    for each in many:
        each.close()


@pytest.mark.workers
def test_many_clients(run, workers):
    """From every address of HAProxy's, with ports of the range, and the client's own in the log."""
    example, broker, _ = run("many-clients")
    for number in range(20):
        broker.connect(f"x-{number}", 5, address=example.address(1883), source="127.0.0.60")
    lines = re.findall(r"New connection from (127\.0\.0\.\d+):\d+ on port \d+ via "
                       r"(127\.0\.0\.\d+):(\d+)\.", broker.log())
    assert {client for client, _, _ in lines} == {"127.0.0.60"}
    assert {proxy for _, proxy, _ in lines} == {f"127.0.0.{n}" for n in range(2, 6)}
    assert all(int(port) >= 1024 for _, _, port in lines)


CHECKED = """
frontend mqtt_frontend
    bind 127.0.0.1:{front}
    default_backend mqtt_backend

backend mqtt_backend
    option tcp-check
    tcp-check connect
    tcp-check send-binary 100c00044d5154540402000a0000
    tcp-check expect rbinary 200200(00|03)
    server server1 127.0.0.1:{port} check inter 100ms on-marked-down shutdown-sessions
"""


@pytest.mark.workers
def test_a_refusal_is_a_sign_of_life(start_broker, start_haproxy, workers):
    """As docs/haproxy.md has it: a check that speaks MQTT, and does not fail while a broker drains."""
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n"
                          "drain_delay 0\ndrain_time 3000\n")
    front = ports.take()
    haproxy = start_haproxy(CHECKED, {"port": broker.port, "front": front})
    wait_until(lambda: haproxy.server()["check_status"] == "L7OK", what="a check")
    client = broker.connect("x", 5, address=("127.0.0.1", front))
    broker.signal(DRAIN)
    broker.expect_line(r"Draining: .*")
    broker.connect("y", 4, code=3, address=("127.0.0.1", front))
    for _ in range(10):
        client.receive(0.1)
        server = haproxy.server()
        assert server["status"].startswith("UP") and server["chkfail"] == "0", server
    client.ping()
