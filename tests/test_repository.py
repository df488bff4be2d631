"""Configuration of the repository: hooks, workflows, issue templates and the citation."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import archsearch

ROOT = Path(__file__).parent.parent
FILES = [
    ".pre-commit-config.yaml",
    "CITATION.cff",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / ".github").rglob("*.yml"))),
]
# Titles of the three papers, and the family names of their authors.
PAPERS = {
    "Graph HyperNetworks for Neural Architecture Search": ["Zhang", "Ren", "Urtasun"],
    "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based NAS": [
        "Ning",
        "Zheng",
        "Zhao",
        "Wang",
        "Yang",
    ],
    "Neural Architecture Optimization with Graph VAE": ["Li", "Liu", "Liu", "Wang"],
}


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


@pytest.mark.parametrize("name", FILES)
def test_files_parse(name: str) -> None:
    assert isinstance(read(name), dict)


def test_every_command_of_the_hooks_exists_and_is_in_make_check() -> None:
    hooks = [hook for repository in read(".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    checks = re.findall(r"\$\(BIN\)/(.+)", (ROOT / "Makefile").read_text())
    assert len(hooks) >= 4
    for hook in hooks:
        command, *words = shlex.split(hook["entry"])
        assert (Path(sys.executable).parent / command).exists(), command
        assert shlex.join([command, *(word for word in words if word != "--force-exclude")]) in checks


def test_pre_commit_comes_with_the_development_tools() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "pre-commit" in project["optional-dependencies"]["dev"]


def test_the_workflow_runs_the_checks_and_imports_every_package() -> None:
    workflow = read(".github/workflows/ci.yml")
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    commands = [step["run"] for step in steps if "run" in step]
    assert ".ci/run" in commands and (ROOT / ".ci" / "run").exists()
    assert any(command.startswith("archsearch run ") for command in commands)
    imported = [name for command in commands if "from archsearch import" in command for name in re.findall(r"[a-z]+", command)]
    packages = [name for name in archsearch.__all__ if name.islower() and not name.startswith("_")]
    assert len(packages) == 5 and set(packages) <= set(imported)
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"]) for step in steps if "uses" in step)


def test_the_citation_is_complete() -> None:
    citation = read("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == archsearch.__version__
    found = {paper["title"]: [author["family-names"] for author in paper["authors"]] for paper in citation["references"]}
    assert found == PAPERS
    for paper in citation["references"]:
        module, _, name = paper["notes"].rpartition(" ")[2].rpartition(".")
        assert hasattr(importlib.import_module(module), name)


def test_the_changelog_names_module_paths_that_exist() -> None:
    rows = re.findall(r"^  \| (`.+`.*) \| (`.+`) \|$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    paths: list[str] = []
    for _, after in rows:
        for name in re.findall(r"`([\w.]+)`", after):
            paths.append(paths[-1].rpartition(".")[0] + name if name.startswith(".") else name)
    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / "archsearch" / f"{path.replace('.', '/')}.py").exists()] == []
