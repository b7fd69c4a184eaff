"""
max_keepalive: version 5 is told the server's keep alive and held to it; version 3, which can't be
told, is refused. No keep alive at all is more than any.
"""

import pytest

from harness import wire


@pytest.mark.config("max_keepalive 100")
@pytest.mark.parametrize("asked", [0, 101, 65535])
def test_version_5_is_told(broker, asked):
    client = broker.connect("x", 5, keepalive=asked)
    assert client.connack.properties["server_keep_alive"] == 100


@pytest.mark.config("max_keepalive 100")
@pytest.mark.versions(3, 4, 5)
@pytest.mark.parametrize("asked", [1, 100])
def test_up_to_it_is_taken(broker, version, asked):
    client = broker.connect("x", version, keepalive=asked)
    if version == 5:
        assert "server_keep_alive" not in client.connack.properties


@pytest.mark.config("max_keepalive 100")
@pytest.mark.differs("2.0 binds version 5 alone")
@pytest.mark.versions(3, 4)
@pytest.mark.parametrize("asked", [0, 101])
def test_version_3_is_refused(broker, version, asked):
    broker.connect("x", version, keepalive=asked, code=2).expect_close()


@pytest.mark.holds("5.0: MQTT-3.1.2-21 MQTT-3.2.2-21")
@pytest.mark.config("max_keepalive 1")
@pytest.mark.differs("2.0 gives no reason")
def test_version_5_is_held_to_it(broker):
    client = broker.connect("x", 5, keepalive=0)
    client.expect_end(0x8D)


@pytest.mark.parametrize("asked", [0, 65535])
def test_no_bound_by_default(broker, version, asked):
    client = broker.connect("x", version, keepalive=asked)
    client.send(wire.pingreq())
    client.expect("PINGRESP")
