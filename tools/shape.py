"""
Prints the figures of HACKING.md's "Shape" for the C code: a mirror, not a gate; it never fails.

It reads the layout that clang-format produces: a function's body begins with a line "{" and ends
with a line "}".
"""

import argparse
import pathlib
import re
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def strip(text):
    """Without comments and without what stands in quotes, line by line; and the comment lines."""
    comments = set()

    def blank(match):
        part = match.group(0)
        if not part.startswith("/"):
            return part[0] + part[0]
        first = text.count("\n", 0, match.start())
        comments.update(range(first, first + part.count("\n") + 1))
        return "\n" * part.count("\n")

    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, blank, text, flags=re.S).split("\n"), comments


def parameters(signature):
    inside = signature[signature.index("(") + 1:signature.rindex(")")].strip()
    depth, count = 0, 0 if inside in ("", "void") else 1
    for letter in inside:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        count += letter == "," and depth == 0
    return count


class Function:
    def __init__(self, path, signature, first, body):
        self.path, self.first, self.length = path, first, len(body)
        # A name in parentheses is kept from being a macro.
        self.name = re.search(r"(\w+)\)?\s*\(", signature).group(1)
        self.parameters = parameters(signature)
        depth = self.nesting = 0
        for line in body:
            # A block in a macro argument or an initialiser counts like any other: it reads so.
            opened, closed = line.count("{"), line.count("}")
            depth += opened - closed
            self.nesting = max(self.nesting, depth)


def functions(path, lines):
    found, start = [], None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            first = start
            while first > 0 and re.match(r"[\w\s*(]", lines[first - 1]) and lines[first - 1].strip():
                first -= 1
            signature = " ".join(lines[first:start])
            if "(" in signature and ")" in signature:
                found.append(Function(path, signature, first + 1, lines[start + 1:number]))
            start = None
    return found


class Shape:
    def __init__(self, root, folders):
        paths = sorted(each for folder in folders for each in (root / folder).rglob("*.[ch]"))
        self.functions, self.files, self.headers = [], [], []
        self.lines = self.comments = self.asserts = self.conditions = self.tests = 0
        for path in paths:
            text = path.read_text()
            lines, comments = strip(text)
            length = text.count("\n")
            if path.name.endswith("_test.c"):
                self.tests += length
                continue
            (self.headers if path.suffix == ".h" else self.files).append((length, path))
            self.lines += length
            self.comments += len(comments)
            self.asserts += sum(len(re.findall(r"\bassert\w*\(", line)) for line in lines)
            self.conditions += sum(bool(re.match(r"\s*#\s*if", line)) for line in lines)
            self.functions += functions(path, lines)

    def rows(self):
        lengths = sorted(each.length for each in self.functions) or [0]
        share = 100.0 / len(lengths)
        thousand = 1000.0 / max(1, self.lines)
        files = sorted(self.files) or [(0, ROOT)]
        headers = sorted(self.headers) or [(0, ROOT)]
        counts = [each.parameters for each in self.functions] or [0]
        return [
            ("function median / p90",
             f"{statistics.median(lengths):.0f} / {lengths[len(lengths) * 9 // 10]}", "12 / 40"),
            ("functions > 60 lines", f"{share * sum(each > 60 for each in lengths):.1f} %", "3 %"),
            ("nesting >= 4",
             f"{share * sum(each.nesting >= 4 for each in self.functions):.1f} %", "0.5 %"),
            ("#if per 1,000 lines", f"{self.conditions * thousand:.1f}", "1"),
            ("file median / max",
             f"{statistics.median(each for each, _ in files):.0f} / {files[-1][0]}", "200 / 800"),
            ("header median", f"{statistics.median(each for each, _ in headers):.0f}", "60"),
            ("asserts per 1,000", f"{self.asserts * thousand:.1f}", ">= 10"),
            ("comment share", f"{100 * self.comments / max(1, self.lines):.0f} %", "10-18 %"),
            ("parameters mean / max", f"{statistics.mean(counts):.1f} / {max(counts)}", "<= 5"),
            ("test lines / code lines", f"{self.tests / max(1, self.lines):.2f}", ">= 0.8"),
        ]

    def outliers(self):
        for each in sorted(self.functions, key=lambda each: -each.length):
            if each.length > 60 or each.nesting >= 4 or each.parameters > 5:
                yield (f"{each.path.relative_to(ROOT)}:{each.first}: {each.name}: {each.length} "
                       f"lines, nesting {each.nesting}, {each.parameters} parameters")


SAMPLE = """\
/* One
 * two */
static int one(int a, void (*b)(int, int),
               char c)
{
    if (a) { /* } */
        while (c) {
            puts("{{{");
        }
    }
    assert(b);
}

struct table {
    int a;
};

int two(void)
{
}
"""


def self_test():
    lines, comments = strip(SAMPLE)
    one, two = functions(ROOT / "a.c", lines)
    assert comments == {0, 1, 5}, comments
    assert (one.name, one.length, one.parameters, one.nesting) == ("one", 6, 3, 2), vars(one)
    assert (two.name, two.length, two.parameters, two.nesting) == ("two", 0, 0, 0), vars(two)
    print("1 sample")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="*", default=["src"])
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    shape = Shape(ROOT, options.folders)
    print(f"{'measure':26} {'now':>12}   aim")
    for name, now, aim in shape.rows():
        print(f"{name:26} {now:>12}   {aim}")
    print(f"\n{len(shape.functions)} functions, {shape.lines} lines, {shape.tests} lines of tests")
    outliers = list(shape.outliers())
    if outliers:
        print("\nOver 60 lines, 4 levels or 5 parameters:\n  " + "\n  ".join(outliers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
