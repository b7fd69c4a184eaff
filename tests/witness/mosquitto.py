"""
Debian's mosquitto 2.0.11 as a second witness: both brokers are played the same scripts, and what
they send differs exactly where differences.txt says so, for a reason that is written there.
"""

import os
import pathlib
import re

import pytest

from harness import script as scripts
from harness.broker import ROOT
from harness.differences import Entry, Group, read, renew, section, write, write_section
from harness.witness import KINDS, Stage

pytestmark = pytest.mark.nightjar("compares both")

FOLDER = pathlib.Path(__file__).parent
TABLE = FOLDER / "differences.txt"
PAGE = ROOT / "docs/mosquitto.md"
GROUPS = read(TABLE)

SCRIPTS = [script for path in sorted(FOLDER.glob("*.txt")) if path != TABLE
           for script in scripts.parse(path.read_text(), path.name)]
CASES = [pytest.param(script, level, id=f"{script.name}-{level}")
         for script in SCRIPTS for level in script.versions]


IS_RENEWED = bool(os.environ.get("UPDATE_DESCRIPTIONS"))
seen = {}  # what differs in each case that was played, when the table is written anew


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    stage = Stage(tmp_path_factory.mktemp("stage"))
    yield stage
    stage.end_all()
    if IS_RENEWED:
        write(TABLE, renew(GROUPS, seen))


@pytest.mark.parametrize("script, level", CASES)
def test_as_the_table_says(stage, script, level):
    theirs, *ours = stage.play(script, level)
    expected = {entry.what for group in GROUPS for entry in group.entries
                if entry.script == script.name and level in entry.versions}
    for (_, workers), each in zip(KINDS[1:], ours):
        found = set(scripts.differences(theirs, each))
        if IS_RENEWED:
            seen[script.name, level] = expected = found
        assert found == expected, explain(script, level, workers, found, expected)


def explain(script, version, workers, found, expected):
    """The rows that are missing in the table and those that are wrong in it, as it writes them."""
    lines = [f"{script.name} with {workers} workers: {script.about}"]
    for title, rows in (("not in differences.txt", found - expected),
                        ("in differences.txt, but not seen", expected - found)):
        for number, client, theirs, ours in sorted(rows):
            lines += [f"{title}: step {number}, {script.steps[number - 1]}",
                      f"  {script.name}@{version} {number} {client}: {theirs} -> {ours}"]
    return "\n".join(lines)


def test_the_table_speaks_of_scripts_that_exist():
    versions = {script.name: script.versions for script in SCRIPTS}
    assert len(versions) == len(SCRIPTS), "two scripts of one name"
    for group in GROUPS:
        assert group.entries, f"nothing differs by {group.text!r}"
        for entry in group.entries:
            assert set(entry.versions) <= set(versions[entry.script]), entry


def test_the_page_says_what_the_table_says():
    if IS_RENEWED:
        write_section(PAGE, GROUPS, len(SCRIPTS))
    assert section(GROUPS, len(SCRIPTS)) in PAGE.read_text(), \
        "write it anew: UPDATE_DESCRIPTIONS=1 pytest tests/witness -k page"


def test_the_page_lists_what_is_ours():
    options = (ROOT / "docs/options.md").read_text()
    listed = PAGE.read_text().partition("## What is ours")[2].partition("\n## ")[0]
    for name in re.findall(r"^\| `(\w+)` \* \|", options, re.M):
        assert f"`{name}" in listed, f"docs/mosquitto.md does not say what {name} is for"


def test_a_table_that_is_written_anew():
    """Rows stay with their reason, go when they are not seen, and are new without one."""
    group = Group("open", "something", [Entry("s", ("3.1", "5"), (1, "a", "x", "y")),
                                        Entry("gone", ("5",), (1, "a", "x", "y"))])
    renewed = renew([group], {("s", "5"): {(1, "a", "x", "z"), (2, "b", "x", "y")},
                              ("gone", "5"): set()})
    assert [each.reason for each in renewed] == ["open", "unexplained"]
    assert renewed[0].entries == [Entry("s", ("3.1",), (1, "a", "x", "y")),
                                  Entry("s", ("5",), (1, "a", "x", "z"))]
    assert renewed[1].entries == [Entry("s", ("5",), (2, "b", "x", "y"))]
