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

    def _new(self, name):
        pair = Pair(self.folder, name)
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-out", pair.key)
        return pair

    def _sign(self, pair, subject, kind, *by):
        request = self.folder / "request"
        extensions = self.folder / "extensions"
        extensions.write_text(EXTENSIONS[kind])
        openssl("req", "-new", "-utf8", "-key", pair.key, "-subj", subject, "-out", request)
        openssl("x509", "-req", "-in", request, "-out", pair.cert, "-days", 2, "-sha256",
                "-extfile", extensions, *by)

    def _issue(self, name, subject, kind):
        pair = self._new(name)
        self._sign(pair, subject, kind, "-CA", self.cert, "-CAkey", self.pair.key,
                   "-CAcreateserial")
        return pair.join()

    def server(self, name="server"):
        return self._issue(name, f"/CN={name}", "server")

    def client(self, name="client", subject=None):
        return self._issue(name, subject or f"/CN={name}", "client")
