"""Backgrounds and cut-outs, from folders of pictures or drawn by the ray-caster."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from mdlib.creation.items import Background, Cutout, to_whole_mm
from mdlib.loading import pictures
from mdlib.loading.masks import read_mask

FORMATS = "JPEG, PNG and WebP"
_LEFT_BY_SYSTEMS = {"thumbs.db", "desktop.ini"}  # appear by themselves; hidden files are skipped as well
_MAX_LISTED = 5
_NOISE = 2  # alpha up to this (of 255) is taken for the noise of a mask, and as transparent
_SAME_SHAPE = 0.03  # masks made by other tools are often a pixel larger or smaller than the picture
_ROOM, _PROP = 0, 1

T = TypeVar("T")


def folder_pictures(folder: str | Path, what: str) -> list[Path]:
    """The picture files of a folder in the order of their names; `what` names their use in errors.

    Hidden files are skipped. Raises FileNotFoundError or NotADirectoryError, and ValueError for a folder
    without pictures or with anything else in it.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: there is no such folder; it should hold the {what}")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; give the folder that holds the {what}")
    entries = [p for p in sorted(folder.iterdir()) if not _is_side_file(p.name)]
    others = [p for p in entries if p.is_dir() or p.suffix.lower() not in pictures.SUFFIXES]
    if others:
        names = [p.name + ("/ (a folder)" if p.is_dir() else "") for p in others[:_MAX_LISTED]]
        more = f" and {len(others) - _MAX_LISTED} more" if len(others) > _MAX_LISTED else ""
        raise ValueError(
            f"{folder} holds something other than pictures: {', '.join(names)}{more}. "
            f"{FORMATS} files are read ({' '.join(pictures.SUFFIXES)}); convert or move away the rest."
        )
    if not entries:
        raise ValueError(f"{folder} is empty: put the {what} into it, as {FORMATS} files")
    return entries


def folder_backgrounds(
    folder: str | Path, size: tuple[int, int], upscale: bool = False, fov: float | None = None
) -> list[Background]:
    """The pictures of a folder as backgrounds of `size` = (H, W).

    Each is cropped around its centre to the aspect of `size`, then resized; `fov`, the horizontal field of
    view of the whole pictures in degrees, gives their focal length. Raises ValueError, naming every file at
    fault, for damaged pictures and, unless `upscale`, for pictures smaller than `size`.
    """
    paths = folder_pictures(folder, "backgrounds")
    return read_each(paths, lambda path: _background(path, size, upscale, fov))


def folder_cutouts(
    folder: str | Path,
    masks: str | Path | None = None,
    longest_px: int | None = None,
    mask_class: str = "",
) -> list[Cutout]:
    """The pictures of a folder as cut-outs, cropped to the box of their alpha.

    Alpha comes from the pictures, or from those of the same stem in the folder `masks` (see `read_mask`, also
    for `mask_class`). Cut-outs whose longer side exceeds `longest_px` are made that small. Warns of masks
    that are doubtful. Raises ValueError, naming every file at fault, where alpha or mask is missing, empty or
    of another shape than the picture.
    """
    paths = folder_pictures(folder, "cut-outs")
    if masks is None:
        return read_each(paths, lambda path: _cutout(path, longest_px))
    mask_of = by_stem(folder_pictures(masks, "masks of the cut-outs"), "masks")
    by_stem(paths, "pictures that would share the mask")
    notes: list[str] = []

    def masked(path: Path) -> Cutout:
        if path.stem not in mask_of:
            raise ValueError(f"{path} has no mask: {masks} holds no picture called {path.stem!r}")
        return _cutout(path, longest_px, mask_of[path.stem], mask_class, notes)

    cutouts = read_each(paths, masked)
    if notes:
        more = f" (and {len(notes) - _MAX_LISTED} more)" if len(notes) > _MAX_LISTED else ""
        warnings.warn("; ".join(notes[:_MAX_LISTED]) + more, stacklevel=2)
    return cutouts


def room_background(number: int, size: tuple[int, int], seed: int) -> Background:
    """Room `number` of the endless series that belongs to `seed`, with exact depth."""
    from mdlib.rooms.generate import render_room

    room = render_room(child_seed(seed, _ROOM, number), size)
    return Background(f"room-{number:04d}", room.rgb, to_whole_mm(room.z), room.floor, float(room.focal_px))


def prop_cutout(number: int, seed: int) -> Cutout:
    """Prop `number` of the endless series that belongs to `seed`, with relief and true height."""
    from mdlib.rooms.generate import render_prop

    prop = render_prop(child_seed(seed, _PROP, number))
    return Cutout(f"prop-{number:04d}", prop.rgba, to_whole_mm(prop.relief), float(prop.height_m))


def room_backgrounds(n: int, size: tuple[int, int], seed: int) -> list[Background]:
    """The first `n` rooms of `seed`."""
    return [room_background(i, size, seed) for i in range(n)]


def prop_cutouts(n: int, seed: int) -> list[Cutout]:
    """The first `n` props of `seed`."""
    return [prop_cutout(i, seed) for i in range(n)]


def child_seed(*numbers: int) -> int:
    """An own seed for the source that `numbers` name."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _is_side_file(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LEFT_BY_SYSTEMS


def read_each(paths: list[Path], read: Callable[[Path], T]) -> list[T]:
    """What `read` gives for each path of one folder; one ValueError tells what is wrong with how many."""
    results, problems = [], []
    for path in paths:
        try:
            results.append(read(path))
        except ValueError as error:
            problems.append(str(error))
    if len(problems) == 1:
        raise ValueError(problems[0])
    if problems:
        lines = [f"  {problem}" for problem in problems[:_MAX_LISTED]]
        if len(problems) > _MAX_LISTED:
            lines.append(f"  and {len(problems) - _MAX_LISTED} more")
        head = f"{len(problems)} of {len(paths)} pictures in {paths[0].parent} cannot be used:"
        raise ValueError("\n".join([head, *lines]))
    return results


def kept_part(width: int, height: int, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest part of a picture around its centre that has the aspect of `size` = (H, W).

    Left, top, right and bottom in pixels of the picture.
    """
    scale = max(size[0] / height, size[1] / width)
    left, top = (width - size[1] / scale) / 2, (height - size[0] / scale) / 2
    return left, top, width - left, height - top


def _background(path: Path, size: tuple[int, int], upscale: bool, fov: float | None) -> Background:
    img, _ = pictures.read_image(path, enough_px=2 * max(size))
    if img.mode == "RGBA":
        pictures.rgb_of(np.asarray(img), str(path))  # which tells why not
    height, width = size
    if (img.height < height or img.width < width) and not upscale:
        raise ValueError(
            f"{path} is {img.width} x {img.height} pixels, smaller than the {width} x {height} asked for: "
            f"use a larger picture or a smaller --size, or have it enlarged with --upscale"
        )
    box = kept_part(img.width, img.height, size)
    resized = img.resize((width, height), Image.Resampling.LANCZOS, box=box)
    focal_px = None
    if fov is not None:
        focal_px = img.width / 2 / math.tan(math.radians(fov) / 2) * width / (box[2] - box[0])
    return Background(path.name, np.asarray(resized), focal_px=focal_px)


def _cutout(
    path: Path,
    longest_px: int | None,
    mask_path: Path | None = None,
    mask_class: str = "",
    notes: list[str] | None = None,
) -> Cutout:
    img, _ = pictures.read_image(path, enough_px=longest_px and 2 * longest_px)
    if mask_path is None and img.mode == "RGB":
        raise ValueError(
            f"{path} has no transparency, which marks the whole picture as the object: cut the object out "
            f"and save it as RGBA, or give a folder of masks with the same file names with --fg-mask"
        )
    if mask_path is not None:
        mask, told = read_mask(mask_path, chosen=mask_class)
        notes += told
        height, width = mask.shape
        if not 1 - _SAME_SHAPE < (width * img.height) / (height * img.width) < 1 + _SAME_SHAPE:
            raise ValueError(
                f"{mask_path} is {width} x {height} pixels, but its picture {path} is {img.width} x "
                f"{img.height}: make the mask from the same picture"
            )
        img = img.convert("RGB")
        img.putalpha(Image.fromarray(mask).resize(img.size, Image.Resampling.BILINEAR))
    if longest_px is not None and max(img.size) > longest_px:
        scale = longest_px / max(img.size)
        small = (max(1, round(img.width * scale)), max(1, round(img.height * scale)))
        img = img.resize(small, Image.Resampling.HAMMING)  # premultiplied by PIL; overshoots nowhere
    return Cutout(path.name, _crop_to_alpha(np.array(img), path, mask_path or path))


def _crop_to_alpha(rgba: np.ndarray, path: Path, mask_path: Path) -> np.ndarray:
    alpha = rgba[..., 3]
    alpha[alpha <= _NOISE] = 0
    if alpha.max() < 128:
        raise ValueError(
            f"{mask_path} marks no object: its {'alpha' if mask_path == path else 'brightness'} is "
            f"{alpha.max()} of 255 at most. Remove {path.name} or mark the object."
        )
    if alpha.min() == 255:
        raise ValueError(
            f"{mask_path} marks the whole picture as the object: cut the object out, or give masks with the "
            f"same file names with --fg-mask"
        )
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    return np.ascontiguousarray(rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def by_stem(paths: list[Path], what: str) -> dict[str, Path]:
    """Paths by their names without suffix; ValueError where two agree, `what` naming their use."""
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise ValueError(f"two {what} for {path.stem!r}: {found[path.stem]} and {path.name}; remove one")
        found[path.stem] = path
    return found
