"""Decoding of image files by Pillow: upright, 8 bits a channel, sRGB, without transparency."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.errors import DatasetError, first_line
from archsearch.evaluators.datasets.colour_profile import in_srgb
from archsearch.evaluators.datasets.transparency import alpha_of, colour_key, composited, separated
from archsearch.evaluators.datasets.wide_pixels import WIDE_MODES, check_range, eight_bits, white_of

if TYPE_CHECKING:
    from PIL.Image import Image

_GREY = ("1", "L", "LA", "La")
_REDUCED = 1
"""Bit of the TIFF tag NewSubfileType: the page is a smaller copy of another one."""
_SUBFILE_TYPE, _EXTRA_SAMPLES, _UNSPECIFIED = 254, 338, 0


class Decoder:
    """Decodes the images of one dataset.

    Args:
        white: Value of full brightness in images with more than 8 bits a channel; None takes the largest that their format holds.
        background: Colour below transparent pixels, red, green and blue from 0 to 255.
        draft: Side in pixels that JPEG files must keep at least: larger ones are decoded at a half, a quarter or an eighth of
            their size, which is faster and changes pixels a little. None decodes them whole.

    Attributes:
        remarks: What the user should know about the images that were decoded, one sentence each; see `finish`.
    """

    def __init__(
        self, white: float | None = None, background: tuple[int, int, int] = (255, 255, 255), draft: int | None = None
    ) -> None:
        self._white, self._background, self._draft = white, background, draft
        self._brightest = 0  # of images with 16 bits that were scaled by the largest value of their format
        self._dark = ""
        self._animated: list[str] = []
        self._lock = threading.Lock()
        self.remarks: tuple[str, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    @property
    def settings(self) -> tuple[Any, ...]:
        """What the pixels depend on."""
        return self._white, self._background, self._draft

    def notes(self) -> dict[str, Any]:
        """Return as plain data what was noted of all images so far, from which `finish` makes the remarks."""
        return {"brightest": self._brightest, "dark": self._dark, "animated": list(self._animated)}

    def note(self, notes: Mapping[str, Any]) -> None:
        """Add what another decoder noted of images that need not be decoded again."""
        with self._lock:
            self._brightest = max(self._brightest, int(notes["brightest"]))
            self._dark = self._dark or str(notes["dark"])
            self._animated = [*dict.fromkeys([*self._animated, *map(str, notes["animated"])])]

    def decode(self, source: Path | bytes, place: str) -> Image:
        """Return an image with 8 bits a channel: mode `L` if it is grey, else `RGB`. Several threads may call this.

        It is turned upright by its EXIF orientation, brought to sRGB by its colour profile, and put on the background where it is
        transparent. Of an animation it is the first frame.

        Args:
            source: Path or content of a file in any format that Pillow reads.
            place: Name of the image in messages.

        Raises:
            DatasetError: It is no image, is corrupt, has several pages, or has pixels that 8 bits cannot show.
        """
        from PIL import Image

        try:
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
                return self._decoded(opened, place)
        except (DatasetError, MemoryError):
            raise
        except Exception as error:  # Pillow raises many types for corrupt files: OSError, SyntaxError, struct.error, KeyError ...
            reason = first_line(error)
            raise DatasetError(
                f"{place}: expected an image, such as PNG or JPEG; got {type(error).__name__}: {reason}. Replace or remove it."
            ) from error

    def finish(self, name: str) -> None:
        """Check what only all images together show, and set `remarks`. Call it after the last image.

        Args:
            name: Name of the dataset in messages.

        Raises:
            DatasetError: The images have 16 bits a channel and are all so dark that 8 bits would show next to nothing.
        """
        remarks = []
        if self._dark and (remark := check_range(name, self._brightest, self._dark)):
            remarks.append(remark)
        if self._animated:
            more = f" and {len(self._animated) - 1} others" if len(self._animated) > 1 else ""
            remarks.append(f"{self._animated[0]}{more}: an animation; its first frame is used.")
        self.remarks = tuple(remarks)

    def _decoded(self, opened: Any, place: str) -> Image:
        from PIL import ImageOps

        self._check_pages(opened, place)
        if self._draft and opened.format == "JPEG":
            opened.draft(opened.mode, (self._draft, self._draft))
        raw, white = _raw_mode(opened), white_of(opened)
        if ";16" in raw and opened.mode == "RGB" and "transparency" in opened.info:
            raise DatasetError(
                f"{place}: expected 8 bits a channel in an image with a transparent colour; got 16. Convert it to 8 bits."
            )
        key = colour_key(opened, raw)
        image: Image = ImageOps.exif_transpose(opened)
        alpha = None if key is None else alpha_of(image, key)
        if image.mode in WIDE_MODES:
            image, brightest = eight_bits(image, self._white or white, opened, place)
            if self._white is None:
                self._note(brightest, place)
        elif ";16" in raw:
            self._check_white(place)
            self._note(257 * max(high for _, high in _extrema(image.convert("RGB"))), place)
        grey = image.mode in _GREY or raw.partition(";")[0] == "LA"
        colours, own = separated(image)
        colours = in_srgb(colours, opened.info.get("icc_profile"))
        return composited(colours.convert("L") if grey else colours, alpha if own is None else own, self._background)

    def _check_white(self, place: str) -> None:
        """Raise DatasetError if a white was given for an image of 16-bit colours, of which Pillow keeps the upper 8 bits."""
        if self._white is not None:
            raise DatasetError(
                f"{place}: the option white is for grey images with more than 8 bits; got one with 16 bits a colour. Convert the "
                "images to 8 bits."
            )

    def _note(self, brightest: int, place: str) -> None:
        """Keep the brightest value of all images with 16 bits."""
        with self._lock:
            self._dark = self._dark or place
            self._brightest = max(self._brightest, brightest)

    def _check_pages(self, opened: Any, place: str) -> None:
        """Raise DatasetError for a TIFF file with several pages or unknown channels; note other animations."""
        if opened.format == "TIFF":
            if _UNSPECIFIED in tuple(opened.tag_v2.get(_EXTRA_SAMPLES, ())):
                raise DatasetError(
                    f"{place}: expected grey, RGB or RGBA; got further channels that are neither colour nor transparency "
                    "(TIFF's ExtraSamples). Save the channels to learn from as RGB."
                )
            pages = _pages(opened)
            if pages > 1:
                raise DatasetError(
                    f"{place}: expected one image; got a TIFF file of {pages} pages. Save each in a file of its own."
                )
        elif opened.format in ("GIF", "PNG", "WEBP", "AVIF") and getattr(opened, "n_frames", 1) > 1:
            with self._lock:
                self._animated.append(place)


def decode(source: Path | bytes, place: str) -> Image:
    """Return one image as `Decoder().decode` does.

    Raises:
        DatasetError: It is no image, is corrupt, has several pages, or has pixels that 8 bits cannot show.
    """
    return Decoder().decode(source, place)


def load_decoders() -> None:
    """Import the usual decoders of Pillow, which otherwise happens with the first image."""
    from PIL import Image, ImageOps  # noqa: F401

    Image.preinit()


def pillow_version() -> str:
    """Return the version of Pillow: another one may decode a file to other pixels."""
    import PIL

    return PIL.__version__


def _raw_mode(opened: Any) -> str:
    """Return Pillow's name of how the pixels are stored, such as `RGB;16B`; an empty string if it is not known."""
    tiles = getattr(opened, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _extrema(image: Image) -> list[tuple[int, int]]:
    """Return the smallest and largest value of each channel."""
    found: Any = image.getextrema()
    return list(found) if isinstance(found[0], tuple) else [found]


def _pages(opened: Any) -> int:
    """Return the number of pages of a TIFF file that are not smaller copies of others; the first page is open afterwards."""
    pages = 0
    for number in range(getattr(opened, "n_frames", 1)):
        opened.seek(number)
        pages += not int(opened.tag_v2.get(_SUBFILE_TYPE, 0)) & _REDUCED
    opened.seek(0)
    return pages
