"""
A page in a headless Chromium, with MQTT.js out of http_dir: page, library and broker are served on
loopback, and the page tells what it saw as a message. Needs Debian's chromium, and npm to fetch the
library that package-lock.json names; without them it is skipped.
"""

import contextlib
import json
import pathlib
import shutil
import subprocess
import urllib.parse

import pytest

from harness.process import wait_until

HERE = pathlib.Path(__file__).parent
SIZE = 300_000

pytestmark = [
    pytest.mark.nightjar("2.0 serves no pages"),
    pytest.mark.timeout(180),
    pytest.mark.skipif(not (shutil.which("chromium") and shutil.which("npm")),
                       reason="needs chromium and npm"),
]


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """MQTT.js as browsers load it, by the lock file."""
    folder = tmp_path_factory.mktemp("npm")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
                          capture_output=True, text=True, timeout=150, check=False)
    if done.returncode:
        pytest.skip(f"npm ci: {done.stderr[-300:]}")
    return folder / "node_modules/mqtt/dist/mqtt.min.js"


def config(authority):
    """Files; WebSocket for pages of theirs, the same with TLS, for pages of others; and MQTT."""
    return ("listener {port} 127.0.0.1\nprotocol http_api\nhttp_dir {dir}/www\n"
            "listener {port2} 127.0.0.1\nprotocol websockets\n"
            "websockets_origin http://127.0.0.1:{port}\n"
            "listener {port3} 127.0.0.1\nprotocol websockets\n"
            f"{authority.lines}"
            "listener {port4} 127.0.0.1\nprotocol websockets\n"
            "websockets_origin https://elsewhere.example\n"
            "listener {port5} 127.0.0.1\n"
            "allow_anonymous true\n")


@pytest.fixture
def site(start_broker, authority, library):
    broker = start_broker(config(authority))
    (broker.folder / "www").mkdir()
    for path in (library, HERE / "page.html", HERE / "page.js"):
        shutil.copy(path, broker.folder / "www")
    return broker


@contextlib.contextmanager
def chromium(folder, url):
    with open(folder / "chromium.log", "wb") as log:
        process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync",
             "--disable-component-update", "--no-proxy-server", "--ignore-certificate-errors",
             "--remote-debugging-port=0", f"--user-data-dir={folder}/profile", url],
            stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def address(site, name, version, way, leave="no"):
    ways = {"ws": f"ws://127.0.0.1:{site.places['port2']}/mqtt",
            "wss": f"wss://127.0.0.1:{site.places['port3']}/mqtt",
            "foreign": f"ws://127.0.0.1:{site.places['port4']}/mqtt"}
    return f"http://127.0.0.1:{site.port}/page.html?" + urllib.parse.urlencode({
        "name": name, "version": version, "url": ways[way], "other": ways["ws"], "leave": leave})


def result_of(client):
    return json.loads(client.expect("PUBLISH", timeout=60).payload)


@pytest.mark.workers
@pytest.mark.versions(3, 4, 5)
@pytest.mark.parametrize("way", ["ws", "wss"])
def test_a_page(site, tmp_path, version, way, workers):
    watcher = site.connect("watcher", 4, address=("127.0.0.1", site.places["port5"]))
    watcher.subscribe("result/page")
    with chromium(tmp_path, address(site, "page", version, way)):
        result = result_of(watcher)
    assert "error" not in result, result
    got = {each["topic"].split("/")[-1]: each for each in result["got"]}
    assert {name: got[name]["qos"] for name in got} == {"0": 0, "1": 1, "2": 2, "large": 1}
    assert (got["large"]["size"], got["large"]["first"], got["large"]["last"]) == (SIZE, 1, 255)
    assert "Chrome/" in result["agent"]
    site.expect_line(r"New client connected from 127\.0\.0\.1:\d+ as page \(.*\)\.")


@pytest.mark.workers
@pytest.mark.parametrize("leave", ["yes", "no"])
def test_a_page_goes(site, tmp_path, leave, workers):
    """With a DISCONNECT, or as pages go: closed, and the will is sent."""
    watcher = site.connect("watcher", 4, address=("127.0.0.1", site.places["port5"]))
    watcher.subscribe("result/page", "will/page", qos=1)
    with chromium(tmp_path, address(site, "page", 5, "ws", leave)):
        watcher.take_message(60)
        if leave == "yes":
            site.expect_line(r"Client page \[.*\] disconnected\.")
    if leave == "yes":
        watcher.expect_nothing()
    else:
        assert watcher.take_message().topic == "will/page"
        site.expect_line(r"Client page \[.*\] disconnected: .*")


@pytest.mark.workers
def test_a_page_from_elsewhere(site, tmp_path, workers):
    """Its origin is not one of websockets_origin's."""
    watcher = site.connect("watcher", 4, address=("127.0.0.1", site.places["port5"]))
    watcher.subscribe("result/page")
    with chromium(tmp_path, address(site, "page", 5, "foreign")):
        result = result_of(watcher)
    assert "error" in result
    site.expect_line(r"Client 127\.0\.0\.1 \[.*\] disconnected: WebSocket: origin is not allowed\.")


@pytest.mark.workers
def test_several_pages(site, tmp_path, workers):
    watcher = site.connect("watcher", 4, address=("127.0.0.1", site.places["port5"]))
    watcher.subscribe("result/+")
    with contextlib.ExitStack() as stack:
        for n in range(2):
            folder = tmp_path / str(n)
            folder.mkdir()
            stack.enter_context(chromium(folder, address(site, f"page-{n}", 5, "ws")))
        for _ in range(2):
            assert "error" not in result_of(watcher)
    wait_until(lambda: site.count_lines(r"Client page-\d \[.*\] disconnected.*") == 2)
