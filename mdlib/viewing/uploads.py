"""Pictures that people bring along: any file of any size, and in words what was done with it or is wrong."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mdlib.loading import pictures
from mdlib.modeling.networks.base import MIN_SIZE

LONGEST_PX = 1024  # twice what the network looks at; the photo of a telephone has 4,000
SAME_ASPECT = 0.01


class Upload(NamedTuple):
    """A picture as it is used, (H,W,3) uint8, and sentences about what was done with the file."""

    img: np.ndarray
    notes: list[str]


def read_upload(data: bytes, name: str, longest_px: int = LONGEST_PX) -> Upload:
    """The content of a picture file as a picture whose longer side has at most `longest_px` pixels.

    Transparent parts become white. Raises ValueError with a sentence that names the file where it is no
    picture, damaged, HEIC, or has a side under 16 pixels.
    """
    img, notes = _opened(data, name, longest_px)
    if img.mode == "RGBA":
        white = Image.new("RGBA", img.size, "white")
        img, told = Image.alpha_composite(white, img).convert("RGB"), f"{name} is transparent in parts"
        notes.append(
            f"{told}: these were made white. A cut-out is not a scene; check that it is the right file."
        )
    return Upload(np.asarray(img), notes)


def read_cutout(data: bytes, name: str, longest_px: int = LONGEST_PX) -> tuple[np.ndarray, list[str]]:
    """The content of a file with a cut-out, (h,w,4) uint8 cropped to what is not transparent, and notes.

    Raises ValueError as `read_upload`, and where nothing says which part of it is the object.
    """
    img, notes = _opened(data, name, longest_px)
    alpha = np.asarray(img)[..., 3] if img.mode == "RGBA" else None
    if alpha is None:
        raise ValueError(
            f"{name} has no transparent part, so nothing says which part of it is the object: save it as a "
            f"PNG with a transparent background, or cut it out with `python -m mdlib cutout`"
        )
    if alpha.max() < 128:
        raise ValueError(f"{name} is transparent nearly everywhere: there is no object in it")
    rows, columns = np.flatnonzero(alpha.max(1) > 2), np.flatnonzero(alpha.max(0) > 2)
    return np.asarray(img)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy(), notes


def file_bytes(path: str | Path) -> bytes:
    """The content of a picture file; raises FileNotFoundError with a sentence where there is none."""
    path = Path(path).expanduser()
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "was not found"
        raise FileNotFoundError(f"{path} {what}: give the path of one picture file")
    return path.read_bytes()


def fit_pair(bg_img: np.ndarray, fg_bg_img: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Both pictures in one size where they differ in nothing but resolution, and a sentence about it.

    The larger one is made smaller. Raises ValueError where their shapes differ by more than 1 %.
    """
    (bg_h, bg_w), (h, w) = bg_img.shape[:2], fg_bg_img.shape[:2]
    if (bg_h, bg_w) == (h, w):
        return bg_img, fg_bg_img, []
    if abs(bg_w * h / (bg_h * w) - 1) > SAME_ASPECT:
        raise ValueError(
            f"the two pictures differ in size: the empty place has {bg_w} x {bg_h} pixels, the scene "
            f"{w} x {h}. Take both with the same camera from the same spot, or crop them alike."
        )
    size = (bg_w, bg_h) if bg_w < w else (w, h)
    note = (
        f"The two pictures differ in size ({bg_w} x {bg_h} and {w} x {h}): the larger one was made smaller."
    )
    pair = [
        np.asarray(Image.fromarray(img).resize(size, Image.Resampling.BOX)) for img in (bg_img, fg_bg_img)
    ]
    return pair[0], pair[1], [note]


def _opened(data: bytes, name: str, longest_px: int) -> tuple[Image.Image, list[str]]:
    """A picture file as RGB or, with transparent parts, RGBA, no larger than `longest_px`; notes."""
    img, notes = pictures.read_image(data, name, enough_px=2 * longest_px)
    width, height = img.size
    if min(img.size) < MIN_SIZE:
        raise ValueError(
            f"{name} has only {width} x {height} pixels, but each side needs at least {MIN_SIZE}: "
            f"take a larger picture"
        )
    if max(img.size) > longest_px:
        # Whole factors first: 40 megapixels are averaged in a tenth of the time.
        img = img.reduce(max(1, max(img.size) // (2 * longest_px)))
        scale = longest_px / max(width, height)
        small = (max(MIN_SIZE, round(width * scale)), max(MIN_SIZE, round(height * scale)))
        img = img.resize(small, Image.Resampling.BOX)
        if not notes:  # which tell of its size already
            megapixels = width * height / 1e6
            notes = [
                f"{name} has {megapixels:.0f} megapixels; it was made smaller, to {small[0]} x {small[1]}."
            ]
    return img, notes
