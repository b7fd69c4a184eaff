"""
The options on client ids: none assigned, which prefix, and the user name in their place.
"""

import re

import pytest

from harness import wire

DIGITS = r"[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}"

# Refusals: the return code of version 3, and that of version 5.
NOT_VALID = {3: 2, 4: 2, 5: 0x85}
NOT_AUTHORIZED = {3: 5, 4: 5, 5: 0x87}


def refuse(broker, client_id, version, codes, **fields):
    broker.connect(client_id, version, code=codes[version], **fields).expect_close()


@pytest.mark.workers
@pytest.mark.holds("5.0: MQTT-3.1.3-8")
@pytest.mark.config("allow_zero_length_clientid false")
@pytest.mark.differs("2.0 has the reason 0x80", version=5)
@pytest.mark.versions(3, 4, 5)
def test_no_empty_ids(broker, version, workers):
    refuse(broker, "", version, NOT_VALID)
    broker.connect("named", version).ping()


@pytest.mark.config("auto_id_prefix mine-")
def test_the_prefix_of_assigned_ids(broker):
    assigned = broker.connect("", 5).connack.properties["assigned_client_identifier"]
    assert re.fullmatch("mine-" + DIGITS, assigned), assigned


@pytest.mark.workers
@pytest.mark.nightjar("an option of 2.1")
def test_each_listener_its_own_prefix(start_broker, workers):
    broker = start_broker("""
auto_id_prefix all-
listener {port} 127.0.0.1
allow_anonymous true
listener {port2} 127.0.0.1
allow_anonymous true
listener_auto_id_prefix own-
""")
    second = ("127.0.0.1", broker.places["port2"])
    for prefix, address in (("all-", broker.address), ("own-", second)):
        client = broker.connect("", 5, address=address)
        assigned = client.connack.properties["assigned_client_identifier"]
        assert re.fullmatch(prefix + DIGITS, assigned), assigned


@pytest.mark.workers
@pytest.mark.config("clientid_prefixes secure-")
@pytest.mark.versions(3, 4, 5)
def test_only_ids_with_the_prefix(broker, version, workers):
    broker.connect("secure-x", version).ping()
    broker.connect("secure-", version).ping()
    for wrong in ("x", "secure", "Secure-x", "xsecure-"):
        refuse(broker, wrong, version, NOT_AUTHORIZED)


@pytest.mark.config("clientid_prefixes secure-")
def test_assigned_ids_need_it_too(broker, version):
    refuse(broker, "", version, NOT_AUTHORIZED)


@pytest.mark.config("clientid_prefixes auto-")
def test_assigned_ids_that_have_it(broker, version):
    broker.connect("", version).ping()


@pytest.mark.config("use_username_as_clientid true")
@pytest.mark.differs("2.0 gives no reason", version=5)
@pytest.mark.versions(3, 4, 5)
@pytest.mark.workers
def test_the_user_name_is_the_id(broker, version, workers):
    """Who comes with another id and the same name takes the session over."""
    for number in range(4):
        name = f"user-{number}"
        old = broker.connect(f"one-{number}", version, username=name)
        old.ping()
        new = broker.connect(f"two-{number}", version, username=name)
        old.expect_end(0x8E)
        new.ping()


@pytest.mark.config("use_username_as_clientid true")
@pytest.mark.versions(3, 4, 5)
def test_no_user_name_is_refused(broker, version):
    refuse(broker, "x", version, NOT_AUTHORIZED)


@pytest.mark.config("use_username_as_clientid true")
@pytest.mark.differs("2.0 takes the empty name")
def test_an_empty_user_name_is_none(broker, version):
    refuse(broker, "x", version, NOT_AUTHORIZED, username="")


@pytest.mark.workers
@pytest.mark.holds("5.0: MQTT-3.2.2-16")
@pytest.mark.config("use_username_as_clientid true")
@pytest.mark.differs("2.0 tells another id than the one that counts")
def test_an_empty_id_is_told_the_name(broker, workers):
    client = broker.connect("", 5, username="me", lasting=True)
    assert client.connack.properties["assigned_client_identifier"] == "me"
    client.disconnect()
    broker.connect("other", 5, username="me", lasting=True, session=True)


@pytest.mark.config("use_username_as_clientid true")
@pytest.mark.workers
def test_the_session_stays(broker, version, workers):
    client = broker.connect("a", version, username="me", lasting=True)
    client.subscribe("t", qos=1)
    client.disconnect()
    broker.connect("from", version, username="other").publish("t", b"kept", 1)
    again = broker.connect("b", version, username="me", lasting=True, session=True)
    again.expect_message("t", b"kept")
    again.send(wire.pingreq())
    again.expect("PINGRESP")
