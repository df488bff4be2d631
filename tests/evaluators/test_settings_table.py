from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from archsearch.evaluators.settings import AtLeast, Between
from archsearch.evaluators.settings_table import documented_arguments, page, settings_table

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


@dataclass(frozen=True)
class Some:
    """Settings of nothing.

    Args:
        layers: Layers of the network, each
            of the same width.
        head: Widths; `a|b`.
        schedule: Schedule.
        limit: Limit.

    Raises:
        ConfigurationError: Never.
    """

    layers: Annotated[int, Between(1, 10)] = 3
    head: Annotated[tuple[int, ...], AtLeast(1)] = (4,)
    schedule: Literal["cosine", "constant"] = "cosine"
    limit: float | None = None


def test_a_table_has_what_the_annotations_and_the_docstring_say() -> None:
    assert settings_table(Some).splitlines() == [
        "| name | type | range | default | meaning |",
        "| --- | --- | --- | --- | --- |",
        "| `layers` | `int` | from 1 to 10 | `3` | Layers of the network, each of the same width. |",
        r"| `head` | `tuple[int, ...]` | at least 1 each | `(4,)` | Widths; `a\|b`. |",
        "| `schedule` | `str` | `cosine`, `constant` | `cosine` | Schedule. |",
        "| `limit` | `float` or `None` |  | `None` | Limit. |",
    ]


def test_presets_have_columns_of_their_own() -> None:
    header, _, layers, *_ = settings_table(Some, {"default": Some(), "paper": Some(layers=5)}).splitlines()
    assert header == "| name | type | range | preset `default` | preset `paper` | meaning |"
    assert "| `3` | `5` |" in layers


def test_the_page_of_the_documentation_is_that_of_the_code() -> None:
    assert PAGE.read_text() == page(), "run: python -m archsearch.evaluators.settings_table > docs/settings.md"


def test_every_setting_on_the_page_has_a_meaning() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) > 80
    assert [row for row in rows if row.endswith("|  |")] == []
    assert documented_arguments(int) == {}
