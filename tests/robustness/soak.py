"""
The short form of the soak (./dev test-long): every kind of client at once, and nothing is left.
"""

import os
import re
import subprocess
import sys

import pytest

from harness.broker import ROOT, binary


@pytest.mark.timeout(240)
@pytest.mark.nightjar("reads its dump")
def test_short():
    done = subprocess.run(
        [sys.executable, "-m", "soak.run", "--seconds", "12", "--patience", "40", "--no-memory"],
        cwd=ROOT / "tests", capture_output=True, text=True, check=False,
        env={**os.environ, "NIGHTJAR": os.path.abspath(binary("nightjar"))})
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(r"\n\d+ passed, 0 failed\n$", done.stdout), done.stdout
