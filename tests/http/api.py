"""
A listener of protocol http_api: whether the broker lives and is ready, and Mosquitto's three
answers.
"""

import base64
import json
import signal

import pytest

from harness import figures, ports, proxy, tls, users
from harness.api import API, Web, basic
from harness.process import wait_until

pytestmark = pytest.mark.nightjar("2.0 has none")


@pytest.fixture
def broker(start_broker):
    return start_broker(API)


def test_health(broker):
    web = Web(broker)
    for path, text in (("/livez", "alive\n"), ("/readyz", "ready\n")):
        for _ in range(3):
            status, headers, body = web.get(path)
            assert (status, body) == (200, text)
            assert headers["Content-Type"] == "text/plain; charset=utf-8"
            assert headers["Connection"] == "keep-alive"
    assert web.get("/livez?x=1")[0] == 200
    assert web.get("/livez/")[0] == 404


def test_nobody_hears_of_health_checks(broker):
    for _ in range(5):
        web = Web(broker)
        web.get("/livez")
        web.connection.close()
    assert not [line for line in broker.lines() if "connect" in line.lower()]


def test_version(broker):
    status, headers, body = Web(broker).get("/api/v1/version")
    assert status == 200 and f"nightjar version {body} running" in broker.log()
    assert headers["Access-Control-Allow-Origin"] == "*"


def test_listeners(start_broker, authority):
    files = authority.lines
    broker = start_broker(API + "listener {port3}\nprotocol websockets\n" + files +
                          "listener 0 {dir}/s\nlistener_allow_anonymous false\n")
    status, headers, body = Web(broker).get("/api/v1/listeners")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    ports = [broker.places[name] for name in ("port", "port2", "port3")]
    assert json.loads(body) == {"listeners": [
        {"port": ports[0], "protocol": "mqtt", "tls": False, "mtls": False,
         "allow_anonymous": True},
        {"port": ports[1], "protocol": "http_api", "tls": False, "mtls": False,
         "allow_anonymous": True},
        {"port": ports[2], "protocol": "websockets", "tls": True, "mtls": False,
         "allow_anonymous": True},
        {"path": f"{broker.folder}/s", "protocol": "mqtt", "tls": False, "mtls": False,
         "allow_anonymous": False},
    ]}


@pytest.mark.workers
def test_systree(start_broker, workers):
    """The figures of $SYS, now, as numbers."""
    broker = start_broker("sys_interval 1\n" + API)
    clients = [broker.connect(f"x{n}") for n in range(3)]
    clients[0].subscribe("$SYS/#")
    topics = set()

    def has_all():
        while (got := clients[0].receive(0.1)) is not None:
            topics.add(got.topic)
        return f"{figures.FRONT}load/sockets/15min" in topics

    wait_until(has_all)
    tree = json.loads(Web(broker).get("/api/v1/systree")[2])
    assert all(isinstance(value, int) for value in tree.values())
    assert tree["$SYS/broker/clients/connected"] == 3
    assert tree["$SYS/broker/subscriptions/count"] == 1
    assert tree["$SYS/broker/heap/current"] > 100_000
    assert 0 <= tree["$SYS/broker/uptime"] < 600
    published = {topic for topic in topics if "/load/" not in topic and "/listener/" not in topic}
    assert set(tree) <= published and "$SYS/broker/version" not in tree
    assert not {topic for topic in tree if topic.endswith("clients/active")}


def test_what_is_not_there(broker):
    web = Web(broker)
    for path in ("/", "/api", "/api/", "/api/v1/", "/api/v1/client", "/api/v2/version", "/x"):
        assert web.get(path)[0] == 404
    web.connection.close()
    for method, status in (("POST", 405), ("DELETE", 405), ("BREW", 501)):
        assert Web(broker).get("/livez", method)[0] == status


def test_head(broker):
    web = Web(broker)
    for path in ("/livez", "/api/v1/systree"):
        status, headers, body = web.get(path, "HEAD")
        assert (status, body) == (200, "") and int(headers["Content-Length"]) > 5


def test_login(start_broker):
    """Health needs none; for all else it is the same chain as for clients."""
    broker = start_broker(API + "listener_allow_anonymous false\n")
    web = Web(broker)
    assert web.get("/livez")[0] == web.get("/readyz")[0] == 200
    for path in ("/api/v1/version", "/api/v1/systree", "/", "/x"):
        status, headers, _ = web.get(path)
        assert status == 401 and headers["WWW-Authenticate"].startswith("Basic realm=")
    for wrong in ("Basic", "Basic x", "Basic " + base64.b64encode(b"no colon").decode(),
                  "Bearer x", "Basic " + "QQ==" * 600):
        assert web.get("/api/v1/version", Authorization=wrong)[0] == 401


@pytest.mark.workers
def test_passwords_and_rules(start_broker, workers):
    """A path is a topic that has to be readable."""
    broker = start_broker(API + "listener_allow_anonymous false\n"
                          "listener_password_file {dir}/passwords\n"
                          "listener_acl_file {dir}/rules\n", files={
        "passwords": users.password("anna") + users.password("bert", "argon2id"),
        "rules": "user anna\ntopic read /api/#\nuser bert\ntopic /api/v1/version\n"})
    for name, tree in (("anna", 200), ("bert", 403)):
        web = Web(broker)
        for _ in range(3):
            right = basic(name, f"{name}-secret")
            assert web.get("/api/v1/version", Authorization=right)[0] == 200
            assert web.get("/api/v1/systree", Authorization=right)[0] == tree
            assert web.get("/api/v1/version", Authorization=basic(name, "wrong"))[0] == 401
            assert web.get("/api/v1/version", Authorization=basic("nobody", "x"))[0] == 401
            assert web.get("/api/v1/version")[0] == 401
            assert web.get("/livez")[0] == 200
    assert Web(broker).get("/x", Authorization=basic("anna", "anna-secret"))[0] == 403
    many = [Web(broker) for _ in range(8)]
    for web in many:
        web.connection.request("GET", "/api/v1/version",
                               headers={"Authorization": basic("anna", "anna-secret")})
    assert [web.connection.getresponse().status for web in many] == [200] * 8


@pytest.mark.workers
def test_passwords_are_read_again(start_broker, workers):
    broker = start_broker(API + "listener_allow_anonymous false\n"
                          "listener_password_file {dir}/passwords\n",
                          files={"passwords": users.password("anna")})
    web = Web(broker)
    login = basic("anna", "anna-secret")
    assert web.get("/api/v1/version", Authorization=login)[0] == 200
    (broker.folder / "passwords").write_text("")
    broker.reload()
    assert web.get("/api/v1/version", Authorization=login)[0] == 401


def test_over_tls(start_broker, authority):
    broker = start_broker(API + authority.lines)
    web = Web(broker, tls.context(authority.cert))
    for _ in range(3):
        assert web.get("/readyz")[0] == 200
    assert "$SYS/broker/uptime" in json.loads(web.get("/api/v1/systree")[2])


def test_behind_a_proxy(start_broker):
    broker = start_broker(API + "enable_proxy_protocol 2\nproxy_protocol_trusted 127.0.0.1\n")
    client = broker.open_web(address=("127.0.0.1", broker.places["port2"]))
    client.send_raw(proxy.client("192.0.2.1", 99), b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.read_answer()[0] == 200


def test_http_1_0(broker):
    """Closes, unless it is asked not to."""
    address = ("127.0.0.1", broker.places["port2"])
    client = broker.open_web(address=address)
    client.send_raw(b"GET /livez HTTP/1.0\r\n\r\n")
    assert client.read_answer()[0] == 200
    client.expect_close()
    client = broker.open_web(address=address)
    for _ in range(2):
        client.send_raw(b"GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert client.read_answer()[0] == 200


def test_asked_to_close(broker):
    client = broker.open_web(address=("127.0.0.1", broker.places["port2"]))
    client.send_raw(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    status, headers, _ = client.read_answer()
    assert (status, dict(headers)["Connection"]) == (200, "close")
    client.expect_close()


@pytest.mark.workers
def test_clients_live_beside_it(start_broker, workers):
    broker = start_broker(API)
    client = broker.connect("x", 5)
    client.subscribe("t")
    webs = [Web(broker) for _ in range(8)]
    for n in range(50):
        assert webs[n % 8].get("/api/v1/systree")[0] == 200
        client.publish("t", b"%d" % n)
        client.expect_message("t", b"%d" % n)


@pytest.mark.workers
def test_draining(start_broker, workers):
    """Alive, and not ready for more."""
    broker = start_broker("drain_delay 30\n" + API)
    web = Web(broker)
    broker.signal(signal.SIGRTMIN + 1)
    wait_until(lambda: web.get("/readyz")[::2] == (503, "draining\n"))
    assert web.get("/livez")[0] == 200


def test_haproxy_checks_it(start_broker, start_haproxy):
    """`option httpchk GET /readyz` finds the broker up."""
    broker = start_broker(API)
    haproxy = start_haproxy("""
frontend mqtt_frontend
    bind 127.0.0.1:{front}
    default_backend mqtt_backend
backend mqtt_backend
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host nightjar
    http-check expect status 200
    server server1 127.0.0.1:{port} check port {port2} inter 200
""", {**broker.places, "front": ports.take()})
    wait_until(lambda: haproxy.server()["check_status"] == "L7OK", 10)
