"""Reading at a position, without moving a shared file offset.

`os.pread` leaves the descriptor's offset alone, so processes and threads that share a descriptor never
disturb one another.
"""

import os
from pathlib import Path


def read_exactly(fd: int, size: int, offset: int, path: str | Path) -> bytes:
    """`size` bytes from `offset`; ValueError naming `path` where the file ends before."""
    data = os.pread(fd, size, offset)
    while len(data) < size:  # Linux gives at most 2 GiB a call, network drives less
        more = os.pread(fd, size - len(data), offset + len(data))
        if not more:
            raise ValueError(
                f"{path} ends at byte {offset + len(data)}, before byte {offset + size} where it should: "
                f"it is truncated or was changed while in use. Fetch or create it again."
            )
        data += more
    return data
