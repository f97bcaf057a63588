#!/usr/bin/env python3
"""Draws the sequence diagrams: media/*.seq -> media/*.svg. Needs nothing but Python.

    python3 media/render.py           write the pictures
    python3 media/render.py --check   fail if a picture is not what its source says

A source has one statement a line:

    title TEXT
    actor NAME LABEL [| SECOND LINE]
    NAME -> NAME: TEXT        a call
    NAME --> NAME: TEXT       an answer
    NAME -x NAME: TEXT        a message that does not arrive
    note NAME: TEXT           what an actor does by itself
    fault NAME: TEXT          what goes wrong
    gap TEXT                  time passes
"""

import re
import sys
from html import escape
from pathlib import Path

COLUMN, MARGIN, HEAD, ROW, CHAR = 235, 120, 84, 46, 7.2

STYLE = """
  .bg { fill: #fff } text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #1f2933 }
  .title { font-size: 17px; font-weight: 600 } .actor { font-weight: 600 } .small { font-size: 11px; fill: #52606d }
  .box { fill: #e6f0fa; stroke: #2b6cb0 } .life { stroke: #9aa5b1; stroke-dasharray: 3 4 }
  .line { stroke: #2b6cb0; stroke-width: 1.6 } .answer { stroke: #2f855a; stroke-width: 1.6; stroke-dasharray: 6 4 }
  .lost { stroke: #c53030; stroke-width: 1.6 } .note { fill: #fffbea; stroke: #cb9b1b } .fault { fill: #fde8e8; stroke: #c53030 }
  .halo { stroke: #fff; stroke-width: 4; paint-order: stroke }
"""


def parse(source):
    title, actors, steps = "", {}, []
    for number, line in enumerate(source.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        arrow = re.match(r"(\w+) (->|-->|-x) (\w+): (.+)", line)
        aside = re.match(r"(note|fault) (\w+): (.+)", line)
        if word == "title":
            title = rest
        elif word == "actor":
            name, _, label = rest.partition(" ")
            actors[name] = (len(actors), label)
        elif word == "gap":
            steps.append(("gap", None, None, rest))
        elif arrow and arrow[1] in actors and arrow[3] in actors:
            steps.append((arrow[2], arrow[1], arrow[3], arrow[4]))
        elif aside and aside[2] in actors:
            steps.append((aside[1], aside[2], None, aside[3]))
        else:
            sys.exit(f"line {number}: cannot read {line!r}")
    return title, actors, steps


def text(x, y, content, anchor="middle", css=""):
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{css}">{escape(content)}</text>'


def arrow(kind, x1, x2, y, content):
    direction = 1 if x2 > x1 else -1
    css = {"->": "line", "-->": "answer", "-x": "lost"}[kind]
    tip = x2 - 3 * direction
    if kind == "-x":
        tip = (x1 + 3 * x2) / 4
    parts = [f'<line class="{css}" x1="{x1:g}" y1="{y}" x2="{tip:g}" y2="{y}"/>']
    if kind == "-x":
        parts += [f'<path class="lost" fill="none" d="M{tip - 6:g} {y - 6} l12 12 m0 -12 l-12 12"/>']
    else:
        color = "#2b6cb0" if kind == "->" else "#2f855a"
        back = tip - 9 * direction
        parts += [f'<path fill="{color}" d="M{tip:g} {y} L{back:g} {y - 4.5} L{back:g} {y + 4.5} Z"/>']
    parts += [text((x1 + x2) / 2, y - 7, content, css="halo")]
    return parts


def box(kind, x, y, content):
    width = len(content) * CHAR + 18
    return [
        f'<rect class="{kind}" rx="4" x="{x - width / 2:g}" y="{y - 20}" width="{width:g}" height="25"/>',
        text(x, y - 3, content),
    ]


def draw(source):
    title, actors, steps = parse(source)
    width = 2 * MARGIN + COLUMN * (len(actors) - 1)
    height = HEAD + 40 + ROW * len(steps) + 26
    center = {name: MARGIN + COLUMN * index for name, (index, _) in actors.items()}
    out = [text(width / 2, 26, title, css="title")]
    for name, (_, label) in actors.items():
        first, _, second = label.partition(" | ")
        x = center[name]
        out.append(f'<line class="life" x1="{x}" y1="{HEAD}" x2="{x}" y2="{height - 14}"/>')
        out.append(f'<rect class="box" rx="6" x="{x - 88}" y="42" width="176" height="44"/>')
        out.append(text(x, 61 if second else 69, first, css="actor"))
        out.append(text(x, 77, second, css="small"))
    y = HEAD + 44
    for kind, source_actor, target, content in steps:
        if kind == "gap":
            out.append(text(width / 2, y - 4, content, css="small halo"))
        elif target is None:
            out += box(kind, center[source_actor], y, content)
        else:
            out += arrow(kind, center[source_actor], center[target], y, content)
        y += ROW
    body = "\n".join(out)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">'
        f'<title>{escape(title)}</title><style>{STYLE}</style>'
        f'<rect class="bg" width="{width}" height="{height}"/>\n{body}\n</svg>\n'
    )


def main():
    check = sys.argv[1:] == ["--check"]
    stale = []
    for source in sorted(Path(__file__).parent.glob("*.seq")):
        picture, drawn = source.with_suffix(".svg"), draw(source.read_text())
        if check and (not picture.exists() or picture.read_text() != drawn):
            stale.append(picture.name)
        elif not check:
            picture.write_text(drawn)
    if stale:
        sys.exit(f"not what the sources say: {', '.join(stale)}; run python3 media/render.py")


main()
