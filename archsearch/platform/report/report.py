"""The folder that a search leaves for people: a page that tells what was found, pictures and tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from archsearch.platform import units
from archsearch.platform.ranking import RankedRow, failures, ranked_rows, ranked_table, write_csv
from archsearch.platform.report import figures, html, pictures
from archsearch.platform.report.advantage import choice_sentence, choice_table
from archsearch.platform.report.cost_forecast import forecast_table
from archsearch.platform.report.drawing import draw_architecture
from archsearch.platform.report.html import Html
from archsearch.platform.report.latent_figures import latent_figures
from archsearch.platform.report.pictures import picture_name
from archsearch.platform.report.trust import Course, trust_curve, trust_figure, trust_sentence
from archsearch.platform.summary import SearchSummary, flat
from archsearch.platform.trade_off import front_table, hypervolume, reference_point
from archsearch.spaces import SearchSpace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_REASONS = 10
_FRONT = 30
_NEXT_BEST = ("rank 2", "rank 3")
_DRAWN, _DRAWN_DPI = 10, 80

Picture = tuple[str, "Figure", str]


def write_report(
    summary: SearchSummary,
    space: SearchSpace,
    directory: Path,
    top: int = 10,
    details: Mapping[str, Any] | None = None,
    course: Course = (),
) -> Path:
    """Write the report of a search and return the path of its page.

    The folder holds `report.html` (the whole story in one file, pictures included), `figures/` (PNG and SVG), `top.csv` (the
    ranking with full precision), `top/` (pictures of the best 10) and `evaluations.parquet` (all candidates).

    Args:
        summary: What to tell.
        space: The space of the architectures, which draws them.
        directory: Where to write; made where it is missing.
        top: Number of candidates in the ranking.
        details: What the surrogate of the searcher tells of its last stage; see `latent_figures`.
        course: What the searcher told of itself as it went on; see `trust_curve`.
    """
    directory = Path(directory)
    rows = write_tables(summary, directory, top)
    shown = {}
    method = list(latent_figures(details or {}))
    _draw_best(space, rows, directory)
    for name, row in zip(_NEXT_BEST, rows[1:], strict=False):
        drawn = (directory / picture_name(row.rank)).read_bytes()
        shown[name] = html.picture(pictures.png_uri(drawn), f"Rank {row.rank}: {row.architecture}")
    for name, figure, text in (*_figures(summary, space, rows), *_trust(course), *method):
        pictures.save(figure, directory / "figures" / name)
        shown[name] = html.picture(pictures.data_uri(figure), text)
    page = directory / "report.html"
    page.write_text(
        html.page(summary.name, list(_story(summary, rows, top, shown, [name for name, _, _ in method], course))),
        encoding="utf-8",
    )
    return page


def write_tables(summary: SearchSummary, directory: Path, top: int = 10) -> list[RankedRow]:
    """Write `top.csv` and `evaluations.parquet` alone, and return the ranking."""
    directory.mkdir(parents=True, exist_ok=True)
    rows = ranked_rows(summary.evaluations, top)
    write_csv(rows, directory / "top.csv")
    pq.write_table(summary.evaluations, directory / "evaluations.parquet")
    return rows


def _draw_best(space: SearchSpace, rows: Sequence[RankedRow], directory: Path) -> None:
    """Draw the best for the table in MLflow; those of an earlier report that fell back go."""
    (directory / "top").mkdir(exist_ok=True)
    for path in (directory / "top").glob("rank-*.png"):
        path.unlink()
    for row in rows[:_DRAWN]:
        figure = draw_architecture(space, space.parse(row.architecture))
        figure.savefig(directory / picture_name(row.rank), dpi=_DRAWN_DPI, facecolor="white")


def _trust(course: Course) -> Iterator[Picture]:
    if trust_curve(course):
        yield "trust", trust_figure(course), "Rank correlation of the surrogate's predictions with the outcomes"


def _figures(summary: SearchSummary, space: SearchSpace, rows: list[RankedRow]) -> Iterator[Picture]:
    """Yield name, figure and description of each picture that the evaluations allow."""
    if rows:
        best = space.parse(rows[0].architecture)
        yield "best_architecture", draw_architecture(space, best), f"The best architecture: {rows[0].architecture}"
    if len(summary.evaluations):
        yield "best_so_far", figures.best_so_far_of(summary), "Best score so far against candidates and against time paid"
    if figures.has_trade_off(summary):
        yield "trade_off", figures.trade_off(summary), "Score against multiply-accumulates, with the Pareto front"


def _story(
    summary: SearchSummary, rows: list[RankedRow], top: int, shown: Mapping[str, Html], method: Sequence[str], course: Course
) -> Iterator[Html]:
    yield _opening(summary)
    yield html.heading("The answer")
    yield from _answer(summary, rows)
    if rows:
        yield shown["best_architecture"]
        yield html.heading(f"The best {min(top, len(rows))} candidates" if len(rows) > 1 else "The only candidate with a score")
        cells = ranked_table(summary.evaluations, top, summary.percent)
        yield html.table(cells[0], cells[1:], code_column=len(cells[0]) - 1)
        if next_best := [shown[name] for name in _NEXT_BEST if name in shown]:
            yield html.folded("The next best, drawn", next_best)
    if "best_so_far" in shown:
        yield html.heading("The course of the search")
        yield shown["best_so_far"]
    if chosen := choice_table(summary):
        yield html.heading("What the ranking was worth")
        yield html.table(chosen[0], chosen[1:])
        if sentence := choice_sentence(summary):
            yield html.paragraph(sentence)
    if "trade_off" in shown:
        yield html.heading("Score against cost")
        yield html.paragraph(
            "No candidate on the Pareto front is beaten by another one that needs no more multiply-accumulates (MACs)."
        )
        yield shown["trade_off"]
    if summary.is_multi_objective and rows:
        yield from _trade_off(summary)
    if "trust" in shown:
        yield html.heading("How far the surrogate could be trusted")
        yield html.paragraph(trust_sentence(course))
        yield shown["trust"]
    if method:
        yield html.heading("The latent space in the last stage")
        yield from (shown[name] for name in method)
    yield html.heading("What the search cost")
    yield _costs(summary)
    if foretold := forecast_table(summary):
        yield html.paragraph("What it would cost by its first evaluations, and what it did cost:")
        yield html.table(foretold[0], foretold[1:])
    yield html.heading("Failures")
    yield from _failures(summary)
    yield html.heading("Settings")
    yield html.table(["setting", "value"], [[name, value] for name, value in flat(summary.settings)], code_column=1)
    yield html.heading("How to resume or reproduce")
    yield html.code(summary.command)
    yield html.paragraph(f"archsearch {summary.version}, seed {summary.seed}. All candidates are in evaluations.parquet.")
    if rows:
        yield html.heading("How to use the best architecture")
        yield html.code(retrain_command(summary))
        yield html.paragraph(
            "trains it from new weights and writes source, weights, exchange formats and a model card. --rank 2 takes the second "
            "best; --register NAME puts the model into MLflow's registry, too."
        )


def retrain_command(summary: SearchSummary) -> str:
    """Return the line that trains the best architecture to the end, on the images of the search if it trained on some."""
    dataset = summary.evaluator.removeprefix("train:") if summary.evaluator.startswith("train:") else "DATASET"
    return f"archsearch export {summary.command.removeprefix('archsearch resume ')} --retrain {shlex.quote(dataset)}"


def _opening(summary: SearchSummary) -> Html:
    tried, reused = len(summary.evaluations), int(np.nansum(summary.column("reused")))
    scored = int(np.isfinite(summary.scores).sum())
    text = f"The searcher {summary.searcher} looked for architectures of the space {summary.space} on {summary.task}. "
    text += f"Of {summary.num_candidates} candidates asked for, {tried} were evaluated by {summary.evaluator}; "
    text += f"{scored} have a score" + (f", {reused} were taken from earlier evaluations." if reused else ".")
    return html.paragraph(text)


def _answer(summary: SearchSummary, rows: list[RankedRow]) -> Iterator[Html]:
    if not rows:
        yield html.paragraph("No candidate was scored, so there is no best architecture. The reasons stand under Failures.")
        return
    best = rows[0]
    facts = [[summary.score_label, units.score(best.score, summary.percent)]]
    if best.test_accuracy is not None:
        facts.append(["test accuracy (%)", units.score(best.test_accuracy, True)])
    if best.params is not None:
        facts.append(["parameters", f"{best.params:,.0f}"])
    if best.macs is not None:
        facts.append(["MACs of one input", f"{best.macs:,.0f}"])
    facts.append(["found as candidate", f"{best.candidate + 1} of {len(summary.evaluations)}"])
    yield html.code(best.architecture)
    yield html.table(["", "best architecture"], facts)
    if best.test_accuracy is not None:
        chosen = summary.score_label.removesuffix(" (%)")
        yield html.paragraph(f"It was chosen by {chosen} alone; the searcher did not see the test accuracy.")


def _trade_off(summary: SearchSummary) -> Iterator[Html]:
    yield html.heading("The objectives weighed")
    heading, *rows = front_table(summary)
    goals = ", ".join(("more " if each.maximize else "less ") + each.name for each in summary.objectives)
    start = ", ".join(f"{name} {value:g}" for name, value in reference_point(summary).items())
    yield html.paragraph(
        f"Objectives: {goals}. {len(rows)} candidates are beaten by none in all of them. "
        f"Hypervolume {hypervolume(summary):.4f}, measured from {start}; costs count as shares of that."
    )
    yield html.table(heading, rows[-_FRONT:], code_column=len(heading) - 1)


def _costs(summary: SearchSummary) -> Html:
    total = summary.costs.get("total")
    parts = sorted(summary.costs.items(), key=lambda part: (part[0] == "total", -part[1]))
    rows = [[name.replace("_", " "), f"{seconds:,.1f}", units.duration(seconds)] for name, seconds in parts]
    rows.append(["paid for candidates, all workers", f"{summary.paid.sum():,.1f}", units.duration(float(summary.paid.sum()))])
    if total and len(summary.evaluations):
        each = total / len(summary.evaluations)
        rows.append(["total for each candidate", f"{each:,.3g}", units.duration(each)])
    return html.table(["part", "seconds", "time"], rows)


def _failures(summary: SearchSummary) -> Iterator[Html]:
    reasons = failures(summary.evaluations)
    if not reasons:
        yield html.paragraph("None.")
        return
    count = sum(number for _, number in reasons)
    yield html.paragraph(f"{count} of {len(summary.evaluations)} candidates have no score.")
    rows = [[str(number), reason] for reason, number in reasons[:_REASONS]]
    rest = sum(number for _, number in reasons[_REASONS:])
    yield html.table(["candidates", "reason"], [*rows, [str(rest), "other reasons"]] if rest else rows, code_column=1)
