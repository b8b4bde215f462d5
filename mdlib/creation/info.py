"""What a data set holds, as text for the command line, and whether it is whole."""

from dataclasses import dataclass
from pathlib import Path

from mdlib.creation import recipe
from mdlib.creation.live import open_stored_or_live
from mdlib.creation.writing import card, manifest
from mdlib.files import sha256_of
from mdlib.loading.archive import Archive
from mdlib.loading.format import DATASET_FILE

_MAX_LISTED = 5


@dataclass(frozen=True)
class InfoConfig:
    """Prints the counts, sizes and statistics of a data set."""

    data: Path
    """Folder of the data set."""
    check: bool = False
    """Also read every byte and compare the checksums."""


def info(data: str | Path, check: bool = False) -> str:
    """Counts, sizes, depth, near-duplicates and statistics of the data set in the folder `data`, as text.

    Every shard must be there in its full length; with `check` every byte is read and compared with the
    checksums. Raises FileNotFoundError or ValueError with a sentence for what is missing or damaged.
    """
    path = Path(data)
    if (path / recipe.NAME).is_file() and not (path / DATASET_FILE).is_file():
        raise FileNotFoundError(
            f"{path} is not finished: {manifest.progress(path)}. Run the same create command again to go on."
        )
    facts = card.collect(open_stored_or_live(path))
    lines = card.summary(facts)
    if (path / card.NAME).is_file():
        lines.append(f"with pictures: {path / card.NAME}")
    if check:
        content = facts.data.info
        _compare(path, content["shards"] + ([content["sources"]] if "sources" in content else []))
        lines.append("every byte read: all checksums agree")
    return "\n".join([str(path), *(f"  {line}" for line in lines)])


def _compare(path: Path, shards: list[dict]) -> None:
    problems = []
    for shard in shards:
        file = path / shard["name"]
        if sha256_of(file) != shard["sha256"]:
            members = Archive(file).check()
            problems.append(f"{file} was changed or is damaged{': ' + members[0] if members else ''}")
    if problems:
        more = f"\n  and {len(problems) - _MAX_LISTED} more" if len(problems) > _MAX_LISTED else ""
        raise ValueError(
            f"{len(problems)} of {len(shards)} files differ from what was written; delete them and run the "
            f"same create command again to make them anew:\n  " + "\n  ".join(problems[:_MAX_LISTED]) + more
        )
