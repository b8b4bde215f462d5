"""More files than may be open, and systems without pread and fcntl."""

import subprocess
import sys
import threading
import zipfile

import pytest

from mdlib.loading import open_files
from mdlib.loading.archive import Archive
from mdlib.loading.open_files import OpenFiles

resource = pytest.importorskip("resource")


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """100 archives of 3 members each; member j of archive i holds "i.j"."""
    folder = tmp_path_factory.mktemp("many")
    for i in range(100):
        with zipfile.ZipFile(folder / f"{i:03d}.zip", "w") as archive:
            for j in range(3):
                archive.writestr(f"{i}/{j}", f"{i}.{j}")
    return folder


def ended(code: str, *arguments: object) -> str:
    """What a fresh Python prints that runs this."""
    line = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


FEW = """
import resource, sys, threading
from pathlib import Path
soft, hard = map(int, sys.argv[2:])
import numpy as np
from mdlib.loading.archive import Archive
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
archives = [Archive(sorted(Path(sys.argv[1]).glob("*.zip"))) for _ in range(4)]
wrong = []

def work(archive, k):
    for _ in range(5):
        order = np.random.default_rng(k).permutation(300)
        expected = [f"{i // 3}.{i % 3}".encode() for i in order.tolist()]
        if archive.read_many(order) != expected or [archive.read(i) for i in order.tolist()] != expected:
            wrong.append(k)

threads = [threading.Thread(target=work, args=(archives[k % 4], k)) for k in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(wrong, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(("soft", "hard", "then"), [(50, 50, 50), (50, 4096, 400), (50, 120, 120)])
def test_more_archives_than_may_be_open(many, soft, hard, then):
    """Four times 100 archives, eight threads; where the system allows more, it is asked for as many."""
    assert ended(FEW, many, soft, hard).split("\n")[0] == f"[] {then}"


def test_a_file_is_never_closed_under_a_reader(many, monkeypatch):
    """At most one is kept open while eight threads read from all."""
    monkeypatch.setattr(open_files, "_allowed", lambda count: 1)
    paths = sorted(many.glob("*.zip"))
    files, whole = OpenFiles(paths), [path.read_bytes() for path in paths]
    wrong = []

    def work(k):
        for n in range(2000):
            i = (n * 7 + k * 13) % 100
            if files.read(i, 1 << 20, 5) != whole[i][5:]:
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(files._open) == 1


def test_a_closed_file_that_was_changed_is_noticed(many, tmp_path, monkeypatch):
    monkeypatch.setattr(open_files, "_allowed", lambda count: 1)
    for name in ("000.zip", "001.zip"):
        (tmp_path / name).write_bytes((many / name).read_bytes())
    ours = Archive(sorted(tmp_path.glob("*.zip")))
    assert ours.read(0) == b"0.0" and ours.read(3) == b"1.0"
    (tmp_path / "000.zip").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"000.zip was changed since it was opened"):
        ours.read(0)


WINDOWS = """
import os, signal, sys
for name in ("pread", "posix_fadvise", "sched_getaffinity"):
    delattr(os, name)
sys.modules["fcntl"] = sys.modules["resource"] = None
del signal.pthread_sigmask
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
import numpy as np
from mdlib.loading import open_files
from mdlib.loading.archive import Archive
from mdlib.loading.dataset import open_dataset
from mdlib.loading.fetch import fetch
from mdlib.loading.loader import make_loader
from mdlib.training.run_folder import RunLock
many, dataset, out = map(Path, sys.argv[1:])
assert open_files.resource is None

archive, right = Archive(sorted(many.glob("*.zip"))), []

def work(k):
    order = np.random.default_rng(k).permutation(300)
    expected = [f"{i // 3}.{i % 3}".encode() for i in order.tolist()]
    right.append(archive.read_many(order) == expected == [archive.read(i) for i in order.tolist()])

threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert right == [True] * 8, right

data = open_dataset(dataset)
assert sum(len(batch["index"]) for batch in make_loader(data, 7, threads=3)) == len(data)

class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=many))
threading.Thread(target=server.serve_forever, daemon=True).start()
fetched = fetch(f"http://127.0.0.1:{server.server_port}/007.zip", out / "got.zip")
assert fetched.read_bytes() == (many / "007.zip").read_bytes()

with RunLock(out / "run"):
    try:
        with RunLock(out / "run"):
            pass
    except BlockingIOError as error:
        print(error)
with RunLock(out / "run"):
    print("free again")
"""


def test_without_the_calls_that_windows_lacks(many, hand_made, tmp_path):
    """The reader under threads, the loader, fetching and the lock of a run."""
    said = ended(WINDOWS, many, hand_made[0], tmp_path).splitlines()
    assert said[0].startswith(f"{tmp_path / 'run'} is being trained by process")
    assert said[1] == "free again"
