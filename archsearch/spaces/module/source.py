"""The network of a module space as a Python file: the user's own source, with the choices fixed."""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from archsearch.errors import ConfigurationError
from archsearch.spaces.source_code.writer import LOAD

_HEAD = """\
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
"""

_CHOSEN = '''\
class Chosen:
    """The choices of this network, in the place of the `choose` of a search."""

    def __init__(self, words):
        self.words, self.prefix = words, ""

    def one(self, name, alternatives, *, shared=False):
        if isinstance(alternatives, Mapping):
            return alternatives[self._word(name, list(alternatives))]
        words = ["".join(str(value).split()) for value in alternatives]
        return alternatives[words.index(self._word(name, words))]

    def layer(self, name, alternatives, *, shared=False):
        word = self._word(name, list(alternatives))
        make = alternatives[word]
        return self._within(f"{name}.{word}", make) if callable(make) and not isinstance(make, nn.Module) else make

    def repeat(self, name, least, most, make, *, shared=False):
        return [self._within(f"{name}.{i}", lambda: make(i)) for i in range(int(self._word(name, [least])))]

    def subset(self, name, options, least=1, most=None, *, shared=False):
        values = dict(options) if isinstance(options, Mapping) else {str(value): value for value in options}
        chosen = self._word(name, ["+".join(list(values)[:least])]).split("+")
        return [value for word, value in values.items() if word in chosen]

    def _word(self, name, words):
        return self.words.get(self.prefix + name, words[0])

    def _within(self, part, make):
        outer, self.prefix = self.prefix, f"{self.prefix}{part}."
        try:
            return make()
        finally:
            self.prefix = outer
'''

_TYPES = '{"F32": torch.float32, "I64": torch.int64}'
_MORE_TYPES = (
    '{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64, '
    '"I32": torch.int32, "U8": torch.uint8, "BOOL": torch.bool}'
)


def module_source(
    build: Callable[..., Any], words: Mapping[str, str], arguments: Mapping[str, int], title: str, extra: str = ""
) -> str:
    """Return a file that builds one network of a module space, and that needs archsearch no more.

    It holds the source of the module that defines `build`, without what belongs to archsearch. If that module imports others of
    the user's, it is imported instead, and a comment says from where.

    Args:
        build: The function of the space.
        words: The alternative of each choice.
        arguments: Further arguments of `build`.
        title: Docstring of the file.
        extra: Source to stand at the end, such as constants.

    Raises:
        ConfigurationError: The source of `build` cannot be read, or it is no function at the top of a module.
    """
    while isinstance(build, functools.partial) and not build.args:
        build = build.func
    name, home = getattr(build, "__qualname__", ""), sys.modules.get(getattr(build, "__module__", "") or "")
    if not inspect.isfunction(build) and not inspect.isclass(build):
        raise ConfigurationError("build: expected a function, whose source can be written; it is an object. Use model.pt2.")
    if not name.isidentifier() or home is None:
        raise ConfigurationError(f"build: expected a function at the top of a module; {name} is within another. Use model.pt2.")
    try:
        text = inspect.getsource(home)
    except (OSError, TypeError) as error:
        raise ConfigurationError(f"build: the source of {name} cannot be read ({error}). Use model.pt2.") from error
    own, foreign = _without_archsearch(text)
    if foreign:
        place = Path(str(home.__file__)).resolve()
        own = f"# {home.__name__} imports {', '.join(foreign)}; it is taken from {place}\nfrom {home.__name__} import {name}"
    call = ", ".join([f"Chosen({dict(words)!r})", *(f"{key}={value}" for key, value in arguments.items())])
    network = f'def Network():\n    """Return the network with new weights."""\n    return {name}({call})'
    return python_file(title, [own, _CHOSEN, network], extra)


def python_file(title: str, parts: Sequence[str], extra: str = "") -> str:
    """Return a file of source that defines `Network`, with what loads its weights.

    Args:
        title: Docstring of the file.
        parts: Source in its order; one of them defines `Network`.
        extra: Source to stand at the end, such as constants.
    """
    docstring = '"""' + title.replace("\\", "\\\\").replace('"""', "'''") + '\n"""'
    load = LOAD.replace(_TYPES, _MORE_TYPES).replace("-> Network:", "-> nn.Module:")
    found = [docstring, _HEAD, *parts, load, extra]
    text = "\n\n\n".join(part.strip() for part in found if part.strip()) + "\n"
    return text if text.count("Mapping") > 1 else text.replace("from collections.abc import Mapping\n", "")


def _without_archsearch(text: str) -> tuple[str, list[str]]:
    """Return a module's source without what needs archsearch, and the names of the other modules of the user that it imports."""
    tree, lines = ast.parse(text), text.splitlines()
    gone: set[str] = set()
    dropped: list[ast.stmt] = []
    foreign: list[str] = []
    for place, node in enumerate(tree.body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else ["." * node.level + (node.module or "")]
            )
            roots = {module.partition(".")[0] for module in modules}
            if roots <= {"archsearch", "__future__"}:
                gone.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
                dropped.append(node)
            foreign += [module for module in modules if not _is_installed(module)]
        elif place == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            dropped.append(node)
        elif _needs(node, gone) or _is_main(node):
            dropped.append(node)
            gone.update(each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store))
            if isinstance(node, ast.ClassDef):
                gone.add(node.name)
    for node in dropped:
        first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
        for number in range(first - 1, node.end_lineno or first):
            lines[number] = ""
    kept = "\n".join(lines)
    while "\n\n\n\n" in kept:
        kept = kept.replace("\n\n\n\n", "\n\n\n")
    return kept, foreign


def _needs(node: ast.stmt, gone: set[str]) -> bool:
    """Return whether a statement at the top uses a name that is gone; the bodies and annotations of functions do not count."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        parts: Sequence[ast.AST] = [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
    elif isinstance(node, ast.ClassDef):
        parts = [*node.bases, *node.decorator_list]
    else:
        parts = [node]
    return any(isinstance(each, ast.Name) and each.id in gone for part in parts for each in ast.walk(part))


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and any(isinstance(each, ast.Name) and each.id == "__name__" for each in ast.walk(node.test))


def _is_installed(module: str) -> bool:
    """Return whether a module belongs to Python or to an installed package, and not to the user's own files."""
    root = module.partition(".")[0]
    if not root:
        return False
    if root in sys.stdlib_module_names or root == "archsearch":
        return True
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, ValueError):
        return False
    places = [] if spec is None else [spec.origin or "", *(spec.submodule_search_locations or ())]
    return any("site-packages" in place or "dist-packages" in place for place in places)
