"""Who works on the shards: this process, child processes, or the workers of a Dask cluster.

Every shard is worked on by a child process of its own supervisor, wherever that runs. A child that dies or hangs is
replaced; what it had written stays, the batch it died over is tried again, twice, and then record by record, and a
record over which workers keep dying is set aside with the reason. So one supervisor serves all engines, and a cluster
only has to bring shards and supervisors together.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from .child import OUT_OF_MEMORY, Child, ChildDiedError, OutOfTimeError
from .config import Config
from .errors import TextsieveError, UsageError
from .shards import Attempt, Beat, Shard, work_on, write_whole

__all__ = ["Crew", "Done", "Engine", "Hear", "Work", "carry_out", "run_here", "run_in_children", "run_on_dask"]

Hear = Callable[[Shard, Beat], None]
"""Told how far the work on a shard is; may be called from several threads."""
Work = Callable[[Shard, Attempt | None, Callable[[Beat], None]], Beat | Exception]
"""What a child is to do, for no attempt just to get ready; a module's function, so that its name is enough."""

_RETRIES = 2
_START_LIMIT_S = 120.0
_IN_FLIGHT = 2
"""Shards that wait on a Dask cluster for each of its threads, so that none is idle between two."""


class Done(NamedTuple):
    """A shard whose result is on disk, and what it came to."""

    shard: Shard
    beat: Beat


@dataclass(frozen=True, slots=True)
class Engine:
    """Who works on the shards.

    Attributes:
        jobs: child processes; 0 for this process, None for one child, or this process where there is but one shard.
        scheduler: the address of a Dask scheduler, whose workers are used instead.
    """

    jobs: int | None = None
    scheduler: str = ""

    def run(self, shards: Iterable[Shard], hear: Hear, *, is_small: bool) -> Generator[Done, None, None]:
        """Yield each shard when its result is on disk.

        Args:
            shards: what to do.
            hear: told how far the work is; may be called from several threads.
            is_small: whether the run has but one shard, for which a child would not pay.
        """
        if self.scheduler:
            return run_on_dask(shards, hear, scheduler=self.scheduler)
        if self.jobs == 0 or (self.jobs is None and is_small):
            return run_here(shards, hear)
        return run_in_children(shards, hear, jobs=self.jobs or 1)


class _StoppedError(Exception):
    """The run is over; there are no more children."""


class Crew:
    """Children that wait for work; each is used by one supervisor at a time, and its models are loaded once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._all: set[Child] = set()
        self._is_over = False

    def take(self) -> tuple[Child, bool]:
        """Return a child that nobody else uses, and whether it has yet to get ready."""
        with self._lock:
            if self._is_over:
                raise _StoppedError
            if self._idle:
                return self._idle.pop(), False
            child = Child()
            self._all.add(child)
            return child, True

    def give_back(self, child: Child) -> None:
        """Take back a child that is ready for more work."""
        with self._lock:
            self._idle.append(child)

    def dismiss(self, child: Child) -> None:
        """End a child that cannot be used any more."""
        with self._lock:
            self._all.discard(child)
        child.end()

    def stop(self) -> None:
        """End all; whoever waits for one of them learns that it died."""
        with self._lock:
            self._is_over = True
            for child in self._all:
                child.process.kill()
            for child in self._idle:
                child.end()


def work_in_child(shard: Shard, attempt: Attempt | None, tell: Callable[[Beat], None]) -> Beat | Exception:
    """Work on a shard within the limits of its configuration; what would fail every document comes back as a value."""
    try:
        if attempt is None:
            _limit_memory(shard.config.max_worker_mb)
            _load_models(shard.config)
            return Beat()
        return work_on(shard, attempt, tell)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except (TextsieveError, OSError, ImportError) as error:
        return error


def _limit_memory(limit_mb: int | None) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # not on every system
        import resource

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        soft = resource.RLIM_INFINITY if limit_mb is None else limit_mb * 1_000_000
        resource.setrlimit(resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _load_models(config: Config) -> None:
    """Load what every document needs, so that a worker that cannot does not blame a document for it."""
    from .pipeline import prepare, run_stages

    run_stages([prepare("The river rose two metres overnight.", config)], config)


def carry_out(shard: Shard, crew: Crew, hear: Hear, work: Work = work_in_child) -> Done:
    """Return when the result of a shard is on disk, however many children that takes.

    Raises:
        TextsieveError: something that would fail every document, or no child can be started.
        OSError: the result cannot be written.
    """
    attempt = Attempt()
    false_starts = 0
    while True:
        last: Beat | None = None

        def listen(beat: Beat) -> None:
            nonlocal last
            last = beat
            hear(shard, beat)

        child, is_new = crew.take()
        try:
            if is_new:
                result = child.call(work, (shard, None), _START_LIMIT_S, listen)
            if not is_new or not isinstance(result, Exception):
                result = child.call(work, (shard, attempt), shard.config.document_timeout_s, listen)
        except (OutOfTimeError, ChildDiedError) as error:
            crew.dismiss(child)
            limit = f"it took longer than {shard.config.document_timeout_s} s"
            reason = limit if isinstance(error, OutOfTimeError) else str(error)
            if last is not None:
                attempt, false_starts = attempt.after_death(last, reason, _RETRIES), 0
                continue
            false_starts += 1
            if false_starts > _RETRIES:
                message = f"a worker cannot start: {reason}; try --jobs 0 to see why, or raise max_worker_mb"
                raise UsageError(message) from error
        except BaseException:
            crew.dismiss(child)
            raise
        else:
            crew.give_back(child)
            if isinstance(result, Exception):
                raise result
            return Done(shard, result)


def run_here(shards: Iterable[Shard], hear: Hear) -> Generator[Done, None, None]:
    """Work on shards in this process, without limits of time and memory."""
    for shard in shards:
        yield Done(shard, work_on(shard, Attempt(), lambda beat, shard=shard: hear(shard, beat)))  # type: ignore[misc]


def run_in_children(
    shards: Iterable[Shard], hear: Hear, *, jobs: int, work: Work = work_in_child
) -> Generator[Done, None, None]:
    """Work on shards in child processes, and yield each when it is done.

    No shard is taken from `shards` before there is somebody to work on it.

    Args:
        shards: what to do.
        hear: told how far the work is.
        jobs: how many children.
        work: what they do.
    """
    crew = Crew()
    pool = ThreadPoolExecutor(jobs)
    waiting: set[Future[Done]] = set()
    try:
        for shard in shards:
            waiting.add(pool.submit(carry_out, shard, crew, hear, work))
            if len(waiting) >= jobs:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
        while waiting:
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in finished)
    finally:
        crew.stop()
        pool.shutdown(wait=True, cancel_futures=True)


def run_on_dask(
    shards: Iterable[Shard], hear: Hear, *, scheduler: str, work: Work = work_in_child
) -> Generator[Done, None, None]:
    """Work on shards on the machines of a Dask cluster, and yield each when its result is on this machine's disk.

    The machines need textsieve of the same version, and see the inputs, rules and profiles under the same names; the
    results come back over the network. Dask gives the shards of a machine that is lost to the others.

    Args:
        shards: what to do.
        hear: told when a shard is done; how far the others are is not known.
        scheduler: the address of the scheduler, for example tcp://10.0.0.1:8786, or the file it wrote.
        work: what the children of the Dask workers do.

    Raises:
        UsageError: Dask is not installed, or the scheduler or all its workers cannot be reached.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise UsageError("--engine dask needs the dask extra: pip install 'textsieve[dask]'") from error
    is_file = Path(scheduler).is_file()
    try:
        client = Client(scheduler_file=scheduler) if is_file else Client(scheduler, timeout=_START_LIMIT_S / 4)
        with contextlib.closing(client):
            client.wait_for_workers(1, timeout=_START_LIMIT_S)
            todo = iter(shards)
            names: dict[Any, Shard] = {}
            running = as_completed()

            def submit() -> None:
                shard = next(todo, None)
                if shard is not None:
                    # One that kills Dask's own workers again and again is no fault of a document: children die first.
                    future = client.submit(_carry_out_away, shard, work, pure=False, retries=_RETRIES)
                    names[future.key] = shard
                    running.add(future)

            for _ in range(_IN_FLIGHT * max(1, sum(client.nthreads().values()))):
                submit()
            for future in running:
                shard = names.pop(future.key)
                beat, data = future.result()
                write_whole(Path(shard.target), data)
                hear(shard, beat)
                yield Done(shard, beat)
                submit()
    except (OSError, TimeoutError) as error:
        if isinstance(error, OSError) and error.filename:
            raise
        raise UsageError(
            f"{scheduler}: no Dask workers there ({error}); check the address, and that they run"
        ) from error


_crew: Crew | None = None
_crew_lock = threading.Lock()


def _carry_out_away(shard: Shard, work: Work) -> tuple[Beat, bytes]:
    """Return what a shard came to, and its result; runs in a worker of Dask, which keeps its children for the next."""
    global _crew
    with _crew_lock:
        _crew = _crew or Crew()
    with tempfile.TemporaryDirectory(prefix="textsieve-") as folder:
        target = Path(folder, "result")
        done = carry_out(
            replace(shard, target=str(target), partial=f"{target}.partial"), _crew, lambda shard, beat: None, work
        )
        return done.beat, target.read_bytes()
