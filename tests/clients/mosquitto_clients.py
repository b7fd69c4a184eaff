"""The command line clients of Mosquitto do what their users expect."""

import subprocess

import pytest

from harness.tools import Sub, arguments, pub


@pytest.mark.holds("3.1.1: MQTT-7.0.0-2 MQTT-7.1.1-1",
                   "5.0: MQTT-4.2.0-1")
@pytest.mark.workers
@pytest.mark.versions(3, 4, 5)
def test_pub_and_sub(broker, version, workers):
    with Sub(broker.address, version, "-t", "a/#", "-t", "b", "-q", "1", "-v") as sub:
        pub(broker.address, version, "-t", "a/x", "-m", "1")
        pub(broker.address, version, "-t", "b", "-m", "2", "-q", "2", "-r")
        pub(broker.address, version, "-t", "a/n", "-n", "-q", "1")
        sub.expect("a/x 1", "b 2", "a/n (null)")
    done = subprocess.run(arguments("sub", broker.address, version, "-t", "b", "-C", "1", "-W", "5",
                                    "-F", "%t %p %r"), capture_output=True, timeout=10, check=False)
    assert done.stdout == b"b 2 1\n"


@pytest.mark.workers
def test_many_lines(broker, version, workers):
    """mosquitto_pub -l: one connection, a message for each line."""
    with Sub(broker.address, version, "-t", "t", "-q", "1") as sub:
        lines = "".join(f"line {n}\n" for n in range(500))
        subprocess.run(arguments("pub", broker.address, version, "-t", "t", "-l", "-q", "1"),
                       input=lines.encode(), timeout=15, check=True)
        sub.expect(*(f"line {n}" for n in range(500)))


@pytest.mark.workers
def test_a_file(broker, version, tmp_path, workers):
    data = bytes(range(256)) * 2000
    (tmp_path / "data").write_bytes(data)
    pub(broker.address, version, "-t", "t", "-f", str(tmp_path / "data"), "-q", "2", "-r")
    done = subprocess.run(arguments("sub", broker.address, version, "-t", "t", "-C", "1", "-N"),
                          capture_output=True, timeout=10, check=False)
    assert done.stdout == data


@pytest.mark.workers
def test_a_stored_session(broker, version, workers):
    lasting = ["-x", "3600"] if version == 5 else []
    common = ["-t", "t", "-q", "1", "-i", "stored", "-c", *lasting]
    subprocess.run(arguments("sub", broker.address, version, *common, "-E"), timeout=10, check=True)
    for number in range(3):
        pub(broker.address, version, "-t", "t", "-q", "1", "-m", str(number))
    done = subprocess.run(arguments("sub", broker.address, version, *common, "-C", "3", "-W", "5"),
                          capture_output=True, timeout=10, check=False)
    assert done.stdout == b"0\n1\n2\n"


@pytest.mark.workers
def test_properties(broker, workers):
    with Sub(broker.address, 5, "-t", "t", "-F", "got %p %P %C %R %D") as sub:
        pub(broker.address, 5, "-t", "t", "-m", "x", "-D", "publish", "user-property", "a", "b",
            "-D", "publish", "content-type", "text", "-D", "publish", "response-topic", "r",
            "-D", "publish", "correlation-data", "cd")
        sub.expect("got x a:b text r cd")


@pytest.mark.workers
def test_a_will(broker, version, workers):
    with Sub(broker.address, version, "-t", "gone") as watcher:
        with Sub(broker.address, version, "-t", "t", "--will-topic", "gone",
                 "--will-payload", "bye") as dying:
            dying.process.kill()
            watcher.expect("bye")


@pytest.mark.workers
def test_rr(broker, version, workers):
    with Sub(broker.address, version, "-t", "question") as server:
        asking = subprocess.Popen(
            arguments("rr", broker.address, version, "-t", "question", "-e", "answer", "-m", "?",
                      "-W", "8"), stdout=subprocess.PIPE)
        server.expect("?")
        pub(broker.address, version, "-t", "answer", "-m", "!")
        assert asking.communicate(timeout=15)[0] == b"!\n"
