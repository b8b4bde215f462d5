"""Which members of an archive make up a sample, from their names; from a table, see table."""

import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mdlib.loading.archive import Archive
from mdlib.loading.foreign.folder import FolderArchive
from mdlib.loading.pictures import SUFFIXES

Members = Archive | FolderArchive
KINDS = ("fg_bg", "mask", "depth", "bg")  # also the order of the columns of a table without a header
PICTURES = {suffix[1:] for suffix in SUFFIXES}
_NUMBER = re.compile(r"[0-9]+")
_WORD_NUMBER = re.compile(r"([^\W\d_]*)[\W_]*([0-9]+)")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
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
    samples = sorted(trees["fg_bg"], key=in_order)
    members = {"fg_bg": np.array([trees["fg_bg"][name] for name in samples], np.int64)}
    for kind in ("mask", "depth"):
        if kind in trees:
            members[kind] = _partners(samples, trees[kind], folders[kind], path)
    backgrounds = sorted(trees["bg"], key=in_order)
    numbers = _numbers(samples)
    if samples_per_background:
        bg = numbers // samples_per_background
        if bg.max() >= len(backgrounds):
            raise ValueError(
                f"{path}: sample {samples[int(numbers.argmax())]!r} is number {numbers.max()} and so on "
                f"background number {bg.max()} (samples_per_background is {samples_per_background}), "
                f"but there are {len(backgrounds)}: {some(backgrounds)}"
            )
    else:
        bg = _background_of_folder(samples, backgrounds, folders, path)
    bg_members = np.array([trees["bg"][name] for name in backgrounds], np.int64)
    return Found(samples, numbers, members, bg, backgrounds, bg_members)


def _trees(archive: Members, folders: dict[str, str], path: Path) -> dict[str, dict[str, int]]:
    """Kind -> path of each picture below the folder of that kind, without its suffix -> member number.

    A ZIP file that is called like a folder counts as one.
    """
    kinds = {composed(folder): kind for kind, folder in folders.items() if folder}
    trees: dict[str, dict[str, int]] = {kind: {} for kind in kinds.values()}
    names = [composed(name) for name in archive.names()]
    for part, file in enumerate(archive.paths):
        within = archive.part_slice(part)
        parents = {name.rpartition("/")[0] for name in names[within]}
        places = {folder: _place_in_tree(folder.split("/"), kinds) for folder in parents}
        if isinstance(archive, Archive) and file.stem in kinds and not any(places.values()):
            places = {folder: _place_in_tree([file.stem, *folder.split("/")], kinds) for folder in places}
        for member, name in enumerate(names[within], within.start):
            folder, _, file_name = name.rpartition("/")
            stem, _, suffix = file_name.rpartition(".")
            if places[folder] is None or suffix.lower() not in PICTURES or not stem or stem[0] == ".":
                continue
            kind, below = places[folder]
            tree = trees[kind]
            if tree.setdefault(below + stem, member) != member:
                other = names[tree[below + stem]]
                raise ValueError(f"{path}: {name!r} and {other!r} are the same picture twice; remove one")
    for folder, kind in kinds.items():
        if not trees[kind]:
            raise ValueError(
                f"{path}: no pictures of {kind} in a folder {folder!r}; found {some(sorted(tops(names)))}. "
                + (inner_archive(names, path) or "Give the layout the names of the folders.")
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
    if max(found) < 0:
        found = _by_numbers(samples, tree, folder, path)
        if min(found) < 0 and len({_digits(name) for name in tree}) < len(tree):
            raise ValueError(
                f"{path}: the names in {folder!r}, such as {min(tree)!r}, are not those of the samples, such "
                f"as {samples[0]!r}, and the numbers in them do not tell them apart either"
            )
    if min(found) < 0:
        missing = samples[found.index(-1)]
        raise ValueError(
            f"{path}: sample {missing!r} has no picture in {folder!r}; {found.count(-1)} of "
            f"{len(samples)} samples lack theirs"
        )
    members, counts = np.unique(found, return_counts=True)
    if counts.max() > 1:
        shared = np.flatnonzero(np.array(found) == members[counts.argmax()])
        first, second = (samples[i] for i in shared[:2].tolist())
        raise ValueError(f"{path}: samples {first!r} and {second!r} share one picture in {folder!r}: rename")
    return np.array(found, np.int64)


def _by_numbers(wanted: list[str], known: dict[str, int], folder: str, path: Path) -> list[int]:
    """For each name the member of the known one with the same numbers, -1 where there is none or several.

    Numbers belong together by the words before them, in any order: `b1_f2` and `f2_b1`. Where the words
    differ, as in `fg_bg_7` and `mask_7`, by their order; ValueError where a word says that this is another.
    """
    for key in (_worded, _digits):
        places: dict[tuple, str] = {}
        for name in known:
            places[key(name)] = "" if key(name) in places else name
        names = [places.get(key(name), "") for name in wanted]
        if all(names):
            break
    for one, other in zip(wanted, names, strict=True):
        words, others = ([word for word, _ in _with_words(name)] for name in (one, other))
        if key is _digits and any(w and w in others and others.index(w) != words.index(w) for w in words):
            raise ValueError(
                f"{path}: the numbers in {one!r} stand in another order than in {other!r} in {folder!r}, and "
                f"the words before them are not the same: rename them to be, such as b1_f2 and b1_f2"
            )
    return [known.get(name, -1) for name in names]


def _background_of_folder(
    samples: list[str], backgrounds: list[str], folders: dict[str, str], path: Path
) -> np.ndarray:
    """Number of the background that the first folder of each sample names; its number is enough."""
    by_name = {name: i for i, name in enumerate(backgrounds)}
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
            number = by_name.get(folder, -1)
            if number < 0:
                (number,) = _by_numbers([folder], by_name, folders["bg"], path)
            if number < 0:
                raise ValueError(
                    f"{path}: sample {sample!r} is on the background {folder!r}, which is not among "
                    f"{some(backgrounds)} in {folders['bg']!r}"
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


def _digits(name: str) -> tuple[int, ...]:
    return tuple(map(int, _NUMBER.findall(name)))


def _with_words(name: str) -> list[tuple[str, int]]:
    """The numbers in a name, each with the word before it, "" where there is none."""
    return [(word.lower(), int(number)) for word, number in _WORD_NUMBER.findall(name)]


def _worded(name: str) -> tuple:
    """The same in the order of the words; numbers behind the same word stay in theirs."""
    return tuple(sorted(_with_words(name), key=lambda pair: pair[0]))


def in_order(name: str) -> str:
    """Sort key under which img_2 comes before img_10."""
    return _NUMBER.sub(lambda match: match[0].zfill(12), name)


def tops(names: list[str]) -> set[str]:
    """The first two folders of each name, or the file itself, for messages."""
    return {"/".join(name.split("/")[:-1][:2]) or name for name in names}


def some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "nothing") + more


def composed(name: str) -> str:
    """The name with composed accents, as most systems write them; the Mac takes letter and accent apart."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def inner_archive(names: list[str], path: Path) -> str:
    """What to do about an archive among the members; "" where there is none."""
    inner = next((name for name in names if name.lower().endswith(_ARCHIVES)), "")
    return inner and f"{inner!r} is an archive itself: extract {path} first, and give the folder of {inner!r}"
