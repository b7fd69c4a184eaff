"""The tables of a run, and what is known of each figure for JSON."""

import statistics

from sites import FIGURES

GENERATOR_IS_LIMIT = 0.97
TWO_WORKERS = ("cpu_us", "busiest_share", "wakeups")


def median(samples, metric):
    return statistics.median(sample[metric] for sample in samples) if samples else None


def value_of(broker, row):
    return median(broker.samples.get(row.name), row.metric)


def spread_of(broker, row):
    values = [s[row.metric] for s in broker.samples.get(row.name, [])]
    middle = statistics.median(values) if values else 0
    return (max(values) - min(values)) / 2 / middle if middle else 0


def figure(value, metric):
    if value is None:
        return "-"
    if metric in ("bytes", "grown"):
        return f"{value:,.0f}"
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def ratio(a, b):
    if not a or not b:
        return "-"
    return f"{a / b:.2f}" if a / b >= 0.1 else f"{a / b:.3f}"


def is_generator_bound(broker, row):
    samples = broker.samples.get(row.name)
    return bool(samples) and row.metric == "cpu_us" and statistics.median(
        s["generator_share"] for s in samples) >= GENERATOR_IS_LIMIT


def print_grid(lines):
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for number, line in enumerate(lines):
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
        print("  ".join(cells).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def print_sites(counted):
    """Where in the code cache lines were shared, for each row."""
    for row in counted.values():
        print(f"\n{row['title']}: where, for each delivered message\n")
        grid = [["place < what it is part of", *FIGURES.values()]]
        for site in row["sites"]:
            grid.append([site["place"], *(f"{site[name]:z.3f}" for name in FIGURES)])
        print_grid(grid)


class Report:
    def __init__(self, bench):
        self.bench = bench
        self.brokers = bench.brokers
        self.floor = next((b for b in self.brokers if b.kind == "floor"), None)
        self.ours = next((b for b in self.brokers if b.kind == "nightjar"), None)
        self.peers = [b for b in self.brokers if b not in (self.floor, self.ours)]

    def ratios(self):
        """Pairs (heading, numerator, denominator) that the brokers at hand allow."""
        pairs = []
        for broker in self.brokers:
            if self.floor and broker is not self.floor:
                pairs.append((f"{broker.name}/floor", broker, self.floor))
        for peer in self.peers:
            if self.ours:
                pairs.append((f"{peer.name}/{self.ours.name}", peer, self.ours))
        return pairs

    def base_of(self, broker, row):
        """What the target of the row compares a Nightjar's figure with; None: it was not measured."""
        target = row.target
        if target.of == "nightjar":  # each with its own
            return median(broker.references.get(row.name), row.metric)
        kind = "floor" if target.of == "+" else target.of
        other = next((b for b in self.brokers if b.kind == kind), None)
        samples = (other.references if target.row else other.samples) if other else {}
        return median(samples.get(row.name), row.metric)

    def reach(self, broker, row):
        """The figure of a Nightjar as the target of the row counts it; None: it can't be told."""
        own = value_of(broker, row) if broker else None
        if own is None or row.target is None:
            return None
        if not row.target.of:
            return own
        base = self.base_of(broker, row)
        if row.target.of == "+":
            return None if base is None else own - base
        return own / base if base else None

    def judge(self, row):
        """What Nightjar reached, and whether that is the target."""
        reached = self.reach(self.ours, row)
        return reached, None if reached is None else reached <= row.target.limit

    def reference(self, row):
        """Where Nightjar's figure is compared with that of another row: the latter, or None."""
        if not self.ours or not row.target or not row.target.row:
            return None
        return self.base_of(self.ours, row)

    def verdict(self, row):
        reached, is_met = self.judge(row)
        if is_met is None:
            return "?"
        if not row.target.row:
            return "met" if is_met else f"NOT: {reached:,.4g}"
        # No column has these ratios.
        text = f"{'met' if is_met else 'NOT'}: {reached:,.2f}"
        for broker in self.peers:
            other = self.reach(broker, row) if broker.kind == "nightjar" else None
            text += f", {broker.name} {other:,.2f}" if other is not None else ""
        return text

    def target_cells(self, row):
        if row.target is None:
            return ["", ""]
        reference = self.reference(row)
        base = "" if reference is None else f" ({figure(reference, row.metric)})"
        return [str(row.target) + base, self.verdict(row)]

    def line(self, row, value):
        cells = [row.title]
        for broker in self.brokers:
            mark = "*" if is_generator_bound(broker, row) else ""
            cells.append(figure(value(broker), row.metric) + mark)
        cells += [ratio(value(a), value(b)) for _, a, b in self.ratios()]
        spread = max((spread_of(b, row) for b in self.brokers), default=0)
        samples = [s for b in self.brokers for s in b.samples.get(row.name, [])]
        others = statistics.median(s["others_share"] for s in samples) if samples else 0
        return cells + [f"{spread:.0%}", f"{others:.0%}", *self.target_cells(row)]

    def grid(self, title, rows):
        if not rows:
            return
        print(f"\n{title}\n")
        head = [""] + [b.name for b in self.brokers] + [pair[0] for pair in self.ratios()]
        lines = [head + ["+-", "others", "target", ""]]
        for row in rows:
            lines.append(self.line(row, lambda broker, row=row: value_of(broker, row)))
        print_grid(lines)

    @staticmethod
    def split_cell(broker, row):
        samples = broker.samples.get(row.name)
        if not samples:
            return "-"
        # The split is counted in ticks: only the mean of all rounds says something.
        user = statistics.mean(s["user_us"] for s in samples)
        kernel = statistics.mean(s["kernel_us"] for s in samples)
        return f"{user:.3f} + {kernel:.3f}  {median(samples, 'rate'):>9,.0f}/s"

    def split(self, rows):
        """User and kernel time, rates: where the figures come from."""
        print("\nUser + kernel us for each message (means), and messages a second (median)\n")
        lines = [[""] + [b.name for b in self.brokers]]
        for row in rows:
            cells = [row.title + (", 2 workers" if row.workers > 1 else "")]
            for broker in self.brokers:
                cells.append(self.split_cell(broker, row))
            lines.append(cells)
        print_grid(lines)

    def latency(self, rows):
        if not rows:
            return
        print("\nLatency, open loop, from the intended time of sending; us, "
              "and CPU us for each message\n")
        lines = [["", "broker", "p50", "p90", "p99", "p99.9", "CPU", "p50 - floor's", "target", ""]]
        for row in rows:
            for broker in self.brokers:
                if row.name not in broker.samples:
                    continue
                base = value_of(self.floor, row) if self.floor else None
                cells = [figure(median(broker.samples[row.name], m), "us")
                         for m in ("p50_us", "p90_us", "p99_us", "p999_us", "cpu_us")]
                over = f"{value_of(broker, row) - base:+.1f}" if base is not None else "-"
                target = self.target_cells(row) if broker is self.ours else ["", ""]
                lines.append([row.title, broker.name, *cells, over, *target])
        print_grid(lines)

    @staticmethod
    def lines(counted):
        if not counted:
            return
        print("\nShared cache lines for each delivered message, two workers (counted)\n")
        grid = [["", *FIGURES.values()]]
        for row in counted.values():
            grid.append([row["title"], *(f"{row[name]:z.3f}" for name in FIGURES)])
        print_grid(grid)

    def print_score(self, rows):
        verdicts = [self.judge(row)[1] for row in rows if row.target]
        if verdicts:
            print(f"\nTargets: {verdicts.count(True)} met, {verdicts.count(False)} not, "
                  f"{verdicts.count(None)} could not be judged in this run")

    def document(self, row):
        """All that is known of one figure of a row, for JSON."""
        reached, is_met = self.judge(row)
        values = {b.name: value_of(b, row) for b in self.brokers if row.name in b.samples}
        return {
            "title": row.title.strip(), "metric": row.metric, "medians": values,
            "ratios": {name: value_of(a, row) / value_of(b, row) for name, a, b in self.ratios()
                       if values.get(a.name) and values.get(b.name)},
            "target": str(row.target) if row.target else None,
            "reference": self.reference(row), "reached": reached, "is_met": is_met,
        }

    def print(self, counted):
        """`counted`: shared cache lines by row, or None."""
        everything = [view for row in self.bench.rows for view in row.views()]
        rows = [row for row in everything if not row.group]
        self.grid("CPU us for each delivered message, or each connection: one worker, broker and "
                  "generator on one CPU each",
                  [r for r in rows if r.metric == "cpu_us" and r.workers == 1])
        self.grid("The same with two workers, nothing pinned (the floor has one thread)",
                  [r for r in rows if r.workers == 2 and r.metric in TWO_WORKERS])
        self.lines(counted)
        self.latency([r for r in rows if r.metric == "p50_us"])
        self.grid(f"Bytes of resident memory for each connection, {self.bench.idle:,} of them",
                  [r for r in rows if r.metric == "bytes"])
        self.grid("Scale: one worker", [r for r in everything if r.group == "scale"])
        self.grid("Slopes: CPU us for each message, one worker",
                  [r for r in everything if r.group == "slope"])
        cpu_rows = [r for r in rows if r.metric == "cpu_us"]
        if cpu_rows:
            self.split(cpu_rows)
        self.print_score(everything)
        print("\n+-: half the range over the rounds, of the broker that varies most. others: share "
              "of all CPUs that\nwent to neither broker nor generator. *: the generator was the "
              "limit, the broker was not full.")
        for broker in self.brokers:
            for name, text in broker.failures:
                print(f"FAILED: {name}: {broker.name}: {text}")
