"""Files below a folder, read like the members of an archive; pictures of either turned upright."""

import io
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mdlib.loading import codec
from mdlib.loading.archive import Archive
from mdlib.loading.pictures import orientation_of, upright
from mdlib.loading.zip_directory import MAX_MEMBER_BYTES

_QUALITY = 95


class FolderArchive:
    """The files below `folder`, numbered in the order of their names, with the reading methods of `Archive`.

    Names are paths below the folder with "/" between their parts. Hidden files and links to folders are left
    out. Safe under threads, fork and spawn: every read opens its file.
    """

    def __init__(self, folder: str | Path):
        folder = Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder")
        self.paths = [folder]
        names = []
        for at, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inside = os.path.relpath(at, folder).replace(os.sep, "/")
            prefix = "" if inside == "." else f"{inside}/"
            names += [os.fsencode(prefix + name) for name in files if not name.startswith(".")]
        self._names = np.array(sorted(names), dtype="S")  # one array, so that a forked worker copies nothing

    def __len__(self) -> int:
        return len(self._names)

    def names(self) -> list[str]:
        """All names; builds one Python string each."""
        return [os.fsdecode(name) for name in self._names.tolist()]

    def name(self, i: int) -> str:
        """The name of file `i`."""
        return os.fsdecode(self._names[i])

    def part_slice(self, part: int) -> slice:
        """The numbers of all files: a folder has one part, number 0."""
        return slice(0, len(self))

    def find_many(self, names: Sequence[str] | np.ndarray) -> np.ndarray:
        """Numbers (int64) of the files called `names` (strings, or a bytes array of kind S).

        An accent may be composed or not. Raises KeyError naming the first one that is missing.
        """
        if not isinstance(names, np.ndarray):
            names = np.array([os.fsencode(name) for name in names], dtype="S")
        found = self._find(names)
        for i in np.flatnonzero(found < 0).tolist():
            name = os.fsdecode(names[i])
            forms = [os.fsencode(unicodedata.normalize(form, name)) for form in ("NFC", "NFD")]
            found[i] = self._find(np.array(forms, dtype="S")).max()
            if found[i] < 0:
                raise KeyError(f"no file {name!r} in {self.paths[0]}")
        return found

    def _find(self, names: np.ndarray) -> np.ndarray:
        place = np.minimum(np.searchsorted(self._names, names), max(0, len(self) - 1))
        there = self._names[place] == names if len(self) else np.zeros(len(names), bool)
        return np.where(there, place, -1)

    def read(self, i: int, verify: bool = False) -> bytes:
        """The bytes of file `i`; a folder has no checksums to `verify`.

        Raises ValueError naming the file where it is gone, unreadable, or larger than MAX_MEMBER_BYTES.
        """
        path = self.paths[0] / self.name(i)
        try:
            with open(path, "rb", buffering=0) as stream:
                size = os.fstat(stream.fileno()).st_size
                if size > MAX_MEMBER_BYTES:
                    raise ValueError(f"{path} has {size:,} bytes, more than the {MAX_MEMBER_BYTES:,} allowed")
                return stream.readall()
        except OSError as error:
            raise ValueError(
                f"{path} cannot be read ({error.strerror}): the folder was changed since it was opened"
            ) from None

    def read_many(self, numbers: Sequence[int] | np.ndarray) -> list[bytes]:
        """The bytes of many files."""
        return [self.read(int(i)) for i in numbers]


class Upright:
    """The members of an archive or folder; pictures turned as their EXIF orientation says, the tag gone.

    A turned JPEG comes as JPEG again, of quality 95, anything else as PNG; what needs no turning as it is.
    """

    def __init__(self, archive: Archive | FolderArchive):
        self.archive = archive

    def name(self, i: int) -> str:
        """The name of member `i`."""
        return self.archive.name(i)

    def read(self, i: int, verify: bool = False) -> bytes:
        """The bytes of member `i`; see the archive's."""
        return _upright(self.archive.read(i, verify))

    def read_many(self, numbers: Sequence[int] | np.ndarray) -> list[bytes]:
        """The bytes of many members."""
        return [_upright(data) for data in self.archive.read_many(numbers)]


def _upright(data: bytes) -> bytes:
    orientation = orientation_of(data)
    if orientation == 1:
        return data
    if data.startswith(codec.JPEG_SIGNATURE):
        return codec.encode_jpeg(np.ascontiguousarray(upright(codec.decode(data), orientation)), _QUALITY)
    with Image.open(io.BytesIO(data)) as img, io.BytesIO() as made:
        ImageOps.exif_transpose(img).save(made, "PNG", compress_level=1, exif=b"")  # a palette stays one
        return made.getvalue()
