"""Lines of user code for one search in several systems.

    python -m benchmarks.spaces.lines_of_code            # counts
    python -m benchmarks.spaces.lines_of_code --run 6    # and runs each whose package is installed, with six candidates

The search: perceptrons of one to three layers on scikit-learn's diabetes data, 60 candidates, stopped early; its result is the
best network, ready to be trained. Network and training, `same_search/problem.py`, are the same for all, not counted. A line
counts if it holds code: blank lines, comments and docstrings do not.
"""

from __future__ import annotations

import argparse
import importlib
import io
import tokenize
from pathlib import Path

from benchmarks.frame import table

FOLDER = Path(__file__).with_name("same_search")
SYSTEMS = {
    "archsearch": "equal networks once; processes; resumes; report",
    "optuna": "threads of one process; no check of equal networks",
    "tune": "processes; no check of equal networks",
    "pyglove": "one process; no check of equal networks",
}
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.ENCODING,
}


def code_lines(source: str) -> int:
    """Return the number of lines with code."""
    lines: set[int] = set()
    begins = True
    for token in tokenize.tokenize(io.BytesIO(source.encode()).readline):
        if token.type in _NO_CODE:
            begins = begins or token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
        elif token.type == tokenize.STRING and begins and token.line.strip().endswith('"""'):
            begins = False  # a docstring
        else:
            begins = False
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.spaces.lines_of_code", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=int, help="number of candidates of a trial run")
    candidates = parser.parse_args().run
    rows = []
    for system, remark in SYSTEMS.items():
        path = FOLDER / f"with_{system}.py"
        rows.append([system, code_lines(path.read_text()), remark])
        if candidates:
            try:
                importlib.import_module(f"benchmarks.spaces.same_search.with_{system}").main(candidates)
            except ImportError as error:
                rows[-1][-1] += f" (not run: {error})"
    table(["system", "lines", "what comes with it"], rows, title="Lines of user code for the same search")


if __name__ == "__main__":
    main()
