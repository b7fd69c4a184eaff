"""
HAProxy asks a listener of protocol agent: the server's weight follows, no check fails, and what
agent-send sends is no matter.
"""

import pytest

from harness import ports
from harness.process import wait_until

pytestmark = pytest.mark.nightjar("the agent is ours")

BROKER = "global_max_connections {limit}\nlistener {{port}} 127.0.0.1\nallow_anonymous true\n" \
         "listener {{port2}} 127.0.0.1\nprotocol agent\n"
BACKEND = """
frontend mqtt_frontend
    bind 127.0.0.1:{front}
    default_backend mqtt_backend

backend mqtt_backend
    server server1 127.0.0.1:{port} weight 100 check inter 100ms agent-check agent-port {port2} agent-inter 100msSENDING
"""


def start(start_broker, start_haproxy, limit, sending=""):
    broker = start_broker(BROKER.format(limit=limit))
    front = ports.take()
    haproxy = start_haproxy(BACKEND.replace("SENDING", sending),
                            {"port": broker.port, "port2": broker.places["port2"], "front": front})
    wait_until(lambda: haproxy.server()["agent_status"] == "L7OK", what="an answer of the agent")
    return broker, haproxy, ("127.0.0.1", front)


@pytest.mark.workers
@pytest.mark.parametrize("sending", ["", ' agent-send "broker1\\n"'], ids=["silent", "sending"])
def test_the_weight_follows(start_broker, start_haproxy, sending, workers):
    broker, haproxy, address = start(start_broker, start_haproxy, 20, sending)
    clients = [broker.connect(f"x-{number}", 5, address=address) for number in range(10)]
    wait_until(lambda: haproxy.server()["weight"] == "50", what="a weight of 50")
    for each in clients:
        each.disconnect()
    # HAProxy's own connections may be among those that are counted.
    wait_until(lambda: int(haproxy.server()["weight"]) > 90, what="a weight above 90")


@pytest.mark.parametrize("sending", ["", ' agent-send "broker1\\n"'], ids=["silent", "sending"])
def test_no_check_fails(start_broker, start_haproxy, sending):
    _, haproxy, _ = start(start_broker, start_haproxy, 100, sending)
    for _ in range(200):
        server = haproxy.server()
        assert (server["agent_status"], server["chkfail"], server["chkdown"]) in \
            [("L7OK", "0", "0"), ("", "0", "0")] or server["agent_status"].startswith("*"), server
        assert server["status"].startswith("UP"), server
