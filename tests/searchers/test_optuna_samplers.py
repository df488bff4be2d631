"""Samplers of Optuna are found by name, in OptunaHub, in a module; what is none is refused with the nearest name."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest

from archsearch.errors import ConfigurationError
from archsearch.searchers import OptunaSearcher
from archsearch.searchers.optuna_samplers import sampler_names, sampler_of, takes_numbers
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
_GREEDY = """
import optuna

class Greedy(optuna.samplers.RandomSampler):
    def __init__(self, seed=None, share=0.5):
        super().__init__(seed)
        self.seed, self.share = seed, share

class Seedless(optuna.samplers.RandomSampler):
    def __init__(self):
        super().__init__(0)

class Broken(optuna.samplers.RandomSampler):
    def sample_independent(self, study, trial, name, distribution):
        raise RuntimeError("no more ideas")

class NotOne:
    pass

ready = Greedy(7)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the working directory hold a module with samplers, as a user would."""
    (tmp_path / "my_samplers.py").write_text(_GREEDY)
    (tmp_path / "my_broken_module.py").write_text("import a_package_that_is_not_there")
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "my_samplers", raising=False)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cmaes", "CmaEsSampler"),
        ("gp", "GPSampler"),
        ("nsgaii", "NSGAIISampler"),
        ("nsgaiii", "NSGAIIISampler"),
        ("qmc", "QMCSampler"),
        ("random", "RandomSampler"),
        ("tpe", "TPESampler"),
    ],
)
def test_names(name: str, kind: str) -> None:
    assert type(sampler_of(name, 0)).__name__ == kind
    assert name in sampler_names() and len(sampler_names()) == 7


@pytest.mark.usefixtures("module")
def test_a_class_of_a_module_gets_the_seed_and_its_options() -> None:
    found: Any = sampler_of("my_samplers:Greedy", 5, {"share": 0.9})
    assert (type(found).__name__, found.seed, found.share) == ("Greedy", 5, 0.9)
    assert sampler_of("optuna.samplers:RandomSampler", 0).__class__ is optuna.samplers.RandomSampler
    assert sampler_of(optuna.samplers.TPESampler, 0).__class__ is optuna.samplers.TPESampler


@pytest.mark.usefixtures("module")
def test_a_class_without_a_seed_is_made_and_named(caplog: pytest.LogCaptureFixture) -> None:
    assert type(sampler_of("my_samplers:Seedless", 5)).__name__ == "Seedless"
    assert "the sampler my_samplers:Seedless takes no seed" in caplog.text


@pytest.mark.usefixtures("module")
def test_a_sampler_as_an_object_is_copied_and_keeps_its_seed() -> None:
    given = optuna.samplers.RandomSampler(seed=3)
    suggestions = [OptunaSearcher(SPACE, 0, sampler=given, batch_size=5).suggest("t0") for _ in range(2)]
    assert suggestions[0] == suggestions[1]
    ready: Any = sampler_of("my_samplers:ready", 0)
    assert ready.seed == 7


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("gpp", "expected one of gp, .*got 'gpp'. Did you mean 'gp'"),
        ("TPE", "expected one of tpe, .*got 'TPE'. Did you mean 'tpe'"),
        ("nsga2", "expected one of nsgai+, .*got 'nsga2'. Did you mean 'nsgai+'"),
        ("cma-es", "expected one of cmaes, .*Did you mean 'cmaes'"),
        ("", "expected one of .*got ''"),
        ("my_samplers:NotOne", "derived from optuna.samplers.BaseSampler; my_samplers:NotOne is the class NotOne"),
        ("my_samplers:optuna", "derived from optuna.samplers.BaseSampler; my_samplers:optuna is of the type module"),
        ("my_samplers:Greddy", "has no 'Greddy', a sampler class. Did you mean 'Greedy'"),
        ("my_broken_module:Greedy", "cannot import the module 'my_broken_module' .*a_package_that_is_not_there"),
        ("nowhere:Greedy", "cannot import the module 'nowhere' of 'nowhere:Greedy' .ModuleNotFoundError"),
        ("my_samplers:", "expected module:NAME"),
        (":Greedy", "expected module:NAME"),
        (3, "expected one of .* got 3"),
        (None, "expected one of .* got None"),
        (dict, "derived from optuna.samplers.BaseSampler; dict is the class dict"),
    ],
)
def test_what_is_no_sampler_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"sampler: .*{message}|sampler: {message}"):
        OptunaSearcher(SPACE, 0, sampler=given)


@pytest.mark.usefixtures("module")
def test_a_sampler_that_cannot_propose_is_refused_before_the_search() -> None:
    with pytest.raises(ConfigurationError, match="my_samplers:Broken cannot propose genes .*no more ideas"):
        OptunaSearcher(SPACE, 0, sampler="my_samplers:Broken")


@pytest.mark.parametrize(
    ("sampler", "options", "message"),
    [
        ("gp", {"n_startup": 5}, "gp has no option 'n_startup'; it takes n_startup_trials, .*Did you mean 'n_startup_trials'"),
        ("nsgaii", {"population": 5}, "nsgaii has no option 'population'; it takes population_size"),
        ("nsgaii", {"population_size": 1}, "sampler: nsgaii cannot be made"),
        ("tpe", {"seed": 1}, "the seed of the sampler is that of the search"),
        (optuna.samplers.RandomSampler(), {"n": 1}, "the sampler RandomSampler is made already"),
    ],
)
def test_wrong_options_are_refused(sampler: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        OptunaSearcher(SPACE, 0, sampler=sampler, sampler_options=options)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optunahub", None)
    with pytest.raises(ConfigurationError, match="needs the package optunahub; install it: pip install optunahub"):
        sampler_of("optunahub:auto_sampler", 0)


_WITHOUT_CMAES = """
import sys
sys.modules["cmaes"] = None
from archsearch import searchers, spaces
try:
    searchers.OptunaSearcher(spaces.get("nasbench201"), 0, sampler="cmaes")
except searchers.optuna_samplers.ConfigurationError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_sampler_whose_package_is_missing_says_how_to_install_it() -> None:
    done = subprocess.run([sys.executable, "-c", _WITHOUT_CMAES], capture_output=True, text=True, check=True)
    assert "sampler: cmaes needs a package that is not installed" in done.stdout
    assert "pip install 'archsearch[samplers]'" in done.stdout and "Install it: pip install cmaes" in done.stdout


def test_samplers_of_numbers() -> None:
    assert (
        takes_numbers(sampler_of("qmc", 0)) and takes_numbers(sampler_of("cmaes", 0)) and not takes_numbers(sampler_of("gp", 0))
    )


def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str) -> None:
    """Put a package where optunahub keeps those that it has downloaded."""
    pytest.importorskip("optunahub")
    folder = tmp_path / "github.com" / "optuna" / "optunahub-registry" / "main" / "package" / "samplers" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(source)
    monkeypatch.setenv("OPTUNAHUB_CACHE_HOME", str(tmp_path))


def test_a_sampler_of_optunahub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub(tmp_path, monkeypatch, "greedy_for_tests", _GREEDY)
    with pytest.raises(
        ConfigurationError, match="expected optunahub:greedy_for_tests:CLASS with one of Broken, Greedy, Seedless"
    ):
        sampler_of("optunahub:greedy_for_tests", 0)
    found: Any = sampler_of("optunahub:greedy_for_tests:Greedy", 4)
    assert (type(found).__name__, found.seed) == ("Greedy", 4)
    hub(tmp_path, monkeypatch, "one_for_tests", _GREEDY + "\n__all__ = ['Greedy']\n")
    assert type(sampler_of("optunahub:one_for_tests", 4)).__name__ == "Greedy"
    assert OptunaSearcher(SPACE, 0, sampler="optunahub:one_for_tests").suggest("t0")


def test_a_package_that_optunahub_cannot_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub(tmp_path, monkeypatch, "needs_for_tests", "import a_package_that_is_not_there")
    with pytest.raises(
        ConfigurationError, match="a_package_that_is_not_there.*Install it: pip install a_package_that_is_not_there"
    ):
        sampler_of("optunahub:needs_for_tests", 0)
    hub(tmp_path, monkeypatch, "broken_for_tests", "raise RuntimeError('out of order')")
    with pytest.raises(ConfigurationError, match="cannot load 'broken_for_tests' from OptunaHub .RuntimeError: out of order"):
        sampler_of("optunahub:broken_for_tests", 0)
