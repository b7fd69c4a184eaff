"""
Messages for a session whose client is away: QoS 1 and 2 wait, up to max_queued_messages beside
those in flight (of which an absent client has none); then the newest are dropped and one
line says so.
"""

import pytest


def away(broker, version, qos=2):
    client = broker.connect("away", version, lasting=True)
    client.subscribe("t", qos=qos)
    client.disconnect()


@pytest.mark.holds("3.1.1: MQTT-3.1.2-4 MQTT-3.1.2-5 MQTT-4.1.0-1 MQTT-4.5.0-1",
                   "5.0: MQTT-3.1.2-23 MQTT-4.5.0-1")
@pytest.mark.workers
@pytest.mark.parametrize("qos", [1, 2])
def test_waits(broker, version, qos, workers):
    away(broker, version)
    publisher = broker.connect("from", version)
    for number in range(50):
        publisher.publish("t", b"%d" % number, qos)
    client = broker.connect("away", version, lasting=True, session=True)
    for number in range(50):
        client.expect_message("t", b"%d" % number, qos=qos, dup=False)
    client.expect_nothing()


@pytest.mark.workers
def test_qos_0_does_not_wait(broker, version, workers):
    away(broker, version)
    publisher = broker.connect("from", version)
    publisher.publish("t", b"0", 0)
    publisher.publish("t", b"1", 1)
    client = broker.connect("away", version, lasting=True, session=True)
    client.expect_message("t", b"1", qos=1)
    client.expect_nothing()


@pytest.mark.workers
def test_a_subscription_at_qos_0_does_not_wait(broker, version, workers):
    away(broker, version, qos=0)
    broker.connect("from", version).publish("t", b"1", 1)
    broker.connect("away", version, lasting=True, session=True).expect_nothing()


@pytest.mark.config("max_queued_messages 10\nmax_inflight_messages 5")
@pytest.mark.workers
def test_a_full_queue_drops_the_newest(broker, version, workers):
    away(broker, version)
    publisher = broker.connect("from", version)
    for number in range(40):
        publisher.publish("t", b"%d" % number, 1)
    client = broker.connect("away", version, lasting=True, session=True)
    for number in range(10):
        client.expect_message("t", b"%d" % number)
    client.expect_nothing()
    broker.expect_line(r"Outgoing messages are being dropped for client away\.")
    assert broker.count_lines(r"Outgoing messages are being dropped .*") == 1


@pytest.mark.config("max_queued_messages 10\nmax_inflight_messages 5")
@pytest.mark.workers
def test_a_full_queue_of_a_connected_client(broker, version, workers):
    client = broker.connect("slow", version)
    client.subscribe("t", qos=1)
    publisher = broker.connect("from", version)
    for number in range(40):
        publisher.publish("t", b"%d" % number, 1)
    for number in range(15):
        client.expect_message("t", b"%d" % number)
    client.expect_nothing()
    publisher.publish("t", b"again", 1)
    client.expect_message("t", b"again")


@pytest.mark.config("max_queued_messages 0")
@pytest.mark.workers
def test_no_limit(broker, version, workers):
    away(broker, version)
    publisher = broker.connect("from", version)
    for number in range(1500):
        publisher.publish("t", b"%d" % number, 1)
    client = broker.connect("away", version, lasting=True, session=True)
    for number in range(1500):
        client.expect_message("t", b"%d" % number)


@pytest.mark.workers
def test_a_thousand_by_default(broker, workers):
    away(broker, 4)
    publisher = broker.connect("from", 4)
    for number in range(1010):
        publisher.publish("t", b"%d" % number, 1)
    client = broker.connect("away", 4, lasting=True, session=True)
    for number in range(1000):
        client.expect_message("t", b"%d" % number)
    client.expect_nothing()
