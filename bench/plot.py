"""Curves as SVG: plain text, so that a change of the figures is a change that can be read."""

import html
import math

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 130, 40, 50
COLORS = ["#0b6e4f", "#b23a48", "#555555", "#3d5a80", "#8a5a00"]
STYLE = """<style>
text { font: 13px sans-serif; fill: #222 }
.title { font-weight: bold }
.axis { stroke: #222; fill: none }
.grid { stroke: #ddd }
.curve { fill: none; stroke-width: 2 }
</style>"""


def text(x, y, words, anchor="start", name=""):
    mark = f' class="{name}"' if name else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{mark}>{html.escape(words)}</text>'


def line(x1, y1, x2, y2, name):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{name}"/>'


def steps_up_to(most):
    """Round values from 0 on, about five of them."""
    raw = most / 5
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw)
    return [step * number for number in range(math.ceil(most / step) + 1)]


class Chart:
    """The sizes go up by factors, the cost from 0 by steps: what is flat looks flat."""

    def __init__(self, title, x_title, y_title, curves):
        self.title, self.x_title, self.y_title = title, x_title, y_title
        self.curves = {name: sorted(points) for name, points in curves.items() if points}
        sizes = sorted({x for points in self.curves.values() for x, _ in points})
        self.sizes = sizes
        self.marks = steps_up_to(max(y for points in self.curves.values() for _, y in points))

    def x(self, size):
        low, high = math.log10(self.sizes[0]), math.log10(self.sizes[-1])
        share = (math.log10(size) - low) / (high - low) if high > low else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, cost):
        return HEIGHT - BOTTOM - cost / self.marks[-1] * (HEIGHT - TOP - BOTTOM)

    def axes(self):
        for mark in self.marks:
            yield line(LEFT, self.y(mark), WIDTH - RIGHT, self.y(mark), "grid")
            yield text(LEFT - 8, self.y(mark) + 4, f"{mark:g}", "end")
        for size in self.sizes:
            yield line(self.x(size), HEIGHT - BOTTOM, self.x(size), HEIGHT - BOTTOM + 5, "axis")
            yield text(self.x(size), HEIGHT - BOTTOM + 20, f"{size:,}", "middle")
        yield line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "axis")
        yield line(LEFT, TOP, LEFT, HEIGHT - BOTTOM, "axis")

    def labels(self):
        """One for each curve at its end, from the top down and never one over the other."""
        last = TOP - 16
        for name, points in sorted(self.curves.items(), key=lambda curve: -curve[1][-1][1]):
            last = max(self.y(points[-1][1]) + 4, last + 16)
            yield name, last

    def draw(self):
        places = dict(self.labels())
        yield (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
               f'viewBox="0 0 {WIDTH} {HEIGHT}">')
        yield STYLE
        yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        yield text(LEFT, 22, f"{self.title} ({self.y_title})", name="title")
        yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, self.x_title, "middle")
        yield from self.axes()
        for color, (name, points) in zip(COLORS, self.curves.items()):
            path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
            yield f'<polyline points="{path}" class="curve" stroke="{color}"/>'
            for x, y in points:
                yield f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3" fill="{color}"/>'
            yield text(WIDTH - RIGHT + 10, places[name], name)
        yield "</svg>"


def svg(title, x_title, y_title, curves):
    """`curves`: by name the points (size, cost)."""
    return "\n".join(Chart(title, x_title, y_title, curves).draw()) + "\n"
