"""
Fails on an #include in src/ against the order of the folders.

The order is the list `folders` in src/meson.build. A file includes from its own folder and from
those before it, and writes the folder's name: #include "mqtt/decode.h". System headers are free,
except that cmocka belongs to the tests: NAME_test.c, and headers named test.h, NAME_test.h or
fixture.h.
"""

import argparse
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')

TEST = re.compile(r"\b((\w+_)?test\.[ch]|fixture\.h)$")


def folder_order(source):
    text = (source / "meson.build").read_text()
    found = re.search(r"^folders = \[([^\]]*)\]", text, re.M)
    if found is None:
        sys.exit("src/meson.build has no list `folders`")
    return re.findall(r"'(\w+)'", found.group(1))


def complaint(path, order, quote, name):
    """What is wrong with one #include of a file, or None."""
    own = path.parts[0]
    is_test = TEST.search(path.name) is not None
    if quote == "<":
        return "cmocka is for tests only" if name.startswith("cmocka") and not is_test else None
    if TEST.search(name) and not is_test:
        return f'"{name}" is for tests only'
    folder = name.split("/")[0]
    if "/" not in name or ".." in name:
        return f'"{name}" must name its folder, as in "{own}/{name}"'
    if folder not in order:
        return f'"{name}": {folder}/ is no folder of src/'
    if order.index(folder) > order.index(own):
        return f'"{name}": {own}/ stands below {folder}/ and must not know it'
    return None


def check(source):
    order = folder_order(source)
    complaints = []
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if path.suffix not in (".c", ".h", ".def"):
            continue
        if len(relative.parts) < 2 or relative.parts[0] not in order:
            complaints.append(f"{path}:1: not in a folder of src/meson.build's list")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            wrong = match and complaint(relative, order, *match.groups())
            if wrong:
                complaints.append(f"{path}:{number}: {wrong}")
    return complaints


SAMPLES = [
    ("base/a.c", '#include "base/b.h"', True),
    ("net/a.c", '#include "base/b.h"', True),
    ("net/a.c", '# include <sys/socket.h>', True),
    ("net/a_test.c", '#include <cmocka.h>', True),
    ("net/a_test.c", '#include "base/test.h"', True),
    ("net/test.h", '#include <cmocka.h>', True),
    ("net/a.c", '#include "base/contest.h"', True),
    ("net/a.c", '// #include "app/b.h"', True),
    ("base/a.c", '#include "net/b.h"', False),
    ("base/a.h", '  #  include "net/b.h"', False),
    ("base/a.c", '#include "b.h"', False),
    ("base/a.c", '#include "../net/b.h"', False),
    ("base/a.c", '#include "other/b.h"', False),
    ("base/a.c", '#include <cmocka.h>', False),
    ("net/a.c", '#include "base/test.h"', False),
    ("net/a.h", '#include "base/a_test.h"', False),
    ("base/a_test.c", '#include "net/b.h"', False),
    ("other/a.c", '', False),
    ("a.c", '', False),
]


def self_test():
    for name, line, is_right in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder)
            (source / "meson.build").write_text("folders = ['base', 'net',\n  'app']\n")
            (source / name).parent.mkdir(exist_ok=True)
            (source / name).write_text(f"/* first */\n{line}\n")
            complaints = check(source)
            assert is_right == (not complaints), f"{name}: {line}: {complaints}"
            if line and not is_right:
                assert f"{name}:2: " in complaints[0], complaints
    print(f"{len(SAMPLES)} samples")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--self-test", action="store_true")
    if parser.parse_args().self_test:
        return self_test()
    complaints = check(ROOT / "src")
    print("\n".join(complaints) or "every #include follows the order of the folders")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
