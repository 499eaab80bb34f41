"""From a portrait file's bytes to pixels, hostile files included."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from avatar_service.errors import InvalidArgumentError, ResourceExhaustedError
from avatar_service.picture import MAX_BYTES, check_size, decode_picture

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (90, 90, 90)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return an image as a file."""
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def corners(width: int = 64, height: int = 48) -> Image.Image:
    """Return a picture whose quarters are red, green, blue and grey."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    image.paste(GREY, (width // 2, height // 2, width, height))
    return image


def zeros_png(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    """Return a PNG of nothing but zeros: its bytes are few, its pixels are not."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    row_bytes = 1 + width * {0: 1, 2: 3}[colour] * depth // 8
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(row_bytes)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def refusal(content: bytes) -> InvalidArgumentError:
    """Return the error that decoding ends with."""
    with pytest.raises(InvalidArgumentError) as caught:
        decode_picture(content)
    assert caught.value.field == "init.portrait"
    return caught.value


def assert_close(pixels: NDArray[np.uint8], expected: Image.Image, tolerance: int = 0) -> None:
    """Check a decoded picture against the one that was drawn."""
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    difference = np.abs(pixels.astype(int) - np.asarray(expected.convert("RGB")).astype(int))
    assert difference.max() <= tolerance


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [("PNG", {}, 0), ("WEBP", {"lossless": True}, 0), ("JPEG", {"quality": 98, "subsampling": 0}, 6)],
)
def test_three_formats_are_read(kind: str, options: dict[str, Any], tolerance: int) -> None:
    """JPEG, PNG and WebP give their pixels."""
    assert_close(decode_picture(saved(corners(), kind, **options)), corners(), tolerance)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_honoured(orientation: int) -> None:
    """The picture comes out as a viewer shows it."""
    turns: dict[int, Callable[[Image.Image], Image.Image]] = {
        1: lambda image: image,
        2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
        4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
        6: lambda image: image.transpose(Image.Transpose.ROTATE_270),
        7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
        8: lambda image: image.transpose(Image.Transpose.ROTATE_90),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert_close(decode_picture(saved(corners(), exif=exif)), turns[orientation](corners()))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA"])
def test_any_mode_becomes_rgb(mode: str) -> None:
    """Grey, palette and bilevel pictures are pictures too."""
    image = corners().convert(mode)
    assert_close(decode_picture(saved(image)), image)


def test_cmyk_becomes_rgb() -> None:
    """A print JPEG gives colours near those it was made of."""
    assert_close(decode_picture(saved(corners().convert("CMYK"), "JPEG", quality=98, subsampling=0)), corners(), 12)


def test_sixteen_bits_keep_their_brightness() -> None:
    """A 16-bit grey picture is scaled, not cut off."""
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (48, 1))
    pixels = decode_picture(saved(Image.fromarray(ramp)))
    np.testing.assert_allclose(pixels[0, :, 0], ramp[0] / 257, atol=1)
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_transparency_lies_over_white() -> None:
    """What cannot be seen is white, what is half seen is half white."""
    image = Image.new("RGBA", (64, 48), (*RED, 0))
    image.paste((*RED, 255), (0, 0, 32, 48))
    image.paste((0, 0, 0, 128), (0, 0, 32, 24))
    pixels = decode_picture(saved(image))
    assert tuple(pixels[40, 50]) == (255, 255, 255)
    assert tuple(pixels[40, 10]) == RED
    assert abs(int(pixels[10, 10, 0]) - 127) <= 1


def test_transparent_palette_lies_over_white() -> None:
    """A palette entry that is transparent is white."""
    image = Image.new("P", (64, 48), 0)
    image.putpalette([*RED, *BLUE])
    image.paste(1, (0, 0, 32, 48))
    pixels = decode_picture(saved(image, transparency=0))
    assert tuple(pixels[0, 63]) == (255, 255, 255)
    assert tuple(pixels[0, 0]) == BLUE


def test_colour_profiles_are_brought_to_srgb() -> None:
    """The same numbers in another profile are another colour."""
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert_close(decode_picture(saved(corners(), icc_profile=srgb)), corners(), 1)
    # A profile of another colour space does not fit the pixels; the picture is taken without it.
    assert_close(decode_picture(saved(corners(), icc_profile=linear)), corners())


@pytest.mark.parametrize("profile", [b"rubbish", b"", bytes(200)])
def test_broken_profiles_are_ignored(profile: bytes) -> None:
    """A good picture with a bad profile is a good picture."""
    assert_close(decode_picture(saved(corners(), icc_profile=profile)), corners())


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_of_an_animation_the_first_picture_is_taken(kind: str) -> None:
    """An animated file is its first frame."""
    others = [Image.new("RGB", (64, 48), colour) for colour in (RED, GREEN)]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = saved(corners(), kind, save_all=True, append_images=others, duration=40, **options)
    assert_close(decode_picture(content), corners())


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM", "EPS", "PDF", "ICO", "JPEG2000", "TGA"])
def test_other_formats_are_refused(kind: str) -> None:
    """What Pillow could open but nobody needs is not opened."""
    assert refusal(saved(corners(), kind)).reason == "PORTRAIT_FORMAT"


@pytest.mark.parametrize(
    "content",
    [
        b"x",
        bytes(100),
        b"8BPS\x00\x01" + bytes(60),
        b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n",
        b"PK\x03\x04" + bytes(60),
        b"GIF89a/*" + b"\xff\xd8\xff\xe0" + bytes(60),
        b"\x7fELF" + bytes(60),
    ],
    ids=["one byte", "zeros", "psd", "svg", "eps", "zip", "polyglot", "elf"],
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    """The text names the formats that work."""
    error = refusal(content)
    assert error.reason == "PORTRAIT_FORMAT"
    assert "JPEG, PNG or WebP" in error.message


def test_picture_behind_something_else_is_refused() -> None:
    """A good JPEG behind a PDF's header is not searched for."""
    assert refusal(b"%PDF-1.7\n" + saved(corners(), "JPEG")).reason == "PORTRAIT_FORMAT"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_truncated_files_are_refused(kind: str, kept: float) -> None:
    """A file cut short is not half a portrait."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    content = saved(noise, kind)
    assert refusal(content[: int(len(content) * kept)]).reason in {"PORTRAIT_DAMAGED", "PORTRAIT_FORMAT"}


@given(
    places=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8),
    kind=st.integers(0, 2),
)
def test_damaged_files_are_refused_or_read(places: list[tuple[int, int]], kind: int) -> None:
    """Whatever bytes are changed, the answer is a picture or an error of ours."""
    content = bytearray(saved(corners(), ("JPEG", "PNG", "WEBP")[kind]))
    for place, value in places:
        content[place % len(content)] = value
    try:
        pixels = decode_picture(bytes(content))
    except InvalidArgumentError as error:
        assert error.reason.startswith("PORTRAIT_")  # noqa: PT017 - either outcome is right
    else:
        assert pixels.ndim == 3


@pytest.mark.parametrize("side", [4_001, 12_000, 14_000])
def test_pixel_bombs_are_refused_before_they_are_decoded(side: int) -> None:
    """A few kilobytes that declare more than 16 megapixels cost no memory."""
    content = zeros_png(side, side, colour=0)
    assert len(content) < 200_000
    tracemalloc.start()
    try:
        assert refusal(content).reason == "PORTRAIT_PIXELS"
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [(1, 1), (31, 64), (64, 31), (20_000, 1), (16_385, 33), (330, 40)])
def test_shapes_that_are_no_portrait_are_refused(size: tuple[int, int]) -> None:
    """Too small, too long or too thin; the text says which sizes work."""
    error = refusal(saved(Image.new("L", size)))
    assert error.reason == "PORTRAIT_SHAPE"
    assert "at most 8 times" in error.message


@pytest.mark.parametrize("size", [(32, 32), (256, 32), (4_000, 4_000)])
def test_shapes_at_the_edge_are_read(size: tuple[int, int]) -> None:
    """The bounds themselves are allowed."""
    assert decode_picture(saved(Image.new("L", size))).shape == (size[1], size[0], 3)


def test_decompression_bombs_in_text_are_refused() -> None:
    """A PNG whose comment unpacks to 64 MB is damaged goods."""
    comment = b"zTXt" + b"k\x00\x00" + zlib.compress(bytes(64_000_000), 9)
    chunk = struct.pack(">I", len(comment) - 4) + comment + struct.pack(">I", zlib.crc32(comment))
    content = zeros_png(64, 64)
    assert refusal(content[:33] + chunk + content[33:]).reason == "PORTRAIT_DAMAGED"


def test_nothing_is_missing() -> None:
    """No bytes at all is an error of its own."""
    assert refusal(b"").reason == "PORTRAIT_MISSING"


def test_files_have_a_size_limit() -> None:
    """10 MiB may be looked at, a byte more may not; no retry helps."""
    check_size(bytes(MAX_BYTES))
    with pytest.raises(ResourceExhaustedError) as caught:
        decode_picture(bytes(MAX_BYTES + 1))
    assert (caught.value.reason, caught.value.retry_after_s) == ("PORTRAIT_TOO_LARGE", None)
