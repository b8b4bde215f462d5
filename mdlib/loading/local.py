"""Data sets on slow drives are copied to the local disk before training reads them at random."""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tqdm.auto import tqdm

from mdlib.files import need_space
from mdlib.loading.arrival import Part

DRIVE = Path("/content/drive")  # where Colab mounts Google Drive
MOUNTS = Path("/proc/mounts")  # the mounted file systems, see proc(5)
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph"}
_FUSE_BUT_LOCAL = {"fuseblk", "fusectl", "fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.lxcfs"}
_CHUNK_BYTES = 4 << 20
_PROBES, _PROBE_BYTES = 8, 16 << 10  # about one encoded picture each


class _File(NamedTuple):
    source: Path
    out: Path
    size: int
    sha256: str | None
    identity: str  # a part of another identity is not gone on with

    @property
    def is_there(self) -> bool:
        return self.out.exists() and self.out.stat().st_size == self.size

    @property
    def begun(self) -> int:
        """Bytes that an interrupted copy has left."""
        part = self.out.with_name(f"{self.out.name}.part")
        return part.stat().st_size if part.exists() else 0


def to_local(path: str | Path, cache_folder: str | Path, mounts: Path = MOUNTS) -> Path:
    """Where `path`, a data set or one archive, can be read fast: a copy in `cache_folder`, or itself.

    What lies on a network or FUSE mount is copied and the reason printed; what is local is returned as it is.
    Shards are verified by the sizes and sha256 in `dataset.json`. An interrupted copy goes on, a finished one
    is used again; of a data set that has changed a new copy is made beside the old one. `mounts` is the table
    of mounted file systems. Raises FileNotFoundError, ValueError where a file is not as `dataset.json` says
    or the cache folder is not local, OSError where it has no room or the mount cannot be read.
    """
    path, cache_folder = Path(path), Path(cache_folder)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such data set or archive")
    kind = slow_mount(path, mounts)
    if kind is None:
        return path
    if slow_mount(cache_folder, mounts):
        raise ValueError(f"{cache_folder} is not on a local disk either; give a folder that is, such as /tmp")
    target, files = _plan_folder(path, cache_folder) if path.is_dir() else _plan_file(path, cache_folder)
    missing = [file for file in files if not file.is_there]
    if not missing:
        return target
    cache_folder.mkdir(parents=True, exist_ok=True)
    total = sum(file.size for file in missing)
    need_space(cache_folder, total - sum(file.begun for file in missing), str(path))
    largest = max(missing, key=lambda file: file.size)
    tqdm.write(
        f"{path} is on a mounted drive ({kind}), where a read at a random place takes "
        f"{1000 * _seconds_per_read(largest.source, largest.size):.1f} ms; training does one for every "
        f"picture, so {total / 1e6:,.1f} MB are copied to {target} first"
    )
    with tqdm(total=total, unit="B", unit_scale=True, desc="copy") as bar:
        for file in missing:
            _copy(file, bar)
    return target


def slow_mount(path: Path, mounts: Path = MOUNTS) -> str | None:
    """The kind of network or FUSE file system that `path` lies on ("fuse.drive", "nfs4"); None where local.

    Where there is no table of mounted file systems, only Drive on Colab is recognised.
    """
    path = path.resolve()
    kind, longest = "", -1
    for line in mounts.read_text().splitlines() if mounts.exists() else []:
        point, found = line.split(" ")[1:3]
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), point)  # \040 is a space
        if path.is_relative_to(point) and len(point) >= longest:  # the last one mounted there is on top
            kind, longest = found, len(point)
    if kind in _NETWORK or (kind.startswith("fuse") and kind not in _FUSE_BUT_LOCAL):
        return kind
    return "Google Drive" if path.is_relative_to(DRIVE) else None


def _plan_folder(path: Path, cache_folder: Path) -> tuple[Path, list[_File]]:
    """The files of a data set; `dataset.json`, which makes the copy a data set, comes last."""
    description = path / "dataset.json"
    if not description.is_file():
        raise FileNotFoundError(
            f"{path} is not a data set: it has no dataset.json. Give a data set or an archive."
        )
    try:
        info = json.loads(description.read_text())
        target = cache_folder / f"{path.name}-{info['id'][:12]}"
        # The sources are needed where samples are composed as they are read.
        entries = [*info["shards"], *([info["sources"]] if info.get("recipe_only") else [])]
        shards = [(entry["name"], entry["bytes"], entry["sha256"]) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{description} is damaged or of another format ({error!r})") from None
    files = []
    for name, size, sha256 in shards:
        if name != Path(name).name:
            raise ValueError(f"{description}: shard {name!r} is not a plain file name")
        files.append(_File(path / name, target / name, size, sha256, sha256))
    files += [
        _small(path / name, target / name)
        for name in ("recipe.json", "dataset.json")
        if (path / name).exists()
    ]
    for file in files:
        if not file.source.is_file():
            raise FileNotFoundError(f"{file.source} is missing; fetch or create the data set again")
        if file.source.stat().st_size != file.size:
            raise ValueError(
                f"{file.source} has {file.source.stat().st_size:,} bytes, but dataset.json says "
                f"{file.size:,}: it is cut short or was changed; fetch or create it again"
            )
    return target, files


def _plan_file(path: Path, cache_folder: Path) -> tuple[Path, list[_File]]:
    """One archive. Nothing states its content, so its copy is named after where it was, size and time."""
    status = path.stat()
    identity = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"
    target = cache_folder / f"{path.stem}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}{path.suffix}"
    return target, [_File(path, target, status.st_size, None, identity)]


def _small(source: Path, out: Path) -> _File:
    data = source.read_bytes()
    return _File(source, out, len(data), hashlib.sha256(data).hexdigest(), hashlib.sha256(data).hexdigest())


def _copy(file: _File, bar: tqdm) -> None:
    def receive() -> None:
        bar.update(part.size)
        for chunk in _chunks(file.source, part.size):
            part.append(chunk)
            bar.update(len(chunk))

    with Part(file.out, file.identity, str(file.source)) as part:
        if not file.is_there:  # else another process was quicker
            part.complete(receive, file.sha256, file.size)


def _chunks(path: Path, start: int) -> Iterator[bytes]:
    try:
        with open(path, "rb") as stream:
            stream.seek(start)
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise OSError(
            f"{path} cannot be read ({error.strerror}). Connect the drive and do the same again."
        ) from error


def _seconds_per_read(path: Path, size: int) -> float:
    """Mean time of reads of the size of a picture, spread over the file."""
    fd = os.open(path, os.O_RDONLY)
    try:
        begin = time.perf_counter()
        for i in range(_PROBES):
            os.pread(fd, _PROBE_BYTES, size * (2 * i + 1) // (2 * _PROBES))
        return (time.perf_counter() - begin) / _PROBES
    finally:
        os.close(fd)
