"""
Two brokers behind one HAProxy are restarted one after the other, under 500 clients: each client of the
one that restarts comes back exactly once, told to if it speaks version 5, and nobody is refused. What
publishers were promised they get, and HAProxy sees no check fail but of a broker that is down.
"""

import re
import signal

import pytest

from harness import ports
from harness.swarm import Member, Swarm

pytestmark = [pytest.mark.nightjar("drains are ours"), pytest.mark.timeout(240)]

DRAIN = signal.SIGRTMIN + 1
CLIENTS, PUBLISHERS = 500, 50
BROKER = """
listener {port} 127.0.0.1
enable_proxy_protocol 2
allow_anonymous true
listener {port2} 127.0.0.1
protocol agent
drain_delay 1
drain_time 4
"""
PROXY = """
frontend mqtt_frontend
    bind 127.0.0.1:{front}
    default_backend mqtt_backend

backend mqtt_backend
    balance roundrobin
    default-server weight 100 check inter 200ms rise 1 on-marked-down shutdown-sessions send-proxy-v2 agent-check agent-inter 200ms
    server a 127.0.0.1:{a} agent-port {agent_a}
    server b 127.0.0.1:{b} agent-port {agent_b}
"""


class Pair:
    """The brokers, by their names in HAProxy's configuration."""

    def __init__(self, start_broker, start_haproxy):
        self.start_broker = start_broker
        self.places = {name: {"port": ports.take(), "port2": ports.take()} for name in "ab"}
        self.brokers = {name: self.begin(name) for name in "ab"}
        front = ports.take()
        self.haproxy = start_haproxy(PROXY, {
            "front": front, "a": self.places["a"]["port"], "agent_a": self.places["a"]["port2"],
            "b": self.places["b"]["port"], "agent_b": self.places["b"]["port2"]})
        self.address = ("127.0.0.1", front)

    def begin(self, name):
        return self.start_broker(BROKER, places=dict(self.places[name]))

    def server(self, name):
        return self.haproxy.server(server=name)

    def is_up(self, name):
        server = self.server(name)
        return server["status"].startswith("UP") and server["agent_status"] == "L7OK"

    def restart(self, name, swarm):
        """Drained, ended, begun anew, and taken in again."""
        broker, other = self.brokers[name], "ab".replace(name, "")
        failed = {each: self.server(each)["chkfail"] for each in "ab"}
        broker.signal(DRAIN)
        swarm.run_until(lambda: "Drained: no client is left." in broker.process._text(),
                        what="the end of the drain")
        assert self.server(name)["chkfail"] == failed[name]
        assert broker.stop() == 0
        self.brokers[name] = self.begin(name)
        swarm.run_until(lambda: self.is_up(name), what="the server's return")
        assert self.server(other)["chkfail"] == failed[other]


def on(broker):
    """Who was let in by this broker."""
    return set(re.findall(r"New client connected from \S+ as (m-\d+) ", broker.log()))


def check(swarm, gone):
    """Those came back once, told to if that can be told, and all the others stayed."""
    for each in swarm.members:
        times = 1 if each.name in gone else 0
        told = 0x9C if each.version == 5 else None
        assert (each.connects, each.refusals) == (times, 0), each
        assert each.ends == [told] * times, each


@pytest.mark.workers
def test_rolling_restart(start_broker, start_haproxy, workers):
    pair = Pair(start_broker, start_haproxy)
    members = [Member(number, 5 if number % 2 else 4, number < PUBLISHERS)
               for number in range(CLIENTS)]
    swarm = Swarm(pair.address, members)
    try:
        swarm.run_until(lambda: swarm.all_online() and pair.is_up("a") and pair.is_up("b"),
                        what="everybody's coming")
        swarm.run_for(1)
        at_first = on(pair.brokers["a"])
        assert len(at_first) > CLIENTS / 4 and len(on(pair.brokers["b"])) > CLIENTS / 4
        swarm.forget()

        pair.restart("a", swarm)
        swarm.run_until(swarm.all_online, what="everybody's return")
        check(swarm, at_first)
        swarm.forget()

        pair.restart("b", swarm)
        swarm.run_until(swarm.all_online, what="everybody's return")
        check(swarm, {each.name for each in members})

        publishers = [each for each in members if each.publishes]
        swarm.run_until(lambda: all(len(each.acknowledged) > 50 for each in publishers),
                        what="more messages")
        for each in publishers:
            so_far = max(each.acknowledged)
            assert each.acknowledged == set(range(1, so_far + 1)), each
            assert each.received >= each.acknowledged - {so_far}, each
    finally:
        swarm.close()
