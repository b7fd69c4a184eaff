"""
proxy_idle_timeout: clients whose keep-alive is longer than the proxy in front bears get a shorter one
if they can be told; for the others the log has a warning.
"""

import pytest

from harness import proxy, wire

pytestmark = pytest.mark.nightjar("proxy_idle_timeout is ours")

PLAIN = "listener {port} 127.0.0.1\nallow_anonymous true\nproxy_idle_timeout 60\n"
WARNING = r"Warning: Client {} has a keep-alive of {} seconds, and the proxy ends what is silent " \
          r"for 60 \(proxy_idle_timeout\)\."


@pytest.mark.parametrize("asked, told", [(0, 45), (30, None), (45, None), (46, 45), (65535, 45)])
def test_version_5_is_told(start_broker, asked, told):
    broker = start_broker(PLAIN)
    client = broker.connect("x", 5, keepalive=asked)
    assert client.connack.properties.get("server_keep_alive") == told
    assert not broker.complaints()


@pytest.mark.parametrize("own, told", [(10, 10), (45, 45), (50, 45)])
def test_the_shorter_of_two_bounds(start_broker, own, told):
    broker = start_broker(f"max_keepalive {own}\n" + PLAIN)
    client = broker.connect("x", 5, keepalive=600)
    assert client.connack.properties["server_keep_alive"] == told


@pytest.mark.versions(3, 4)
@pytest.mark.parametrize("asked", [0, 46, 600])
def test_version_3_is_warned_of(start_broker, version, asked):
    broker = start_broker(PLAIN)
    client = broker.connect("x", version, keepalive=asked)
    broker.expect_line(WARNING.format(r"x \[127\.0\.0\.1:\d+\]", asked))
    client.ping()


@pytest.mark.parametrize("asked", [1, 45])
def test_version_3_that_is_quick_enough(start_broker, asked):
    broker = start_broker(PLAIN)
    broker.connect("x", 4, keepalive=asked).ping()
    assert not broker.complaints()


def test_the_proxy_is_named(start_broker):
    broker = start_broker(PLAIN + "enable_proxy_protocol 2\n")
    client = broker.open(4)
    client.send(proxy.client("192.0.2.7", 4711), wire.connect("x", 4, keepalive=100))
    client.expect("CONNACK", code=0)
    broker.expect_line(WARNING.format(r"x \[192\.0\.2\.7:4711\] via 127\.0\.0\.1:\d+", 100))


@pytest.mark.workers
def test_who_comes_without_a_proxy_keeps_its_own(start_broker, workers):
    broker = start_broker(PLAIN + "enable_proxy_protocol 2\nproxy_protocol_trusted 127.0.0.7\n"
                          "proxy_protocol_untrusted direct\n")
    for version in (4, 5):
        client = broker.connect(f"x-{version}", version, keepalive=600)
        client.ping()
    assert "server_keep_alive" not in client.connack.properties
    assert not broker.complaints()
