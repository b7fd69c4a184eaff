"""
Runs clang-tidy: tools/lint.py [--all | --base COMMIT | FILE...]

Without arguments: on the sources that differ from origin/main, committed or not, and those that
include a header that differs. Where origin/main is this very commit (a clone of main), or is not
known: on everything.
"""

import argparse
import concurrent.futures
import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-lint"
# clang-tidy 19 comes without the sanitizers' headers. Those of clang 14 serve as well, but only those:
# its own stdatomic.h and the like would get in the way, hence the link to the one folder.
SANITIZER_HEADERS = BUILD / "headers"
SANITIZER_FOLDERS = "/usr/lib/llvm-14/lib/clang/14*/include/sanitizer"



def git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    return done.stdout.split() if done.returncode == 0 else None


def compiled():
    """What clang compiles: set up, never built; the answers are in compile_commands.json."""
    if not (BUILD / "build.ninja").exists():
        shutil.rmtree(BUILD, ignore_errors=True)
        subprocess.run(["meson", "setup", str(BUILD), "-Dtests=enabled", "-Dfuzz=true",
                        "-Db_sanitize=address,undefined", "-Db_lundef=false"], cwd=ROOT,
                       env={**os.environ, "CC": "clang-14"}, check=True,
                       stdout=subprocess.DEVNULL)
    else:
        subprocess.run(["ninja", "-C", str(BUILD), "build.ninja"], check=True,
                       stdout=subprocess.DEVNULL)
    for folder in glob.glob(SANITIZER_FOLDERS)[:1]:
        SANITIZER_HEADERS.mkdir(exist_ok=True)
        link = SANITIZER_HEADERS / "sanitizer"
        link.unlink(missing_ok=True)
        link.symlink_to(folder)
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    files = {pathlib.Path(each["directory"], each["file"]).resolve() for each in commands}
    return sorted(each for each in files if each.is_relative_to(ROOT))


def changed(base):
    names = git("diff", "--name-only", base)
    others = git("ls-files", "--others", "--exclude-standard")
    return None if names is None else set(names) | set(others or [])


def concerned(sources, names):
    """The sources that were changed or include, directly, a header that was."""
    headers = {name.removeprefix("src/") for name in names if name.endswith(".h")}
    for source in sources:
        includes = re.findall(r'^#include "([^"]+)"', source.read_text(), re.M)
        if str(source.relative_to(ROOT)) in names or headers & set(includes):
            yield source


def default_base():
    base = git("merge-base", "HEAD", "origin/main")
    return base[0] if base and base != git("rev-parse", "HEAD") else None


def select(options):
    sources = compiled()
    if options.files:
        wanted = {each.resolve() for each in options.files}
        return [each for each in sources if each in wanted]
    base = options.base or default_base()
    names = None if options.all or base is None else changed(base)
    if names is None or ".clang-tidy" in names:
        return sources
    return list(concerned(sources, names))


def is_wanted(complaint):
    """.clang-tidy says why the one half of misc-include-cleaner is not."""
    return re.search(r"no header providing .* is directly included", complaint) is None


def complaints_in(output):
    """The complaints of clang-tidy, each with the notes and the lines of source that follow it."""
    parts = re.split(r"^(?=[^ \n]+:\d+:\d+: (?:warning|error): )", output, flags=re.M)
    return [each.rstrip() for each in parts[1:] if is_wanted(each)]


def tidy(program, source):
    command = [program, "--quiet", "-p", str(BUILD), f"--extra-arg=-idirafter{SANITIZER_HEADERS}"]
    if source.name.endswith("_test.c"):
        # The analyzer does not know that a failed assertion of cmocka ends the test.
        command.append("--checks=-clang-analyzer-*")
    done = subprocess.run([*command, str(source)], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    complaints = complaints_in(done.stdout)
    if done.returncode != 0 and not complaints:
        complaints = [done.stderr.strip()]
    return "\n".join(complaints)


def main():
    parser = argparse.ArgumentParser(prog="./dev lint")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--base", help="what to compare with instead of origin/main")
    options = parser.parse_args()
    program = next((each for each in ("clang-tidy-19", "clang-tidy-14") if shutil.which(each)), None)
    if program is None:
        sys.exit("./dev lint: there is no clang-tidy")
    chosen = select(options)
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, text in zip(chosen, pool.map(lambda each: tidy(program, each), chosen)):
            if text:
                wrong += 1
                print(f"{source.relative_to(ROOT)}\n{text}\n", flush=True)
    print(f"{program}: {len(chosen)} files, {wrong} with complaints")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
