"""Making a data set by its recipe, through any interruption: what `create` and `pack` have in common.

The recipe is written first, then shard by shard whatever is missing, `dataset.json` last. Each file is whole
or not there, so the same call goes on where an interrupted one stopped, with the same bytes in the end.
"""

import errno
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tqdm.auto import tqdm

from mdlib.creation import recipe
from mdlib.creation.live import open_stored_or_live
from mdlib.creation.workers import cluster_executor, executor_of, run_all
from mdlib.creation.writing import card, manifest
from mdlib.files import readable, remove_stale, sha256_of, write_json
from mdlib.loading.format import DATASET_FILE

_DISK_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_NO_LIMIT = 1 << 30


class Crew(NamedTuple):
    """Who does the tasks of a creation: `executor`, with `at_once` tasks under way; `progress` shows bars."""

    executor: Executor
    at_once: int
    progress: bool

    def all(self, what: str, tasks: Iterable[tuple]) -> list:
        """The results of all tasks (function, arguments...), in the order in which they are done."""
        tasks, results = list(tasks), []
        with tqdm(total=len(tasks), desc=what, disable=not self.progress or not tasks) as bar:
            for result in run_all(self.executor, tasks, self.at_once):
                results.append(result)
                bar.update()
        return results

    def shards(
        self, what: str, folder: Path, names: Sequence[str], samples: Sequence[int], tasks: Iterable[tuple]
    ) -> list[dict]:
        """What the tasks tell of the shards `names` in `folder`, each of so many samples; some may be there
        already."""
        each = list(zip(names, samples, strict=True))
        left = {name: count for name, count in each if not (folder / name).exists()}
        facts, total = [], int(sum(samples))
        done = total - int(sum(left.values()))
        with tqdm(total=total, initial=done, unit=" samples", desc=what, disable=not self.progress) as bar:
            for fact in run_all(self.executor, tasks, self.at_once):
                facts.append(fact)
                bar.update(left.get(fact["name"], 0))
        return facts


def make_by_recipe(
    folder: Path,
    made_from: dict,
    make: Callable[[Crew], dict],
    *,
    workers: int,
    executor: Executor | None = None,
    dask: str | None = None,
    recipe_only: bool = False,
    progress: bool = True,
) -> Path:
    """Make the data set of the recipe `made_from` in `folder`, or finish it; returns the folder.

    `make` writes all that is missing, with the help of a crew, and returns the content of `dataset.json`. It
    is not called where all is there. The crew is `executor`, else the Dask cluster at the address `dask`,
    else `workers` processes. Raises ValueError where the folder holds another recipe, OSError when the disk
    is full, RuntimeError when a worker died; what is finished is always kept.
    """
    with _stops_explained(folder):
        recipe.begin(folder, made_from)
        remove_stale(folder)
        try:
            if not manifest.is_complete(folder, recipe_only):
                with _crew(folder, workers, executor, dask, progress) as crew:
                    write_json(folder / DATASET_FILE, make(crew))
                    (folder / card.NAME).unlink(missing_ok=True)  # of the recipe alone, if that came first
        finally:
            remove_stale(folder)
        write_card_if_missing(folder)  # when the workers are gone, with their memory
    return folder


@contextmanager
def _crew(
    folder: Path, workers: int, executor: Executor | None, dask: str | None, progress: bool
) -> Iterator[Crew]:
    if executor is not None:
        yield Crew(executor, _NO_LIMIT, progress)
    elif dask is not None:
        path = folder / recipe.NAME
        with cluster_executor(dask, path, sha256_of(path)) as own:
            yield Crew(own, _NO_LIMIT, progress)
    else:
        with executor_of(workers) as own:
            yield Crew(own, 2 * workers, progress)


@contextmanager
def _stops_explained(folder: Path) -> Iterator[None]:
    """Turn a full disk and an interrupt into sentences that say what is left to do."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"stopped; {manifest.progress(folder)}. Run the same command again to go on."
        ) from None
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EROFS):
            raise PermissionError(f"{folder}: cannot be written to ({error}); give another folder") from error
        if error.errno not in _DISK_FULL:
            raise
        what = "the disk is full" if error.errno != errno.EFBIG else "a file reached the size allowed here"
        raise OSError(
            f"{folder}: {what}, with {readable(shutil.disk_usage(folder).free)} free; "
            f"{manifest.progress(folder)}, and nothing is half-written. "
            f"Make room there, then run the same command again to go on."
        ) from error


def write_card_if_missing(folder: Path) -> None:
    """Write the card of a finished data set; what goes wrong is a warning: the data is whole without it."""
    if (folder / card.NAME).exists():
        return
    try:
        card.write(open_stored_or_live(folder))
    except Exception as error:  # whatever it is, hours of work must not end in an error for a picture's sake
        warnings.warn(f"{folder} is whole, but its card could not be made: {error!r}", stacklevel=2)
