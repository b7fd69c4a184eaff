"""
Starts a program as systemd does with sockets: activate.py [NAME=]PLACE... -- COMMAND. A place is
ADDRESS:PORT, a path, `udp` for a socket that is none to listen at, or `from:PATH` for one that whoever
listens there sends.
"""

import os
import socket
import sys

FIRST = 3


def make(place):
    if place == "udp":
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind(("127.0.0.1", 0))
        return bound
    if place.startswith("from:"):
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(place[5:])
            _, descriptors, _, _ = socket.recv_fds(link, 10, 1)
        return socket.socket(fileno=descriptors[0])
    if place.startswith("/"):
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(place)
    else:
        address, _, port = place.rpartition(":")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        bound = socket.socket(family)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address.strip("[]"), int(port)))
    bound.listen(100)
    return bound


def main(arguments):
    end = arguments.index("--")
    given = [each.rpartition("=") for each in arguments[:end]]
    made = [make(place) for _, _, place in given]
    spare = [os.dup2(each.fileno(), FIRST + 100 + n) for n, each in enumerate(made)]
    for n, descriptor in enumerate(spare):
        os.dup2(descriptor, FIRST + n, inheritable=True)
        os.close(descriptor)
    os.environ.update(LISTEN_FDS=str(len(made)), LISTEN_PID=str(os.getpid()),
                      LISTEN_FDNAMES=":".join(name or "unknown" for name, _, _ in given))
    os.execvp(arguments[end + 1], arguments[end + 1:])


if __name__ == "__main__":
    main(sys.argv[1:])
