"""
A drain, by SIGRTMIN+1: who is there is sent away a few at a time, who comes is refused, and the
balancer hears of it before and after; once more, and it is called off.
"""

import contextlib
import itertools
import select
import signal
import socket
import threading
import time

import pytest

from harness import proxy, tls, wire
from harness.client import PATIENCE, Closed
from harness.process import wait_until
from harness.wire import Will

pytestmark = pytest.mark.nightjar("drains are ours")

DRAIN = signal.SIGRTMIN + 1
LISTENERS = "listener {port} 127.0.0.1\nallow_anonymous true\n" \
            "listener {port2} 127.0.0.1\nprotocol agent\n"
QUICK = LISTENERS + "drain_delay 0\ndrain_time 0\n"
LONG = LISTENERS + "drain_delay 0\ndrain_time 3000\n"
SHORT_END = LISTENERS + "drain_delay 0\ndrain_time 1\n"
OVER = r"Drained: no client is left\."


def ask_agent(broker):
    with socket.create_connection(("127.0.0.1", broker.places["port2"]), PATIENCE) as link:
        said = b""
        while data := link.recv(100):
            said += data
    return said.decode()


def begin(broker):
    """Until nobody is let in any more."""
    broker.signal(DRAIN)
    broker.expect_line(r"Draining: \d+ clients are sent away over \d+ seconds\.")


@pytest.mark.workers
@pytest.mark.versions(3, 4, 5)
def test_all_are_sent_away(start_broker, version, workers):
    broker = start_broker(QUICK)
    clients = [broker.connect(f"x-{number}", version) for number in range(12)]
    broker.signal(DRAIN)
    for each in clients:
        each.expect_end(0x9C)
        each.close()
        broker.expect_end_line(each.name, why="use another server")
    broker.expect_line(OVER, timeout=15)
    assert ask_agent(broker) == "down #drained\n"


@pytest.mark.parametrize("moved, reason", [("false", 0x9C), ("true", 0x9D)])
def test_where_to_go(start_broker, moved, reason):
    broker = start_broker(QUICK + f"server_moved {moved}\nserver_reference other.example:1884\n")
    client = broker.connect("x", 5)
    broker.signal(DRAIN)
    got = client.expect("DISCONNECT", reason=reason)
    assert got.properties == {"server_reference": "other.example:1884"}
    client.close()
    broker.expect_line(OVER, timeout=15)
    late = broker.open(5)
    late.send(wire.connect("x", 5))
    got = late.expect("CONNACK", code=reason)
    assert got.properties == {"server_reference": "other.example:1884"}
    late.expect_close()


def test_a_client_that_takes_no_long_packet_gets_a_short_one(start_broker):
    broker = start_broker(QUICK + f"server_reference {'long' * 100}\n")
    client = broker.connect("x", 5, properties={"maximum_packet_size": 100})
    broker.signal(DRAIN)
    assert client.expect("DISCONNECT", reason=0x9C).properties == {}
    late = broker.open(5)
    late.send(wire.connect("x", 5, properties={"maximum_packet_size": 100}))
    assert late.expect("CONNACK", code=0x9C).properties == {}


@pytest.mark.workers
def test_not_at_once(start_broker, workers):
    """When the first has gone the others are served, until there is no time left."""
    broker = start_broker(LISTENERS + "drain_delay 0\ndrain_time 40\n")
    clients = [broker.connect(f"x-{number}", 5) for number in range(40)]
    begin(broker)
    wait_until(lambda: any(map(is_told, clients)), 30, what="the first")
    still = [each for each in clients if not is_told(each)]
    assert len(still) > 20
    for each in still[:20]:
        each.send(wire.pingreq())
    assert sum(each.expect_any().kind == "PINGRESP" for each in still[:20]) > 15
    broker.reload(QUICK)
    for each in clients:
        each.close()
    broker.expect_line(OVER, timeout=15)


def is_told(client):
    """Whether there is something to read for it."""
    return bool(select.select([client.socket], [], [], 0)[0])


@pytest.mark.workers
def test_who_comes_is_served_until_it_begins(start_broker, workers):
    """And the agent tells of it already."""
    broker = start_broker(LISTENERS + "drain_delay 3000\ndrain_time 3000\n")
    broker.signal(DRAIN)
    broker.expect_line(r"A drain was asked for: 0 clients will be sent away, from in 3000 seconds "
                       r"on and over 3000\.")
    assert ask_agent(broker) == "drain\n"
    early = broker.connect("early", 5)
    silent = broker.open(5)
    broker.reload(LONG)
    broker.expect_line(r"Draining: \d clients are sent away over 3000 seconds\.")
    assert ask_agent(broker) == "drain\n"
    early.ping()
    silent.send(wire.connect("silent", 5))
    silent.expect("CONNACK", code=0x9C)
    silent.expect_close()
    for version, code in (3, 3), (4, 3), (5, 0x9C):
        broker.connect(f"late-{version}", version, code=code).expect_close()
        broker.expect_line(rf"Client late-{version} \[.*\] disconnected: .*\.")


@pytest.mark.workers
def test_called_off(start_broker, workers):
    broker = start_broker(LONG)
    client = broker.connect("x", 5)
    begin(broker)
    broker.connect("y", 5, code=0x9C)
    broker.signal(DRAIN)
    broker.expect_line(r"The drain is called off\.")
    assert ask_agent(broker).startswith("up ready ")
    broker.connect("y", 5).ping()
    client.ping()


@pytest.mark.workers
def test_again_after_it_is_over(start_broker, workers):
    broker = start_broker(QUICK)
    for number in range(3):
        client = broker.connect(f"x-{number}", 5)
        broker.signal(DRAIN)
        client.expect_end(0x9C)
        client.close()
        broker.expect_line(OVER, timeout=15, count=number + 1)
        broker.connect("late", 4, code=3)
        broker.signal(DRAIN)
        broker.expect_line(r"The drain is called off\.", count=number + 1)


@pytest.mark.workers
def test_the_session_stays(start_broker, version, workers):
    broker = start_broker(QUICK)
    client = broker.connect("lasting", version, lasting=True)
    client.subscribe("t", qos=1)
    broker.signal(DRAIN)
    client.expect_end(0x9C)
    client.close()
    broker.expect_line(OVER, timeout=15)
    broker.signal(DRAIN)
    broker.expect_line(r"The drain is called off\.")
    broker.connect("from", version).publish("t", b"meanwhile", 1)
    again = broker.connect("lasting", version, lasting=True, session=True)
    again.expect_message("t", b"meanwhile")


@pytest.mark.workers
@pytest.mark.holds("5.0: MQTT-3.1.2-8")
def test_wills(start_broker, workers):
    """Only a DISCONNECT of the client's takes a will back; a delay gives it time to return."""
    broker = start_broker(QUICK)
    delayed = Will("will/later", b"gone", 1, True, {"will_delay_interval": 3000})
    clients = [broker.connect("now", 5, will=Will("will/now", b"gone", 1, True)),
               broker.connect("later", 5, lasting=True, will=delayed)]
    broker.signal(DRAIN)
    for each in clients:
        each.expect_end(0x9C)
        each.close()
    broker.expect_line(OVER, timeout=15)
    broker.signal(DRAIN)
    broker.expect_line(r"The drain is called off\.")
    watcher = broker.connect("watcher", 5)
    watcher.subscribe("will/#", qos=1)
    watcher.expect_message("will/now", b"gone")
    watcher.expect_nothing()


@pytest.mark.workers
def test_who_goes_on_sending_hears_it(start_broker, version, workers):
    """No reset overtakes what was told, whatever lies unread."""
    broker = start_broker(QUICK)
    client = broker.connect("x", version)
    for number in range(1, 200):
        client.send(wire.publish("t", b"x" * 1000, 1, number, version=version))
    broker.signal(DRAIN)
    kinds = []
    try:
        number = 200
        while got := client.receive():
            kinds.append(got.kind)
            client.send(wire.publish("t", b"x" * 1000, 1, number, version=version))
            number += 1
    except Closed:
        pass
    assert kinds[-1] == ("DISCONNECT" if version == 5 else "PUBACK")
    assert kinds.count("DISCONNECT") == (version == 5)
    # Our end was closed properly, and only that.
    client.send(wire.publish("t", b"into the void", 1, 9999, version=version))
    client.close()
    broker.expect_line(OVER, timeout=15)


@pytest.mark.workers
def test_who_always_searches_goes(start_broker, version, workers):
    """Whenever its turn comes a long search of its own is under way, and more lies behind it."""
    broker = start_broker(QUICK)
    deep = broker.connect("deep", version, lasting=True)
    filters = ["/".join(each) + "/none" for each in itertools.product("a+", repeat=12)]
    for start in range(0, len(filters), 512):
        deep.subscribe(*filters[start:start + 512])
    flooders = [broker.connect(f"x-{number}", version) for number in range(3)]
    topic = "/".join("a" * 12)
    data = b"".join(wire.publish(f"{topic}/{n}", version=version) for n in range(10_000))
    threads = [threading.Thread(target=flood, args=(each, data)) for each in flooders]
    for each in threads:
        each.start()
    try:
        time.sleep(0.5)
        broker.signal(DRAIN)
        deep.expect_end(0x9C)
        deep.close()
        for each in flooders:
            each.expect_end(0x9C)
        broker.expect_line(OVER, timeout=10)
    finally:
        for each, thread in zip(flooders, threads):
            with contextlib.suppress(OSError):
                each.socket.shutdown(socket.SHUT_RDWR)
            thread.join()
            each.close()


def flood(client, data):
    try:
        while True:
            client.socket.sendall(data)
    except OSError:
        pass


@pytest.mark.workers
def test_who_does_not_close_is_closed(start_broker, workers):
    broker = start_broker(QUICK)
    client = broker.connect("x", 5)
    broker.signal(DRAIN)
    client.expect_end(0x9C)
    broker.expect_line(OVER, timeout=15)
    wait_until(lambda: is_gone(client), what="a reset")


def is_gone(client):
    try:
        client.send(wire.pingreq())
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


@pytest.mark.workers
def test_who_has_messages_to_come_gets_them(start_broker, workers):
    """It is passed over for some seconds, though its turn comes, and though others go."""
    broker = start_broker(LISTENERS + "drain_delay 0\ndrain_time 20\nmax_inflight_messages 1\n")
    busy = broker.connect("busy", 5)
    busy.subscribe("t", qos=1)
    idle = [broker.connect(f"idle-{number}", 5) for number in range(8)]
    for number in range(3):
        idle[0].publish("t", f"{number}", 1)
    begin(broker)
    time.sleep(2)
    got = busy.collect(3)
    assert [each.payload for each in got] == [b"0", b"1", b"2"]
    broker.reload(QUICK)
    for each in (busy, *idle):
        each.expect_end(0x9C)
        each.close()
    broker.expect_line(OVER, timeout=15)


@pytest.mark.workers
def test_the_end_in_the_middle(start_broker, workers):
    broker = start_broker(LONG)
    clients = [broker.connect(f"x-{number}", 5) for number in range(6)]
    begin(broker)
    assert broker.stop() == 0
    for each in clients:
        each.expect_end(0x8B, 0x9C)


@pytest.mark.workers
def test_the_state_is_told(start_broker, workers):
    broker = start_broker(LISTENERS + "drain_delay 3000\nsys_interval 1\n")
    client = broker.connect("x", 5)
    client.subscribe("$SYS/broker/drain/state")
    assert client.expect("PUBLISH").payload == b"0"
    broker.signal(DRAIN)
    assert client.expect("PUBLISH").payload == b"1"
    broker.signal(DRAIN)
    assert client.expect("PUBLISH").payload == b"0"


@pytest.mark.workers
def test_checks_of_the_proxy_go_on(start_broker, workers):
    """A health check that speaks MQTT behind a LOCAL header is served as long as clients leave."""
    text = "listener {port} 127.0.0.1\nallow_anonymous true\nenable_proxy_protocol 2\n"
    broker = start_broker(text + "drain_delay 0\ndrain_time 3000\n")

    def connect(name, header, code):
        client = broker.open(4)
        client.send(header, wire.connect(name, 4))
        client.expect("CONNACK", code=code)
        return client

    check = proxy.v2(command=proxy.LOCAL, family=proxy.UNSPEC, transport=0)
    stays = connect("stays", proxy.client("192.0.2.7", 1), 0)
    begin(broker)
    connect("check", check, 0).disconnect()
    connect("client", proxy.client("192.0.2.8", 1), 3)
    stays.ping()
    broker.reload(text + "drain_delay 0\ndrain_time 0\n")
    broker.expect_line(r"Draining: the time is over, .*")
    stays.expect_close()
    stays.close()
    broker.expect_line(OVER, timeout=15)
    connect("check", check, 3)


def test_the_manager_is_told(start_broker, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        broker = start_broker(QUICK, environment={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert manager.recv(200) == b"READY=1"
        client = broker.connect("x", 5)
        broker.signal(DRAIN)
        client.expect_end(0x9C)
        client.close()
        said = []
        while not said or said[-1] != b"STATUS=Drained: no client is left.":
            said.append(manager.recv(200))
        assert said[0].startswith(b"STATUS=A drain was asked for: 1 clients will be sent away")
        broker.signal(DRAIN)
        assert manager.recv(200) == b"STATUS=The drain is called off."


@pytest.mark.workers
def test_the_weight_of_many(start_broker, workers):
    """Whoever moves home while the last step is taken is refused there: nobody is left."""
    broker = start_broker(SHORT_END)
    clients = [broker.connect(f"x-{number}", 5) for number in range(100)]
    broker.signal(DRAIN)
    ended = 0
    for each in clients:
        each.expect_end(0x9C)
        each.close()
        ended += 1
    broker.expect_line(OVER, timeout=15)
    assert broker.count_lines(r"Client x-\d+ \[.*\] disconnected: use another server\.") == ended


@pytest.mark.workers
def test_behind_tls(start_broker, authority, version, workers):
    """TLS ends in good order, behind the DISCONNECT."""
    broker = start_broker(QUICK.replace(
        "listener {port} 127.0.0.1\n",
        "listener {port} 127.0.0.1\n"
        f"{authority.lines}"))
    client = broker.connect("x", version, tls=tls.context(authority.cert))
    client.send(wire.publish("t", b"x" * 1000, 1, 1, version=version))
    client.expect("PUBACK")
    broker.signal(DRAIN)
    told = client.socket.recv_to_the_end()
    assert told == (bytes([0xE0, 1, 0x9C]) if version == 5 else b"")
    client.close()
    broker.expect_line(OVER, timeout=15)
