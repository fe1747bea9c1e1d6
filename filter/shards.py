"""A run in shards: what is to be done, what is done, and how one shard is worked on.

While a run is on, `OUT/.textsieve` holds its state: the plan, and one file of results for each shard that is done. Such
a file appears whole or not at all, so a run that was stopped, however rudely, goes on where it was. When all shards are
done they are joined, in order, into what a run without shards would have written, and the state is removed.

Nothing in a result depends on who worked on it, how often it was begun anew or what was worked on at the same time.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import heapq
import io
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, count, groupby
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from . import __version__
from .batch import Analysed, Outcome, analyse, rejection
from .config import Config
from .errors import InputError, UsageError
from .readers import Item, Piece, Reader, Rejection
from .writers import TEMPORARY, Writer, dumps, part_records, rejected_record

__all__ = ["Attempt", "Beat", "Shard", "Slow", "State", "read_result", "settings_of", "work_on", "write_whole"]

STATE = ".textsieve"
_SLOWEST = 5
_PARTIAL = ".partial"
_READ_BYTES = 1 << 20

# What the lines of a shard's result are, by their first byte.
_RECORD, _MORE, _REJECTION, _END = b"+ -="
_MIND = "try it by itself with a higher document_timeout_s or max_worker_mb"


class Slow(NamedTuple):
    """About how long one document took; what was spent on a batch is shared out by length."""

    seconds: float
    path: str
    line: int | None


class Beat(NamedTuple):
    """How far the work on a shard is; a sign of life.

    Attributes:
        finished: records whose outcome is written.
        offset: bytes of the unfinished result that hold them.
        documents, rejected, chars: what they were; chars are code points.
        slowest: those that took longest, slowest first.
        reading: the record that is next, or being worked on: an index among those of the shard.
        is_read: whether it has been read; only said of records that are worked on one by one.
    """

    finished: int = 0
    offset: int = 0
    documents: int = 0
    rejected: int = 0
    chars: int = 0
    slowest: tuple[Slow, ...] = ()
    reading: int = 0
    is_read: bool = False


@dataclass(frozen=True, slots=True)
class Shard:
    """A share of a run's input, and all that is needed to work on it.

    Attributes:
        number: its place among the shards of the run, from 0.
        pieces: what to read.
        reader: reads them.
        config: what to do with them.
        removed_text: whether removals carry their text.
        target: the file for its result.
        partial: the file where it grows. Its name is used by one run alone: a worker that outlives a killed run must
            not write to the file of another worker.
    """

    number: int
    pieces: tuple[Piece, ...]
    reader: Reader
    config: Config
    removed_text: bool
    target: str
    partial: str

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(piece.size for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known of a shard from workers that died over it.

    Attributes:
        since: where to go on; what is written up to there stays.
        tries: how many died since anything was learned.
        careful: records that are worked on one by one, because one of them may be deadly.
        blamed: the last record that a worker died over when it was worked on alone.
        deadly: records to be set aside, and why.
        unreadable: the record that cannot even be read, and why; all after it in the shard are set aside with it.
    """

    since: Beat = field(default_factory=Beat)
    tries: int = 0
    careful: range = range(0)
    blamed: tuple[int, bool] | None = None
    deadly: Mapping[int, str] = field(default_factory=dict)
    unreadable: tuple[int, str] | None = None

    def after_death(self, last: Beat, reason: str, retries: int) -> Attempt:
        """Return what to do after a worker died.

        At first it is only tried again, then record by record; a record over which two die that work on nothing else
        is set aside.

        Args:
            last: the last sign of life.
            reason: how the worker ended.
            retries: how often a batch is simply tried again.
        """
        since = last._replace(reading=last.finished, is_read=False)
        if last.reading not in self.careful:
            tries = self.tries + 1 if last.finished == self.since.finished else 1
            suspects = range(last.finished, last.reading + 1)
            if tries <= retries:
                return replace(self, since=since, tries=tries, blamed=None)
            return replace(self, since=since, tries=0, careful=suspects, blamed=None)
        blamed = (last.reading, last.is_read)
        if blamed != self.blamed:
            return replace(self, since=since, blamed=blamed)
        if not last.is_read:
            return replace(self, since=since, blamed=None, unreadable=(last.reading, reason))
        return replace(self, since=since, blamed=None, deadly={**self.deadly, last.reading: reason})


def work_on(shard: Shard, attempt: Attempt, tell: Callable[[Beat], None]) -> Beat:
    """Write the result of a shard, and return what it came to.

    Args:
        shard: what to do.
        attempt: what earlier workers left; `Attempt()` if there was none.
        tell: called with how far the work is, before each record.

    Raises:
        TextsieveError: something that would fail every document.
        OSError: the result cannot be written.
    """
    try:
        with open(shard.partial, "r+b" if attempt.since.offset else "wb", buffering=0) as file:  # noqa: PTH123 - a str
            file.truncate(attempt.since.offset)
            file.seek(attempt.since.offset)
            beat = _Work(shard, attempt, tell, file).run()
            os.fsync(file.fileno())
        os.replace(shard.partial, shard.target)  # noqa: PTH105
        _sync_folder(os.path.dirname(shard.target))  # noqa: PTH120
    except MemoryError:
        raise  # this worker ends, and the next one goes on with what is there
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(shard.partial)  # noqa: PTH108
        raise
    return beat


class _Work:
    """One pass over a shard. Results are written batch by batch, so that the next attempt can go on between two."""

    def __init__(self, shard: Shard, attempt: Attempt, tell: Callable[[Beat], None], file: IO[bytes]) -> None:
        import zstandard

        self.shard = shard
        self.attempt = attempt
        self.tell = tell
        self.file = file
        self.beat = attempt.since
        self.compress = zstandard.ZstdCompressor(level=1, write_checksum=True).compress
        self.lines: list[bytes] = []
        # Of the batch that is gathered: seconds spent on each record but the last, and place and length of each.
        self.spent: list[float] = []
        self.places: list[tuple[str, int | None, int]] = []
        self.handed = time.monotonic()

    def run(self) -> Beat:
        config = self.shard.config
        for is_careful, group in groupby(self.items(), key=lambda found: found[0] in self.attempt.careful):
            items = (item for _, item in group)
            if is_careful:
                outcomes: Iterable[Outcome] = chain.from_iterable(analyse([item], config) for item in items)
            else:
                outcomes = analyse(items, config)
            for outcome in outcomes:
                self.add(outcome)
        self.flush()
        facts = {name: getattr(self.beat, name) for name in ("documents", "rejected", "chars", "slowest")}
        self.lines.append(bytes([_END]) + dumps(facts))
        self.flush()
        return self.beat

    def items(self) -> Iterator[tuple[int, Item | Rejection]]:
        """Yield the records that are still to be worked on, numbered; say before each how far the work is."""
        attempt = self.attempt
        items = iter(self.shard.reader.read_shard(self.shard.pieces))
        for index in count():
            if index and not self.lines:
                self.spent.append(time.monotonic() - self.handed)
            self.flush()
            if attempt.unreadable and attempt.unreadable[0] == index:
                yield index, self.unread(attempt.unreadable[1])
                return
            self.beat = self.beat._replace(reading=max(index, attempt.since.finished), is_read=False)
            self.tell(self.beat)
            item = next(items, None)
            if item is None:
                return
            if index < attempt.since.finished:
                continue
            if index in attempt.careful:
                self.tell(self.beat._replace(is_read=True))
            if index in attempt.deadly and isinstance(item, Item):
                error = InputError(f"workers died over it: {attempt.deadly[index]}", remedy=_MIND)
                item = rejection(item, error)
            self.handed = time.monotonic()
            yield index, item

    def unread(self, reason: str) -> Rejection:
        paths = list(dict.fromkeys(piece.path for piece in self.shard.pieces))
        place = paths[0] if len(paths) == 1 else f"{paths[0]} … {paths[-1]}"
        text = f"workers died reading record {self.beat.finished + 1:,} of {_stretch(self.shard.pieces)}: {reason}"
        text += "; that record and those after it there are set aside"
        return Rejection(InputError(text, path=place, remedy="look for damage there, and mend it"), whole_file=True)

    def add(self, outcome: Outcome) -> None:
        if isinstance(outcome, Analysed):
            try:
                records = part_records(outcome.document, outcome.item, str, removed_text=self.shard.removed_text)
                lines = [_checked(dumps(record)) for record in records]
            except InputError as error:
                outcome = rejection(outcome.item, error)
            else:
                self.lines += [bytes([_MORE if number else _RECORD]) + line for number, line in enumerate(lines)]
        if isinstance(outcome, Rejection):
            record = {**rejected_record(outcome), "whole_file": outcome.whole_file}
            self.lines.append(bytes([_REJECTION]) + dumps(record))
            self.places.append((outcome.error.path, outcome.error.line, 0))
            self.beat = self.beat._replace(rejected=self.beat.rejected + 1)
        else:
            chars = len(outcome.document.text)
            self.places.append((outcome.item.path, outcome.item.line, chars))
            self.beat = self.beat._replace(documents=self.beat.documents + 1, chars=self.beat.chars + chars)
        self.beat = self.beat._replace(finished=self.beat.finished + 1)

    def flush(self) -> None:
        """Write the outcomes that have come since the last time, which are those of one batch."""
        if not self.lines:
            return
        data = self.compress(b"".join(self.lines))
        view = memoryview(data)
        while view:  # a file without a buffer may take less than it is given
            view = view[self.file.write(view) :]
        self.beat = self.beat._replace(offset=self.beat.offset + len(data), slowest=self.slowest())
        self.lines, self.spent, self.places = [], [], []

    def slowest(self) -> tuple[Slow, ...]:
        together = time.monotonic() - self.handed
        total = sum(chars for *_, chars in self.places) or 1
        own = [*self.spent, *[0.0] * len(self.places)]
        found = (
            Slow(round(seconds + together * chars / total, 3), path, line)
            for seconds, (path, line, chars) in zip(own, self.places, strict=False)
        )
        return tuple(heapq.nlargest(_SLOWEST, [*self.beat.slowest, *found], key=lambda slow: slow.seconds))


def _checked(line: bytes) -> bytes:
    """Return a line of JSON that can be read again."""
    try:
        json.loads(line)
    except RecursionError as error:
        raise InputError("the record's own fields are nested too deeply", remedy="simplify the record") from error
    return line


def _stretch(pieces: tuple[Piece, ...]) -> str:
    first, last = pieces[0], pieces[-1]
    if len(pieces) > 1:
        return f"{len(pieces):,} files"
    return f"the stretch of {first.path} from {first.first:,}" if last.end is not None else last.path


class Result(NamedTuple):
    """One document of a shard's result: its output records, and the lines they are written as."""

    records: list[dict[str, Any]]
    lines: list[bytes]


def read_result(path: Path) -> Iterator[Result | Rejection]:
    """Yield what a shard came to, in order.

    Raises:
        UsageError: the file is damaged.
    """
    import zstandard

    result: Result | None = None
    ended = False
    try:
        with path.open("rb") as packed:
            unpacked = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
            for line in io.BufferedReader(cast("io.RawIOBase", unpacked), _READ_BYTES):
                kind, line = line[0], line[1:]
                if kind == _MORE and result:
                    result.records.append(json.loads(line))
                    result.lines.append(line)
                    continue
                if result:
                    yield result
                    result = None
                if kind == _RECORD:
                    result = Result([json.loads(line)], [line])
                elif kind == _REJECTION:
                    yield _rejection(json.loads(line))
                else:
                    ended = kind == _END
    except (zstandard.ZstdError, ValueError) as error:
        raise UsageError(f"{path}: damaged ({error}); remove this file and run the same command again") from error
    if not ended:
        raise UsageError(f"{path}: cut short; remove this file and run the same command again")


def _rejection(record: dict[str, Any]) -> Rejection:
    error = InputError(record["reason"], path=record["path"], line=record["line"], remedy=record["remedy"])
    return Rejection(error, record["raw"], record["whole_file"])


def settings_of(config: Config, reader: Reader, *, removed_text: bool, shard_bytes: int) -> dict[str, Any]:
    """Return all that the results of a run depend on besides its inputs, as plain JSON; what files say, by digest."""
    from .store import models_dir

    return {
        "version": __version__,
        "models": _digest((models_dir() / "manifest.json").read_bytes()),
        **asdict(config),
        "rules": [_file_digest(name) for name in config.rules],
        "profiles": [_file_digest(name) for name in config.profiles],
        "decisions": [_file_digest(name) for name in config.decisions],
        "removed_text": removed_text,
        "--shard-mb": shard_bytes / 1e6,
        "kind": reader.kind,
        "fields": asdict(reader.fields),
    }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _file_digest(name: str) -> str:
    try:
        return _digest(Path(name).read_bytes())
    except OSError:
        return "cannot be read"  # whoever needs it says so


class State:
    """What is known on disk of an unfinished run, and the lock that keeps two runs out of one folder; a `with` block.

    The lock holds against other machines too where the file system passes `flock` on, as NFS does. What a killed run
    left is removed when the next one begins.

    Args:
        folder: the folder of results; made if it is not there, and removed at the end if nothing is in it.
        share: `(i, n)` when n runs share the work and leave the joining to another one.

    Raises:
        UsageError: another run is writing to the folder, or the folder cannot be written to.
    """

    def __init__(self, folder: Path, share: tuple[int, int] | None = None) -> None:
        self.folder = folder
        self.share = share
        self.shards = 0
        self._state = folder / STATE
        self._results = self._state
        self._locks: list[int] = []
        self._is_new = not folder.exists()

    def __enter__(self) -> State:
        try:
            self._state.mkdir(parents=True, exist_ok=True)
            self._lock("lock", fcntl.LOCK_SH if self.share else fcntl.LOCK_EX)
            if self.share:
                self._lock(f"lock-{self.share[0]}-of-{self.share[1]}", fcntl.LOCK_EX)
            else:
                for left in self.folder.glob(f"{TEMPORARY}*"):
                    shutil.rmtree(left, ignore_errors=True)
        except OSError as error:
            raise UsageError(f"{self.folder}: cannot be written to ({error.strerror}); name another folder") from error
        return self

    def _lock(self, name: str, kind: int) -> None:
        path = self._state / name
        while True:
            self._state.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except OSError as error:
                holder = os.read(descriptor, 200).decode("utf-8", "replace").strip()
                os.close(descriptor)
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
                raise UsageError(
                    f"{self.folder}: another run writes to it ({holder or 'not known which'}); "
                    "wait for it, or name another folder"
                ) from error
            # Whoever held it may have removed it just now: a lock on a file without a name keeps nobody out.
            with contextlib.suppress(OSError):
                if os.fstat(descriptor).st_ino == path.stat().st_ino:
                    break
            os.close(descriptor)
        self._locks.append(descriptor)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())

    def begin_alone(self, *, force: bool) -> None:
        """Check that there is no unfinished run in the folder, or drop it.

        Raises:
            UsageError: there is one, and force is off.
        """
        if self._read() is not None:
            if not force:
                raise UsageError(
                    f"{self.folder}: holds an unfinished run; give its command again to go on with it, "
                    "add --force to drop it, or name another folder"
                )
            self._forget()

    def plan(self, shards: Iterable[tuple[Piece, ...]], settings: Mapping[str, Any], *, force: bool = False) -> None:
        """Write down what is to be done, or check that it is what was to be done before.

        Raises:
            UsageError: the folder holds an unfinished run of other inputs or with other settings, and force is off.
        """
        plan = self._state / f"plan.{os.getpid()}.{socket.gethostname()}{_PARTIAL}"
        digest = hashlib.sha256()
        with plan.open("w", encoding="utf-8") as file:
            for number, shard in enumerate(shards, 1):
                pieces = [asdict(piece) for piece in shard]
                stamps = [_changed(piece.path) for piece in shard]
                line = json.dumps(pieces)
                digest.update(f"{line} {stamps}\n".encode())
                file.write(f"{line}\n")
                self.shards = number
            file.flush()
            os.fsync(file.fileno())
        now = {"settings": json.loads(json.dumps(settings)), "inputs": digest.hexdigest()}
        before = self._read()
        if before is not None and before != now:
            if not force:
                plan.unlink()
                raise UsageError(
                    f"{self.folder}: holds an unfinished run, and {_difference(before, now)}; give the same command "
                    "to go on with it, add --force to begin anew, or name another folder"
                )
            self._forget()
        key = _digest(json.dumps(now, sort_keys=True).encode())
        # A worker that outlives a killed run must not put its results among those of another one.
        self._results = self._state / key[:16]
        self._results.mkdir(exist_ok=True)
        plan.replace(self._state / "plan.jsonl")
        write_whole(self._state / "run.json", json.dumps(now, indent=2).encode())
        if not self.share:
            for left in self._results.glob(f"*{_PARTIAL}"):
                left.unlink()

    def _read(self) -> dict[str, Any] | None:
        try:
            before: dict[str, Any] = json.loads((self._state / "run.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return before

    def _forget(self) -> None:
        for path in self._state.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name == "run.json":
                path.unlink()

    def result(self, number: int) -> Path:
        """Return where the result of a shard stands when it is done."""
        return self._results / f"{number:05}.zst"

    def done(self) -> int:
        """Return how many shards are done."""
        return sum(path.suffix == ".zst" for path in self._results.iterdir()) if self._results.is_dir() else 0

    def to_do(self, reader: Reader, config: Config, *, removed_text: bool) -> Iterator[Shard]:
        """Yield the shards that are not done yet; of a shared run, those that fall to this share."""
        token = secrets.token_hex(4)
        with (self._state / "plan.jsonl").open(encoding="utf-8") as file:
            for number, line in enumerate(file):
                if self.share and number % self.share[1] != self.share[0] - 1:
                    continue
                target = self.result(number)
                if not target.exists():
                    pieces = tuple(Piece(**piece) for piece in json.loads(line))
                    partial = f"{target}.{token}{_PARTIAL}"
                    yield Shard(number, pieces, reader, config, removed_text, str(target), partial)

    def join(self, writer: Writer, report: Callable[[Result | Rejection], None]) -> None:
        """Write the results of all shards, in order.

        Raises:
            UsageError: a result is damaged.
        """
        for number in range(self.shards):
            for result in read_result(self.result(number)):
                if isinstance(result, Rejection):
                    writer.reject(result)
                else:
                    writer.write_records(result.records, result.lines)
                report(result)

    def clear(self) -> None:
        """Forget the run: it is finished, or nothing of it is worth keeping."""
        self._forget()
        self._results = self._state

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):
            # Of this run or of another one that was not touched.
            if not self.share and not any(self._state.glob("*/*.zst")):
                shutil.rmtree(self._state, ignore_errors=True)
                if self._is_new:
                    self.folder.rmdir()  # unless there is something in it
        for descriptor in self._locks:
            os.close(descriptor)


def _changed(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except (OSError, ValueError):  # none, or not a file of this machine
        return 0


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    old, new = before.get("settings", {}), now["settings"]
    for name in new:
        if old.get(name) != new[name]:
            return f"its {name} was {json.dumps(old.get(name))}, not {json.dumps(new[name])}"
    return "its inputs were others or have changed since"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all; what is no file, such as `/dev/stdout`, is written to as it is."""
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}.{socket.gethostname()}{_PARTIAL}")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        error.filename = str(path)  # the name that was asked for
        raise
    _sync_folder(str(path.parent))


def _sync_folder(name: str) -> None:
    descriptor = os.open(name, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
