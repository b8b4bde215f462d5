"""One file over http(s), from the byte where the last try stopped.

A part is gone on with only if the server confirms that the file is still the same: the request carries the
validator of the first answer in `If-Range` (RFC 9110, sections 8.8 and 13.1.5), and its answer is compared.
"""

import re
from collections.abc import Iterator
from itertools import chain

import requests
from tqdm.auto import tqdm

from mdlib.loading.arrival import DroppedError, Part

_CHUNK_BYTES = 64 << 10  # what a dropped connection loses at most
_TIMEOUT_S = 60.0  # for a connection, and between two bytes
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_PAGE = re.compile(rb"[\xef\xbb\xbf\s]*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_ADVICE = (
    "Open the address in a browser: it may want a login, be a page around the download, or have a quota. "
    "Give the address of the file itself."
)


def receive(url: str, part: Part, bar: tqdm, size: int | None) -> None:
    """One try to append to `part` what it lacks of the file at `url`; starts anew where that has changed.

    `size` is what the file should have, in bytes, where known. Raises DroppedError where another try may
    help, and what `mdlib.loading.fetch.fetch` promises.
    """
    begun, validator = part.size, part.facts.get("validator")
    if begun and begun == part.facts.get("total"):
        return
    headers = {"Accept-Encoding": "identity"}  # ranges count bytes as sent
    if begun and validator:
        headers |= {"Range": f"bytes={begun}-", "If-Range": validator}
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S)
    except requests.RequestException as error:
        raise explained(error, part.what) from error
    with response:
        if response.status_code == 416 or (
            response.status_code == 206 and not _goes_on(response, part, begun)
        ):
            part.restart()
            raise DroppedError("the server cannot go on from there")
        refuse_status(response, part.what)
        chunks = _chunks(response, part.what)
        if response.status_code != 206:
            first = next(chunks, b"")
            refuse_page(first, response.headers.get("Content-Type", ""), part, _ADVICE)
            start(part, _facts(response), size)
            chunks = chain([first], chunks)
        total = part.facts["total"]
        part.pour(chunks, total, bar)
    if total is not None and part.size < total:
        raise DroppedError("the server closed the connection early")


def start(part: Part, facts: dict, size: int | None) -> None:
    """Begin the part, perhaps anew, of a file with these `facts` and, where known, `size` bytes."""
    total = facts["total"]
    if None not in (size, total) and size != total:
        raise ValueError(f"{part.what} has {total:,} bytes, expected {size:,}: it is another file")
    if part.size:
        tqdm.write(f"{part.what}: changed since, or the server cannot go on in the middle; starting anew")
    part.restart(**facts)


def refuse_status(response: requests.Response, what: str) -> None:
    """Raise what fits the answer's status where that is not success."""
    status = f"{response.status_code} {response.reason or ''}".strip()
    if response.status_code in (200, 206):
        return
    if response.status_code in _TRANSIENT:
        asked = response.headers.get("Retry-After", "")
        raise DroppedError(f"the server answers {status}", float(asked) if asked.isdigit() else 0.0)
    if response.status_code in (401, 403, 407):
        raise PermissionError(f"{what}: the server refuses the access ({status}). {_ADVICE}")
    if response.status_code in (404, 410):
        raise FileNotFoundError(f"{what}: there is no such file ({status}). Check the address.")
    raise ValueError(f"{what}: the server answers {status}. {_ADVICE}")


def refuse_page(start: bytes, content_type: str, part: Part, advice: str) -> None:
    """ValueError where an answer that begins with `start` is a web page, and no web page is wanted."""
    declared = content_type.lower().startswith(("text/html", "application/xhtml"))
    if part.out.suffix.lower() in (".html", ".htm") or not (_PAGE.match(start) or declared):
        return
    if start.startswith(b"PK"):
        return  # an archive, whatever the server calls it
    title = _TITLE.search(start)
    words = " ".join(title[1].decode("utf-8", "replace").split()) if title else ""
    raise ValueError(
        f"{part.what}: a web page{f' ({words!r})' if words else ''} came, not the file. {advice}"
    )


def explained(error: requests.RequestException, what: str) -> Exception:
    """What to raise for an error of `requests`: DroppedError, or ValueError where no other try can help."""
    root: BaseException = error
    while (deeper := root.__cause__ or root.__context__) is not None:
        root = deeper
    reason = getattr(root, "strerror", None) or str(root) or type(root).__name__
    if isinstance(error, ValueError) or not isinstance(
        error,
        (
            requests.exceptions.ConnectionError,
            requests.exceptions.Timeout,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ),
    ):
        return ValueError(f"{what}: {error}")
    unreached = hasattr(error.args[0] if error.args else None, "reason")  # urllib3: no connection was made
    return DroppedError(reason, unreached=unreached)


def _facts(response: requests.Response) -> dict:
    """Size and validator of a whole answer; None where it does not state them."""
    headers = response.headers
    if headers.get("Content-Encoding", "identity") != "identity":
        return {"total": None, "validator": None}  # they describe the compressed bytes
    length, etag = headers.get("Content-Length", ""), headers.get("ETag", "")
    strong = etag if etag and not etag.startswith("W/") else None
    return {
        "total": int(length) if length.isdigit() else None,
        "validator": strong or headers.get("Last-Modified"),
    }


def _goes_on(response: requests.Response, part: Part, begun: int) -> bool:
    """Is this the rest of what has been begun? A server may know ranges, but not If-Range."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    total, validator = part.facts.get("total"), part.facts.get("validator")
    header = "ETag" if str(validator).startswith('"') else "Last-Modified"
    return (
        begun > 0
        and found is not None
        and int(found[1]) == begun
        and (total is None or found[2] in ("*", str(total)))
        and response.headers.get(header, validator) == validator
    )


def _chunks(response: requests.Response, what: str) -> Iterator[bytes]:
    try:
        yield from response.iter_content(_CHUNK_BYTES)
    except requests.RequestException as error:
        raise explained(error, what) from error
