"""Many members of archives read at once: what can be checked for all of them together is.

Members that lie next to each other, as the pictures of one sample do, are read by one call.
"""

import os
from itertools import repeat
from operator import getitem

import numpy as np

from mdlib.loading.zip_directory import ENCRYPTED_FLAG, LOCAL_HEADER, MAX_MEMBER_BYTES, STORED, ZipIndex

_SIGNATURE = 0x04034B50
_HEAD = np.dtype(
    {
        "names": ["signature", "name", "extra"],  # of a local header; the last two are lengths
        "formats": ["<u4", "<u2", "<u2"],
        "offsets": [0, 26, 28],
        "itemsize": LOCAL_HEADER,
    }
)
_GAP = 64  # bytes between two members (a data descriptor, say) that are rather read than skipped


def read_plain(
    index: ZipIndex, numbers: np.ndarray, descriptors: np.ndarray
) -> tuple[list[bytes], np.ndarray]:
    """The bytes of the members `numbers` (int64), the k-th from the open file `descriptors[k]`.

    Also returns for which of them these are right (bool): what is stored, not encrypted, of an allowed size,
    has no extra field in its local header, and the name there that the directory gives it.
    """
    offset, size = index.offset[numbers], index.size[numbers].astype(np.int64)
    name_end = index.name_end[numbers].astype(np.int64)
    name_start = index.name_end[numbers - 1].astype(np.int64)
    name_start[numbers == 0] = 0
    body = offset + (LOCAL_HEADER + name_end - name_start)
    end = body + size
    right = (index.method[numbers] == STORED) & (size <= MAX_MEMBER_BYTES)
    right &= index.flags[numbers] & ENCRYPTED_FLAG == 0

    gap = offset[1:] - end[:-1]
    follows = (descriptors[1:] == descriptors[:-1]) & (gap >= 0) & (gap <= _GAP) & right[1:] & right[:-1]
    first = np.flatnonzero(np.concatenate([[True], ~follows]))  # of the members that are read together
    last = np.concatenate([first[1:], [len(numbers)]]) - 1
    length = np.where(right[first], end[last] - offset[first], 0)
    blocks = list(map(os.pread, descriptors[first].tolist(), length.tolist(), offset[first].tolist()))
    if follows.any():
        run = np.repeat(np.arange(len(first)), last - first + 1)
        blocks, start = [blocks[k] for k in run.tolist()], offset[first][run]
    else:
        start = offset

    at, body, end = ((place - start).tolist() for place in (offset, body, end))
    named = [place + LOCAL_HEADER for place in at]
    data = list(map(getitem, blocks, map(slice, body, end)))
    right &= np.fromiter(map(len, data), np.int64, len(data)) == size
    heads = b"".join(map(getitem, blocks, map(slice, at, named)))
    names = b"".join(map(getitem, blocks, map(slice, named, body)))
    promised = map(getitem, repeat(index.names.data), map(slice, name_start.tolist(), name_end.tolist()))
    if names != b"".join(promised) or len(heads) != LOCAL_HEADER * len(numbers):
        right[:] = False  # one of them at least; reading them one by one will tell which
        return data, right
    return data, right & _heads_fit(heads, name_end - name_start)


def _heads_fit(heads: bytes, name_length: np.ndarray) -> np.ndarray:
    """Whether each local header has its signature, the name's length, and no extra field."""
    table = np.frombuffer(heads, _HEAD)
    return (table["signature"] == _SIGNATURE) & (table["name"] == name_length) & (table["extra"] == 0)
