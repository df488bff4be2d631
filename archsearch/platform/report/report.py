"""The report of a search: an HTML page, pictures and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from archsearch.atomic_file import written_atomically
from archsearch.errors import ArchSearchError
from archsearch.platform import units
from archsearch.platform.ranking import RankedRow, failures, ranked_rows, ranked_table, write_csv
from archsearch.platform.report import figures, html, pictures
from archsearch.platform.report.advantage import choice_sentence, choice_table, effort_sentence
from archsearch.platform.report.controller_figures import controller_figures
from archsearch.platform.report.cost_forecast import forecast_table
from archsearch.platform.report.drawing import draw_architecture
from archsearch.platform.report.ensemble_section import ensemble_section
from archsearch.platform.report.growth_figures import growth_figures
from archsearch.platform.report.html import Html
from archsearch.platform.report.latent_figures import latent_figures
from archsearch.platform.report.learning_curves import learning_curve_figure
from archsearch.platform.report.pictures import picture_name, save_png
from archsearch.platform.report.rung_table import MEANING, rung_table
from archsearch.platform.report.supernet_figures import supernet_figures
from archsearch.platform.report.thumbnail import thumbnail
from archsearch.platform.report.trust import Course, trust_curve, trust_figure, trust_sentence
from archsearch.platform.report.why_best import Scored, gene_table, operator_table, ties, ties_text
from archsearch.platform.short_form import short_names, shortened
from archsearch.platform.space_costs import SpaceCosts
from archsearch.platform.summary import SearchSummary, flat
from archsearch.platform.trade_off import front_table, hypervolume, reference_point
from archsearch.spaces import GeneSpace, SearchSpace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_REASONS = 10
_FRONT = 30
_NEXT_BEST = ("rank 2", "rank 3")
_DRAWN, _DRAWN_DPI = 10, 80

# Costs are those of the session that wrote the report; a resumed search has had others.
_COSTS = {
    "evaluating": "evaluations of this session, sum over workers",
    "proposing": "proposing candidates",
    "fitting": "fitting the surrogate",
    "ranking": "ranking candidates by the surrogate",
    "ray_start": "starting Ray",
    "trials": "running trials",
    "tracking": "opening the tracker",
    "total": "total of this session",
}

_IN_PYTHON = (
    "The search was given objects, which the command line does not know: this is Python (from archsearch import platform)."
)

Picture = tuple[str, "Figure", str]
"""Name, figure, alternative text."""


def write_report(
    summary: SearchSummary,
    space: SearchSpace,
    directory: Path,
    top: int = 10,
    details: Mapping[str, Any] | None = None,
    course: Course = (),
) -> Path:
    """Write the report of a search and return the path of its page.

    The folder holds `report.html` (self-contained, pictures included), `figures/` (PNG and SVG), `top.csv` (the ranking with
    full precision), `top/` (drawings of the best 10) and `evaluations.parquet` (all candidates).

    Args:
        summary: The search.
        space: The space of the architectures.
        directory: Folder of the report; created if needed.
        top: Number of candidates in the ranking.
        details: `ArchitectureSearcher.details` of the last stage; see `latent_figures`, `controller_figures`,
            `growth_figures` and `supernet_figures`.
        course: Metrics of the searcher over the course of the search; see `trust_curve`.
    """
    directory = Path(directory)
    rows = write_tables(summary, directory, top)
    shown = {}
    method = {
        "Latent space of the last stage": list(latent_figures(details or {})),
        "What the controller learned": list(controller_figures(details or {})),
        "Sizes of the architectures": list(growth_figures(details or {})),
        "Training of the supernet": list(supernet_figures(details or {})),
    }
    _draw_best(space, rows, directory)
    for name, row in zip(_NEXT_BEST, rows[1:], strict=False):
        drawn = (directory / picture_name(row.rank)).read_bytes()
        shown[name] = html.picture(pictures.png_uri(drawn), f"Rank {row.rank}: {row.architecture}")
    for name, figure, text in (*_figures(summary, space, rows), *_trust(course), *chain.from_iterable(method.values())):
        pictures.save(figure, directory / "figures" / name)
        shown[name] = html.picture(pictures.data_uri(figure), text)
    page = directory / "report.html"
    names = {heading: [name for name, _, _ in found] for heading, found in method.items() if found}
    ensemble = ensemble_section(directory.parent)
    content = html.page(summary.name, list(_sections(summary, space, rows, top, shown, names, course, ensemble)))
    with written_atomically(page, durable=False) as path:
        path.write_text(content, encoding="utf-8")
    return page


def write_tables(summary: SearchSummary, directory: Path, top: int = 10) -> list[RankedRow]:
    """Write only `top.csv` and `evaluations.parquet`, and return the ranking."""
    directory.mkdir(parents=True, exist_ok=True)
    rows = ranked_rows(summary.evaluations, top)
    write_csv(rows, directory / "top.csv")
    with written_atomically(directory / "evaluations.parquet", durable=False) as path:
        pq.write_table(summary.evaluations, path)
    return rows


def _draw_best(space: SearchSpace, rows: Sequence[RankedRow], directory: Path) -> None:
    """Draw the best candidates, also for the table in MLflow, and remove the drawings of an earlier report."""
    (directory / "top").mkdir(exist_ok=True)
    for path in (directory / "top").glob("rank-*.png"):
        path.unlink()
    for row in rows[:_DRAWN]:
        figure = draw_architecture(space, space.parse(row.architecture))
        save_png(figure, directory / picture_name(row.rank), _DRAWN_DPI)


def _trust(course: Course) -> Iterator[Picture]:
    if trust_curve(course):
        yield (
            "trust",
            trust_figure(course),
            "Rank correlation of the surrogate's predictions with the scores, against candidates evaluated",
        )


def _figures(summary: SearchSummary, space: SearchSpace, rows: list[RankedRow]) -> Iterator[Picture]:
    """Yield name, figure and alternative text of each picture for which there are evaluations."""
    if rows:
        best = space.parse(rows[0].architecture)
        yield "best_architecture", draw_architecture(space, best), f"The best architecture: {rows[0].architecture}"
    if len(summary.evaluations):
        yield (
            "best_so_far",
            figures.best_so_far_of(summary),
            "Best score so far against candidates evaluated and against time spent on evaluations",
        )
    if summary.early_stopping is not None and summary.early_stopping.curves:
        yield (
            "learning_curves",
            learning_curve_figure(summary, summary.early_stopping),
            f"Score against {summary.early_stopping.fidelity_name} of each candidate; those that were stopped early are grey",
        )
    if figures.has_trade_off(summary):
        yield "trade_off", figures.trade_off(summary), "Score against multiply-accumulates (MACs), with the Pareto front"


def _sections(
    summary: SearchSummary,
    space: SearchSpace,
    rows: list[RankedRow],
    top: int,
    shown: Mapping[str, Html],
    method: Mapping[str, Sequence[str]],
    course: Course,
    ensemble: Html,
) -> Iterator[Html]:
    yield _opening(summary)
    if summary.ending is not None and summary.ending.reason != "complete":
        yield html.paragraph(summary.ending.sentences())
        if summary.ending.reason != "exhausted":
            yield html.paragraph("This goes on with it; nothing that is evaluated is paid again:")
            yield html.code(summary.command)
    yield from _images_and_training(summary)
    yield html.heading("Best architecture")
    yield from _answer(summary, space, rows)
    if rows:
        yield shown["best_architecture"]
        yield html.heading(f"Best {min(top, len(rows))} candidates" if len(rows) > 1 else "The only candidate with a score")
        yield _with_thumbnails(
            ranked_table(summary.evaluations, top, summary.percent, summary.score_images, summary.early_stopping, summary.loss),
            space,
        )
        if next_best := [shown[name] for name in _NEXT_BEST if name in shown]:
            yield html.folded("Drawings of ranks 2 and 3", next_best)
        yield ensemble
        yield from _why(summary, space)
    if "best_so_far" in shown:
        yield html.heading("Best score over the course of the search")
        yield shown["best_so_far"]
    if chosen := choice_table(summary):
        yield html.heading("Candidates chosen by the searcher, against random ones")
        yield html.table(chosen[0], chosen[1:])
        if summary.early_stopping is not None:
            yield html.paragraph("All are compared by their scores at the first rung, to which all came.")
        if sentence := choice_sentence(summary):
            yield html.paragraph(sentence)
        if sentence := effort_sentence(summary):
            yield html.paragraph(sentence)
    yield from _early_stopping(summary, shown)
    if "trade_off" in shown:
        yield html.heading("Score against cost")
        yield html.paragraph(
            "On the Pareto front are the candidates for which every other one with the same or fewer multiply-accumulates (MACs) "
            "scores lower."
        )
        yield shown["trade_off"]
    if summary.is_multi_objective and rows:
        yield from _trade_off(summary, space)
    if "trust" in shown:
        yield html.heading("How well the surrogate ranked candidates")
        yield html.paragraph(trust_sentence(course))
        yield shown["trust"]
    for heading, names in method.items():
        yield html.heading(heading)
        yield from (shown[name] for name in names)
    if summary.space_costs is not None:
        yield from _space_costs(summary.space_costs)
    yield html.heading("Cost of the search")
    table = " Evaluations cost what the table states for their training." if summary.evaluator.startswith("table:") else ""
    yield html.paragraph(f"Some parts contain others, so they do not add up to the total.{table}")
    yield _costs(summary)
    if summary.early_stopping is None and (forecast := forecast_table(summary)):
        yield html.paragraph("Cost predicted from the first evaluations, against the actual cost:")
        yield html.table(forecast[0], forecast[1:])
    yield html.heading("Failures")
    yield from _failures(summary)
    yield html.heading("Settings")
    yield html.table(["setting", "value"], [[name, value] for name, value in flat(summary.settings)], code_column=1)
    yield html.heading("How to resume the search")
    yield html.code(summary.command)
    if not summary.command.startswith("archsearch "):
        yield html.paragraph(_IN_PYTHON)
    version = f"archsearch {summary.version} and seed {summary.seed}"
    yield html.paragraph(f"The search ran with {version}. All its candidates are in evaluations.parquet.")
    if rows:
        yield html.heading("How to use the best architecture")
        yield html.paragraph(
            "This trains it from newly initialised weights and writes its source code, weights, exchange formats and a "
            "model card:"
        )
        yield html.code(summary.use)
        if summary.use.startswith("archsearch "):
            yield html.paragraph(
                "Add --rank 2 to take the second best instead, or --register NAME to add the model to MLflow's model registry."
            )


def _early_stopping(summary: SearchSummary, shown: Mapping[str, Html]) -> Iterator[Html]:
    """Yield the section on what the scheduler stopped."""
    early = summary.early_stopping
    if early is None:
        return
    yield html.heading("Candidates that were stopped early")
    yield html.paragraph(
        f"{early.sentence()} Candidates rank by the number of {early.fidelity_name} that they reached, then by score: scores "
        f"after different numbers of {early.fidelity_name} do not compare."
    )
    if "learning_curves" in shown:
        yield shown["learning_curves"]
    if table := rung_table(early):
        yield html.table(table[0], table[1:])
        yield html.paragraph(MEANING)


def _opening(summary: SearchSummary) -> Html:
    tried, reused = len(summary.evaluations), int(np.nansum(summary.column("reused")))
    scored = int(np.isfinite(summary.scores).sum())
    early = summary.early_stopping
    method = summary.searcher if early is None else f"{summary.searcher}, with the scheduler {early.scheduler},"
    text = f"The searcher {method} searched the space {summary.space} for the best architecture on {summary.task}. "
    text += (
        f"Of {summary.num_candidates} candidates asked for, {tried} were evaluated by {summary.evaluator}; {scored} have a score."
    )
    text += f" {reused} evaluations were reused from earlier searches." if reused else ""
    text += "".join(f" {sentence.rstrip('.')}." for sentence in summary.known_before)
    return html.paragraph(text)


def _images_and_training(summary: SearchSummary) -> Iterator[Html]:
    """Yield what is to be known about the images and the training, and the warnings."""
    if summary.facts:
        yield html.paragraph(" ".join(summary.facts))
    for caution in (*summary.cautions, summary.remark):
        if caution:
            yield html.paragraph(f"Warning: {caution}")


def _with_thumbnails(cells: list[list[str]], space: SearchSpace) -> Html:
    """Return a table of architectures with pictures, short names and outlines; their texts are folded under it."""
    heading, *rows = shortened(cells, space)
    pictured = []
    for row, before in zip(rows, cells[1:], strict=True):
        try:
            drawn = thumbnail(space, space.parse(before[-1]))
        except ArchSearchError:
            drawn = ""
        pictured.append([*row[:-2], drawn, *row[-2:]])
    place = len(heading) - 2
    names = [*heading[:-2], "", *heading[-2:]]
    found = html.table(names, pictured, code_column=len(names) - 1, markup={place}, sortable=True)
    texts = html.table(
        ["name", cells[0][-1]], [[row[-2], each[-1]] for row, each in zip(rows, cells[1:], strict=True)], code_column=1
    )
    return Html(f"{found}\n{html.folded('The architectures in full', [texts])}")


def _why(summary: SearchSummary, space: SearchSpace) -> Iterator[Html]:
    """Yield the section on the reasons of the best score, where there are candidates enough."""
    scored = Scored.of(summary, space)
    if scored is None:
        return
    noise = ties_text(summary)
    operators = operator_table(scored, space, summary.percent)
    genes = gene_table(scored, space, summary.percent)
    if not noise and len(operators) < 2 and len(genes) < 2:
        return
    yield html.heading("Why the best is the best")
    if noise:
        yield html.paragraph(noise)
        if same := ties(summary):
            names = short_names(space.name, [row.key for row in same])
            listed = ", ".join(
                f"{name} ({units.score(row.score, summary.percent)} %)" for name, row in zip(names, same, strict=True)
            )
            yield html.folded("The candidates that tie with it", [html.paragraph(listed)])
    if len(operators) > 1 or len(genes) > 1:
        yield html.paragraph(
            "Means over the candidates of this search. A searcher chooses candidates with what it has learned, so that operators "
            "appear together with others: these figures describe, they do not prove a cause. Differences whose interval contains "
            "0 may be chance."
        )
    if len(operators) > 1:
        yield html.table(operators[0], operators[1:], sortable=True)
    if len(genes) > 1:
        yield html.paragraph("The same by gene; genes that explain more of the scores come first.")
        yield html.table(genes[0], genes[1:], sortable=True)


def _space_costs(costs: SpaceCosts) -> Iterator[Html]:
    yield html.heading("Costs in the space")
    yield html.paragraph(f"Of {costs.drawn:,} random architectures of the space:")
    yield html.table(costs.rows[0], costs.rows[1:])
    if text := costs.share_text():
        few = "Warning: the constraints leave less than a tenth of the space. " if costs.is_tight else ""
        yield html.paragraph(f"{few}{text}.")


def _answer(summary: SearchSummary, space: SearchSpace, rows: list[RankedRow]) -> Iterator[Html]:
    if not rows:
        yield html.paragraph(
            "No candidate has a score, so there is no best architecture. The section Failures gives the reasons."
        )
        return
    best = rows[0]
    facts = [[summary.loss or summary.score_label, summary.shown(best.score)]]
    if summary.percent and summary.score_images is not None:
        facts.append(["its standard error by the number of images (%)", units.score(summary.standard_error(best.score), True)])
    if (early := summary.early_stopping) is not None:
        facts.append([f"scored after ({early.fidelity_name})", early.at(best.fidelity)])
    if best.test_accuracy is not None:
        facts.append(["test accuracy (%)", units.score(best.test_accuracy, True)])
    if best.params is not None:
        facts.append(["parameters", f"{best.params:,.0f}"])
    if best.macs is not None:
        facts.append(["MACs of one input", f"{best.macs:,.0f}"])
    facts.append(["proposed as candidate", f"{best.candidate + 1} of {len(summary.evaluations)}"])
    _, cells = shortened([["architecture"], [best.architecture]], space)
    yield html.paragraph(", ".join(filter(None, cells)))
    yield html.code(best.architecture)
    if genes := _genes(space, best.architecture):
        yield html.paragraph(genes)
    yield html.table(["", "best architecture"], facts)
    if best.test_accuracy is not None:
        chosen = summary.score_label.removesuffix(" (%)")
        yield html.paragraph(f"It was chosen by {chosen} alone; the test accuracy did not influence the search.")


def _genes(space: SearchSpace, text: str) -> str:
    """Return an architecture of a user-defined space by the genes that it has; an empty string for other spaces."""
    if not (space.names_genes or isinstance(space, GeneSpace)):
        return ""
    return "Its genes: " + ", ".join(f"{name} {value}" for name, value in space.active(space.parse(text)).items()) + "."


def _trade_off(summary: SearchSummary, space: SearchSpace) -> Iterator[Html]:
    yield html.heading("Pareto front of the objectives")
    heading, *rows = front_table(summary)
    goals = ", ".join(f"{each.name} ({'higher' if each.maximize else 'lower'} is better)" for each in summary.objectives)
    start = ", ".join(f"{name} {value:g}" for name, value in reference_point(summary).items())
    yield html.paragraph(
        f"Objectives: {goals}. The Pareto front has {len(rows)} {'candidate' if len(rows) == 1 else 'candidates'}: no other "
        "candidate is at least as good as one of them in all objectives and better in one. Hypervolume of the front: "
        f"{hypervolume(summary):.4f}, relative to the reference point ({start}); objectives to be lowered are divided by their "
        "value there."
    )
    yield _with_thumbnails([heading, *rows[-_FRONT:]], space)


def _costs(summary: SearchSummary) -> Html:
    total = summary.costs.get("total")
    parts = sorted(summary.costs.items(), key=lambda part: (part[0] == "total", -part[1]))
    named = [(_COSTS.get(name, name.replace("_", " ")), seconds) for name, seconds in parts]
    named.append(("evaluations of the whole search, sum over workers", float(summary.paid.sum())))
    if total and len(summary.evaluations):
        named.append(("total per candidate", total / len(summary.evaluations)))
    rows = [
        [name, f"{seconds:,.3g}" if seconds < 10.0 else f"{seconds:,.1f}", units.duration(seconds)] for name, seconds in named
    ]
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
