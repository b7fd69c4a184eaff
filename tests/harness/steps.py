"""
What clients do at a broker whose calls fail: each step is whole in itself, short, and together they
reach every point of a running broker. Client ids come out of Bench.name(), so that they live on
any worker: several in a row stay on one and move between both.
"""

import base64
import functools
import os
import re
import resource
import signal
import tempfile

from . import proxy, tls, users, websocket, wire
from .broker import server_folder
from .certificates import Authority
from .client import Closed
from .tools import pub

# Every kind of listener and destination; what is grown early is small.
CONFIG = """
psk_file {dir}/keys
listener {port} 127.0.0.1
allow_anonymous true
listener {port2} 127.0.0.1
allow_anonymous true
enable_proxy_protocol any
proxy_protocol_trusted 127.0.0.1
listener {port5} 127.0.0.1
enable_proxy_protocol 2
use_subject_as_username true
listener {port6} 127.0.0.1
enable_proxy_protocol 2
use_identity_as_username true
listener {port3} 127.0.0.1
allow_anonymous true
mount_point {dir}/mounted/
defer_accept true
listener {port_tls} 127.0.0.1
allow_anonymous true
certfile {tls}/server.crt
keyfile {tls}/server.key
cafile {tls}/ca.crt
use_identity_as_username true
require_certificate true
listener 0 {dir}/s
allow_anonymous true
listener {port8} 127.0.0.1
psk_hint plant
use_identity_as_username true
listener {port7} 127.0.0.1
listener_password_file {dir}/passwords
listener_acl_file {dir}/rules
max_topic_alias_broker 20
listener {port9} 127.0.0.1
allow_anonymous true
protocol websockets
websockets_origin http://a
websockets_origin http://b
forwarded_for_trusted 127.0.0.1
listener {port10} 127.0.0.1
allow_anonymous true
protocol http_api
http_dir {dir}
listener_password_file {dir}/passwords
max_inflight_messages 0
max_connections_per_address 1000
connect_rate_per_address 60000
max_failed_logins_per_address 1000
check_retain_source true
log_dest stderr
log_dest file {dir}/file.log
log_dest topic
log_type all
connect_timeout 3
"""

QUIET = """
listener {port} 127.0.0.1
allow_anonymous true
"""

MERGING = QUIET + "allow_duplicate_messages false\n"


def reloaded(bench):
    """Another configuration and back: listeners that come, stay and go, limits, log formats."""
    old = bench.broker.config.read_text()
    port = bench.broker.places["port4"]
    other = old.replace("log_type all", "log_type all\nlog_timestamp_format %H:%M:%S")
    other = other.replace("max_topic_alias_broker 20", "max_topic_alias_broker 5\nmax_qos 1")
    other = re.sub("log_dest file .*", "", other)
    holder = bench.connect()
    try:
        for text in (other + f"\nlistener {port} 127.0.0.1\nmax_keepalive 700\n", old):
            bench.broker.config.write_text(text)
            assert bench.reload(), "refused"
    finally:
        bench.broker.config.write_text(old)
    holder.ping()


def settled(bench):
    """One of the two may have been refused: the first configuration holds again."""
    assert bench.reload(), "refused"


reloaded.tidy = settled


def overlapping(levels, count):
    """So many filters that all match the topic of these levels."""
    return ["/".join("+" if mask >> n & 1 else level for n, level in enumerate(levels))
            for mask in range(count)]


def expect_all(peer, *kinds):
    """These packets in any order."""
    got = sorted(peer.expect_any().kind for _ in kinds)
    assert got == sorted(kinds), f"{peer}: {got}, not {kinds}"


def version_3(bench):
    for _ in range(3):
        peer = bench.connect(version=4, username="u", password="p")
        peer.subscribe(bench.name("three/"))
        peer.disconnect()


def moved_with_rest(bench):
    """CONNECT with what follows, cut and whole: half of these move to the other worker."""
    for _ in range(4):
        topic = bench.name("rest/")
        behind = wire.subscribe(1, (topic, 1), version=5) + \
            wire.publish(topic, b"x", 1, 2, version=5)
        expect_all(bench.connect(behind=behind), "SUBACK", "PUBACK", "PUBLISH")


def login(bench):
    """Passwords that are looked at, right and wrong, with what is behind CONNECT."""
    address = ("127.0.0.1", bench.broker.places["port7"])
    for _ in range(3):
        topic = bench.name("login/")
        peer = bench.connect(address=address, username="anna", password="anna-secret",
                             behind=wire.subscribe(1, (topic, 1), version=5))
        peer.expect("SUBACK")
        peer = bench.open(4, address, bench.name("wrong-"))
        peer.foreseen = {5}
        peer.send(wire.connect(peer.name, 4, username="anna", password="wrong"))
        assert peer.expect("CONNACK").code != 0
    bench.connect(address=address, username="argon", password="argon-secret")


def ruled(bench):
    """Rules: what is allowed, what is not, for who is there and who is away."""
    address = ("127.0.0.1", bench.broker.places["port7"])
    anna = {"address": address, "username": "anna", "password": "anna-secret"}
    name, topic = bench.name("away-"), bench.name("may/")
    lasting = {"clean": False, "properties": {"session_expiry_interval": 300}, **anna}
    peer = bench.connect(name, **lasting)
    peer.subscribe("#", topic, "may/+", qos=1)
    peer.disconnect()
    giver = bench.connect(**anna, will=wire.Will("never", b"", 1))
    giver.foreseen = {0x87, *giver.foreseen}
    giver.publish(topic, b"yes", 1)
    giver.publish("never", b"no", 1)
    giver.close()
    peer = bench.connect(name, **lasting)
    peer.collect(3)
    peer.disconnect()
    bench.connect(name, **anna)


def empty_id(bench):
    peer = bench.open(5)
    peer.send(wire.connect("", 5))
    peer.expect("CONNACK", code=0)


def will(bench):
    watcher = bench.connect()
    topic = bench.name("will/")
    watcher.subscribe(topic, qos=1)
    for version in (4, 5):
        peer = bench.connect(version=version, will=wire.Will(topic, b"gone", 1, True))
        peer.close()
        watcher.take_message()
    bench.connect().publish(topic, b"", 1, retain=True)


def qos(bench, version=5):
    topic = bench.name("qos/")
    takers = [bench.connect(version=version) for _ in range(3)]
    giver = bench.connect(version=version)
    for each in takers:
        each.subscribe(topic, qos=2)
    for level in (0, 1, 2):
        giver.publish(topic, b"message", level)
        for each in takers:
            each.expect_message(topic, b"message", qos=level)


def qos_3(bench):
    qos(bench, 4)


def many_unreleased(bench):
    """More than a list of packet identifiers holds."""
    giver = bench.connect()
    giver.send(*(wire.publish("unreleased", b"", 2, id + 1, version=5) for id in range(70)))
    for id in range(70):
        giver.expect("PUBREC", id=id + 1)


def retained(bench):
    front = bench.name("kept/")
    giver = bench.connect()
    for n in range(3):
        giver.publish(f"{front}/{n}", b"value", 1, retain=True)
    for filter in (f"{front}/+", f"{front}/#", f"{front}/1"):
        taker = bench.connect()
        taker.subscribe(filter, qos=1)
        taker.collect(1 if filter.endswith("1") else 3)
    for n in range(3):
        giver.publish(f"{front}/{n}", b"", 1, retain=True)


def filters(bench):
    """Long levels, many nodes, several subscribers at one, here and there; and all of it back."""
    front = bench.name("a level too long to be kept inline/")
    names = [f"{front}/{a}/+/{b}/#" for a in range(3) for b in range(8)]
    takers = [bench.connect() for _ in range(6)]
    for each in takers:
        each.subscribe(f"{front}/one", qos=1)
    takers[0].subscribe(*names)
    bench.connect().publish(f"{front}/one", b"x", 1)
    for each in takers:
        each.take_message()
    for each in takers:
        each.unsubscribe(f"{front}/one")
    takers[0].unsubscribe(*names)


def many_nodes(bench):
    """More than a piece of the tree holds, twice."""
    taker = bench.connect()
    front = bench.name("n")
    for part in range(8):
        taker.subscribe(*(f"{front}-{part}/{n}" for n in range(160)))


def many_filters(bench):
    """More than one table of a session takes."""
    taker = bench.connect()
    front = bench.name("f")
    for at in range(0, 8704, 512):
        taker.subscribe(*(f"{front}/{n}" for n in range(at, at + 512)))


def many_sessions(bench):
    for _ in range(40):
        bench.connect(version=4)


def groups(bench):
    """Several groups at one filter, members on both workers, one of whom leaves."""
    topic = bench.name("turns/")
    members = [bench.connect() for _ in range(5)]
    for n, each in enumerate(members):
        each.subscribe(*(f"$share/g{(n + g) % 7}/{topic}" for g in range(5)), qos=1)
    giver = bench.connect()
    for n in range(6):
        giver.publish(topic, b"turn %d" % n, 1)
    members.pop().close()
    giver.publish(topic, b"again", 2)
    for each in members:
        each.send(wire.pingreq())
        while each.expect_any().kind != "PINGRESP":
            pass


def long_search(bench):
    """Longer than its publisher waits for: the workers make it, and deal the turns of a group."""
    levels = [bench.name("l"), *"bcdefghijk"]
    topic = "/".join(levels)
    taker, member, giver = (bench.connect() for _ in range(3))
    filters = [each + "/none" for each in overlapping(levels, 2048)]
    for at in range(0, len(filters), 512):
        taker.subscribe(*filters[at:at + 512])
    member.subscribe(f"$share/g/{topic}/+", qos=1)
    for n in range(3):
        giver.publish(f"{topic}/{n}", b"found", 1)
        giver.ping()
        member.expect_message(f"{topic}/{n}", b"found")


def wide(bench):
    """More subscriptions than are served at once."""
    levels = [bench.name("w"), "b", "c", "d", "e", "f", "g"]
    taker = bench.connect()
    taker.subscribe(*overlapping(levels, 100))
    bench.connect().publish("/".join(levels), b"many", 1)
    taker.collect(100)


def aliases(bench):
    """Both ways."""
    topic = bench.name("a topic that is worth an alias/")
    taker = bench.connect(properties={"topic_alias_maximum": 20})
    taker.subscribe(topic + "/+", qos=1)
    giver = bench.connect()
    for n in range(2, 11):
        giver.publish(f"{topic}/{n}", b"first", 1, properties={"topic_alias": n})
        giver.publish("", b"second", 1, properties={"topic_alias": n})
    taker.collect(18)


def take_over(bench):
    for clean in (True, False):
        name = bench.name("twice-")
        first = bench.connect(name, version=4, clean=clean, will=wire.Will("w", b"", 0))
        first.subscribe(name)
        second = bench.connect(name, version=4, clean=clean)
        first.expect_close()
        second.subscribe(name)
        second.send(wire.disconnect())
        bench.connect(name, version=4).disconnect()


def taken_over_with_rest(bench):
    """What the new connection sends behind CONNECT waits, half of the time where it was read."""
    for _ in range(24):  # any worker may accept
        name = bench.name("rest-")
        first = bench.connect(name, version=4)
        second = bench.connect(name, version=4,
                               behind=wire.subscribe(1, (name, 0), version=4))
        first.expect_close()
        expect_all(second, "SUBACK")


def large(bench):
    """In pieces and whole, and refused."""
    topic = bench.name("large/")
    taker = bench.connect()
    taker.subscribe(topic, qos=1)
    giver = bench.connect()
    payload = bytes(300_000)
    giver.send(wire.publish(topic, payload, 1, 1, version=5), pieces=30_000, delay=0.001)
    giver.expect("PUBACK")
    taker.take_message()
    giver.send(wire.publish(topic, b"in two", 1, 2, version=5), pieces=[5], delay=0.005)
    giver.expect("PUBACK")
    giver.publish(topic, bytes(5000), 2)
    taker.collect(2)


def proxied(bench):
    """Both versions, with more than an address, in pieces."""
    address = ("127.0.0.1", bench.broker.places["port2"])
    more = [proxy.tlv(2, b"name.example"), proxy.tlv(5, b"id" * 60),
            proxy.tlv(0x20, b"\1\0\0\0\0" + proxy.tlv(0x21, b"TLSv1.3") +
                      proxy.tlv(0x22, b"client.example"))]
    bench.serial += 1
    stranger = f"198.51.{bench.serial // 250 % 250}.{bench.serial % 250}"
    bench.connect(address=address, before=proxy.client(stranger, 999, *more))
    bench.connect(address=address, before=b"PROXY TCP4 192.0.2.8 192.0.2.1 9 1883\r\n")
    peer = bench.open(4, address, "in pieces")
    peer.send(proxy.client("2001:db8::5", 7, *more) + wire.connect(bench.name("p"), 4), pieces=9,
              delay=0.001)
    peer.expect("CONNACK", code=0)


@functools.cache
def certificate():
    with tempfile.TemporaryDirectory() as folder:
        return Authority(folder).client("meter").der()


def vouched_for(bench):
    """The user name is that of the certificate in the header, or the name there."""
    for port, told in (("port5", proxy.tlv(0x28, certificate())), ("port6", proxy.tlv(0x22, b"x"))):
        facts = proxy.tlv(0x20, b"\7\0\0\0\0" + told)
        bench.connect(address=("127.0.0.1", bench.broker.places[port]),
                      before=proxy.client("198.51.100.7", 999, facts))


def web(bench):
    """Inside WebSocket: a request and a ping in pieces, large messages, and who is refused."""
    address = ("127.0.0.1", bench.broker.places["port9"])
    topic = bench.name("web/")
    peers = []
    bench.serial += 1
    stranger = f"198.52.{bench.serial // 250 % 250}.{bench.serial % 250}"
    for _ in range(2):
        each = bench.open_web(5, address)
        peers.append(each)
        each.send_raw(websocket.request(Origin="http://b", X_Forwarded_For=stranger), pieces=90,
                      delay=0.002)
        each.expect_upgrade()
        each.send(wire.connect(bench.name("w"), 5), wire.subscribe(1, (topic, 1), version=5))
        each.expect("CONNACK", code=0)
        each.expect("SUBACK")
    peers[0].send_raw(websocket.frame(b"in pieces", websocket.PING), pieces=[8], delay=0.005)
    peers[0].expect_pong(b"in pieces")
    peers[0].send(wire.publish(topic, bytes(100_000), 1, 2, version=5))
    expect_all(peers[0], "PUBACK", "PUBLISH")
    expect_all(peers[1], "PUBLISH")
    peers[0].send(wire.disconnect())
    for data in (websocket.request(protocol="x"), websocket.request(Origin="http://x"),
                 b"\x10\x0c"):
        peer = bench.open_web(5, address)
        peer.send_raw(data)
        bench.wait(lambda: peer.ended(0.01), "left hanging")
        peer.connack = "refused, and so not at the door"


@functools.cache
def meter():
    """A certificate that the brokers' own authority signed, and its key."""
    folder = server_folder()
    pair = Authority.at(folder).client("meter")
    return pair.cert, pair.key


def secured(bench):
    """TLS: whole and resumed handshakes, names, moves, and more than is sealed at once."""
    address = ("127.0.0.1", bench.broker.places["port_tls"])
    rules = tls.context(f"{server_folder()}/ca.crt", meter())
    session = None
    crowd = [bench.open(5, address) for _ in range(12)]
    for peer in crowd:
        peer.begin_tls(rules)
    for peer in crowd:
        peer.socket.handshake()
        peer.close()
    for n in range(4):
        topic = bench.name("tls/")
        peer = bench.open(4 + n % 2, address, bench.name("s"))
        peer.start_tls(rules, session=session)
        peer.send(wire.connect(peer.name, peer.version) +
                  wire.subscribe(1, (topic, 1), version=peer.version))
        peer.expect("CONNACK", code=0)
        peer.expect("SUBACK")
        session = peer.socket.tls.session
        peer.send(wire.publish(topic, bytes(100_000), 1, 2, version=peer.version))
        expect_all(peer, "PUBACK", "PUBLISH")
        peer.socket.say_end()


def api(bench):
    """Requests of HTTP: figures, a large file, one in pieces, two at once, and what is refused."""
    (bench.broker.folder / "file.html").write_bytes(bytes(300_000))
    address = ("127.0.0.1", bench.broker.places["port10"])
    end = b" HTTP/1.1\r\nHost: a\r\n\r\n"

    def ask(data, status, **fields):
        peer = bench.open_web(5, address)
        peer.send_raw(data, **fields)
        got = peer.read_answer()[0]
        if got == 503:
            raise Closed("refused for want of memory")
        assert got == status, got
        return peer

    for path in (b"livez", b"readyz", b"api/v1/version", b"api/v1/listeners", b"api/v1/systree",
                 b"api/v1/clients", b"file.html"):
        ask(b"GET /" + path + end, 200)
    ask(b"GET /livez" + end, 200, pieces=20, delay=0.002)
    peer = ask((b"GET /livez" + end) * 2, 200)
    assert peer.read_answer()[0] == 200
    for word, status in ((b"anna-secret", 200), (b"wrong", 401)):
        login = base64.b64encode(b"anna:" + word)
        ask(b"GET /api/v1/version HTTP/1.1\r\nHost: a\r\nAuthorization: Basic " + login +
            b"\r\n\r\n", status)
    ask(b"GET /api/v1/clients?limit=0" + end, 400)
    ask(b"GET /none" + end, 404)
    ask(b"POST /" + end, 405)


def keyed(bench):
    """TLS by a key that both know: Python's ssl can't, mosquitto_pub can."""
    address = ("localhost", bench.broker.places["port8"])
    pub(address, 5, "-t", "t", "-m", "x", "-q", "1", "--psk", "0123456789abcdef",
        "--psk-identity", "meter")


def crowded(bench):
    """No descriptor is left: who comes is closed, and the reserve is filled again."""
    broker = bench.broker
    before = resource.prlimit(broker.pid, resource.RLIMIT_NOFILE)
    bench.connect()
    broker.limit_descriptors(broker.descriptors())
    try:
        peer = bench.open()
        bench.wait(lambda: peer.ended(0.01), "left hanging")
    finally:
        resource.prlimit(broker.pid, resource.RLIMIT_NOFILE, before)
    bench.connect()


def mounted(bench):
    address = ("127.0.0.1", bench.broker.places["port3"])
    topic = bench.name("m/")
    peer = bench.connect(address=address, will=wire.Will(topic, b"", 1))
    peer.subscribe(topic, f"$share/g/{topic}", qos=1)
    peer.send(wire.publish(topic, b"x", 1, 7, version=5))
    expect_all(peer, "PUBACK", "PUBLISH", "PUBLISH")
    peer.unsubscribe(topic)


def by_path(bench):
    peer = bench.connect(address=f"{bench.broker.folder}/s")
    peer.ping()


def queued(bench):
    """What waits for a session that is away."""
    name, topic = bench.name("away-"), bench.name("queue/")
    lasting = {"clean": False, "properties": {"session_expiry_interval": 300}}
    peer = bench.connect(name, **lasting)
    peer.subscribe(topic, qos=2)
    peer.disconnect()
    giver = bench.connect()
    for n in range(40):
        giver.send(wire.publish(topic, b"%d" % n, 1, n + 1, version=5))
    for n in range(40):
        giver.expect("PUBACK")
    peer = bench.connect(name, **lasting)
    peer.collect(40)
    peer.disconnect()
    bench.connect(name)


def survey(bench):
    """SIGUSR2, with something to print."""
    for _ in range(3):
        bench.connect().subscribe(bench.name("survey/"))
    before = bench.log_size()
    bench.broker.signal(signal.SIGUSR2)
    bench.wait(lambda: "\nEnd." in bench.log_since(before), "the trees were not printed to the end")


def published_log(bench):
    taker = bench.connect()
    taker.subscribe("$SYS/broker/log/#")
    bench.connect(version=4).disconnect()
    taker.expect("PUBLISH")


def reopened_log(bench):
    path = bench.broker.folder / "file.log"
    for number in (signal.SIGHUP, signal.SIGRTMIN):
        path.rename(path.with_suffix(".old"))
        bench.broker.signal(number)
        try:
            bench.wait(path.exists, "the log was not opened again")
        finally:
            if not path.exists():
                path.with_suffix(".old").rename(path)
        os.utime(path)


def flood(bench):
    """
    More at a time than another worker's mailbox takes: each message is many deliveries, so that it
    is sent faster than taken; nobody reads them.
    """
    levels = [bench.name("f"), "a", "b", "c", "d"]
    takers = [bench.connect() for _ in range(5)]
    for each in takers:
        each.subscribe(*overlapping(levels, 32))
    givers = [bench.connect(), bench.connect()]
    for each in givers:
        each.send(wire.publish("/".join(levels), b"", 0, version=5) * 10_000)
    for each in givers:
        each.ping()


def merged(bench):
    """One message for subscriptions with as many identifiers as it takes."""
    levels = [bench.name("m"), "a", "b", "c"]
    taker = bench.connect()
    for n, filter in enumerate(overlapping(levels, 16)):
        taker.subscribe(filter, qos=1, properties={"subscription_identifier": n + 1})
    bench.connect().publish("/".join(levels), b"once", 1)
    taker.take_message()


FILES = {"keys": "meter:0123456789abcdef\n",
         "passwords": users.password("anna") + users.password("argon", "argon2id"),
         "rules": "user anna\ntopic may/#\ntopic login/#\npattern %u/%c\n"}

RUN = [version_3, login, ruled, moved_with_rest, empty_id, will, qos, qos_3, many_unreleased,
       retained, filters, groups, long_search, wide, aliases, take_over, taken_over_with_rest,
       large, proxied, web, api, vouched_for, secured, keyed, mounted, by_path, queued, survey,
       published_log, reopened_log, reloaded, crowded, many_sessions, many_nodes,
       many_filters]
PARTS = [(CONFIG, RUN), (MERGING, [merged]), (QUIET, [flood])]
