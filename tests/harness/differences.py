"""
The table of differences between two brokers, tests/witness/differences.txt: groups of rows, each
with a reason of a closed set and a sentence that says what differs. A page is made from it.
"""

import dataclasses
import re
import textwrap

REASONS = {
    "2.1": ("What Mosquitto changed after 2.0.11",
            "Nightjar takes the place of Mosquitto 2.1 and does as that does."),
    "standard": ("Where Mosquitto 2.0.11 departs from the standard",
                 "Nightjar keeps to the sentence of the standard that is named."),
    "open": ("What the standard leaves to the server",
             "Both answers are allowed; clients that rely on neither notice nothing."),
    "more": ("What Mosquitto 2.0.11 does not say",
             "Nightjar tells the client more: why, or that there is nothing to do."),
}
BEGIN = "<!-- made from tests/witness/differences.txt -->"
END = "<!-- end -->"


@dataclasses.dataclass
class Entry:
    script: str
    versions: tuple
    what: tuple  # (step, client, what they sent, what we sent)


@dataclasses.dataclass
class Group:
    reason: str
    text: str
    entries: list = dataclasses.field(default_factory=list)


def read(path):
    groups = []
    for line in path.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if match := re.fullmatch(r"\[([a-z0-9.]+)\] (.+)", line):
            reason, text = match.groups()
            assert reason in REASONS, f"{path.name}: no reason {reason!r}"
            groups.append(Group(reason, text))
        elif "->" in line and line.startswith("  "):
            groups[-1].entries.append(read_entry(line))
        else:
            assert not groups[-1].entries, f"{path.name}: {line!r}"
            groups[-1].text += " " + line.strip()
    return groups


def read_entry(line):
    match = re.fullmatch(r"  (\S+)@(\S+) (\d+) (\w): (.*) -> (.*)", line)
    assert match, f"not a row: {line!r}"
    script, versions, step, client, theirs, ours = match.groups()
    return Entry(script, tuple(versions.split(",")), (int(step), client, theirs, ours))


# ---- the page ----

def section(groups, script_count):
    lines = [BEGIN, *wrap(
        f"{script_count} scripted sessions (`tests/witness/`) are played to Mosquitto 2.0.11 of "
        "Debian 12 and to Nightjar, and every byte that a server sends is compared. This is all "
        "that differs; the scripts that show it are named behind each line.")]
    for reason, (title, meaning) in REASONS.items():
        chosen = [group for group in groups if group.reason == reason]
        if chosen:
            lines += ["", f"### {title}", "", *wrap(meaning), ""]
        for group in chosen:
            lines += wrap(f"- {group.text} ({shown_scripts(group)})", "  ")
    return "\n".join([*lines, END]) + "\n"


def wrap(text, indent=""):
    return textwrap.wrap(text, 100, subsequent_indent=indent, break_long_words=False,
                         break_on_hyphens=False)


def shown_scripts(group):
    names = list(dict.fromkeys(entry.script for entry in group.entries))
    return ", ".join(f"`{name}`" for name in names)


def write_section(page, groups, script_count):
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END + "\n")[2]
    page.write_text(before + section(groups, script_count) + after)
