"""Draws charts as SVG, with nothing but Python: the same figures give the same bytes."""

import math
from html import escape

WIDTH, CHAR = 800, 6.6
CONTROL, ONCELOG, COMPETITOR, OTHER, FAINT = "#7b8794", "#2b6cb0", "#c05621", "#2f855a", "#9aa5b1"

STYLE = """
  .bg { fill: #fff } text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #1f2933 }
  .title { font-size: 17px; font-weight: 600 } .head { font-weight: 600 } .small { font-size: 11px; fill: #52606d }
  .grid { stroke: #e4e7eb } .axis { stroke: #9aa5b1 } .line { fill: none; stroke-width: 2; stroke-linejoin: round }
  .goal { stroke-width: 1.4; stroke-dasharray: 5 4 } .halo { stroke: #fff; stroke-width: 4; paint-order: stroke }
"""


class Axis:
    """Numbers to pixels."""

    def __init__(self, least, most, ticks, log=False):
        self.log, self.ticks = log, ticks
        self.least, self.most = self._at(least), self._at(most)

    def _at(self, value):
        return math.log10(value) if self.log else value

    def share(self, value):
        return (self._at(value) - self.least) / (self.most - self.least)


def short(value):
    """A number for an axis: 20k, 1.5M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        # 1,024 stays what it is.
        if value >= size and value % (size / 10) == 0:
            return f"{value / size:g}{unit}"
    return f"{value:,g}"


def linear(most, label=short):
    """From zero to a round number past `most`."""
    step = 10 ** math.floor(math.log10(most / 4))
    step *= next(factor for factor in (1, 2, 2.5, 5, 10) if factor * step * 5 >= most)
    count = math.ceil(most / step)
    return Axis(0, count * step, [(index * step, label(index * step)) for index in range(count + 1)])


def logarithmic(values, label=short):
    """Powers of ten around the values."""
    least, most = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return Axis(10**least, 10**most, [(10**power, label(10**power)) for power in range(least, most + 1)], log=True)


def steps(values, label=short, margin=1.0):
    """A logarithmic axis with a tick at each of the values."""
    return Axis(min(values) / margin, max(values) * margin, [(value, label(value)) for value in values], log=True)


class Picture:
    """A title, a line below it, and what is drawn."""

    def __init__(self, title, below, height):
        self.height, self.parts = height, []
        self.text(24, 32, title, "title")
        self.text(24, 52, below, "small")

    def text(self, x, y, words, style="", anchor="start", color=None):
        fill = f' style="fill:{color}"' if color else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}"{fill}>{escape(words)}</text>'
        )

    def legend(self, entries, y=74):
        """Names with the colours of their lines, in one row."""
        x = 24.0
        for name, color, dashed in entries:
            style = "goal" if dashed else "line"
            self.parts.append(f'<line x1="{x:.1f}" y1="{y - 4}" x2="{x + 20:.1f}" y2="{y - 4}" class="{style}"'
                              f' stroke="{color}"/>')
            self.text(x + 26, y, name)
            x += 26 + CHAR * len(name) + 24

    def svg(self):
        body = "\n".join(self.parts)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}"'
                f' height="{self.height}">\n<style>{STYLE}</style>\n'
                f'<rect class="bg" width="{WIDTH}" height="{self.height}"/>\n{body}\n</svg>\n')


class Panel:
    """One pair of axes in a picture, with a grid."""

    def __init__(self, picture, box, head, x, y, below):
        self.picture, self.x, self.y = picture, x, y
        self.left, self.top, self.width, self.height = box
        picture.text(self.left, self.top - 12, head, "head")
        picture.text(self.left + self.width / 2, self.top + self.height + 38, below, "small", "middle")
        bottom = self.top + self.height
        for value, label in y.ticks:
            at = self.across(value)
            self._rule(self.left, at, self.left + self.width, at, "grid")
            picture.text(self.left - 6, at + 4, label, "small", "end")
        for value, label in x.ticks:
            at = self.along(value)
            self._rule(at, bottom, at, bottom + 4, "axis")
            picture.text(at, bottom + 18, label, "small", "middle")
        self._rule(self.left, bottom, self.left + self.width, bottom, "axis")

    def _rule(self, x1, y1, x2, y2, style, color=None):
        stroke = f' stroke="{color}"' if color else ""
        self.picture.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
                                  f' class="{style}"{stroke}/>')

    def along(self, value):
        return self.left + self.width * self.x.share(value)

    def across(self, value):
        return self.top + self.height * (1 - self.y.share(value))

    def line(self, points, color):
        places = [(self.along(x), self.across(y)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        self.picture.parts.append(f'<polyline class="line" stroke="{color}" points="{path}"/>')
        self.picture.parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in places]

    def rise(self, points, color):
        """A dashed line: what was to be reached."""
        for (x1, y1), (x2, y2) in zip(points, points[1:]):
            self._rule(self.along(x1), self.across(y1), self.along(x2), self.across(y2), "goal", color)

    def level(self, value, words, color, above=True, right=True):
        """A dashed line across, with its name at one end."""
        at = self.across(value)
        self._rule(self.left, at, self.left + self.width, at, "goal", color)
        x, anchor = (self.left + self.width - 4, "end") if right else (self.left + 4, "start")
        self.picture.text(x, at + (-5 if above else 14), words, "small halo", anchor, color)


def bars(picture, box, head, rows, most):
    """Horizontal bars: rows of name, length, colour, and what is written after the bar."""
    left, top, width, height = box
    picture.text(left, top - 12, head, "head")
    step = height / len(rows)
    for index, (name, value, color, words) in enumerate(rows):
        y = top + index * step
        picture.text(left - 8, y + step / 2 + 4, name, "", "end")
        picture.parts.append(f'<rect x="{left}" y="{y + step * 0.16:.1f}" width="{width * value / most:.1f}"'
                             f' height="{step * 0.68:.1f}" rx="2" fill="{color}"/>')
        picture.text(left + width * value / most + 6, y + step / 2 + 4, words, "small")
