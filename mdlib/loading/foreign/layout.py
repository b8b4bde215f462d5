"""Archives that other projects published, read as they are: nothing is converted, nothing extracted.

A `Layout` says where the pictures of a sample lie and what their numbers mean; `read_layout` fills a store
from it. The pictures may be in one ZIP file, in several that lie in one folder, or extracted.
"""

import hashlib
import json
import re
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mdlib.loading import codec
from mdlib.loading.archive import Archive
from mdlib.loading.foreign import find, table
from mdlib.loading.foreign.folder import FolderArchive, Upright
from mdlib.loading.masks import MaskReader, check_class
from mdlib.loading.pictures import rgb_of
from mdlib.loading.store import Store

_IDENTITY_SAMPLES = 64
_CHECKED_BACKGROUNDS = 8
_NOISE = 8  # mean levels that a pixel may differ where nothing was added
_CHECKED_MASKS = 16
_ANOTHER_PLACE = 25  # mean levels between a sample and its bg; JPEG leaves up to 5, other rooms 57


@dataclass(frozen=True)
class Layout:
    """Where archives of another project keep the pictures of a sample, and what they mean.

    A table (`labels`) tells which pictures belong together, or equal paths below the folders of the kinds, as
    in `fg_bg/bg_001/img_1.jpg` and `fg_bg_mask/bg_001/img_1.jpg`. The background is then that of the first
    folder, or every so many samples the next one (`samples_per_background`).

    Example:
        >>> open_dataset("archives", Layout(depth="", samples_per_background=4000))
    """

    labels: str = ""
    """Name of a table with tabs or commas, one row a sample, that names its fg_bg, mask, depth and bg."""
    columns: tuple[str, ...] = ()
    """What the columns of the table are: fg_bg, mask, depth, bg or "-"; by its header where this is empty."""
    fg_bg: str = "fg_bg"
    """Folder of the composed pictures."""
    mask: str = "fg_bg_mask"
    """Folder of the masks."""
    depth: str = "fg_bg_depth"
    """Folder of the depth maps; empty where there are none."""
    bg: str = "bg"
    """Folder of the backgrounds."""
    samples_per_background: int = 0
    """Samples on each background, one background after the other; 0 where the folder names the background."""
    placements: int = 0
    """Samples in a row that show the same cut-out, where their order tells the cut-out."""
    cutouts: int = 0
    """After so many cut-outs the first comes again (on the next background)."""
    cutout_pattern: str = ""
    """Regular expression whose group finds the cut-out in the name of a sample, such as "fg([0-9]+)"."""
    invert_depth: bool = False
    """Depth was stored far = white, and is read as 255 - x."""
    depth_unit: str = "mm"
    """Unit of depth in 16 bits: mm, cm, m, or how many a metre has, such as 5000 (TUM) or 256 (KITTI)."""
    mask_class: str = ""
    """Of masks with several classes, the one that is the object: a number, or a colour such as "#c08080"."""
    mask_black: int = codec.RINGING[0]
    """Masks in JPEG: values up to this one become 0."""
    mask_white: int = codec.RINGING[1]
    """Masks in JPEG: values from this one on become 255."""

    def __post_init__(self):
        codec.ringing_table(self.mask_black, self.mask_white)
        codec.units_per_metre(self.depth_unit)
        check_class(self.mask_class)
        if (self.cutouts > 0) != (self.placements > 0):
            raise ValueError(
                f"placements is {self.placements}, cutouts {self.cutouts}: give both, or neither"
            )
        if min(self.samples_per_background, self.placements, self.cutouts) < 0:
            raise ValueError("the counts of a layout cannot be negative")
        if self.cutout_pattern and (self.cutouts or re.compile(self.cutout_pattern).groups != 1):
            raise ValueError(
                f"cutout_pattern is {self.cutout_pattern!r}: it needs exactly one group, as in 'fg([0-9]+)', "
                f"and no placements and cutouts beside it"
            )
        wrong = set(self.columns) - {*find.KINDS, "-"}
        if wrong or (self.columns and not {"fg_bg", "mask", "bg"} <= set(self.columns)):
            raise ValueError(
                f"columns are {self.columns}; expected fg_bg, mask, bg, perhaps depth, and '-' for others"
            )

    def described(self) -> dict:
        """What JSON keeps of it; two fields only where they are set, so that archives keep their identity."""
        later = {"depth_unit": "mm", "mask_class": ""}
        return {name: value for name, value in asdict(self).items() if later.get(name) != value}


def open_source(path: str | Path) -> find.Members:
    """A ZIP file, or all ZIP files that lie in a folder, or a folder of pictures, as one list of members.

    Raises FileNotFoundError, or ValueError for a file that is no whole ZIP archive.
    """
    path = Path(path)
    if not path.is_dir():
        return Archive(path)
    archives = sorted(p for p in path.iterdir() if p.suffix.lower() == ".zip" and not p.name.startswith("."))
    return Archive(archives) if archives else FolderArchive(path)


def read_layout(path: str | Path, layout: Layout) -> Store:
    """The store of the archives at `path`, which are laid out as `layout` says.

    Reads directories, the table, and the pictures of a few samples, as a check. Depth in 8 bits is of kind
    "relative": closer is larger, without a unit; in 16 bits it is "metric", in the layout's depth_unit.
    The `id` of the data set covers the layout, the names of all samples and the bytes of 64 of them, and is
    the same for archives and the folders extracted from them.
    Raises FileNotFoundError, or ValueError with a sentence where a member is missing, the names do not
    correspond, a mask or depth map is a colour picture, or the background does not look like its samples.
    """
    path = Path(path)
    archive = open_source(path)
    folders = {kind: getattr(layout, kind) for kind in find.KINDS}
    if layout.labels:
        found = table.by_table(archive, layout.labels, layout.columns, folders, path)
    else:
        found = find.by_folders(archive, folders, layout.samples_per_background, path)
    cutouts, fg = _cutouts(found.samples, found.numbers, layout)
    used, bg = np.unique(found.bg, return_inverse=True)  # archives in parts: leave out what no sample shows
    info = {
        "format": "layout",
        "id": _identity(archive, layout, found),
        "encoding": "source",
        "depth": {"kind": "none"},
        "backgrounds": [{"id": found.backgrounds[b], "name": found.backgrounds[b]} for b in used.tolist()],
        "cutouts": cutouts,
        "shards": [],
        "counts": {"samples": len(found.samples), "backgrounds": len(used), "cutouts": len(cutouts)},
    }
    if "depth" in found.members:
        info["depth"] = {"kind": "relative", "dtype": "uint8", "unit": "closeness / 255"}  # until it is seen
    upright = Upright(archive)
    info["size"] = list(_picture(path, upright, int(found.members["fg_bg"][0])).shape[:2])
    columns = {"sample": np.array([name.encode("utf-8", "surrogateescape") for name in found.samples])}
    store = Store(
        path, info, columns, bg.astype(np.int64), fg[:, None], upright, found.members, found.bg_members[used]
    )
    _set_tables(store, layout)
    _check_pairs(store)
    return store


def _cutouts(samples: list[str], numbers: np.ndarray, layout: Layout) -> tuple[list[dict], np.ndarray]:
    """Entries of the cut-outs, none where the layout does not tell them, and the number of each sample's."""
    if layout.cutouts:
        fg = numbers // layout.placements % layout.cutouts
        names, fg = np.unique(fg, return_inverse=True)
    elif layout.cutout_pattern:
        pattern = re.compile(layout.cutout_pattern)
        matches = [pattern.search(name) for name in samples]
        if None in matches:
            raise ValueError(
                f"cutout_pattern {layout.cutout_pattern!r} finds nothing in the name of sample "
                f"{samples[matches.index(None)]!r}"
            )
        names, fg = np.unique([match[1] for match in matches], return_inverse=True)
    else:
        return [], np.arange(len(samples))
    entries = [{"id": str(name), "name": str(name), "group": k} for k, name in enumerate(names.tolist())]
    return entries, fg.astype(np.int64)


def _identity(archive: find.Members, layout: Layout, found: find.Found) -> str:
    digest = hashlib.sha256(json.dumps(layout.described()).encode())
    digest.update("\n".join(found.samples).encode("utf-8", "surrogateescape"))
    digest.update(found.bg.astype("<i8").tobytes())
    rows = np.unique(np.linspace(0, len(found.samples) - 1, _IDENTITY_SAMPLES).astype(np.int64))
    members = [member for kind in found.members.values() for member in kind[rows].tolist()]
    for member in members + found.bg_members[found.bg[rows]].tolist():
        digest.update(hashlib.sha256(archive.read(member)).digest())
    return digest.hexdigest()


def _set_tables(store: Store, layout: Layout) -> None:
    """See from some samples what has to be done with the values of masks and depth."""
    ringing = layout.mask_black, layout.mask_white
    rows = np.unique(np.linspace(0, len(store.bg) - 1, _CHECKED_MASKS).astype(np.int64))
    members = {
        int(member): f"{store.path}: mask {store.archive.name(member)!r}"
        for member in store.members["mask"][rows]
    }
    samples = {name: store.archive.read(member) for member, name in members.items()}
    store.readers["mask"], notes = MaskReader.for_samples(samples, layout.mask_class, ringing)
    if notes:
        warnings.warn(f"{notes[0]}; the same goes for {len(notes)} of {len(rows)} looked at", stacklevel=3)
    if store.readers["mask"].plain[:1] == ("JPEG",):
        store.tables["mask"] = codec.ringing_table(*ringing)
    if "depth" in store.members:
        _set_depth_table(store, layout)


def _set_depth_table(store: Store, layout: Layout) -> None:
    member = int(store.members["depth"][0])
    what = f"{store.path}: depth {store.archive.name(member)!r} is"
    try:
        img = codec.as_gray(_picture(store.path, store.archive, member))
    except ValueError as error:
        raise ValueError(f"{what} {error}") from None
    if img.dtype == np.uint16 and not layout.invert_depth:
        facts = {"unit": "millimetres, 0 = unknown", "direction": "larger = farther", "near_m": codec.NEAR_M}
        store.info["depth"] = {"kind": "metric", "dtype": "uint16", **facts}
        stored = np.arange(1 << 16).astype(np.uint16)
        store.tables["depth"] = codec.z_to_mm(codec.metres(stored, layout.depth_unit))
    elif img.dtype != np.uint8 or layout.depth_unit != "mm":
        raise ValueError(
            f"{what} of type {img.dtype}: depth is 8-bit closeness, perhaps with invert_depth, or 16-bit "
            f"distance with a depth_unit"
        )
    elif layout.invert_depth:
        store.tables["depth"] = codec.inversion_table()


def _picture(path: Path, archive: Upright, member: int) -> np.ndarray:
    try:
        return codec.decode(archive.read(member))
    except ValueError as error:
        raise ValueError(f"{path}: {archive.name(member)!r}: {error}") from None


def _check_pairs(store: Store) -> None:
    """Outside its mask, a sample looks like its background, and it is its mask that shows where it does not.

    Wrong numbers would pair strangers in silence.
    """
    looked_at: dict[
        str, tuple[np.ndarray, np.ndarray]
    ] = {}  # sample -> where it differs, what its mask marks
    order = np.argsort(store.bg, kind="stable")
    chosen = np.unique(np.linspace(0, len(store.bg_members) - 1, _CHECKED_BACKGROUNDS).astype(int))
    first, last = (np.searchsorted(store.bg[order], chosen, side) for side in ("left", "right"))
    for row in np.unique(order[np.concatenate([first, last - 1])]).tolist():
        sample = {kind: pictures[0].numpy() for kind, pictures in store.tensors(np.array([row])).items()}
        fg_bg, outside = sample["fg_bg"].transpose(1, 2, 0), sample["mask"][0] == 0
        number = int(store.bg[row])
        what = f"sample {store.columns['sample'][row].decode()}"
        name = store.info["backgrounds"][number]["name"]
        bg = _picture(store.path, store.archive, int(store.bg_members[number]))
        bg = rgb_of(bg, f"{store.path}: background {name}")
        if bg.shape != fg_bg.shape:
            raise ValueError(
                f"{store.path}: {what} has the shape {fg_bg.shape}, but its background {name} {bg.shape}; "
                f"pictures of different sizes are not read: bring them to one size first"
            )
        difference = np.abs(fg_bg[outside].astype(np.int16) - bg[outside]).mean() if outside.any() else 0.0
        if difference > _ANOTHER_PLACE:
            raise ValueError(
                f"{store.path}: {what} does not look like its background {name}: outside the mask they "
                f"differ by {difference:.0f} of 255 levels. Compare the layout with the archive: which "
                f"background a sample has, and that masks are white where the object is"
            )
        change = np.abs(fg_bg.astype(np.int16) - bg).mean(2)
        looked_at[what] = change > max(_NOISE, change.max() / 4), sample["mask"][0] > 127
    strange = []
    for what, (differs, marked) in looked_at.items():
        fit = _overlap(differs, marked)
        better = max(_overlap(differs, other) for _, other in looked_at.values()) > fit + 0.2
        if marked.all() or fit < 0.1 or better:
            strange.append(what)
    if 3 * len(strange) > len(looked_at):
        raise ValueError(
            f"{store.path}: the masks of {len(strange)} of the {len(looked_at)} samples looked at, such as "
            f"{strange[0]}, do not mark what differs from the background (all black, all white, or another "
            f"sample's). Compare the layout with the archive: which mask a sample has"
        )


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union; 1 where both are empty."""
    return float((a & b).sum() / max(1, (a | b).sum())) if (a | b).any() else 1.0
