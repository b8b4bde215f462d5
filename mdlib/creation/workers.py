"""Who does the tasks of a creation: processes here, one core each and gone when their parent is gone, or a
Dask cluster, whose workers may be on any machines that share the folder."""

import ctypes
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import torch

from mdlib import __version__
from mdlib.files import sha256_of
from mdlib.signals import end_with_parent, held_back

_CONNECT_S = 5  # to wait for a Dask scheduler
_MAX_LISTED = 5

_stop: Event | None = None  # of this process, where it is a worker


class Stopped(Exception):
    """A task was given up because nobody waits for its result."""


class HereExecutor(Executor):
    """Runs each task at once in the calling process."""

    def submit(self, fn: Callable, /, *args, **kwargs) -> Future:
        """Run `fn` and return its finished future; KeyboardInterrupt passes through."""
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def executor_of(workers: int) -> Iterator[Executor]:
    """An executor of `workers` processes with one thread each; for 1 the calling process.

    When the block is left by an exception, tasks under way end at their next `stop_if_asked`.
    """
    if workers == 1:
        yield HereExecutor()
        return
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        # Its end is near, and what it made until then would be reported as lost, after our own last sentence.
        raise RuntimeError("a worker that is importing its script cannot start workers of its own")
    # Started afresh: a forked copy of a process with running threads (torch, notebooks) can hang.
    context = multiprocessing.get_context("spawn")
    stop, begin = context.Event(), context.Event()
    events = stop, begin
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=events)
    try:
        _start(pool, workers, begin)
        yield pool
    except BaseException:
        stop.set()  # not killed: a result cut off in the pipe would block the pool for ever
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _start(pool: ProcessPoolExecutor, workers: int, begin: Event) -> None:
    """Start the processes so that Ctrl-C, which reaches the whole group, leaves their end to the parent."""
    try:
        with held_back({signal.SIGINT}), suppress(BrokenProcessPool):  # the next task says that one died
            for _ in range(workers):
                pool.submit(os.getpid)  # starts a process while none is idle, and none is before they begin
    finally:
        begin.set()


@contextmanager
def cluster_executor(address: str, file: Path, sha256: str) -> Iterator[Executor]:
    """An executor whose tasks run on the Dask cluster with the scheduler at `address`.

    A task whose worker dies is given to another one. Raises ImportError where Dask is not installed,
    ConnectionError where no scheduler answers or the cluster is lost on the way, RuntimeError where it has no
    workers, or they run another mdlib or do not see the `file` with this checksum.
    """
    try:
        from distributed import Client
        from distributed.comm import CommClosedError, get_address_host_port
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise ImportError('--dask needs Dask, which is not installed: pip install "mdlib[dask]"') from None
    try:
        # Knocked at first: a Client that found nobody leaves threads and warnings behind.
        socket.create_connection(get_address_host_port(address), _CONNECT_S).close()
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no Dask scheduler answers at {address!r} ({error}): give the address that `dask scheduler` "
            f"prints, such as tcp://10.0.0.1:8786"
        ) from None
    with client:
        try:
            _check_workers(client, address, file.absolute(), sha256)
            yield client.get_executor()
        except (KilledWorker, CommClosedError, CancelledError) as error:
            raise ConnectionError(
                f"the Dask scheduler at {address} was lost, or one task killed several of its workers "
                f"({error}). What is finished is kept: run the same command again to go on."
            ) from None


def _check_workers(client: Any, address: str, file: Path, sha256: str) -> None:
    """See that there are workers, and that all of them have the same folder and the same code."""
    seen = client.run(_seen_by_worker, file, on_error="return")
    if not seen:
        raise RuntimeError(f"the Dask scheduler at {address} has no workers: start some with `dask worker`")
    wrong = [
        f"{worker} does not see the folder {file.parent} with mdlib {__version__} (but {found})"
        for worker, found in seen.items()
        if found != (__version__, sha256)  # an exception where mdlib or what it needs is missing
    ]
    if wrong:
        raise RuntimeError(
            f"{'; '.join(wrong[:_MAX_LISTED])}. All workers need the same mdlib, and a folder that they "
            f"share under the same path."
        )


def _seen_by_worker(file: Path) -> tuple[str, str]:
    """Version of mdlib and checksum of the file, as this process finds them."""
    return __version__, sha256_of(file)


def on_one_core(function: Callable, *arguments: object) -> object:
    """Call the function with one thread of torch: sums then have one order on every machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return function(*arguments)
    finally:
        torch.set_num_threads(threads)


def give_back_memory() -> None:
    """Return what was freed to the system, where the C library keeps it and can be told to (glibc)."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _task(function: Callable, *arguments: object) -> object:
    try:
        return on_one_core(function, *arguments)
    finally:
        give_back_memory()  # drawing a room takes far more than composing does afterwards


def run_all(executor: Executor, tasks: Iterable[tuple], at_once: int) -> Iterator:
    """Results of the tasks (function, arguments...) as they are done, `at_once` of them under way."""
    waiting, running = iter(tasks), set()
    try:
        while True:
            for task in waiting:
                running.add(executor.submit(_task, *task))
                if len(running) >= at_once:
                    break
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenProcessPool:
        raise RuntimeError(
            "a worker process was stopped from outside, mostly because memory ran out. What is finished is "
            "kept: run the same command again to go on, with fewer --workers if it was memory. In a script "
            'of your own, what starts workers belongs under `if __name__ == "__main__":`, as each imports it.'
        ) from None
    finally:
        for future in running:
            future.cancel()


def stop_if_asked() -> None:
    """For long tasks: raises Stopped when the creation that this worker belongs to has come to an end."""
    if _stop is not None and _stop.is_set():
        raise Stopped


def _begin_worker(stop: Event, begin: Event) -> None:
    global _stop
    _stop = stop
    end_with_parent()
    begin.wait()  # idle from here on: see _start
