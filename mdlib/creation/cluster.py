"""Creation on a Dask cluster: workers on any machines that share the folder do what processes here do."""

import socket
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor
from contextlib import contextmanager
from pathlib import Path

from mdlib import __version__
from mdlib.creation import recipe

CONNECT_S = 5
_MAX_LISTED = 5


@contextmanager
def cluster_executor(address: str, folder: Path, comment: bytes) -> Iterator[Executor]:
    """An executor whose tasks run on the cluster with the scheduler at `address`.

    A task whose worker dies is given to another one. Raises ImportError where Dask is not installed,
    ConnectionError where no scheduler answers within CONNECT_S or it is lost on the way, RuntimeError where
    it has no workers, they do not see `folder` with the recipe of `comment` in it, run another version of
    mdlib, or one task has killed several workers.
    """
    try:
        from distributed import Client
        from distributed.comm import CommClosedError, get_address_host_port
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise ImportError('--dask needs Dask, which is not installed: pip install "mdlib[dask]"') from None
    try:
        # Knocked at first: a Client that found nobody leaves threads and warnings behind.
        socket.create_connection(get_address_host_port(address), CONNECT_S).close()
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no Dask scheduler answers at {address!r} ({error}): give the address that `dask scheduler` "
            f"prints, such as tcp://10.0.0.1:8786"
        ) from None
    with client:
        try:
            _check_workers(client, address, str(folder.absolute()), comment)
            yield client.get_executor()
        except KilledWorker as error:
            raise RuntimeError(
                f"several workers of {address} died on the same task, mostly because memory ran out "
                f"({error}). What is finished is kept: run the same command again to go on."
            ) from None
        except (CommClosedError, CancelledError) as error:
            raise ConnectionError(
                f"the Dask scheduler at {address} was lost ({error}). What is finished is kept: run the same "
                f"command again to go on."
            ) from None


def _check_workers(client: object, address: str, folder: str, comment: bytes) -> None:
    """See that there are workers, and that all of them have the same folder and the same code."""
    seen = client.run(_seen_by_worker, folder, on_error="return")
    if not seen:
        raise RuntimeError(f"the Dask scheduler at {address} has no workers: start some with `dask worker`")
    others = []
    for worker, theirs in seen.items():
        if isinstance(theirs, Exception):  # mdlib is missing there, or something that it needs
            others.append(f"{worker} cannot run mdlib ({theirs})")
        elif theirs[0] != __version__:
            others.append(f"{worker} has mdlib {theirs[0]} (here it is {__version__})")
        elif theirs[1] != comment:
            others.append(f"{worker} does not see the folder {folder}")
    if others:
        more = f"; and {len(others) - _MAX_LISTED} more" if len(others) > _MAX_LISTED else ""
        raise RuntimeError(
            f"{'; '.join(others[:_MAX_LISTED])}{more}. All workers need the same mdlib, and a folder that "
            f"they share under the same path."
        )


def _seen_by_worker(folder: str) -> tuple[str, bytes | None]:
    """Version of mdlib and checksum of the recipe in `folder`, as this process finds them."""
    try:
        return __version__, recipe.comment(Path(folder))
    except OSError:
        return __version__, None
