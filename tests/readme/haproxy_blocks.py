"""
The HAProxy set-ups of README.md, block by block as they stand there: only the ports are others.
"""

import pathlib
import re
import subprocess
import sys

import pytest

from harness import ports
from harness.certificates import Authority
from harness.process import wait_until
from harness.tools import Sub, pub

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETUPS = {
    "direct": ("haproxy-direct", "nightjar-direct", "127.0.0.1"),
    "proxy": ("haproxy-proxy", "nightjar-proxy", "127.0.0.9"),
    "check": ("haproxy-check", "nightjar-proxy", "127.0.0.9"),
}
TLS = {
    "tls": ("haproxy-tls", "nightjar-tls", False),
    "mutual": ("haproxy-mutual", "nightjar-mutual", True),
}

pytestmark = pytest.mark.nightjar("README.md is ours")


def block(name, front, back):
    """One block of README.md with the test's own ports."""
    text = subprocess.run([sys.executable, ROOT / "tools/readme.py", name], capture_output=True,
                          text=True, check=True).stdout
    text, replaced = re.subn(r"\b1884\b", str(back), text)
    assert replaced == 1, text
    return re.sub(r":::(1883|8883)\b", f":::{front}", text)


@pytest.mark.workers
@pytest.mark.parametrize("name", SETUPS)
def test_the_block_works(name, start_broker, start_haproxy, workers):
    haproxy_block, broker_block, seen = SETUPS[name]
    front, back = ports.take(), ports.take()
    broker = start_broker(block(broker_block, front, back), places={"port": back})
    haproxy = start_haproxy(block(haproxy_block, front, back), {"port": back, "front": front},
                            defaults="")
    wait_until(lambda: haproxy.server()["status"].startswith("UP"), what="the server's being UP")
    with Sub(("127.0.0.1", front), 5, "-i", "reader", "-t", "t", source="127.0.0.9") as sub:
        pub(("127.0.0.1", front), 4, "-t", "t", "-m", "hello")
        sub.expect("hello")
    broker.expect_line(rf"New client connected from {re.escape(seen)}:\d+ as reader .*")
    assert haproxy.server()["status"].startswith("UP")


@pytest.mark.workers
@pytest.mark.parametrize("name", TLS)
def test_the_block_with_tls_works(name, start_broker, start_haproxy, tmp_path, workers):
    haproxy_block, broker_block, is_mutual = TLS[name]
    front, back = ports.take(), ports.take()
    authority = Authority(tmp_path / "pki")
    meter = authority.client("meter")
    certs = tmp_path / "certs"
    certs.mkdir()
    (certs / "server.pem").write_bytes(authority.server().both.read_bytes())
    broker = start_broker(block(broker_block, front, back), places={"port": back})
    text = block(haproxy_block, front, back).replace("/etc/haproxy/certs", str(certs))
    start_haproxy(text.replace("/etc/haproxy/client-ca.crt", str(authority.cert)),
                  {"port": back, "front": front}, defaults="")
    known = ["--cafile", str(authority.cert)]
    if is_mutual:
        known += ["--cert", str(meter.cert), "--key", str(meter.key)]
    with Sub(("127.0.0.1", front), 5, *known, "-i", "reader", "-t", "t", source="127.0.0.9") as sub:
        pub(("127.0.0.1", front), 4, *known, "-t", "t", "-m", "hello")
        sub.expect("hello")
    user = r", u'meter'" if is_mutual else ""
    broker.expect_line(rf"New client connected from 127\.0\.0\.9:\d+ as reader \(.*{user}\)\.")
