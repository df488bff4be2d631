"""Outcomes of earlier runs, tables and CSV files, for a search to learn from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from archsearch.atomic_file import written_atomically
from archsearch.errors import ArchSearchError, ConfigurationError, RunError, first_line
from archsearch.evaluators import Evaluation, Evaluator, TabularEvaluator, from_text
from archsearch.evaluators.anytime.curve import AREA
from archsearch.evaluators.tables.columns import ROUNDING
from archsearch.platform.known_starts import evaluations_of
from archsearch.platform.rank_order import FIDELITY, fidelities
from archsearch.platform.run_folder import RunFolder
from archsearch.searchers import ArchitectureSearcher
from archsearch.searchers.observation import Observation, evaluation_from_row, evaluation_to_row
from archsearch.spaces import SearchSpace

FILE = "learned.json"
_TEXT_FILES = (".csv", ".tsv", ".txt", ".tab")


@dataclass(frozen=True)
class Learned:
    """The outcomes of one source.

    Args:
        source: The source as it was given.
        evaluations: Its outcomes, successes and failures.
        left_out: Number of its rows that had no score.
        used: Number that the searcher learned from; None before it did.
        leaves_out: Whether the searcher only leaves out their architectures, because its method learns from no outcomes.
    """

    source: str
    evaluations: tuple[Evaluation, ...]
    left_out: int = 0
    used: int | None = None
    leaves_out: bool = False

    @property
    def sentence(self) -> str:
        """What was used, for the terminal and the report."""
        total = len(self.evaluations) + self.left_out
        if self.leaves_out:
            known = f"the {len(self.evaluations):,} architectures of {self.source}"
            return f"The searcher learns from no outcomes: it only leaves out {known}."
        failed = f", {self.left_out:,} of them failed" if self.left_out else ""
        return f"Learned from {self.used or 0:,} of the {total:,} outcomes of {self.source}{failed}; they are no candidates."


def read_learned(sources: Sequence[str], space: SearchSpace, evaluator: Evaluator) -> list[Learned]:
    """Return the outcomes of each source.

    Args:
        sources: Each the folder of a run; a table, `table:NAME#COLUMN` or its name alone; or a CSV or Parquet file with a column
            of architectures, `FILE#COLUMN` to name the column of the score.
        space: Space of the search.
        evaluator: Evaluator of the search, whose scale the scores must have.

    Raises:
        ConfigurationError: A source is none of these, is of another space, or its scores are on another scale.
        TableError: A table or file cannot be used.
        RunError: A run has no evaluations yet.
    """
    return [_on_scale(_read(source, space, evaluator), evaluator) for source in sources]


def given_evaluations(evaluations: Sequence[Evaluation], space: SearchSpace, evaluator: Evaluator) -> Learned:
    """Return outcomes that Python code gave, as those of a source.

    Args:
        evaluations: The outcomes, successes and failures.
        space: As for `read_learned`.
        evaluator: As for `read_learned`.

    Raises:
        ConfigurationError: An architecture is of another space, or the scores are on another scale.
    """
    kept = []
    for number, each in enumerate(evaluations, 1):
        try:
            architecture = space.parse(str(each.architecture))
        except ArchSearchError as error:
            raise ConfigurationError(
                f"learn_from: evaluation {number} is not one of {space.name} ({first_line(error)}). Give outcomes of this space."
            ) from error
        kept.append(replace(each, architecture=architecture, key=space.key(architecture)))
    left_out = sum(not each.ok for each in kept)
    good = tuple(each for each in kept if each.ok)
    return _on_scale(Learned("the evaluations given in Python", good, left_out), evaluator)


def learn(searcher: ArchitectureSearcher, evaluator: Evaluator, learned: Sequence[Learned]) -> list[Learned]:
    """Let a searcher learn from outcomes, and return them with the numbers that it used."""
    costs = bool(set(searcher.goals.metrics) & set(evaluator.cost_names))

    def completed(evaluation: Evaluation) -> Evaluation:
        known: Mapping[str, float] = evaluator.costs(evaluation.architecture) if costs else {}
        return replace(evaluation, metrics={**known, **evaluation.metrics})

    none = not searcher.learns_from_others
    return [replace(each, used=searcher.learn([*map(completed, each.evaluations)]), leaves_out=none) for each in learned]


def write_learned(learned: Sequence[Learned], folder: Path) -> None:
    """Write the outcomes to the folder of a run, which learns the same when it is resumed, whatever became of the sources.

    Raises:
        RunError: The file cannot be written.
    """
    if not learned:
        return
    content = [
        {**asdict(replace(each, evaluations=())), "evaluations": [*map(evaluation_to_row, each.evaluations)]} for each in learned
    ]
    try:
        with written_atomically(folder / FILE) as temporary:
            temporary.write_text(json.dumps(content))
    except OSError as error:
        raise RunError(f"storage: cannot write {folder / FILE} ({error.strerror}); make the folder writable.") from error


def stored_learned(folder: Path, space: SearchSpace) -> list[Learned]:
    """Return what `write_learned` wrote; nothing where there is no such file.

    Raises:
        RunError: The file is corrupt.
    """
    path = folder / FILE
    if not path.exists():
        return []
    try:
        return [
            Learned(row["source"], tuple(evaluation_from_row(each, space) for each in row["evaluations"]), row["left_out"])
            for row in json.loads(path.read_text())
        ]
    except (OSError, ValueError, TypeError, KeyError, ArchSearchError) as error:
        raise RunError(f"run: {path} is corrupt ({first_line(error)}); restore it, or start a new run.") from error


def _read(source: str, space: SearchSpace, evaluator: Evaluator) -> Learned:
    path, _, column = source.partition("#")
    try:
        file = Path(path).expanduser()
        is_run, is_file = (file / "run.yaml").is_file(), file.is_file()
    except (OSError, RuntimeError, ValueError):
        is_run = is_file = False
    if is_run:
        return _from_run(source, RunFolder.open(file), space, evaluator)
    if is_file and (file.suffix.lower() in _TEXT_FILES or not _is_table(file)):
        return _from_file(source, file, column or None, space, evaluator)
    name = source if source.startswith("table:") else f"table:{source}"
    try:
        table = from_text(name, space, 0, {})
    except ArchSearchError as error:
        if source.startswith("table:") or is_file:
            raise
        raise ConfigurationError(
            f"learn_from: expected the folder of a run, the name of a table, or a CSV or Parquet file; got {source!r} "
            f"({first_line(error)})"
        ) from error
    assert isinstance(table, TabularEvaluator)
    _check_same(source, table, evaluator)
    evaluations = table.evaluate([space.parse(text) for text in table.architectures])
    good = tuple(row for row in evaluations if row.ok)
    return Learned(source, good, len(evaluations) - len(good))


def _is_table(path: Path) -> bool:
    from archsearch.evaluators.tables.table_file import is_layout

    return is_layout(path)


def _from_run(source: str, folder: RunFolder, space: SearchSpace, evaluator: Evaluator) -> Learned:
    rows = evaluations_of(folder, "learn_from", space)
    configuration = folder.configuration()
    try:
        before = from_text(configuration.evaluator, space, configuration.seed, configuration.score_options)
    except ArchSearchError:
        pass  # an evaluator of one's own, or data that is gone: the range of the scores is checked all the same
    else:
        _check_same(source, before, evaluator)
    fixed = ("candidate", "architecture", "key", "score", "seconds", "error", "reused", FIDELITY)
    evaluations = []
    whole = np.isinf(fidelities(rows))  # scores after fewer epochs are on another scale
    for row in rows.filter(whole).to_pylist():
        architecture = space.parse(row["architecture"])
        metrics = {name: value for name, value in row.items() if name not in fixed and value is not None}
        evaluations.append(Evaluation(architecture, space.key(architecture), row["score"], metrics, row["seconds"]))
    return Learned(source, tuple(evaluations), _rows_of(folder) - len(rows))


def _rows_of(folder: RunFolder) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(folder.report / "evaluations.parquet").num_rows)


def _from_file(source: str, path: Path, column: str | None, space: SearchSpace, evaluator: Evaluator) -> Learned:
    from archsearch.evaluators.tables.checks import SEEDS, check
    from archsearch.evaluators.tables.plain_file import architectures_of, read_plain_file

    architecture, names, _ = architectures_of(path)
    if column is None and evaluator.score_name in names:
        column = evaluator.score_name
    draft = read_plain_file(path, space.name, architecture, score=column)
    checked = check(
        draft,
        space,
        percent=None if evaluator.score_is_fraction else (),
        drop_missing=True,
        average_seeds=SEEDS not in draft.rows.column_names,
    )
    # The score of a loss is its negative; a file has the loss under its own name.
    sign = -1.0 if evaluator.lower_is_better and draft.score == evaluator.score_name else 1.0
    scores = (sign * checked.columns[draft.score]).tolist()
    others = {name: values.tolist() for name, values in checked.columns.items() if name not in (draft.score, "seconds", SEEDS)}
    evaluations = []
    for place, (text, key) in enumerate(zip(checked.texts, checked.keys, strict=True)):
        metrics = {name: float(values[place]) for name, values in others.items() if math.isfinite(values[place])}
        evaluations.append(Evaluation(space.parse(text), key, float(scores[place]), metrics))
    return Learned(source, tuple(evaluations), _left_out(checked.notes))


def _left_out(notes: Sequence[str]) -> int:
    """Return the number of rows without a score, from the note on them."""
    found = [note for note in notes if "rows without" in note]
    return int(found[0].split()[0].replace(",", "")) if found else 0


def _check_same(source: str, before: Evaluator, now: Evaluator) -> None:
    """Raise ConfigurationError if two evaluators score on other scales."""
    kinds = [(each.score_is_fraction, each.score_name == AREA, each.lower_is_better) for each in (before, now)]
    if kinds[0] != kinds[1]:
        raise ConfigurationError(
            f"learn_from: expected scores such as {now.score_name} of {now.task}; {source} has {before.score_name} of "
            f"{before.task}, on another scale. Give outcomes of the same kind of score."
        )


def _on_scale(learned: Learned, evaluator: Evaluator) -> Learned:
    scores = [evaluation.score for evaluation in learned.evaluations if evaluation.ok]
    if evaluator.score_is_fraction and scores and not (min(scores) >= 0.0 and max(scores) <= 1.0 + ROUNDING):
        raise ConfigurationError(
            f"learn_from: expected scores from 0 to 1, as {evaluator.score_name} of {evaluator.task} has them; those of "
            f"{learned.source} reach from {min(scores):g} to {max(scores):g}. Give outcomes on the same scale."
        )
    return learned


def texts_of(argument: str, given: Any) -> list[str]:
    """Return what Python code gave for `start` or `learn_from` as a list of texts; evaluations to learn from are left out.

    Args:
        argument: Name of the argument, for messages.
        given: A text, a path, an architecture, what a search found, the result of a search, for `learn_from` also evaluations;
            or a list of these.

    Raises:
        ConfigurationError: One of them is of another kind.
    """
    from archsearch.platform.result import Found, SearchResult
    from archsearch.spaces import Architecture

    texts, learns = [], argument == "learn_from"
    for each in _listed(given):
        if isinstance(each, SearchResult):
            texts.append(str(each.folder))
        elif learns and isinstance(each, Evaluation | Observation | Found):
            continue
        elif isinstance(each, str | Path) or (isinstance(each, Architecture | Found) and not learns):
            texts.append(str(each))
        else:
            kinds = "paths, tables, evaluations" if learns else "texts, paths, architectures"
            raise ConfigurationError(
                f"{argument}: expected {kinds} or results of searches; got one of type {type(each).__name__}."
            )
    return texts


def evaluations_among(given: Any) -> list[Evaluation]:
    """Return the outcomes among what Python code gave for `learn_from`: evaluations, observations, and what a search found."""
    from archsearch.platform.result import Found

    found = []
    for each in _listed(given):
        if isinstance(each, Found):
            found.append(Evaluation(each.architecture, each.space.key(each.architecture), each.score, each.metrics))
        elif isinstance(each, Evaluation | Observation):
            found.append(each.evaluation if isinstance(each, Observation) else each)
    return found


def _listed(given: Any) -> Sequence[Any]:
    """Return a list or tuple as it is, what has one of its own kind as its only entry, and nothing for None."""
    return [] if given is None else given if isinstance(given, list | tuple) else [given]
