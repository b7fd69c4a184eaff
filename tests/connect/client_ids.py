"""
Client identifiers: which are taken, and who gets one assigned.
"""

import re

import pytest

ASSIGNED = re.compile(r"auto-[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}")


@pytest.mark.holds("3.1.1: MQTT-3.1.3-5",
                   "5.0: MQTT-3.1.3-5")
@pytest.mark.versions(3, 4, 5)
@pytest.mark.parametrize("client_id", [
    "a", "0123456789abcdefghijABC", "klmnopqrstuvwxyzDEFGHIJ", "KLMNOPQRSTUVWXYZ", "long" * 100,
    "ünï/+#"])
def test_taken(broker, version, client_id):
    broker.connect(client_id, version).ping()


def test_empty_id_of_3_1_is_refused(broker):
    broker.connect("", 3, code=2).expect_close()


@pytest.mark.holds("3.1.1: MQTT-3.1.3-7 MQTT-3.1.3-8")
def test_empty_id_of_3_1_1_needs_a_clean_session(broker):
    broker.connect("", 4, clean=False, code=2).expect_close()


@pytest.mark.holds("3.1.1: MQTT-3.1.3-9 MQTT-3.2.2-5",
                   "5.0: MQTT-3.1.3-8 MQTT-3.2.2-7")
@pytest.mark.config("allow_zero_length_clientid false")
def test_empty_ids_may_be_refused(broker, version):
    broker.connect("", version, code=2 if version == 4 else 0x85).expect_close()


@pytest.mark.holds("3.1.1: MQTT-3.1.3-6")
@pytest.mark.workers
def test_empty_ids_of_3_1_1_are_separate_sessions(broker, workers):
    clients = [broker.connect("", 4) for _ in range(8)]
    for client in clients:
        client.ping()
    for client in clients:
        client.subscribe("t")
    clients[0].publish("t", b"x")
    for client in clients:
        client.expect_message("t", b"x")


@pytest.mark.holds("5.0: MQTT-3.1.3-6 MQTT-3.1.3-7 MQTT-3.2.2-16")
@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.workers
def test_empty_id_of_5_is_assigned(broker, clean, workers):
    clients = [broker.connect("", 5, clean=clean) for _ in range(8)]
    ids = {client.connack.properties["assigned_client_identifier"] for client in clients}
    assert len(ids) == 8
    for each in ids:
        assert ASSIGNED.fullmatch(each), each


@pytest.mark.holds("5.0: MQTT-3.1.3-7 MQTT-3.2.2-16")
@pytest.mark.workers
def test_an_assigned_id_can_be_resumed(broker, workers):
    for _ in range(4):
        first = broker.connect("", 5, lasting=True)
        assigned = first.connack.properties["assigned_client_identifier"]
        first.subscribe("t")
        first.disconnect()
        again = broker.connect(assigned, 5, lasting=True, session=True)
        assert "assigned_client_identifier" not in again.connack.properties


def test_a_given_id_is_not_assigned(broker):
    client = broker.connect("mine", 5)
    assert "assigned_client_identifier" not in client.connack.properties
