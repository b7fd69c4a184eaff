"""
A second CONNECT on one connection is a protocol error.
"""

import pytest

from harness import wire


@pytest.mark.holds("3.1.1: MQTT-3.1.0-2",
                   "5.0: MQTT-3.1.0-2 MQTT-3.2.0-2")
@pytest.mark.differs("2.0 closes without a reason", version=5)
@pytest.mark.versions(3, 4, 5)
def test_second_connect(broker, version):
    client = broker.connect("twice", version)
    client.send(wire.connect("twice", version))
    client.expect_end(0x82)


@pytest.mark.holds("3.1.1: MQTT-3.1.0-2",
                   "5.0: MQTT-3.1.0-2 MQTT-3.2.0-2")
@pytest.mark.differs("2.0 closes without a reason", version=5)
@pytest.mark.workers
def test_second_connect_in_the_same_segment(broker, version, workers):
    for number in range(6):
        client = broker.open(version)
        client.send(wire.connect(f"twice-{number}", version),
                    wire.connect(f"other-{number}", version))
        client.expect("CONNACK", code=0)
        client.expect_end(0x82)
