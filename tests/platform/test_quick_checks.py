"""Mistakes in settings are found before Ray and PyTorch are loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from archsearch import searchers
from archsearch.cluster.schedulers import registry
from archsearch.platform.quick_checks import SCHEDULERS, SEARCHERS

_PROGRAM = """
import sys
from archsearch.platform.command_line import main
code = main(sys.argv[1:])
assert not {"ray", "torch", "mlflow"} & set(sys.modules), "loaded"
sys.exit(code)
"""


def test_the_names_are_those_of_the_package() -> None:
    assert set(SEARCHERS) <= set(searchers.names())
    assert list(SCHEDULERS) == registry.names()
    assert {name for name in searchers.names() if searchers.get(name).__module__.startswith("archsearch.")} == set(SEARCHERS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run --space nasbench2", "Did you mean 'nasbench201'?"),
        ("run --searcher evolutin", "Did you mean 'evolution'?"),
        ("run --evaluator tabel:x", "Did you mean 'table'?"),
        ("run --scheduler ashaa", "Did you mean 'asha'?"),
        ("run --scheduler-set grace_period=1", "scheduler_options: expected none without a scheduler; got grace_period"),
        ("compare --schedulers none,hyperbnd", "Did you mean 'hyperband'?"),
        ("run --table digits21", "no table 'digits21'"),
        ("run --space python:no_such_module:A", "there is no module 'no_such_module'"),
        ("run --dataset digts", "Did you mean 'digits'?"),
        ("run --dataset imagefolder:photos?side=8", "expected one of background, jpeg, on_error, size, white"),
        ("run --candidates 0", "num_candidates: expected a whole number of at least 1"),
        ("run --constraint params=3", "constraints: expected NAME <= NUMBER"),
        ("compare --searchers random,gate", "Did you mean 'gates'?"),
        ("compare --space x", "space: expected one of"),
        ("submit --space x --address http://127.0.0.1:1", "space: expected one of"),
    ],
)
def test_a_mistake_is_named_before_anything_heavy_is_loaded(arguments: str, words: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PROGRAM, *arguments.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr
