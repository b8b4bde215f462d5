"""Fetching a file from Google Drive, the web or a bucket, verified before it gets its name.

On its way it is called `<name>.part`. After a dropped connection it goes on where it was, if the server says
that the file is still the same (If-Range: RFC 9110, section 13.1.5). What an earlier call has left is gone on
with where a sha256 is given, which tells whether the pieces fit together; otherwise it is fetched anew.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests
from tqdm.auto import tqdm
from urllib3 import Retry

from mdlib.files import need_space, sha256_of, sync
from mdlib.loading.zip_directory import read_index

WAIT_S = 1.0  # tries that get no further wait not at all, then 2, 4, 8 times as long
TIMEOUT_S = 60.0  # for a connection, and between two bytes
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_DROPS = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_REFUSED = {401: PermissionError, 403: PermissionError, 404: FileNotFoundError, 410: FileNotFoundError}
_DRIVE_ID = r"([-_A-Za-z0-9]{25,})"
_PAGE = re.compile(rb"[\xef\xbb\xbf\s]*<(!doctype\s+html|html|head|body|script|title|!--)", re.IGNORECASE)
_ADVICE = (
    "Open the address in a browser: it may want a login or have a quota. On Google Drive, share the file "
    "with 'Anyone with the link'; after too many downloads, choose File > Make a copy, or try again tomorrow."
)


@dataclass(frozen=True)
class FetchConfig:
    """Fetches a file from Google Drive, the web or a bucket; with --sha256 an interrupted one goes on."""

    source: str
    """Address, or id or share link on Google Drive: http and https; s3, gs ... with the extra `remote`."""
    out: str = "."
    """File, or folder for it: one that exists, or ends in /, gets the file under its name in the address."""
    sha256: str | None = None
    """What the sha256 of the file must be, in hexadecimal."""
    size: int | None = None
    """What the size of the file must be, in bytes."""
    retries: int = 5
    """How often to try again after a dropped connection; getting further starts the count anew."""


def fetch(
    source: str, out: str | Path = ".", sha256: str | None = None, size: int | None = None, retries: int = 5
) -> Path:
    """Fetch the file at `source` to `out` (see `FetchConfig`), verify it, and return its path.

    Nothing appears under the final name before size, sha256 and, of a ZIP, the directory are right. A file
    that is there and verifies is not fetched again. Only one process at a time may fetch to the same `out`.

    Raises ValueError where the source makes no sense, or a web page or another file than expected comes or is
    there; FileNotFoundError or PermissionError where the server has no such file or wants a login;
    ConnectionError where it cannot be reached or drops every try; OSError where the disk has no room;
    ImportError naming the package that an address needs.
    """
    source = source.strip()
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"sha256 is {sha256!r}; it must be 64 hexadecimal digits")
    if retries < 0 or (size is not None and size < 0):
        raise ValueError(f"retries is {retries}, size {size}; neither can be negative")
    drive_id, url, target = find_drive_id(source), urlsplit(source), Path(out)
    if str(out).endswith("/") or target.is_dir():
        name = unquote(url.path.rpartition("/")[2]).rpartition("/")[2]
        if drive_id or name in ("", ".", ".."):
            raise ValueError(f"the source does not tell the file's name: give one with --out {target}/NAME")
        target /= name
    if target.exists():
        if problem := _problem(target, sha256, size):
            raise ValueError(f"{target} is there, but {problem} Delete it, or give another --out.")
        tqdm.write(f"{target} is there already, not fetched again")
        return target
    address = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"  # no secrets in sentences
    what = f"https://drive.google.com/file/d/{drive_id}/view" if drive_id else address
    part = _Part(target.with_name(f"{target.name}.part"), what, size, provable=sha256 is not None)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not sha256 or len(part.pieces()) > 1:
            part.drop()
        part.expect(size)
        web = url.scheme in ("http", "https")
        receive = _Part.from_drive if drive_id else _Part.from_web if web else _Part.from_bucket
        part.try_again(receive, drive_id or source, retries)
        if problem := _problem(part.path, sha256, size):
            part.drop()
            raise ValueError(f"{what}: {problem}")
        sync(part.path)
        os.replace(part.path, target)
    except OSError as error:
        if error.errno is None:  # a sentence already
            raise
        raise OSError(f"{target.parent}: {error.strerror}. Free some space and do the same again.") from error
    finally:
        if not sha256:
            part.drop()
    return target


def find_drive_id(source: str) -> str | None:
    """The id of a file on Google Drive, from itself or a share link; None for an address elsewhere.

    Raises ValueError with a sentence for what is neither, and for links to folders and documents.
    """
    if re.fullmatch(_DRIVE_ID, source):
        return source
    if "://" not in source:
        raise ValueError(f"{source!r} is no address (https://...), nor id or link of a file on Google Drive")
    if not re.match(r"https?://(drive|docs|drive\.usercontent)\.google\.com/", source):
        return None
    if found := re.search(rf"(?:/file/(?:u/\d+/)?d/|[?&]id=){_DRIVE_ID}(?:[/?&#]|$)", source):
        return found[1]
    raise ValueError(f"{source} is no link of one whole file: give one with drive.google.com/file/d/...")


def _problem(path: Path, sha256: str | None, size: int | None) -> str | None:
    """What is wrong with the file at `path`, in a sentence."""
    name, found = path.name.lower().removesuffix(".part"), path.stat().st_size
    if size is not None and found != size:
        return f"it has {found:,} bytes, expected {size:,}: it is cut short or another file."
    with open(path, "rb") as file:
        start = file.read(1024)
    if _PAGE.match(start) and not name.endswith((".html", ".htm")):
        return f"it is a web page, not the file. {_ADVICE}"
    if sha256 and (digest := sha256_of(path)) != sha256.lower():
        return f"it has the sha256 {digest}, expected {sha256}: it is damaged or another file."
    if start.startswith((b"PK\3\4", b"PK\5\6")) or name.endswith(".zip"):
        try:
            read_index(path)
        except ValueError as error:
            return str(error)
    return None


@dataclass
class _Part:
    """A file on its way to `path`."""

    path: Path
    what: str  # its address, in sentences
    size: int | None
    provable: bool  # a sha256 will tell whether pieces fit together
    version: str | None = None  # ETag or date; None before an answer, "" where it has none

    def pieces(self) -> list[Path]:
        """What is there of it; gdown downloads to the path with eight letters and .part behind it."""
        return [p for p in self.path.parent.glob("*.part") if p.name.startswith(self.path.name)]

    def arrived(self) -> int:
        """Bytes that are there."""
        return sum(path.stat().st_size for path in self.pieces())

    def drop(self) -> None:
        for path in self.pieces():
            path.unlink()

    def expect(self, total: int | None) -> None:
        """Refuse a file of `total` bytes that is another one, or too large for the disk."""
        if None not in (total, self.size) and total != self.size:
            raise ValueError(f"{self.what} has {total:,} bytes, expected {self.size:,}: it is another file")
        need_space(self.path.parent, (total or 0) - self.arrived(), self.what)

    def lost(self, error: BaseException) -> ConnectionError:
        """What to raise where the connection failed for good."""
        while (cause := error.__cause__ or error.__context__) is not None:
            error = cause
        return ConnectionError(
            f"{self.what}: the connection failed ({getattr(error, 'strerror', None) or error}). Is this "
            f"machine online (Kaggle: Internet in the settings)? Do the same again; with --sha256 it goes on."
        )

    def try_again(self, receive: Callable[["_Part", str], None], source: str, retries: int) -> None:
        """Let `receive` append what is lacking, until it is done or `retries` more tries got no further."""
        again = left = Retry(retries, backoff_factor=WAIT_S)
        begun = furthest = self.arrived()
        while True:
            try:
                return receive(self, source)
            except _DROPS as error:
                arrived = self.arrived()
                left, furthest = (again, arrived) if arrived > furthest else (left, furthest)
                if not left.total or (furthest == begun and self.version is None and error.response is None):
                    raise self.lost(error) from error
                if not (self.provable or self.version):
                    self.drop()
                tqdm.write(f"{self.what}: the connection failed at byte {arrived:,}; trying again")
                left = left.increment(error=error)
                left.sleep()

    def from_web(self, url: str) -> None:
        """By requests: the rest of what has arrived where the server gives it, else the whole file."""
        begun, headers = self.arrived(), {"Accept-Encoding": "identity"}  # ranges count bytes as sent
        if begun:
            headers |= {"Range": f"bytes={begun}-", "If-Range": self.version or None}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
            status, told, before = answer.status_code, answer.headers, self.version
            says = f"the server answers {status} {answer.reason}"
            if status in _BUSY:
                raise requests.ConnectionError(says, response=answer)
            etag = told.get("ETag", "W/")
            self.version = told.get("Last-Modified", "") if etag.startswith("W/") else etag
            fits = told.get("Content-Range", "").startswith(f"bytes {begun}-")
            rest = fits and before in (None, self.version)
            if status == 416 or (status == 206 and not rest):
                self.drop()
                raise requests.ConnectionError("the server cannot go on in the middle", response=answer)
            if status not in (200, 206):
                raise _REFUSED.get(status, ValueError)(f"{self.what}: {says}. {_ADVICE}")
            countable = "Content-Length" in told and "Content-Encoding" not in told
            total = begun * rest + int(told["Content-Length"]) if countable else None
            self.expect(total)
            bar = tqdm(total=total, initial=begun * rest, unit="B", unit_scale=True)
            with bar, open(self.path, "ab" if rest else "wb") as file:
                for chunk in answer.iter_content(64 << 10):  # bytes that a dropped connection loses at most
                    bar.update(file.write(chunk))
        if total not in (None, self.arrived()):
            raise requests.ConnectionError("the server closed the connection early")

    def from_drive(self, drive_id: str) -> None:
        """By gdown, which knows Drive's ways; with arguments that its versions from 5.2 on share."""
        import gdown

        begun = self.arrived()
        try:
            gdown.download(id=drive_id, output=str(self.path), resume=True)
        except gdown.exceptions.FileURLRetrievalError as error:
            raise PermissionError(f"{self.what}: {' '.join(str(error).split())} {_ADVICE}") from error
        except getattr(gdown.exceptions, "DownloadError", ()) as error:  # of version 6
            if self.arrived() <= begun:
                self.drop()  # it cannot be gone on with
            raise requests.ConnectionError(str(error).partition("\n")[0]) from error

    def from_bucket(self, url: str) -> None:
        """By fsspec, which knows s3, gs, az, sftp and others, with a package for each."""
        try:
            import fsspec

            files, path = fsspec.core.url_to_fs(url)
            total = files.size(path)
        except ImportError as error:
            raise ImportError(f"{self.what} needs a package: pip install 'mdlib[remote]' ({error})") from None
        except Exception as error:  # each package has errors of its own
            kind = FileNotFoundError if isinstance(error, FileNotFoundError) else ValueError
            raise kind(f"{self.what}: {error!r}. Check address and credentials.") from error
        self.expect(total)
        files.get_file(path, str(self.path))
