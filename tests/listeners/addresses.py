"""
Where a broker can listen: several listeners, IPv4, IPv6, all addresses, Unix sockets, and without a
configuration on the loopback addresses alone.
"""

import os
import pathlib
import socket
import stat
import time

import pytest

from harness.tools import Sub, pub


@pytest.mark.workers
def test_several_listeners_are_one_broker(start_broker, version, workers):
    broker = start_broker("""
listener {port} 127.0.0.1
listener {port2} 127.0.0.1
listener {port3} ::1
listener 0 {dir}/socket
allow_anonymous true
""")
    addresses = [("127.0.0.1", broker.port), ("127.0.0.1", broker.places["port2"]),
                 ("::1", broker.places["port3"]), str(broker.folder / "socket")]
    clients = [broker.connect(f"x-{n}", version, address=each)
               for n, each in enumerate(addresses)]
    for each in clients:
        each.subscribe("t")
    publisher = broker.connect("from", version)
    publisher.publish("t", b"all")
    for each in clients:
        each.expect_message("t", b"all")


def test_all_addresses(start_broker):
    broker = start_broker("listener {port}\nallow_anonymous true\n")
    for address in ("127.0.0.1", "::1", "127.0.0.77"):
        broker.connect("x", address=(address, broker.port)).ping()
    broker.expect_line(rf"Opening ipv4 listen socket on port {broker.port}\.")
    broker.expect_line(rf"Opening ipv6 listen socket on port {broker.port}\.")


@pytest.mark.parametrize("domain, works, fails", [
    ("ipv4", "127.0.0.1", "::1"), ("ipv6", "::1", "127.0.0.1")])
def test_socket_domain(start_broker, domain, works, fails):
    broker = start_broker(f"listener {{port}}\nsocket_domain {domain}\nallow_anonymous true\n")
    broker.connect("x", address=(works, broker.port)).ping()
    with pytest.raises(ConnectionRefusedError):
        broker.open(address=(fails, broker.port))


def test_port_and_bind_address(start_broker):
    """The old way to name the only listener."""
    broker = start_broker("port {port}\nbind_address 127.0.0.1\nallow_anonymous true\n")
    broker.connect("x").ping()
    with pytest.raises(ConnectionRefusedError):
        broker.open(address=("127.0.0.2", broker.port))


@pytest.mark.workers
def test_a_unix_socket(start_broker, workers):
    broker = start_broker("listener {port} 127.0.0.1\nlistener 0 {dir}/s\nallow_anonymous true\n")
    path = broker.folder / "s"
    assert stat.S_ISSOCK(path.stat().st_mode)
    with Sub(str(path), 5, "-t", "t") as sub:
        pub(str(path), 4, "-t", "t", "-m", "hello")
        sub.expect("hello")
    broker.stop()
    assert not path.exists()


def test_a_unix_socket_left_behind(start_broker, tmp_path):
    path = tmp_path / "left"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    broker = start_broker(f"listener 0 {path}\nallow_anonymous true\n", ready=False)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            broker.connect("x", address=str(path)).ping()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise AssertionError(broker.log())


def test_the_option_p(start_broker):
    """-p without a configuration listens on loopback, for everybody."""
    broker = start_broker(None, arguments=["-p", "{port}"])
    broker.expect_line(r"\S+ version \S+ running")  # on both addresses
    broker.connect("x").ping()
    broker.connect("x", address=("::1", broker.port)).ping()
    broker.expect_line(r"Starting in local only mode\..*")
    listening = pathlib.Path("/proc/net/tcp").read_text()
    assert f"0100007F:{broker.port:04X}" in listening
    assert f"00000000:{broker.port:04X}" not in listening


def test_p_beside_a_listener_is_ignored(start_broker):
    broker = start_broker(arguments=["-p", "{other}"], places={"other": 1})
    broker.connect("x").ping()


@pytest.mark.skipif("NIGHTJAR_TESTS_PORT_1883" not in os.environ,
                    reason="needs port 1883 for itself: NIGHTJAR_TESTS_PORT_1883=1")
def test_no_configuration(start_broker):
    broker = start_broker(None, places={"port": 1883})
    broker.expect_line(r"\S+ version \S+ running")
    broker.connect("x", address=("127.0.0.1", 1883)).ping()
    broker.connect("x", address=("::1", 1883)).ping()
    broker.expect_line(r"Using default config\.")
    broker.expect_line(r"Starting in local only mode\..*")
