"""Which members of an archive make up a sample, from their names or from a table."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mdlib.loading.archive import Archive
from mdlib.loading.foreign.folder import FolderArchive

Members = Archive | FolderArchive
KINDS = ("fg_bg", "mask", "depth", "bg")  # also the order of the columns of a table without a header
_PICTURES = {"jpg", "jpeg", "png", "webp"}
_NUMBER = re.compile(r"[0-9]+")
_SHOWN = 6


class Found(NamedTuple):
    """The samples of an archive, in their order."""

    samples: list[str]  # name of each
    numbers: np.ndarray  # int64, its number in the order of the whole set, of which this may be a part
    members: dict[str, np.ndarray]  # kind -> member number of each sample, int64
    bg: np.ndarray  # background number of each sample, int64
    backgrounds: list[str]  # name of each background
    bg_members: np.ndarray  # member number of each background, int64


def by_folders(archive: Members, folders: dict[str, str], samples_per_background: int, path: Path) -> Found:
    """Samples whose pictures have the same path below the folders of their kinds.

    folders: kind -> its folder, "" where there is none. Where the file names differ, as in `fg_bg_7.jpg` and
    `mask_7.jpg`, the numbers in the paths have to agree. The background is that of the first folder or, with
    `samples_per_background`, every so many samples the next one. Raises ValueError with a sentence where a
    folder or a picture is missing.
    """
    trees = _trees(archive, folders, path)
    samples = sorted(trees["fg_bg"], key=_in_order)
    members = {"fg_bg": np.array([trees["fg_bg"][name] for name in samples], np.int64)}
    for kind in ("mask", "depth"):
        if kind in trees:
            members[kind] = _partners(samples, trees[kind], folders[kind], path)
    backgrounds = sorted(trees["bg"], key=_in_order)
    numbers = _numbers(samples)
    if samples_per_background:
        bg = numbers // samples_per_background
        if bg.max() >= len(backgrounds):
            raise ValueError(
                f"{path}: sample {samples[int(numbers.argmax())]!r} is number {numbers.max()} and so on "
                f"background number {bg.max()} (samples_per_background is {samples_per_background}), "
                f"but there are {len(backgrounds)}: {_some(backgrounds)}"
            )
    else:
        bg = _background_of_folder(samples, backgrounds, folders, path)
    bg_members = np.array([trees["bg"][name] for name in backgrounds], np.int64)
    return Found(samples, numbers, members, bg, backgrounds, bg_members)


def by_table(
    archive: Members, labels: str, columns: Sequence[str], folders: dict[str, str], path: Path
) -> Found:
    """Samples as the tab-separated table `labels` lists them, parsed as arrays.

    columns: the kinds that the columns hold; by its header, or in the order of KINDS, where this is empty.
    folders: kind -> its folder, where paths in the table may start; without one for depth, depth is left out.
    Raises ValueError with a sentence where the table is missing or uneven, or names what is not there.
    """
    names = archive.names()
    ending = f"/{labels}"
    table = next((i for i, name in enumerate(names) if name == labels or name.endswith(ending)), None)
    if table is None:
        raise ValueError(f"{path}: no table {labels!r}; found {_some(sorted(_tops(names)))}")
    cells, kinds, first_row = _parse_table(archive.read(table), columns, f"{path}: {names[table]}")
    home = names[table].rpartition("/")[0]
    known = set(names)
    members, backgrounds, bg = {}, [], np.empty(0, np.int64)
    for kind in KINDS:
        if kind not in kinds or (kind == "depth" and not folders["depth"]):
            continue
        column = cells[:, kinds.index(kind)]
        if kind == "bg":
            column, bg = np.unique(column, return_inverse=True)
            order = sorted(range(len(column)), key=lambda i, column=column: _in_order(_text(column[i])))
            column, bg = column[order], np.argsort(order)[bg]
            backgrounds = [_text(cell) for cell in column]
        place = _place(_text(column[0]), known, (home, folders[kind]))
        members[kind] = _listed(archive, column, place, f"{path}: {names[table]}", cells, first_row)
    bg_members = members.pop("bg")
    samples = [_text(cell) for cell in cells[:, kinds.index("fg_bg")]]
    return Found(samples, np.arange(len(samples)), members, bg.astype(np.int64), backgrounds, bg_members)


def _trees(archive: Members, folders: dict[str, str], path: Path) -> dict[str, dict[str, int]]:
    """Kind -> path of each picture below the folder of that kind, without its suffix -> member number.

    A ZIP file that is called like a folder counts as one.
    """
    kinds = {folder: kind for kind, folder in folders.items() if folder}
    trees: dict[str, dict[str, int]] = {kind: {} for kind in kinds.values()}
    names = archive.names()
    for part, file in enumerate(archive.paths):
        within = archive.part_slice(part)
        parents = {name.rpartition("/")[0] for name in names[within]}
        places = {folder: _place_in_tree(folder.split("/"), kinds) for folder in parents}
        if isinstance(archive, Archive) and file.stem in kinds and not any(places.values()):
            places = {folder: _place_in_tree([file.stem, *folder.split("/")], kinds) for folder in places}
        for member, name in enumerate(names[within], within.start):
            folder, _, file_name = name.rpartition("/")
            stem, _, suffix = file_name.rpartition(".")
            if places[folder] is None or suffix.lower() not in _PICTURES or not stem or stem[0] == ".":
                continue
            kind, below = places[folder]
            tree = trees[kind]
            if tree.setdefault(below + stem, member) != member:
                other = names[tree[below + stem]]
                raise ValueError(f"{path}: {name!r} and {other!r} are the same picture twice; remove one")
    for folder, kind in kinds.items():
        if not trees[kind]:
            raise ValueError(
                f"{path}: no pictures of {kind} in a folder {folder!r}; found {_some(sorted(_tops(names)))}. "
                f"Give the layout the names of the folders."
            )
    return trees


def _place_in_tree(parts: list[str], kinds: dict[str, str]) -> tuple[str, str] | None:
    """The kind of the pictures in a folder, and the folder's path below that of the kind."""
    at = max((i for i, part in enumerate(parts) if part in kinds), default=-1)
    if at < 0 or "__MACOSX" in parts:  # the latter holds what the Mac knows about files, under the same names
        return None
    return kinds[parts[at]], "".join(f"{part}/" for part in parts[at + 1 :] if part)


def _partners(samples: list[str], tree: dict[str, int], folder: str, path: Path) -> np.ndarray:
    """The member of the tree that belongs to each sample."""
    found = [tree.get(name, -1) for name in samples]
    if max(found) < 0:  # other names: compare the numbers in them
        by_number: dict[tuple, int] = {}
        for name, member in tree.items():
            if by_number.setdefault(_digits(name), member) != member:
                raise ValueError(
                    f"{path}: the names in {folder!r}, such as {name!r}, are not those of the samples, such "
                    f"as {samples[0]!r}, and the numbers in them do not tell them apart either"
                )
        found = [by_number.get(_digits(name), -1) for name in samples]
    if min(found) < 0:
        missing = samples[found.index(-1)]
        raise ValueError(
            f"{path}: sample {missing!r} has no picture in {folder!r}; {found.count(-1)} of "
            f"{len(samples)} samples lack theirs"
        )
    return np.array(found, np.int64)


def _background_of_folder(
    samples: list[str], backgrounds: list[str], folders: dict[str, str], path: Path
) -> np.ndarray:
    """Number of the background that the first folder of each sample names; its number is enough."""
    by_name = {name: i for i, name in enumerate(backgrounds)}
    by_number = {_digits(name): i for i, name in enumerate(backgrounds)}
    if len(by_number) < len(backgrounds):
        by_number = {}
    chosen: dict[str, int] = {}
    bg = np.empty(len(samples), np.int64)
    for k, sample in enumerate(samples):
        folder, separator, _ = sample.partition("/")
        if not separator:
            raise ValueError(
                f"{path}: sample {sample!r} lies in {folders['fg_bg']!r} itself, not in a folder of its "
                f"background: give the layout samples_per_background or labels"
            )
        if folder not in chosen:
            number = by_name.get(folder, by_number.get(_digits(folder)))
            if number is None:
                raise ValueError(
                    f"{path}: sample {sample!r} is on the background {folder!r}, which is not among "
                    f"{_some(backgrounds)} in {folders['bg']!r}"
                )
            chosen[folder] = number
        bg[k] = chosen[folder]
    return bg


def _numbers(samples: list[str]) -> np.ndarray:
    """The number of each sample in the order of the whole set.

    From the last number in the names, counted from the least, where each sample has its own: a sample that
    is missing then moves no other. Otherwise its position.
    """
    last = [digits[-1] if (digits := _digits(name)) else -1 for name in samples]
    if min(last) < 0 or len(set(last)) < len(last) or max(last) >= 1 << 40:
        return np.arange(len(samples))
    return np.array(last, np.int64) - min(last)


def _parse_table(data: bytes, columns: Sequence[str], what: str) -> tuple[np.ndarray, list[str], int]:
    """Cells (N, columns) of kind S, the kind of each column, and the number of the first row, from 1."""
    lines = data.replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
    width = lines[0].count(b"\t") + 1
    uneven = next((i for i, line in enumerate(lines) if line.count(b"\t") + 1 != width), None)
    if uneven is not None:
        raise ValueError(f"{what}, row {uneven + 1}: {lines[uneven].count(9) + 1} columns, expected {width}")
    cells = np.array(b"\t".join(lines).split(b"\t")).reshape(-1, width)
    kinds = list(columns) or list(KINDS[:width])
    first = [_text(cell).strip().lower() for cell in cells[0]]
    header = not any(name.rpartition(".")[2] in _PICTURES for name in first)
    if header and not columns:
        kinds = first
    if len(cells) == header or len(kinds) != width or not {"fg_bg", "mask", "bg"} <= set(kinds):
        raise ValueError(
            f"{what}: {len(cells) - header} rows with the columns {', '.join(first)}; expected rows of "
            f"{', '.join(columns or KINDS)}. Give the layout its columns."
        )
    return cells[int(header) :], kinds, 1 + header


def _place(cell: str, known: set[str], homes: tuple[str, str]) -> tuple[str, str]:
    """What to take away from the front of the cells of a column, and what to put there, to get member names.

    Paths may start at the top of the archive, at the table, at the folder of the kind, or somewhere outside.
    """
    home, folder = homes
    bases = ("", f"{home}/" if home else "", f"{folder}/", f"{home}/{folder}/")
    parts = cell.split("/")
    for k in range(len(parts)):
        tail = "/".join(parts[k:])
        for base in bases:
            if base + tail in known:
                return cell[: len(cell) - len(tail)], base
    return "", ""  # it is not there: looking for it as it stands names it


def _listed(
    archive: Members, column: np.ndarray, place: tuple[str, str], what: str, cells: np.ndarray, first_row: int
) -> np.ndarray:
    """Numbers of the members that a column names."""
    taken, base = (text.encode() for text in place)
    strange = ~np.char.startswith(column, taken)
    names = np.char.add(base, np.array([cell[len(taken) :] for cell in column.tolist()]))
    try:
        if not strange.any():
            return archive.find_many(names)
        cell = column[strange][0]
    except KeyError:
        known = {name.encode() for name in archive.names()}
        cell = next(cell for cell, name in zip(column, names.tolist(), strict=True) if name not in known)
    row = int(np.flatnonzero((cells == cell).any(1))[0])
    raise ValueError(f"{what}, row {row + first_row}: there is no {_text(cell)!r}")


def _digits(name: str) -> tuple[int, ...]:
    return tuple(map(int, _NUMBER.findall(name)))


def _in_order(name: str) -> str:
    """Sort key under which img_2 comes before img_10."""
    return _NUMBER.sub(lambda match: match[0].zfill(12), name)


def _text(cell: bytes) -> str:
    return cell.decode("utf-8", "replace")


def _tops(names: list[str]) -> set[str]:
    """The first two folders of each name, or the file itself, for messages."""
    return {"/".join(name.split("/")[:-1][:2]) or name for name in names}


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "nothing") + more
