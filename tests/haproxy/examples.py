"""
The files of examples/haproxy, as they stand there: who may comes in, and the log names the client
wherever the PROXY protocol tells of it.
"""

import re
import subprocess

import pytest

from harness import examples
from harness.examples import Example
from harness.tools import Sub, arguments, pub

pytestmark = pytest.mark.nightjar("the examples are ours")

SOURCE = "127.0.0.9"

# name: port that clients come to, TLS, whether they need a certificate, whom the log names, user
ENTRIES = {
    "direct": (1883, False, False, False, None),
    "direct-proxy": (1883, False, False, True, None),
    "tls-termination": (8883, True, False, True, None),
    "tls-termination-without-proxy": (8883, True, False, False, None),
    "mutual-tls": (8883, True, True, True, None),
    "mutual-tls-without-proxy": (8883, True, True, False, None),
    "mutual-tls-username": (8883, True, True, True, "meter"),
    "direct-tls": (8883, True, False, False, None),
    "tls-through-proxy": (8883, True, False, True, None),
    "mutual-tls-through-proxy": (8883, True, True, True, "meter"),
    "drain": (1883, False, False, True, None),
    "unix-socket": (1883, False, False, True, None),
    "sticky": (1883, False, False, True, None),
    "mqtt-only": (1883, False, False, True, None),
    "rate-limits": (1883, False, False, True, None),
    "many-clients": (1883, False, False, True, None),
}


def test_all_are_run():
    assert sorted(ENTRIES) == examples.names()


@pytest.mark.workers
@pytest.mark.parametrize("name", ENTRIES)
def test_who_may_comes_in(name, start_broker, start_haproxy, tmp_path, workers):
    port, has_tls, is_mutual, is_named, username = ENTRIES[name]
    example = Example(name, tmp_path / "example")
    broker, haproxy = example.run(start_broker, start_haproxy, [port])
    known = example.known(example.client if is_mutual else None) if has_tls else []
    with Sub(example.address(port), 5, *known, "-i", "reader", "-t", "t", "-q", "1",
             source=SOURCE) as sub:
        pub(example.address(port), 4, *known, "-t", "t", "-m", "hello", "-q", "1")
        sub.expect("hello")
    seen = re.escape(SOURCE if is_named else "127.0.0.1")
    user = f", u'{username}'" if username else ""
    broker.expect_line(rf"New client connected from {seen}:\d+ as reader \(p5, c1, k60{user}\)\.")
    assert haproxy.server()["status"].startswith("UP")


@pytest.mark.parametrize("name", ENTRIES)
def test_who_may_not_does_not(name, start_broker, start_haproxy, tmp_path):
    port, has_tls, is_mutual, is_named, _ = ENTRIES[name]
    example = Example(name, tmp_path / "example")
    broker, _haproxy = example.run(start_broker, start_haproxy, [port])
    attempts = []
    if has_tls:
        attempts.append((example.address(port), []))
    if is_mutual:
        attempts.append((example.address(port), example.known()))
        attempts.append((example.address(port), example.known(example.foreign)))
    if is_named:  # past HAProxy, without a header
        attempts.append((example.address(1884), []))
    for address, known in attempts:
        done = subprocess.run(arguments("pub", address, 5, *known, "-i", "refused", "-t", "t",
                                        "-m", "x"), capture_output=True, timeout=20, check=False)
        assert done.returncode != 0, (address, known)
    assert " as refused " not in broker.log()
