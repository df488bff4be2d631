"""Images that cannot be read: all of them in one error, or left out if the user asked for that."""

from __future__ import annotations

from archsearch.errors import DatasetError

_NAMED = 5


class Unreadable:
    """The images of one dataset that cannot be read.

    Args:
        skip: Whether they are left out; otherwise `check` raises an error.
    """

    def __init__(self, skip: bool = False) -> None:
        self._skip = skip
        self._first = ""
        self._names: list[str] = []

    def add(self, name: str, error: DatasetError) -> None:
        """Add an image with the error that its decoding raised."""
        self._first = self._first or str(error)
        self._names.append(name)

    def check(self, images: int, kept: int) -> tuple[str, ...]:
        """Return a remark on the images that were left out, once all of a part have been read.

        Args:
            images: Number of images of the part.
            kept: How many of them could be read.

        Raises:
            DatasetError: Some could not be read and may not be left out, or none could be read.
        """
        names, self._names = self._names, []
        first, self._first = self._first, ""
        if not names:
            return ()
        named = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED:,} others" if len(names) > _NAMED else "")
        if self._skip and kept:
            return (f"{len(names):,} of {images:,} images cannot be read and are left out: {named}. The first: {first}",)
        if len(names) == 1:
            raise DatasetError(first if self._skip else f"{first} With on_error=skip such images are left out.")
        remedy = "None is left." if self._skip else "With on_error=skip they are left out."
        raise DatasetError(f"{len(names):,} of {images:,} images cannot be read: {named}. The first: {first} {remedy}")
