"""
Certificates for one scenario, by openssl: an authority, and whom it vouches for. Nothing of them
outlives the scenario's folder.
"""

import pathlib
import subprocess

EXTENSIONS = {
    "ca": "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n",
    "server": "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"
              "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n",
    "client": "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n",
}


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Pair:
    """A certificate, its key, and both in one file as HAProxy wants them."""

    def __init__(self, folder, name):
        self.cert, self.key, self.both = (folder / f"{name}.{end}" for end in ("crt", "key", "pem"))

    def join(self):
        self.both.write_bytes(self.cert.read_bytes() + self.key.read_bytes())
        return self

    def der(self):
        return openssl("x509", "-in", self.cert, "-outform", "DER")


class Authority:
    """`subject`s are as openssl's -subj has them: /O=Plant/CN=meter."""

    def __init__(self, folder, name="ca"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pair = self._new(name)
        self._sign(self.pair, f"/CN={name}", "ca", "-key", self.pair.key)
        self.cert = self.pair.cert

    @classmethod
    def at(cls, folder, name="ca"):
        """One that was made there before."""
        made = cls.__new__(cls)
        made.folder, made.pair = pathlib.Path(folder), Pair(pathlib.Path(folder), name)
        made.cert = made.pair.cert
        return made

    def _new(self, name):
        pair = Pair(self.folder, name)
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-out", pair.key)
        return pair

    def _sign(self, pair, subject, kind, *by, days=2):
        request = self.folder / "request"
        extensions = self.folder / "extensions"
        extensions.write_text(EXTENSIONS[kind])
        openssl("req", "-new", "-utf8", "-key", pair.key, "-subj", subject, "-out", request)
        openssl("x509", "-req", "-in", request, "-out", pair.cert, "-days", days, "-sha256",
                "-extfile", extensions, *by)

    def _issue(self, name, subject, kind, **options):
        pair = self._new(name)
        self._sign(pair, subject, kind, "-CA", self.cert, "-CAkey", self.pair.key,
                   "-CAcreateserial", **options)
        return pair.join()

    def server(self, name="server"):
        return self._issue(name, f"/CN={name}", "server")

    @property
    def lines(self):
        """What a listener needs to be this server."""
        return f"certfile {self.folder}/server.crt\nkeyfile {self.folder}/server.key\n"

    def client(self, name="client", subject=None, days=2):
        """With `days` below 0 it has expired."""
        return self._issue(name, subject or f"/CN={name}", "client", days=days)

    def revoke(self, *pairs):
        """A list of these, which is good until tomorrow."""
        rules, index = self.folder / "ca.conf", self.folder / "index.txt"
        index.touch()
        rules.write_text("[ca]\ndefault_ca = this\n[this]\ndefault_md = sha256\n"
                         f"database = {index}\ndefault_crl_days = 1\n")
        by = ["-config", rules, "-cert", self.cert, "-keyfile", self.pair.key]
        for each in pairs:
            openssl("ca", *by, "-revoke", each.cert)
        openssl("ca", *by, "-gencrl", "-out", self.folder / "revoked.pem")
        return self.folder / "revoked.pem"
