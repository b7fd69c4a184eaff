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


# ---- writing it anew ----

HEAD = """\
# Where Nightjar differs from Debian's mosquitto 2.0.11. A group: [reason] and what differs, then
# its rows: SCRIPT@VERSIONS STEP CLIENT: what 2.0.11 sends -> what Nightjar sends. Reasons:
#   2.1       Mosquitto changed it after 2.0.11
#   standard  the standard asks for it
#   open      the standard leaves it open
#   more      Nightjar tells the client more
# docs/mosquitto.md has a section made from this.
"""


def renew(groups, seen):
    """
    Puts what was seen, {(script, version): {what}}, in place of the rows of those cases. A row
    stays in its group when only its text has changed; a row without a group gets one without a
    reason, which read() refuses until somebody has given it.
    """
    homes = {}
    for group in groups:
        for entry in group.entries:
            for version in entry.versions:
                homes[entry.script, version, entry.what[:2]] = group
            entry.versions = tuple(each for each in entry.versions
                                   if (entry.script, each) not in seen)
    strangers = Group("unexplained", "Say what differs, and why.")
    for (script, version), rows in seen.items():
        for what in sorted(rows):
            add_row(homes.get((script, version, what[:2]), strangers), script, version, what)
    for group in groups:
        group.entries = [entry for entry in group.entries if entry.versions]
    return [group for group in [*groups, strangers] if group.entries]


def add_row(group, script, version, what):
    last = len(group.entries)
    for place, entry in enumerate(group.entries):
        if entry.script == script:
            last = place + 1
            if entry.what == what:
                entry.versions = tuple(sorted((*entry.versions, version)))
                return
    group.entries.insert(last, Entry(script, (version,), what))


def write(path, groups):
    lines = [HEAD]
    for group in groups:
        lines += [*wrap(f"[{group.reason}] {group.text}", width=98),
                  *map(show_entry, group.entries), ""]
    path.write_text("\n".join(lines).rstrip() + "\n")


def show_entry(entry):
    step, client, theirs, ours = entry.what
    return f"  {entry.script}@{','.join(entry.versions)} {step} {client}: {theirs} -> {ours}"


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


def wrap(text, indent="", width=100):
    return textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False,
                         break_on_hyphens=False)


def shown_scripts(group):
    names = list(dict.fromkeys(entry.script for entry in group.entries))
    return ", ".join(f"`{name}`" for name in names)


def write_section(page, groups, script_count):
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END + "\n")[2]
    page.write_text(before + section(groups, script_count) + after)
