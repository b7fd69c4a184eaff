"""
http_dir: files of a folder, whatever paths, dots and links say; and a request that is no good ends
the connection with a status.
"""

import os
import time

import pytest

from harness.client import Closed
from harness.websocket import request

pytestmark = pytest.mark.nightjar("2.0 has none")

API = "listener {port} 127.0.0.1\nallow_anonymous true\n" \
      "listener {port2} 127.0.0.1\nprotocol http_api\nallow_anonymous true\nhttp_dir {dir}/www\n"


@pytest.fixture
def site(start_broker, tmp_path):
    """The folder is made with the broker's; what is in it may come later."""
    return serve(start_broker)


def serve(start_broker, extra=""):
    broker = start_broker(API + extra)
    (broker.folder / "www/sub").mkdir(parents=True)
    write(broker, "index.html", b"<p>front</p>")
    write(broker, "sub/index.html", b"<p>sub</p>")
    write(broker, "mqtt.js", b"x" * 50_000)
    write(broker, "empty.txt", b"")
    (broker.folder / "secret").write_bytes(b"secret")
    return broker


def write(broker, name, data):
    (broker.folder / "www" / name).write_bytes(data)


def ask(broker, path, method="GET", raw=None):
    """Status, headers and body of one answer."""
    client = broker.open_web(address=("127.0.0.1", broker.places["port2"]))
    client.send_raw(raw or f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    status, headers, body = client.read_answer() if method == "GET" else client.read_head()
    return status, dict(headers), body


@pytest.mark.parametrize("path, kind, body", [
    ("/", "text/html; charset=utf-8", b"<p>front</p>"),
    ("/index.html?x=1", "text/html; charset=utf-8", b"<p>front</p>"),
    ("/sub/", "text/html; charset=utf-8", b"<p>sub</p>"),
    ("/mqtt.js", "text/javascript; charset=utf-8", b"x" * 50_000),
    ("/%6dqtt.js", "text/javascript; charset=utf-8", b"x" * 50_000),
    ("/empty.txt", "text/plain; charset=utf-8", b""),
])
def test_files(site, path, kind, body):
    status, headers, got = ask(site, path)
    assert (status, headers["Content-Type"], got) == (200, kind, body)
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_folder_without_its_slash(site):
    status, headers, _ = ask(site, "/sub?a=b")
    assert (status, headers["Location"]) == (301, "/sub/?a=b")


@pytest.mark.parametrize("path", [
    "/none", "/sub/none", "/../secret", "/sub/../../secret", "/%2e%2e/secret", "/..%2fsecret",
    "/sub/..%2f..%2fsecret", "//secret", "/out", "/away/secret", "/absolute", "/.hidden", "/loop",
    "/pipe", "/sub/.", "/mqtt.js/", "/mqtt.js/x", "/%00", "/%", "/" + "a" * 2000, "/folder",
])
def test_what_is_not_served(site, path):
    www = site.folder / "www"
    (www / "out").symlink_to("../secret")
    (www / "away").symlink_to("..")
    (www / "absolute").symlink_to(site.folder / "secret")
    (www / "loop").symlink_to("loop")
    (www / ".hidden").write_bytes(b"secret")
    os.mkfifo(www / "pipe")
    (www / "folder").mkdir()
    status, _, body = ask(site, path)
    expected = 301 if path == "/folder" else 404
    assert status == expected and b"secret" not in body


def test_links_inside(site):
    (site.folder / "www/link.js").symlink_to("mqtt.js")
    assert ask(site, "/link.js")[2] == b"x" * 50_000


def test_unreadable(site):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (site.folder / "www/mqtt.js").chmod(0)
    assert ask(site, "/mqtt.js")[0] == 404


def test_how_large_a_file_may_be(start_broker):
    site = serve(start_broker, "http_max_file_size 40000\n")
    assert ask(site, "/mqtt.js")[0] == 403
    write(site, "mqtt.js", b"x" * 40_000)
    assert ask(site, "/mqtt.js")[0] == 200


def test_many_requests_on_one_connection(site):
    client = site.open_web(address=("127.0.0.1", site.places["port2"]))
    for _ in range(50):
        client.send_raw(b"GET /mqtt.js HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.read_answer()[2] == b"x" * 50_000


def test_requests_behind_one_another(site):
    """All are answered, in their order, though nobody asks like that."""
    client = site.open_web(address=("127.0.0.1", site.places["port2"]))
    paths = ["/", "/sub/", "/none", "/mqtt.js"] * 20
    data = b"".join(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for path in paths)
    client.send_raw(data[:1000])
    client.send_raw(data[1000:], pieces=700, delay=0.001)
    for path in paths:
        status, _, body = client.read_answer()
        assert status == (404 if path == "/none" else 200)
        assert path != "/mqtt.js" or len(body) == 50_000


def test_a_slow_reader_gets_all(site):
    """Also where the connection is closed behind it."""
    data = os.urandom(8_000_000)
    write(site, "large", data)
    client = site.open_web(address=("127.0.0.1", site.places["port2"]))
    client.send_raw(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    time.sleep(0.5)
    assert client.read_answer()[2] == data
    client.expect_close()


def test_who_has_said_all_is_answered(site):
    """Half a connection is enough to hear."""
    client = site.open_web(address=("127.0.0.1", site.places["port2"]))
    write(site, "large", b"y" * 3_000_000)
    client.send_raw(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
    client.socket.shutdown(1)
    assert client.read_answer()[2] == b"y" * 3_000_000
    client.expect_close()


@pytest.mark.parametrize("data, status", [
    (b"\x10\x0c\0\4MQTT", 400), (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\nHost: a\n\n", 400), (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 413),
    (b"GET /" + b"a" * 4091, 414), (b"GET / HTTP/1.1\r\nX: " + b"a" * 4077, 431),
    (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
], ids=range(10))
def test_refused(site, data, status):
    client = site.open_web(address=("127.0.0.1", site.places["port2"]))
    client.send_raw(data)
    got, headers, _ = client.read_answer()
    assert got == status
    client.expect_close()
    assert ask(site, "/")[0] == 200


def test_websocket_is_elsewhere(site):
    assert ask(site, "/", raw=request("/"))[0] == 200


@pytest.mark.parametrize("text", ["", "connect_timeout 1\n"])
def test_slow_requests_end(start_broker, text):
    site = serve(start_broker, text)
    client = site.open_web(address=("127.0.0.1", site.places["port2"]))
    if not text:
        client.send_raw(b"GET / HT", pieces=1, delay=0.01)
        client.send_raw(b"TP/1.1\r\nHost: a\r\n\r\n", pieces=1, delay=0.01)
        assert client.read_answer()[0] == 200
        return
    for byte in b"GET / HTTP/1.1\r\nX: " + b"y" * 200:
        try:
            client.send_raw(bytes([byte]))
            client.fill(time.monotonic() + 0.05)
        except (OSError, Closed):
            return
    raise AssertionError("not closed")


def test_idle_connections_end(start_broker):
    site = serve(start_broker, "connect_timeout 1\n")
    client = site.open_web(address=("127.0.0.1", site.places["port2"]))
    client.send_raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.read_answer()
    client.expect_close(5)
    assert "disconnected" not in site.log()


def test_the_oldest_make_way(start_broker):
    """They are connections without a CONNECT. Of two workers one may hold all that may be, and the
    other keeps its share, 2, beside that."""
    site = serve(start_broker, "max_pending_connections 4\n")
    clients = [site.open_web(address=("127.0.0.1", site.places["port2"])) for _ in range(12)]
    clients[-1].send_raw(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
    assert clients[-1].read_answer()[0] == 200
    assert sum(each.ended(0.05) for each in clients[:-1]) >= 12 - (4 + 2)
