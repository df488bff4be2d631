"""How the readers of benchmark tables tell how far they are."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called now and then with how much is done and how much there is: bytes of a file, files of a folder, or rows of a table."""
