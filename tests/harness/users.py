"""Files of users, written by Debian's mosquitto_passwd or, where that can't, by ours."""

import functools
import os
import pathlib
import subprocess
import tempfile

from .broker import binary


def ours():
    return str(pathlib.Path(binary("nightjar")).parent / "nightjar-passwd")


@functools.lru_cache(maxsize=None)
def password(name, form="sha512-pbkdf2", word=None):
    """The line of a user, whose password is NAME-secret unless it is said."""
    tool = "mosquitto_passwd" if form != "argon2id" else ours()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "passwords")
        subprocess.run([tool, "-H", form, "-b", "-c", path, name, word or f"{name}-secret"],
                       check=True, stderr=subprocess.DEVNULL)
        return pathlib.Path(path).read_text()


def passwords(names):
    return "".join(password(name) for name in names)
