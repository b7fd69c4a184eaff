"""What becomes of measurements: the tables of the page, and the curves."""

import sys
import tempfile
from importlib.machinery import SourceFileLoader
from types import SimpleNamespace
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import page  # noqa: E402
import plot  # noqa: E402
from report import Report  # noqa: E402
from rows import ROWS, Row, Target, find_reference  # noqa: E402

run = SourceFileLoader("run", str(Path(__file__).resolve().parent / "run")).load_module()


def document(name, cost, limit, reference=None, **more):
    figure = {"title": name, "metric": "cpu_us", "medians": {"nightjar": cost, "floor": 1.0},
              "ratios": {"nightjar/floor": cost}, "target": f"<= {limit} x floor",
              "reference": reference, "reached": cost, "is_met": cost <= limit}
    row = {"name": name, "workers": 1, "figures": [figure],
           "brokers": {"nightjar": [{"others_share": 0.25}]}}
    return {"facts": {"machine": "a <small> one", **more}, "rows": [row]}


def test_the_last_measurement_of_a_row_counts():
    documents = [document("p2p-q0-1", 1.5, 1.1), document("slope-x", 2, 3),
                 document("p2p-q0-1", 1.0625, 1.1)]
    text = "\n".join(page.body(documents))
    assert "| p2p-q0-1 | 1.06 |  | 1 | 1.06 |  | <= 1.1 x floor | met |" in text, text
    assert "1.5" not in text and "2 targets met, 0 not" in text, text
    assert text.index("### One worker") < text.index("### How the cost grows"), text


def test_a_missed_target_says_by_what():
    text = "\n".join(page.body([document("idle", 605, 320)]))
    assert "| **605** |" in text and "0 targets met, 1 not" in text, text


def test_a_target_beside_another_row_says_that_ones_figure():
    text = "\n".join(page.body([document("p2p-q0-1-acl", 1.04, 1.05, reference=7.4321)]))
    assert "| <= 1.05 x floor (7.43) | met |" in text, text


def test_shared_lines_have_a_table():
    first, second = document("p2p-q0-32-2w", 0.5, 1.1), document("p2p-q0-1-2w", 9, 9)
    first["lines"] = {"p2p-q0-32-2w": {"title": "bursts", "writes": 1.23123, "reads": 1.5,
                                       "locked": -0.0001, "sites": []}}
    second["lines"] = None
    text = "\n".join(page.body([first, second]))
    assert "| | shared writes | shared reads | locked operations |\n|---|---|---|---|\n" \
           "| bursts | 1.23 | 1.5 | 0 |" in text, text
    assert "counted" not in "\n".join(page.body([second]))


def row_named(name):
    return next(row for row in ROWS if row.name == name)


class Machine:
    """Measures nothing: tells who was measured, at a cost that doubles with each measurement."""

    def __init__(self, names, rows, rounds):
        self.brokers = [run.Broker(name, "", 0, run.kind_of(name)) for name in names]
        self.rows = rows
        self.options = SimpleNamespace(rounds=rounds)
        self.log = []

    def measure(self, broker, row):
        self.log.append((broker.name, row.name))
        if row.name == "p2p-q0-32" and broker.name == "broken":
            raise run.Failure("went away")
        return {"cpu_us": float(2 ** len(self.log)), "others_share": 0}

    take, take_turn, run = run.Bench.take, run.Bench.take_turn, run.Bench.run


def test_what_a_row_is_compared_with_is_measured_beside_it():
    row = row_named("p2p-q0-32-acl")
    machine = Machine(["nightjar", "mosquitto", "floor", "old"], [row], 2)
    machine.run()
    first = [("nightjar", row.name), ("nightjar", "p2p-q0-32"), ("mosquitto", row.name),
             ("floor", row.name), ("old", row.name), ("old", "p2p-q0-32")]
    assert machine.log == first + first[2:] + first[:2], machine.log
    ours, old = machine.brokers[0], machine.brokers[3]
    assert [each["cpu_us"] for each in ours.samples[row.name]] == [2.0, 2048.0]
    assert [each["cpu_us"] for each in ours.references[row.name]] == [4.0, 4096.0]
    assert list(old.references) == [row.name] and "p2p-q0-32" not in old.samples
    assert not machine.brokers[1].references and not machine.brokers[2].references


def test_the_floor_of_another_row_is_measured_with_the_settings_of_that_one():
    row = row_named("fanout-q0-2w")
    machine = Machine(["nightjar", "floor", "old"], [row], 1)
    machine.run()
    assert machine.log == [("nightjar", row.name), ("floor", row.name), ("floor", "fanout-q0"),
                           ("old", row.name)], machine.log
    assert Report(machine).reach(machine.brokers[0], row) == 2 / 8
    assert Report(machine).reference(row) == 8


def test_who_fails_as_a_reference_fails_in_that_row():
    row = row_named("p2p-q0-32-v5")
    machine = Machine(["broken", "floor"], [row], 3)
    machine.run()
    assert machine.brokers[0].failures == [(row.name, "p2p-q0-32, to compare with: went away")]
    assert Report(machine).target_cells(row)[1] == "?"
    assert len(machine.brokers[1].samples[row.name]) == 3


class Counted:
    """Shares 10 lines at its start, and 2 and the number of the round with each message."""

    def __init__(self, rows, folder):
        self.brokers = [run.Broker("nightjar", "measured", 0, "nightjar")]
        self.rows = rows
        self.options = SimpleNamespace(rounds=3)
        self.folder = folder
        self.runs = []

    def under_lines(self, _, broker, row, count):
        assert broker.path == str(run.COUNTED)
        if row.name == "p2p-q1-32-2w":
            raise run.Failure("went away")
        self.runs.append(count)
        each = 2 + (len(self.runs) - 1) // 2
        written = Path(self.folder, "written")
        written.write_text(f"0x10 {10 + each * count * 100} 0 0\n")
        return written, count * 100


def test_shared_lines_are_counted_without_the_start():
    rows = [row_named(name) for name in ("p2p-q0-1", "p2p-q0-32-2w", "p2p-q1-32-2w")]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Counted(rows, folder)
        with mock.patch.object(run, "under_lines", bench.under_lines), \
                mock.patch.object(run.sites, "busiest", lambda program, found, least: [found]):
            counted = run.count_lines(bench)
    assert len(bench.runs) == 6 and bench.runs[0] < bench.runs[1], bench.runs
    assert list(counted) == ["p2p-q0-32-2w"], counted
    assert counted["p2p-q0-32-2w"]["writes"] == 3 and counted["p2p-q0-32-2w"]["reads"] == 0
    assert bench.brokers[0].failures == [
        ("p2p-q1-32-2w", "counting shared cache lines: went away")]


def test_when_shared_lines_are_counted():
    plain = {"without": [], "no_count": False, "instructions": False}
    for row, changes, wanted in (("fanout-q0-2w", {}, True), ("fanout-q0", {}, False),
                                 ("fanout-q0-2w", {"no_count": True}, False),
                                 ("fanout-q0-2w", {"instructions": True}, False),
                                 ("fanout-q0-2w", {"without": ["nightjar"]}, False),
                                 ("fanout-q0-2w", {"without": ["floor"]}, True)):
        options = SimpleNamespace(**{**plain, **changes})
        assert run.wants_lines(options, [row_named(row)]) == wanted, (row, changes)


def report_of(row, samples):
    """`samples`: of each broker its own figure and, if it has one, the other row's."""
    brokers = []
    for name, (own, *other) in samples.items():
        broker = run.Broker(name, "", 0, run.kind_of(name))
        broker.samples[row.name] = [{"cpu_us": own}]
        if other:
            broker.references[row.name] = [{"cpu_us": each} for each in other]
        brokers.append(broker)
    return Report(SimpleNamespace(brokers=brokers, rows=[row]))


def test_targets():
    beside = Target(1.05, "nightjar", "p2p-q0-32")
    measured = {"nightjar": (0.5, 0.7, 0.4, 0.5), "old": (0.9, 0.6), "floor": (0.25,),
                "mosquitto": (2.0,)}
    for target, cells in (
            (Target(1.9), ["<= 1.9 x floor", "NOT: 2"]),
            (Target(0.3, "mosquitto"), ["<= 0.3 x mosquitto", "met"]),
            (Target(0.2, "+"), ["<= floor + 0.2", "NOT: 0.25"]),
            (Target(0.4, "", unit="us"), ["<= 0.4 us", "NOT: 0.5"]),
            (beside, ["<= 1.05 x nightjar p2p-q0-32 (0.500)", "met: 1.00, old 1.50"]),
            (None, ["", ""])):
        row = Row("r", "a row", "p2p", target)
        assert report_of(row, measured).target_cells(row) == cells, (target, cells)
    row = Row("r", "a row", "p2p", beside)
    for lacking in ({"nightjar": (0.5,)}, {"old": (0.5,), "floor": (0.2, 0.1)}):
        assert report_of(row, lacking).target_cells(row) == [str(beside), "?"], lacking
    document = report_of(row, measured).document(row)
    assert (document["reference"], document["reached"], document["is_met"]) == (0.5, 1.0, True)


def test_rows_that_are_compared_with_others():
    compared = {row.name: find_reference(row).name for row in ROWS if find_reference(row)}
    assert compared["p2p-q0-1-acl"] == "p2p-q0-1" and compared["fanout-q0-2w"] == "fanout-q0"
    for row in ROWS:
        assert not any(target and target.row for _, _, target in row.more), row.name
        assert not find_reference(row) or find_reference(row).metric == row.metric, row.name


def test_curves():
    root = ElementTree.fromstring(plot.svg("Cost < or > than", "things", "us", {
        "nightjar": [(1000, 1.0), (10, 0.8)], "floor": [(10, 0.7), (1000, 0.71)]}))
    space = "{http://www.w3.org/2000/svg}"
    lines = root.findall(f"{space}polyline")
    assert len(lines) == 2 and len(root.findall(f"{space}circle")) == 4
    ours, floor = ([tuple(map(float, point.split(","))) for point in each.get("points").split()]
                   for each in lines)
    assert ours[0][0] < ours[1][0] and ours[0][1] > ours[1][1], ours  # up and to the right
    assert floor[0][1] > ours[0][1], (floor, ours)
    labels = [each for each in root.findall(f"{space}text") if each.text in ("nightjar", "floor")]
    first, second = sorted(float(each.get("y")) for each in labels)
    assert second - first >= 16, "one label over the other"


def test_names_of_rows_are_unique():
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names)), names


for name, test in list(globals().items()):
    if name.startswith("test_"):
        test()
