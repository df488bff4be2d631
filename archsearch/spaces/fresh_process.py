"""Evaluates an expression on a pickled object in a fresh interpreter with another hash seed, for the conformance suites."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from typing import Any

# The class of the object may be defined in a file that is not on the import path, such as a test file.
_PRELUDE = """
import importlib, importlib.util, json, pickle, sys, types
name, path, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
try:
    importlib.import_module(name)
except ImportError:
    spec = importlib.util.spec_from_file_location(name, path)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    for place in [place for place, letter in enumerate(name) if letter == "."]:  # unpickling imports the parent packages
        sys.modules.setdefault(name[:place], types.ModuleType(name[:place]))
subject = pickle.loads(sys.stdin.buffer.read())
"""


def in_fresh_process(subject: object, expression: str) -> Any:
    """Return the value of an expression about `subject`, evaluated in a new process and converted to JSON and back.

    Args:
        subject: Any object that can be pickled.
        expression: Python source, such as `subject.fingerprint()`.

    Raises:
        AssertionError: The process failed; the message is its standard error.
    """
    module = sys.modules[type(subject).__module__]
    done = subprocess.run(
        [sys.executable, "-c", f"{_PRELUDE}\nprint(json.dumps({expression}))", module.__name__, str(module.__file__)],
        input=pickle.dumps(subject),
        env={**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.splitlines()[-1])
