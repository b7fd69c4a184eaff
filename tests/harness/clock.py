"""Clocks of a broker that a scenario moves."""

import pathlib
import struct
import subprocess

SOURCE = pathlib.Path(__file__).with_name("clock.c")


class Clock:
    """Give `environment` to the broker; both clocks begin as the machine's."""

    def __init__(self, folder):
        self.file = folder / "clock"
        self.ahead = [0, 0]
        self._write()
        library = folder / "clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE], check=True)
        self.environment = {"LD_PRELOAD": str(library), "NIGHTJAR_TESTS_CLOCK": str(self.file)}

    def _write(self):
        with open(self.file, "r+b" if self.file.exists() else "wb") as file:
            file.write(struct.pack("=qq", *self.ahead))

    def move_wall(self, seconds):
        """As an operator or a time server would set it."""
        self.ahead[0] += seconds
        self._write()

    def pass_time(self, seconds):
        """Both go on, as they do while a process is stopped."""
        self.ahead = [each + seconds for each in self.ahead]
        self._write()
