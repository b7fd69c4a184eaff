"""Where in the code cache lines go from thread to thread: what bench/lines/lines.c has written."""

import subprocess
from pathlib import Path

# What is counted, and what it is called.
FIGURES = {"writes": "shared writes", "reads": "shared reads", "locked": "locked operations"}


class Sites(dict):
    """Counts by place, which is an offset in the program."""

    def add(self, path, sign):
        """What a program has written; with a sign of -1 it is taken off."""
        for line in Path(path).read_text().splitlines():
            offset, *counts = line.split()
            site = self.setdefault(int(offset, 16), dict.fromkeys(FIGURES, 0))
            for name, count in zip(FIGURES, counts):
                site[name] += sign * int(count)

    def each(self, messages):
        return {offset: {name: count / messages for name, count in site.items()}
                for offset, site in self.items()}


def total(sites):
    return {name: sum(site[name] for site in sites.values()) for name in FIGURES}


def places(program, offsets):
    """The functions and lines that machine code was made of, the innermost first."""
    if not offsets:
        return {}  # addr2line would ask for some
    # What was written is where the hook returns to: the access is the instruction before.
    command = ["addr2line", "-afise", str(program), *(hex(offset - 1) for offset in offsets)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    chains = {}
    for line in done.stdout.splitlines():
        if line.startswith("0x"):
            chain = chains.setdefault(int(line, 16) + 1, [])
            function = None
        elif function is None:
            function = line
        else:
            chain.append(f"{function} {line.split(' ')[0]}")
            function = None
    return {offset: " < ".join(chain) for offset, chain in chains.items()}


def busiest(program, sites, least):
    """Places with at least so much of anything for each message, the busiest first."""
    merged = {}
    for offset, place in places(program, list(sites)).items():
        counts = merged.setdefault(place, dict.fromkeys(FIGURES, 0))
        for name in FIGURES:
            counts[name] += sites[offset][name]
    chosen = [{"place": place, **counts} for place, counts in merged.items()
              if max(counts.values()) >= least]
    return sorted(chosen, key=lambda site: (-site["writes"] - site["reads"], -site["locked"]))
