"""
Authorities, certificates and keys, made by openssl while the tests run: none is kept anywhere.

An authority is a folder; what it signs lies beside it: NAME.crt and NAME.key.
"""

import itertools
import pathlib
import subprocess
import typing

NUMBERS = itertools.count(1)


def openssl(*arguments, folder):
    done = subprocess.run(["openssl", *map(str, arguments)], cwd=folder, capture_output=True,
                          timeout=60, check=False)
    assert done.returncode == 0, f"openssl {arguments}: {done.stderr.decode()}"
    return done.stdout


class Pair(typing.NamedTuple):
    """A certificate and its key."""

    cert: pathlib.Path
    key: pathlib.Path

    @property
    def both(self):
        """In one file, as HAProxy wants them."""
        path = self.cert.with_suffix(".pem")
        path.write_bytes(self.cert.read_bytes() + self.key.read_bytes())
        return path

    def der(self):
        return openssl("x509", "-in", self.cert, "-outform", "DER", folder=self.cert.parent)


class Authority:
    """Signs certificates; `parent` signs its own, else it does that itself."""

    def __init__(self, folder, name="ca", parent=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name, self.revoked = name, []
        self.certificate, self.key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        self.make(name, f"/CN=Authority {name}", parent or self,
                  "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n")

    def make(self, name, subject, signer, extensions, days=30, key_type="ec"):
        """NAME.crt and NAME.key."""
        kind = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
                "rsa": ["-newkey", "rsa:2048"]}[key_type]
        request, rules = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        rules.write_text(extensions)
        openssl("req", "-new", "-nodes", *kind, "-keyout", self.folder / f"{name}.key", "-out",
                request, "-utf8", "-subj", subject, folder=self.folder)
        signed = ["-signkey", self.folder / f"{name}.key"] if signer.key == \
            self.folder / f"{name}.key" else ["-CA", signer.certificate, "-CAkey", signer.key]
        openssl("x509", "-req", "-in", request, "-out", self.folder / f"{name}.crt", "-days", days,
                "-set_serial", 1000 + next(NUMBERS), "-extfile", rules, *signed,
                folder=self.folder)
        request.unlink()
        rules.unlink()
        return Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")

    def server(self, name="server", **options):
        """For localhost and the addresses of loopback."""
        return self.make(name, f"/CN={name}", self, "subjectAltName=DNS:localhost,DNS:*.test,"
                         "IP:127.0.0.1,IP:::1\nextendedKeyUsage=serverAuth\n", **options)

    def client(self, name="client", subject=None, **options):
        return self.make(name, subject or f"/CN={name}", self, "extendedKeyUsage=clientAuth\n",
                         **options)
