"""
per_listener_settings: who may come in is said by each listener for itself.
"""

import pytest

from harness import wire

CONFIG = """
per_listener_settings true
listener {port} 127.0.0.1
allow_anonymous true
listener {port2} 127.0.0.1
listener {port3} 127.0.0.1
allow_anonymous true
allow_zero_length_clientid false
"""


def connect(broker, port, client_id="x", code=0):
    return broker.connect(client_id, 4, code=code, address=("127.0.0.1", broker.places[port]))


@pytest.mark.workers
def test_each_for_itself(start_broker, workers):
    broker = start_broker(CONFIG)
    connect(broker, "port")
    connect(broker, "port2", code=5)
    connect(broker, "port3")
    connect(broker, "port", "")
    connect(broker, "port3", "", code=2)


@pytest.mark.nightjar("2.0 has no such prefix for a single listener")
def test_prefix(start_broker):
    broker = start_broker("per_listener_settings true\nlistener {port} 127.0.0.1\n"
                          "allow_anonymous true\nauto_id_prefix mine-\n")
    client = broker.open(5)
    client.send(wire.connect("", 5))
    connack = client.expect("CONNACK", code=0)
    assert connack.properties["assigned_client_identifier"].startswith("mine-")


@pytest.mark.nightjar("2.0 keeps state")
def test_state_that_is_not_kept(start_broker):
    """Debian's own file asks for it: one warning, if the operator has said that it may be."""
    asked = "persistence true\npersistence_location {dir}/\nautosave_interval 60\n"
    refused = start_broker("listener {port}\n" + asked, ready=False)
    assert refused.wait() == 3
    refused.expect_line(r"Error: Persistence is not supported yet\. To start without it, set "
                        r"allow_memory_only true\.")
    broker = start_broker("listener {port}\nallow_anonymous true\n" + asked +
                          "allow_memory_only true\n")
    broker.connect("x", 4).ping()
    assert sum("Warning" in line and "Running as root" not in line for line in broker.lines()) == 1
