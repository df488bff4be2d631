"""The conversation of a driver with `peers.py`: JSON lines on standard input and output.

The first line that a driver reads holds `method`, `seed`, `evaluations` (how many are wanted, for methods that must know) and
`choices` (the alternatives of each gene). Then the driver writes a line with genes and reads one with their score, higher is
better, until no more lines come. Drivers run in the peer's environment, without archsearch.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

# What a peer prints goes to standard error, so that it is no part of the conversation.
_answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def settings() -> dict[str, Any]:
    """Return the settings of the search."""
    return json.loads(sys.stdin.readline())


def write(answer: Any) -> None:
    """Write a line."""
    print(json.dumps(answer, default=lambda value: value.item()), file=_answers, flush=True)


def score_of(genes: dict[str, Any]) -> float:
    """Return the score of genes; exit if none is wanted any more."""
    write(genes)
    answer = sys.stdin.readline()
    if not answer:
        sys.stderr.flush()
        os._exit(0)  # a peer may catch SystemExit
    return float(json.loads(answer))
