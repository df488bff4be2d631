"""Why a candidate failed, in one line."""

from __future__ import annotations

import torch

from archsearch.errors import is_out_of_memory


def failure_text(error: Exception) -> str:
    """Return the kind of an error and its first line; too little memory is a kind of its own, and a GPU's is given back."""
    if isinstance(error, torch.OutOfMemoryError):
        torch.cuda.empty_cache()
    kind = "out of memory" if is_out_of_memory(error) else type(error).__name__
    return f"{kind}: {error}".splitlines()[0]
