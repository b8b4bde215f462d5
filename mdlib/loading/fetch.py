"""Fetching a file from Google Drive, the web or a bucket, through interruptions, verified."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tqdm.auto import tqdm

from mdlib.files import need_space
from mdlib.loading import web
from mdlib.loading.arrival import DroppedError, Part, verify

_CHUNK_BYTES = 1 << 20
_LONGEST_WAIT_S = 60.0
_DRIVE_HOSTS = {"drive.google.com", "docs.google.com", "drive.usercontent.google.com"}
_DRIVE_ID = r"[-_A-Za-z0-9]{25,}"


@dataclass(frozen=True)
class FetchConfig:
    """Fetches a file from Google Drive, the web or a bucket; an interrupted one goes on where it stopped."""

    source: str
    """Address (http, https; s3, gs ... with the extra `remote`), or id or share link on Google Drive."""
    out: str = "."
    """File; or folder (one that exists, or ends in /), which gets the file under its name in the address."""
    sha256: str | None = None
    """What the sha256 of the file must be, in hexadecimal."""
    size: int | None = None
    """What the size of the file must be, in bytes."""
    retries: int = 5
    """How often to try again after a dropped connection; getting further starts the count anew."""


def fetch(
    source: str,
    out: str | Path = ".",
    sha256: str | None = None,
    size: int | None = None,
    retries: int = 5,
    wait_s: float = 1.0,
    progress: bool = True,
) -> Path:
    """Fetch the file at `source` to `out` (see `FetchConfig`), verify it, and return its path.

    Nothing appears under the final name before size, sha256 and, of a ZIP, the directory are right; what has
    arrived of an interrupted fetch stays in `<out>.part`. A file that is there and verifies is not fetched
    again. A dropped connection is tried again after `wait_s` seconds, then after twice as long, and so on.

    Raises ValueError where the source makes no sense, or a web page or another file than expected comes or is
    there; FileNotFoundError or PermissionError where the server has no such file or wants a login;
    ConnectionError where it cannot be reached or drops every try; OSError where the disk has no room;
    ImportError naming the package that an address needs.
    """
    source = source.strip()
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"sha256 is {sha256!r}; it must be 64 hexadecimal digits")
    drive_id = find_drive_id(source)
    target = _target(source, str(out), drive_id)
    what = f"Google Drive file {drive_id}" if drive_id else _without_secrets(source)
    if target.exists():
        return _accept(target, sha256, size)
    is_web = urlsplit(source).scheme.lower() in ("http", "https")
    bar_off = not progress or drive_id is not None  # gdown draws its own
    with (
        Part(target, drive_id or source, what) as part,
        tqdm(desc=target.name, unit="B", unit_scale=True, delay=0.1, disable=bar_off) as bar,
    ):
        if target.exists():  # another process was quicker
            return _accept(target, sha256, size)
        need_space(target.parent, (size or 0) - part.size, what)
        if drive_id:
            attempt = partial(_receive_from_drive, drive_id, part, quiet=not progress)
        else:
            attempt = partial(web.receive if is_web else _receive_from_bucket, source, part, bar, size)
        return part.complete(lambda: _persist(attempt, part, retries, wait_s), sha256, size)


def find_drive_id(source: str) -> str | None:
    """The id of a file on Google Drive, from itself or a share link; None for an address elsewhere.

    Raises ValueError with a sentence for what is neither, and for links to folders and documents.
    """
    parts = urlsplit(source)
    if re.fullmatch(_DRIVE_ID, source):
        return source
    if not parts.scheme or "://" not in source:
        raise ValueError(
            f"{source!r} is neither an address (https://...) nor the id or share link of a file on Google "
            f"Drive; a file on this machine needs no fetching"
        )
    if parts.hostname not in _DRIVE_HOSTS:
        return None
    in_path = re.match(rf"/file/(?:u/\d+/)?d/({_DRIVE_ID})(?:/|$)", parts.path)
    in_query = parse_qs(parts.query).get("id", [""])[0]
    if in_path or re.fullmatch(_DRIVE_ID, in_query):
        return in_path[1] if in_path else in_query
    raise ValueError(
        f"{source} is a link to a folder or document, or not whole: give the link of one file "
        f"(https://drive.google.com/file/d/...), such as the ZIP archive of the data set"
    )


def _target(source: str, out: str, drive_id: str | None) -> Path:
    if not (out.endswith("/") or Path(out).is_dir()):
        return Path(out)
    last = urlsplit(source).path.rpartition("/")[2]
    name = "" if drive_id else unquote(last).rpartition("/")[2]
    if name in ("", ".", ".."):
        raise ValueError(f"the source does not tell the file's name: give one with --out {Path(out)}/NAME")
    return Path(out) / name


def _without_secrets(url: str) -> str:
    """An address as sentences show it: user, password and signed parameters left out."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _accept(target: Path, sha256: str | None, size: int | None) -> Path:
    try:
        verify(target, str(target), sha256, size)
    except ValueError as error:
        raise ValueError(f"Nothing was fetched, because {error} Delete it, or give another --out.") from None
    proof = "the sha256 is right" if sha256 else "the size is right" if size else "delete it to have it anew"
    tqdm.write(f"{target} is there already, not fetched again ({proof})")
    return target


def _persist(attempt: Callable[[], None], part: Part, retries: int, wait_s: float) -> None:
    """Try until everything is there, or a failure and `retries` tries after it got no further."""
    before = furthest = part.size
    failures = 0
    while True:
        try:
            return attempt()
        except DroppedError as drop:
            size = part.size
            if drop.unreached and not failures and size == before:
                raise ConnectionError(
                    f"{part.what} cannot be reached ({drop}). Is this machine online, and the address right? "
                    f"(On Kaggle, switch on Internet in the notebook's settings.) {_kept(part)}"
                ) from drop
            failures = 1 if size > furthest else failures + 1
            furthest = max(size, furthest)
            if failures > retries:
                raise ConnectionError(
                    f"{part.what}: the connection failed ({drop}), and {retries} more tries got no further. "
                    f"{_kept(part)}"
                ) from drop
            pause = min(max(wait_s * 2 ** (failures - 1), drop.wait_s), _LONGEST_WAIT_S)
            tqdm.write(f"{part.what}: {drop}; trying again in {pause:g} s, {size:,} bytes are there")
            time.sleep(pause)
            part.joined = size > 0


def _kept(part: Part) -> str:
    if not part.size:
        return "Nothing has arrived."
    return f"{part.size:,} bytes are kept in {part.path}: do the same again to go on."


def _receive_from_drive(drive_id: str, part: Part, quiet: bool) -> None:
    """One try with gdown, which knows Drive's ways. Only arguments that gdown 5.2 and 6 share."""
    import gdown
    import requests
    from gdown import exceptions

    advice = (
        f"Open https://drive.google.com/file/d/{drive_id}/view in a browser. If it wants a login there, the "
        f"file must be shared with 'Anyone with the link'. If too many people fetched it today, choose "
        f"File > Make a copy and fetch the copy, or try again tomorrow."
    )
    begun = part.size
    incomplete = getattr(exceptions, "DownloadError", exceptions.FileURLRetrievalError)  # 6 has it
    if not part.path.exists():  # else a try was stopped between download and verification
        try:
            with part.disk_errors():
                gdown.download(id=drive_id, output=str(part.path), quiet=quiet, resume=True)
        except exceptions.FileURLRetrievalError as error:
            said = " ".join(str(error).split())
            raise PermissionError(f"{part.what} was not given out. {advice} (gdown: {said})") from error
        except requests.RequestException as error:
            if error.response is not None:
                web.refuse_status(error.response, part.what)
            raise web.explained(error, part.what) from error
        except incomplete as error:
            if part.size <= begun:
                part.restart()  # what is there cannot be gone on with
            raise DroppedError(str(error).partition("\n")[0]) from error
    if not part.path.exists():  # 5.2 returns without a word
        part.restart()
        raise DroppedError("gdown has left several parts")
    with open(part.path, "rb") as stream:
        start = stream.read(4096)
    try:
        web.refuse_page(start, "", part, advice)
    except ValueError:
        part.restart()
        raise


def _receive_from_bucket(source: str, part: Part, bar: tqdm, size: int | None) -> None:
    """One try through fsspec, which knows s3, gs, az, sftp and others, with a package for each."""
    try:
        import fsspec
    except ImportError:
        raise ImportError(f"{part.what} needs fsspec: pip install 'mdlib[remote]'") from None
    try:
        files, path = fsspec.core.url_to_fs(source)
        facts = {"total": files.info(path)["size"], "validator": files.ukey(path)}
    except FileNotFoundError:
        raise FileNotFoundError(f"{part.what}: there is no such file. Check the address.") from None
    except ImportError as error:  # the package for this scheme
        raise ImportError(f"{part.what} needs another package: {error}") from None
    except Exception as error:  # each package has errors of its own
        raise ValueError(
            f"{part.what}: {str(error) or type(error).__name__}. Check address and credentials."
        ) from error
    if facts != part.facts:
        web.start(part, facts, size)
    with files.open(path, "rb") as stream:
        stream.seek(part.size)
        part.pour(iter(partial(_read, stream), b""), facts["total"], bar)
    if facts["total"] is not None and part.size < facts["total"]:
        raise DroppedError("the file ended early")


def _read(stream) -> bytes:
    try:
        return stream.read(_CHUNK_BYTES)
    except OSError as error:
        raise DroppedError(str(error)) from error
