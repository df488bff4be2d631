"""Rows by hash."""

from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from archsearch.evaluators.tables.hashes import HashIndex, hashes_of


def test_hashes_are_the_first_eight_bytes_of_blake2b_in_little_endian_order() -> None:
    expected = int.from_bytes(hashlib.blake2b("ä|b".encode(), digest_size=8).digest(), "little")
    assert hashes_of(["ä|b"]).tolist() == [expected]
    assert hashes_of([]).dtype == np.uint64


@given(st.lists(st.sampled_from("abcdefgh"), max_size=12), st.lists(st.sampled_from("abcdefghxyz"), max_size=12))
def test_the_first_row_of_a_text_is_found(texts: list[str], wanted: list[str]) -> None:
    found = HashIndex(hashes_of(texts)).find(wanted)
    assert found.tolist() == [texts.index(text) if text in texts else -1 for text in wanted]
