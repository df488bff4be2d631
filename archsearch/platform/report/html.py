"""HTML elements of a report. All strings are escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NewType

Html = NewType("Html", str)

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 56rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #ddd; }
p { overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: right; padding: .3rem .7rem; border-bottom: 1px solid #e5e5e5; white-space: nowrap; vertical-align: top; }
th:first-child, td:first-child, th.code, td.code { text-align: left; }
td.code { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 14rem; }
code, pre { font: .85rem/1.45 ui-monospace, monospace; }
pre { background: #f5f5f5; padding: .7rem; white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; padding: .5rem 0; }
img { max-width: 100%; height: auto; display: block; margin: .8rem auto; }
"""


def page(title: str, parts: Sequence[Html]) -> Html:
    """Return a self-contained page, without scripts or links to other files."""
    return Html(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def heading(text: str) -> Html:
    """Return a section heading."""
    return Html(f"<h2>{escape(text)}</h2>")


def paragraph(text: str) -> Html:
    """Return a paragraph."""
    return Html(f"<p>{escape(text)}</p>")


def code(text: str) -> Html:
    """Return a block of monospaced text, such as a command."""
    return Html(f"<pre>{escape(text)}</pre>")


def picture(source: str, text: str) -> Html:
    """Return a picture with `text` as its alternative text."""
    return Html(f'<img src="{escape(source)}" alt="{escape(text)}">')


def folded(text: str, parts: Sequence[Html]) -> Html:
    """Return parts that are hidden until the reader clicks on `text`."""
    return Html(f"<details><summary>{escape(text)}</summary>\n" + "\n".join(parts) + "\n</details>")


def table(names: Sequence[str], rows: Sequence[Sequence[str]], code_column: int | None = None) -> Html:
    """Return a table that scrolls horizontally on a narrow screen.

    Args:
        names: Headings.
        rows: Cells, one per heading.
        code_column: Index of the column whose cells are monospaced and wrap, such as architectures.
    """
    marks = [' class="code"' if column == code_column else "" for column in range(len(names))]
    head = "".join(f'<th scope="col"{mark}>{escape(name)}</th>' for name, mark in zip(names, marks, strict=True))
    body = []
    for row in rows:
        cells = zip(row, marks, strict=True)
        body.append("".join(f"<td{mark}>{f'<code>{escape(cell)}</code>' if mark else escape(cell)}</td>" for cell, mark in cells))
    lines = "\n".join(f"<tr>{row}</tr>" for row in body)
    return Html(f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table></div>')
