"""
What may wait for one client and what may be in flight to it, in messages and in bytes of payload,
and what a full queue does: queue_policy.
"""

import pytest

from harness import wire


def away(broker, version, qos=1):
    client = broker.connect("away", version, lasting=True)
    client.subscribe("t", qos=qos)
    client.disconnect()


def back(broker, version):
    return broker.connect("away", version, lasting=True, session=True)


def publish(broker, version, count, qos=1, size=10):
    publisher = broker.connect("from", version)
    for number in range(count):
        publisher.publish("t", (b"%d" % number).ljust(size), qos)
    return publisher


def expect_numbers(client, *numbers):
    """These messages come and are acknowledged, and no others."""
    for number in numbers:
        got = client.take_message()
        assert int(got.payload) == number
    client.expect_nothing()


@pytest.mark.nightjar("a policy")
@pytest.mark.config("max_queued_messages 5\nqueue_policy drop_newest")
@pytest.mark.workers
def test_the_newest_gives_way(broker, version, workers):
    away(broker, version)
    publish(broker, version, 20)
    expect_numbers(back(broker, version), *range(5))


@pytest.mark.nightjar("a policy")
@pytest.mark.config("max_queued_messages 5\nqueue_policy drop_oldest")
@pytest.mark.workers
def test_the_oldest_gives_way(broker, version, workers):
    away(broker, version)
    publish(broker, version, 20)
    expect_numbers(back(broker, version), *range(15, 20))
    broker.expect_line(r"Outgoing messages are being dropped for client away\.")


@pytest.mark.nightjar("a policy")
@pytest.mark.config("max_queued_messages 5\nmax_inflight_messages 2\nqueue_policy drop_oldest")
@pytest.mark.workers
def test_what_is_in_flight_stays(broker, version, workers):
    client = broker.connect("slow", version)
    client.subscribe("t", qos=1)
    publish(broker, version, 20)
    first, second = client.expect("PUBLISH"), client.expect("PUBLISH")
    assert (int(first.payload), int(second.payload)) == (0, 1)
    client.acknowledge(second)
    client.acknowledge(first)
    expect_numbers(client, *range(15, 20))


@pytest.mark.nightjar("a policy")
@pytest.mark.config("max_queued_messages 5\nmax_inflight_messages 2\nqueue_policy disconnect")
@pytest.mark.workers
def test_the_client_gives_way(broker, version, workers):
    client = broker.connect("slow", version, lasting=True)
    client.subscribe("t", qos=1)
    publish(broker, version, 8)
    client.expect("PUBLISH")
    client.expect("PUBLISH")
    client.expect_end(0x97)
    broker.expect_line(r"Client slow \[.*\] disconnected: quota exceeded\.")
    again = broker.connect("slow", version, lasting=True, session=True)
    expect_numbers(again, *range(7))


@pytest.mark.config("max_queued_bytes 100")
@pytest.mark.workers
def test_bytes_that_wait(broker, version, workers):
    """Full once that many bytes wait: the message that reaches the limit is still kept."""
    away(broker, version)
    publish(broker, version, 10, size=30)
    expect_numbers(back(broker, version), *range(4))


@pytest.mark.nightjar("a policy")
@pytest.mark.config("max_queued_bytes 100\nqueue_policy drop_oldest")
@pytest.mark.workers
def test_bytes_that_wait_and_the_oldest(broker, version, workers):
    away(broker, version)
    publish(broker, version, 10, size=30)
    expect_numbers(back(broker, version), *range(6, 10))


@pytest.mark.differs("2.0 sends more than the window after an acknowledgement")
@pytest.mark.config("max_inflight_bytes 50")
@pytest.mark.workers
def test_bytes_in_flight(broker, version, workers):
    """Nothing more is sent once that many bytes are unacknowledged."""
    client = broker.connect("slow", version)
    client.subscribe("t", qos=1)
    publish(broker, version, 6, size=30)
    first, second = client.expect("PUBLISH"), client.expect("PUBLISH")
    client.expect_nothing()
    client.send(wire.ack("PUBACK", second.id))
    third = client.expect("PUBLISH")
    client.expect_nothing()
    client.send(wire.ack("PUBACK", first.id), wire.ack("PUBACK", third.id))
    expect_numbers(client, 3, 4, 5)


@pytest.mark.config("max_inflight_bytes 10")
@pytest.mark.workers
def test_a_message_above_the_bytes_in_flight_goes_alone(broker, version, workers):
    client = broker.connect("slow", version)
    client.subscribe("t", qos=2)
    publish(broker, version, 3, qos=2, size=5000)
    expect_numbers(client, 0, 1, 2)


@pytest.mark.config("queue_qos0_messages true")
@pytest.mark.workers
def test_qos_0_waits_when_asked(broker, version, workers):
    away(broker, version)
    publisher = broker.connect("from", version)
    for number in range(20):
        publisher.publish("t", b"%d" % number, number % 2)
    client = back(broker, version)
    for number in range(20):
        client.expect_message("t", b"%d" % number, qos=number % 2)
    client.expect_nothing()


@pytest.mark.config("queue_qos0_messages true\nmax_queued_messages 5")
@pytest.mark.workers
def test_qos_0_waits_under_the_same_limit(broker, version, workers):
    away(broker, version)
    publisher = publish(broker, version, 10, qos=0)
    publisher.ping()
    expect_numbers(back(broker, version), *range(5))


@pytest.mark.config("upgrade_outgoing_qos true")
@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("asked", [0, 1, 2])
@pytest.mark.workers
def test_the_subscription_decides(broker, version, published, asked, workers):
    broker.connect("keeper", version).publish("r", b"kept", published, retain=True)
    client = broker.connect("to", version)
    client.subscribe("t", qos=asked)
    client.subscribe("r", qos=asked)
    client.expect_message("r", b"kept", qos=asked)
    broker.connect("from", version).publish("t", b"x", published)
    client.expect_message("t", b"x", qos=asked)
