"""The strings by which evaluators are named, in words."""

from __future__ import annotations

FORMS = "train:DATASET, table:NAME, table:PATH#COLUMN, proxy:NAME or python:MODULE:FUNCTION"
"""The strings that `from_text` takes."""
KINDS = ("train", "table", "proxy", "python")
"""What they begin with."""
