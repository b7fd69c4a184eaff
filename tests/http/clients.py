"""
The list of clients of a listener of protocol http_api: who is connected, from where, over which
proxy and with which TLS, in pages.
"""

import datetime
import json
import random
import ssl
import threading

import pytest

from harness import proxy, tls, users, wire
from harness.api import API, Web, basic
from harness.client import Client
from harness.process import wait_until

pytestmark = pytest.mark.nightjar("Mosquitto has none")

PATH = "/api/v1/clients"


def page(web, query="", **headers):
    status, fields, body = web.get(PATH + query, **headers)
    assert (status, fields["Content-Type"]) == (200, "application/json"), (status, body)
    assert fields["Cache-Control"] == "no-store"
    return json.loads(body)


def pages(web, limit, between=lambda: None):
    """All of them, one after the other."""
    found = page(web, f"?limit={limit}")
    yield found["clients"]
    while found["cursor"]:
        between()
        found = page(web, f"?limit={limit}&cursor={found['cursor']}")
        assert len(found["clients"]) <= limit
        yield found["clients"]


def everybody(web, limit=1000):
    return {each["clientid"]: each for part in pages(web, limit) for each in part}


@pytest.fixture
def broker(start_broker):
    return start_broker(API)


def test_nobody(broker):
    assert page(Web(broker)) == {"clients": [], "cursor": None}


def test_what_is_told(broker):
    before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    client = broker.connect("meter", 5, username="anna", keepalive=45)
    (told,) = page(Web(broker))["clients"]
    since = datetime.datetime.fromisoformat(told.pop("connected_at").replace("Z", "+00:00"))
    assert before <= since <= datetime.datetime.now(datetime.timezone.utc)
    assert told == {
        "clientid": "meter", "username": "anna", "address": "127.0.0.1",
        "port": client.socket.getsockname()[1], "proxy": None,
        "listener": {"port": broker.port}, "protocol": "mqtt", "protocol_version": 5,
        "keepalive": 45, "tls": None, "authority": None, "alpn": None}


@pytest.mark.workers
def test_who_leaves_is_gone(start_broker, workers):
    broker = start_broker(API)
    web = Web(broker)
    first, second = broker.connect("first", 4, lasting=True), broker.connect("second", 3)
    assert {name: each["protocol_version"] for name, each in everybody(web).items()} == \
        {"first": 4, "second": 3}
    first.disconnect()
    wait_until(lambda: set(everybody(web)) == {"second"})
    broker.connect("first", 4, lasting=True)
    taken = broker.connect("second", 5)
    second.expect_close()
    assert everybody(web)["second"]["port"] == taken.socket.getsockname()[1]


def test_unix(start_broker):
    broker = start_broker(API + "listener 0 {dir}/s\nallow_anonymous true\n")
    broker.connect("near", address=f"{broker.folder}/s")
    (told,) = page(Web(broker))["clients"]
    assert told["path"] == f"{broker.folder}/s" and told["listener"] == {"path": told["path"]}
    assert "address" not in told and told["proxy"] is None


def test_web_sockets(start_broker):
    broker = start_broker(API + "listener {port3} 127.0.0.1\nallow_anonymous true\n"
                          "protocol websockets\nforwarded_for_trusted 127.0.0.1\n")
    address = ("127.0.0.1", broker.places["port3"])
    client = broker.connect_web("page", address=address,
                                headers={"X_Forwarded_For": "2001:db8::7"})
    (told,) = page(Web(broker))["clients"]
    assert (told["protocol"], told["address"]) == ("websockets", "2001:db8::7")
    assert told["proxy"] == {"address": "127.0.0.1", "port": client.socket.getsockname()[1]}
    assert told["listener"] == {"port": broker.places["port3"]}


PROXIED = API + "listener {port3} 127.0.0.1\nallow_anonymous true\nenable_proxy_protocol 2\n" \
    "proxy_protocol_trusted 127.0.0.1\n"


def ssl_facts(bits, verify=b"\0\0\0\0", name=b"meter"):
    return proxy.tlv(0x20, bytes([bits]) + verify + proxy.tlv(0x21, b"TLSv1.3") +
                     proxy.tlv(0x23, b"TLS_AES_128_GCM_SHA256") + proxy.tlv(0x22, name))


@pytest.mark.workers
def test_what_a_proxy_told(start_broker, workers):
    broker = start_broker(PROXIED)
    address = ("127.0.0.1", broker.places["port3"])
    more = [proxy.tlv(1, b"mqtt"), proxy.tlv(2, b"tenant.example")]
    tls_13 = {"ends_at": "proxy", "version": "TLSv1.3", "cipher": "TLS_AES_128_GCM_SHA256"}
    rows = {
        "verified": ([ssl_facts(7), *more], {**tls_13, "verified": True, "common_name": "meter"}),
        "unverified": ([ssl_facts(7, b"\0\0\0\1"), *more],
                       {**tls_13, "verified": False, "common_name": "meter"}),
        "without": ([ssl_facts(1, name=b""), *more],
                    {**tls_13, "verified": False, "common_name": None}),
        "plain": (more, None),
    }
    clients = {name: broker.connect(name, 5, address=address,
                                    before=proxy.client("192.0.2.9", 77, *tlvs))
               for name, (tlvs, _) in rows.items()}
    broker.connect("bare", 5, address=address, before=proxy.client("2001:db8::9", 0))
    told = everybody(Web(broker))
    assert told.pop("bare")["authority"] is None
    for name, each in told.items():
        assert each["tls"] == rows[name][1], name
        assert (each["address"], each["port"]) == ("192.0.2.9", 77)
        assert (each["authority"], each["alpn"]) == ("tenant.example", "mqtt")
        assert each["proxy"] == {"address": "127.0.0.1",
                                 "port": clients[name].socket.getsockname()[1]}


def test_whatever_a_proxy_told(start_broker):
    """Not even UTF-8 need it be: the answer is JSON all the same."""
    broker = start_broker(PROXIED)
    odd = proxy.client("192.0.2.9", 1, proxy.tlv(2, b'a"\\\xff\x00\n\xc3'),
                       ssl_facts(7, name=b"\x1b[31m\xf0\x9f\x98\x80\xed\xa0\x80"))
    broker.connect("odd", address=("127.0.0.1", broker.places["port3"]), before=odd)
    (told,) = page(Web(broker))["clients"]
    assert told["authority"] == 'a"\\\ufffd\0\n\ufffd'
    assert told["tls"]["common_name"] == "\x1b[31m\U0001F600" + "\ufffd" * 3


@pytest.mark.workers
@pytest.mark.parametrize("tls_version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_of_its_own(start_broker, authority, tls_version, workers):
    """Also of a session that goes on from an earlier one."""
    pair = authority.client("meter")
    broker = start_broker(API + "listener {port3}\nallow_anonymous true\n" + authority.lines +
                          f"cafile {authority.cert}\nrequire_certificate true\n"
                          "listener {port4}\nallow_anonymous true\n" + authority.lines)
    web = Web(broker)
    session = None
    for n, port in enumerate(("port3", "port3", "port4")):
        certificate = (pair.cert, pair.key) if port == "port3" else None
        if n != 1:
            rules = tls.context(authority.cert, certificate, tls_version)
            rules.set_alpn_protocols(["x-amzn-mqtt-ca", "mqtt"])
        client = broker.open(5, ("127.0.0.1", broker.places[port]), name=f"client-{n}")
        client.start_tls(rules, session=session)
        client.send(wire.connect(f"client-{n}", 5))
        client.expect("CONNACK", code=0)
        assert client.socket.tls.session_reused == (n == 1)
        session = client.socket.tls.session if n == 0 else None
        told = everybody(web)[f"client-{n}"]
        assert told["tls"] == {
            "ends_at": "broker", "version": str(client.socket.tls.version()),
            "cipher": client.socket.tls.cipher()[0], "verified": port == "port3",
            "common_name": "meter" if port == "port3" else None}
        assert (told["authority"], told["alpn"]) == ("localhost", "mqtt")


def test_without_names(start_broker, authority):
    broker = start_broker(API + "listener {port3}\nallow_anonymous true\n" + authority.lines)
    rules = tls.context()
    rules.set_alpn_protocols(["h2"])
    client = broker.open(5, ("127.0.0.1", broker.places["port3"]))
    client.start_tls(rules, name=None)
    client.send(wire.connect("nameless", 5))
    client.expect("CONNACK", code=0)
    told = everybody(Web(broker))["nameless"]
    assert told["tls"]["version"] and (told["authority"], told["alpn"]) == (None, None)


def test_passed_through_a_proxy(start_broker, authority):
    """A header in front of our own TLS: the address is the header's, the facts are ours."""
    broker = start_broker(PROXIED + authority.lines)
    client = broker.open(5, ("127.0.0.1", broker.places["port3"]))
    client.send(proxy.client("192.0.2.9", 77, proxy.tlv(2, b"told.example")))
    client.start_tls(tls.context(authority.cert))
    client.send(wire.connect("through", 5))
    client.expect("CONNACK", code=0)
    told = everybody(Web(broker))["through"]
    assert told["address"] == "192.0.2.9" and told["proxy"]["address"] == "127.0.0.1"
    assert told["tls"]["ends_at"] == "broker" and told["authority"] == "localhost"


NAMES = ['quoted "', "back\\slash", "{}[],:", "\u00e4\u4e2d\U0001F600", "\u202e\u200b\ufeff", " ",
         "/+#", "x" * 23, "long " + "y" * 65530, '"' * 65535]


@pytest.mark.workers
def test_any_name(start_broker, workers):
    broker = start_broker(API)
    for n, name in enumerate(NAMES):
        broker.connect(name, 4 + n % 2, username=name[:30000])
    told = everybody(Web(broker))
    assert set(told) == set(NAMES)
    assert all(each["username"] == name[:30000] for name, each in told.items())


@pytest.mark.workers
@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_pages(start_broker, workers, limit):
    broker = start_broker(API)
    names = {f"client {n}" for n in range(60)}
    for name in names:
        broker.connect(name, 5)
    parts = list(pages(Web(broker), limit))
    found = [each["clientid"] for part in parts for each in part]
    assert len(found) == len(names) and set(found) == names
    assert all(len(part) == limit for part in parts[:-1])
    assert list(pages(Web(broker), limit)) == parts


@pytest.mark.workers
def test_pages_while_others_come_and_go(start_broker, workers):
    """Of a thousand who stay none is missing, and nobody is there twice."""
    broker = start_broker(API)
    stay = {f"stays {n}" for n in range(1000)}
    go = [f"goes {n}" for n in range(400)]
    clients = {name: broker.connect(name, 5) for name in [*stay, *go[:200]]}
    dice = random.Random(workers)

    def come_and_go():
        for _ in range(30):
            name = dice.choice(go)
            if name in clients:
                clients.pop(name).close()
            else:
                clients[name] = broker.connect(name, 5)
        name = f"stays {dice.randrange(1000)}"
        clients[name].close()
        clients[name] = broker.connect(name, 5)
        moved.add(name)

    for limit in (37, 400):
        moved = set()
        found = [each["clientid"] for part in pages(Web(broker), limit, come_and_go)
                 for each in part]
        assert len(found) == len(set(found)), "somebody is there twice"
        assert stay - set(found) <= moved and set(found) <= stay | set(go)


@pytest.mark.workers
def test_pages_while_tables_grow(start_broker, workers):
    broker = start_broker(API)
    stay = {f"stays {n}" for n in range(50)}
    for name in stay:
        broker.connect(name, 5)
    waves = iter(range(6))

    def grow():
        if next(waves, None) is not None:
            for _ in range(200):
                broker.connect(version=5)

    found = [each["clientid"] for part in pages(Web(broker), 10, grow) for each in part]
    assert len(found) == len(set(found)) and stay <= set(found)


@pytest.mark.workers
def test_many_sessions_without_a_client(start_broker, workers):
    """Those are passed over, in slices."""
    broker = start_broker(API)
    for n in range(3000):
        with broker.open(4, name=f"away {n}") as client:
            client.send(wire.connect(f"away {n}", 4, clean=False), wire.disconnect())
            client.expect("CONNACK")
        broker.clients.remove(client)
    broker.connect("here", 5)
    web = Web(broker)
    wait_until(lambda: set(everybody(web)) == {"here"})


@pytest.mark.workers
def test_an_answer_has_a_size(start_broker, workers):
    """Of whoever has long names fewer are on a page."""
    broker = start_broker(API)
    for n in range(40):
        broker.connect(f"{n} " + '"' * 30000, 5)
    parts = list(pages(Web(broker), 1000))
    assert len(parts) > 5 and sum(map(len, parts)) == 40


@pytest.mark.workers
def test_memory_is_bounded(start_broker, workers):
    """Who asks and does not read, or leaves, costs a page."""
    broker = start_broker(API)
    for n in range(300):
        broker.connect(f"{n} " + "x" * 1000, 5)
    web = Web(broker)

    def used():
        return json.loads(web.get("/api/v1/systree")[2])["$SYS/broker/heap/current"]

    before = used()
    request = f"GET {PATH}?limit=1000 HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    address = ("127.0.0.1", broker.places["port2"])
    for _ in range(5):
        askers = [Client(address) for _ in range(40)]
        for each in askers:
            each.socket.sendall(request)
        assert used() - before < 100 * 1024 * 1024
        for n, each in enumerate(askers):
            each.reset() if n % 2 else each.close()
    wait_until(lambda: used() - before < 1024 * 1024)
    wait_until(lambda: web.get(PATH)[0] == 200)  # the last of those who left were still served
    assert len(everybody(web)) == 300


@pytest.mark.workers
def test_many_ask_at_once(start_broker, workers):
    """Each is answered, or told that it is one too many; clients go on meanwhile."""
    broker = start_broker(API)
    for n in range(200):
        broker.connect(f"{n}", 5)
    client = broker.connect("busy", 5)
    client.subscribe("t")
    statuses = set()

    def ask():
        web = Web(broker)
        for _ in range(10):
            statuses.add(web.get(PATH + "?limit=1000")[0])

    threads = [threading.Thread(target=ask) for _ in range(24)]
    for each in threads:
        each.start()
    for n in range(100):
        client.publish("t", b"%d" % n)
        client.expect_message("t", b"%d" % n)
    for each in threads:
        each.join()
    assert 200 in statuses and statuses <= {200, 503}


def test_two_requests_in_one(broker):
    broker.connect("x", 5)
    client = broker.open_web(address=("127.0.0.1", broker.places["port2"]))
    ask = f"GET {PATH} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    client.send_raw(ask + b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" + ask)
    for n in range(3):
        status, _, body = client.read_answer()
        assert status == 200 and (body == b"alive\n") == (n == 1)
    assert Web(broker).get(PATH, "HEAD")[2] == ""


def test_wrong_queries(broker):
    web = Web(broker)
    for query in ("limit=0", "limit=1001", "limit=", "limit=-1", "limit=x", "limit", "limit=1e2",
                  "limit=99999999999999999999999", "cursor=", "cursor=1", "cursor=" + "z" * 26,
                  "cursor=ff" + "0" * 24, "cursor=" + "0" * 27, "limit=5&limit=5", "curser=1",
                  "limit=5&x", "&", "=", "%6cimit=5"):
        status, _, body = web.get(f"{PATH}?{query}")
        assert status == 400 and body.endswith("\n"), query
    for query in ("", "?", "?limit=1", "?limit=1000", "?limit=0005&cursor=" + "0" * 26,
                  "?cursor=00" + "f" * 24):
        assert page(web, query)["cursor"] is None
    assert web.get(PATH + "/")[0] == 404


@pytest.mark.workers
def test_who_may_ask(start_broker, workers):
    """As for the other answers: who may log in, and may read the path as a topic."""
    broker = start_broker(API + "listener_allow_anonymous false\n"
                          "listener_password_file {dir}/passwords\n"
                          "listener_acl_file {dir}/rules\n", files={
        "passwords": users.password("anna") + users.password("bert"),
        "rules": f"user anna\ntopic read {PATH}\nuser bert\ntopic /api/v1/version\n"})
    broker.connect("x", 5)
    web = Web(broker)
    assert web.get(PATH)[0] == 401
    assert web.get(PATH, Authorization=basic("anna", "wrong"))[0] == 401
    assert web.get(PATH, Authorization=basic("bert", "bert-secret"))[0] == 403
    for _ in range(3):
        right = basic("anna", "anna-secret")
        assert len(page(web, Authorization=right)["clients"]) == 1
        assert web.get("/api/v1/version", Authorization=right)[0] == 403
    assert web.get(PATH)[0] == 401


@pytest.mark.workers
def test_stopping(start_broker, workers):
    """Whoever asks while the broker ends holds nobody up."""
    broker = start_broker(API)
    for n in range(300):
        broker.connect(f"{n}", 5)
    address = ("127.0.0.1", broker.places["port2"])
    askers = [Client(address) for _ in range(30)]
    for each in askers:
        each.socket.sendall(f"GET {PATH}?limit=1000 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
