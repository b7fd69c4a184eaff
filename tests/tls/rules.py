"""Versions, ciphers, tickets, a reload, a PROXY header in front, and a look inside."""

import os
import re
import ssl
import subprocess
import threading
import warnings

import pytest

from harness import proxy, tls, wire
from harness.certificates import Authority

LEVELS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture
def secure(start_broker, authority):
    def start(more="", **options):
        return start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n"
                            f"{authority.lines}" + more, **options)
    return start


def test_the_least_version(secure, authority):
    broker = secure("tls_version tlsv1.3\n")
    broker.connect("c", 5, tls=tls.context(authority.cert, version=LEVELS[1])).ping()
    with pytest.raises(ssl.SSLError) as error:
        broker.open(5, tls=tls.context(authority.cert, version=LEVELS[0]))
    assert error.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


def test_no_older_one(secure, authority):
    """TLS 1.1 is not spoken, whatever the client wants."""
    broker = secure()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = tls.context(authority.cert, version=ssl.TLSVersion.TLSv1_1)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError) as error:
        broker.open(5, tls=old)
    assert error.value.reason in ("TLSV1_ALERT_PROTOCOL_VERSION", "SSLV3_ALERT_HANDSHAKE_FAILURE")


def test_ciphers(secure, authority):
    broker = secure("ciphers ECDHE-ECDSA-AES256-GCM-SHA384\n"
                    "ciphers_tls1.3 TLS_CHACHA20_POLY1305_SHA256\n")
    for level, name in zip(LEVELS, ("ECDHE-ECDSA-AES256-GCM-SHA384",
                                    "TLS_CHACHA20_POLY1305_SHA256")):
        client = broker.connect("c", 5, tls=tls.context(authority.cert, version=level))
        assert client.socket.tls.cipher()[0] == name
    others = tls.context(authority.cert, version=LEVELS[0])
    others.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    with pytest.raises(ssl.SSLError) as error:
        broker.open(5, tls=others)
    assert error.value.reason == "SSLV3_ALERT_HANDSHAKE_FAILURE"


# ---- tickets ----

def resume(broker, rules, session):
    client = broker.open(5).start_tls(rules, session=session)
    client.send(wire.connect("c", 5))
    client.expect("CONNACK", code=0)
    return client


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.workers
def test_tickets(secure, authority, level, workers):
    """Those of one worker are good for all, and those from before a reload for none."""
    broker = secure("sys_interval 1\n")
    rules = tls.context(authority.cert, version=level)
    session = resume(broker, rules, None).socket.tls.session
    assert session.has_ticket
    for _ in range(8):
        client = resume(broker, rules, session)
        assert client.socket.tls.session_reused
    client.subscribe("$SYS/broker/listener/+/tls/handshakes/#")
    figures = {}
    while figures.get("resumed") != b"8":
        got = client.expect("PUBLISH", timeout=8)
        figures[got.topic.rsplit("/")[-1]] = got.payload
    assert figures == {"full": b"1", "resumed": b"8", "failed": b"0"}
    broker.reload()
    assert not resume(broker, rules, session).socket.tls.session_reused


@pytest.mark.parametrize("level", LEVELS)
def test_who_resumes_is_still_known(start_broker, authority, tmp_path, level):
    clients = Authority(tmp_path / "clients")
    pair = clients.client("meter")
    text = ("listener {port} 127.0.0.1\n"
            f"{authority.lines}"
            f"cafile {clients.cert}\nrequire_certificate true\nuse_identity_as_username true\n")
    broker = start_broker(text)
    rules = tls.context(authority.cert, (pair.cert, pair.key), level)
    session = resume(broker, rules, None).socket.tls.session
    assert resume(broker, rules, session).socket.tls.session_reused
    assert len(re.findall(r"as c \(.*u'meter'\)", broker.log())) == 2
    # What was revoked since is found out, since a reload lets no ticket pass.
    broker.reload(text + f"crlfile {clients.revoke(pair)}\n")
    with pytest.raises(ssl.SSLError):
        resume(broker, rules, session)


# ---- reload ----

@pytest.mark.workers
def test_a_certificate_is_renewed(start_broker, tmp_path, workers):
    """Same names, other files: who is there stays, who comes sees the new one."""
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    here = tmp_path / "here"
    here.mkdir()

    def put(authority):
        authority.server()
        for end in ("crt", "key"):
            os.replace(authority.folder / f"server.{end}", here / f"server.{end}")

    put(old)
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n"
                          f"certfile {here}/server.crt\nkeyfile {here}/server.key\n")
    clients = [broker.connect(f"old{n}", 5, tls=tls.context(old.cert)) for n in range(4)]
    put(new)
    broker.reload()
    with pytest.raises(ssl.SSLCertVerificationError):
        broker.open(5, tls=tls.context(old.cert))
    clients += [broker.connect(f"new{n}", 5, tls=tls.context(new.cert)) for n in range(4)]
    for each in clients:
        each.ping()


def test_a_reload_before_connect(secure, authority, tmp_path):
    """A connection outlives what its TLS was made with: CONNECT takes over the next terms."""
    broker = secure(arguments=["--tls-keylog", str(tmp_path / "keys")])
    for level in LEVELS:
        client = broker.open(5, tls=tls.context(authority.cert, version=level))
        broker.reload()
        broker.reload()
        client.send(wire.connect("c", 5))
        client.expect("CONNACK", code=0)
        client.ping()
        client.disconnect()


@pytest.mark.parametrize("what, complaint", [
    ("certfile", "Unable to load server certificate"), ("keyfile", "Unable to load server key"),
    ("cafile", "Unable to load CA certificates"),
    ("crlfile", "Unable to load certificate revocation file")])
def test_a_reload_as_a_whole(start_broker, authority, tmp_path, what, complaint):
    """One bad file, and nothing has changed: neither this listener nor an option beside it."""
    text = ("listener {port} 127.0.0.1\nallow_anonymous true\n"
            f"{authority.lines}")
    broker = start_broker(text)
    client = broker.connect("c", 5, tls=tls.context(authority.cert))
    broken = tmp_path / "broken"
    broken.write_text("-----BEGIN NOTHING-----\n")
    lines = {name: f"{authority.folder}/server.{end}"
             for name, end in (("certfile", "crt"), ("keyfile", "key"))}
    lines[what] = broken
    broker.reload("max_keepalive 7\nlistener {port} 127.0.0.1\nallow_anonymous true\n" +
                  "".join(f"{name} {path}\n" for name, path in lines.items()), is_good=False)
    broker.expect_line(rf"Error: {complaint}.*")
    broker.expect_line(r"Error found at .*broker\.conf:\d+\.")
    client.ping()
    client = broker.connect("c", 5, tls=tls.context(authority.cert))
    assert "server_keep_alive" not in client.connack.fields.get("properties", {})


# ---- behind a proxy that passes it through ----

@pytest.mark.parametrize("pieces", [None, 1])
def test_after_a_header(start_broker, authority, tmp_path, pieces):
    """The real address and the client's own certificate, though neither ends at the proxy."""
    clients = Authority(tmp_path / "clients")
    pair = clients.client("meter")
    broker = start_broker("listener {port} 127.0.0.1\nenable_proxy_protocol 2\n"
                          f"{authority.lines}"
                          f"cafile {clients.cert}\nrequire_certificate true\n"
                          "use_identity_as_username true\n")
    client = broker.open(5)
    header = proxy.client("192.0.2.7", 4567)
    client.send(header, pieces=pieces)
    client.start_tls(tls.context(authority.cert, (pair.cert, pair.key)))
    client.send(wire.connect("c", 5))
    client.expect("CONNACK", code=0)
    broker.expect_line(r"New client connected from 192\.0\.2\.7:4567 as c \(.* u'meter'\)\.")
    # In front of TLS that shows nothing it opens nothing.
    client = broker.open(5)
    client.send(header)
    with pytest.raises(ssl.SSLError):
        client.start_tls(tls.context(authority.cert))
        client.socket.recv(1)
    # One without a header is refused before any handshake.
    client = broker.open(5)
    client.send(b"\x16\x03\x01\x02\x00" + b"\x01" * 40)
    client.expect_close()


# ---- looking inside ----

def test_the_log_of_keys(secure, authority, tmp_path):
    keys = tmp_path / "keys"
    broker = secure(arguments=["--tls-keylog", str(keys)])
    assert keys.stat().st_mode & 0o777 == 0o600
    broker.connect("c", 5, tls=tls.context(authority.cert, version=LEVELS[1])).ping()
    broker.connect("c", 5, tls=tls.context(authority.cert, version=LEVELS[0])).ping()
    words = {line.split()[0] for line in keys.read_text().splitlines()}
    assert {"CLIENT_RANDOM", "SERVER_TRAFFIC_SECRET_0", "CLIENT_TRAFFIC_SECRET_0"} <= words
    broker.expect_line(r"Warning: TLS keys go to .*keys: whoever has it .*")


def test_a_log_of_keys_that_is_none(secure):
    broker = secure(arguments=["--tls-keylog", "/proc/none"], ready=False)
    broker.expected_status = 1
    assert broker.wait() == 1
    broker.expect_line(r"Error: Unable to write TLS keys to /proc/none: .*")


def test_the_check_of_a_configuration(authority, tmp_path):
    from harness.broker import binary
    config = tmp_path / "x.conf"
    config.write_text(f"listener 8883\ncertfile {authority.folder}/server.crt\n"
                      f"keyfile {authority.folder}/none.key\n")
    done = subprocess.run([binary("nightjar"), "-c", str(config), "--test-config"],
                          capture_output=True, timeout=10, check=False, text=True)
    assert done.returncode == 3
    assert "Unable to load server key file" in done.stderr
    assert f"{config}:3" in done.stderr


# ---- many at once ----

@pytest.mark.workers
def test_many_handshakes(secure, authority, workers):
    """Each has its turn, also while the others wait."""
    broker = secure()
    rules = tls.context(authority.cert)
    failed = []

    def come():
        try:
            for _ in range(5):
                broker.connect("", 5, tls=rules, clean=True).close()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=come) for _ in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not failed
