"""The one door for pictures: files, bytes, PIL images and arrays, read by what they declare.

| declared | read as |
| --- | --- |
| 1 bit, bool | 0 and 255 |
| 8 bits: gray, palette, RGB, CMYK, YCbCr, HSV | as they are, in RGB |
| 16 bits (uint16, wider integers, PIL's I), gray or colour | round(x / 257); 0 to 65,535 |
| floats (PIL's F) | round(255 x); 0 to 1 |
| alpha, a transparent colour | RGBA where some pixel is transparent, else RGB |
| EXIF orientation | turned, so that up is up |

Values never decide their own scale, so two pictures are never read in two ways. What cannot be read rightly
is a ValueError with a sentence that says what was found and what to do.
"""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

Source = np.ndarray | Image.Image | bytes | str | Path

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
LARGE_PX = 90_000_000  # larger JPEG is decoded at a smaller size where less is needed
MOST_PX = 400_000_000  # 1.2 GB as RGB
_KINDS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "AVIF", "JPEG2000")
_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"}
_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}
_ORIENTATION, _BITS, _PLANES = 0x0112, 258, 284  # numbers of EXIF and TIFF tags
_MAY_BE_TURNED = (b"Exif\0\0", b"eXIf", b"EXIF", b"Orientation", b"Raw profile type exif")
_FULL_16 = 65535
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_LEAST_OF_16_BITS = 4096  # a largest value below could be one of 8, 10 or 12 bits


class Picture(NamedTuple):
    """A picture as it is used, and sentences about what was done with it."""

    img: np.ndarray
    notes: list[str]


class Opened(NamedTuple):
    """A picture as it declares itself, upright."""

    values: np.ndarray  # (H,W) or (H,W,3): bool, uint8, uint16, wider integers of 16 bits, or floats
    alpha: np.ndarray | None  # (H,W) uint8
    palette: np.ndarray | None  # (H,W) uint8, numbers of the colours in the palette
    lossy: bool  # JPEG: values are near those that were stored
    what: str  # its name in errors
    notes: list[str]


def read(source: Source, name: str = "", enough_px: int | None = None) -> Picture:
    """Any picture as (H,W,3) RGB or, where some of it is transparent, (H,W,4) RGBA, uint8.

    name: what errors call bytes, images and arrays; files are called by their path. enough_px: JPEG of more
    than 90 megapixels is decoded at 1/2, 1/4 or 1/8 of its size where its sides stay at least that long.
    Raises FileNotFoundError, or ValueError for what is no picture, damaged, above 400 megapixels, or does
    not say what its values mean.
    """
    opened = open_source(source, name, enough_px)
    img = rgb_of(opened.values, opened.what)
    if opened.alpha is not None:
        img = np.dstack([img, opened.alpha])
    return Picture(np.ascontiguousarray(img), opened.notes)


def read_picture(source: Source, name: str = "", enough_px: int | None = None) -> np.ndarray:
    """As `read`, (H,W,3) uint8 RGB; ValueError as well for a picture that is transparent in parts."""
    what = str(source) if isinstance(source, str | Path) else name or "the picture"
    return rgb_of(read(source, name, enough_px).img, what)


def rgb_of(img: np.ndarray, what: str) -> np.ndarray:
    """Values as declared to (H,W,3) uint8; ValueError for RGBA: what alpha hides is nobody's picture."""
    if img.ndim == 3 and img.shape[2] == 4:
        raise ValueError(
            f"{what} is transparent in {(img[..., 3] < 255).mean():.1%} of its pixels, and nothing says what "
            f"is seen there: save it without transparency"
        )
    img = to_8_bits(img, what)
    return np.repeat(img[..., None], 3, axis=2) if img.ndim == 2 else img


def to_8_bits(values: np.ndarray, what: str) -> np.ndarray:
    """Values of any shape to uint8, by their type; ValueError where they are not what the type means."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    low, high = values.min(), values.max()
    if values.dtype.kind == "f":
        if not (low >= -1e-6 and high <= 1 + 1e-6):  # nan is neither
            raise ValueError(f"{what} has values from {low:g} to {high:g}, but floats are read from 0 to 1")
        return np.rint(values.clip(0, 1) * 255).astype(np.uint8)
    if low < 0 or high > _FULL_16:
        raise ValueError(f"{what} has values from {low} to {high}, but 16 bits hold 0 to {_FULL_16}")
    if 0 < high < _LEAST_OF_16_BITS:
        raise ValueError(
            f"{what} has 16 bits, but its largest value is {high}: it may be one of 8, 10 or 12 bits, and "
            f"nothing says which. Save it with 8 bits, or scaled to the full range (12 bits: times 16)"
        )
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def read_image(source: Source, name: str = "", enough_px: int | None = None) -> tuple[Image.Image, list[str]]:
    """As `read`, as a PIL image: without a copy where PIL decodes just what is declared."""
    if not isinstance(source, np.ndarray):
        img, _, what, notes = _loaded(source, name, enough_px)
        if img.mode in ("RGB", "RGBA") and "transparency" not in img.info and ";16" not in str(img.tile):
            with _told(img, what):
                img.load()
                if img.getexif().get(_ORIENTATION, 1) != 1:
                    img = ImageOps.exif_transpose(img)
            return (img.convert("RGB") if img.getextrema()[3:] == ((255, 255),) else img), notes
    array, notes = read(source, name, enough_px)
    return Image.fromarray(array), notes


def open_source(source: Source, name: str = "", enough_px: int | None = None, turn: bool = True) -> Opened:
    """A picture as it declares itself; arguments and errors are those of `read`. `turn`: by its EXIF data."""
    if isinstance(source, np.ndarray):
        values, alpha = _of_array(source, name or "the picture")
        what = f"{name or 'the picture'} is an array of shape {source.shape} and type {source.dtype}; it"
        return Opened(values, _varying(alpha, what), None, False, what, [])
    img, data, what, notes = _loaded(source, name, enough_px)
    with _told(img, what):
        parts = _declared(img, data)
        turned = img.getexif().get(_ORIENTATION, 1) if turn else 1
    values, alpha, palette = (None if part is None else upright(part, turned) for part in parts)
    lossless_webp = img.format == "WEBP" and data is not None and b"VP8L" in data
    lossy = img.format in ("JPEG", "MPO", "AVIF", "WEBP") and not lossless_webp
    return Opened(values, _varying(alpha, what), palette, lossy, what, notes)


def _loaded(source: Source, name: str, enough_px: int | None) -> tuple[Image.Image, bytes | None, str, list]:
    """A PIL image of a kind that is read, the bytes it is from, its name in errors, and notes."""
    name, data, notes = name or "the picture", None, []
    if isinstance(source, str | Path):
        name, path = str(source), Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such picture file")
        source = path.read_bytes()
    if isinstance(source, bytes):
        data = source
        source = _identified(data, name)
        _limit(source, name, enough_px, notes)
    if not isinstance(source, Image.Image):
        raise ValueError(
            f"{name} is a {type(source).__name__}, but a picture is expected: an array (H,W,3) of uint8, a "
            f"PIL image or the path of a picture file"
        )
    tags = getattr(source, "tag_v2", {})
    if tags.get(_PLANES) == 2 and max(tags.get(_BITS, (8,))) > 8:  # PIL takes single bytes for values
        raise ValueError(f"{name} is a TIFF with its channels apart, 16 bits each: save it as PNG")
    if source.mode not in _MODES and source.mode[0] not in "IF":
        raise ValueError(f"{name} is a picture of mode {source.mode}, which is not read: save it as RGB")
    if getattr(source, "is_animated", False) and source.format != "MPO":
        notes.append(f"{name} has {source.n_frames} pictures; the first one is read.")
    return source, data, name, notes


@contextmanager
def _told(img: Image.Image, name: str) -> Iterator[None]:
    """Whatever decoders raise over a damaged file, as a sentence."""
    try:
        yield
    except MemoryError:
        raise ValueError(f"{name} has {_size(img)}, too many for this memory: make it smaller") from None
    except Exception as error:
        raise ValueError(f"{name} is a damaged picture ({error}): replace or remove it") from None


def orientation_of(data: bytes) -> int:
    """How `codec.decode` gives a picture, by its EXIF orientation, 1 to 8; 1 = upright, or no picture.

    PIL turns TIFF itself.
    """
    if not any(mark in data for mark in _MAY_BE_TURNED):
        return 1
    try:
        img = _identified(data, "")
        return 1 if img.format == "TIFF" else int(img.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged data are told by who reads the picture
        return 1


def upright(img: np.ndarray, orientation: int) -> np.ndarray:
    """Picture (H,W) or (H,W,C) as it lies in the file to how it is seen, by its EXIF orientation."""
    if orientation in (5, 6, 7, 8):
        img = img.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        img = img[:, ::-1]
    return img[::-1] if orientation in (3, 4, 7, 8) else img


def _varying(alpha: np.ndarray | None, what: str) -> np.ndarray | None:
    """Alpha as uint8, None where it hides nothing."""
    alpha = None if alpha is None else to_8_bits(alpha, f"{what} has alpha, which")
    return None if alpha is None or alpha.min() == 255 else alpha


def _of_array(array: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Values and alpha of `Opened`, as they lie in an array."""
    values = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    channels = values.shape[2] if values.ndim == 3 else 1
    kinds = values.dtype.kind in "buif" and values.dtype != np.int8
    if values.ndim not in (2, 3) or channels not in (1, 3, 4) or not kinds or not values.size:
        raise ValueError(
            f"{name} is an array of shape {array.shape} and type {array.dtype}, but (H,W,3) of uint8 (RGB, 0 "
            f"to 255), uint16 or floats from 0 to 1 is expected, (H,W,4) with alpha, or (H,W) gray"
        )
    return (values[..., :3], values[..., 3]) if channels == 4 else (values, None)


def _identified(data: bytes, name: str) -> Image.Image:
    """The picture in `data`, its pixels not read yet.

    Image.open would do, but for its limit on pixels, which is one number for the whole process, and for rare
    kinds that it takes text or other files for.
    """
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
        raise ValueError(
            f"{name} is a HEIC photo, as iPhones take them, which is not read here: save it as JPEG (on the "
            f"phone: Settings, Camera, Formats, Most Compatible; on a computer: open it and export it)"
        )
    for load_kinds in (Image.preinit, Image.init):
        load_kinds()
        for factory, accepts in (Image.OPEN[kind] for kind in _KINDS if kind in Image.OPEN):
            if accepts(data[:16]) is True:
                try:
                    return factory(io.BytesIO(data), "")
                except Exception as error:  # as above
                    raise ValueError(f"{name} is a damaged picture ({error}): replace or remove it") from None
    raise ValueError(f"{name} is not a picture: expected a JPEG, PNG or WebP file")


def _limit(img: Image.Image, name: str, enough_px: int | None, notes: list[str]) -> None:
    """See to it that the pixels fit in memory: JPEG is decoded smaller where less is enough."""
    size, width = _size(img), img.width
    if enough_px and img.width * img.height > LARGE_PX:
        img.draft(None, (enough_px, enough_px))
        if img.width < width:
            notes.append(f"{name} has {size}; it was read at 1/{round(width / img.width)} of its size.")
    if img.width * img.height > MOST_PX:
        raise ValueError(f"{name} has {size}, and {MOST_PX // 10**6} are read at most: make it smaller")


def _size(img: Image.Image) -> str:
    return f"{img.width * img.height / 1e6:.0f} megapixels"


def _declared(
    img: Image.Image, data: bytes | None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Values, alpha and palette numbers of `Opened`, as they lie in the file."""
    wide = None if data is None else _sixteen_bits(img, data)
    if wide is not None:
        channels = wide.shape[2]
        alpha = wide[..., -1] if channels in (2, 4) else None
        return (wide[..., :3] if channels > 2 else wide[..., 0]), alpha, None
    if img.mode[0] in "IF":
        values = np.asarray(img).astype(np.uint16) if ";" in img.mode else np.asarray(img)
        if getattr(img, "tag_v2", {}).get(_BITS) == (12,):  # a TIFF that says so
            values = ((values.astype(np.uint32) * _FULL_16 + 2047) // 4095).astype(np.uint16)
        clear = img.info.get("transparency")
        return values, None if clear is None else np.where(values == clear, 0, 255).astype(np.uint8), None
    palette = np.asarray(img.getchannel(0)) if img.mode in ("P", "PA") else None
    transparent = img.has_transparency_data
    img = img.convert("LA") if img.mode == "La" else img
    mode = "RGBA" if transparent else "L" if img.mode in ("1", "L") else "RGB"
    values = np.asarray(img if img.mode == mode else img.convert(mode))
    return (values[..., :3], values[..., 3], palette) if transparent else (values, None, palette)


def _sixteen_bits(img: Image.Image, data: bytes) -> np.ndarray | None:
    """(H,W,2 to 4) uint16 of PNG or TIFF with 16 bits a channel, of which PIL keeps the upper 8; else None.

    The lower ones come from a second look, in which PIL takes the bytes in the other order.
    """
    layout = img.tile[0][3] if img.tile and img.format in ("PNG", "TIFF") else ""
    raw = layout if isinstance(layout, str) else layout[0]
    if raw[:-1] not in ("RGB;16", "RGBA;16", "LA;16"):
        return None
    other, turned = _identified(data, ""), raw[:-1] + _OTHER_ORDER[raw[-1]]
    if raw == "LA;16B":  # both bytes of both channels, as if they were four channels
        turned = "RGBA"
    layouts = [turned if isinstance(layout, str) else (turned, *tile[3][1:]) for tile in other.tile]
    make = getattr(type(other.tile[0]), "_make", tuple)  # tiles were plain tuples once
    other.tile = [make((*tile[:3], one)) for tile, one in zip(other.tile, layouts, strict=True)]
    if turned == "RGBA":
        parts = np.asarray(other).astype(np.uint16)
        return parts[..., 0::2] << 8 | parts[..., 1::2]
    return np.asarray(img).astype(np.uint16) << 8 | np.asarray(other)
