"""Pictures with measured depth: reading it, and finding the floor that objects can stand on.

Points are in metres in the camera's frame: x to the right, y down, z along the optical axis, which goes
through the centre of the picture. A plane is the vector m with m . p = 1 for its points; 1 / |m| is its
distance from the camera.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mdlib.creation.items import Background
from mdlib.creation.sources.pictures import by_stem, child_seed, folder_pictures, kept_part, read_each
from mdlib.loading import codec, pictures

FLOOR = 2  # what the generator is for
_TRIES = 600
_POINTS = 4000  # that candidates are judged by
_REACH = 6  # the three pixels of a candidate lie within one sixth of the picture
_LOOSE, _TIGHT = 0.03, 0.004  # distance from the plane over z; 1.2 cm at 3 metres where depth is exact
_BENEATH = 3  # points on a plane that outweigh one beneath it
_STEEPEST = np.cos(np.radians(40))  # the camera may look down or up by as much
_LOWEST_CAMERA_M = 0.2
_LEAST = 0.015  # share of the pixels that a floor must have
_SAME_SHAPE = 0.03  # as for masks
UNITS = ("mm", "cm", "m", "5000", "256")  # of depth that are common; the numbers are those of TUM and KITTI
_USUAL_M = 1.5  # height of a camera
_NAMED = {"mm", "cm", "m"}
_CAMERA_M, _CAMERA_BY_NUMBER_M = (0.5, 4.0), (0.35, 10.0)  # of a number somebody has thought


class Floor(NamedTuple):
    """mask (H,W) bool, where the floor is seen; camera_height_m over it; normal (3,), upwards, length 1."""

    mask: np.ndarray
    camera_height_m: float
    normal: np.ndarray


def add_depth(
    backgrounds: list[Background], folder: Path, depth: Path, seed: int, unit: str = "mm"
) -> list[Background]:
    """The pictures of `folder` with the depth of the same stem from the folder `depth`, and their floors.

    Depth is 16-bit PNG in `unit` (see codec.metres), 0 and 65,535 = unknown, of the picture's shape at any
    size; it is cropped and resized like the picture, by the nearest pixel, never averaged. `backgrounds` need
    focal_px. Raises ValueError, naming every file at fault, where depth is missing, of another kind or shows
    no floor, and where the floors are so far below the camera that the unit must be another one.
    """
    stems = by_stem(folder_pictures(depth, "depth of the backgrounds"), "depth pictures")
    paths = folder_pictures(folder, "backgrounds")
    by_stem(paths, "pictures that would share the depth")
    numbers = {path: i for i, path in enumerate(paths)}

    def read(path: Path) -> Background:
        number = numbers[path]
        if path.stem not in stems:
            raise ValueError(f"{path} has no depth: {depth} holds no picture called {path.stem!r}")
        z = _read_depth(stems[path.stem], path, backgrounds[number].rgb.shape[:2], unit)
        background = replace(backgrounds[number], z=z)
        floor = _floor_of(background, child_seed(seed, FLOOR, number), unit)
        heights.append(floor.camera_height_m)
        return replace(background, floor=floor.mask)

    heights: list[float] = []
    found = read_each(paths, read)
    low, high = _CAMERA_M if unit in _NAMED else _CAMERA_BY_NUMBER_M
    if not low <= (height := float(np.median(heights))) <= high:
        per_metre = codec.units_per_metre(unit)
        advice = _advice({other: height * _change(unit, other) for other in UNITS})
        if unit in _NAMED:
            advice += f" If it really was there, give the number: --depth-unit {per_metre:g}"
        raise ValueError(
            f"{depth}: with {per_metre:g} units to the metre ({unit}) the camera is {height:.2f} m above the "
            f"floor. {advice}"
        )
    return found


def with_floor(background: Background, seed: int) -> Background:
    """A background with depth and focal length, with its floor as well; ValueError where none is found."""
    return replace(background, floor=_floor_of(background, seed).mask)


def _floor_of(background: Background, seed: int, unit: str = "") -> Floor:
    floor = find_floor(background.z, background.focal_px, seed)
    if floor is None:
        floors = {
            other: find_floor(background.z * _change(unit, other), background.focal_px, seed)
            for other in UNITS
            if unit
        }
        advice = _advice({other: one.camera_height_m for other, one in floors.items() if one}) if unit else ""
        raise ValueError(
            f"{background.name} shows no floor in its depth: there is no level surface below the camera that "
            f"fills {_LEAST:.1%} of the picture with hardly anything beneath it. Objects need one to stand "
            f"on: check --fov and --depth-unit, or remove the picture. {advice}".rstrip()
        )
    return floor


def _change(unit: str, other: str) -> float:
    """Metres in the unit `other` for each metre in `unit`."""
    return codec.units_per_metre(unit) / codec.units_per_metre(other)


def _advice(heights: dict[str, float]) -> str:
    """Which unit is likely, by what the camera's height is in each."""
    likely = {unit: height for unit, height in heights.items() if 0.5 < height / _USUAL_M < 1.6}
    unit = min(likely, key=lambda unit: abs(np.log(likely[unit] / _USUAL_M)), default="")
    return f"With --depth-unit {unit} it is at {likely[unit]:.2f} m." if unit else ""


def find_floor(z: np.ndarray, focal_px: float, seed: int) -> Floor | None:
    """The lowest large level plane in z (H,W) metres, nan unknown; None where there is none.

    Random triples of nearby pixels propose planes (Fischler and Bolles 1981); the one with most points on it,
    less those beneath it, is fitted to its points by least squares, ever more tightly as far as the noise of
    the depth allows.
    """
    points = _back_project(z, focal_px)  # (H, W, 3)
    known = np.isfinite(points[..., 2])
    flat = points[known]
    if len(flat) < 3:
        return None
    # Only `random` is used: numpy keeps the doubles of a bit generator the same from version to version.
    rng = np.random.Generator(np.random.PCG64(seed))
    planes = _candidates(points, known, rng)
    some = flat[:: -(-len(flat) // _POINTS)]
    best = max(((_score(some, m), -i) for i, m in enumerate(planes)), default=(0, 0))
    if best[0] <= 0:
        return None
    m, tolerance = planes[-best[1]], _LOOSE
    for _ in range(6):
        off = np.abs(_above(flat, m))
        noise = 1.4826 * np.median(off[off <= tolerance])
        tolerance = float(np.clip(3 * noise, _TIGHT, _LOOSE))
        m = _fit(flat[off <= tolerance])
        if m is None or not _is_level(m):
            return None
    mask = np.zeros(z.shape, bool)
    mask[known] = np.abs(_above(flat, m)) <= tolerance
    length = float(np.sqrt((m * m).sum()))
    return Floor(mask, 1 / length, -m / length) if mask.mean() >= _LEAST else None


def _read_depth(path: Path, picture: Path, size: tuple[int, int], unit: str) -> np.ndarray:
    z, whole = codec.read_depth(path, unit), pictures.read(picture, enough_px=2 * max(size)).img.shape
    height, width = z.shape
    if not 1 - _SAME_SHAPE < (width * whole[0]) / (height * whole[1]) < 1 + _SAME_SHAPE:
        raise ValueError(
            f"{path} is {width} x {height} pixels, but its picture {picture} is {whole[1]} x "
            f"{whole[0]}: depth must show the same view"
        )
    left, top, right, bottom = kept_part(width, height, size)
    rows = (top + (np.arange(size[0]) + 0.5) * ((bottom - top) / size[0])).astype(np.int64)
    columns = (left + (np.arange(size[1]) + 0.5) * ((right - left) / size[1])).astype(np.int64)
    z = z[rows[:, None], columns]
    if np.isnan(z).all():
        raise ValueError(f"{path} holds no depth: every pixel is 0 or 65,535, which means unknown")
    return z


def _back_project(z: np.ndarray, focal_px: float) -> np.ndarray:
    height, width = z.shape
    x = (np.arange(width) + 0.5 - width / 2) / focal_px
    y = (np.arange(height) + 0.5 - height / 2) / focal_px
    z = z.astype(np.float64)
    return np.stack([z * x, z * y[:, None], z], -1)


def _candidates(points: np.ndarray, known: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Level planes (N, 3) below the camera through three nearby pixels each."""
    height, width = known.shape
    rows, columns = np.nonzero(known)
    first = np.floor(rng.random(_TRIES) * len(rows)).astype(np.int64)
    reach = max(2, max(height, width) // _REACH)
    away = np.floor((rng.random((2, 2, _TRIES)) * 2 - 1) * reach).astype(np.int64)
    row = np.stack([rows[first], *np.clip(rows[first] + away[0], 0, height - 1)], 1)
    column = np.stack([columns[first], *np.clip(columns[first] + away[1], 0, width - 1)], 1)
    usable = known[row, column].all(1)
    p = points[row[usable], column[usable]]  # (N, 3 pixels, 3)
    normal = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    height_along = (normal * p[:, 0]).sum(1)
    real = np.abs(height_along) > 1e-9
    planes = normal[real] / height_along[real, None]
    return planes[_is_level(planes)]


def _is_level(m: np.ndarray) -> np.ndarray:
    """Whether planes (..., 3) lie below the camera and face up."""
    length = np.sqrt((m * m).sum(-1))
    return (m[..., 1] > _STEEPEST * length) & (length < 1 / _LOWEST_CAMERA_M)


def _above(points: np.ndarray, m: np.ndarray) -> np.ndarray:
    """How far points (N, 3) are above a plane, over their z; written without matrix products, whose
    rounding depends on the number of cores."""
    along = points[:, 0] * m[0] + points[:, 1] * m[1] + points[:, 2] * m[2]
    return (1 - along) / (np.sqrt((m * m).sum()) * points[:, 2])


def _score(points: np.ndarray, m: np.ndarray) -> float:
    """Points on the plane, the closer the more, less those clearly beneath: a table has the floor there."""
    above = _above(points, m)
    near = np.where(np.abs(above) <= _LOOSE, 1 / (1 + (above / _TIGHT) ** 2), 0.0)
    return float(near.sum()) - _BENEATH * int((above < -3 * _LOOSE).sum())


def _fit(points: np.ndarray) -> np.ndarray | None:
    """The plane with the least squared distances from points (N, 3) to it, in units of its distance."""
    products = [[float((points[:, i] * points[:, j]).sum()) for j in range(3)] for i in range(3)]
    try:
        return np.linalg.solve(np.array(products), points.sum(0))
    except np.linalg.LinAlgError:
        return None
