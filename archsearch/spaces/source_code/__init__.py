"""Readable PyTorch source for a network, written from its plan. Read `writer.py` first."""

from archsearch.spaces.source_code.writer import SourceCode, source_code

__all__ = ["SourceCode", "source_code"]
