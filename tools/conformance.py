"""
docs/conformance.md: every normative statement of MQTT 3.1.1 and 5.0, and the tests that hold it.

The statements are the rows of tests/conformance.tsv. A scenario names those that it holds in a mark,

    @pytest.mark.holds("3.1.1: MQTT-3.1.0-2", "5.0: MQTT-3.1.0-2 MQTT-3.2.0-2")

and a unit test in the comment above its function:

    /* Holds 5.0: MQTT-1.5.5-1. */

Nothing is open: a row without a test carries the reason for that. Without an argument the page is
compared, with --write it is written.
"""

import argparse
import ast
import collections
import csv
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = "tests/conformance.tsv"
PAGE = "docs/conformance.md"
COLUMNS = ["version", "id", "section", "binds", "statement", "no test"]
BINDS = {"server", "client", "both"}

HOLDS = re.compile(r"/\* Holds\b(.*?)\*/\n", re.S)
FUNCTION = re.compile(r"static void (test_\w+)\(void \*\*state\)\n")

Statement = collections.namedtuple("Statement", "version id section binds text reason")
Test = collections.namedtuple("Test", "path line name holds")


# ---- what there is ----

def read_statements(root):
    """The rows, by (version, id); and what is wrong with the table."""
    statements, complaints = {}, []
    with open(root / TABLE, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    if rows[0] != COLUMNS:
        complaints.append(f"{TABLE}:1: the columns are not {', '.join(COLUMNS)}")
    for number, row in enumerate(rows[1:], 2):
        place = f"{TABLE}:{number}"
        if len(row) != len(COLUMNS):
            complaints.append(f"{place}: {len(row)} fields, not {len(COLUMNS)}")
            continue
        each = Statement(*row)
        if (each.version, each.id) in statements:
            complaints.append(f"{place}: {each.version} {each.id} a second time")
        if not each.id.startswith(f"MQTT-{each.section.split()[0]}-"):
            complaints.append(f"{place}: {each.id} is not of section {each.section}")
        if each.binds not in BINDS or not each.text:
            complaints.append(f"{place}: whom it binds, or what it says, is missing")
        statements[each.version, each.id] = each
    return statements, complaints


def parse_list(text):
    """"3.1.1: MQTT-a MQTT-b 5.0: MQTT-c" as [(version, id)]; None when it has another form."""
    words, version, found = text.split(), None, []
    for word in words:
        if re.fullmatch(r"[\d.]+:", word):
            version = word[:-1]
        elif version is not None and re.fullmatch(r"MQTT-\d+(\.\d+)+-\d+", word):
            found.append((version, word))
        else:
            return None
    return found or None


def is_mark(node):
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.holds"


def marks_of(function, complain):
    held = []
    for mark in filter(is_mark, function.decorator_list):
        for argument in mark.args:
            text = argument.value if isinstance(argument, ast.Constant) else None
            parsed = parse_list(text) if isinstance(text, str) else None
            if parsed is None:
                complain(mark, 'the mark holds is not "VERSION: MQTT-... MQTT-..."')
            held += parsed or []
        if mark.keywords or not mark.args:
            complain(mark, "the mark holds takes texts, at least one")
    return held


def read_scenario(path, name, is_collected):
    tests, complaints = [], []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    counted = 0

    def complain(node, text):
        complaints.append(f"{name}:{node.lineno}: {text}")

    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and any(map(is_mark, node.decorator_list)):
            counted += sum(map(is_mark, node.decorator_list))
            tests.append(Test(name, node.lineno, node.name, marks_of(node, complain)))
            if not node.name.startswith("test_") or not is_collected:
                complain(node, f"pytest does not collect {node.name}, so it holds nothing")
    if counted != sum(map(is_mark, ast.walk(tree))):
        complaints.append(f"{name}:1: a mark holds that is no decorator of a test")
    return tests, complaints


def read_unit(path, name, is_built):
    tests, complaints = [], []
    text = path.read_text(encoding="utf-8")
    for match in HOLDS.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        held = parse_list(match.group(1).replace("\n *", " ").strip().removesuffix("."))
        function = FUNCTION.match(text, match.end())
        if held is None:
            complaints.append(f"{name}:{line}: not /* Holds VERSION: MQTT-... MQTT-.... */")
        elif function is None:
            complaints.append(f"{name}:{line}: no test function follows")
        elif not is_built or not re.search(rf"cmocka_unit_test\w*\(\s*{function[1]}\b", text):
            complaints.append(f"{name}:{line}: {function[1]} is never run, so it holds nothing")
        else:
            tests.append(Test(name, line, function[1], held))
    return tests, complaints


def areas(root):
    """The patterns of files that pytest collects."""
    text = (root / "tests/pytest.ini").read_text(encoding="utf-8")
    return re.findall(r"^    (tests/\S+\.py)$", text, re.M)


def is_listed(path):
    """Whether the folder's meson.build has the unit test."""
    name = path.name.removesuffix("_test.c")
    return f"'{name}'" in (path.parent / "meson.build").read_text(encoding="utf-8")


def read_tests(root):
    tests, complaints = [], []
    patterns = areas(root)
    for path in sorted((root / "tests").rglob("*.py")):
        name = path.relative_to(root)
        found = read_scenario(path, str(name), any(map(name.match, patterns)))
        tests, complaints = tests + found[0], complaints + found[1]
    for path in sorted((root / "src").rglob("*_test.c")):
        name = str(path.relative_to(root))
        found = read_unit(path, name, is_listed(path))
        tests, complaints = tests + found[0], complaints + found[1]
    return tests, complaints


# ---- what it comes to ----

def hold(statements, tests):
    """Who holds what, by statement; and what does not fit together."""
    holders, complaints = {key: [] for key in statements}, []
    for test in tests:
        for key in test.holds:
            if key not in statements:
                complaints.append(f"{test.path}:{test.line}: there is no statement {' '.join(key)}")
            elif test not in holders[key]:
                holders[key].append(test)
    for key, row in statements.items():
        if not holders[key] and not row.reason:
            complaints.append(f"{TABLE}: {' '.join(key)} has no test: {row.text}")
        if holders[key] and row.reason:
            complaints.append(f"{TABLE}: {' '.join(key)} has a test, and yet a reason for none")
    return holders, complaints


def counts(statements, holders):
    """[(what, 3.1.1, 5.0)]"""
    versions = sorted({version for version, _ in statements})
    kinds = collections.defaultdict(collections.Counter)
    for key, row in statements.items():
        kinds["statements"][row.version] += 1
        kinds["held by tests" if holders[key] else f"no test: {row.reason}"][row.version] += 1
    return versions, [(kind, *(kinds[kind][each] for each in versions)) for kind in kinds]


HEAD = """\
# Conformance

Every normative statement of MQTT 3.1.1 and 5.0, in our words, and the tests that hold it. Written by
`tools/conformance.py --write` from [the table of statements](../tests/conformance.tsv) and from the
marks of the tests; a test fails when a statement is open or this page is old. Where a statement binds
clients, the tests show what the server does about one that breaks it.
"""


def show_holders(tests):
    """Each file once, as a link, with its tests."""
    files = collections.defaultdict(list)
    for test in tests:
        files[test.path].append(test.name)
    return "; ".join(f"[{path.removeprefix('tests/')}](../{path}): {', '.join(names)}"
                     for path, names in files.items())


def page(statements, holders):
    versions, rows = counts(statements, holders)
    lines = [HEAD, f"| | {' | '.join(versions)} |", "|---|" + "---:|" * len(versions)]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    for version in versions:
        lines += ["", f"## MQTT {version}", "", "| statement | about | binds | what it says | held by |",
                  "|---|---|---|---|---|"]
        for key, row in statements.items():
            if row.version == version:
                held = show_holders(holders[key]) or f"*{row.reason}*"
                about = row.section.split(" ", 1)[1]
                lines.append(f"| {row.id} | {about} | {row.binds} | {row.text} | {held} |")
    return "\n".join(lines) + "\n"


def check(root, write=False):
    """What is wrong, and the counts."""
    statements, complaints = read_statements(root)
    tests, more = read_tests(root)
    holders, most = hold(statements, tests)
    complaints += more + most
    text = page(statements, holders)
    path = root / PAGE
    if write:
        path.write_text(text, encoding="utf-8")
    elif not path.exists() or path.read_text(encoding="utf-8") != text:
        complaints.append(f"{PAGE}: old; tools/conformance.py --write makes it anew")
    return complaints, counts(statements, holders)


# ---- that it can fail ----

SAMPLE = {
    TABLE: "\t".join(COLUMNS) + "\n"
           "5.0\tMQTT-1.1.0-1\t1.1.0 A\tboth\tOne.\t\n5.0\tMQTT-1.1.0-2\t1.1.0 A\tserver\tTwo.\t\n"
           "5.0\tMQTT-1.1.0-3\t1.1.0 A\tclient\tThree.\tof clients\n",
    "tests/pytest.ini": "[pytest]\npython_files =\n    tests/a/*.py\n",
    "tests/a/one.py": '@pytest.mark.holds("5.0: MQTT-1.1.0-1")\ndef test_one():\n    pass\n',
    "src/b/meson.build": "tests = ['two']\n",
    "src/b/two_test.c": "/* Holds 5.0: MQTT-1.1.0-1\n * MQTT-1.1.0-2. */\nstatic void test_two(void"
                        " **state)\n{\n}\ncmocka_unit_test(test_two)\n",
}

# file: what to put in place of what, and the complaint to come
BROKEN = [
    ("tests/a/one.py", "1.1.0-1", "1.1.0-9", "no statement"),
    ("tests/a/one.py", "5.0:", "3.1.1:", "no statement"),
    ("tests/a/one.py", "5.0: ", "", "is not"),
    ("tests/a/one.py", "1.1.0-1", "1.1.0-3", "yet a reason"),
    ("tests/a/one.py", "def test_one", "def one", "does not collect"),
    ("tests/a/one.py", "test_one", "test_three", "old"),
    ("tests/pytest.ini", "tests/a/", "tests/c/", "does not collect"),
    ("src/b/two_test.c", "MQTT-1.1.0-2", "", "has no test"),
    ("src/b/two_test.c", "-2. */", "-2. */\n", "no test function"),
    ("src/b/two_test.c", "unit_test(test_two", "unit_test(test_three", "never run"),
    ("src/b/two_test.c", "Holds 5.0:", "Holds", "not /* Holds"),
    ("src/b/meson.build", "two", "three", "never run"),
    (TABLE, "of clients", "", "has no test"),
    (TABLE, "\tclient", "\tnobody", "whom it binds"),
    (TABLE, "1.1.0 A\tclient", "1.1.1 A\tclient", "not of section"),
]


def make_sample(root):
    for name, text in SAMPLE.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    (root / "docs").mkdir(exist_ok=True)


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        make_sample(root)
        assert check(root, write=True)[0] == []
        assert check(root)[0] == []
        for name, old, new, expected in BROKEN:
            make_sample(root)
            assert old in SAMPLE[name], old
            (root / name).write_text(SAMPLE[name].replace(old, new), encoding="utf-8")
            complaints = check(root)[0]
            assert any(expected in each for each in complaints), (name, new, complaints)
    print(f"{len(BROKEN)} samples")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="write the page")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    complaints, (versions, rows) = check(ROOT, options.write)
    for each in complaints:
        print(each)
    for kind, *numbers in rows:
        print(f"{kind:60}", *(f"{version}: {number:3}" for version, number in
                              zip(versions, numbers)))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
