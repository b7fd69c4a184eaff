#!/usr/bin/python3
"""Puts the tables of one or more bench.json between the marks of docs/performance.md.

    bench/page.py build-release/bench.json [MORE...]

A row that is in several files is taken from the last of them.
"""

import json
import re
import sys
from pathlib import Path

from sites import FIGURES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- bench: written by bench/page.py -->\n", "<!-- /bench -->\n"

# Which rows stand under which heading: the first that fits.
SECTIONS = (
    ("How the cost grows", lambda row: row["name"].startswith("slope-")),
    ("Memory of an idle connection, bytes", lambda row: row["name"].startswith("idle")),
    ("Scale", lambda row: row["name"].startswith("scale-")),
    ("Latency at 5,000 messages a second, p50, us", lambda row: row["name"].startswith("latency")),
    ("Two workers, nothing pinned (the floor has one thread): CPU us", lambda row: row["workers"] > 1),
    ("One worker: CPU us for each message or connection", lambda row: True),
)
ORDER = (5, 4, 3, 1, 2, 0)
BROKERS = ("nightjar", "mosquitto", "floor")


def number(value):
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def ratio(figure, name):
    value = figure["ratios"].get(name)
    return "" if value is None else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def verdict(figure):
    if figure["target"] is None:
        return "", ""
    reference = figure.get("reference")
    target = figure["target"] + ("" if reference is None else f" ({number(reference)})")
    if figure["is_met"] is None:
        return target, "?"
    return target, "met" if figure["is_met"] else f"**{number(figure['reached'])}**"


def table(rows):
    yield "| | nightjar | mosquitto | floor | nightjar / floor | mosquitto / nightjar | target | |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        for figure in row["figures"]:
            cells = [figure["title"].strip()]
            cells += [number(figure["medians"].get(name)) for name in BROKERS]
            cells += [ratio(figure, "nightjar/floor"), ratio(figure, "mosquitto/nightjar")]
            cells += verdict(figure)
            yield "| " + " | ".join(cells) + " |"


def others(rows):
    """The share of the machine that went elsewhere, over all measurements."""
    shares = sorted(sample["others_share"] for row in rows
                    for samples in row["brokers"].values() for sample in samples)
    return f"{shares[0]:.0%} to {shares[-1]:.0%}, median {shares[len(shares) // 2]:.0%}"


def facts(documents, rows):
    first = documents[0]["facts"]
    yield "| | |"
    yield "|---|---|"
    for name in first:
        values = dict.fromkeys(document["facts"].get(name, "") for document in documents)
        yield f"| {name} | {'<br>'.join(values)} |"
    yield f"| share of all CPUs that went to neither broker nor generator | {others(rows)} |"


def all_counted(documents, what):
    counted = {}
    for document in documents:
        counted.update(document.get(what) or {})
    return counted


def instructions(documents):
    counted = all_counted(documents, "instructions")
    if counted:
        yield "\n### User instructions for each message (callgrind)\n"
        yield "| | nightjar |\n|---|---|"
        for title, each in counted.items():
            yield f"| {title} | {each:,.0f} |"


def lines(documents):
    counted = all_counted(documents, "lines")
    if counted:
        yield "\n### Shared cache lines for each message, two workers (counted)\n"
        yield "| | " + " | ".join(FIGURES.values()) + " |"
        yield "|---" * (1 + len(FIGURES)) + "|"
        for row in counted.values():
            cells = [row["title"], *(number(max(0, row[name])) for name in FIGURES)]
            yield "| " + " | ".join(cells) + " |"


def body(documents):
    rows = {row["name"]: row for document in documents for row in document["rows"]}.values()
    sections = {title: [] for title, _ in SECTIONS}
    for row in rows:
        sections[next(title for title, fits in SECTIONS if fits(row))].append(row)
    judged = [figure["is_met"] for row in rows for figure in row["figures"] if figure["target"]]
    yield from facts(documents, rows)
    yield f"\n{judged.count(True)} targets met, {judged.count(False)} not; a figure in bold is " \
          "what it is instead."
    for title, _ in (SECTIONS[number] for number in ORDER):
        if sections[title]:
            yield f"\n### {title}\n"
            yield from table(sections[title])
    yield from lines(documents)
    yield from instructions(documents)


def main():
    documents = [json.loads(Path(name).read_text()) for name in sys.argv[1:]]
    if not documents:
        sys.exit(__doc__)
    text = PAGE.read_text()
    place = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.S)
    assert place.search(text), f"no marks in {PAGE}"
    new = BEGIN + "\n" + "\n".join(body(documents)) + "\n\n" + END
    PAGE.write_text(place.sub(lambda _: new, text))


if __name__ == "__main__":
    main()
