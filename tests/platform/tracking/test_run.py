"""Names and values as MLflow takes them."""

from __future__ import annotations

import pytest

from archsearch.platform.tracking.run import cut, valid_name


@pytest.mark.parametrize(("name", "valid"), [("acc@50M", "acc_50M"), ("a/b c:d-e.f_g", "a/b c:d-e.f_g"), ("", "_")])
def test_names_become_valid(name: str, valid: str) -> None:
    assert valid_name(name) == valid


def test_long_texts_are_cut() -> None:
    assert (cut(12, 5), cut("abcdefgh", 5), len(valid_name("x" * 300))) == ("12", "ab...", 250)
