"""Short names and outlines."""

from __future__ import annotations

import numpy as np
import pytest

from archsearch import spaces
from archsearch.platform.short_form import outline, short_name, short_names, shortened

SPACE = spaces.get("nasbench201")


def test_names_take_as_many_digits_as_they_need() -> None:
    assert short_name("enas", "3f2a99") == "enas-3f2a"
    assert short_names("enas", ["3f2a99", "3f2b99"]) == ["enas-3f2a", "enas-3f2b"]
    assert short_names("enas", ["3f2a91", "3f2a99", "3f2a99"]) == ["enas-3f2a91", "enas-3f2a99", "enas-3f2a99"]
    assert short_names("enas", []) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|skip_connect~2|", "2 nor_conv_3x3, 1 skip_connect; depth 3"),
        ("|none~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|", "1 avg_pool_3x3; depth 1"),
        ("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|", "no operators; depth 0"),
    ],
)
def test_an_outline_counts_what_an_image_passes(text: str, expected: str) -> None:
    assert outline(SPACE, SPACE.parse(text)) == expected


@pytest.mark.parametrize("name", spaces.names())
def test_every_space_has_outlines_of_one_line(name: str) -> None:
    space = spaces.get(name)
    for seed in range(5):
        text = outline(space, space.sample(np.random.default_rng(seed)))
        assert len(text) < 130 and "depth" in text and "\n" not in text and "@" not in text


def test_a_table_is_shortened_and_keeps_what_it_cannot_read() -> None:
    text = "|avg_pool_3x3~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|"
    heading, first, second = shortened([["rank", "architecture"], ["1", text], ["2", "?"]], SPACE)
    assert heading == ["rank", "name", "operators"]
    assert first == ["1", f"nasbench201-{SPACE.key(SPACE.parse(text))[:4]}", "1 avg_pool_3x3; depth 1"]
    assert second == ["2", "", "?"]
