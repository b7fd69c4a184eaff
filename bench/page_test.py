"""What becomes of measurements: the tables of the page, and the curves."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import page  # noqa: E402
import plot  # noqa: E402
from rows import ROWS  # noqa: E402


def document(name, cost, limit, **more):
    figure = {"title": name, "metric": "cpu_us", "medians": {"nightjar": cost, "floor": 1.0},
              "ratios": {"nightjar/floor": cost}, "target": f"<= {limit} x floor",
              "reached": cost, "is_met": cost <= limit}
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
