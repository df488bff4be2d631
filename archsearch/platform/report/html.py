"""HTML elements of a report. All strings are escaped here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from html import escape
from typing import NewType

Html = NewType("Html", str)

_STYLE = """
:root { color-scheme: light dark; --text: #222; --back: #fff; --soft: #f5f5f5; --line: #ddd; }
@media (prefers-color-scheme: dark) { :root { --text: #ddd; --back: #181a1b; --soft: #26292b; --line: #444; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 56rem; margin: 0 auto;
  padding: 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
p { overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: right; padding: .3rem .7rem; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: top }
th:first-child, td:first-child, th.code, td.code { text-align: left; }
td.code { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 14rem; }
code, pre { font: .85rem/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .7rem; white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; padding: .5rem 0; }
img { max-width: 100%; height: auto; display: block; margin: .8rem auto; background: #fff; border-radius: 4px; }
td svg { display: block; max-width: 14rem; }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; text-decoration: underline
  dotted; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
"""

# Without it the page shows the same tables, in the order of the file.
_SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.textContent = head.textContent;
    if (!head.textContent) return;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const compare = (a, b) => isNaN(a) || isNaN(b) ? String(a).localeCompare(String(b)) : a - b;
      const rows = [...body.rows].sort((a, b) => (down ? -1 : 1) * compare(value(a), value(b)));
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...rows);
    });
  });
}
"""
_NUMBER = re.compile(r"([-+]?[\d,]*\.?\d+(?:e[-+]?\d+)?)\s*(k|M|G|s|min|h|days|%)?")
_UNITS = {"k": 1e3, "M": 1e6, "G": 1e9, "min": 60.0, "h": 3600.0, "days": 86400.0}


def page(title: str, parts: Sequence[Html]) -> Html:
    """Return a self-contained page, without links to other files; its one script sorts tables."""
    return Html(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(parts)
        + f"\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
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


def table(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    code_column: int | None = None,
    *,
    markup: Collection[int] = (),
    sortable: bool = False,
) -> Html:
    """Return a table that scrolls horizontally on a narrow screen.

    Args:
        names: Headings.
        rows: Cells, one per heading.
        code_column: Index of the column whose cells are monospaced and wrap, such as architectures.
        markup: Indices of the columns whose cells are `Html`, such as pictures.
        sortable: Whether a click on a heading sorts the rows, where the reader allows scripts.
    """
    marks = [' class="code"' if column == code_column else "" for column in range(len(names))]
    head = "".join(f'<th scope="col"{mark}>{escape(name)}</th>' for name, mark in zip(names, marks, strict=True))
    body = []
    for row in rows:
        cells = []
        for column, (cell, mark) in enumerate(zip(row, marks, strict=True)):
            text = cell if column in markup else f"<code>{escape(cell)}</code>" if mark else escape(cell)
            number = _number(cell) if sortable and column not in markup else None
            cells.append(f"<td{mark}{'' if number is None else f' data-value={chr(34)}{number:.12g}{chr(34)}'}>{text}</td>")
        body.append("".join(cells))
    lines = "\n".join(f"<tr>{row}</tr>" for row in body)
    kind = ' class="sortable"' if sortable else ""
    return Html(f'<div class="wide"><table{kind}>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table></div>')


def _number(cell: str) -> float | None:
    """Return the number in a cell such as `67.6 k` or `4.2 min`; None for other text."""
    match = _NUMBER.fullmatch(cell.strip())
    return float(match[1].replace(",", "")) * _UNITS.get(match[2] or "", 1.0) if match else None
