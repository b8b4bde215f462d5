"""Fetching from real servers on this machine: over http, from a stand-in for Google Drive, through fsspec."""

import hashlib
import io
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import numpy as np
import pytest

from mdlib.loading import fetch as fetching
from mdlib.loading.fetch import FetchConfig, fetch, find_drive_id

DRIVE_ID = "1AbCdEfGhIjKlMnOpQrStUvWxYz012345"
CHUNK = 64 << 10


def make_zip(seed=0, size=1_000_000) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.bin", np.random.default_rng(seed).bytes(size))
        archive.writestr("b.txt", "b" * 100)
    return stream.getvalue()


ZIP, OTHER_ZIP = make_zip(0), make_zip(1)  # of the same size
PAGE = b"<!DOCTYPE html><html><head><title>Sign  in</title></head><body>Who are you?</body></html>"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Answer:
    """What the server does with one request."""

    body: bytes = ZIP
    status: int = 200
    etag: str | None = '"1"'
    ranges: bool = True
    if_range: bool = True  # False: ranges are given whatever If-Range says
    drop_after: int | None = None  # bytes of the body, then the connection ends
    reset: bool = False  # ... with a TCP reset
    stop_after: int | None = None  # bytes of the body, then nothing more until the server is released
    claimed: int | None = None  # Content-Length, where it is not the true one
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


class Server(ThreadingHTTPServer):
    """Gives the answers one after the other, the last one for ever; remembers requests and bytes sent."""

    daemon_threads = True

    def __init__(self, *answers: Answer):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked, self.sent = list(answers), [], []
        self.released = threading.Event()
        self.context = None  # TLS, for a stand-in for https
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/data/rooms.zip"

    def handle_error(self, request, address):
        pass  # clients hang up: that is what is tested


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_CONNECT(self):
        """As a proxy: talk as the host that was asked for."""
        self.send_response(200, "Connection established")
        self.end_headers()
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def do_GET(self):
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.server.asked.append({"path": self.path, "host": self.headers["Host"], **self.headers})
        time.sleep(answer.delay_s)
        body, status, wanted = answer.body, answer.status, self.headers.get("Range")
        same = not answer.if_range or self.headers.get("If-Range", answer.etag) == answer.etag
        headers = {"Content-Type": "application/zip", **answer.headers}
        if wanted and answer.ranges and same and status == 200:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            status = 206 if start < len(body) else 416
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            body = body[start:]
        self.send_response(status)
        if answer.etag:
            headers["ETag"] = answer.etag
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if answer.claimed is None else answer.claimed))
        self.end_headers()
        self.server.sent.append(0)
        number = len(self.server.sent) - 1
        end = len(body) if answer.drop_after is None else answer.drop_after
        for at in range(0, end, 8192):
            if answer.stop_after is not None and at >= answer.stop_after:
                self.server.released.wait(20)
            piece = body[at : min(at + 8192, end)]
            self.wfile.write(piece)
            self.server.sent[number] += len(piece)
        if answer.drop_after is not None or answer.claimed is not None:
            self.close_connection = True
        if answer.reset:
            linger = b"\1\0\0\0\0\0\0\0"
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True, scope="module")
def _home(tmp_path_factory):
    """gdown keeps cookies at home; local servers are reached without a proxy, and do not let us wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetching, "WAIT_S", 0.01)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "127.0.0.1")
        yield


@pytest.fixture
def serve():
    servers = []

    def start(*answers: Answer) -> Server:
        servers.append(Server(*answers))
        return servers[-1]

    yield start
    for server in servers:
        server.released.set()
        server.shutdown()
        server.server_close()


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_whole_file_into_a_folder(serve, tmp_path):
    server = serve(Answer())
    path = fetch(server.url, f"{tmp_path}/new/", sha256=sha256(ZIP).upper(), size=len(ZIP))
    assert path == tmp_path / "new/rooms.zip"
    assert path.read_bytes() == ZIP
    assert names(path.parent) == ["rooms.zip"]


def test_name_in_the_address_is_decoded_and_stays_in_the_folder(serve, tmp_path):
    server = serve(Answer())
    assert fetch(server.url.replace("rooms", "my%20rooms") + "?a=b/c", tmp_path).name == "my rooms.zip"
    assert fetch(server.url.replace("rooms.zip", "..%2F..%2Fup.zip"), tmp_path) == tmp_path / "up.zip"
    with pytest.raises(ValueError, match="give one with --out .*/NAME"):
        fetch(server.url.replace("rooms.zip", ""), tmp_path)


def test_verified_file_is_not_fetched_again(serve, tmp_path, capsys):
    server, out = serve(Answer()), tmp_path / "rooms.zip"
    fetch(server.url, out)
    for options in ({}, {"sha256": sha256(ZIP)}, {"size": len(ZIP)}):
        assert fetch(server.url, out, **options) == out
    assert len(server.asked) == 1
    assert capsys.readouterr().out.count("is there already, not fetched again") == 3


def test_another_file_of_the_name_is_not_overwritten(serve, tmp_path):
    server, out = serve(Answer()), tmp_path / "rooms.zip"
    out.write_bytes(OTHER_ZIP)
    with pytest.raises(ValueError, match=r"rooms.zip is there, but it has the sha256 .*Delete it"):
        fetch(server.url, out, sha256=sha256(ZIP))
    out.write_bytes(ZIP[:-1])
    with pytest.raises(ValueError, match="not a whole ZIP archive"):
        fetch(server.url, out)
    assert not server.asked
    assert out.read_bytes() == ZIP[:-1]


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_dropped_connection_goes_on_where_it_was(serve, tmp_path, capsys, reset):
    server = serve(Answer(drop_after=300_000, reset=reset), Answer(drop_after=200_000), Answer())
    assert fetch(server.url, tmp_path / "a.zip").read_bytes() == ZIP
    starts = [asked.get("Range") for asked in server.asked]
    assert starts[0] is None
    kept = [int(start.removeprefix("bytes=").removesuffix("-")) for start in starts[1:]]
    assert 0 < kept[0] <= 300_000
    assert kept[0] % CHUNK == 0
    assert server.sent[2] == len(ZIP) - kept[1]
    assert [asked.get("If-Range") for asked in server.asked] == [None, '"1"', '"1"']
    assert "trying again" in capsys.readouterr().out


def test_server_without_ranges_starts_anew(serve, tmp_path):
    server = serve(Answer(ranges=False, drop_after=300_000), Answer(ranges=False))
    assert fetch(server.url, tmp_path / "a.zip").read_bytes() == ZIP
    assert server.sent[1] == len(ZIP)


def test_no_validator_means_no_going_on(serve, tmp_path):
    """Without ETag and Last-Modified nothing tells whether the rest belongs to the same file."""
    server = serve(Answer(etag=None, drop_after=300_000), Answer(body=OTHER_ZIP, etag=None))
    assert fetch(server.url, tmp_path / "a.zip").read_bytes() == OTHER_ZIP
    assert "Range" not in server.asked[1]


@pytest.mark.parametrize("honest", [True, False], ids=["If-Range honoured", "If-Range ignored"])
def test_changed_file_starts_anew(serve, tmp_path, honest):
    changed = Answer(body=OTHER_ZIP, etag='"2"', if_range=honest)
    server = serve(Answer(drop_after=300_000), changed)
    assert fetch(server.url, tmp_path / "a.zip").read_bytes() == OTHER_ZIP
    assert "Range" in server.asked[1]


def test_server_that_always_drops_is_given_up(serve, tmp_path):
    """Each try gets a little further at first, which resets the count; then none does."""
    server = serve(Answer(drop_after=CHUNK), Answer(drop_after=CHUNK), Answer(drop_after=0))
    with pytest.raises(ConnectionError, match="the connection failed .*Do the same again"):
        fetch(server.url, tmp_path / "a.zip", sha256=sha256(ZIP), retries=2)
    assert len(server.asked) == 2 + 2
    assert names(tmp_path) == ["a.zip.part"]
    assert (tmp_path / "a.zip.part").stat().st_size == 2 * CHUNK


def test_truncated_everywhere_is_no_archive(serve, tmp_path):
    """The server believes that half of the file is the file."""
    server = serve(Answer(body=ZIP[:500_000]))
    with pytest.raises(ValueError, match=rf"{server.url}: .* is not a whole ZIP archive"):
        fetch(server.url, tmp_path / "a.zip")
    with pytest.raises(ValueError, match="is not a whole ZIP archive"):
        fetch(server.url, tmp_path / "named-otherwise")  # it begins like one
    assert names(tmp_path) == []


def test_other_kinds_of_file_are_fetched_too(serve, tmp_path):
    server = serve(Answer(body=b"\x89PNG"), Answer(body=b""))
    assert fetch(server.url, tmp_path / "a.png").read_bytes() == b"\x89PNG"
    assert fetch(server.url, tmp_path / "empty").read_bytes() == b""


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sha256": sha256(OTHER_ZIP)}, f"has the sha256 {sha256(ZIP)}, expected {sha256(OTHER_ZIP)}"),
        ({"size": 5}, f"has {len(ZIP):,} bytes, expected 5"),
    ],
)
def test_wrong_sha256_or_size(serve, tmp_path, options, sentence):
    server = serve(Answer())
    with pytest.raises(ValueError, match=sentence):
        fetch(server.url, tmp_path / "a.zip", **options)
    assert names(tmp_path) == []
    assert len(server.asked) == 1


def test_wrong_size_is_seen_before_anything_is_sent(serve, tmp_path):
    server = serve(Answer(body=bytes(50_000_000)))
    with pytest.raises(ValueError, match="expected 7"):
        fetch(server.url, tmp_path / "a", size=7)
    assert server.sent[0] < 50_000_000


def test_sha256_that_is_none(tmp_path):
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        fetch("http://127.0.0.1:9/a.zip", tmp_path, sha256="abc")


@pytest.mark.parametrize(
    ("status", "error", "sentence"),
    [
        (404, FileNotFoundError, "the server answers 404 Not Found. Open the address in a browser"),
        (401, PermissionError, "answers 401"),
        (403, PermissionError, "Open the address in a browser"),
        (400, ValueError, "answers 400"),
    ],
)
def test_status_becomes_a_sentence(serve, tmp_path, status, error, sentence):
    server = serve(Answer(body=PAGE, status=status, headers={"Content-Type": "text/html"}))
    with pytest.raises(error, match=sentence):
        fetch(server.url, tmp_path / "a.zip")
    assert names(tmp_path) == []
    assert len(server.asked) == 1  # another try would not help


def test_busy_server_is_asked_again(serve, tmp_path):
    busy = Answer(body=b"", status=503, headers={"Retry-After": "0"})
    server = serve(busy, busy, Answer())
    assert fetch(server.url, tmp_path / "a.zip").read_bytes() == ZIP
    with pytest.raises(ConnectionError, match="the server answers 503"):
        fetch(serve(busy).url, tmp_path / "b.zip", retries=2)
    assert names(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/zip"])
def test_web_page_instead_of_the_file(serve, tmp_path, kind):
    server = serve(Answer(body=b"\n " + PAGE, headers={"Content-Type": kind}))
    with pytest.raises(ValueError, match="it is a web page, not the file. Open the address"):
        fetch(server.url, tmp_path / "a.zip")
    assert names(tmp_path) == []


def test_web_page_that_was_asked_for_and_archive_called_a_page(serve, tmp_path):
    html = {"Content-Type": "text/html"}
    server = serve(Answer(body=PAGE, headers=html), Answer(headers=html))
    assert fetch(server.url, tmp_path / "page.html").read_bytes() == PAGE
    assert fetch(server.url, tmp_path / "a.zip").read_bytes() == ZIP


def test_web_page_in_the_middle_is_not_the_file(serve, tmp_path):
    """The login ended while the file was on its way."""
    page = Answer(body=PAGE, ranges=False, headers={"Content-Type": "text/html"})
    server = serve(Answer(drop_after=300_000), page)
    with pytest.raises(ValueError, match="web page"):
        fetch(server.url, tmp_path / "a.zip", sha256=sha256(ZIP))
    assert names(tmp_path) == []


def test_part_of_another_source_is_not_gone_on_with(serve, tmp_path):
    first, second = serve(Answer(drop_after=300_000)), serve(Answer(body=OTHER_ZIP))
    for options in ({}, {"sha256": sha256(ZIP)}):
        with pytest.raises(ConnectionError):
            fetch(first.url, tmp_path / "a.zip", retries=0, **options)
    assert names(tmp_path) == ["a.zip.part"]
    assert fetch(second.url, tmp_path / "a.zip").read_bytes() == OTHER_ZIP
    assert "Range" not in second.asked[0]
    assert names(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("damaged", [True, False], ids=["damaged", "of another file"])
def test_damaged_part_is_noticed_and_fetched_anew(serve, tmp_path, damaged):
    """A crash of the machine may leave zeros at the end of what had arrived."""
    server, out = serve(Answer(drop_after=300_000), Answer()), tmp_path / "a.zip"
    with pytest.raises(ConnectionError):
        fetch(server.url, out, sha256=sha256(ZIP), retries=0)
    part = tmp_path / "a.zip.part"
    part.write_bytes(part.read_bytes()[:-1000] + bytes(1000) if damaged else OTHER_ZIP[:200_000])
    with pytest.raises(ValueError, match="has the sha256 .* it is damaged or another file"):
        fetch(server.url, out, sha256=sha256(ZIP))
    assert names(tmp_path) == []
    assert fetch(server.url, out, sha256=sha256(ZIP)).read_bytes() == ZIP
    assert names(tmp_path) == ["a.zip"]


def test_part_that_is_the_whole_file_already(serve, tmp_path):
    """The last call was killed after the last byte."""
    server, out = serve(Answer()), tmp_path / "a.zip"
    (tmp_path / "a.zip.part").write_bytes(ZIP)
    assert fetch(server.url, out, sha256=sha256(ZIP)).read_bytes() == ZIP
    assert names(tmp_path) == ["a.zip"]


def test_slow_start(serve, tmp_path):
    server = serve(Answer(delay_s=0.5))
    assert fetch(server.url, tmp_path / "a.zip").read_bytes() == ZIP
    assert len(server.asked) == 1


def test_silent_server_is_asked_again(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "TIMEOUT_S", 0.3)
    server = serve(Answer(stop_after=300_000), Answer())
    assert fetch(server.url, tmp_path / "a.zip").read_bytes() == ZIP
    assert "Range" in server.asked[1]
    silent = serve(Answer(delay_s=1.0))
    with pytest.raises(ConnectionError, match="timed out"):
        fetch(silent.url, tmp_path / "b.zip", retries=1)
    assert names(tmp_path) == ["a.zip"]


def test_offline_is_one_sentence(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(
        ConnectionError, match=r"failed \(Connection refused\). Is this machine online"
    ) as caught:
        fetch(f"http://user:secret@127.0.0.1:{port}/a.zip?token=secret", tmp_path)
    assert "secret" not in str(caught.value)
    assert names(tmp_path) == []


def test_secrets_stay_out_of_sentences_and_notes(serve, tmp_path, capsys):
    server = serve(Answer(drop_after=300_000), Answer(drop_after=0))
    with pytest.raises(ConnectionError) as caught:
        fetch(server.url.replace("//", "//user:pa55@") + "?token=pa55", tmp_path / "a.zip", retries=1)
    assert "pa55" not in str(caught.value)
    assert "pa55" not in capsys.readouterr().out


def test_no_room_on_the_disk_is_said_first(serve, tmp_path):
    server = serve(Answer(claimed=10**18))
    with pytest.raises(OSError, match="needs about 1000000000.0 GB more, but only .* are free .*: free some"):
        fetch(server.url, tmp_path / "a.zip")
    assert names(tmp_path) == []


FETCH = "import sys; from mdlib.loading.fetch import fetch; fetch(*sys.argv[1:])"


def run_python(code, *arguments, **options):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); "


def test_disk_that_fills_up_keeps_the_final_name_free(serve, tmp_path):
    server, out = serve(Answer()), tmp_path / "a.zip"
    for digest, left in (((), []), ((sha256(ZIP),), ["a.zip.part"])):
        done = run_python(LIMIT + FETCH, server.url, out, *digest)
        assert f"{tmp_path}: File too large. Free some space" in done.stderr.splitlines()[-1]
        assert names(tmp_path) == left
    assert fetch(server.url, out, sha256=sha256(ZIP)).read_bytes() == ZIP
    assert server.asked[-1]["Range"] == "bytes=300000-"


def test_killed_fetch_goes_on(serve, wait_until, tmp_path):
    server, out = serve(Answer(stop_after=800_000), Answer()), tmp_path / "a.zip"
    process = subprocess.Popen([sys.executable, "-c", FETCH, server.url, str(out)])
    part = tmp_path / "a.zip.part"
    wait_until(lambda: part.exists() and part.stat().st_size >= 700_000, 30)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = part.stat().st_size
    assert kept >= 700_000
    assert not out.exists()
    server.released.set()
    assert fetch(server.url, out, sha256=sha256(ZIP)).read_bytes() == ZIP
    assert server.sent[1] == len(ZIP) - kept
    assert names(tmp_path) == ["a.zip"]


# Google Drive: a proxy on this machine that answers as drive.google.com, with a certificate made for it.

CONFIRM = b"""<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<form id="download-form" action="https://drive.usercontent.google.com/download" method="get">
<input type="hidden" name="id" value="%s"><input type="hidden" name="export" value="download">
<input type="hidden" name="confirm" value="t"></form></body></html>""" % DRIVE_ID.encode()
QUOTA = b"""<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>
<p class="uc-error-subcaption">Too many users have viewed or downloaded this file.</p></body></html>"""
AS_PAGE = {"Content-Type": "text/html; charset=utf-8"}
AS_FILE = {"Content-Disposition": 'attachment; filename="rooms.zip"'}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs the program 'openssl': install the system package 'openssl'")
    folder = tmp_path_factory.mktemp("certificate")
    hosts = "subjectAltName=DNS:drive.google.com,DNS:drive.usercontent.google.com"
    make = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    make += ["-days", "2", "-subj", "/CN=drive.google.com", "-addext", hosts]
    subprocess.run(
        [*make, "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True
    )
    return folder


@pytest.fixture
def drive(serve, certificate, monkeypatch):
    def start(*answers: Answer) -> Server:
        server = serve(*answers)
        server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "cert.pem"))
        return server

    return start


def test_drive_file_behind_a_confirmation_page(drive, tmp_path):
    server = drive(Answer(body=CONFIRM, headers=AS_PAGE), Answer(headers=AS_FILE))
    path = fetch(
        f"https://drive.google.com/file/d/{DRIVE_ID}/view?usp=sharing", tmp_path / "a.zip", sha256=sha256(ZIP)
    )
    assert path.read_bytes() == ZIP
    assert server.asked[0]["path"] == f"/uc?id={DRIVE_ID}"
    assert server.asked[1]["host"] == "drive.usercontent.google.com"
    assert names(tmp_path) == ["a.zip"]


def test_drive_connection_that_drops_goes_on(drive, tmp_path):
    """gdown asks for the whole file before it asks for the rest, so bytes say nothing: the Range does."""
    server = drive(Answer(headers=AS_FILE, drop_after=700_000), Answer(headers=AS_FILE, stop_after=200_000))
    server.released.set()
    assert fetch(DRIVE_ID, tmp_path / "a.zip", sha256=sha256(ZIP)).read_bytes() == ZIP
    assert any(asked.get("Range") == f"bytes={512 * 1024}-" for asked in server.asked)
    assert names(tmp_path) == ["a.zip"]


def test_drive_that_cannot_go_on_starts_anew(drive, tmp_path):
    whole = Answer(headers=AS_FILE, ranges=False)
    server = drive(Answer(headers=AS_FILE, drop_after=700_000), whole)
    assert fetch(DRIVE_ID, tmp_path / "a.zip", sha256=sha256(ZIP)).read_bytes() == ZIP
    assert len(server.asked) >= 3
    assert names(tmp_path) == ["a.zip"]


def test_drive_without_a_sha256_starts_anew(drive, tmp_path):
    """Nothing would tell whether the rest belongs to the same file."""
    server = drive(Answer(headers=AS_FILE, drop_after=700_000), Answer(headers=AS_FILE, body=OTHER_ZIP))
    assert fetch(DRIVE_ID, tmp_path / "a.zip").read_bytes() == OTHER_ZIP
    assert not any("Range" in asked for asked in server.asked)
    assert names(tmp_path) == ["a.zip"]


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        (Answer(body=QUOTA, headers=AS_PAGE), PermissionError, "Too many users have viewed"),
        (Answer(body=PAGE, headers=AS_PAGE), PermissionError, "Failed to retrieve file url"),
        (Answer(body=PAGE, headers=AS_FILE), ValueError, "it is a web page, not the file"),
    ],
    ids=["quota", "login", "page as file"],
)
def test_drive_page_says_what_to_do(drive, tmp_path, answer, error, sentence):
    drive(answer)
    with pytest.raises(error, match=sentence) as caught:
        fetch(DRIVE_ID, tmp_path / "a.zip")
    for advice in (f"/file/d/{DRIVE_ID}/view", "Anyone with the link", "Make a copy", "try again tomorrow"):
        assert advice in str(caught.value)
    assert names(tmp_path) == []


def test_drive_offline(tmp_path, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{closed.getsockname()[1]}")
    with pytest.raises(ConnectionError, match="Is this machine online"):
        fetch(DRIVE_ID, tmp_path / "a.zip")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "source",
    [
        DRIVE_ID,
        f"https://drive.google.com/file/d/{DRIVE_ID}",
        f"https://drive.google.com/file/d/{DRIVE_ID}/view?usp=drive_link",
        f"https://drive.google.com/file/u/1/d/{DRIVE_ID}/edit",
        f"https://drive.google.com/open?id={DRIVE_ID}",
        f"https://drive.google.com/uc?export=download&id={DRIVE_ID}",
        f"https://drive.usercontent.google.com/download?id={DRIVE_ID}&confirm=t",
    ],
)
def test_drive_ids_and_links(source):
    assert find_drive_id(source) == DRIVE_ID


def test_sources_that_are_none(tmp_path):
    assert find_drive_id(f"https://example.org/file/d/{DRIVE_ID}") is None
    for link in (f"https://drive.google.com/drive/folders/{DRIVE_ID}", "https://drive.google.com/file/d/1Ab"):
        with pytest.raises(ValueError, match="no link of one whole file"):
            find_drive_id(link)
    for nonsense in ("data/rooms.zip", "rooms", ""):
        with pytest.raises(ValueError, match="is no address"):
            fetch(nonsense, tmp_path)
    with pytest.raises(ValueError, match="give one with --out"):
        fetch(DRIVE_ID, tmp_path)


# Buckets and everything else that fsspec knows; its file:// goes the same way as s3:// and gs://.


def test_bucket_after_a_full_disk_starts_anew(tmp_path):
    source, out = tmp_path / "there/rooms.zip", tmp_path / "here/rooms.zip"
    source.parent.mkdir()
    source.write_bytes(ZIP)
    done = run_python(LIMIT + FETCH, f"file://{source}", out)
    assert f"{out.parent}: File too large. Free some space" in done.stderr.splitlines()[-1]
    assert names(out.parent) == []
    assert fetch(f"file://{source}", out.parent).read_bytes() == ZIP
    assert names(out.parent) == ["rooms.zip"]


def test_bucket_file_that_changed_starts_anew(tmp_path):
    source, out = tmp_path / "rooms.zip", tmp_path / "here/rooms.zip"
    source.write_bytes(ZIP)
    run_python(LIMIT + FETCH, f"file://{source}", out, sha256(ZIP))
    source.write_bytes(OTHER_ZIP)
    assert fetch(f"file://{source}", out, sha256=sha256(OTHER_ZIP)).read_bytes() == OTHER_ZIP


def test_bucket_file_is_verified(tmp_path):
    fsspec.filesystem("memory").pipe("/bucket/rooms.zip", ZIP)
    assert fetch("memory://bucket/rooms.zip", tmp_path, sha256=sha256(ZIP)).read_bytes() == ZIP
    for options, sentence in (({"size": 5}, "expected 5"), ({"sha256": sha256(OTHER_ZIP)}, "has the sha256")):
        with pytest.raises(ValueError, match=sentence):
            fetch("memory://bucket/rooms.zip", tmp_path / "b.zip", **options)
    fsspec.filesystem("memory").pipe("/bucket/rooms.zip", ZIP[:-1])
    with pytest.raises(ValueError, match="not a whole ZIP archive"):
        fetch("memory://bucket/rooms.zip", tmp_path / "b.zip")
    assert names(tmp_path) == ["rooms.zip"]


def test_bucket_errors_are_sentences(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.zip: .*Check address and credentials"):
        fetch(f"file://{tmp_path}/none.zip", tmp_path / "a.zip")
    with pytest.raises(ValueError, match="Protocol not known"):
        fetch("nonsense://bucket/a.zip", tmp_path)
    assert names(tmp_path) == []


def test_missing_package_is_named(tmp_path):
    without = "import sys; sys.modules['fsspec'] = None; "
    done = run_python(without + FETCH, "s3://bucket/a.zip", tmp_path)
    assert "s3://bucket/a.zip needs a package: pip install 'mdlib[remote]'" in done.stderr


def test_config_has_the_arguments_of_fetch(serve, tmp_path):
    server = serve(Answer())
    config = FetchConfig(source=server.url, out=str(tmp_path), size=len(ZIP))
    assert fetch(**vars(config)).read_bytes() == ZIP
