"""The result of a finished run, read from its folder."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from archsearch.errors import RunError
from archsearch.evaluators import from_text
from archsearch.platform.result import SearchResult, summary_of
from archsearch.platform.run_folder import RunFolder
from archsearch.spaces import get as get_space


def finished_run(run: str | Path) -> SearchResult:
    """Return the result of a run from its folder. Nothing is evaluated; what the search cost is not read.

    Args:
        run: Folder of the run, such as `runs/NAME`.

    Raises:
        RunError: There is no such run, or its table of evaluations is missing or damaged.
        ConfigurationError: Its space or its evaluator is not known here, such as one of one's own that is not registered.

    Example:
        >>> finished_run("runs/evolution-nasbench201-digits-s0").best.export("winner")
    """
    folder = RunFolder.open(Path(run).expanduser().absolute())
    configuration = folder.configuration()
    table = folder.report / "evaluations.parquet"
    try:
        evaluations = pq.read_table(table)
    except FileNotFoundError as error:
        raise RunError(f"run: {folder.path} has no {table.name} yet; go on with: archsearch resume {folder.path}") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise RunError(f"run: {table} is damaged; write it anew with: archsearch resume {folder.path}") from error
    space = get_space(configuration.space)
    evaluator = from_text(configuration.evaluator, space, configuration.seed, configuration.score_options)
    summary = summary_of(folder, configuration, evaluator, evaluations)
    return SearchResult(summary, space, folder.path, folder.tracking_id, dict(evaluator.cost_arguments))
