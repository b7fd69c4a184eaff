"""
persistent_client_expiration: a durable session that nobody comes back to ends after that time,
also one that would never end by itself. (Mosquitto 2.0 knows days and more only.)
"""

import time

import pytest

pytestmark = [pytest.mark.config("persistent_client_expiration 1s"),
              pytest.mark.nightjar("2.0 has no seconds")]


def test_expires(broker, version):
    broker.connect("x", version, lasting=True).disconnect()
    time.sleep(2.5)
    broker.connect("x", version, lasting=True, session=False)


def test_not_before_its_time(broker, version):
    broker.connect("x", version, lasting=True).disconnect()
    broker.connect("x", version, lasting=True, session=True)
