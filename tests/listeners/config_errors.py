"""
A configuration that is wrong, or asks for what does not exist yet, ends the start with status 3,
and the message names file and line. What cannot be opened ends it with 1.
"""

import socket

import pytest

from harness import ports


def refused(start_broker, text, status=3, **options):
    broker = start_broker(text, ready=False, **options)
    assert broker.wait(5) == status, broker.log()
    return broker


WRONG = {
    "unknown option": ("no_such_option 1",
                       r"Error: Unknown configuration variable 'no_such_option'\."),
    "not a number": ("max_inflight_messages many", r"Error: .*max_inflight_messages.*"),
    "out of range": ("max_inflight_messages 70000", r"Error: .*max_inflight_messages.*"),
    "not a boolean": ("allow_anonymous yes", r"Error: .*allow_anonymous.*"),
    "no value": ("max_queued_messages", r"Error: .*max_queued_messages.*"),
    "port out of range": ("listener 99999", r"Error: .*port.*"),
    "unknown choice": ("log_type everything", r"Error: .*log_type.*"),
}


@pytest.mark.nightjar("words of 2.1")
@pytest.mark.parametrize("name", WRONG)
def test_wrong(start_broker, name):
    line, message = WRONG[name]
    text = f"# a comment\n\nlistener {{port}} 127.0.0.1\n{line}\nallow_anonymous true\n"
    broker = refused(start_broker, text, workers=None)
    broker.expect_line(message)
    broker.expect_line(rf"Error found at {broker.config}:4\.")


@pytest.mark.differs("2.0 reads it as 0", line="max_inflight_messages many")
@pytest.mark.parametrize("line", [each[0] for each in WRONG.values()])
def test_status(start_broker, line):
    refused(start_broker, f"listener {{port}} 127.0.0.1\n{line}\n", workers=None)


NOT_YET = [
    "connection bridge",
    "plugin {dir}/x.so",
]


@pytest.mark.nightjar("what is still missing")
@pytest.mark.parametrize("line", NOT_YET)
def test_not_supported_yet(start_broker, line):
    """Nothing is silently ignored; what becomes supported leaves this list."""
    broker = start_broker(f"listener {{port}} 127.0.0.1\nenable_proxy_protocol 2\n{line}\n"
                          if "proxy" in line else f"listener {{port}} 127.0.0.1\n{line}\n",
                          ready=False, workers=None)
    number = 3 if "proxy" in line else 2
    assert broker.wait(5) == 3, broker.log()
    broker.expect_line(r"Error: .*not supported yet.*")
    broker.expect_line(rf"Error found at {broker.config}:{number}\.")


@pytest.mark.nightjar("words of 2.1")
def test_no_such_file(start_broker):
    broker = refused(start_broker, None, arguments=["-c", "{dir}/missing.conf"])
    broker.expect_line(r"Error: Unable to open config file '.*/missing\.conf'\..*")


def test_unknown_argument(start_broker):
    refused(start_broker, None, arguments=["--no-such-thing"])


def test_port_in_use(start_broker):
    with socket.socket() as holder:
        port = ports.take()
        holder.bind(("127.0.0.1", port))
        holder.listen()
        broker = refused(start_broker, f"listener {port} 127.0.0.1\n", status=1)
    broker.expect_line(r"Error: Address already in use.*")


def test_address_of_another_machine(start_broker):
    refused(start_broker, "listener {port} 192.0.2.1\n", status=1)


@pytest.mark.nightjar("options of ours")
@pytest.mark.parametrize("lines, first, second", [
    ("enable_proxy_protocol 1\nenable_proxy_protocol_v2 true", 2, 3),
    ("enable_proxy_protocol 2\nenable_proxy_protocol_v2 false", 2, 3),
])
def test_contradictions_name_both_lines(start_broker, lines, first, second):
    broker = refused(start_broker, f"listener {{port}} 127.0.0.1\n{lines}\n", workers=None)
    text = broker.log()
    assert f"{broker.config}:{first}" in text and f":{second}" in text, text


def test_carriage_returns_and_blanks(start_broker):
    broker = start_broker("  listener   {port}   127.0.0.1  \r\n\r\n# x\r\n"
                          "allow_anonymous true \r\n")
    broker.connect("x").ping()
