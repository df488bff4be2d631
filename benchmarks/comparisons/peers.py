"""Other platforms' searches on NAS-Bench-101 and NAS-Bench-201, beside ours: Syne Tune, SMAC, NePS and plain Optuna.

    ARCHSEARCH_DATA=FOLDER python -m benchmarks.comparisons.peers                             # 20 seeds of all; hours on one core
    ARCHSEARCH_DATA=FOLDER python -m benchmarks.comparisons.peers --only 'optuna tpe' --seeds 5
    python -m benchmarks.comparisons.peers --print                                            # the table of what is there

The folder holds nasbench101.parquet and nasbench201.parquet. Each platform is installed by pip from the package index into an
environment of its own below `--environments`, outside this repository, with its defaults as a driver in `peer_drivers` names
them. It proposes the genes of a space and is told the score, mean test accuracy, before it proposes the next ones. Distinct
structures count as evaluations, as with our searchers, which propose none twice: a repeated structure gets its known score and
does not count, nor do genes that are no cell of NAS-Bench-101, which get 85 %. Both favour the peers.

Our rows are those of gates/search.py and ngae/search.py in `--ours`.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from archsearch.errors import ArchitectureError
from benchmarks.comparisons.course import Course, columns, line
from benchmarks.comparisons.known_searches import Table
from benchmarks.frame import FOLDER, Rows, Script, data, table
from benchmarks.gates.search import COUNTS, LENGTHS, TABLES

DRIVERS = Path(__file__).parent / "peer_drivers"
BENCHES = ("nasbench201", "nasbench101")
OURS = tuple(FOLDER / "results" / f"{name}_search.jsonl" for name in ("gates", "ngae"))
INVALID = 85.0  # the score (%) of genes that are no architecture
PATIENCE = 50  # proposals for each evaluation, after which a method that only repeats itself is stopped


class Peer(NamedTuple):
    """A method of another platform.

    Args:
        environment: Name of its environment.
        packages: What pip installs there; the first one's version is recorded.
        driver: Program in `peer_drivers`.
        method: The method, as the driver calls it.
    """

    environment: str
    packages: tuple[str, ...]
    driver: str
    method: str


PEERS: Mapping[str, Peer] = {
    "optuna tpe": Peer("optuna", ("optuna",), "optuna_driver.py", "tpe"),
    "optuna gp": Peer("optuna-gp", ("optuna", "scipy", "torch"), "optuna_driver.py", "gp"),
    "syne tune bore": Peer("syne-tune", ("syne-tune",), "syne_tune_driver.py", "bore"),
    "syne tune rea 20/10": Peer("syne-tune", ("syne-tune",), "syne_tune_driver.py", "rea 20/10"),
    "syne tune rea 100/10": Peer("syne-tune", ("syne-tune",), "syne_tune_driver.py", "rea 100/10"),
    "syne tune tpe": Peer("syne-tune", ("syne-tune",), "syne_tune_driver.py", "tpe"),
    "smac": Peer("smac", ("smac",), "smac_driver.py", "hpo"),
    "neps re": Peer("neps", ("neural-pipeline-search",), "neps_driver.py", "neps_regularized_evolution"),
}


def python_of(peer: Peer, environments: Path) -> Path:
    """Return the Python of a peer's environment, which is made if it is not there.

    Raises:
        subprocess.CalledProcessError: pip cannot install the packages.
    """
    folder = environments / peer.environment
    python, installed = folder / "bin" / "python", folder / "installed"
    if not installed.exists():
        print(f"Installing {' '.join(peer.packages)} into {folder}.", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.packages]
        subprocess.run(install, check=True)
        installed.touch()
    return python


def proposals(python: Path, peer: Peer, seed: int, length: int, known: Table, course: Course) -> Iterator[str]:
    """Run a search of a peer and yield the text of each distinct structure that it proposes; `course` gets them too.

    Raises:
        RuntimeError: The driver ended before the search did.
    """
    space, scores = known.space, dict[str, float]()
    choices = {name: list(values) for name, values in space.param_space().items()}
    given = {"method": peer.method, "seed": seed, "evaluations": length, "choices": choices}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as said:
        pipe = subprocess.PIPE
        command = [python, DRIVERS / peer.driver]
        process = subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, stderr=said, text=True)
        assert process.stdin is not None and process.stdout is not None
        try:
            answer: Any = given
            for _ in range(PATIENCE * length):
                print(json.dumps(answer), file=process.stdin, flush=True)
                proposed = process.stdout.readline()
                if not proposed:
                    break
                answer = INVALID
                try:
                    architecture = space.from_params(json.loads(proposed))
                except ArchitectureError:
                    continue
                key, text = space.key(architecture), str(architecture)
                if key not in scores:
                    scores[key] = known.scores[text]
                    course.take(text)
                    yield text
                answer = scores[key]
                if len(scores) == length:
                    process.stdin.close()
                    break
        except BrokenPipeError:
            proposed = ""
        finally:
            if len(scores) < length:
                process.kill()
            process.wait()
        if not proposed:
            said.seek(0)
            raise RuntimeError(f"{peer.driver} ended after {len(scores)} evaluations: {said.read()[-2000:]}")


def run(peer: Peer, environments: Path, known: Table, seed: int, length: int) -> dict[str, Any]:
    """Return the figures of a search of a peer, its CPU seconds with the start of its program, and the version."""
    python = python_of(peer, environments)
    before, course = resource.getrusage(resource.RUSAGE_CHILDREN), Course(known)
    for _ in proposals(python, peer, seed, length, known, course):
        pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**course.figures(), "cpu": cpu, "version": version(python, peer.packages[0])}


@cache
def version(python: Path, package: str) -> str:
    """Return the version of a package in an environment."""
    program = f"import importlib.metadata; print(importlib.metadata.version({package!r}))"
    return subprocess.run([python, "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def run_all(script: Script, rows: Rows) -> None:
    """Run what is not in the file yet; a peer that cannot be installed or fails is left out, with a word."""
    held = cache(lambda bench: TABLES[bench](data("nasbench101.parquet", "nasbench201.parquet")))
    environments = script.arguments.environments
    if FOLDER.parent in environments.resolve().parents:
        raise SystemExit(f"--environments: expected a folder outside the repository; got {environments}.")
    for bench in script.arguments.benches:
        for name in script.arguments.only:
            peer = PEERS[name]
            try:
                for seed in script.seeds:
                    rows.get(
                        lambda bench=bench, peer=peer, seed=seed: run(peer, environments, held(bench), seed, LENGTHS[bench]),
                        bench=bench,
                        method=name,
                        seed=seed,
                    )
            except (RuntimeError, subprocess.CalledProcessError) as error:
                print(f"{name} is left out: {error}", file=sys.stderr, flush=True)


def report(rows: Rows, ours: list[Path]) -> None:
    """Print a table for each benchmark: our searchers and the peers, by the mean best so far at the end."""
    for bench in BENCHES:
        length, lines = LENGTHS[bench], list[tuple[float, list[str]]]()
        counts = [25, *(count for count in COUNTS if count <= length)]
        for file in [*ours, rows.path]:
            found = Rows(file).select(bench=bench)
            for method in dict.fromkeys(row["method"] for row in found):
                each = [row for row in found if row["method"] == method]
                versions = sorted({row["version"] for row in each if "version" in row})
                name = f"{method} ({', '.join(versions)})" if versions else f"archsearch {method}"
                best = sum(row["improvements"][-1][1] for row in each) / len(each)
                lines.append((best, line(name, each, length, counts)))
        table(columns(counts), [cells for _, cells in sorted(lines, key=lambda each: -each[0])], title=bench)


def main() -> None:
    script = Script(__file__, __doc__, seeds=20)
    script.argument("--benches", nargs="+", choices=BENCHES, default=list(BENCHES))
    script.argument("--only", nargs="+", choices=PEERS, default=list(PEERS), help="methods")
    where = Path(tempfile.gettempdir()) / "archsearch-peers"
    script.argument(
        "--environments", type=Path, default=where, metavar="FOLDER", help="folder of the environments (default: %(default)s)"
    )
    script.argument("--ours", nargs="*", type=Path, default=list(OURS), metavar="FILE", help="files of our rows")
    arguments = script.parse()
    script.run(lambda rows: run_all(script, rows), lambda rows: report(rows, arguments.ours))


if __name__ == "__main__":
    main()
