"""The `archsearch` command."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from archsearch import __version__
from archsearch.errors import ArchSearchError, ConfigurationError

_EPILOG = """examples:
  archsearch run                                        search nasbench201 on the digits, 40 candidates trained for real
  archsearch run --searcher random --candidates 100 --seed 1
  archsearch run --table digits201 --candidates 500     look the scores up in the table that the package ships
  archsearch run search.yaml                            take the settings from a file
  archsearch compare --table digits201 --searchers random,evolution,optuna --seeds 5 --candidates 300
  archsearch ui                                         open MLflow on this machine
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 2 for bad input, 130 after Ctrl-C."""
    parsed = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: os.kill(os.getpid(), signal.SIGINT))
    try:
        code: int = parsed.action(parsed)
        return code
    except ArchSearchError as error:
        print(f"archsearch: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("archsearch: stopped before the search began", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="archsearch",
        description="Neural architecture search on Ray Tune.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"archsearch {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="search, and leave a ranked table, pictures, a report and an MLflow run")
    _add_search_options(run)
    run.add_argument("--searcher", help="random, evolution or optuna (default: evolution)")
    run.add_argument("--seed", type=int, help="seed of the search (default: 0)")
    run.add_argument("--name", help="name of the run (default: made from the settings and the time)")
    run.set_defaults(action=_run)

    compare = commands.add_parser("compare", help="several searchers, several seeds, one budget")
    _add_search_options(compare)
    compare.add_argument("--searchers", default="random,evolution", help="names, with commas between them")
    compare.add_argument("--seeds", type=int, default=3, help="searches of each (default: 3)")
    compare.set_defaults(action=_compare)

    resume = commands.add_parser("resume", help="go on with a run that was stopped")
    resume.add_argument("run", help="its folder, such as runs/NAME")
    resume.set_defaults(action=_resume)

    spaces = commands.add_parser("spaces", help="list search spaces, searchers, datasets and tables")
    spaces.set_defaults(action=_spaces)

    doctor = commands.add_parser("doctor", help="say what this machine and installation offer")
    doctor.add_argument("--storage", default="runs", help="folder that runs are to be written to")
    doctor.set_defaults(action=_doctor)

    ui = commands.add_parser("ui", help="open the MLflow UI on this machine")
    ui.add_argument("--port", type=int, default=0, help="port (default: 5000, or a free one)")
    ui.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    ui.add_argument("--tracking", default="auto", help="MLflow tracking URI (default: that of `archsearch run`)")
    ui.set_defaults(action=_ui)
    return parser


def _add_search_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("configuration", nargs="?", metavar="FILE.yaml", help="settings; options on the line come before it")
    parser.add_argument("--space", help="search space (default: nasbench201)")
    score = parser.add_mutually_exclusive_group()
    score.add_argument("--evaluator", help="train:DATASET, table:NAME or table:PATH#COLUMN (default: train:digits)")
    score.add_argument("--dataset", help="short for --evaluator train:DATASET")
    score.add_argument("--table", help="short for --evaluator table:NAME")
    parser.add_argument("--candidates", type=int, dest="num_candidates", help="candidates to propose (default: 40)")
    parser.add_argument("--storage", help="folder of runs and ledger (default: runs)")
    parser.add_argument("--workers", type=int, help="trials that run at once (default: one a CPU)")
    parser.add_argument("--batch-size", type=int, help="candidates a trial (default: chosen from the measured cost)")
    parser.add_argument(
        "--deterministic", action="store_const", const=True, help="proposals do not depend on the order of arrival"
    )
    parser.add_argument("--time-budget", type=float, help="seconds after which the search ends")
    parser.add_argument("--address", help="Ray cluster (default: RAY_ADDRESS, else Ray in this machine)")
    parser.add_argument("--tracking", help="MLflow tracking URI, auto or off (default: auto)")
    parser.add_argument("--study", help="name under which runs are compared")
    parser.add_argument("--no-reuse", dest="reuse", action="store_const", const=False, help="pay again for what the ledger holds")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="option of the searcher, repeatable")
    parser.add_argument("--train", action="append", default=[], metavar="NAME=VALUE", help="option of the evaluator, repeatable")
    parser.add_argument("--quiet", action="store_true", help="no live line")


_OPTIONS = (
    *("space", "searcher", "evaluator", "num_candidates", "seed", "name", "storage", "workers", "batch_size", "deterministic"),
    *("time_budget", "address", "tracking", "study", "reuse"),
)


def _settings(parsed: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the file, overridden by those of the line."""
    from archsearch.platform.configuration import from_mapping, parse_options, read_yaml

    settings = read_yaml(parsed.configuration) if parsed.configuration else {}
    from_mapping(settings, origin=str(parsed.configuration))
    given = {name: getattr(parsed, name, None) for name in _OPTIONS}
    settings |= {name: value for name, value in given.items() if value is not None}
    if parsed.dataset:
        settings["evaluator"] = f"train:{parsed.dataset}"
    if parsed.table:
        settings["evaluator"] = f"table:{parsed.table}"
    for name, pairs in (("searcher_options", parsed.set), ("evaluator_options", parsed.train)):
        if pairs:
            settings[name] = {**settings.get(name, {}), **parse_options(pairs)}
    return settings


def _run(parsed: argparse.Namespace) -> int:
    settings = _settings(parsed)
    from archsearch.platform.configuration import from_mapping
    from archsearch.platform.search import run_search

    configuration = from_mapping(settings)
    what = f"{configuration.num_candidates} candidates by {configuration.evaluator}"
    print(f"Searching {configuration.space} with {configuration.searcher}, {what}.", file=sys.stderr, flush=True)
    return _show(run_search(**configuration.as_dict(), progress=not parsed.quiet))


def _resume(parsed: argparse.Namespace) -> int:
    from archsearch.platform.search import resume_search

    return _show(resume_search(parsed.run))


def _show(result: Any) -> int:
    from archsearch.platform.ranking import format_ranked

    print(format_ranked(result.summary, result.summary.settings["top"]))
    reused = sum(result.evaluations["reused"].to_pylist())
    print(f"\n{len(result.evaluations)} candidates, {reused} of them taken from the ledger.")
    print(f"Report:    {result.report}")
    if result.run_id:
        print("Compare:   archsearch ui")
    result.best  # an error if nothing could be evaluated  # noqa: B018
    return 0


def _compare(parsed: argparse.Namespace) -> int:
    settings = _settings(parsed)
    for name in ("searcher", "seed", "name"):
        if settings.pop(name, None) is not None:
            raise ConfigurationError(f"{name}: compare takes --searchers and --seeds instead.")
    study = settings.pop("study", None)
    from archsearch.platform.comparison import compare

    searchers = [name.strip() for name in parsed.searchers.split(",") if name.strip()]
    comparison = compare(searchers, parsed.seeds, study, progress=not parsed.quiet, **settings)
    print(comparison.table())
    print(f"\nFigure:    {comparison.folder / 'best_so_far.png'}")
    print(f"Compare:   archsearch ui   (tag study = {comparison.study})")
    return 0


def _spaces(parsed: argparse.Namespace) -> int:
    from archsearch import evaluators, searchers, spaces

    print("Search spaces")
    for name in spaces.names():
        space = spaces.get(name)
        unique = f", {space.num_unique:,} distinct" if space.num_unique else ""
        print(f"  {name}: {space.size:,} architectures{unique}; operators {', '.join(space.operators)}")
    print(f"Searchers\n  {', '.join(searchers.names())}")
    print(f"Datasets\n  {', '.join(evaluators.datasets.names())}")
    print(f"Tables in the package\n  {', '.join(evaluators.embedded_tables()) or 'none'}")
    return 0


def _doctor(parsed: argparse.Namespace) -> int:
    from archsearch.platform.doctor import doctor, format_checks

    checks = doctor(parsed.storage)
    print(format_checks(checks))
    return 0 if all(fine for _, _, fine in checks) else 1


def _ui(parsed: argparse.Namespace) -> int:
    from archsearch.platform.ui import serve

    return serve(parsed.tracking, parsed.host, parsed.port)
