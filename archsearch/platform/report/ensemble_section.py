"""The report's section on an ensemble, beside the best single network; it is put into the page when an ensemble is made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archsearch.atomic_file import written_atomically
from archsearch.platform import units
from archsearch.platform.report import html
from archsearch.platform.report.html import Html

FILE = Path("ensemble") / "ensemble.json"
"""Figures of the ensemble, in the folder of a run."""
_BEGIN, _END = "<!-- ensemble -->", "<!-- end of ensemble -->"


def ensemble_section(run: Path) -> Html:
    """Return the section of a run's ensemble, or an empty place for it.

    Args:
        run: Folder of the run.
    """
    try:
        figures = json.loads((run / FILE).read_text(encoding="utf-8"))
        return Html(f"{_BEGIN}\n{_section(figures)}\n{_END}")
    except (OSError, ValueError, LookupError, TypeError):  # no ensemble was made, or its file is no longer whole
        return Html(f"{_BEGIN}\n{_END}")


def put_into_report(run: Path) -> bool:
    """Put the section of a run's ensemble into its report; return whether there is a report with a place for it.

    Raises:
        OSError: The page cannot be written.
    """
    page = run / "report" / "report.html"
    try:
        text = page.read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        return False
    with written_atomically(page, durable=False) as temporary:
        temporary.write_text(f"{before}{ensemble_section(run)}{after}", encoding="utf-8")
    return True


def _section(figures: Mapping[str, Any]) -> Html:
    selected, single = figures["selected"], figures["single"]
    total = figures["size"]
    rows = [
        ["ensemble", *_figures(figures["metrics"])],
        [f"best single network, rank {single['rank']}", *_figures(single["metrics"])],
    ]
    members = [
        [str(each["rank"]), f"{each['count']} / {total}", *_figures(each["metrics"]), each["architecture"]] for each in selected
    ]
    names = [*(each.heading for each in units.qualities(figures["metrics"])), "parameters", "MACs"]
    by = " by balanced accuracy" if figures.get("balanced") else f" by {figures['by']}" if "by" in figures else ""
    what = "figures are therefore somewhat too good" if "by" in figures else "accuracy is therefore somewhat too high"
    parts = [
        html.heading("Ensemble, and the best single network"),
        html.paragraph(
            f"The {figures['candidates']} best architectures were trained from new weights on {figures['dataset']}, "
            f"{figures['epochs']} epochs each (recipe {figures['recipe']}). The ensemble was selected greedily on the validation "
            f"images{by}, where its {what}; the test images were not used for the selection."
        ),
        html.table(["", *names], rows),
        html.table(["rank", "weight", *names, "member"], members, code_column=2 + len(names)),
    ]
    return Html("\n".join(parts))


def _figures(metrics: Mapping[str, float]) -> list[str]:
    return [*(each.value for each in units.qualities(metrics)), f"{metrics['params']:,.0f}", f"{metrics['macs']:,.0f}"]
