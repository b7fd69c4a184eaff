"""
The code blocks of a page that tests run, by name.

A block that is run carries a mark in the line before it, `<!-- test: NAME -->`; a block that only
shows something carries `<!-- shown -->`. Nothing else may stand in a page, so that nobody can add an
example that is never tried.

    tools/readme.py NAME [PAGE]     prints one block (PAGE: README.md)
    tools/readme.py --list [PAGE]   names them all
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MARK = re.compile(r"^<!-- (?:test: ([\w-]+)|shown) -->$")


def blocks(text):
    """{name: content} of the blocks with a name; ValueError for a block without a mark."""
    found, before, name, content = {}, "", None, None
    for number, line in enumerate(text.splitlines(), 1):
        if content is not None:
            if line != "```":
                content.append(line)
                continue
            if name is not None:
                found[name] = "\n".join(content) + "\n"
            content = None
        elif line.startswith("```"):
            mark = MARK.match(before)
            if mark is None:
                raise ValueError(f"line {number}: a code block without a mark")
            name, content = mark.group(1), []
            if name in found:
                raise ValueError(f"line {number}: a second block named {name}")
        before = line
    if content is not None:
        raise ValueError("a code block without an end")
    return found


def self_test():
    text = "<!-- test: run -->\n```sh\n./dev run\n```\n\n<!-- shown -->\n```\na\n```\n"
    assert blocks(text) == {"run": "./dev run\n"}
    for wrong in ("```\na\n```\n", text + text, "<!-- test: run -->\n```\n"):
        try:
            blocks(wrong)
        except ValueError:
            continue
        raise AssertionError(wrong)
    names = blocks((ROOT / "README.md").read_text())
    assert names["run"].strip() == "./dev run" and names["test"].strip() == "./dev test"
    print(", ".join(names))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", nargs="?")
    parser.add_argument("page", nargs="?", type=pathlib.Path, default=ROOT / "README.md")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    if options.list:
        print("\n".join(blocks(pathlib.Path(options.name or options.page).read_text())))
        return 0
    found = blocks(options.page.read_text())
    if options.name not in found:
        sys.exit(f"{options.page} has no block named {options.name}; it has: {', '.join(found)}")
    sys.stdout.write(found[options.name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
