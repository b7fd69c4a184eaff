"""Places in the code, from what a counted program writes at its end to what is said of it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import sites  # noqa: E402

COUNTED = sys.argv[1]


def test_a_run_less_another(folder):
    few, many = folder / "few", folder / "many"
    few.write_text("0x10 5 0 1\n0x20 1 0 0\n")
    many.write_text("0x10 20 10 2\n0x30 4 0 0\n0x10 5 0 9\n0x20 1 0 0\n")
    found = sites.Sites()
    found.add(few, -1)
    found.add(many, 1)
    found = found.each(10)
    assert found == {0x10: {"writes": 2.0, "reads": 1.0, "locked": 1.0},
                     0x20: {"writes": 0.0, "reads": 0.0, "locked": 0.0},
                     0x30: {"writes": 0.4, "reads": 0.0, "locked": 0.0}}, found
    assert sites.total(found) == {"writes": 2.4, "reads": 1.0, "locked": 1.0}
    assert sites.busiest(COUNTED, {}, 0) == []


def test_places_have_names(folder):
    written = folder / "written"
    subprocess.run([COUNTED], env={**os.environ, "NIGHTJAR_LINES": str(written)}, check=True,
                   capture_output=True)
    found = sites.Sites()
    found.add(written, 1)
    busiest = sites.busiest(COUNTED, found.each(1), 100)
    assert busiest == sorted(busiest, key=lambda site: -site["writes"] - site["reads"]), busiest
    # The busiest of those that were inlined into others.
    by_function = {site["place"].split()[0]: site for site in reversed(busiest)}
    assert by_function["write_neighbour"]["writes"] >= 100, busiest
    assert by_function["copy_lines"]["writes"] >= 400, busiest
    # Which of these is the busiest depends on how its two threads meet.
    assert max(site["locked"] for site in busiest
               if site["place"].startswith("add_atomic ")) >= 2000000, busiest
    assert by_function["store_fenced"]["writes"] < 10, busiest
    assert " lines_test.c:" in by_function["write_neighbour"]["place"], busiest


def test_a_file_that_can_not_be_written():
    done = subprocess.run([COUNTED], env={**os.environ, "NIGHTJAR_LINES": "/nowhere/file"},
                          capture_output=True, text=True)
    assert done.returncode == 1 and "/nowhere/file" in done.stderr, done


with tempfile.TemporaryDirectory(prefix="bench-") as name:
    test_a_run_less_another(Path(name))
    test_places_have_names(Path(name))
test_a_file_that_can_not_be_written()
