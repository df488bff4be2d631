"""Each command that an error or the end of a search advises is one that the command line takes."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

import archsearch
from archsearch.platform import command_line

_COMMANDS = "run|compare|resume|submit|import|export|train|spaces|doctor|ui"
# Words after which the sentence goes on, and what stands for a value.
_ADVICE = re.compile(rf"archsearch ((?:{_COMMANDS})(?: (?:--[a-z-]+|VALUE|[A-Z]+|runs/\S+|'[^']*'|\d+|none))*)")


def advised() -> list[str]:
    """Return the commands in all strings of the package that are no docstrings; what is formatted into them is `VALUE`."""
    found: set[str] = set()
    for path in Path(archsearch.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(part.value if isinstance(part, ast.Constant) else "VALUE" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
                text = node.value
            else:
                continue
            if "archsearch" in text and not text.lstrip().startswith("examples:"):
                found |= set(_ADVICE.findall(text))
    return sorted(found)


def test_there_is_advice() -> None:
    commands = advised()
    assert "resume VALUE" in commands
    assert len(commands) > 3


@pytest.mark.parametrize("command", [each for each in advised() if " " in each])
def test_advised_commands_are_taken(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["1" if word in ("VALUE", "N") and number > 1 else word for number, word in enumerate(shlex.split(command))]
    try:
        command_line._parser().parse_args(words)
    except SystemExit as error:
        said = capsys.readouterr().err
        assert error.code == 0 or "the following arguments are required" in said or "expected one argument" in said, said
