"""
Clocks that leap. The wall clock only stamps the log: whatever it is set to, no deadline moves. When the
broker itself stood still (stopped, swapped out, its machine suspended), what has arrived meanwhile
counts before anybody is judged silent.
"""

import contextlib
import pathlib
import signal
import time

import pytest

from harness import proxy, wire
from harness.broker import DEFAULT
from harness.clock import Clock
from harness.process import wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.nightjar("moves the broker's clocks")]

DAY, YEAR = 86400, 365 * 86400


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path)


@contextlib.contextmanager
def stalled(broker, clock, seconds):
    broker.signal(signal.SIGSTOP)
    stat = pathlib.Path(f"/proc/{broker.pid}/stat")
    wait_until(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "T")
    yield
    clock.pass_time(seconds)
    broker.signal(signal.SIGCONT)


@pytest.mark.workers
@pytest.mark.parametrize("seconds", [-YEAR, -60, 60, YEAR])
def test_the_wall_clock(start_broker, clock, workers, seconds):
    broker = start_broker(DEFAULT + "connect_timeout 3\n", environment=clock.environment)
    receiver = broker.connect("away", 5, lasting=True)
    receiver.subscribe("t", qos=1)
    receiver.disconnect()
    client = broker.connect("x", 5, keepalive=2)
    silent = broker.open()
    begun = time.monotonic()
    client.publish("t", b"x", 1, properties={"message_expiry_interval": 30})
    clock.move_wall(seconds)
    for _ in range(4):
        client.ping()
        time.sleep(0.4)
    back = broker.connect("away", 5, lasting=True, session=True)
    got = back.expect_message("t", b"x")
    assert 26 <= got.properties["message_expiry_interval"] <= 30
    silent.expect_close()
    assert 2.9 < time.monotonic() - begun < 5.5, "not by connect_timeout"
    client.expect_end(0x8D)
    stamp = int(broker.log().splitlines()[-1].split(":")[0])
    assert abs(stamp - time.time() - seconds) < 30, "the log has another time"


@pytest.mark.workers
def test_what_arrived_in_a_stall(start_broker, clock, version, workers):
    """Everybody who said something in time is served; who did not is over."""
    broker = start_broker(DEFAULT, environment=clock.environment)
    speaking = [broker.connect(f"s-{n}", version, keepalive=10) for n in range(60)]
    mute = [broker.connect(f"m-{n}", version, keepalive=10) for n in range(10)]
    new = [broker.open(version, name=f"n-{n}") for n in range(60)]
    nobody = [broker.open() for _ in range(10)]
    speaking[0].ping()
    with stalled(broker, clock, 60):
        for each in speaking:
            each.send(wire.pingreq())
        for each in new:
            each.send(wire.connect(each.name, version))
    for each in speaking:
        each.expect("PINGRESP")
    for each in new:
        each.expect("CONNACK", code=0)
    for each in mute:
        each.expect_end(0x8D)
    for each in nobody:
        each.expect_close()


@pytest.mark.workers
def test_headers_that_arrived_in_a_stall(start_broker, clock, workers):
    broker = start_broker(DEFAULT + "enable_proxy_protocol any\n", environment=clock.environment)
    new = [broker.open(4, name=f"n-{n}") for n in range(60)]
    time.sleep(0.2)
    with stalled(broker, clock, 60):
        for number, each in enumerate(new):
            each.send(proxy.client("192.0.2.1", 1000 + number), wire.connect(each.name, 4))
    for each in new:
        each.expect("CONNACK", code=0)


@pytest.mark.workers
def test_time_that_passed_counts(start_broker, clock, workers):
    """What ends with time has ended after a stall: messages, sessions, delayed wills."""
    broker = start_broker(DEFAULT, environment=clock.environment)
    watcher = broker.connect("watcher", 5, keepalive=0)
    watcher.subscribe("will")
    for name, expiry in (("short", 30), ("long", DAY)):
        broker.connect(name, 5, clean=False, properties={"session_expiry_interval": expiry},
                       will=wire.Will("will", name.encode(), properties={"will_delay_interval": 20})) \
            .subscribe("t", qos=1)
    for each in broker.clients[1:]:
        each.reset()
    for name in ("short", "long"):
        broker.expect_line(f"Client {name} .*disconnected.*")
    watcher.publish("t", b"x", 1, properties={"message_expiry_interval": 30})
    with stalled(broker, clock, 60):
        pass
    assert sorted(each.payload for each in watcher.collect(2)) == [b"long", b"short"]
    broker.connect("short", 5, lasting=True, session=False)
    broker.connect("long", 5, lasting=True, session=True).expect_nothing()
