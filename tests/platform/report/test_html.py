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


def test_sortable_tables_hold_the_numbers_that_their_cells_show(read_page: Any) -> None:
    rows = [["67.6 k", "4.2 min", "97.55", "a", "0.1 M"], ["1,024", "10 s", "-", "b 3", "1.5e-3"]]
    page = read_page(html.table(list("vwxyz"), rows, sortable=True))
    values = [attrs.get("data-value") for tag, attrs in page.tags if tag == "td"]
    assert values == ["67600", "252", "97.55", None, "100000", "1024", "10", None, None, "0.0015"]
    assert "data-value" not in html.table(["a"], [["3"]])


def test_the_page_has_one_script_and_suits_light_and_dark(read_page: Any) -> None:
    text = html.page("Title", [html.table(["a", "b"], [["1", "<svg></svg>"]], markup={1}, sortable=True)])
    assert "<td><svg></svg></td>" in text and "prefers-color-scheme: dark" in text
    assert text.count("<script>") == 1 and "http" not in text.replace("http://www.w3.org", "")
