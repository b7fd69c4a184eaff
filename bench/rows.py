"""The rows of the bench: what is loaded, with which configuration, and what shall come out."""

from dataclasses import dataclass, replace


@dataclass
class Target:
    """What Nightjar's figure shall be at most."""
    limit: float
    of: str = "floor"  # a broker whose figure is 1, "" for the plain figure, "+" above the floor's
    row: str = ""  # the figure that is 1 is that broker's in this row, measured beside its own
    unit: str = ""

    def __str__(self):
        text = f"<= {self.limit:,.10g}"
        if self.of == "+":
            return f"<= floor + {self.limit:,g} {self.unit}".rstrip()
        if self.of:
            return f"{text} x {self.of}" + (f" {self.row}" if self.row else "")
        return f"{text} {self.unit}".rstrip()


@dataclass
class Row:
    name: str
    title: str
    load: str  # arguments of the generator
    target: Target = None
    metric: str = "cpu_us"
    workers: int = 1
    extra: str = ""  # lines of Nightjar's configuration, for the listener
    floor_args: str = ""
    floor_load: str = ""  # of the generator, where the floor gets another load
    proxy: bool = False  # spoken to Nightjar only; the floor is measured without it
    tls: bool = False  # with a certificate of the bench
    web: bool = False  # inside WebSocket
    login: bool = False  # with a password file and an ACL file of ACL_RULES rules
    only: tuple = ()  # kinds of brokers that can do it; empty: all
    is_default: bool = True
    probe: str = ""  # a program beside the generator that stands for the floor, and its arguments
    group: str = ""
    is_counted: bool = False  # by --instructions
    has_lines: bool = False  # shared between its workers, which are counted too
    series: str = ""  # of a slope, and the point in it
    size: object = 0
    rounds_max: int = 99
    more: tuple = ()  # further figures of the same runs: title, metric, target

    def views(self):
        """This row once for each of its figures."""
        return [self] + [replace(self, title=title, metric=metric, target=target, more=())
                         for title, metric, target in self.more]


def no_floor(name, title, load, **rest):
    return Row(name, title, load, only=("nightjar", "mosquitto"), **rest)


WAKE_UPS = (("  the same: wake-ups of a thread for each message", "wakeups", None),)
IDLE_N, HALF_N = "{idle}", "{half}"  # what the limit of open files allows
BEHIND_PROXY = {"extra": "enable_proxy_protocol 2", "proxy": True, "only": ("nightjar", "floor")}
DEFERRED = {"extra": "defer_accept true", "floor_args": "--defer-accept",
            "only": ("nightjar", "floor")}
ACL_RULES = 1000
LOGIN = {"user": "bench", "password": "a word for the bench"}
IN_WEB = {"web": True, "only": ("nightjar", "mosquitto")}
TLS_IDLE_N = 5000  # with a client's side that takes as much beside it
CONNECT = "connect -n 64 --sources"
FANOUT = "fanout -n 1000 --window 32"
ROWS = [
    Row("p2p-q0-1", "p2p 100 pairs QoS 0, 1 in flight", "p2p", Target(1.10)),
    Row("p2p-q0-32", "p2p QoS 0, bursts of 32", "p2p --window 32", Target(1.6),
        is_counted=True),
    Row("p2p-q1-1", "p2p QoS 1, 1 in flight", "p2p --qos 1", Target(1.12)),
    Row("p2p-q1-32", "p2p QoS 1, bursts of 32", "p2p --qos 1 --window 32", Target(1.7),
        is_counted=True),
    Row("p2p-q2-1", "p2p QoS 2, 1 in flight", "p2p --qos 2"),
    Row("p2p-q2-32", "p2p QoS 2, bursts of 32", "p2p --qos 2 --window 32", Target(2.0),
        is_counted=True),
    Row("fanout-q0", "fan-out 1 to 1000 QoS 0, bursts of 32", FANOUT, Target(1.2),
        is_counted=True),
    Row("fanout-q1", "fan-out 1 to 100 QoS 1, bursts of 32", "fanout -n 100 --qos 1 --window 32",
        Target(1.5)),
    Row("fanin-q0", "fan-in 1000 to 1 QoS 0, bursts of 4", "fanin -n 1000 --window 4",
        Target(1.2)),
    Row("p2p-64k", "p2p 64 KiB QoS 0, 1 in flight", "p2p --size 65536", Target(1.05)),
    Row("shared-q1", "shared group 100 to 100 QoS 1, bursts of 32 (floor: p2p)",
        "shared --qos 1 --window 32", Target(2.0), floor_load="p2p --qos 1 --window 32"),
    Row("connect", "connect, full cycle", CONNECT, Target(1.1)),
    Row("connect-defer", "connect, defer_accept", CONNECT, Target(1.1), **DEFERRED),
    Row("connect-proxy", "connect with PROXY v2 (floor without)", CONNECT, Target(1.1),
        **BEHIND_PROXY),
    no_floor("connect-tls", "connect over TLS, full handshake", CONNECT + " --tls", tls=True),
    Row("p2p-q0-1-v5", "p2p MQTT 5 QoS 0, 1 in flight", "p2p --mqtt 5",
        Target(1.1, "nightjar", "p2p-q0-1")),
    Row("p2p-q0-32-v5", "p2p MQTT 5 QoS 0, bursts of 32", "p2p --mqtt 5 --window 32",
        Target(1.1, "nightjar", "p2p-q0-32")),
    Row("p2p-q1-32-v5", "p2p MQTT 5 QoS 1, bursts of 32", "p2p --mqtt 5 --qos 1 --window 32",
        Target(1.1, "nightjar", "p2p-q1-32"), is_counted=True),
    Row("p2p-q0-1-proxy", "p2p behind PROXY v2, 1 in flight (floor without)", "p2p",
        Target(1.1, "nightjar", "p2p-q0-1"), **BEHIND_PROXY),
    Row("p2p-q0-32-proxy", "p2p behind PROXY v2, bursts of 32 (floor without)",
        "p2p --window 32", Target(1.1, "nightjar", "p2p-q0-32"), **BEHIND_PROXY),
    Row("p2p-q0-1-ws", "p2p WebSocket QoS 0, 1 in flight", "p2p --websocket",
        Target(1.4, "nightjar", "p2p-q0-1"), **IN_WEB),
    Row("p2p-q0-32-ws", "p2p WebSocket QoS 0, bursts of 32", "p2p --websocket --window 32",
        Target(1.4, "nightjar", "p2p-q0-32"), **IN_WEB),
    Row("p2p-q1-32-ws", "p2p WebSocket QoS 1, bursts of 32",
        "p2p --websocket --qos 1 --window 32", Target(1.4, "nightjar", "p2p-q1-32"), **IN_WEB),
    Row("p2p-q0-1-acl", "p2p, 1 in flight, ACL of 1,000 rules and passwords (floor without)",
        "p2p", Target(1.05, "nightjar", "p2p-q0-1"), login=True),
    Row("p2p-q0-32-acl", "p2p, bursts of 32, ACL of 1,000 rules and passwords (floor without)",
        "p2p --window 32", Target(1.05, "nightjar", "p2p-q0-32"), login=True),
    Row("latency-q0", "latency QoS 0 at 5,000/s", "latency", metric="p50_us"),
    Row("latency-q1", "latency QoS 1 at 5,000/s", "latency --qos 1", Target(2, "+", unit="us"),
        metric="p50_us"),
    Row("idle", "idle connection", f"idle -n {IDLE_N}", Target(320, "", unit="bytes"),
        metric="bytes"),
    Row("idle-sub", "idle, one subscription each", f"idle -n {IDLE_N} --subscribe",
        Target(500, "", unit="bytes"), metric="bytes"),
    Row("idle-proxy", "idle behind PROXY v2 (floor without)", f"idle -n {IDLE_N}",
        Target(420, "", unit="bytes"), metric="bytes", **BEHIND_PROXY),
    Row("idle-tls", f"idle over TLS, {TLS_IDLE_N:,} (floor: a bare object of OpenSSL)",
        f"idle -n {TLS_IDLE_N} --tls", Target(600, "+", unit="bytes"), metric="bytes", tls=True,
        probe=f"bench-tls {TLS_IDLE_N} {{folder}}/server.crt {{folder}}/server.key"),
    Row("p2p-q0-1-2w", "p2p QoS 0, 1 in flight", "p2p", Target(1.25, "nightjar", "p2p-q0-1"),
        workers=2, more=WAKE_UPS, has_lines=True),
    Row("p2p-q0-32-2w", "p2p QoS 0, bursts of 32", "p2p --window 32",
        Target(1.1, "nightjar", "p2p-q0-32"), workers=2, more=WAKE_UPS, has_lines=True),
    Row("p2p-q1-32-2w", "p2p QoS 1, bursts of 32", "p2p --qos 1 --window 32",
        Target(1.1, "nightjar", "p2p-q1-32"), workers=2, more=WAKE_UPS, has_lines=True),
    Row("fanout-q0-2w", "fan-out 1 to 1000 QoS 0, bursts of 32", FANOUT,
        Target(1.25, "floor", "fanout-q0"), workers=2, more=WAKE_UPS, has_lines=True),
    Row("connect-2w", "connect, full cycle", CONNECT, Target(1.1), workers=2),
    Row("connect-defer-2w", "connect, defer_accept", CONNECT, Target(1.1), workers=2, **DEFERRED),
    Row("connect-proxy-2w", "connect with PROXY v2 (floor without)", CONNECT, Target(1.1),
        workers=2, **BEHIND_PROXY),
    no_floor("connect-tls-2w", "connect over TLS, full handshake", CONNECT + " --tls",
             target=Target(1.08, "nightjar", "connect-tls"), workers=2, tls=True,
             more=(("  of them, by the busiest thread", "busiest_share", Target(0.6, "")),)),
    Row("scale-subscriptions", "1,000,000 subscriptions: bytes each",
        "subscriptions --count 1000000 --window 32", Target(90, "", unit="bytes"),
        metric="bytes", group="scale", rounds_max=2,
        floor_load="subscriptions --exact --count 1000000 --window 32",
        more=(("  loading them: CPU us each", "load_us", Target(0.2, "mosquitto")),
              ("  then a message to one of them: CPU us", "cpu_us", Target(1.5)))),
    no_floor("scale-retained", "1,000,000 retained messages: bytes each",
             "retained --count 1000000 -n 10 --qos 1 --window 32", target=Target(215, "", unit="bytes"),
             metric="bytes", group="scale", rounds_max=2,
             more=(("  loading them: CPU us each", "load_us", Target(0.15, "mosquitto")),
                   ("  then replacing one: CPU us", "cpu_us", None),
                   ("  replay to #: CPU us each", "replay_us", Target(0.1, "mosquitto")),
                   ("  the same: growth of memory, bytes", "grown",
                    Target(2_000_000, "", unit="bytes")),
                   ("  the same: a bystander's longest wait, ms", "stall_ms",
                    Target(0.05, "mosquitto")))),
    no_floor("scale-wildcards",
             "one message to 100,000 wildcard subscriptions: a bystander's longest wait, ms",
             "wildcards -n 1000 --count 100", target=Target(0.05, "mosquitto"),
             metric="stall_ms", group="scale"),
    no_floor("scale-merged", "the same, one copy for each client: ms",
             "wildcards -n 1000 --count 100", extra="allow_duplicate_messages false",
             target=Target(0.05, "mosquitto"), metric="stall_ms", group="scale"),
    Row("scale-storm", "5,000 clients connect at once beside a fan-out: CONNACK p99, ms",
        "storm -n 5000", Target(1, "mosquitto"), metric="p99_ms", group="scale",
        more=(("  the same: p50, ms", "p50_ms", None),)),
]


def find_reference(row):
    """The other row that the target of this one is a ratio to, or None."""
    name = row.target.row if row.target else ""
    return next(other for other in ROWS if other.name == name) if name else None


# How the cost of a message grows, in three series of points: for each its size, and its row. They
# are run by --slopes.
SERIES = {
    "connections": "A message of QoS 0, all connections in use",
    "subscriptions": "A message to one of many subscriptions",
    "retained": "Replacing one of many retained messages",
}
CONNECTIONS = (10, 1000, IDLE_N)
SIZES = (1000, 100_000, 1_000_000)


def slope(series, size, title, load, **rest):
    return Row(f"slope-{series}-{size if isinstance(size, int) else 'most'}", title, load,
               is_default=False, group="slope", series=series, size=size, **rest)


for number in CONNECTIONS:
    half = HALF_N if number is IDLE_N else number // 2
    name = "as many connections as may be" if number is IDLE_N else f"{number:,} connections"
    ROWS.append(slope("connections", number, f"p2p QoS 0, bursts of 4, {name}",
                      f"p2p -n {half} --window 4"))
for number in SIZES:
    load = f"subscriptions --count {number} --window 32"
    ROWS.append(slope("subscriptions", number, f"a message to one of {number:,} subscriptions",
                      load, rounds_max=3, floor_load=load + " --exact"))
for number in SIZES:
    ROWS.append(slope("retained", number, f"replacing one of {number:,} retained messages",
                      f"retained --count {number} -n 10 --qos 1 --window 32", rounds_max=3,
                      only=("nightjar", "mosquitto")))
