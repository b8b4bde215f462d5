"""The table of an archive that tells which members make up a sample."""

import csv
import io
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mdlib.loading.foreign.find import (
    KINDS,
    PICTURES,
    Found,
    Members,
    composed,
    in_order,
    inner_archive,
    some,
    tops,
)

_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}  # of byte order


def by_table(
    archive: Members, labels: str, columns: Sequence[str], folders: dict[str, str], path: Path
) -> Found:
    """Samples as the table `labels` lists them, parsed as arrays; see `_cells` for what is read.

    columns: the kinds that the columns hold; by its header, or in the order of KINDS, where this is empty.
    folders: kind -> its folder, where paths in the table may start; without one for depth, depth is left out.
    Raises ValueError with a sentence where the table is missing or uneven, or names what is not there.
    """
    names = [composed(name) for name in archive.names()]
    ending = f"/{labels}"
    table = next((i for i, name in enumerate(names) if name == labels or name.endswith(ending)), None)
    if table is None:
        raise ValueError(
            f"{path}: no table {labels!r}; found {some(sorted(tops(names)))}. {inner_archive(names, path)}"
        )
    data = archive.read(table)
    if not any("\\" in name for name in names):
        data = data.replace(b"\\", b"/")
    cells, kinds, first_row = _parse_table(data, columns, f"{path}: {names[table]}")
    home = names[table].rpartition("/")[0]
    known = set(names)
    members, backgrounds, bg = {}, [], np.empty(0, np.int64)
    for kind in KINDS:
        if kind not in kinds or (kind == "depth" and not folders["depth"]):
            continue
        column = cells[:, kinds.index(kind)]
        if kind == "bg":
            column, bg = np.unique(column, return_inverse=True)
            order = sorted(range(len(column)), key=lambda i, column=column: in_order(_text(column[i])))
            column, bg = column[order], np.argsort(order)[bg]
            backgrounds = [_text(cell) for cell in column]
        place = _place(_text(column[0]), known, (home, folders[kind]))
        members[kind] = _listed(archive, column, place, f"{path}: {names[table]}", cells, first_row)
    bg_members = members.pop("bg")
    samples = [_text(cell) for cell in cells[:, kinds.index("fg_bg")]]
    return Found(samples, np.arange(len(samples)), members, bg.astype(np.int64), backgrounds, bg_members)


def _parse_table(data: bytes, columns: Sequence[str], what: str) -> tuple[np.ndarray, list[str], int]:
    """Cells (N, columns) of kind S, the kind of each column, and the number of the first row, from 1."""
    cells = _cells(data, what)
    width = cells.shape[1]
    kinds = list(columns) or list(KINDS[:width])
    first = [_text(cell).strip().lower() for cell in cells[0]]
    header = not any(name.rpartition(".")[2] in PICTURES for name in first)
    if header and not columns:
        kinds = first
    if len(cells) == header or len(kinds) != width or not {"fg_bg", "mask", "bg"} <= set(kinds):
        raise ValueError(
            f"{what}: {len(cells) - header} rows with the columns {', '.join(first)}; expected rows of "
            f"{', '.join(columns or KINDS)}. Give the layout its columns."
        )
    return cells[int(header) :], kinds, 1 + header


def _cells(data: bytes, what: str) -> np.ndarray:
    """The cells (rows, columns) of a table, kind S, in UTF-8 with composed accents.

    Tabs stand between them, or where there are none commas or semicolons, then perhaps in quotes; UTF-16
    with its mark is read too. Raises ValueError for rows of different length, or what is no text.
    """
    encoding = next((kind for mark, kind in _MARKS.items() if data.startswith(mark)), "utf-8")
    if encoding != "utf-8" or not data.isascii():
        text = data.decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")
        data = unicodedata.normalize("NFC", text.lstrip("\ufeff")).encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise ValueError(f"{what} is no text, or in UTF-16 without its mark: save it as UTF-8, with tabs")
    end = b"\n" if b"\n" in data else b"\r"
    lines = data.replace(b"\r\n", b"\n").rstrip(b"\r\n").split(end)
    between = next((sign for sign in "\t,;" if sign.encode() in lines[0]), "\t")
    rows = [line.split(b"\t") for line in lines]
    if between != "\t":
        text = io.StringIO(b"\n".join(lines).decode("utf-8", "surrogateescape"))
        table = csv.reader(text, delimiter=between, skipinitialspace=True)
        rows = [[cell.strip().encode("utf-8", "surrogateescape") for cell in row] for row in table]
    width = len(rows[0])
    uneven = next((i for i, row in enumerate(rows) if len(row) != width), None)
    if uneven is not None:
        raise ValueError(f"{what}, row {uneven + 1}: {len(rows[uneven])} columns, expected {width}")
    return np.array([cell for row in rows for cell in row]).reshape(-1, width)


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
        known = {composed(name).encode("utf-8", "surrogateescape") for name in archive.names()}
        cell = next(cell for cell, name in zip(column, names.tolist(), strict=True) if name not in known)
    row = int(np.flatnonzero((cells == cell).any(1))[0])
    raise ValueError(f"{what}, row {row + first_row}: there is no {_text(cell)!r}")


def _text(cell: bytes) -> str:
    return cell.decode("utf-8", "replace")
