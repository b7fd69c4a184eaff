"""
Once a listener is configured nobody comes in anonymously, unless allow_anonymous says so.
"""

import pytest

from harness import wire

REFUSED = {3: 5, 4: 5, 5: 0x87}


@pytest.mark.holds("3.1.1: MQTT-3.2.2-4 MQTT-3.2.2-5",
                   "5.0: MQTT-3.1.4-2 MQTT-3.2.2-6 MQTT-3.2.2-7 MQTT-3.2.2-8 MQTT-4.13.2-1")
@pytest.mark.versions(3, 4, 5)
@pytest.mark.parametrize("text", ["", "allow_anonymous false\n"], ids=["default", "false"])
def test_refused(start_broker, version, text):
    broker = start_broker("listener {port} 127.0.0.1\n" + text)
    client = broker.connect("x", version, code=REFUSED[version])
    assert version != 5 or client.connack.properties == {}
    client.expect_close()
    broker.expect_end_line("x", why="not authorised")


@pytest.mark.workers
def test_refused_again_and_again(start_broker, version, workers):
    broker = start_broker("listener {port} 127.0.0.1\n")
    for number in range(20):
        broker.connect(f"x-{number}", version, code=REFUSED[version]).expect_close()


def test_a_user_name_without_a_list_of_users(start_broker):
    """No list, anonymous allowed: any name will do, as Mosquitto."""
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n")
    broker.connect("x", username="anybody", password="anything").ping()


@pytest.mark.holds("3.1.1: MQTT-3.1.4-5")
def test_a_refused_connect_is_followed_by_nothing(start_broker):
    broker = start_broker("listener {port} 127.0.0.1\nlistener {port2} 127.0.0.1\n")
    client = broker.open()
    client.send(wire.connect("x", 4), wire.publish("t", b"x"), wire.pingreq())
    client.expect("CONNACK", code=5)
    client.expect_close()
