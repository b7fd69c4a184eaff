"""
nightjar-passwd: mosquitto_passwd's options. What one of the two writes the other one reads and
changes, and the file is whole at every moment.
"""

import os
import pathlib
import pty
import select
import subprocess
import threading

import pytest

from harness import users, wire
from harness.broker import Broker
from harness.client import PATIENCE

pytestmark = pytest.mark.nightjar("the tool is ours")

LISTENER = "listener {port} 127.0.0.1\npassword_file {dir}/passwords\n"


def run(*arguments, status=0, text=None, tool=None):
    done = subprocess.run([tool or users.ours(), *map(str, arguments)], input=text, text=True,
                          capture_output=True, check=False)
    assert done.returncode == status, done
    return done


def names(path):
    return [line.split(":")[0] for line in path.read_text().splitlines()]


def is_in(start_broker, path, word, name="anna"):
    """Whether a broker lets this user in."""
    broker = start_broker(LISTENER, files={"passwords": path.read_text()})
    client = broker.open()
    client.send(wire.connect("x", 4, username=name, password=word))
    return client.expect("CONNACK").code == 0


@pytest.mark.parametrize("form", ["argon2id", "sha512-pbkdf2", "sha512"])
def test_forms(start_broker, tmp_path, form):
    path = tmp_path / "p"
    run("-H", form, "-c", "-b", path, "anna", "a secret")
    front = {"argon2id": "anna:$argon2id$v=19$m=47104,t=1,p=1$",
             "sha512-pbkdf2": "anna:$7$20000$", "sha512": "anna:$6$"}[form]
    assert path.read_text().startswith(front)
    assert path.stat().st_mode & 0o777 == 0o600
    assert is_in(start_broker, path, "a secret")
    assert not is_in(start_broker, path, "another")


def test_the_default_is_argon2id(tmp_path):
    run("-c", "-b", tmp_path / "p", "anna", "x")
    assert (tmp_path / "p").read_text().startswith("anna:$argon2id$")


def test_iterations(start_broker, tmp_path):
    path = tmp_path / "p"
    run("-H", "sha512-pbkdf2", "-I", "77", "-c", "-b", path, "anna", "x")
    assert path.read_text().startswith("anna:$7$77$")
    assert is_in(start_broker, path, "x")
    for wrong in "0", "-1", "x", "5x", "", "99999999999":
        before = path.read_text()
        assert "Error: -I" in run("-I", wrong, "-b", path, "anna", "y", status=1).stderr
        assert path.read_text() == before


def test_beside_mosquitto_passwd(tmp_path):
    """Each changes and deletes in the other's file."""
    path = tmp_path / "p"
    run("-c", "-b", path, "one", "1", tool="mosquitto_passwd")
    run("-H", "sha512-pbkdf2", "-b", path, "two", "2")
    run("-b", path, "three", "3", tool="mosquitto_passwd")
    run("-D", path, "one")
    assert names(path) == ["two", "three"]
    run("-H", "sha512", "-b", path, "three", "4")
    run("-D", path, "two", tool="mosquitto_passwd")
    assert names(path)[-1] == "three" and "three:$6$" in path.read_text()


def test_mosquitto_reads_ours(tmp_path):
    """Debian's broker lets in whom we wrote down."""
    path = tmp_path / "passwords"
    path.write_text("")
    run("-H", "sha512-pbkdf2", "-b", path, "anna", "a")
    run("-H", "sha512", "-b", path, "bob", "b")
    broker = Broker("mosquitto", tmp_path, LISTENER)
    try:
        broker.connect("x", username="anna", password="a").ping()
        broker.connect("y", username="bob", password="b").ping()
        broker.connect("z", username="bob", password="a", code=5).expect_close()
    finally:
        broker.finish()


def test_change_in_place(tmp_path):
    """A user's line stays where it is, mode and owner stay, and a link stays a link."""
    path, link = tmp_path / "p", tmp_path / "link"
    path.write_text("# people\n" + "".join(users.password(name) for name in ("a", "b", "c")))
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    before = path.stat()
    link.symlink_to(path)
    run("-H", "sha512", "-b", link, "b", "new")
    assert link.is_symlink() and names(path) == ["# people", "a", "b", "c"]
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == \
        (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "p"]


def test_no_end_of_the_last_line(tmp_path):
    path = tmp_path / "p"
    path.write_text(users.password("a").rstrip("\n"))
    run("-H", "sha512", "-b", path, "b", "x")
    assert names(path) == ["a", "b"]


def test_create_takes_the_place(tmp_path):
    path = tmp_path / "p"
    path.write_text("something else\n")
    run("-H", "sha512", "-c", "-b", path, "anna", "x")
    assert names(path) == ["anna"]


def test_to_standard_output():
    out = run("-H", "sha512", "-c", "-b", "-", "anna", "x").stdout
    assert out.startswith("anna:$6$") and out.count("\n") == 1
    assert not pathlib.Path("-").exists()


def test_update_of_plain_text(start_broker, tmp_path):
    path = tmp_path / "p"
    path.write_text("# people\nanna:one:two\n\nbob:x\r\n")
    run("-H", "sha512-pbkdf2", "-I", "9", "-U", path)
    assert names(path) == ["# people", "anna", "", "bob"]
    assert "one" not in path.read_text()
    assert is_in(start_broker, path, "one:two")
    assert is_in(start_broker, path, "x", "bob")


@pytest.mark.parametrize("text", ["anna:x\nbob\n", "anna:x\n:y\n", "anna:x\nbob:\n", "a\0b:c\n"])
def test_update_of_a_bad_file(tmp_path, text):
    path = tmp_path / "p"
    path.write_text(text)
    said = run("-U", "-H", "sha512", path, status=1).stderr
    assert "Error: Corrupt password file at line 2." in said or "Error: Unable to read" in said
    assert path.read_text() == text
    assert [each.name for each in tmp_path.iterdir()] == ["p"]


def test_deleting_nobody(tmp_path):
    path = tmp_path / "p"
    path.write_text(users.password("a"))
    assert "Warning: User b not found" in run("-D", path, "b", status=1).stderr
    assert names(path) == ["a"]


@pytest.mark.parametrize("arguments, says", [
    (("-b", "{p}", "a:b", "x"), "must not contain the ':'"),
    (("-b", "{p}", "#a", "x"), "begins with '#'"),
    (("-b", "{p}", "", "x"), "it is empty"),
    (("-b", "{p}", "a\nb", "x"), "control characters"),
    (("-b", "{p}/none", "a", "x"), "Unable to open password file"),
    (("-D", "{p}/none", "a"), "Unable to open password file"),
    (("-U", "{p}/none"), "Unable to open password file"),
    (("-b", "-c", "{p}/none/deep", "a", "x"), "Unable to open password file"),
    (("-c", "-D", "{p}", "a"), "exclude each other"),
    (("-b", "-U", "{p}"), "exclude each other"),
    (("-H", "md5", "-b", "{p}", "a", "x"), "-H md5"),
    (("-b", "{p}", "a"), "Usage:"),
    (("-x",), "Usage:"),
    ((), "Usage:"),
], ids=str)
def test_mistakes(tmp_path, arguments, says):
    path = tmp_path / "p"
    path.write_text("")
    assert says in run(*(each.format(p=path) for each in arguments), status=1).stderr
    assert path.read_text() == ""


def test_typed_twice_from_a_pipe(start_broker, tmp_path):
    path = tmp_path / "p"
    path.write_text("")
    run("-H", "sha512", path, "anna", text="a word\na word\n")
    assert is_in(start_broker, path, "a word")
    before = path.read_text()
    for text, says in (("a\nb\n", "do not match"), ("\n\n", "Empty"), ("", "Empty"), ("a\n", "Empty")):
        assert says in run("-H", "sha512", path, "anna", text=text, status=1).stderr
        assert path.read_text() == before


def test_typed_without_an_echo(tmp_path):
    path = tmp_path / "p"
    path.write_text("")
    process, terminal = pty.fork()
    if process == 0:
        os.execv(users.ours(), ["nightjar-passwd", "-H", "sha512", str(path), "anna"])
    seen = b""
    for prompt in b"Password: ", b"Reenter password: ":
        while not seen.endswith(prompt):
            assert select.select([terminal], [], [], PATIENCE)[0], seen
            seen += os.read(terminal, 1000)
        os.write(terminal, b"hidden\n")
    _, status = os.waitpid(process, 0)
    assert status == 0 and b"hidden" not in seen
    assert names(path) == ["anna"]
    os.close(terminal)


def test_many_at_once(tmp_path):
    """None loses another one's work, and who reads sees a whole file."""
    path = tmp_path / "p"
    path.write_text(users.password("first"))
    threads = [threading.Thread(target=run, args=("-H", "sha512", "-b", path, f"u{n}", "x"))
               for n in range(24)]
    for each in threads:
        each.start()
    while any(each.is_alive() for each in threads):
        text = path.read_text()
        assert text.endswith("==\n") and text.startswith("first:$")
    for each in threads:
        each.join()
    assert sorted(names(path)) == sorted(["first", *(f"u{n}" for n in range(24))])
    assert [each.name for each in tmp_path.iterdir()] == ["p"]
