"""Summary of a finished search for its MLflow run: metrics, a note, and the ranking as a table."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from archsearch.platform import units
from archsearch.platform.rank_order import FIDELITY
from archsearch.platform.ranking import RankedRow, failures, ranked_rows
from archsearch.platform.report.advantage import advantage
from archsearch.platform.report.pictures import picture_name
from archsearch.platform.summary import SearchSummary
from archsearch.platform.tracking.curves import anytime_curve, common_budget
from archsearch.platform.trade_off import front, hypervolume
from archsearch.searchers import ArchitectureSearcher
from archsearch.searchers.goals import SCORE

_DAY = 86400.0
_SEEN_FIRST = (
    "rank",
    "picture",
    "score",
    "test_accuracy",
    "macs",
    "params",
    "seconds",
    "architecture",
)  # the first columns in MLflow


def final_metrics(summary: SearchSummary, gpus_per_worker: float = 0.0) -> dict[str, float]:
    """Return the metrics for MLflow's table of runs; unknown ones are left out.

    Args:
        summary: The search.
        gpus_per_worker: GPUs that an evaluation occupies; if positive, `costs/evaluating_gpu_days` is included.
    """
    metrics: dict[str, float | None] = {
        "num_candidates": len(summary.evaluations),
        "num_failed": sum(count for _, count in failures(summary.evaluations)),
        "num_reused": float(np.nansum(summary.column("reused"))),
    }
    if (early := summary.early_stopping) is not None:
        metrics |= {"num_stopped_early": early.stopped, "costs/saved_seconds": early.saved}
    for row in ranked_rows(summary.evaluations, 1):
        metrics |= {"best_score": row.score, "best_test_accuracy": row.test_accuracy}
        metrics |= {"best_macs": row.macs, "best_params": row.params}
    if _has_objectives(summary) and (summary.is_multi_objective or summary.percent):
        metrics |= {"hypervolume": hypervolume(summary), "pareto_size": len(front(summary))}
    metrics |= {f"costs/{name}_seconds": seconds for name, seconds in summary.costs.items()}
    if gpus_per_worker and "evaluating" in summary.costs:
        metrics["costs/evaluating_gpu_days"] = gpus_per_worker * summary.costs["evaluating"] / _DAY
    if (gained := advantage(summary)) is not None:
        metrics |= {"choice/advantage": gained.value, "choice/advantage_low": gained.low}
    if (curve := anytime_curve(summary)) is not None:
        # Areas compare only between runs with the same end, so the end is logged too.
        budget = common_budget(summary)
        metrics |= {"anytime/auc": curve.auc(budget), "anytime/auc_macs": budget}
        metrics |= {"anytime/exits_auc": summary.exits.auc(budget)} if summary.exits else {}
    return {name: float(value) for name, value in metrics.items() if value is not None and math.isfinite(value)}


def _has_objectives(summary: SearchSummary) -> bool:
    """Return whether some candidate has all objectives; a search that was stopped at once has none."""
    columns = (summary.final_scores if each.name == SCORE else summary.column(each.name) for each in summary.objectives)
    return bool(np.isfinite(np.stack(list(columns))).all(axis=0).any())


def note(summary: SearchSummary, top: int = 3) -> str:
    """Return a short summary in Markdown."""
    lines = [f"**{summary.searcher}** on {summary.space}, {summary.task}, seed {summary.seed}: "]
    rows = ranked_rows(summary.evaluations, top)
    count = len(summary.evaluations)
    if not rows:
        return lines[0] + f"none of {count} candidates has a score."
    best = units.score(rows[0].score, summary.percent) + (" %" if summary.percent else "")
    name = summary.score_label.removesuffix(" (%)")
    lines[0] += f"best {name} **{best}** among {count} candidates."
    if summary.early_stopping is not None:
        lines += ["", summary.early_stopping.sentence()]
    lines += ["", f"| rank | {summary.score_label} | params | MACs | architecture |", "| -: | -: | -: | -: | :- |"]
    for row in rows:
        text = " ".join(row.architecture.split()).replace("|", "\\|")
        figures = [units.score(row.score, summary.percent), units.quantity(row.params), units.quantity(row.macs)]
        lines.append(f"| {row.rank} | {' | '.join(figures)} | {text} |")
    return "\n".join([*lines, "", f"`{summary.command}`"])


def ending_tags(summary: SearchSummary) -> dict[str, str]:
    """Return how a search ended as tags: the reason, a sentence with what was given up, and the command that goes on."""
    ending = summary.ending
    if ending is None:
        return {}
    return {"ending": ending.reason, "ending.text": ending.sentences(), "ending.resume": summary.command}


def split_table(rows: Sequence[RankedRow], report: Path | None = None) -> str:
    """Return the ranking as JSON in MLflow's table format: `{"columns": [...], "data": [[...], ...]}`.

    Args:
        rows: The best candidates.
        report: Folder of the report, which is an artifact of the run; its drawings form a column.
    """
    pictures = [_picture(row, report) for row in rows]
    shown, early = any(pictures), any(row.fidelity is not None for row in rows)
    records = []
    for row, picture in zip(rows, pictures, strict=True):
        known = {name: value for name, value in asdict(row).items() if name != FIDELITY or early}
        cells = {**known, **({"picture": picture} if shown else {})}
        records.append({name: cells[name] for name in _SEEN_FIRST if name in cells} | cells)
    return json.dumps({"columns": list(records[0]) if records else [], "data": [list(record.values()) for record in records]})


def _picture(row: RankedRow, report: Path | None) -> dict[str, str] | None:
    """Return the cell of a drawing in the format of MLflow's `log_table`; None if the drawing does not exist."""
    name = picture_name(row.rank)
    if report is None or not (report / name).exists():
        return None
    return {"type": "image", "filepath": name, "compressed_filepath": name}


def searcher_settings(searcher: ArchitectureSearcher, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a searcher by name, including defaults.

    MLflow charts such as parallel coordinates omit a run that lacks a parameter.

    Args:
        searcher: The searcher.
        given: Options that the user set.
    """
    settings: dict[str, Any] = {}
    for kind in type(searcher).__mro__:
        if kind is ArchitectureSearcher:
            break
        if "__init__" in vars(kind):
            for each in inspect.signature(vars(kind)["__init__"]).parameters.values():
                value = getattr(searcher, each.name, each.default)
                if each.kind is each.KEYWORD_ONLY and isinstance(value, bool | int | float | str):
                    settings.setdefault(each.name, value)
    return {**settings, **given}
