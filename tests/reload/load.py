"""
Reloads under load: nothing that was acknowledged is lost, nothing comes twice, nobody is
disconnected; and any number of SIGHUPs, also at the end, is harmless.
"""

import os
import signal
import threading
import time

import pytest

from harness import wire

pytestmark = [pytest.mark.nightjar("2.0 reloads less"), pytest.mark.workers,
              pytest.mark.timeout(60)]

OPEN = "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"

TEXTS = [
    OPEN + "max_qos 2\nmax_inflight_messages 5\n",
    OPEN + "max_inflight_bytes 100\nmax_keepalive 600\n",
    OPEN + "max_topic_alias 3\nlog_type all\n",
    OPEN + "listener {port2} 127.0.0.1\nupgrade_outgoing_qos true\n",
    OPEN + "retain_expiry_interval 1\nmax_packet_size 5000\n",
]


class Publisher(threading.Thread):
    """Publishes numbers, each acknowledged, until it is told to end."""

    def __init__(self, client, topic, qos):
        super().__init__(daemon=True)
        self.client, self.topic, self.qos = client, topic, qos
        self.count, self.is_over, self.error = 0, False, None

    def run(self):
        try:
            while not self.is_over:
                self.client.publish(self.topic, str(self.count), self.qos)
                self.count += 1
        except Exception as error:
            self.error = error


class Subscriber(threading.Thread):
    """Takes what comes, and acknowledges it."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client, self.got, self.is_over, self.error = client, [], False, None

    def run(self):
        try:
            while True:
                packet = self.client.receive(0.5)
                if packet is None and self.is_over:
                    return
                if packet is not None and packet.kind == "PUBLISH":
                    self.got.append((packet.topic, int(packet.payload)))
                    self.client.send(wire.ack("PUBACK" if packet.qos == 1 else "PUBREC", packet.id))
                elif packet is not None:
                    assert packet.kind == "PUBREL", packet
                    self.client.send(wire.ack("PUBCOMP", packet.id))
        except Exception as error:
            self.error = error


def reload_often(broker, seconds):
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        broker.config.write_text(broker.complete(TEXTS[count % len(TEXTS)]))
        broker.signal(signal.SIGHUP)
        time.sleep(0.13)
        count += 1
    return count


def test_nothing_is_lost_or_doubled(start_broker, workers):
    broker = start_broker(TEXTS[0])
    subscribers = []
    for number in range(3):
        client = broker.connect(f"s{number}", 5)
        client.subscribe("load/#", qos=2)
        subscribers.append(Subscriber(client))
    publishers = [Publisher(broker.connect(f"p{number}", 5), f"load/{number}", 1 + number % 2)
                  for number in range(4)]
    for thread in subscribers + publishers:
        thread.start()
    assert reload_often(broker, 5) > 10
    for publisher in publishers:
        publisher.is_over = True
        publisher.join()
    for subscriber in subscribers:
        subscriber.is_over = True
        subscriber.join()
    assert [thread.error for thread in publishers + subscribers] == [None] * 7
    for subscriber in subscribers:
        for publisher in publishers:
            assert [number for topic, number in subscriber.got if topic == publisher.topic] == \
                list(range(publisher.count))
    assert broker.count_lines("Reloading config.") > 10
    assert not [line for line in broker.lines() if "stays as it was" in line]


def test_clients_come_and_go(start_broker, workers):
    """Also in the middle of a reload, and to a listener that closes and opens all the time."""
    broker = start_broker(TEXTS[0])
    storm = threading.Thread(target=reload_often, args=(broker, 5))
    storm.start()
    count = 0
    while storm.is_alive():
        client = broker.connect(f"c{count % 7}", 4 + count % 2)
        client.subscribe("t", qos=1)
        client.publish("u", str(count), 1) if count % 3 else client.ping()
        client.disconnect() if count % 2 and not count % 3 else client.reset()
        broker.clients.remove(client)
        count += 1
    storm.join()
    assert count > 20


def test_a_storm_of_signals(start_broker, workers):
    broker = start_broker(TEXTS[0])
    client = broker.connect("x", 4)
    for number in range(2000):
        if number % 400 == 0:
            broker.config.write_text(broker.complete(TEXTS[number // 400 % len(TEXTS)]))
        os.kill(broker.pid, signal.SIGHUP)
    client.ping()
    assert broker.count_lines("Reloading config.") < 60


@pytest.mark.parametrize("pause", [0, 0.001, 0.01])
def test_at_the_end(start_broker, workers, pause):
    broker = start_broker(TEXTS[0])
    clients = [broker.connect(f"c{number}", 5) for number in range(20)]
    broker.config.write_text(broker.complete(TEXTS[3]))
    broker.signal(signal.SIGHUP)
    time.sleep(pause)
    broker.signal(signal.SIGTERM)
    broker.signal(signal.SIGHUP)
    assert broker.wait() == 0
    for client in clients:
        client.expect_end(0x8B)
