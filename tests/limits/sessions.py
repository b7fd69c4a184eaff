"""
global_max_clients: as many sessions as that, connected or not. Who would be one more is told that
the server is busy (5.0) or closed (3.x); who has a session gets it, and takes it over.
"""

import pytest

from harness import wire
from harness.process import wait_until

CONFIG = "global_max_clients 3"


def expect_refused(broker, version, **fields):
    client = broker.open(version)
    client.send(wire.connect("one-more", version, **fields))
    if version == 5:
        client.expect("CONNACK", code=0x89)
    client.expect_close()



@pytest.mark.holds("5.0: MQTT-3.1.4-2")
@pytest.mark.config(CONFIG)
@pytest.mark.workers
@pytest.mark.nightjar("2.0 has no global_max_clients")
def test_one_more_is_refused(broker, version, workers):
    away = broker.connect("away", version, lasting=True)
    away.disconnect()
    clients = [broker.connect(f"x-{number}", version) for number in range(2)]
    expect_refused(broker, version)
    for client in clients:
        client.ping()


@pytest.mark.config(CONFIG)
@pytest.mark.workers
@pytest.mark.nightjar("2.0 has no global_max_clients")
def test_who_is_known_may_come(broker, version, workers):
    broker.connect("away", version, lasting=True).disconnect()
    broker.connect("x", version)
    old = broker.connect("y", version)
    broker.connect("away", version, lasting=True, session=True)
    broker.connect("away", version, session=False)  # clean: its own in place of the old one
    new = broker.connect("y", version)
    old.expect_end(0x8E)
    expect_refused(broker, version)
    new.ping()


@pytest.mark.config(CONFIG)
@pytest.mark.workers
@pytest.mark.nightjar("2.0 has no global_max_clients")
def test_an_ended_session_makes_room(broker, version, workers):
    clients = [broker.connect(f"x-{number}", version) for number in range(3)]
    clients[0].disconnect()

    def comes_in():
        client = broker.open(version)
        client.send(wire.connect("one-more", version))
        try:
            return client.expect("CONNACK").code == 0
        except AssertionError:
            return False

    wait_until(comes_in, 10, what="a free place")
