"""A listener of protocol http_api, and who asks it."""

import base64
import http.client

from .client import PATIENCE

API = "listener {port} 127.0.0.1\nallow_anonymous true\n" \
      "listener {port2} 127.0.0.1\nprotocol http_api\nallow_anonymous true\n"


class Web:
    """One connection, which goes on from request to request."""

    def __init__(self, broker, context=None):
        port = broker.places["port2"]
        self.connection = http.client.HTTPSConnection(
            "localhost", port, timeout=PATIENCE, context=context) if context else \
            http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def get(self, path, method="GET", **headers):
        self.connection.request(method, path, headers={
            name.replace("_", "-"): value for name, value in headers.items()})
        answer = self.connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
