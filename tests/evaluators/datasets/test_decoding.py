"""Reading of images: every mode, bit depth, orientation and kind of transparency gives the right pixels, or an error."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from archsearch.errors import DatasetError
from archsearch.evaluators.datasets.decoding import Decoder, decode


def _saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _png(image: Image.Image) -> bytes:
    return _saved(image)


def _raw_png(width: int, bits: int, kind: int, row: bytes, transparent: bytes = b"", palette: bytes = b"") -> bytes:
    """Return a PNG file of one row, written by hand: Pillow writes few of the bit depths that the format has."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", struct.pack(">IIBBBBB", width, 1, bits, kind, 0, 0, 0))]
    parts += [chunk(b"PLTE", palette)] if palette else []
    parts += [chunk(b"tRNS", transparent)] if transparent else []
    return b"".join([*parts, chunk(b"IDAT", zlib.compress(b"\0" + row)), chunk(b"IEND", b"")])


def _pixels(source: bytes, **settings: object) -> list[object]:
    return np.asarray(Decoder(**settings).decode(source, "it")).tolist()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "expected"), [("L", "L"), ("1", "L"), ("LA", "L"), ("RGB", "RGB"), ("RGBA", "RGB"), ("P", "RGB")]
)
def test_grey_stays_grey_and_all_else_becomes_rgb(mode: str, expected: str) -> None:
    assert decode(_png(Image.new(mode, (4, 3))), "it").mode == expected


def test_pixels_survive() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(decode(_png(Image.fromarray(pixels)), "it")), pixels)


def test_every_mode_that_a_format_can_store_gives_its_colours() -> None:
    red = (200, 30, 40)
    for kind, modes in {
        "PNG": ("RGB", "RGBA", "P"),
        "TIFF": ("RGB", "RGBA", "P", "CMYK", "YCbCr", "LAB"),
        "BMP": ("RGB", "P"),
    }.items():
        for mode in modes:
            whole = Image.new("RGB", (9, 9), red)
            image = whole.quantize() if mode == "P" else whole.convert(mode)
            [found] = {tuple(pixel) for row in _pixels(_saved(image, kind)) for pixel in row}  # type: ignore[attr-defined]
            assert np.abs(np.array(found) - red).max() <= 3, (kind, mode, found)
    for mode, number in {"L": 77, "1": 255, "LA": (77, 255), "PA": None}.items():
        image = Image.new(mode, (3, 1), number) if number is not None else Image.new("L", (3, 1), 77).convert("PA")
        grey = np.array(_pixels(_saved(image, "TIFF")))
        assert np.all(grey == (number[0] if isinstance(number, tuple) else number or 77)), mode
    [found] = {tuple(pixel) for row in _pixels(_saved(Image.new("RGB", (8, 8), red).convert("CMYK"), "JPEG")) for pixel in row}  # type: ignore[attr-defined]
    assert np.abs(np.array(found) - red).max() <= 4, "CMYK of JPEG is stored inverted"


def test_bit_depths_fill_the_range_of_8_bits() -> None:
    assert _pixels(_raw_png(4, 1, 0, b"\xa0")) == [[255, 0, 255, 0]]
    assert _pixels(_raw_png(4, 2, 0, bytes([0b00011011]))) == [[0, 85, 170, 255]]
    assert _pixels(_raw_png(2, 4, 0, b"\x5f")) == [[85, 255]]
    assert _pixels(_raw_png(3, 16, 0, struct.pack(">3H", 0, 128 * 257, 65535))) == [[0, 128, 255]]
    colours = _raw_png(2, 16, 2, struct.pack(">6H", 0, 257 * 100, 65535, 257, 514, 771))
    assert _pixels(colours) == [[[0, 100, 255], [1, 2, 3]]]
    assert _pixels(_raw_png(2, 16, 4, struct.pack(">4H", 257 * 9, 65535, 0, 0))) == [[9, 255]], "grey with alpha stays grey"
    assert _pixels(b"P5\n3 1\n4095\n" + struct.pack(">3H", 0, 2048, 4095)) == [[0, 128, 255]]
    assert _pixels(b"P4\n8 1\n\xa0") == [[0, 255, 0, 255, 255, 255, 255, 255]]
    for kind in (">u2", "<u2"):
        assert _pixels(_saved(Image.fromarray(np.array([[0, 257, 65535]], dtype=kind)), "TIFF")) == [[0, 1, 255]]


def test_a_tiff_whose_zero_is_white_is_inverted() -> None:
    tags = ImageFileDirectory_v2()
    tags[262] = 0
    stored = bytearray(_saved(Image.fromarray(np.array([[0, 257, 65535]], dtype=np.uint16)), "TIFF"))
    entry = stored.index(struct.pack("<HHI", 262, 3, 1))
    stored[entry + 8 : entry + 10] = struct.pack("<H", 0)
    assert _pixels(bytes(stored)) == [[255, 254, 0]]


def test_pixels_without_a_largest_value_need_the_name_of_white(tmp_path: Path) -> None:
    floats = _saved(Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32)), "TIFF")
    wide = _saved(Image.fromarray(np.array([[0, 50_000, 100_000]], dtype=np.int32)), "TIFF")
    assert _pixels(floats, white=1.0) == [[0, 128, 255]]
    assert _pixels(wide, white=100_000) == [[0, 128, 255]]
    for source, mode in ((floats, "F"), (wide, "I")):
        with pytest.raises(DatasetError, match=rf"^the map: .*'{mode}'.*white=1\.0"):
            decode(source, "the map")
    for values in ([[0.0, 1.5]], [[-0.1, 1.0]], [[float("nan"), 1.0]]):
        source = _saved(Image.fromarray(np.array(values, dtype=np.float32)), "TIFF")
        with pytest.raises(DatasetError, match="the map: expected values from 0 to 1"):
            Decoder(white=1.0).decode(source, "the map")


def test_twelve_bits_in_sixteen_are_refused_unless_white_is_named() -> None:
    dark = [_png(Image.fromarray(np.array([[0, 2048, brightest]], dtype=np.uint16))) for brightest in (3000, 4095)]
    decoder = Decoder()
    for number, source in enumerate(dark):
        decoder.decode(source, f"row {number}")
    with pytest.raises(
        DatasetError, match=r"16-bit images of scans, such as row 0, reach only 4,095 of 65,535: 16 of 256.*white=4095"
    ):
        decoder.finish("scans")
    named = Decoder(white=4095)
    assert np.asarray(named.decode(dark[1], "it")).tolist() == [[0, 128, 255]]
    named.finish("scans")
    assert named.remarks == ()
    dim = Decoder()
    dim.decode(_png(Image.fromarray(np.array([[10_000]], dtype=np.uint16))), "depth.png")
    dim.finish("depths")
    assert "39 of 256 levels" in dim.remarks[0]
    colours = Decoder()
    colours.decode(_raw_png(1, 16, 2, struct.pack(">3H", 0, 100, 4000)), "rgb.png")
    with pytest.raises(DatasetError, match="of 65,535"):
        colours.finish("scans")


def test_transparent_pixels_show_the_background() -> None:
    half = Image.fromarray(np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [200, 100, 0, 51]]], dtype=np.uint8))
    assert _pixels(_png(half)) == [[[200, 100, 0], [255, 255, 255], [244, 224, 204]]]
    assert _pixels(_png(half), background=(0, 0, 0)) == [[[200, 100, 0], [0, 0, 0], [40, 20, 0]]]
    grey = Image.fromarray(np.array([[[90, 255], [90, 0]]], dtype=np.uint8), mode="LA")
    assert _pixels(_png(grey)) == [[90, 255]]
    assert _pixels(_png(grey), background=(255, 0, 0)) == [[[90, 90, 90], [255, 0, 0]]]
    assert _pixels(_saved(half, "WEBP", lossless=True, exact=True)) == _pixels(_png(half))
    assert _pixels(_saved(half, "TIFF")) == _pixels(_png(half))


def test_palettes_and_single_colours_can_be_transparent() -> None:
    palette = bytes([9, 9, 9, 200, 0, 0, 0, 50, 0])
    assert _pixels(_raw_png(3, 8, 3, b"\0\1\2", b"\0\xff", palette)) == [[[255] * 3, [200, 0, 0], [0, 50, 0]]]
    assert _pixels(_raw_png(2, 1, 3, b"\x40", b"\0", palette)) == [[[255] * 3, [200, 0, 0]]]
    assert _pixels(_raw_png(2, 8, 0, bytes([7, 9]), struct.pack(">H", 7))) == [[255, 9]]
    assert _pixels(_raw_png(4, 2, 0, bytes([0b00011011]), struct.pack(">H", 1))) == [[0, 255, 170, 255]]
    assert _pixels(_raw_png(2, 1, 0, b"\x40", struct.pack(">H", 0))) == [[255, 255]]
    assert _pixels(_raw_png(2, 16, 0, struct.pack(">2H", 7, 65535), struct.pack(">H", 7)), background=(0, 0, 0)) == [[0, 255]]
    assert _pixels(_raw_png(2, 8, 2, bytes(range(6)), struct.pack(">3H", 0, 1, 2))) == [[[255] * 3, [3, 4, 5]]]
    gif = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode="P")
    gif.putpalette(palette)
    assert _pixels(_saved(gif, "GIF", transparency=1)) == [[[9, 9, 9], [255] * 3]]
    with pytest.raises(DatasetError, match="a transparent colour; got 16"):
        decode(_raw_png(1, 16, 2, bytes(6), bytes(6)), "it")


TURNED = {1: "abcd", 2: "badc", 3: "dcba", 4: "cdab", 5: "acbd", 6: "cadb", 7: "dbca", 8: "bdac"}
"""By orientation, what the corners a, b, c, d of the stored picture (upper left, upper right, lower left, lower right) become."""


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_picture_is_turned_upright_from_every_orientation(kind: str) -> None:
    levels = dict(zip("abcd", (0, 80, 160, 255), strict=True))
    stored = np.repeat(
        np.repeat(np.array([[levels[name] for name in row] for row in ("ab", "cd")], dtype=np.uint8), 16, 0), 32, 1
    )
    for orientation, corners in TURNED.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
        image = decode(_saved(Image.fromarray(stored), kind, exif=exif, **options), "it").convert("L")
        assert image.size == ((64, 32) if orientation < 5 else (32, 64)), orientation
        right, low = image.width - 1, image.height - 1
        seen = [image.getpixel(place) for place in ((0, 0), (right, 0), (0, low), (right, low))]
        assert np.abs(np.array(seen) - [levels[name] for name in corners]).max() <= 3, (orientation, seen)


def test_a_damaged_orientation_is_ignored_or_an_error_that_names_the_place() -> None:
    exif = Image.Exif()
    exif[0x0112] = 9
    assert decode(_saved(Image.new("RGB", (8, 4)), "JPEG", exif=exif), "it").size == (8, 4)
    for damage in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\xff"):
        try:
            decode(_saved(Image.new("RGB", (8, 4)), "JPEG", exif=damage), "row 3")
        except DatasetError as error:
            assert str(error).startswith("row 3: ")


def test_the_first_frame_of_an_animation_is_used_and_said() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
    for kind, options in {"GIF": {}, "PNG": {}, "WEBP": {"lossless": True}}.items():
        decoder = Decoder()
        source = _saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert np.asarray(decoder.decode(source, "wave")).tolist()[0][0] == [255, 0, 0], kind
        decoder.finish("signs")
        assert decoder.remarks == ("wave: an animation; its first frame is used.",)
    still = Decoder()
    still.decode(_saved(frames[0], "GIF"), "it")
    still.finish("signs")
    assert still.remarks == ()


def test_several_pages_and_unknown_channels_of_a_tiff_are_refused() -> None:
    pages = _saved(Image.new("L", (4, 4)), "TIFF", save_all=True, append_images=[Image.new("L", (4, 4))] * 2)
    with pytest.raises(DatasetError, match=r"the stack: expected one image; got a TIFF file of 3 pages"):
        decode(pages, "the stack")
    with pytest.raises(DatasetError, match=r"the scene: .*neither colour nor transparency"):
        decode(_saved(Image.new("RGBX", (4, 4)), "TIFF"), "the scene")


def test_a_colour_profile_is_applied() -> None:
    """A profile of linear light, made here, in which the stored half is brighter than sRGB's."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    image = Image.new("RGB", (2, 2), (128, 64, 200))
    assert _pixels(_saved(image, icc_profile=bytes(profile)))[0] == [[128, 64, 200]] * 2, "sRGB stays as it is"
    number = struct.unpack(">I", profile[128:132])[0]
    for entry in range(132, 132 + 12 * number, 12):
        name, start, _ = struct.unpack(">4sII", profile[entry : entry + 12])
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            profile[start + 8 : start + 16] = struct.pack(">HHi", 0, 0, 1 << 16)  # a gamma of 1
        if name == b"desc":
            profile[start + 12 : start + 16] = bytes(4)
            profile[start + 28 : start + 44] = b"\0L\0i\0n\0e\0a\0r\0 \0 "
    linear = [round(255 * (1.055 * (value / 255) ** (1 / 2.4) - 0.055)) for value in (128, 64, 200)]
    found = np.array(_pixels(_saved(image, icc_profile=bytes(profile)))[0])
    assert np.abs(found - linear).max() <= 1
    clear = Image.new("RGBA", (2, 2), (128, 64, 200, 0))
    assert _pixels(_saved(clear, icc_profile=bytes(profile)))[0] == [[255] * 3] * 2, "the transparency is kept"
    for damaged in (b"no profile", bytes(profile[:200])):
        assert _pixels(_saved(image, icc_profile=damaged))[0] == [[128, 64, 200]] * 2


def test_damage_of_any_kind_is_a_one_line_error_that_names_the_place() -> None:
    rng = np.random.default_rng(0)
    whole = _png(Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)))
    for length in range(0, len(whole) - 30, 7):
        with pytest.raises(DatasetError, match=r"^row 3: expected an image") as caught:
            decode(whole[:length], "row 3")
        assert "\n" not in str(caught.value)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        try:
            decode(bytes(damaged), "row 3")
        except DatasetError:
            refused += 1
    assert refused > 200
