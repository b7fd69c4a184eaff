"""A listener with a certificate: the same broker, behind TLS."""

import ssl

import pytest

from harness import tls, wire
from harness.tools import Sub, pub


@pytest.fixture
def secure(start_broker, authority):
    """A broker whose listener has TLS, and one beside it that has not."""
    return start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n"
                        f"{authority.lines}"
                        "listener {port2} 127.0.0.1\n")


@pytest.fixture
def rules(authority):
    return tls.context(authority.cert)


@pytest.mark.nightjar("the options as 2.1 words them")
@pytest.mark.workers
def test_mosquitto_clients(secure, authority, version, workers):
    trust = ["--cafile", str(authority.cert)]
    address = ("localhost", secure.port)
    with Sub(address, version, "-t", "a/#", "-q", "1", "-v", *trust) as sub:
        pub(address, version, "-t", "a/x", "-m", "1", *trust)
        pub(("127.0.0.1", secure.places["port2"]), version, "-t", "a/y", "-m", "2", "-q", "2")
        sub.expect("a/x 1", "a/y 2")


@pytest.mark.workers
def test_a_large_message(secure, rules, version, workers):
    """Larger than the kernel takes at once, in both directions."""
    to, sender = (secure.connect(name, version, tls=rules) for name in ("to", "from"))
    to.send(wire.subscribe(1, ("t", 1), version=version))
    to.expect("SUBACK")
    payload = bytes(range(256)) * 6000
    for number in range(2):
        sender.send(wire.publish("t", payload, 1, 1 + number, version=version))
        sender.expect("PUBACK")
    for number in range(2):
        to.expect_message("t", payload)


@pytest.mark.workers
def test_many_small_messages(secure, rules, version, workers):
    to, sender = (secure.connect(name, version, tls=rules) for name in ("to", "from"))
    to.send(wire.subscribe(1, ("t", 0), version=version))
    to.expect("SUBACK")
    sender.send(*(wire.publish("t", b"%d" % number, version=version) for number in range(20000)))
    for number in range(20000):
        to.expect("PUBLISH", payload=b"%d" % number)


@pytest.mark.workers
def test_a_message_cut_at_every_byte(secure, rules, version, workers):
    """Of the records that it comes in."""
    client = secure.connect("c", version, tls=rules)
    client.send(wire.subscribe(1, ("t", 1), version=version))
    client.expect("SUBACK")
    for number in range(3):
        records = client.socket.seal(wire.publish("t", b"x" * 20, 1, 7, version=version))
        client.socket.send_pieces(records, 1, 0.0005)
        seen = {client.expect_any().kind for _ in range(2)}
        assert seen == {"PUBLISH", "PUBACK"}


@pytest.mark.parametrize("level", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_ways_to_go(secure, authority, level):
    """We hear a close_notify, and say one."""
    rules = tls.context(authority.cert, version=level)
    client = secure.connect("c", 5, tls=rules)
    assert client.socket.tls.version() == level.name.replace("_", ".")
    client.send(wire.disconnect())
    assert client.socket.recv_to_the_end() == b""
    client = secure.connect("c", 5, tls=rules)
    client.socket.say_end()
    secure.expect_line(r"Client c \[127\.0\.0\.1:\d+\] disconnected: connection closed by client\.")


def test_who_speaks_no_tls(secure):
    client = secure.open(5)
    client.send(wire.connect("c", 5))
    client.expect_close()
    secure.expect_line(r"Client 127\.0\.0\.1 \[127\.0\.0\.1:\d+\] disconnected: TLS: "
                       "wrong version number\\.")


@pytest.mark.parametrize("lines, complaint", [
    ("certfile {dir}/server.crt", r"certfile needs keyfile"),
    ("keyfile {dir}/server.key", "keyfile needs certfile"),
])
def test_half_of_a_pair(start_broker, lines, complaint):
    broker = start_broker("listener {port} 127.0.0.1\n" + lines + "\n", ready=False)
    broker.expected_status = 1
    assert broker.wait() == 1
    assert f"Error: {complaint}." in broker.log()


@pytest.mark.parametrize("certificate, key, complaint", [
    ("missing.crt", "server.key", "Unable to load server certificate"),
    ("server.crt", "missing.key", "Unable to load server key file"),
    ("server.crt", "ca.key", "(?:Unable to load server key|inconsistent).*key values mismatch"),
    ("server.key", "server.key", "Unable to load server certificate"),
])
def test_files_that_are_no_good(start_broker, authority, certificate, key, complaint):
    broker = start_broker("listener {port} 127.0.0.1\n"
                          f"certfile {authority.folder}/{certificate}\n"
                          f"keyfile {authority.folder}/{key}\n", ready=False)
    broker.expected_status = 1
    assert broker.wait() == 1
    broker.expect_line(rf".*{complaint}.*")
