"""
password_file: who is in it comes in with the right password, and nobody else with a name. Files are
those of Debian's mosquitto_passwd and of nightjar-passwd.
"""

import re
import subprocess

import pytest

from harness import users, wire
from harness.broker import binary
from harness.process import wait_until
from harness.wire import Will

REFUSED = {3: 5, 4: 5, 5: 0x87}
LISTENER = "listener {port} 127.0.0.1\npassword_file {dir}/passwords\n"


def start(start_broker, text=LISTENER, names=None, **options):
    """A broker with these users, each of whom has NAME-secret for a password."""
    return start_broker(text, files={"passwords": users.passwords(names or ["anna", "bob"])},
                        **options)


@pytest.mark.holds("3.1.1: MQTT-3.1.4-2", "5.0: MQTT-3.1.4-2")
@pytest.mark.versions(3, 4, 5)
@pytest.mark.parametrize("fields, is_let_in", [
    ({"username": "anna", "password": "anna-secret"}, True),
    ({"username": "bob", "password": "bob-secret"}, True),
    ({"username": "anna", "password": "bob-secret"}, False),
    ({"username": "anna", "password": "anna-secre"}, False),
    ({"username": "anna", "password": "\0anna-secret"}, False),
    ({"username": "anna", "password": ""}, False),
    ({"username": "anna"}, False),
    ({"username": "carol", "password": "anna-secret"}, False),
    ({"username": "Anna", "password": "anna-secret"}, False),
    ({"username": "", "password": ""}, False),
    ({}, False),
], ids=str)
def test_who_comes_in(start_broker, version, fields, is_let_in):
    broker = start(start_broker)
    client = broker.connect("x", version, code=0 if is_let_in else REFUSED[version], **fields)
    if is_let_in:
        client.ping()
    else:
        client.expect_close()
        broker.expect_end_line("x", why="not authorised")


@pytest.mark.workers
@pytest.mark.parametrize("anonymous", ["true", "false"])
def test_anonymous_beside_users(start_broker, anonymous, workers):
    """allow_anonymous is for those without a name alone."""
    broker = start(start_broker, LISTENER + f"allow_anonymous {anonymous}\n")
    broker.connect("a", code=0 if anonymous == "true" else 5)
    broker.connect("b", code=5, username="carol", password="x").expect_close()
    broker.connect("c", username="anna", password="anna-secret").ping()


@pytest.mark.workers
@pytest.mark.nightjar("argon2id is 2.1's")
def test_all_forms(start_broker, workers):
    text = "".join(users.password(name, form) for name, form in
                   (("six", "sha512"), ("seven", "sha512-pbkdf2"), ("argon", "argon2id")))
    broker = start_broker(LISTENER, files={"passwords": text})
    for name in "six", "seven", "argon":
        broker.connect(name, username=name, password=f"{name}-secret").ping()
        broker.connect(name + "-", code=5, username=name, password="x").expect_close()


@pytest.mark.workers
@pytest.mark.holds("3.1.1: MQTT-3.1.4-5")
def test_what_is_behind_connect(start_broker, version, workers):
    """It waits until it is known who it is, and is then done in order, wherever the client lives."""
    broker = start(start_broker)
    for number in range(12):
        topic = f"behind/{number}"
        client = broker.open(version, name=topic)
        client.send(wire.connect(f"x-{number}", version, username="anna", password="anna-secret"),
                    wire.subscribe(1, (topic, 1), version=version),
                    wire.publish(topic, b"at once", 1, 2, version=version))
        client.expect("CONNACK", code=0)
        kinds = sorted(client.expect_any().kind for _ in range(3))
        assert kinds == ["PUBACK", "PUBLISH", "SUBACK"]
        client.ping()


@pytest.mark.workers
def test_what_is_behind_a_refused_connect(start_broker, version, workers):
    """Nothing of it is done, the will included, and nobody with that id is taken over."""
    broker = start(start_broker)
    watcher = broker.connect("watcher", version, username="bob", password="bob-secret")
    watcher.subscribe("#")
    kept = broker.connect("mine", version, username="anna", password="anna-secret")
    for number in range(6):
        client = broker.open(version)
        client.send(wire.connect("mine", version, username="anna", password="wrong",
                                 will=Will("will", b"gone", 1)),
                    wire.publish("evil", b"x", version=version))
        client.expect("CONNACK", code=REFUSED[version])
        client.expect_close()
    kept.ping()
    watcher.expect_nothing()


@pytest.mark.differs("2.0 just closes", version=5)
@pytest.mark.workers
def test_take_over(start_broker, version, workers):
    """Two who both may: the later one has it."""
    broker = start(start_broker)
    fields = {"username": "anna", "password": "anna-secret"}
    for _ in range(8):
        first = broker.connect("same", version, **fields)
        second = broker.connect("same", version, **fields)
        first.expect_end(0x8E)
        second.ping()


@pytest.mark.workers
def test_storm(start_broker, workers):
    """Many at once, half of them wrong, some of whom do not wait."""
    broker = start(start_broker)
    clients = [broker.open(4, name=f"s{number}") for number in range(120)]
    for number, client in enumerate(clients):
        word = "anna-secret" if number % 2 else "wrong"
        client.send(wire.connect(f"s{number}", 4, username="anna", password=word))
        if number % 5 == 0:
            client.reset()
    for number, client in enumerate(clients):
        if number % 5 != 0:
            client.expect("CONNACK", code=0 if number % 2 else 5)
    for number, client in enumerate(clients):
        if number % 5 != 0 and number % 2:
            client.ping()


def slow_password(iterations):
    """The line of a user whom no password lets in: 100,000 iterations take a fifth of a second, or more where memory is watched."""
    return f"slow:$7${iterations}$c2FsdA==$" + "A" * 86 + "==\n"


SLOW = slow_password(200000)


@pytest.mark.nightjar("2.0 looks at passwords where it serves")
def test_a_slow_look_holds_up_nobody(start_broker):
    """Clients are served while passwords are looked at, and who goes away is forgotten."""
    text = LISTENER + "password_threads 1\nallow_anonymous true\nconnect_timeout 30\n"
    broker = start_broker(text, files={"passwords": SLOW}, workers=1)
    other = broker.connect("other")
    slow = broker.open()
    slow.send(wire.connect("slow", 4, username="slow", password="x"))
    gone = [broker.open() for _ in range(5)]
    for each in gone:
        each.send(wire.connect("gone", 4, username="slow", password="x"))
    for _ in range(20):
        other.ping()
    for each in gone:
        each.reset()
    slow.expect("CONNACK", code=5, timeout=60)
    other.ping()


@pytest.mark.nightjar("2.0 looks at passwords where it serves")
@pytest.mark.timeout(120)
def test_the_queue_is_bounded(start_broker, version):
    """Who comes when too many wait is told so at once."""
    text = LISTENER + "password_threads 1\npassword_queue 1\nconnect_timeout 60\n"
    broker = start_broker(text, files={"passwords": SLOW}, workers=1)
    waiting = []
    for number in range(4):
        client = broker.open(version, name=f"w{number}")
        client.send(wire.connect(f"w{number}", version, username="slow", password="x"))
        waiting.append(client)
    codes = sorted(each.expect("CONNACK", timeout=100).code for each in waiting)
    busy = {4: 3, 5: 0x89}[version]
    assert busy in codes and set(codes) <= {busy, REFUSED[version]}
    broker.expect_line(r"Client w\d \[.*\] disconnected: too many wait to be let in\.")


@pytest.mark.nightjar("2.0 has no deadline for CONNECT")
@pytest.mark.timeout(120)
def test_the_deadline_holds(start_broker):
    """connect_timeout is for the look at the password as well."""
    text = LISTENER + "password_threads 1\nconnect_timeout 1\n"
    broker = start_broker(text, files={"passwords": slow_password(50000)}, workers=1)
    clients = [broker.open(4, name=f"c{number}") for number in range(80)]
    for number, client in enumerate(clients):
        client.send(wire.connect(f"c{number}", 4, username="slow", password="x"))
    broker.expect_line(r"Client c\d+ \[.*\] disconnected: its password was not looked at in time\.")


@pytest.mark.nightjar("the broker of 2.0 ends only after what is under way")
def test_an_end_does_not_wait_for_all(start_broker):
    text = LISTENER + "password_threads 1\nconnect_timeout 60\n"
    broker = start_broker(text, files={"passwords": slow_password(50000)}, workers=2)
    clients = [broker.open(4) for _ in range(240)]
    for number, client in enumerate(clients):
        client.send(wire.connect(f"c{number}", 4, username="slow", password="x"))
    wait_until(lambda: broker.process._text().count("New connection") == 240)


# ---- where it is said ----

TWO = "listener {port} 127.0.0.1\n%s\nlistener {port2} 127.0.0.1\n%s\n"


def codes(broker, **fields):
    """At both listeners."""
    found = []
    for place in "port", "port2":
        client = broker.open(4, ("127.0.0.1", broker.places[place]), name=place)
        client.send(wire.connect(f"x-{place}", 4, **fields))
        found.append(client.expect("CONNACK").code)
    return found


NOBODY = {}
ANNA = {"username": "anna", "password": "anna-secret"}
STRANGER = {"username": "carol", "password": "x"}


@pytest.mark.workers
@pytest.mark.parametrize("text, nobody, anna, stranger", [
    # Without per_listener_settings it is for all listeners, wherever it stands.
    (TWO % ("password_file {dir}/passwords", ""), [5, 5], [0, 0], [5, 5]),
    ("password_file {dir}/passwords\nallow_anonymous true\n" + TWO % ("", ""),
     [0, 0], [0, 0], [5, 5]),
    ("per_listener_settings true\n" +
     TWO % ("password_file {dir}/passwords", "allow_anonymous true"),
     [5, 0], [0, 0], [5, 0]),
    ("per_listener_settings true\n" +
     TWO % ("password_file {dir}/passwords\nallow_anonymous true", ""),
     [0, 5], [0, 5], [5, 5]),
], ids=["for all", "anonymous too", "per listener", "each its own"])
def test_scopes(start_broker, text, nobody, anna, stranger, workers):
    broker = start(start_broker, text)
    assert (codes(broker, **NOBODY), codes(broker, **ANNA), codes(broker, **STRANGER)) == \
        (nobody, anna, stranger)


@pytest.mark.workers
@pytest.mark.nightjar("2.0 has no listener_ options for these")
@pytest.mark.parametrize("text, nobody, anna, stranger", [
    ("password_file {dir}/passwords\n" + TWO % ("listener_allow_anonymous true", ""),
     [0, 5], [0, 0], [5, 5]),
    (TWO % ("listener_password_file {dir}/passwords", "listener_allow_anonymous true"),
     [5, 0], [0, 0], [5, 0]),
], ids=["anonymous at one", "a file at one"])
def test_scopes_of_our_own(start_broker, text, nobody, anna, stranger, workers):
    broker = start(start_broker, text)
    assert (codes(broker, **NOBODY), codes(broker, **ANNA), codes(broker, **STRANGER)) == \
        (nobody, anna, stranger)


@pytest.mark.workers
def test_without_a_listener(start_broker, workers):
    """Local only: anonymous clients may come, as without the file; names are looked at."""
    broker = start(start_broker, "password_file {dir}/passwords\n", arguments=["-p", "{port}"])
    broker.connect("a").ping()
    broker.connect("b", code=5, **STRANGER).expect_close()
    broker.connect("c", **ANNA).ping()


# ---- bad files ----

def refusal(start_broker, content, **options):
    """What a broker says that does not start with this file."""
    files = {} if content is None else {"passwords": content}
    broker = start_broker(LISTENER, files=files, ready=False, **options)
    broker.expected_status = 3
    wait_until(lambda: broker.process.process.poll() is not None)
    return broker.log()


ANY = users.password("anna")


@pytest.mark.nightjar("2.0 has other words")
@pytest.mark.parametrize("content, says, line", [
    (ANY + "bob:\n", r"The password of user 'bob' is none of .*", 2),
    (ANY + "bob:plain\n", r"The password of user 'bob' is none of .*", 2),
    (ANY[:60], r"The password of user 'anna' is malformed or cut\.", 1),
    (ANY + ANY, r"The user 'anna' stands in line 1 already\.", 2),
    ("x:$7$1000001$c2FsdA==$AA==", r"The password of user 'x' is malformed or cut\.", 1),
    (slow_password(1000001),
     r".* asks for more iterations than password_iterations_max\.", 1),
    ("x:$argon2id$v=19$m=4000000,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
     r".* asks for more memory than password_memory_max\.", 1),
    ("a\0b" + ANY, r"A zero byte in the password file: this is no text file\.", 1),
], ids=["no password", "plain", "cut", "twice", "odd", "slow", "large", "binary"])
def test_a_bad_file_is_no_start(start_broker, content, says, line):
    log = refusal(start_broker, content)
    assert re.search(rf"Error: {says}\n.*Error found at .*/passwords:{line}\.", log), log


def test_no_file_is_no_start(start_broker):
    assert re.search("Error:? (Unable to open|opening) password file", refusal(start_broker, None))


@pytest.mark.nightjar("2.0 has no option for that")
def test_the_check_says_so_too(start_broker, tmp_path):
    (tmp_path / "passwords").write_text("anna:x\n")
    (tmp_path / "conf").write_text(f"listener 1\npassword_file {tmp_path}/passwords\n")
    done = subprocess.run([binary("nightjar"), "--test-config", "-c", str(tmp_path / "conf")],
                          capture_output=True, check=False)
    assert done.returncode == 3 and f"{tmp_path}/passwords:1".encode() in done.stderr + done.stdout


def test_an_empty_file_lets_nobody_in(start_broker):
    """It is no missing one: CVE-2018-12550, -12551."""
    broker = start_broker(LISTENER, files={"passwords": ""})
    broker.connect("a", code=5).expect_close()
    broker.connect("b", code=5, **ANNA).expect_close()


# ---- reload ----

@pytest.mark.nightjar("2.0 does not say when it has reloaded")
@pytest.mark.workers
def test_reload(start_broker, workers):
    """Who is not in the file any more goes, also whose password has changed; others stay."""
    broker = start(start_broker, names=["anna", "bob", "carol"])
    clients = {name: [broker.connect(f"{name}-{number}", 5, username=name,
                                     password=f"{name}-secret") for number in range(4)]
               for name in ("anna", "bob", "carol")}
    file = broker.folder / "passwords"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("# without bob\n" + lines[0] + users.password("carol", word="another"))
    broker.reload()
    for each in clients["bob"] + clients["carol"]:
        each.expect_end(0x87)
    for each in clients["anna"]:
        each.ping()
    broker.connect("new", code=5, username="bob", password="bob-secret").expect_close()
    broker.connect("newer", username="carol", password="another").ping()


@pytest.mark.workers
@pytest.mark.nightjar("2.0 ends with status 3")
def test_reload_of_a_bad_file(start_broker, workers):
    """All stays as it was, also what else is new in the configuration."""
    broker = start(start_broker)
    anna = broker.connect("anna", 5, **ANNA)
    file = broker.folder / "passwords"
    good = file.read_text()
    for content in ("anna:x\n", good[:50], "\0", None):
        if content is None:
            file.unlink()
        else:
            file.write_text(content)
        broker.reload(LISTENER + "max_keepalive 10\n", is_good=False)
        anna.ping()
        client = broker.connect("x", 5, username="bob", password="bob-secret")
        assert "server_keep_alive" not in client.connack.properties
        client.disconnect()
        broker.connect("y", 5, code=0x87, username="carol", password="x").expect_close()
    file.write_text(good)
    broker.reload(LISTENER + "max_keepalive 10\n")
    anna.ping()


@pytest.mark.timeout(120)
@pytest.mark.nightjar("2.0 looks at passwords where it serves")
def test_reload_while_one_waits(start_broker):
    """What is right is what the file says when it is answered."""
    text = LISTENER + "log_type all\npassword_threads 1\nconnect_timeout 60\n"
    slow = slow_password(1000000)
    broker = start_broker(text, files={"passwords": slow + users.password("anna")}, workers=1)
    ahead = broker.open(4)
    ahead.send(wire.connect("slow", 4, username="slow", password="x"))
    broker.expect_line("No will message specified.")  # it is being looked at
    anna, bob = broker.open(4), broker.open(4)
    anna.send(wire.connect("anna", 4, **ANNA))
    bob.send(wire.connect("bob", 4, username="bob", password="bob-secret"))
    wait_until(lambda: broker.process._text().count("New connection") == 3)
    (broker.folder / "passwords").write_text(users.password("bob"))
    broker.reload()
    anna.expect("CONNACK", code=5, timeout=60)
    bob.expect("CONNACK", code=0, timeout=60)


@pytest.mark.workers
@pytest.mark.nightjar("the figures are ours")
def test_figures(start_broker, workers):
    broker = start(start_broker, LISTENER + "sys_interval 1\nallow_anonymous true\n")
    broker.connect("a", **ANNA)
    broker.connect("b", code=5, **STRANGER).expect_close()
    watcher = broker.connect("watcher")
    watcher.subscribe("$SYS/broker/listener/+/connects/refused/135")
    watcher.expect("PUBLISH", payload=b"1")


@pytest.mark.nightjar("2.0 has no such warning")
def test_a_file_for_all_eyes(start_broker):
    broker = start(start_broker)
    broker.expect_line(r"Warning: Everybody on this machine may read the password file .*")
    (broker.folder / "passwords").chmod(0o600)
    before = broker.log().count("may read")
    broker.reload()
    assert broker.log().count("may read") == before
