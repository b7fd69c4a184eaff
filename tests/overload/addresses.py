"""
max_connections_per_address and connect_rate_per_address: by the client's own address, and only where
that is known; refused before CONNECT, with a line that fail2ban understands.
"""

import configparser
import re
import shutil
import subprocess

import pytest

from harness import proxy, wire
from harness.broker import DEFAULT, ROOT
from harness.process import wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.nightjar("limits by address are ours")]

FILTER = ROOT / "packaging/fail2ban/nightjar.conf"
TOO_MANY = "max_connections_per_address 3\n"
RATE = "connect_rate_per_address 6\n"
PROXIED = DEFAULT + "enable_proxy_protocol any\n"
UNIX = "listener 0 {dir}/socket\nallow_anonymous true\n"


def comes_in(broker, header=b"", address=None, source=None):
    """A connection that lives on, or None: it was refused without a byte."""
    client = broker.open(4, address, source)
    client.send(header)
    if client.ended(0.25):
        assert not client.buffer
        return None
    return client


def admitted(broker, number, **place):
    """Those of so many connections that come in."""
    clients = [comes_in(broker, **place) for _ in range(number)]
    return [each for each in clients if each]


def expect_refused(broker, address, reason, count, via=""):
    line = rf"Connection from {re.escape(address)}:\d+ on port \d+{via} refused: {reason}\."
    broker.expect_line(line, count=count)
    assert broker.count_lines(line) == count


@pytest.mark.config(TOO_MANY)
@pytest.mark.workers
def test_connections(broker, workers):
    """Also those that have not said who they are; a place comes back; another address has its own."""
    clients = [broker.connect(f"x-{n}", 4 + n % 2) for n in range(2)] + admitted(broker, 3)
    assert len(clients) == 3
    expect_refused(broker, "127.0.0.1", "too many connections", 2)
    assert len(admitted(broker, 4, source="127.0.0.2")) == 3
    clients[0].disconnect()
    wait_until(lambda: comes_in(broker), what="a place")
    clients[1].ping()


@pytest.mark.config(RATE)
@pytest.mark.workers
def test_rate(broker, workers):
    """A minute's worth at once; then one every ten seconds. What was closed counts, too."""
    for number in range(6):
        broker.connect(f"x-{number}", 4).disconnect()
    assert not admitted(broker, 3)
    expect_refused(broker, "127.0.0.1", "connect rate exceeded", 3)
    assert len(admitted(broker, 7, source="127.0.0.2")) == 6
    wait_until(lambda: comes_in(broker), 14, every=1, what="the next token")


@pytest.mark.workers
def test_off_by_default(broker, workers):
    assert len(admitted(broker, 30)) == 30


@pytest.mark.workers
@pytest.mark.parametrize("option, count, reason", [
    (TOO_MANY, 3, "too many connections"),
    ("connect_rate_per_address 1\n", 1, "connect rate exceeded")])
def test_the_real_address(start_broker, workers, option, count, reason):
    """The proxy's own address is never counted; IPv6 by /64."""
    broker = start_broker(PROXIED + option)
    addresses = ["192.0.2.1", "192.0.2.2", "2001:db8:0:1::1", "2001:db8:0:2::1"]
    for address in addresses:
        assert len(admitted(broker, count + 2, header=proxy.client(address, 5000))) == count
        expect_refused(broker, address, reason, 2, rf" via 127\.0\.0\.1:\d+")
    assert not comes_in(broker, proxy.client("2001:db8:0:1:ffff::2", 5000))
    assert comes_in(broker, proxy.client("2001:db8:0:3::2", 5000))
    assert not comes_in(broker, b"PROXY TCP4 192.0.2.1 192.0.2.9 5000 1883\r\n")


@pytest.mark.workers
@pytest.mark.parametrize("header", [
    proxy.v2(command=proxy.LOCAL, family=proxy.UNSPEC, transport=0),
    proxy.v2(family=proxy.UNSPEC, transport=0),
    proxy.v2(bytes(216), family=proxy.UNIX),
    b"PROXY UNKNOWN\r\n"], ids=["local", "unspec", "unix", "unknown"])
def test_an_unknown_address(start_broker, workers, header):
    broker = start_broker(PROXIED + TOO_MANY + RATE)
    clients = admitted(broker, 12, header=header)
    assert len(clients) == 12
    for number, each in enumerate(clients):
        each.send(wire.connect(f"x-{number}", 4))
        each.expect("CONNACK", code=0)


@pytest.mark.workers
def test_a_unix_socket(start_broker, workers):
    broker = start_broker(DEFAULT + UNIX + TOO_MANY + RATE)
    path = str(broker.folder / "socket")
    assert len(admitted(broker, 12, address=path)) == 12


@pytest.mark.workers
def test_clients_without_the_proxy(start_broker, workers):
    """Where the policy serves them directly, their address is their own."""
    broker = start_broker(PROXIED + "proxy_protocol_trusted 192.0.2.0/24\n"
                          "proxy_protocol_untrusted direct\n" + TOO_MANY)
    assert len(admitted(broker, 5)) == 3


def run_filter(folder, lines, mode):
    """The addresses that the filter finds in these lines, by fail2ban itself where it is there."""
    log = folder / "log"
    log.write_text("".join(f"1700000000: {each}\n" for each in lines))
    if shutil.which("fail2ban-regex"):
        found = subprocess.run(
            ["fail2ban-regex", "-o", "<ip>", str(log), f"{FILTER}[mode={mode}]"],
            capture_output=True, text=True, check=False)
        return [each for each in found.stdout.split() if each]
    config = configparser.RawConfigParser()
    config.read(FILTER)
    regex = config["Definition"]["failregex"]
    regex = regex.replace("<_via_<mode>>", config["Definition"][f"_via_{mode}"])
    # What fail2ban puts in, without host names.
    host = (r"(?:(?P<four>(?:\d{1,3}\.){3}\d{1,3})"
            r"|(?P<six>(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):)))")
    matches = [re.match(regex.replace("<HOST>", host), ": " + each) for each in lines]
    return [each["four"] or each["six"] for each in matches if each]


@pytest.mark.workers
def test_the_filter_of_fail2ban(start_broker, tmp_path, workers):
    direct = start_broker(DEFAULT + "max_connections_per_address 2\n")
    admitted(direct, 4)
    expect_refused(direct, "127.0.0.1", "too many connections", 2)
    proxied = start_broker(PROXIED + "connect_rate_per_address 1\n")
    for address in ("192.0.2.1", "2001:db8::1", "2001:db8:1:2:3:4:5:6", "fe80::"):
        for port in (7, 50123):
            comes_in(proxied, proxy.client(address, port))
    proxied.expect_line("Connection from fe80::.*refused.*")
    lines = direct.lines() + proxied.lines()
    assert run_filter(tmp_path, lines, "direct") == ["127.0.0.1"] * 2
    assert run_filter(tmp_path, lines, "proxied") == \
        ["192.0.2.1", "2001:db8::1", "2001:db8:1:2:3:4:5:6", "fe80::"]
