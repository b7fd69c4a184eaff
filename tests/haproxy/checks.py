"""
HAProxy's health checks keep a living broker UP and leave no line that speaks of an error: the plain
TCP check, the check behind a PROXY header, and an MQTT conversation. A stopped broker goes DOWN.
"""

import pytest

from harness import ports
from harness.process import wait_until

BACKEND = """
frontend mqtt_frontend
    bind 127.0.0.1:{front}
    default_backend mqtt_backend

backend mqtt_backend
    timeout check 5s
"""
SERVER = "    server server1 127.0.0.1:{port} check inter 100ms on-marked-down shutdown-sessions"
CONVERSATION = """
    option tcp-check
    tcp-check connect SEND
    tcp-check send-binary 101000044d51545404020005000468617031
    tcp-check expect binary 20020000
    tcp-check send-binary e000
"""
proxied = pytest.mark.nightjar("the PROXY protocol")
CHECKS = [
    pytest.param("", "", "", id="tcp"),
    pytest.param(CONVERSATION.replace("SEND", ""), "", "", id="mqtt"),
    pytest.param("", " send-proxy", "1", id="tcp-v1", marks=proxied),
    pytest.param("", " send-proxy-v2", "2", id="tcp-v2", marks=proxied),
    pytest.param("", " send-proxy-v2", "any", id="tcp-any", marks=proxied),
    pytest.param("", " send-proxy-v2-ssl", "2", id="tcp-v2-ssl", marks=proxied),
    pytest.param("", " send-proxy-v2 proxy-v2-options crc32c,ssl,unique-id", "2", id="tcp-v2-all",
                 marks=proxied),
    pytest.param(CONVERSATION.replace("SEND", "send-proxy"), " send-proxy-v2", "2", id="mqtt-v2",
                 marks=proxied),
    pytest.param(CONVERSATION.replace("SEND", "send-proxy"), " send-proxy", "1", id="mqtt-v1",
                 marks=proxied),
]


@pytest.fixture
def setup(start_broker, start_haproxy):
    def start(conversation, option, mode):
        enabled = f"enable_proxy_protocol {mode}\n" if mode else ""
        broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n" + enabled)
        front = ports.take()
        haproxy = start_haproxy(BACKEND + conversation + SERVER + option + "\n",
                                {"port": broker.port, "front": front})
        return broker, haproxy, ("127.0.0.1", front)
    return start


def last_check(haproxy):
    """How the last check ended: L4OK, L7OK, or a failure."""
    return haproxy.server()["check_status"]


@pytest.mark.workers
@pytest.mark.parametrize("conversation, option, mode", CHECKS)
def test_stays_up(setup, conversation, option, mode, workers):
    broker, haproxy, address = setup(conversation, option, mode)
    wanted = "L7OK" if conversation else "L4OK"
    wait_until(lambda: last_check(haproxy) == wanted, what=f"a check with {wanted}")
    client = broker.connect("x", address=address)
    for _ in range(15):
        got = client.receive(0.1)
        assert got is None
        server = haproxy.server()
        assert server["status"].startswith("UP") and server["chkfail"] == "0", server
    client.ping()
    assert not broker.complaints()
    if conversation:
        assert broker.count_lines(r"New client connected from .* as hap1 .*") > 5


@pytest.mark.workers
@pytest.mark.parametrize("conversation, option, mode", CHECKS[:2] + CHECKS[-2:])
def test_goes_down_with_the_broker(setup, conversation, option, mode, workers):
    broker, haproxy, address = setup(conversation, option, mode)
    client = broker.connect("x", address=address)
    broker.stop()
    client.expect_close()
    wait_until(lambda: haproxy.server()["status"].startswith("DOWN"), what="DOWN")


@proxied
def test_a_check_without_the_header_fails(setup):
    """The listener does not guess: MQTT without a header is no proof of life."""
    broker, haproxy, _ = setup(CONVERSATION.replace("SEND", ""), " send-proxy-v2", "2")
    wait_until(lambda: haproxy.server()["status"].startswith("DOWN"), what="DOWN")
    assert "New client" not in broker.log()
