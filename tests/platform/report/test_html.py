"""HTML elements are well formed, whatever strings they get."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from archsearch.platform.report import html


@given(rows=st.lists(st.lists(st.text(alphabet="<>&\"'ab", max_size=5), min_size=2, max_size=2), max_size=4))
def test_tables_are_well_formed_whatever_they_hold(read_page: Any, rows: list[list[str]]) -> None:
    page = read_page(html.table(["one", "two"], rows, code_column=1))
    assert sum(tag == "td" for tag, _ in page.tags) == 2 * len(rows)


def test_pages_state_their_language_and_encoding(read_page: Any) -> None:
    text = html.page("Title", [html.paragraph("Ünï")])
    assert re.match(r'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">', text)
    assert read_page(text).words.count("Title") == 2
