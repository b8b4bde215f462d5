"""The ZIP index and reading in place, held against Python's zipfile."""

import io
import multiprocessing
import os
import pickle
import struct
import subprocess
import sys
import threading
import unicodedata
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mdlib import files as files_module
from mdlib.files import OpenFiles
from mdlib.loading import archive as archive_module
from mdlib.loading import zip_directory
from mdlib.loading.archive import Archive
from mdlib.loading.zip_writer import ShardWriter

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write_zip(path, members, method=zipfile.ZIP_STORED, comment=b"", prefix=b"", **options):
    with open(path, "wb") as stream:
        stream.write(prefix)
        with zipfile.ZipFile(stream, "a" if prefix else "w", method, **options) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
            archive.comment = comment
    return path


def same_as_zipfile(path):
    ours, theirs = Archive(path), zipfile.ZipFile(path)
    names = [info.filename for info in theirs.infolist() if not info.is_dir()]
    assert ours.names() == names
    positions = ours.find_many(names)
    assert positions.tolist() == list(range(len(names)))
    for name, position in zip(names, positions.tolist(), strict=True):
        assert ours.read(position, verify=True) == theirs.read(name)
    mixed = np.random.default_rng(len(names)).integers(0, max(1, len(names)), 2 * len(names)).tolist()
    assert ours.read_many(positions) == [theirs.read(name) for name in names]
    assert ours.read_many(mixed) == [theirs.read(names[k]) for k in mixed]
    return ours


LETTERS = st.characters(codec="utf-8", exclude_characters="\0/\\:", exclude_categories=["Cs"])
NAMES = st.text(LETTERS, min_size=1, max_size=30).filter(lambda name: name not in (".", ".."))


@QUICK
@given(
    members=st.dictionaries(NAMES, st.binary(max_size=300), max_size=20),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    comment=st.binary(max_size=80).filter(lambda c: b"PK" not in c),
    prefix=st.binary(max_size=100).filter(lambda p: b"PK" not in p),
)
def test_reads_what_zipfile_reads(tmp_path, members, method, comment, prefix):
    path = write_zip(tmp_path / "a.zip", members, method, comment, prefix)
    assert same_as_zipfile(path).comment() == comment


def test_folders_are_skipped(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"x/": b"", "x/1.jpg": b"one", "y/": b"", "2": b"two"})
    assert same_as_zipfile(path).names() == ["x/1.jpg", "2"]


def test_streamed_archive_with_data_descriptors(tmp_path):
    class Pipe(io.RawIOBase):  # cannot seek, so zipfile writes sizes behind the data
        def __init__(self):
            self.data = bytearray()

        def writable(self):
            return True

        def write(self, data):
            self.data += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as stream:
        stream.writestr("a.jpg", b"alpha" * 10)
        stream.writestr("b.jpg", b"beta")
    path = tmp_path / "a.zip"
    path.write_bytes(pipe.data)
    same_as_zipfile(path)


def test_zip64_fields_of_single_members(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(3):
            with archive.open(f"{i}.bin", "w", force_zip64=True) as member:
                member.write(b"%d" % i * 50)
    same_as_zipfile(path)


def test_archive_over_4_gib(tmp_path):
    """A sparse file: the members behind the hole have offsets that only the ZIP64 fields can hold."""
    path = tmp_path / "large.zip"
    with open(path, "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("first", b"in front")
        stream.seek(5 << 30, os.SEEK_CUR)
        archive.start_dir = stream.tell()
        for i in range(5):
            archive.writestr(f"behind{i}", b"%d" % i * 9)
    ours = same_as_zipfile(path)
    assert ours.read(ours.find("behind4")) == b"444444444"


def test_names_of_old_tools_are_cp437(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"caf\u00e9.jpg": b"x", "plain": b"y"})
    data = path.read_bytes().replace("caf\u00e9.jpg".encode(), b"caf\x82.jpg\x20")  # same length, no UTF-8
    data = data.replace(struct.pack("<HH", 20, 0x800), struct.pack("<HH", 20, 0))
    path.write_bytes(data)
    ours = Archive(path)
    assert ours.names()[0] == "caf\u00e9.jpg "
    assert ours.read(ours.find("caf\u00e9.jpg ")) == b"x"


def test_a_signature_inside_a_name_does_not_confuse(tmp_path):
    names = ["PK\x01\x02" * 20, "aPK\x01\x02", "PK\x05\x06"]
    same_as_zipfile(write_zip(tmp_path / "a.zip", {name: name.encode() for name in names}))


def test_several_archives_are_one(tmp_path):
    members = [{f"{k}/{i}": b"%d%d" % (k, i) for i in range(k + 1)} for k in range(4)]
    paths = [write_zip(tmp_path / f"{k}.zip", members[k]) for k in range(4)]
    ours = Archive(paths)
    assert len(ours) == 10
    assert ours.names() == [f"{k}/{i}" for k in range(4) for i in range(k + 1)]
    for k, i in [(0, 0), (3, 3), (2, 1)]:
        assert ours.read(ours.find(f"{k}/{i}")) == b"%d%d" % (k, i)
    assert ours.part_slice(2) == slice(3, 6)
    assert ours.find_many(["3/1"], part=3).tolist() == [7]


def test_missing_name_is_named(tmp_path):
    ours = Archive(write_zip(tmp_path / "a.zip", {"a": b""}))
    with pytest.raises(KeyError, match="'mask/7.png'.*a.zip"):
        ours.find("mask/7.png")


def test_a_name_that_stands_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("same", b"1")
        archive.writestr("same", b"2")
    with pytest.raises(ValueError, match="several members called 'same'"):
        Archive(tmp_path / "a.zip").find("same")


def test_encrypted_and_strange_methods_are_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a": b"data"})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\1\2")
    flagged = data.copy()
    flagged[at + 8] |= 1
    path.write_bytes(flagged)
    with pytest.raises(ValueError, match="'a' is encrypted"):
        Archive(path).read(0)
    data[at + 10] = 12
    path.write_bytes(data)
    with pytest.raises(ValueError, match="method 12"):
        Archive(path).read(0)


def test_split_archives_are_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a": b"data"})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\5\6") + 4] = 2
    path.write_bytes(data)
    with pytest.raises(ValueError, match="split archive"):
        Archive(path)


def test_what_is_no_archive(tmp_path):
    (tmp_path / "a.zip").write_text("<html>quota exceeded</html>")
    with pytest.raises(ValueError, match="not a whole ZIP archive"):
        Archive(tmp_path / "a.zip")
    with pytest.raises(FileNotFoundError, match="b.zip"):
        Archive(tmp_path / "b.zip")


def test_deflated_bomb_is_refused_without_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_module, "MAX_MEMBER_BYTES", 100_000)
    path = write_zip(tmp_path / "a.zip", {"bomb": bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="claims 10,000,000 bytes, more than the 100,000"):
        Archive(path).read(0)
    lie = struct.pack("<I", 1000)
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 10_000_000), lie))
    with pytest.raises(ValueError, match="does not inflate to the 1,000 bytes"):
        Archive(path).read(0)


def test_overlapping_members_are_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a": b"1" * 100, "b": b"2" * 100})
    data = bytearray(path.read_bytes())
    second = data.rindex(b"PK\1\2")
    struct.pack_into("<I", data, second + 42, 0)  # both members at the same place
    path.write_bytes(data)
    with pytest.raises(ValueError, match="bytes outside the file or of another member"):
        Archive(path)


def test_forged_length_of_a_local_field_gives_no_foreign_bytes(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a": b"1" * 100, "b": b"2" * 100})
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, 28, 60)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        Archive(path).read(0)


def test_crc_on_request(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a": b"alpha", "b": b"bravo"})
    path.write_bytes(path.read_bytes().replace(b"bravo", b"brAvo"))
    ours = Archive(path)
    assert ours.read(1) == b"brAvo"
    with pytest.raises(ValueError, match="'b' is damaged"):
        ours.read(1, verify=True)
    assert len(ours.check()) == 1 and "'b'" in ours.check()[0]


def test_changed_archive_is_noticed(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a": b"alpha"})
    ours = Archive(path)
    write_zip(path, {"a": b"alphabet"})
    with pytest.raises(ValueError, match="changed since it was opened"):
        ours.read(0)


@pytest.fixture(scope="module")
def members():
    generator = np.random.default_rng(5)
    return {f"m{i:04d}": generator.bytes(int(generator.integers(1, 4000))) for i in range(300)}


@pytest.fixture(scope="module")
def shard(tmp_path_factory, members):
    return write_zip(tmp_path_factory.mktemp("shard") / "a.zip", members)


def _crcs(archive, order):
    return [zlib.crc32(archive.read(i)) for i in order]


def _child(archive, order, queue):
    queue.put(_crcs(archive, order))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_shared_by_processes(shard, members, method):
    expected = [zlib.crc32(data) for data in members.values()]
    ours = Archive(shard)
    assert _crcs(ours, range(300)) == expected  # the descriptor is open when the children start
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    children = [context.Process(target=_child, args=(ours, list(range(300)) * 5, queue)) for _ in range(2)]
    for child in children:
        child.start()
    results = [_crcs(ours, list(range(300)) * 5), queue.get(timeout=60), queue.get(timeout=60)]
    for child in children:
        child.join()
    assert all(result == expected * 5 for result in results)


def test_shared_by_threads(shard, members):
    ours = Archive(shard)
    expected = [zlib.crc32(data) for data in members.values()]
    results = {}

    def work(k):
        order = np.random.default_rng(k).permutation(300).tolist() * 5
        results[k] = _crcs(ours, order) == [expected[i] for i in order]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(range(8), True)


def test_pickled_copy_reads(shard, members):
    ours = Archive(shard)
    ours.read(0)
    assert pickle.loads(pickle.dumps(ours)).read(7) == members["m0007"]


def read_or_error(read, *args):
    try:
        return read(*args)
    except ValueError as error:
        return str(error)


def read_hostile(path, originals):
    """Open and read everything; only true content or a ValueError may come out, also of many at once."""
    try:
        ours = Archive(path)
        members = range(len(ours))
    except ValueError:
        return 0
    right = 0
    singly = [read_or_error(ours.read, i) for i in members]
    errors = [one for one in singly if isinstance(one, str)]
    assert read_or_error(ours.read_many, members) == (errors[0] if errors else singly)
    for i in members:
        try:
            data = ours.read(i, verify=True)
        except ValueError:
            continue
        assert data in originals, "bytes that no member holds"
        right += 1
    return right


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_truncated_anywhere(tmp_path, members, method):
    path = write_zip(tmp_path / "a.zip", members, method)
    data = path.read_bytes()
    for length in range(0, len(data), 1000):
        path.write_bytes(data[:length])
        assert read_hostile(path, set(members.values())) == 0


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bits(tmp_path, data):
    members = {f"m{i}": b"%d" % i * (20 + i) for i in range(6)}
    path = write_zip(tmp_path / "a.zip", members, data.draw(st.sampled_from([0, 8])), comment=b"remark")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    read_hostile(path, set(members.values()))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_directory_that_lies(tmp_path, data):
    members = {f"m{i}": b"%d" % i * (20 + i) for i in range(6)}
    path = write_zip(tmp_path / "a.zip", members)
    content = bytearray(path.read_bytes())
    directory, end = content.index(b"PK\1\2"), content.rindex(b"PK\5\6")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(directory, len(content) - 4))
        lies = [0, 1, 0xFF, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, end, directory, len(content)]
        struct.pack_into("<I", content, at, data.draw(st.sampled_from(lies)))
    path.write_bytes(content)
    read_hostile(path, set(members.values()))


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../b", "C:\\x"])
def test_names_that_leave_the_folder(tmp_path, name):
    path = write_zip(tmp_path / "a.zip", {"fine": b"1", name: b"2"})
    with pytest.raises(ValueError, match="unsafe name"):
        Archive(path)


def test_index_needs_no_object_per_member(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a": b"1", "b": b"2"})
    index, _ = zip_directory.read_index(path)
    assert all(isinstance(column, np.ndarray) for column in index)
    assert sum(column.nbytes for column in index) == 2 * (8 + 3 * 4 + 2 * 2 + 4) + len("ab")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "a.zip"
    with ShardWriter(path) as archive:
        for i in range(30_000):
            archive.add(f"{i:020d}", b"%d" % i)
    return path


def test_large_index_does_not_travel(large):
    ours = Archive(large)
    order = [29_999, 0, 17, 17, 20_000]
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=_child, args=(ours, order, queue))
    child.start()
    assert queue.get(timeout=60) == [zlib.crc32(b"%d" % i) for i in order]
    child.join()
    sent = pickle.dumps(ours)
    assert len(sent) < 2000
    assert pickle.loads(sent).read_many(order) == [b"%d" % i for i in order]


def test_a_pickled_copy_of_a_changed_archive_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a": b"alpha"})
    sent = pickle.dumps(Archive(path))
    write_zip(path, {"b": b"", "a": b"alphabet"})
    with pytest.raises(ValueError, match="changed since it was opened"):
        pickle.loads(sent)


def test_an_archive_left_open_at_the_end_of_a_program_is_silent(shard):
    code = f"from mdlib.loading.archive import Archive; kept = Archive({str(shard)!r}); kept.read(0)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_backslashes_in_names_are_separators(tmp_path):
    """As unzip reads them; in GBK, 誠 is the bytes D5 5C, so that byte stays where a name is no UTF-8."""
    path = write_zip(
        tmp_path / "a.zip", {"fg_bg/b1/1.jpg": b"one", "fg_bg/é.jpg": b"two", "xx.jpg": b"three"}
    )
    data = path.read_bytes().replace(b"fg_bg/b1/1.jpg", rb"fg_bg\b1\1.jpg").replace(b"xx.jpg", b"\xd5\\.jpg")
    path.write_bytes(data.replace("fg_bg/é.jpg".encode(), "fg_bg\\é.jpg".encode()))
    ours = Archive(path)
    assert ours.names() == ["fg_bg/b1/1.jpg", "fg_bg/é.jpg", "\u2552\\.jpg"]
    assert [ours.name(i) for i in range(3)] == ours.names()
    for name in ("fg_bg/b1/1.jpg", r"fg_bg\b1\1.jpg"):
        assert ours.read(ours.find(name), verify=True) == b"one"
    assert ours.read_many(ours.find_many(np.array([b"fg_bg/b1/1.jpg"]))) == [b"one"]
    assert ours.read(ours.find("fg_bg/é.jpg")) == b"two" and ours.read(ours.find("\u2552\\.jpg")) == b"three"


def test_folders_with_backslashes_are_skipped(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"x/": b"", "x/1.jpg": b"one"})
    path.write_bytes(path.read_bytes().replace(b"x/", b"x\\"))
    assert Archive(path).names() == ["x/1.jpg"]


@pytest.mark.parametrize("behind", [b"\n", b"\0" * 512, b"PK\5\6", b"x" * 60_000])
@pytest.mark.parametrize("comment", [b"", b"remark"])
def test_bytes_behind_the_archive(tmp_path, behind, comment):
    path = write_zip(tmp_path / "a.zip", {"a": b"alpha", "b": b"bravo"}, comment=comment)
    path.write_bytes(path.read_bytes() + behind)
    ours = Archive(path)
    assert ours.read_many([0, 1]) == [b"alpha", b"bravo"] and ours.comment() == comment


def test_an_archive_inside_of_one_that_is_cut_off_is_not_taken_for_it(tmp_path):
    inner = write_zip(tmp_path / "inner.zip", {"a": b"alpha"}).read_bytes()
    outer = write_zip(tmp_path / "outer.zip", {"x/inner.zip": inner, "more": bytes(1000)}).read_bytes()
    for length in range(len(inner), len(outer) - 22, 7):
        (tmp_path / "cut.zip").write_bytes(outer[:length])
        with pytest.raises(ValueError, match=r"not a whole ZIP archive|damaged"):
            Archive(tmp_path / "cut.zip")


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("flagged", [True, False])
def test_accents_may_be_composed_or_not(tmp_path, stored, flagged):
    """The Mac's own archiver writes them decomposed, as UTF-8 without the flag that says so."""
    name = unicodedata.normalize(stored, "fg_bg/caf\u00e9_\u304c.jpg")
    path = write_zip(tmp_path / "a.zip", {name: b"x", "b.jpg": b"y"})
    if not flagged:
        path.write_bytes(path.read_bytes().replace(struct.pack("<HH", 20, 0x800), struct.pack("<HH", 20, 0)))
    ours = Archive(path)
    assert ours.names() == [name, "b.jpg"]
    for form in ("NFC", "NFD"):
        asked = unicodedata.normalize(form, name)
        assert ours.find(asked) == 0 == ours.find_many(np.array([asked.encode()]))[0]
    with pytest.raises(KeyError, match="no member 'caf\u00e9.jpg'"):
        ours.find("caf\u00e9.jpg")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x1f\x8b\x08", "compressed by gzip"),
        (b"Rar!\x1a\x07", "a RAR archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (bytes(257) + b"ustar", "a tar archive"),
    ],
)
def test_other_kinds_of_archives_are_named(tmp_path, head, kind):
    (tmp_path / "a.zip").write_bytes(head + bytes(3000))
    with pytest.raises(ValueError, match=f"{kind}.*extract it, and give the folder"):
        Archive(tmp_path / "a.zip")


# ---- more files than may be open, and systems without pread and fcntl ------------------------------------


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
    monkeypatch.setattr(files_module, "_allowed", lambda count: 1)
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
    monkeypatch.setattr(files_module, "_allowed", lambda count: 1)
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
from mdlib import files as files_module
from mdlib.loading.archive import Archive
from mdlib.loading.dataset import open_dataset
from mdlib.loading.fetch import fetch
from mdlib.loading.loader import make_loader
from mdlib.training.run_folder import RunLock
many, dataset, out = map(Path, sys.argv[1:])
assert files_module.resource is None

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
