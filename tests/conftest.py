"""Fixtures of the scenarios; README.md says how to run them."""

import os
import pathlib

import pytest

from harness import ports
from harness.broker import DEFAULT, Broker, binary
from harness.certificates import Authority
from harness.haproxy import HAProxy


def pytest_addoption(parser):
    parser.addoption("--broker", default=os.environ.get("NIGHTJAR_TESTS_BROKER", "nightjar"),
                     choices=["nightjar", "mosquitto"], help="which broker is tested")
    parser.addoption("--workers", default="1,2,4", help="numbers of workers to run with")


def is_mosquitto(config):
    return config.getoption("broker") == "mosquitto"


def pytest_generate_tests(metafunc):
    marks = metafunc.definition
    if "version" in metafunc.fixturenames:
        mark = marks.get_closest_marker("versions")
        levels = mark.args if mark else (4, 5)
        names = {3: "3.1", 4: "3.1.1", 5: "5"}
        metafunc.parametrize("version", levels, ids=[names[each] for each in levels])
    if marks.get_closest_marker("workers") and "workers" in metafunc.fixturenames:
        counts = [int(each) for each in metafunc.config.getoption("workers").split(",")]
        if is_mosquitto(metafunc.config):
            counts = [1]
        metafunc.parametrize("workers", counts, indirect=True, ids=[f"w{n}" for n in counts])


def pytest_collection_modifyitems(config, items):
    if not is_mosquitto(config):
        return
    for item in items:
        for mark in item.iter_markers("nightjar"):
            item.add_marker(pytest.mark.skip(reason=mark.args[0]))
        for mark in item.iter_markers("differs"):
            given = item.callspec.params if hasattr(item, "callspec") else {}
            if all(given.get(name) in (value if isinstance(value, list) else [value])
                   for name, value in mark.kwargs.items()):
                item.add_marker(pytest.mark.xfail(reason=mark.args[0], strict=True))


def pytest_sessionstart(session):
    path = binary(session.config.getoption("broker"))
    if not os.access(path, os.X_OK):
        pytest.exit(f"no broker at {path}: build it, or name it in NIGHTJAR", 2)


@pytest.fixture(autouse=True)
def taken_ports():
    """Of one scenario."""
    with ports.borrowed():
        yield


@pytest.fixture
def workers(request):
    """The number of workers; two where a scenario does not ask."""
    return getattr(request, "param", 2)


def meetings(brokers):
    """What is wrong with these brokers, which ran with a number of workers that nobody chose."""
    return [f"{len(ids)} clients in one broker ({', '.join(sorted(ids)[:4])}): mark it workers"
            for ids in (broker.client_ids() for broker in brokers) if len(ids) > 1]


@pytest.fixture
def start_broker(request, tmp_path, workers):
    """Starts brokers that are checked and stopped at the end of the scenario."""
    kind = request.config.getoption("broker")
    started, unchosen = [], []

    def start(text=DEFAULT, **options):
        folder = tmp_path / f"broker{len(started) + 1}"
        folder.mkdir()
        # Without a configuration there is no line to choose it in.
        is_chosen = text is None or "workers" in options or \
            request.node.get_closest_marker("workers")
        options.setdefault("workers", workers)
        broker = Broker.__new__(Broker)
        started.append(broker)
        broker.__init__(kind, folder, text, **options)
        if not is_chosen:
            unchosen.append(broker)
        return broker

    yield start
    errors = []
    for broker in started:
        if "process" in broker.__dict__:
            try:
                broker.finish()
            except AssertionError as error:
                errors.append(str(error))
    errors += meetings(unchosen)
    assert not errors, "\n".join(errors)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """Signs certificates; that of a server is there."""
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.server()
    return made


@pytest.fixture
def start_haproxy(tmp_path):
    """Starts HAProxies that end with the scenario."""
    started = []

    def start(text, places, **options):
        started.append(HAProxy(tmp_path / f"haproxy{len(started) + 1}", text, places, **options))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def broker(request, start_broker):
    """A broker with one listener for everybody, and the lines of the mark `config`."""
    extra = "\n".join(mark.args[0] for mark in request.node.iter_markers("config"))
    return start_broker(DEFAULT + extra + "\n")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts the broker's log beside a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for log in sorted(item.funcargs.get("tmp_path", pathlib.Path("/nowhere")).glob("**/*.log")):
            text = log.read_text(errors="replace")
            report.sections.append((str(log.name), text[-8000:]))
