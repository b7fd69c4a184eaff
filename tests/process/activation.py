"""
Listening sockets that systemd passes: each becomes the listener's whose port or path it has, and a
broker that is passed something else does not start.
"""

import pathlib
import socket
import sys

import pytest

from harness import ports, wire
from harness.client import Client

pytestmark = pytest.mark.nightjar("built without it")

ACTIVATE = str(pathlib.Path(__file__).parents[1] / "harness/activate.py")


def activated(*places):
    return [sys.executable, ACTIVATE, *places, "--"]


@pytest.fixture
def start(start_broker):
    """A broker that was passed sockets; `places` as activate.py wants them."""
    def begin(text, *places, ready=True, **known):
        return start_broker(text, prefix=activated(*places), places=known, ready=ready)
    return begin


@pytest.mark.workers
def test_a_port(start, workers):
    port = ports.take()
    broker = start("listener {port}\nallow_anonymous true\n", f"127.0.0.1:{port}", port=port)
    broker.connect("x", 5).ping()
    broker.expect_line(rf"The service manager has opened 1 listen sockets on port {port}\.")
    # Only what was passed: the configuration would have it listen on all addresses.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), 5)


def test_both_families(start):
    port = ports.take()
    broker = start("listener {port}\nallow_anonymous true\n", f"127.0.0.1:{port}", f"[::1]:{port}",
                   port=port)
    broker.connect("x", 5).ping()
    broker.connect("x", 5, address=("::1", port)).ping()
    broker.expect_line(rf"The service manager has opened 2 listen sockets on port {port}\.")


def test_a_path(start, tmp_path):
    path = str(tmp_path / "passed")
    broker = start(f"listener 0 {path}\nallow_anonymous true\n", path)
    broker.expect_line(rf"The service manager has opened the listen socket on path {path}\.")
    broker.connect("x", 5, address=path).ping()
    assert broker.stop() == 0
    assert pathlib.Path(path).exists()  # the manager's, which listens on


def test_beside_others(start):
    port = ports.take()
    broker = start("listener {port} 127.0.0.1\nallow_anonymous true\n"
                   "listener {port2} 127.0.0.1\nprotocol agent\n", f"127.0.0.1:{port}", port=port)
    broker.connect("x", 5).ping()
    with socket.create_connection(("127.0.0.1", broker.places["port2"]), 5) as link:
        assert link.recv(100).startswith(b"up ready")


@pytest.mark.parametrize("place, line, says", [
    ("127.0.0.1:{port2}", "listener {port} 127.0.0.1",
     r"Error: The socket 'mqtt' of the service manager, 127\.0\.0\.1 port {port2}, belongs to no "
     r"listener\."),
    ("127.0.0.1:{port}", "listener {port} 127.0.0.2",
     r"Error: The socket 'mqtt' of the service manager, 127\.0\.0\.1 port {port}, belongs to no "
     r"listener\."),
    ("127.0.0.1:{port}", "listener {port}\nsocket_domain ipv6",
     r"Error: The socket 'mqtt' of the service manager, 127\.0\.0\.1 port {port}, belongs to no "
     r"listener\."),
    ("{path}", "listener {port} 127.0.0.1",
     r"Error: The socket 'mqtt' of the service manager, at the path {path}, belongs to no "
     r"listener\."),
    ("udp", "listener {port} 127.0.0.1",
     r"Error: What the service manager has passed as 'mqtt' \(descriptor 3\) is no listening stream "
     r"socket\."),
], ids=["port", "address", "family", "path", "kind"])
def test_what_does_not_match(start, tmp_path, place, line, says):
    known = {"port": ports.take(), "port2": ports.take(), "path": str(tmp_path / "passed")}
    broker = start(line + "\n", "mqtt=" + place.format_map(known), ready=False, **known)
    assert broker.wait() == 1, broker.log()
    broker.expect_line(says.format_map(known))


def test_sockets_of_another_process_are_left_alone(start_broker):
    """LISTEN_PID is somebody else's."""
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n",
                          environment={"LISTEN_PID": "1", "LISTEN_FDS": "1"})
    broker.connect("x", 5).ping()
    broker.expect_line(rf"Opening ipv4 listen socket on port {broker.port}\.")


@pytest.mark.workers
def test_nobody_is_refused_over_a_restart(start, tmp_path, workers):
    """Who connects while there is no broker waits for the next one."""
    port, path = ports.take(), str(tmp_path / "giver")
    with socket.create_server(("127.0.0.1", port)) as held, socket.socket(socket.AF_UNIX) as giver:
        giver.bind(path)
        giver.listen()

        def begin():
            broker = start("listener {port} 127.0.0.1\nallow_anonymous true\n", "from:" + path,
                           ready=False, port=port)
            with giver.accept()[0] as asking:
                socket.send_fds(asking, [b"x"], [held.fileno()])
            broker.wait_ready()
            return broker

        first = begin()
        client = first.connect("x", 5)
        assert first.stop() == 0
        client.expect_end(0x8B)
        early = Client(("127.0.0.1", port), 5, name="early")
        early.send(wire.connect("early", 5))
        begin()
        early.expect("CONNACK", code=0)
        early.ping()
        early.close()


def test_a_reload_keeps_it(start):
    port = ports.take()
    text = "listener {port} 127.0.0.1\nallow_anonymous true\n"
    broker = start(text, f"127.0.0.1:{port}", port=port)
    client = broker.connect("x", 5)
    broker.reload(text + "max_keepalive 100\n")
    client.ping()
    assert broker.connect("x", 5, keepalive=0).connack.properties["server_keep_alive"] == 100
