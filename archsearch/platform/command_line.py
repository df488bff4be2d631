"""The `archsearch` command: its options and what each subcommand calls."""

from __future__ import annotations

import argparse
import itertools
import os
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from archsearch import __version__
from archsearch.credentials import has_credentials, keep
from archsearch.errors import ArchSearchError, ConfigurationError, memory_errors
from archsearch.evaluators.evaluator_forms import FORMS
from archsearch.platform.commands.export import add_export
from archsearch.platform.commands.ghn import add_ghn
from archsearch.platform.commands.replay import add_replay
from archsearch.platform.commands.runs import add_runs
from archsearch.platform.commands.table_import import add_import, table_lines

_EPILOG = """examples:
  archsearch run                                        30 random cells are trained for digits, then 30 that a model chose
  archsearch run --dataset digits                       search nasbench201 by evolution; 40 candidates are trained
  archsearch run --searcher random --candidates 100 --seed 1
  archsearch run --table digits201 --candidates 500     take scores from a table that the package ships
  archsearch run search.yaml                            read the settings from a file
  archsearch run --table digits201 --objectives accuracy,-macs --constraint 'params <= 20e3'
  archsearch compare --table digits201 --searchers random,evolution,optuna --seeds 5 --candidates 300
  archsearch compare --preset papers --table digits201  three papers' methods against evolution, TPE and random search
  archsearch run --preset paper                         the hypernetwork, and the search with it, as published
  archsearch run --dry-run                              estimate time and disk of the search
  archsearch runs                                       list all searches with their states and best scores
  archsearch status runs/NAME                           how far a search is, from another terminal
  archsearch export runs/NAME --retrain                 train the best architecture of a run, and export it
  archsearch run --dataset digits --scheduler asha      stop poor trainings early
  archsearch replay runs/NAME --scheduler asha          what a scheduler would have saved and lost in a past run
  archsearch submit --address http://HEAD:8265 --storage /shared/runs --tracking off search.yaml
  archsearch ui                                         open the MLflow UI on this machine
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    0: it did what it was to do; 1: the time budget ended the search before anything was evaluated, or a check of `doctor` failed;
    2: bad input, or an error; 130: Ctrl-C.
    """
    if arguments is None:
        _hide_passwords()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["submit"] and "--" in given:
        given.remove("--")  # an optional separator before the options of the search
    parsed = _parser().parse_args(given)
    signal.signal(signal.SIGTERM, lambda number, frame: os.kill(os.getpid(), signal.SIGINT))
    try:
        with memory_errors("Take fewer workers (--workers), smaller batches or networks, or fewer images."):
            code: int = parsed.action(parsed)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe; without this, Python would report the error again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ArchSearchError as error:
        print(f"archsearch: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("archsearch: stopped before the search began", file=sys.stderr)
        return 130


def _hide_passwords() -> None:
    """Run this command again without the password of a tracking URI among its arguments, which ps, Ray's jobs and logs show.

    The new process takes the place of this one. It finds the whole URI in its environment.
    """
    given = sys.argv[1:]
    uris = [value for name, value in itertools.pairwise(given) if _is_tracking(name) and has_credentials(value)]
    uris += [value for name, _, value in (text.partition("=") for text in given) if _is_tracking(name) and has_credentials(value)]
    if uris:
        arguments = [text.replace(uris[-1], keep(uris[-1])) for text in sys.orig_argv[1:]]
        os.execve(sys.executable, [sys.executable, *arguments], {**os.environ, "MLFLOW_TRACKING_URI": uris[-1]})


def _is_tracking(option: str) -> bool:
    return option.startswith("--track") and "--tracking".startswith(option)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="archsearch",
        description="Neural architecture search on Ray Tune.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"archsearch {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="run a search; write a ranked table, pictures, a report and an MLflow run",
        description="Run a search; write a ranked table, pictures, a report and an MLflow run. "
        "Without a space, a searcher and an evaluator it is a small search with a graph hypernetwork.",
    )
    _add_run_options(run)
    run.add_argument(
        "--dry-run", action="store_true", help="estimate time and disk of the search, from a few candidates; record nothing"
    )
    run.set_defaults(action=_run)

    compare = commands.add_parser(
        "compare",
        help="compare several searchers with several seeds at an equal budget",
        description="Run several searchers with several seeds; compare them at an equal number of candidates and at equal cost.",
    )
    _add_search_options(compare)
    compare.add_argument(
        "--preset",
        help="papers: ghn, gates, ngae, evolution, optuna and random; rivals: the systems that the papers compare with, such as "
        "nasnet, pnas and nao; with settings for two cores",
    )
    compare.add_argument(
        "--searchers", metavar="NAMES", help="comma-separated names (default: random,evolution, or those of the preset)"
    )
    compare.add_argument(
        "--schedulers",
        metavar="NAMES",
        help="comma-separated names, none for trainings to the end: each searcher with each of them, such as none,asha",
    )
    compare.add_argument(
        "--seeds", type=int, metavar="N", help="number of seeds per searcher (default: 3, or that of the preset)"
    )
    compare.add_argument("--report", action="store_true", help="write a report of each search too (default: of none)")
    compare.set_defaults(action=_compare)

    resume = commands.add_parser(
        "resume",
        help="continue a run that was stopped",
        description="Continue a run that was stopped, or give a finished one more candidates; no candidate in its ledger is "
        "evaluated again. The run keeps the settings that are given here.",
    )
    resume.add_argument("run", help="folder of the run, such as runs/NAME")
    _add_changes(resume)
    resume.add_argument("--space", metavar="python:MODULE:CLASS", help="search space of the run, if it is one of your own")
    resume.add_argument("--quiet", action="store_true", help="show no progress line")
    resume.set_defaults(action=_resume)

    _add_submit(commands)
    add_import(commands)
    add_export(commands)
    add_ghn(commands)
    add_runs(commands)
    add_replay(commands)

    listing = "list search spaces, searchers, datasets and tables"
    spaces = commands.add_parser("spaces", help=listing, description=f"{listing.capitalize()}.")
    spaces.add_argument(
        "--space", metavar="python:MODULE:CLASS", help="a search space of your own: show that alone, with its genes"
    )
    spaces.set_defaults(action=_spaces)

    _add_doctor(commands)
    ui = commands.add_parser(
        "ui", help="open the MLflow UI on this machine", description="Start the MLflow UI on this machine, and print its address."
    )
    ui.add_argument("--port", type=int, metavar="PORT", default=0, help="port (default: 5000, or a free one)")
    ui.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine only)")
    ui.add_argument("--tracking", metavar="URI", default="auto", help="MLflow tracking URI (default: that of `archsearch run`)")
    ui.add_argument("--storage", metavar="FOLDER", default="runs", help="folder of the searches (default: runs)")
    ui.set_defaults(action=_ui)
    return parser


def _add_changes(parser: argparse.ArgumentParser) -> None:
    """Add the options for settings that may change when a run is resumed."""
    parser.add_argument("--candidates", type=int, dest="num_candidates", metavar="N", help="number of candidates in all")
    parser.add_argument("--time-budget", type=_budget, metavar="SECONDS", help="seconds after which the search ends, or none")
    parser.add_argument("--workers", type=int, metavar="N", help="number of trials that run at once")
    parser.add_argument("--cpus-per-worker", type=float, metavar="N", help="CPU cores that a trial reserves")
    parser.add_argument("--gpus-per-worker", type=float, metavar="N", help="GPUs that a trial reserves; may be a fraction")
    parser.add_argument("--checkpoint-gb", type=float, metavar="GB", help="size of all checkpoints of a search with a scheduler")
    parser.add_argument("--address", help="address of a Ray cluster")
    parser.add_argument("--tracking", metavar="URI", help="MLflow tracking URI, auto or off")
    parser.add_argument("--study", help="name under which MLflow groups runs to compare")
    parser.add_argument("--system-metrics", action=argparse.BooleanOptionalAction, help="log the load of this machine to MLflow")
    parser.add_argument("--report", action=argparse.BooleanOptionalAction, help="write the report (default: yes)")
    parser.add_argument("--top", type=int, metavar="N", help="number of rows of the ranked table")


def _budget(text: str) -> float | str:
    """Return the seconds of a time budget, or `none` for no limit."""
    return "none" if text.lower() == "none" else float(text)


def _changes(parsed: argparse.Namespace) -> dict[str, Any]:
    """Return the settings to change of `archsearch resume`."""
    names = ("num_candidates", "time_budget", "workers", "cpus_per_worker", "gpus_per_worker", "address", "tracking", "study")
    given = {name: getattr(parsed, name) for name in (*names, "system_metrics", "report", "top", "checkpoint_gb")}
    return {
        name: None if value == "none" and name == "time_budget" else value for name, value in given.items() if value is not None
    }


def _add_submit(commands: Any) -> None:
    submit = commands.add_parser(
        "submit",
        help="run a search as a job of a Ray cluster",
        description="Send a search to the job server of a Ray cluster, show its log, and exit with its exit code.",
    )
    _add_run_options(submit, address="address of the job server, such as http://HEAD:8265 (default: RAY_API_SERVER_ADDRESS)")
    submit.add_argument("--resume", metavar="RUN", help="continue the run in this folder of the cluster")
    submit.add_argument("--no-wait", action="store_true", help="return at once; print how to follow and stop the job")
    submit.add_argument(
        "--python", help="Python on the cluster's head (default: python, or the current one if this machine is the head)"
    )
    submit.set_defaults(action=_submit)


def _add_doctor(commands: Any) -> None:
    checking = "check this machine, the installation and a Ray cluster"
    doctor = commands.add_parser("doctor", help=checking, description=f"C{checking[1:]}; exit with 1 if a check fails.")
    doctor.add_argument("--storage", metavar="FOLDER", default="runs", help="folder for runs (default: runs)")
    doctor.add_argument("--tracking", metavar="URI", default="auto", help="MLflow tracking URI, auto or off (default: auto)")
    doctor.add_argument("--address", help="address of a Ray cluster (default: RAY_ADDRESS, if set)")
    doctor.set_defaults(action=_doctor)


def _add_run_options(parser: argparse.ArgumentParser, **changed: str) -> None:
    _add_search_options(parser, **changed)
    parser.add_argument(
        "--preset", metavar="NAME", help="model and search of a method, such as gates, ghn, darts or pnas: default, paper, ..."
    )
    parser.add_argument("--searcher", help="searcher, such as random, evolution, optuna, gates, ngae or ghn (default: evolution)")
    parser.add_argument(
        "--scheduler", help="stop poor candidates early: asha, hyperband, median, promotion or none (default: none)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the search (default: 0)")
    parser.add_argument("--name", help="name of the run (default: made from the settings and the time)")


def _add_search_options(
    parser: argparse.ArgumentParser, address: str = "address of a Ray cluster (default: RAY_ADDRESS, else Ray on this machine)"
) -> None:
    parser.add_argument(
        "configuration", nargs="?", metavar="FILE.yaml", help="settings; options on the command line override them"
    )
    parser.add_argument("--space", help="search space, or python:MODULE:CLASS for one of your own (default: nasbench201)")
    score = parser.add_mutually_exclusive_group()
    score.add_argument("--evaluator", help=f"{FORMS} (default: train:digits)")
    score.add_argument("--dataset", help="same as --evaluator train:DATASET")
    score.add_argument("--table", help="same as --evaluator table:NAME")
    parser.add_argument(
        "--candidates", type=int, dest="num_candidates", metavar="N", help="number of candidates to propose (default: 40)"
    )
    parser.add_argument(
        "--objectives",
        metavar="NAMES",
        help="metrics to maximize, or with a minus to minimize, such as accuracy,-macs or anytime (default: accuracy)",
    )
    parser.add_argument(
        "--constraint",
        action="append",
        default=[],
        metavar="'NAME <= NUMBER'",
        help="bound on a cost, such as 'macs <= 100e6'; repeatable",
    )
    parser.add_argument(
        "--start",
        action="append",
        metavar="ARCHITECTURE",
        help="an architecture to evaluate first, a file of them, or the folder of a run for its 5 best (RUN#10: 10); repeatable",
    )
    parser.add_argument(
        "--learn-from",
        action="append",
        metavar="RUN",
        help="outcomes to learn from without paying: a run's folder, a table or a CSV file (FILE#COLUMN: its score); repeatable",
    )
    parser.add_argument("--storage", metavar="FOLDER", help="folder for runs and ledger, or s3://BUCKET/FOLDER (default: runs)")
    parser.add_argument("--workers", type=int, metavar="N", help="number of trials that run at once (default: one per CPU)")
    parser.add_argument(
        "--simulated-workers",
        type=int,
        metavar="N",
        help="with a table: learn each score after N - 1 further proposals, as with N workers (default of compare: 1)",
    )
    parser.add_argument("--cpus-per-worker", type=float, metavar="N", help="CPU cores that a trial reserves (default: 1)")
    parser.add_argument(
        "--gpus-per-worker", type=float, metavar="N", help="GPUs that a trial reserves; may be a fraction (default: 0)"
    )
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="candidates per trial (default: chosen from the measured cost)"
    )
    parser.add_argument(
        "--deterministic", action="store_const", const=True, help="make proposals independent of the order in which trials finish"
    )
    parser.add_argument(
        "--time-budget", type=float, metavar="SECONDS", help="seconds after which the search ends (default: none)"
    )
    parser.add_argument(
        "--checkpoint-gb", type=float, metavar="GB", help="size of all checkpoints of a search with a scheduler (default: 10)"
    )
    parser.add_argument("--address", help=address)
    parser.add_argument("--tracking", metavar="URI", help="MLflow tracking URI, auto or off (default: auto)")
    parser.add_argument("--study", help="name under which MLflow groups runs to compare")
    parser.add_argument(
        "--system-metrics", action="store_const", const=True, help="log the load of this machine to MLflow (default: no)"
    )
    parser.add_argument(
        "--no-reuse", dest="reuse", action="store_const", const=False, help="evaluate again what is in the ledger"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="option of the searcher; repeatable")
    parser.add_argument(
        "--scheduler-set", action="append", default=[], metavar="NAME=VALUE", help="option of the scheduler; repeatable"
    )
    parser.add_argument("--train", action="append", default=[], metavar="NAME=VALUE", help="option of the evaluator; repeatable")
    parser.add_argument("--quiet", action="store_true", help="show no progress line")


_OPTIONS = (
    *("space", "searcher", "evaluator", "num_candidates", "seed", "name", "storage", "workers", "simulated_workers"),
    *("batch_size", "deterministic"),
    *("cpus_per_worker", "gpus_per_worker", "time_budget", "address", "tracking", "system_metrics", "study", "reuse"),
    *("start", "learn_from", "scheduler", "checkpoint_gb"),
)


# Options of `archsearch resume` by the settings that they change.
_RESUMED = {
    "num_candidates": "--candidates",
    "time_budget": "--time-budget",
    "workers": "--workers",
    "cpus_per_worker": "--cpus-per-worker",
    "gpus_per_worker": "--gpus-per-worker",
    "checkpoint_gb": "--checkpoint-gb",
    "tracking": "--tracking",
    "study": "--study",
}


def _settings(parsed: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the file, overridden by those of the command line."""
    from archsearch.platform.configuration import from_mapping, parse_constraints, parse_options, read_yaml

    settings = read_yaml(parsed.configuration) if parsed.configuration else {}
    from_mapping({name: value for name, value in settings.items() if name != "preset"}, origin=str(parsed.configuration))
    given = {name: getattr(parsed, name, None) for name in _OPTIONS}
    settings |= {name: value for name, value in given.items() if value is not None}
    if parsed.dataset:
        settings["evaluator"] = f"train:{parsed.dataset}"
    if parsed.table:
        settings["evaluator"] = f"table:{parsed.table}"
    if parsed.objectives:
        settings["objectives"] = [name.strip() for name in parsed.objectives.split(",") if name.strip()]
    if parsed.constraint:
        settings["constraints"] = {**settings.get("constraints", {}), **parse_constraints(parsed.constraint)}
    options = {"searcher_options": parsed.set, "evaluator_options": parsed.train, "scheduler_options": parsed.scheduler_set}
    for name, pairs in options.items():
        if pairs:
            settings[name] = {**settings.get(name, {}), **parse_options(pairs)}
    return settings


def _settings_of_search(parsed: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of one search, with its preset."""
    settings = _settings(parsed)
    return settings if parsed.preset is None else {**settings, "preset": parsed.preset}


def _run(parsed: argparse.Namespace) -> int:
    settings = _settings_of_search(parsed)
    from archsearch.platform.configuration import from_mapping, with_default_job
    from archsearch.platform.quick_checks import check_quickly

    configuration = from_mapping(with_default_job(settings))
    check_quickly(configuration)  # before Ray and PyTorch are loaded, which takes seconds
    if parsed.dry_run:
        from archsearch.platform.commands.dry_run import dry_run

        print(dry_run(configuration).text())
        return 0
    what = f"{configuration.num_candidates} candidates by {configuration.evaluator}"
    from archsearch.platform.search import run_search

    print(f"Searching {configuration.space} with {configuration.method}, {what}.", file=sys.stderr, flush=True)
    return _show(run_search(**configuration.as_dict(), progress=not parsed.quiet))


def _submit(parsed: argparse.Namespace) -> int:
    settings = _settings_of_search(parsed)
    address = parsed.address or os.environ.get("RAY_API_SERVER_ADDRESS")
    if not address:
        raise ConfigurationError("address: expected the address of a job server; got none. Give --address http://HEAD:8265.")
    from archsearch.platform.configuration import from_mapping, with_default_job
    from archsearch.platform.quick_checks import check_quickly

    if not parsed.resume:
        check_quickly(from_mapping(with_default_job(settings)))
    from archsearch.platform.commands.submit import submit_resume, submit_search

    how = {"wait": not parsed.no_wait, "python": parsed.python}
    if not parsed.resume:
        return submit_search(from_mapping(with_default_job(settings)), address, quiet=parsed.quiet, **how)
    changes = {name: value for name, value in settings.items() if name not in ("address", "space")}
    if others := sorted(changes.keys() - _RESUMED.keys()):
        raise ConfigurationError(
            f"resume: a run keeps the settings with which it was started, except {', '.join(_RESUMED)}; leave out "
            f"{', '.join(others)}."
        )
    options = [part for name, value in changes.items() for part in (_RESUMED[name], str(value))]
    return submit_resume(parsed.resume, address, options=options, space=settings.get("space"), **how)


def _resume(parsed: argparse.Namespace) -> int:
    from archsearch.platform.search import resume_search

    return _show(resume_search(parsed.run, parsed.space, progress=not parsed.quiet, **_changes(parsed)))


def _show(result: Any) -> int:
    from archsearch.platform.commands.runs import result_text
    from archsearch.platform.report.advantage import choice_text

    if not result.ending.found_nothing:
        print(result_text(result))
    if text := choice_text(result.summary):
        print(f"\n{text}")
    reused = sum(result.evaluations["reused"].to_pylist())
    if result.summary.known_before:
        print("\n" + "\n".join(result.summary.known_before))
    print(f"\n{len(result.evaluations)} candidates, {reused} of them from the ledger.")
    if result.summary.early_stopping is not None:
        print(result.summary.early_stopping.sentence())
    if text := result.ending.text(result.summary.command):
        print(text)
    if result.ending.found_nothing:
        return 1
    print(f"Report:    {result.report}")
    if result.address != str(result.folder):
        print(f"Stored:    {result.address}   (the report above is of a copy on this machine)")
    print(f"Use it:    {result.summary.use}")
    # What is given to `resume` is given to `show` too: the run, and its space if that is one of the user's own.
    print(f"In full:   archsearch show {result.summary.command.removeprefix('archsearch resume ')} --full")
    if result.run_id:
        print(f"Compare:   {_ui_command(result.summary.settings)}")
    result.best  # raises if no candidate could be evaluated  # noqa: B018
    return 0


def _ui_command(settings: Mapping[str, Any]) -> str:
    """Return the command that opens the MLflow store of a search, as seen from the working directory."""
    from archsearch.cluster.storage_place import StoragePlace
    from archsearch.platform.tracking.store import shown_uri

    storage, tracking = str(settings["storage"]), str(settings["tracking"])
    if tracking != "auto":
        return f"archsearch ui --tracking {shlex.quote(shown_uri(tracking))}"
    usual = os.environ.get("MLFLOW_TRACKING_URI") or StoragePlace.of(storage) == StoragePlace.of("runs")
    return "archsearch ui" if usual else f"archsearch ui --storage {shlex.quote(storage)}"


def _names(text: str) -> list[str]:
    """Return comma-separated names."""
    return [name.strip() for name in text.split(",") if name.strip()]


def _compare(parsed: argparse.Namespace) -> int:
    settings = _settings(parsed)
    for name in ("searcher", "seed", "name"):
        if settings.pop(name, None) is not None:
            raise ConfigurationError(f"{name}: not an option of compare; give --searchers and --seeds.")
    if "preset" in settings:
        raise ConfigurationError("preset: that of one searcher; give it in searcher_options, such as gates.preset: paper.")
    options = settings.pop("scheduler_options", {})
    schedulers = None if parsed.schedulers is None else _names(parsed.schedulers)
    if schedulers is not None:
        settings.pop("scheduler", None)  # of a file
    study = settings.pop("study", None)
    if parsed.report:
        settings["report"] = True
    searchers = None if parsed.searchers is None else _names(parsed.searchers)
    from archsearch.platform.configuration import NO_SCHEDULER, from_mapping
    from archsearch.platform.quick_checks import check_quickly, check_scheduler, check_searcher

    check_quickly(from_mapping(settings, origin="compare"))
    for name in searchers or ():
        check_searcher(name)
    for name in schedulers or ():
        check_scheduler(None if name == NO_SCHEDULER else name)
    from archsearch.platform.comparison.running import compare

    how = {"preset": parsed.preset, "schedulers": schedulers, "progress": not parsed.quiet}
    comparison = compare(searchers, parsed.seeds, study, **how, **settings, scheduler_options=options)
    print(comparison.text())
    print(f"\nFigure:    {comparison.folder / 'best_so_far.png'}")
    command = _ui_command(comparison.outcomes[0].results[0].summary.settings)
    print(f"Compare:   {command}   (it prints the address of the study {comparison.study})")
    if address := comparison.address:
        print(f"           {address}")
    return 0


def _spaces(parsed: argparse.Namespace) -> int:
    from archsearch import spaces

    if parsed.space is not None:
        found = spaces.get(parsed.space)
        print(_space_line(found.name, found))
        for gene, alternatives in found.choices.items():
            print(f"    {gene}: {', '.join(map(str, alternatives))}")
        return 0
    from archsearch import evaluators, searchers

    print("Search spaces")
    for name in spaces.names():
        print(_space_line(name, spaces.get(name)))
    print(f"Searchers\n  {', '.join(searchers.names())}")
    print(f"Datasets\n  {', '.join(evaluators.datasets.names())}")
    print("\n".join(table_lines()))
    return 0


def _space_line(name: str, space: Any) -> str:
    unique = f", {_count(space.num_unique)} distinct" if space.num_unique else ""
    return f"  {name}: {_count(space.size)} architectures{unique}; operators {', '.join(space.operators)}"


def _count(number: int) -> str:
    return f"{number:,}" if number < 10**12 else f"about 10^{len(str(number)) - 1}"


def _doctor(parsed: argparse.Namespace) -> int:
    from archsearch.platform.commands.doctor import doctor, format_checks

    checks = doctor(parsed.storage, parsed.tracking, parsed.address)
    print(format_checks(checks))
    return 0 if all(fine for _, _, fine in checks) else 1


def _ui(parsed: argparse.Namespace) -> int:
    from archsearch.platform.commands.ui import serve

    return serve(parsed.tracking, parsed.host, parsed.port, parsed.storage)
