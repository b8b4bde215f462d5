"""Many members of archives read at once: what can be checked for all of them together is.

Members that lie next to each other, as the pictures of one sample do, are read by one call.
"""

import os
from operator import getitem

import numpy as np

from mdlib.loading.zipindex import ENCRYPTED_FLAG, LOCAL_HEADER, MAX_MEMBER_BYTES, STORED, ZipIndex, unaligned

_SIGNATURE = 0x04034B50  # of a local header
_GAP = 64  # bytes between two members (a data descriptor, say) that are rather read than skipped


def read_plain(index: ZipIndex, numbers: np.ndarray, descriptors: np.ndarray) -> list[bytes | None]:
    """The bytes of the members `numbers` (int64), the k-th from the open file `descriptors[k]`.

    Only what is plainly there is read: stored, not encrypted, of an allowed size, with the name in its local
    header that the directory gives it, and no extra field. None stands for every other member.
    """
    if not len(numbers):
        return []
    offset, size = index.offset[numbers], index.size[numbers].astype(np.int64)
    name_end = index.name_end[numbers].astype(np.int64)
    name_start = np.where(numbers > 0, index.name_end[numbers - 1], 0).astype(np.int64)
    head = LOCAL_HEADER + name_end - name_start
    plain = (index.method[numbers] == STORED) & (size <= MAX_MEMBER_BYTES)
    plain &= index.flags[numbers] & ENCRYPTED_FLAG == 0

    end = offset + head + size
    gap = offset[1:] - end[:-1]
    follows = (descriptors[1:] == descriptors[:-1]) & (gap >= 0) & (gap <= _GAP) & plain[1:] & plain[:-1]
    run = np.concatenate([[0], np.cumsum(~follows)])  # of members that are read together
    first = np.flatnonzero(np.concatenate([[True], ~follows]))
    length = np.where(plain[first], np.concatenate([end[first[1:] - 1], end[-1:]]) - offset[first], 0)
    read = map(os.pread, descriptors[first].tolist(), length.tolist(), offset[first].tolist())
    blocks = list(map(list(read).__getitem__, run.tolist()))

    at = offset - offset[first][run]
    body = at + head
    heads = b"".join(map(getitem, blocks, map(slice, at.tolist(), body.tolist())))
    data = list(map(getitem, blocks, map(slice, body.tolist(), (body + size).tolist())))
    plain &= np.fromiter(map(len, data), np.int64, len(data)) == size
    if len(heads) != head.sum():  # a file that ends too early
        return [None] * len(numbers)
    plain &= _as_promised(heads, head, name_start, index.names)
    return [one if good else None for one, good in zip(data, plain.tolist(), strict=True)]


def _as_promised(heads: bytes, head: np.ndarray, name_start: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Whether each local header, `head` bytes long, has the signature, no extra field and the right name."""
    at = np.cumsum(head) - head
    words = unaligned(heads, "<u4")
    good = (words[at] == _SIGNATURE) & (
        words[at + 26] == head - LOCAL_HEADER
    )  # extra length 0 in the upper half
    text = np.frombuffer(heads, np.uint8)
    promised = np.repeat(name_start - at - LOCAL_HEADER, head) + np.arange(len(text))
    same = text == names[np.maximum(promised, 0)]
    fixed = (at[:, None] + np.arange(LOCAL_HEADER)).reshape(-1)
    same[fixed] = True
    return good & np.logical_and.reduceat(same, at)
