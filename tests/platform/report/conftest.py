"""Pages read as a browser would."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Reads a page, and checks that what is opened is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data + " "

    @property
    def pictures(self) -> list[str]:
        return [str(attrs["src"]) for tag, attrs in self.tags if tag == "img"]


@pytest.fixture(scope="session")
def read_page() -> type[Page]:
    """Parses the text of a page."""
    return Page
