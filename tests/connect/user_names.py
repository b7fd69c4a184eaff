"""
User name and password are taken in every combination that the version allows, and nobody is asked
for them where anonymous clients may come.

3.1.1: MQTT-3.1.2-18 MQTT-3.1.2-19 MQTT-3.1.2-20 MQTT-3.1.2-21 MQTT-3.1.2-22 MQTT-3.1.3-1
5.0: MQTT-3.1.2-16 MQTT-3.1.2-17 MQTT-3.1.2-18 MQTT-3.1.2-19 MQTT-3.1.3-1
"""

import pytest

from harness.wire import Will


@pytest.mark.versions(3, 4, 5)
@pytest.mark.parametrize("fields", [
    {"username": "joe"},
    {"username": "joe", "password": b"secret \x00\xff"},
    {"username": "", "password": b""},
    {"username": "joe", "password": b"x", "will": Will("gone", b"y", 1)},
], ids=["user", "both", "empty", "with will"])
def test_taken(broker, version, fields):
    broker.connect("x", version, **fields).ping()


def test_password_alone_in_5(broker):
    broker.connect("x", 5, password=b"token").ping()
