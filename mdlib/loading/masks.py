"""What a mask means: soft coverage of the object, 0 to 255, from whatever people store masks as.

| stored | read as |
| --- | --- |
| alpha that varies (RGBA, LA, a palette with transparency) | the alpha |
| two values or two colours | the darker one is 0, the other 255 |
| soft gray | as it is; 16 bits and floats as in pictures |
| soft in one hue, such as antialiased green on black | its strength |
| three levels: black, about 128, white | a trimap: unknown counts as no object, with a note |
| several classes, in gray, colour or a palette | ValueError that lists them; or the one that was chosen |

In JPEG values are near those that were meant: up to 16 is black, from 239 on white.
"""

import re
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mdlib.loading import codec
from mdlib.loading.pictures import Opened, Picture, Source, open_source, rgb_of, to_8_bits
from mdlib.loading.png import SIGNATURE

MOST_CLASSES = 64
_LISTED = 12
_GRAY_FORMS = {("PNG", 8, 0, False), ("JPEG", "gray"), ("JPEG", "colour")}
_JPEG_NEAR = 8  # levels that JPEG changes flat areas by
_JPEG_OFF = 0.15  # of the brightness: what its coarser colours are off the hue of a mask, at edges
_LEAST_LEVEL = 0.002  # share of the pixels that a class or the unknown part of a trimap has
_UNKNOWN = (112, 144)  # levels of it
_FAINT = 128  # numbers of classes are mostly below
_NEARLY_ALL, _MOSTLY = 0.95, 0.5


@dataclass(frozen=True)
class MaskReader:
    """How the masks of one archive are read, decided once: `reader(data, out, reduce)` as `decode_into`.

    plain: what `form_of` says of those that are 8-bit gray and mean what they say, which takes the short way;
    every other mask is looked at. () where none is plain. chosen, ringing: see `read_mask`.
    """

    plain: tuple
    chosen: str
    ringing: tuple[int, int]

    def __call__(self, data: bytes, out: np.ndarray, reduce: int = 1) -> None:
        """Read a mask into `out` (H,W) uint8; ringing is left to a table. Raises ValueError for no mask."""
        if form_of(data) == self.plain:
            codec.decode_into(data, out, reduce)
        else:
            codec.fit_into(read_mask(data, "it", self.chosen, self.ringing, turn=False).img, out, reduce)

    @classmethod
    def for_samples(
        cls, samples: dict[str, bytes], chosen: str, ringing: tuple[int, int]
    ) -> tuple["MaskReader", list[str]]:
        """The reader for an archive with such masks, by name, and notes; ValueError as `read_mask`."""
        masks = [read_mask(data, name, chosen, ringing, turn=False) for name, data in samples.items()]
        notes = [note for mask in masks for note in mask.notes]
        forms = {form_of(data) for data in samples.values()}
        form = forms.pop()
        if forms or chosen or form not in _GRAY_FORMS:
            return cls((), chosen, ringing), notes
        stored = [codec.as_gray(codec.decode(data)) for data in samples.values()]
        full_range = any(img.max() >= ringing[1] for img in stored)
        for img, mask in zip(stored, masks, strict=True):
            clean = codec.ringing_table(*ringing)[img] if form[0] == "JPEG" else img
            corner = full_range and len(np.unique(img)) <= 2  # of an object, and no class of two
            if not corner and np.abs(clean.astype(int) - mask.img).max() > _JPEG_NEAR:
                return cls((), chosen, ringing), notes
        return cls(form, chosen, ringing), notes


def form_of(data: bytes) -> tuple:
    """What the first bytes of a picture file say about its kind; equal where files are read alike."""
    if data.startswith(codec.JPEG_SIGNATURE):
        return "JPEG", "gray" if codec.is_gray_jpeg(data) else "colour"
    if data.startswith(SIGNATURE):
        return "PNG", data[24], data[25], b"tRNS" in data[33:1024]  # bits, colour type
    return ("other",)


def check_class(chosen: str) -> None:
    """ValueError where `chosen` names no class of a mask."""
    if chosen and not re.fullmatch("[0-9]{1,5}|#[0-9a-fA-F]{6}", chosen):
        raise ValueError(f"mask_class is {chosen!r}; it is a number such as 15, or a colour such as #c08080")


def read_mask(
    source: Source,
    name: str = "",
    chosen: str = "",
    ringing: tuple[int, int] = codec.RINGING,
    turn: bool = True,
) -> Picture:
    """A mask as (H,W) uint8, 255 = wholly object, and notes about what may be wrong with it.

    chosen: the class that is the object, where there are several: its gray value, its number in the palette,
    or its colour as "#rrggbb". ringing: values in JPEG up to which it is black, and from which it is white.
    Raises FileNotFoundError, or ValueError for what is no mask, or has several classes and none was chosen.
    """
    opened = open_source(source, name, turn=turn)
    notes = list(opened.notes)
    if chosen:
        mask = _of_class(opened, chosen)
    elif opened.alpha is not None:
        mask = opened.alpha
    else:
        values = opened.values if opened.values.ndim == 2 else _brightness(opened)
        mask = _coverage(values, opened, notes)
        mask = codec.ringing_table(*ringing)[mask] if opened.lossy else mask
    share = float((mask >= 128).mean())
    rim = float((np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]) >= 128).mean())
    if max(share, rim) > _NEARLY_ALL:
        notes.append(
            f"{opened.what} marks {share:.0%} of the picture and {rim:.0%} of its border as the object: it "
            f"may be inverted (white is the object)"
        )
    gray = float(((mask > codec.RINGING[0]) & (mask < codec.RINGING[1])).mean())
    if gray > _MOSTLY:
        notes.append(
            f"{opened.what} is neither black nor white in {gray:.0%} of the picture: it may be no mask"
        )
    return Picture(mask, notes)


def _coverage(values: np.ndarray, opened: Opened, notes: list[str]) -> np.ndarray:
    """One channel to coverage (H,W) uint8; `notes` get what is doubtful."""
    if values.dtype.kind == "f":
        values = to_8_bits(values, opened.what)
    counts = _counts(values)
    used = np.flatnonzero(counts)
    if len(used) == 1 or (len(used) == 2 and not opened.lossy):
        return np.where(values == used[-1], 255 * (used[-1] > 0), 0).astype(np.uint8)
    if len(used) <= MOST_CLASSES and used[-1] < _FAINT and not opened.lossy:
        raise _several(opened, [(str(v), counts[v] / values.size) for v in used.tolist()])
    img = to_8_bits(values, opened.what)
    levels = _flat_levels(img, counts if img is values else _counts(img), opened.lossy)
    if not levels:
        return img
    near = _JPEG_NEAR if opened.lossy else 0
    dark, bright = (img <= codec.RINGING[0]).mean(), (img >= codec.RINGING[1]).mean()
    (level, share), *others = levels
    if not others and bright < _LEAST_LEVEL:  # one class, and its soft edge
        return np.rint(img * (255 / (level - near))).clip(0, 255).astype(np.uint8)
    if not others and _UNKNOWN[0] <= level <= _UNKNOWN[1] and min(dark, bright) >= _LEAST_LEVEL:
        notes.append(
            f"{opened.what} is a trimap: {share:.1%} of it is unknown (gray), which counts as no object; cut "
            f"the object out with soft edges to get them"
        )
        return np.rint((img.astype(np.float32) - level) * (255 / (255 - level))).clip(0, 255).astype(np.uint8)
    if opened.lossy or len(used) <= MOST_CLASSES:
        raise _several(opened, [("0", dark), *((str(v), part) for v, part in levels), ("255", bright)])
    areas = ", ".join(f"{v} ({part:.1%})" for v, part in levels)
    notes.append(f"{opened.what} has flat gray areas, taken for half transparent: {areas}")
    return img


def _counts(values: np.ndarray) -> np.ndarray:
    if values.dtype.itemsize == 1:
        return np.array(Image.fromarray(values.astype(np.uint8)).histogram())
    if values.min() < 0 or values.max() > 65535:
        return np.ones(MOST_CLASSES + 1)  # told by to_8_bits
    return np.bincount(values.ravel())


def _flat_levels(img: np.ndarray, counts: np.ndarray, lossy: bool) -> list[tuple[int, float]]:
    """Grays between black and white that fill areas 3 or more pixels wide, from dark to bright; their shares.

    Edges and noise are thin or hold all values alike, and so do not count.
    """
    near = _JPEG_NEAR if lossy else 0
    counts = counts.copy()
    counts[: codec.RINGING[0] + 1] = counts[codec.RINGING[1] :] = 0
    found = []
    while len(found) <= MOST_CLASSES:
        level = int(counts.argmax())
        window = slice(max(0, level - near), level + near + 1)
        around = slice(max(0, level - 3 * near), level + 3 * near + 1)
        if counts[window].sum() < _LEAST_LEVEL * img.size:
            break
        if counts[window].sum() > 0.6 * counts[around].sum():
            own = np.abs(img.astype(np.int16) - level) <= near
            rows = own[:-2] & own[1:-1] & own[2:]
            inner = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
            if inner.sum() > 0.2 * own.sum():
                found.append((level, float(own.mean())))
        counts[around] = 0
    return sorted(found)


def _brightness(opened: Opened) -> np.ndarray:
    """A mask in colours, (H,W,3), as one channel: gray, one hue on black, or two colours."""
    red, green, blue = np.moveaxis(opened.values, 2, 0)
    if (red == green).all() and (green == blue).all():
        return green
    img = to_8_bits(opened.values, opened.what)
    if opened.lossy and int((img.max(2) - img.min(2)).max()) <= codec.COLOUR:
        return img[..., 1]
    codes = img @ np.array([1 << 16, 1 << 8, 1])
    first = codes.flat[0]
    others = codes[codes != first]
    if not len(others) or (others == others[0]).all():
        second = others[0] if len(others) else first
        bright = max((first, second), key=lambda code: (_luma(code), code))
        return (codes == bright).astype(np.uint8) * np.uint8(255)
    peak = img.max(2)
    hue = img[peak >= 0.98 * peak.max()].mean(0)
    off = np.abs(img - (peak / hue.max())[..., None] * hue).max(2)
    if off.sum() < _JPEG_OFF * peak.sum() if opened.lossy else off.max() <= 3:
        near = _JPEG_NEAR if opened.lossy else 0
        return np.rint(peak * (255 / (hue.max() - near))).clip(0, 255).astype(np.uint8)
    classes, counts = np.unique(codes, return_counts=True)
    if len(classes) > MOST_CLASSES:
        raise ValueError(f"{opened.what} is a colour picture where a mask was expected: white is the object")
    names = [f"#{code:06x}" for code in classes.tolist()]
    if opened.palette is not None:
        numbers = [int(opened.palette[codes == code][0]) for code in classes.tolist()]
        names = [f"{number} ({name})" for number, name in zip(numbers, names, strict=True)]
    raise _several(opened, list(zip(names, counts / codes.size, strict=True)))


def _luma(code: int) -> int:
    return 299 * (code >> 16) + 587 * (code >> 8 & 255) + 114 * (code & 255)


def _several(opened: Opened, classes: list[tuple[str, float]]) -> ValueError:
    shown = [f"{name} in {share:.1%} of it" for name, share in classes[:_LISTED] if share]
    more = f" and {len(classes) - _LISTED} more" if len(classes) > _LISTED else ""
    return ValueError(
        f"{opened.what} shows several classes: {', '.join(shown)}{more}; choose the one that is the object "
        f"with --mask-class, a number or a colour as #rrggbb"
    )


def _of_class(opened: Opened, chosen: str) -> np.ndarray:
    """255 where the picture shows the class `chosen`."""
    near = _JPEG_NEAR if opened.lossy else 0
    if chosen.startswith("#"):
        img = rgb_of(opened.values, opened.what).astype(np.int16)
        colour = [int(chosen[i : i + 2], 16) for i in (1, 3, 5)]
        return (np.abs(img - colour).max(2) <= 3 * near).astype(np.uint8) * np.uint8(255)
    values = opened.values if opened.palette is None else opened.palette
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise ValueError(f"{opened.what} has no palette, so --mask-class needs a colour, as #rrggbb")
        values = values[..., 0]
    return (np.abs(values.astype(np.int64) - int(chosen)) <= near).astype(np.uint8) * np.uint8(255)
