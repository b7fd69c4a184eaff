"""
A hostile client of any kind delays a bystander on the same worker by one iteration's budget at
most.

Counted, not timed: the broker is stopped while the hostile bytes and the bystander's request pile
up in its sockets. When it goes on, the streams themselves tell how much of the one was done before
the other. The time is only printed.
With more workers than one, the others run on while the bystander's waits for a processor: there
only the answer counts.
"""

import contextlib
import itertools
import pathlib
import signal
import time

import pytest

from harness import wire
from harness.broker import DEFAULT
from harness.process import wait_until

READ = 16384        # bytes that one connection may bring into an iteration
DELIVERIES = 16000  # deliveries and replayed values of an iteration
HOSTILE = 4

pytestmark = pytest.mark.workers


@contextlib.contextmanager
def stopped(broker):
    """While nothing that arrives is looked at."""
    broker.signal(signal.SIGSTOP)
    stat = pathlib.Path(f"/proc/{broker.pid}/stat")
    wait_until(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "T")
    yield
    broker.signal(signal.SIGCONT)


def pile_up(client, data):
    """Sends what the kernel takes; answers the rest."""
    client.socket.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while data:
            data = data[client.socket.send(data):]
    client.socket.setblocking(True)
    return data


def others(broker, version):
    bystander = broker.connect("bystander", version)
    bystander.subscribe("seen")
    return bystander, [broker.connect(f"hostile-{n}", version) for n in range(HOSTILE)]


def packets_before_answer(broker, bystander, hostile, data):
    """
    How many messages that the hostile ones publish reach the bystander before the answer to its
    PINGREQ, where everything was there at once.
    """
    rests = []
    with stopped(broker):
        for each in hostile:
            rests.append(pile_up(each, data))
            assert len(data) - len(rests[-1]) > 3 * READ, "too little to show anything"
        bystander.send(wire.pingreq())
        begun = time.monotonic()
    count = 0
    while bystander.expect_any().kind == "PUBLISH":
        count += 1
    print(f"answered after {count} messages, {(time.monotonic() - begun) * 1000:.1f} ms")
    return count


def test_flooding_publish(start_broker, version, workers):
    broker = start_broker(DEFAULT)
    bystander, hostile = others(broker, version)
    one = wire.publish("seen", b"x" * 20, version=version)
    count = packets_before_answer(broker, bystander, hostile, one * (10 * READ // len(one)))
    assert workers > 1 or count <= HOSTILE * (READ // len(one) + 1)


def test_flooding_publish_qos_2(start_broker, version, workers):
    broker = start_broker(DEFAULT + "max_inflight_messages 0\n")
    bystander, hostile = others(broker, version)
    size = len(wire.publish("seen", b"x" * 20, 2, 1, version=version))
    data = b"".join(wire.publish("seen", b"x" * 20, 2, n + 1, version=version)
                    for n in range(10 * READ // size))
    count = packets_before_answer(broker, bystander, hostile, data)
    assert workers > 1 or count <= HOSTILE * (READ // size + 1)


def test_flooding_subscribe(start_broker, version, workers):
    """Each message shows that so many were subscribed and unsubscribed."""
    broker = start_broker(DEFAULT)
    bystander, hostile = others(broker, version)
    rounds = [wire.subscribe(1, (f"a/{n}/+", 0), (f"b/{n}/#", 0), version=version) +
              wire.unsubscribe(2, f"a/{n}/+", f"b/{n}/#", version=version) +
              wire.publish("seen", b"x", version=version) for n in range(4000)]
    size = min(map(len, rounds))
    count = packets_before_answer(broker, bystander, hostile, b"".join(rounds))
    assert workers > 1 or count <= HOSTILE * (READ // size + 1)


@pytest.mark.laborious
def test_long_walks(start_broker, version, workers):
    """
    A topic that wildcards at every level lead a long way costs as much of the budget as it takes,
    once for all of the hostile: they publish the same ones.
    """
    broker = start_broker(DEFAULT)
    bystander, hostile = others(broker, version)
    filters = ["/".join(each) + "/none" for each in itertools.product("a+", repeat=14)]
    for at in range(0, len(filters), 2048):
        hostile[0].subscribe(*filters[at:at + 2048])
    topic = "/".join("a" * 14)
    rounds = [wire.publish(f"{topic}/{n}", version=version) +
              wire.publish("seen", b"x", version=version) for n in range(4000)]
    count = packets_before_answer(broker, bystander, hostile, b"".join(rounds))
    assert workers > 1 or count <= 20 * HOSTILE


@pytest.mark.laborious
def test_one_long_search(start_broker, version, workers):
    """
    A single message that 65,536 filters match or nearly match: who asks for an answer has it before
    the message is at its subscriber. Where it was one search, the bystander waited for its end.
    """
    broker = start_broker(DEFAULT)
    bystander, hostile = others(broker, version)
    filters = ["/".join(each) for each in itertools.product("a+", repeat=16)]
    for at in range(0, len(filters), 2048):
        hostile[0].subscribe(*(each + "/none" for each in filters[at:at + 2048]))
    topic = "/".join("a" * 16)
    bystander.subscribe(topic + "/#")
    with stopped(broker):
        hostile[1].send(wire.publish(topic, b"x", 1, 1, version=version))
        bystander.send(wire.pingreq())
        begun = time.monotonic()
    first = bystander.expect_any()
    print(f"answered after {(time.monotonic() - begun) * 1000:.1f} ms")
    second = bystander.expect_any()
    print(f"served after {(time.monotonic() - begun) * 1000:.1f} ms")
    assert {first.kind, second.kind} == {"PINGRESP", "PUBLISH"}
    assert workers > 1 or first.kind == "PINGRESP"
    hostile[1].expect("PUBACK", id=1)
    for each in hostile[1:]:
        each.publish(topic, "y", qos=1)
        bystander.expect("PUBLISH", topic=topic, payload=b"y")
    assert not hostile[0].receive(0)


@pytest.mark.laborious
def test_flooding_long_searches(start_broker, version, workers):
    """
    Each of the hostile has one under way, and the next is read when that is over: so many are before
    what the bystander publishes, and no more.
    """
    broker = start_broker(DEFAULT)
    bystander, hostile = others(broker, version)
    filters = ["/".join(each) + "/none" for each in itertools.product("a+", repeat=13)]
    for at in range(0, len(filters), 2048):
        hostile[0].subscribe(*filters[at:at + 2048])
    topic = "/".join("a" * 13)
    bystander.subscribe(topic + "/#")
    flood = b"".join(wire.publish(f"{topic}/{n}", version=version) for n in range(2000))
    with stopped(broker):
        for each in hostile:
            pile_up(each, flood)
        bystander.send(wire.publish("seen", b"live", version=version))
        begun = time.monotonic()
    count = 0
    while bystander.expect("PUBLISH").topic != "seen":
        count += 1
    print(f"served after {count} messages, {(time.monotonic() - begun) * 1000:.1f} ms")
    assert workers > 1 or count <= 4 * HOSTILE


def test_huge_packets(start_broker, version, workers):
    broker = start_broker(DEFAULT)
    bystander, hostile = others(broker, version)
    huge = wire.publish("seen", b"x" * 60_000, version=version)
    count = packets_before_answer(broker, bystander, hostile, huge * 40)
    assert workers > 1 or count <= 2 * HOSTILE


def test_replays(start_broker, version, workers):
    """
    The bystander's own message stands among the values, where it was handled. Another worker may
    handle it before it subscribes; retained, it comes all the same.
    """
    broker = start_broker(DEFAULT + "max_queued_messages 0\n")
    values, number = DELIVERIES // 2, 1  # for each of the hostile
    publisher = broker.connect("publisher", version)
    for start in range(0, values, 1000):
        publisher.send(*(wire.publish(f"r/{n}", b"x", retain=True, version=version)
                         for n in range(start, start + 1000)))
        publisher.ping()
    bystander, hostile = others(broker, version)
    with stopped(broker):
        for each in hostile:
            each.send(wire.subscribe(1, ("#", 1), version=version))
        bystander.send(wire.publish("r/live", b"x", 1, number, workers > 1, version=version))
        begun = time.monotonic()
    bystander.expect("PUBACK", id=number)
    took = time.monotonic() - begun
    before = 0
    for each in hostile:
        each.expect("SUBACK")
        while (got := each.expect("PUBLISH")).topic != "r/live":
            before += 1
    print(f"handled after {before} values, {took * 1000:.1f} ms")
    assert workers > 1 or before <= DELIVERIES
    bystander.ping()


def test_never_reading(start_broker, version, workers):
    """What a client does not fetch is asked for no more, and costs the others nothing."""
    broker = start_broker(DEFAULT)
    bystander, hostile = others(broker, version)
    for each in hostile:
        each.subscribe("seen")
        for _ in range(300):
            if pile_up(each, wire.pingreq() * READ):
                break
    worst = 0.0
    for number in range(300):
        begun = time.monotonic()
        bystander.send(wire.publish("seen", b"%d" % number + b"." * READ, version=version))
        assert bystander.expect("PUBLISH").payload.startswith(b"%d." % number)
        worst = max(worst, time.monotonic() - begun)
    print(f"the slowest of 300 took {worst * 1000:.1f} ms")


def test_one_byte_at_a_time(start_broker, version, workers):
    """Between any two bytes of theirs the bystander is answered."""
    broker = start_broker(DEFAULT)
    bystander, hostile = others(broker, version)
    packet = wire.publish("seen", b"x" * 100, version=version)
    for number, byte in enumerate(packet, 1):
        for each in hostile:
            each.send(bytes([byte]))
        if number < len(packet):
            bystander.ping()
    for _ in hostile:
        bystander.expect("PUBLISH", payload=b"x" * 100)


QUEUED = 100_000
UNBOUND = DEFAULT + """max_queued_messages 0
max_inflight_messages 0
queue_qos0_messages true
sys_interval 1
"""


def leave_queue(broker, version, qos):
    """
    Client "away" has gone, and so many messages wait for it; answers them as they come when it is
    back.
    """
    def message(number):
        return wire.publish("queue", b"%d" % number, qos, number % 65535 + 1 if qos else None,
                            version=version)

    away = broker.connect("away", version, lasting=True)
    away.subscribe("queue", qos=qos)
    away.disconnect()
    publisher = broker.connect("publisher", version)
    for start in range(0, QUEUED, 1000):
        publisher.send(*map(message, range(start, start + 1000)))
        for _ in range(1000 if qos else 0):
            publisher.expect("PUBACK")
        publisher.ping()
    return b"".join(map(message, range(QUEUED)))


def open_again(broker, version, clean):
    """Client "away" has sent its CONNECT, and is not answered yet."""
    client = broker.open(version, name="away")
    lasting = {"session_expiry_interval": 1000} if version == 5 and not clean else None
    client.send(wire.connect("away", version, clean, properties=lasting))
    return client


@pytest.mark.laborious
def test_a_long_queue_that_is_sent(start_broker, version, workers):
    """
    All come, in order and what is live behind them. Where they came at once, the bystander waited
    for forty milliseconds.
    """
    broker = start_broker(UNBOUND)
    bystander = broker.connect("bystander", version)
    queue = leave_queue(broker, version, 0)
    with stopped(broker):
        away = open_again(broker, version, clean=False)
        bystander.send(wire.pingreq())
        begun = time.monotonic()
    bystander.expect("PINGRESP")
    print(f"answered after {(time.monotonic() - begun) * 1000:.1f} ms")
    away.expect("CONNACK", session_present=True)
    bystander.publish("queue", "live")
    bystander.ping()
    away.expect_bytes(queue + wire.publish("queue", b"live", version=version))
    away.ping()


@pytest.mark.laborious
def test_a_long_queue_that_ends(start_broker, version, workers):
    """
    The next session with the id is there at once, and has nothing of it; the memory comes back.
    """
    broker = start_broker(UNBOUND)
    bystander = broker.connect("bystander", version)
    leave_queue(broker, version, 1)
    with stopped(broker):
        again = open_again(broker, version, clean=True)
        bystander.send(wire.pingreq())
        begun = time.monotonic()
    bystander.expect("PINGRESP")
    print(f"answered after {(time.monotonic() - begun) * 1000:.1f} ms")
    again.expect("CONNACK", session_present=False)
    again.subscribe("queue", qos=1)
    bystander.publish("queue", "live", qos=1)
    again.expect_message("queue", "live")
    bystander.subscribe("$SYS/broker/store/messages/count")
    while int(bystander.expect("PUBLISH").payload) > QUEUED // 10:
        pass


@pytest.mark.laborious
def test_many_subscriptions(start_broker, version, workers):
    """
    All that is kept for a filter is found by it. Where the others were looked at, too, the slowest
    answer took three seconds, or did not come in time; it takes thirty milliseconds.
    """
    broker = start_broker(DEFAULT + "sys_interval 1\n")
    bystander, hostile = others(broker, version)
    bystander.publish("seen", "x", retain=True)
    bystander.expect("PUBLISH")
    filters = [f"{n:x}/+" for n in range(100_000)]
    parts = [filters[at:at + 8000] for at in range(0, len(filters), 8000)]
    worst = 0.0
    for pack in (lambda part: wire.subscribe(1, *((each, 0) for each in part), version=version),
                 lambda part: wire.unsubscribe(1, *part, version=version)):
        for part in parts:
            hostile[0].send(pack(part))
            begun = time.monotonic()
            bystander.ping()
            worst = max(worst, time.monotonic() - begun)
        for _ in parts:
            hostile[0].expect_any()
    hostile[0].subscribe(*filters[:8000])
    hostile[0].close()
    bystander.ping()
    print(f"the slowest answer took {worst * 1000:.1f} ms")
