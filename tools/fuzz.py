"""
Runs fuzz targets: tools/fuzz.py BUILD [all|NAME] [SECONDS] [--report FILE]

A target is an executable BUILD/fuzz/fuzz_NAME. It starts from its kept corpus, fuzz/corpus/NAME, and
takes the words of fuzz/NAME.dict, or else those of fuzz/mqtt.dict. What it finds stays in BUILD/fuzz-found/NAME, the input of a failure
in BUILD/fuzz-failures/; only a person adds to the kept corpus.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def targets(build):
    folder = build / "fuzz"
    if not folder.is_dir():
        return []
    return sorted(each for each in folder.glob("fuzz_*")
                  if each.is_file() and os.access(each, os.X_OK) and not each.suffix)


def name_of(target):
    return target.name.removeprefix("fuzz_")


def run(build, target, seconds):
    name = name_of(target)
    found, failures = build / "fuzz-found" / name, build / "fuzz-failures"
    found.mkdir(parents=True, exist_ok=True)
    failures.mkdir(exist_ok=True)
    command = [target, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
               f"-artifact_prefix={failures}/{name}-", "-print_final_stats=1"]
    for dictionary in (ROOT / "fuzz" / f"{name}.dict", ROOT / "fuzz" / "mqtt.dict"):
        if dictionary.exists():
            command.append(f"-dict={dictionary}")
            break
    command.append(found)
    corpus = ROOT / "fuzz" / "corpus" / name
    kept = sum(1 for each in corpus.rglob("*") if each.is_file())
    if kept:
        command.append(corpus)
    started = time.monotonic()
    try:
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=seconds * 3 + 120, check=False)
        status, output = done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as expired:
        status, output = -1, (expired.stdout or b"").decode(errors="replace") + "\ntoo slow"
    units = [line.split()[-1] for line in output.splitlines() if "number_of_executed_units" in line]
    print(f"{'ok' if status == 0 else 'FAILED':7} {name:24} {kept:5} kept inputs, "
          f"{units[0] if units else '?':>9} runs, {time.monotonic() - started:.0f} s", flush=True)
    if status != 0:
        print(output[-6000:], flush=True)
    return {"name": name, "passed": status == 0, "text": output[-4000:] if status else ""}


def main():
    parser = argparse.ArgumentParser(prog="./dev fuzz")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("name", nargs="?", default="all")
    parser.add_argument("seconds", nargs="?", type=int, default=10)
    parser.add_argument("--report", type=pathlib.Path, help="write the results there, as JSON")
    options = parser.parse_args()
    known = targets(options.build.resolve())
    chosen = [each for each in known if options.name in ("all", name_of(each))]
    if not chosen:
        names = ", ".join(map(name_of, known))
        sys.exit(f"./dev fuzz: there is no target {options.name}; there are: {names}"
                 if known else "./dev fuzz: no target is built")
    results = [run(options.build.resolve(), each, options.seconds) for each in chosen]
    if options.report:
        options.report.write_text(json.dumps(results))
    return 0 if all(each["passed"] for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())
