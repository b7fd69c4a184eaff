"""
Fails on a header in src/ that does not compile alone, or not when it is included twice.
"""

import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMPILER = ["gcc", "-fsyntax-only", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
            "-x", "c", "-"]


def compile_alone(source, header):
    name = header.relative_to(source)
    text = f'#include "{name}"\n#include "{name}"\n'
    done = subprocess.run([*COMPILER, f"-I{source}"], input=text, text=True, capture_output=True,
                          check=False)
    return done.stderr if done.returncode != 0 else None


def check(source):
    headers = sorted(source.rglob("*.h"))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = pool.map(lambda header: compile_alone(source, header), headers)
        return headers, [answer for answer in answers if answer is not None]


SAMPLES = [
    ("#pragma once\n#include <stdint.h>\nuint8_t f(void);\n", True),
    ("#pragma once\nuint8_t f(void);\n", False),
    ("#include <stdint.h>\nstruct a { uint8_t b; };\n", False),
]


def self_test():
    for text, is_right in SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder)
            (source / "base").mkdir()
            (source / "base" / "a.h").write_text(text)
            headers, complaints = check(source)
            assert len(headers) == 1
            assert is_right == (not complaints), text
            assert is_right or "base/a.h" in complaints[0], complaints
    print(f"{len(SAMPLES)} samples")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--self-test", action="store_true")
    if parser.parse_args().self_test:
        return self_test()
    headers, complaints = check(ROOT / "src")
    print("\n".join(complaints) or f"{len(headers)} headers compile alone")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
