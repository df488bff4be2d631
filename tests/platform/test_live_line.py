"""The progress line: redrawn in a terminal, now and then a new line in a log."""

from __future__ import annotations

import io

import pytest

from archsearch.platform.live_line import LiveLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in its only element."""
    now = [100.0]
    monkeypatch.setattr("archsearch.platform.live_line.time.monotonic", lambda: now[0])
    return now


def written(stream: io.StringIO, clock: list[float], step: float, **settings: bool) -> str:
    """Show 1, 2, ... 5, one a `step` of seconds, and end the line."""
    line = LiveLine(stream, **settings)
    for number in range(1, 6):
        line.show(lambda number=number: str(number))  # type: ignore[misc]
        clock[0] += step
    line.end()
    return stream.getvalue()


def test_a_terminal_shows_a_line_every_fifth_of_a_second(clock: list[float]) -> None:
    assert written(Terminal(), clock, 0.11) == "\r\x1b[K1\r\x1b[K3\r\x1b[K5\n"


def test_a_log_has_a_line_every_15_seconds(clock: list[float]) -> None:
    assert written(io.StringIO(), clock, 8.0) == "1\n3\n5\n"


def test_the_first_line_may_wait(clock: list[float]) -> None:
    assert written(io.StringIO(), clock, 8.0, at_once=False) == "3\n5\n"


def test_a_line_is_made_only_when_it_is_written(clock: list[float]) -> None:
    line = LiveLine(io.StringIO())
    line.show(lambda: "first")
    line.show(lambda: pytest.fail("made too soon"))
    line.show(lambda: "last", now=True)
    LiveLine(None).show(lambda: pytest.fail("made for nobody"), now=True)


def test_a_line_of_a_terminal_can_be_cleared(clock: list[float]) -> None:
    line = LiveLine(stream := Terminal())
    line.end(clear=True)
    assert stream.getvalue() == "", "nothing was shown"
    line.show(lambda: "50 %")
    line.end(clear=True)
    line.end()
    assert stream.getvalue() == "\r\x1b[K50 %\r\x1b[K"


def test_a_bar_fills_the_width_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archsearch.platform.live_line.LiveLine._columns", lambda line: 60)
    monkeypatch.setenv("NO_COLOR", "1")
    line = LiveLine(Terminal())
    assert line.bar(5, 10, " 50 %", "5/10  best 3") == f" 50 % {'━' * 15}{' ' * 15} 5/10  best 3"
    assert len(line.bar(1, 10, " 10 %", "x" * 40)) == 59
    assert line.bar(1, 10, " 10 %", "x" * 80) == f" 10 % {'x' * 53}"
    assert line.bar(0, 0, "0 %", "") == f"0 % {' ' * 30} "


def test_a_bar_has_colours_where_they_are_wanted_and_plain_signs_where_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archsearch.platform.live_line.LiveLine._columns", lambda line: 60)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m" in LiveLine(Terminal()).bar(5, 10, "", "")

    class Ascii(Terminal):
        encoding = "ascii"

    assert LiveLine(Ascii()).bar(5, 10, "", "") == f" {'#' * 15}{'-' * 15} "


def test_a_note_stands_above_the_line(clock: list[float]) -> None:
    line = LiveLine(stream := Terminal())
    line.show(lambda: "bar")
    line.note("better")
    line.show(lambda: "bar", now=True)
    assert stream.getvalue() == "\r\x1b[Kbar\r\x1b[Kbetter\n\r\x1b[Kbar"
    LiveLine(None).note("nobody")
