"""
socket_domain: the listener without an address has one kind of addresses only.
"""

import socket

import pytest

from harness.client import Client


@pytest.mark.parametrize("domain, served, refused", [("ipv4", "127.0.0.1", "::1"),
                                                     ("ipv6", "::1", "127.0.0.1")])
def test_one_kind(start_broker, domain, served, refused):
    broker = start_broker(f"listener {{port}}\nsocket_domain {domain}\nallow_anonymous true\n")
    broker.connect("x", 4, address=(served, broker.port))
    with pytest.raises(ConnectionRefusedError):
        Client((refused, broker.port))


def test_both_without_it(start_broker):
    broker = start_broker("listener {port}\nallow_anonymous true\n")
    for address in ("127.0.0.1", "::1"):
        with socket.create_connection((address, broker.port), 5):
            pass
