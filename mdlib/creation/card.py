"""What a data set holds, in words; and whether its files are whole."""

from pathlib import Path

from mdlib.creation import manifest, recipe
from mdlib.loading.archive import Archive
from mdlib.loading.dataset import open_dataset

_MAX_LISTED = 5


def info(path: str | Path, check: bool = False) -> str:
    """Counts, sizes, depth, near-duplicates and statistics of the data set in the folder `path`, as text.

    Every shard must be there in its full length; with `check` every byte is read and compared with the
    checksums. Raises FileNotFoundError or ValueError with a sentence for what is missing or damaged.
    """
    path = Path(path)
    if (path / recipe.NAME).is_file() and not (path / manifest.NAME).is_file():
        raise FileNotFoundError(
            f"{path} is not finished: {manifest.progress(path)}. Run the same create command again to go on."
        )
    content = open_dataset(path).info
    lines = [str(path), *_counts(content), _depth(content)]
    for kind, name in (("backgrounds", "places"), ("cutouts", "things")):
        lines += _duplicates(content[kind], name)
    lines += _statistics(content)
    lines.append(f"  id {content['id']}")
    if check:
        _compare(path, content["shards"])
        lines.append("  every byte read: all checksums agree")
    return "\n".join(lines)


def _counts(content: dict) -> list[str]:
    height, width = content["size"]
    shards, counts = content["shards"], content["counts"]
    size = sum(shard["bytes"] for shard in shards)
    each = size / counts["samples"] / 1000
    mirrored = ", as they are and mirrored" if counts["flips"] == 2 else ""
    return [
        f"  {counts['samples']:,} samples of {width} x {height} pixels (width x height)",
        f"  {manifest.readable(size)} in {len(shards)} shards, {each:.1f} kB per sample",
        f"  {counts['backgrounds']} backgrounds x {counts['cutouts']} cut-outs{mirrored}, "
        f"x {counts['placements']} placements",
    ]


def _depth(content: dict) -> str:
    depth = content["depth"]
    if depth["kind"] == "none":
        return "  depth: none"
    error = depth.get("encoding_error")
    loss = (
        f"; encoding changes closeness by {error['mean']:.4f} (at most {error['max']:.3f})" if error else ""
    )
    teacher = f", guessed by {depth['teacher']['name']}" if "teacher" in depth else ""
    scale = f"; closeness = {depth['near_m']} m / z" if "near_m" in depth else ""
    return f"  depth: {depth['kind']}{teacher}, stored as {depth['unit']}{scale}{loss}"


def _duplicates(entries: list[dict], what: str) -> list[str]:
    groups: dict[int, list[str]] = {}
    for entry in entries:
        groups.setdefault(entry["group"], []).append(entry["name"])
    same = [" = ".join(names) for names in groups.values() if len(names) > 1]
    more = f"; and {len(same) - _MAX_LISTED} more" if len(same) > _MAX_LISTED else ""
    found = f"; nearly the same: {'; '.join(same[:_MAX_LISTED])}{more}" if same else ""
    return [f"  {len(groups)} different {what}{found}"]


def _statistics(content: dict) -> list[str]:
    lines = [f"  {'':8}mean{'':20}standard deviation"]
    for kind, values in content["statistics"].items():
        mean, std = (" ".join(f"{v:.4f}" for v in values[name]) for name in ("mean", "std"))
        unknown = f"  ({values['unknown']:.1%} unknown)" if values.get("unknown") else ""
        lines.append(f"  {kind:8}{mean:24}{std}{unknown}")
    return lines


def _compare(path: Path, shards: list[dict]) -> None:
    problems = []
    for shard in shards:
        file = path / shard["name"]
        if recipe.file_sha256(file) != shard["sha256"]:
            members = Archive(file).check()
            problems.append(f"{file} was changed or is damaged{': ' + members[0] if members else ''}")
    if problems:
        more = f"\n  and {len(problems) - _MAX_LISTED} more" if len(problems) > _MAX_LISTED else ""
        raise ValueError(
            f"{len(problems)} of {len(shards)} shards differ from what was written; delete them and run the "
            f"same create command again to make them anew:\n  " + "\n  ".join(problems[:_MAX_LISTED]) + more
        )
