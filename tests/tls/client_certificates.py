"""What a client's certificate opens, and what it does not: require_certificate and names."""

import ssl

import pytest

from harness import tls, wire
from harness.certificates import Authority
from harness.tools import arguments

LEVELS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Set:
    """An authority of clients, and all kinds of certificates."""

    def __init__(self, folder):
        self.authority = Authority(folder / "clients", "client-ca")
        self.good = self.authority.client("meter")
        self.expired = self.authority.client("old", days=-1)
        self.revoked = self.authority.client("lost")
        self.list = self.authority.revoke(self.revoked)
        self.foreign = Authority(folder / "foreign", "client-ca").client("meter")


@pytest.fixture(scope="session")
def clients(tmp_path_factory):
    return Set(tmp_path_factory.mktemp("clients"))


@pytest.fixture
def secure(start_broker, authority, clients):
    def start(more="", **options):
        return start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n"
                            f"{authority.lines}"
                            f"cafile {clients.authority.cert}\nrequire_certificate true\n" + more,
                            **options)
    return start


def rules_for(authority, pair, level=None):
    return tls.context(authority.cert, pair and (pair.cert, pair.key), level)


def refused(broker, rules):
    """The alert that the handshake ends with, as OpenSSL calls it."""
    client = broker.open(5)
    with pytest.raises(ssl.SSLError) as error:
        client.start_tls(rules)
        client.socket.tls.write(wire.connect("c", 5))
        client.socket.flush()
        client.socket.recv(1)
    return error.value.reason


@pytest.mark.parametrize("level", LEVELS)
def test_who_comes_in(secure, authority, clients, level):
    broker = secure(f"crlfile {clients.list}\n")
    broker.connect("c", 5, tls=rules_for(authority, clients.good, level)).ping()
    wanted = {
        None: ("TLSV13_ALERT_CERTIFICATE_REQUIRED" if level == ssl.TLSVersion.TLSv1_3 else
               "SSLV3_ALERT_HANDSHAKE_FAILURE", "peer did not return a certificate"),
        clients.foreign: ("TLSV1_ALERT_UNKNOWN_CA|TLSV1_ALERT_DECRYPT_ERROR",
                          "certificate signature failure|unable to get .* certificate"),
        clients.expired: ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "certificate has expired"),
        clients.revoked: ("SSLV3_ALERT_CERTIFICATE_REVOKED", "certificate revoked"),
    }
    for pair, (alert, reason) in wanted.items():
        assert refused(broker, rules_for(authority, pair, level)) in alert.split("|")
        broker.expect_line(rf"Client 127\.0\.0\.1 \[127\.0\.0\.1:\d+\] disconnected: "
                           rf"TLS: (?:{reason})\.")
    broker.expect_line(r"OpenSSL Error\[0\]: error:0A0000C7:SSL routines::"
                       "peer did not return a certificate")


def test_dates_do_not_matter(secure, authority, clients):
    broker = secure("disable_client_cert_date_checks true\n")
    broker.connect("c", 5, tls=rules_for(authority, clients.expired)).ping()
    refused(broker, rules_for(authority, clients.foreign))


def test_authorities_in_a_folder(start_broker, authority, clients, tmp_path):
    from harness.certificates import openssl
    folder = tmp_path / "authorities"
    folder.mkdir()
    name = openssl("x509", "-in", clients.authority.cert, "-noout", "-hash").decode().strip()
    (folder / f"{name}.0").write_bytes(clients.authority.cert.read_bytes())
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n"
                          f"{authority.lines}"
                          f"capath {folder}\nrequire_certificate true\n")
    broker.connect("c", 5, tls=rules_for(authority, clients.good)).ping()
    assert refused(broker, rules_for(authority, None)) == "TLSV13_ALERT_CERTIFICATE_REQUIRED"


def test_nobody_is_asked_unless_it_is_required(start_broker, authority, clients):
    """As Mosquitto: a certificate that nobody asked for is not shown, and gives no name."""
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n"
                          f"{authority.lines}"
                          f"cafile {clients.authority.cert}\n"
                          "use_identity_as_username true\n")
    client = broker.open(4, tls=rules_for(authority, clients.good))
    client.send(wire.connect("c", 4))
    client.expect("CONNACK", code=4)
    client.expect_close()


# ---- names ----

def test_the_common_name(secure, authority, clients, version):
    """Before what CONNECT says, and without a password."""
    broker = secure("use_identity_as_username true\nallow_anonymous false\n")
    client = broker.connect("c", version, tls=rules_for(authority, clients.good),
                            username="somebody", password=b"else")
    broker.expect_line(r"New client connected from .* as c \(.* u'meter'\)\.")
    # Whoever is named by a certificate stays, also where others would not come in any more.
    broker.reload()
    client.ping()


def test_the_subject(secure, authority, clients):
    broker = secure("use_subject_as_username true\n")
    pair = clients.authority.client("plant", "/O=Plant 7, east/CN=meter")
    broker.connect("c", 5, tls=rules_for(authority, pair))
    broker.expect_line(r"New client connected from .* u'CN=meter,O=Plant 7\\+, east'\)\.")


@pytest.mark.parametrize("subject", ["/O=nobody", "/CN=#", "/CN=a\\+b", "/CN=a\\/b", "/CN=\t"])
def test_no_name(secure, authority, clients, version, subject):
    """None at all, or one that means more in a topic than a name should."""
    broker = secure("use_identity_as_username true\n")
    pair = clients.authority.client("odd", subject)
    client = broker.open(version, tls=rules_for(authority, pair))
    client.send(wire.connect("c", version))
    client.expect("CONNACK", code=0x86 if version == 5 else 4)
    client.expect_close()


def test_mosquitto_pub(secure, authority, clients):
    import subprocess
    broker = secure()
    common = arguments("pub", ("localhost", broker.port), 5, "-t", "t", "-m", "x", "-q", "1",
                       "-i", "c", "--cafile", str(authority.cert))
    assert subprocess.run([*common, "--cert", str(clients.good.cert), "--key",
                           str(clients.good.key)], timeout=10, check=False).returncode == 0
    assert subprocess.run(common, timeout=10, check=False, capture_output=True).returncode != 0


# ---- what is wrong with the options ----

@pytest.mark.parametrize("lines, complaint", [
    ("cafile {dir}/missing", r"Unable to load CA certificates\. Check cafile .*missing.* "
                             r"\(.*No such file or directory\)"),
    ("cafile {dir}/broker.conf", r"Unable to load CA certificates\. Check cafile"),
    ("capath {dir}/missing", r"Unable to load CA certificates\. Check capath .*"
                             r"\(No such file or directory\)"),
    ("capath {dir}/broker.conf", r"Unable to load CA certificates\. Check capath .*"
                                 r"\(Not a directory\)"),
    ("crlfile {dir}/missing", r"Unable to load certificate revocation file .*"
                              r"\(.*No such file or directory\)"),
    ("crlfile {dir}/broker.conf", r"Unable to load certificate revocation file"),
    ("ciphers nothing", r"Unable to set TLS ciphers\. Check cipher list .nothing."),
    ("ciphers_tls1.3 nothing", r"Unable to set TLS 1\.3 ciphersuites\."),
    ("require_certificate true", r"require_certificate needs cafile or capath\."),
])
def test_what_is_wrong(start_broker, authority, lines, complaint):
    broker = start_broker("listener {port} 127.0.0.1\n"
                          f"certfile {authority.folder}/server.crt\n"
                          f"keyfile {authority.folder}/server.key\n{lines}\n", ready=False)
    broker.expected_status = 1
    assert broker.wait() == 1
    broker.expect_line(rf"Error: {complaint}.*")
    broker.expect_line(r"Error found at .*broker\.conf:4\.")


@pytest.mark.parametrize("lines", ["tls_engine pkcs11", "tls_engine_kpass_sha1 12",
                                   "tls_keyform engine"])
def test_engines(start_broker, lines):
    broker = start_broker("listener {port} 127.0.0.1\n" + lines + "\n", ready=False)
    broker.expected_status = 3
    assert broker.wait() == 3
    name = lines.split()[0]
    broker.expect_line(f"Error: {name} is not supported: OpenSSL 3 has no engines to rely on.*")


@pytest.mark.parametrize("name, value", [
    ("cafile", "x"), ("capath", "x"), ("crlfile", "x"), ("ciphers", "x"),
    ("ciphers_tls1.3", "x"), ("disable_client_cert_date_checks", "true"),
    ("tls_version", "tlsv1.3")])
def test_without_a_certificate_they_have_no_effect(start_broker, name, value):
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n"
                          f"{name} {value}\n")
    broker.expect_line(rf"Warning: {name} has no effect without certfile\. \(.*:3\)")
    broker.connect("c", 5)
