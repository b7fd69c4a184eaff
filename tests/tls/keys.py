"""TLS by pre-shared keys: psk_hint and psk_file."""

import re
import subprocess

import pytest

from harness.process import wait_until
from harness.tools import arguments

KEYS = "meter:0123456789abcdef0123456789abcdef\nother:ffeeddccbbaa\na+b:0011223344\n"


@pytest.fixture
def keyed(start_broker, tmp_path):
    def start(more="", **options):
        (tmp_path / "keys").write_text(KEYS)
        return start_broker(f"psk_file {tmp_path}/keys\nlistener {{port}} 127.0.0.1\n"
                            "allow_anonymous true\npsk_hint plant\n" + more, **options)
    return start


def pub(broker, identity, key, *more):
    return subprocess.run(
        arguments("pub", ("localhost", broker.port), 5, "-t", "t", "-m", "x", "-q", "1",
                  "-i", "c", "--psk", key, "--psk-identity", identity, *more),
        capture_output=True, timeout=10, check=False).returncode


def dial(broker, level, identity, key):
    """Whether openssl's client gets through, and what it says."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{broker.port}", level, "-psk", key,
         "-psk_identity", identity], input=b"", capture_output=True, timeout=10, check=False)
    return done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")


def test_mosquitto_pub(keyed):
    broker = keyed("use_identity_as_username true\n")
    assert pub(broker, "meter", "0123456789abcdef0123456789abcdef") == 0
    broker.expect_line(r"New client connected from .* as c \(.* u'meter'\)\.")
    assert pub(broker, "meter", "00") != 0
    assert pub(broker, "nobody", "0123456789abcdef0123456789abcdef") != 0


@pytest.mark.parametrize("level", ["-tls1_2", "-tls1_3"])
def test_both_versions(keyed, level):
    broker = keyed()
    is_through, said = dial(broker, level, "meter", "0123456789abcdef0123456789abcdef")
    assert is_through and re.search(r"(New|Reused), TLSv1\.[23], Cipher is \w", said), said
    for identity, key in (("meter", "0123456789abcdef"), ("nobody", "00"), ("stranger", "0011")):
        is_through, said = dial(broker, level, identity, key)
        assert not is_through and "alert number" in said, said
    wait_until(lambda: broker.count_lines(r"Client .* disconnected: TLS: .*") >= 3)


def test_a_name_that_is_none(keyed):
    broker = keyed("use_identity_as_username true\n")
    assert pub(broker, "a+b", "0011223344") != 0
    broker.expect_line(r"Client .* disconnected: .*")


def test_beside_a_certificate(keyed, authority):
    from harness import tls
    broker = keyed(authority.lines)
    broker.connect("c", 5, tls=tls.context(authority.cert)).disconnect()
    assert pub(broker, "meter", "0123456789abcdef0123456789abcdef") == 0


def test_no_keys(start_broker):
    broker = start_broker("listener {port} 127.0.0.1\npsk_hint plant\n", ready=False)
    broker.expected_status = 1
    assert broker.wait() == 1
    broker.expect_line(r"Error: psk_hint needs psk_file\.")


def test_a_reload(keyed, tmp_path):
    """A key that is gone opens nothing, and a new one does."""
    broker = keyed()
    assert pub(broker, "meter", "0123456789abcdef0123456789abcdef") == 0
    (tmp_path / "keys").write_text("new:aabbcc\n")
    broker.reload()
    assert pub(broker, "meter", "0123456789abcdef0123456789abcdef") != 0
    assert pub(broker, "new", "aabbcc") == 0
