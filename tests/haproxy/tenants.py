"""
Tenants behind one HAProxy, told apart by the host name that they ask for: TLS ends at HAProxy, the
PROXY header tells the broker that name, and the rules give each a part of the topics. And the list
of clients shows what HAProxy has told.
"""

import json

import pytest

from harness import ports, tls, wire
from harness.api import Web

pytestmark = pytest.mark.nightjar("the PROXY protocol")

HAPROXY = """
frontend mqtts
    bind 127.0.0.1:{front} ssl crt {pair} alpn mqtt
    default_backend brokers
backend brokers
    server server1 127.0.0.1:{port} send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,authority
"""
BROKER = """
acl_file {dir}/rules
listener {port} 127.0.0.1
allow_anonymous true
enable_proxy_protocol 2
proxy_protocol_trusted 127.0.0.1
listener {port2} 127.0.0.1
allow_anonymous true
protocol http_api
"""
RULES = "topic read /api/#\npattern tenants/%{authority}/#\npattern read protocols/%{alpn}\n"


@pytest.mark.workers
def test_tenants(start_broker, start_haproxy, authority, workers):
    broker = start_broker(BROKER, files={"rules": RULES})
    front = ports.take()
    start_haproxy(HAPROXY, {"port": broker.port, "front": front, "pair": authority.server().both})
    rules = tls.context()
    rules.set_alpn_protocols(["mqtt"])
    clients = {}
    for host in ("a.example", "B.example", None):
        client = broker.open(5, ("127.0.0.1", front), name=str(host))
        client.start_tls(rules if host else tls.context(), host)
        client.send(wire.connect(str(host), 5))
        client.expect("CONNACK", code=0)
        clients[host] = client
    for host, client in clients.items():
        for tenant in ("a.example", "b.example"):
            got = client.publish(f"tenants/{tenant}/x", b"x", 1)
            may = host is not None and host.lower() == tenant
            assert (got.fields.get("reason") == 0x87) == (not may), (host, tenant)
    told = {each["clientid"]: each
            for each in json.loads(Web(broker).get("/api/v1/clients")[2])["clients"]}
    for host, client in clients.items():
        each = told[str(host)]
        assert each["port"] == client.socket.getsockname()[1]
        assert each["proxy"]["address"] == "127.0.0.1" and each["proxy"]["port"] != each["port"]
        assert each["tls"] == {"ends_at": "proxy", "version": str(client.socket.tls.version()),
                               "cipher": client.socket.tls.cipher()[0], "verified": False,
                               "common_name": None}
        assert (each["authority"] or "").lower() == (host or "").lower()
        assert each["alpn"] == ("mqtt" if host else None)
