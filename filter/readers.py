"""Files, folders and standard input to records, one at a time; what cannot be read is reported, and the rest goes on.

`Reader.read` is all there is to reading a run's input in one go. To share it out, `Reader.plan` cuts the same input
into shards, which are plain data, and `Reader.read_shard` reads one; the shards one after the other give what `read`
gives.

Read are `.txt`, `.html`, `.htm`, `.jsonl`, `.ndjson`, `.csv`, `.tsv`, `.warc` and `.wet`, each also with `.gz` or
`.zst`, and `.parquet`. Texts must be UTF-8; pages of HTML may have any encoding and stay bytes until extraction.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import gzip
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast, get_args

import orjson

from .document import Record
from .errors import InputError, UsageError
from .remote import find, is_remote, open_remote

__all__ = ["KINDS", "MAX_RAW_CHARS", "STDIN", "Fields", "Item", "Kind", "Piece", "Reader", "Rejection", "loads"]

Kind = Literal["text", "html", "jsonl", "csv", "tsv", "parquet", "warc"]
KINDS: tuple[Kind, ...] = get_args(Kind)

STDIN = "-"
_KINDS: dict[str, Kind] = {
    ".txt": "text",
    ".html": "html",
    ".htm": "html",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".warc": "warc",
    ".wet": "warc",
    ".parquet": "parquet",
}
_COMPRESSIONS = (".gz", ".zst")
_USABLE = f"{', '.join(_KINDS)}, each but the last also with {' or '.join(_COMPRESSIONS)}"

_BOM = b"\xef\xbb\xbf"
MAX_RAW_CHARS = 10_000
"""A rejected input is copied into the report only up to this length; it still stands where it was read from."""
_CHUNK = 1 << 20
_UNPACKED_BUFFER = 1 << 17
_ZSTD_CHUNK = 1 << 12  # 4 KiB of zstd can unfold to 128 MiB, more would break the bound on memory
_BYTES_PER_CHAR = 4  # in UTF-8, at most
_BYTES_PER_ESCAPE = 6  # a character written as \uXXXX in JSON
_FILE_WEIGHT = 1000  # bytes that a file counts for besides its own, so that a shard does not hold a million empty ones

_TEXT_FIELDS = ("text", "content", "body", "raw_content")
"""Where a text is often found; only for a hint."""
PAGE = re.compile(rb"\s*<(!doctype|html|head|body|\?xml|!--)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Item:
    """A record and where it stood.

    Attributes:
        record: what was read.
        path: the file as it was named, or "-".
        line: the 1-based line it begins on, for JSONL and CSV; its number, for rows of Parquet and records of WARC.
        given_id: the id that the input itself gave, if any.
    """

    record: Record
    path: str
    line: int | None = None
    given_id: str | None = None


@dataclass(frozen=True, slots=True)
class Fields:
    """What the fields of JSONL, and the columns of CSV and Parquet, are called that hold a record's parts."""

    text: str = "text"
    html: str = "html"
    url: str = "url"
    id: str = "id"


@dataclass(frozen=True, slots=True)
class Rejection:
    """An input that cannot be used.

    Attributes:
        error: what is wrong, where, and what to do about it.
        raw: the input, if it is a short text.
        whole_file: nothing of a file or folder could be read, as against one record of it.
    """

    error: InputError
    raw: str | None = None
    whole_file: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """A file, or a stretch of one, that can be read by itself; a shard is a tuple of them.

    The fields are plain JSON: `Piece(**dataclasses.asdict(piece))` is the same piece. (File names that are not UTF-8
    hold lone surrogates, which `json` carries and orjson refuses.)

    Attributes:
        path: the file as it was named, or found in a folder; "-" is standard input, which can be read only once.
        start, end: the stretch, half-open: bytes of JSONL or WARC, row groups of Parquet; None is the file's end.
        first: the 1-based number of the stretch's first line, record or row.
        size: bytes on disk, as far as they are known; 0 for standard input.
        problem, remedy: why there is nothing to read. Reading such a piece gives the rejection, in its place.
    """

    path: str
    start: int = 0
    end: int | None = None
    first: int = 1
    size: int = 0
    problem: str = ""
    remedy: str = ""


_FIELDS = Fields()


class Reader:
    """Reads inputs one record at a time.

    Args:
        max_chars: longer texts are rejected without being read to the end.
        kind: what standard input is, and any file whose name does not tell. None guesses from the first bytes of
            standard input, rejects such a file that is named, and passes it over in a folder.
        fields: what the fields of a record are called.
        skip: a folder that is left out when another one is searched: the output must not become input.
        stdin: what "-" stands for.
    """

    def __init__(
        self,
        max_chars: int,
        kind: Kind | None = None,
        fields: Fields = _FIELDS,
        skip: str | Path | None = None,
        stdin: BinaryIO | None = None,
    ) -> None:
        self.max_chars = max_chars
        self.kind = kind
        self.fields = fields
        is_address = isinstance(skip, str) and is_remote(skip)
        self.skip = Path(skip).resolve() if skip and not is_address else None
        self._skipped_address = f"{str(skip).rstrip('/')}/" if is_address else None
        self.stdin = stdin

    def read(self, inputs: Iterable[str | Path]) -> Iterator[Item | Rejection]:
        """Yield every record of the inputs in order; files of a folder or pattern in order of their names.

        Args:
            inputs: files, folders (searched to any depth, hidden names left out), patterns such as `**/*.txt`,
                addresses of them (`s3://bucket/folder`), or "-".

        Raises:
            UsageError: standard input is named twice, or a folder that is to be skipped is named itself.
        """
        for piece in self._pieces(inputs):
            yield from self._read_piece(piece)

    def plan(self, inputs: Iterable[str | Path], max_bytes: int) -> Iterator[tuple[Piece, ...]]:
        """Yield the inputs as shards, in order; the same inputs give the same shards.

        A file over `max_bytes` is cut where its format allows it: uncompressed JSONL between lines, WARC (also packed
        record by record in gzip) between records, Parquet between row groups. Small files share a shard. Cutting reads
        JSONL and WARC once, at the speed of the disk or of gzip, to number the records of each shard.

        Args:
            inputs: as for `read`.
            max_bytes: how much a shard holds; a file that cannot be cut, or a long line, may make it more.

        Raises:
            UsageError: as for `read`.
        """
        shard: list[Piece] = []
        size = 0
        for whole in self._pieces(inputs):
            for piece in self._cut(whole, max_bytes):
                weight = piece.size + _FILE_WEIGHT
                if shard and size + weight > max_bytes:
                    yield tuple(shard)
                    shard, size = [], 0
                shard.append(piece)
                size += weight
        if shard:
            yield tuple(shard)

    def read_shard(self, shard: Iterable[Piece]) -> Iterator[Item | Rejection]:
        """Yield every record of a shard, in order."""
        for piece in shard:
            yield from self._read_piece(piece)

    def _pieces(self, inputs: Iterable[str | Path]) -> Iterator[Piece]:
        """Yield the files that the inputs stand for, uncut."""
        names = [os.fspath(name) for name in inputs]
        if names.count(STDIN) > 1:
            raise UsageError("standard input is named twice; name - once")
        if "" in names:
            raise UsageError("the name of an input is empty; name a file or folder, or - for standard input")
        for name in names:
            if name != STDIN and not is_remote(name) and Path(name).is_dir() and self._is_skipped(Path(name)):
                raise UsageError(f"{name}: is input and output; name another folder with -o")
        for name in names:
            if is_remote(name):
                yield from self._find_remote(name)
                continue
            for piece in self._find(name):
                size = 0
                if piece.path != STDIN and not piece.problem:
                    with contextlib.suppress(OSError):  # reading it will fail too, and say why
                        size = Path(piece.path).stat().st_size
                yield replace(piece, size=size)

    def _cut(self, piece: Piece, max_bytes: int) -> Iterator[Piece]:
        kind, compression = _kind_and_compression(piece.path)
        kind = kind or self.kind
        is_gzipped_warc = kind == "warc" and compression == ".gz"
        if (
            piece.problem
            or piece.size <= max_bytes
            or kind not in ("jsonl", "warc", "parquet")
            or (compression and not is_gzipped_warc)
            # To cut it, a file of any other format would have to be fetched twice.
            or (is_remote(piece.path) and kind != "parquet")
        ):
            yield piece
            return
        try:
            with _opened(piece.path) as file:
                if kind == "jsonl":
                    yield from _cut_lines(file, piece.path, max_bytes)
                elif kind == "warc":
                    from .warc import cut

                    yield from cut(file, is_gzipped_warc, piece.path, max_bytes, self._max_bytes)
                else:
                    from .tables import cut_parquet

                    yield from cut_parquet(file, piece.path, max_bytes)
        except (OSError, InputError):
            yield piece  # reading it will fail too, and say why

    def _find_remote(self, url: str) -> Iterator[Piece]:
        is_empty = True
        try:
            for name, size, is_named in find(url):
                is_hidden = any(part.startswith(".") for part in name.removeprefix(url.rstrip("/")).split("/"))
                is_usable = (self.kind or _kind_and_compression(name)[0]) is not None and not is_hidden
                if self._skipped_address and name.startswith(self._skipped_address):
                    continue
                if is_named or is_usable:
                    is_empty = False
                    yield Piece(name, size=size)
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
            yield Piece(url, problem=reason, remedy="check the address, the credentials and the network")
        else:
            if is_empty:
                yield Piece(url, problem="no usable file at this address", remedy=f"usable are {_USABLE}")

    def _find(self, name: str) -> Iterator[Piece]:
        """Yield the files that a name stands for."""
        path = Path(name)
        if name == STDIN:
            yield Piece(name)
        elif path.is_dir():
            yield from self._search(name)
        elif path.exists() or path.is_symlink():
            yield Piece(name)
        elif glob.has_magic(name):
            hits = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
            # A pattern such as ** finds folders and the files in them; so each file is read once.
            hits = [hit for hit in hits if not Path(hit).is_dir() and not self._is_skipped(Path(hit))]
            yield from map(Piece, hits)
            if not hits:
                yield Piece(name, problem="no file matches this pattern", remedy="check the pattern")
        else:
            yield Piece(name, problem="no such file or folder", remedy="check the name")

    def _search(self, folder: str) -> Iterator[Piece]:
        failures: list[OSError] = []
        is_empty = True
        links = _Links(folder)
        for at, folders, names in os.walk(folder, onerror=failures.append, followlinks=True):
            folders[:] = sorted(n for n in folders if n[0] != "." and not self._is_skipped(Path(at, n)))
            for name in list(folders):
                verdict = links.judge(Path(at, name))
                if verdict != "search":
                    folders.remove(name)
                if verdict == "loop":
                    is_empty = False
                    remedy = "name what you want of it by itself"
                    yield Piece(str(Path(at, name)), problem="a link to a folder that this one is in", remedy=remedy)
            for name in sorted(names):
                path = Path(at, name)
                if name[0] == "." or (self.kind or _kind_and_compression(name)[0]) is None:
                    continue
                is_empty = False
                # A pipe in a folder would be waited for, perhaps for ever.
                if path.exists() and not path.is_file():
                    remedy = "name it itself if it is meant to be read"
                    yield Piece(str(path), problem="not a regular file", remedy=remedy)
                else:
                    yield Piece(str(path))
        for failure in failures:
            is_empty = False
            reason = f"folder cannot be read ({failure.strerror})"
            yield Piece(str(failure.filename), problem=reason, remedy="check its permissions")
        if is_empty:
            yield Piece(folder, problem="no usable file in this folder", remedy=f"usable are {_USABLE}")

    def _is_skipped(self, path: Path) -> bool:
        # Not Path.resolve, which raises on a link to itself before Python 3.13.
        return self.skip is not None and Path(os.path.realpath(path)).is_relative_to(self.skip)

    def _read_piece(self, piece: Piece) -> Iterator[Item | Rejection]:
        path = _display(piece.path)
        if piece.problem:
            yield _unreadable(path, piece.problem, piece.remedy)
            return
        try:
            kind, file, packed = self._open(piece.path)
        except FileNotFoundError:
            yield _unreadable(path, "broken link", "restore the file it points to, or remove the link")
            return
        except InputError as error:
            yield _unreadable(path, error.reason, error.remedy)
            return
        except OSError as error:
            remedy = "give it some, for example through a pipe" if piece.path == STDIN else "check its permissions"
            yield _unreadable(path, f"cannot be read ({error.strerror})", remedy)
            return
        with contextlib.nullcontext() if piece.path == STDIN else file:
            yield from self._records(kind, file, packed, replace(piece, path=path))

    def _records(self, kind: Kind, file: io.BufferedReader, packed: str, piece: Piece) -> Iterator[Item | Rejection]:
        """Yield the records of an open file; WARC is still packed if `packed` says so, all else is not."""
        if piece.start and kind != "parquet":
            file.seek(piece.start)
        if kind == "text":
            yield from self._read_text(file, piece)
        elif kind == "html":
            yield from self._read_html(file, piece)
        elif kind == "jsonl":
            size = None if piece.end is None else piece.end - piece.start
            yield from self._read_jsonl(file if size is None else io.BufferedReader(_Stretch(file, size)), piece)
        elif kind == "warc":
            from .warc import read_warc

            yield from read_warc(file, packed == ".gz", piece, _stem(piece.path), self._max_bytes)
        else:
            yield from self._read_table(kind, file, piece)

    def _read_table(self, kind: Kind, file: io.BufferedReader, piece: Piece) -> Iterator[Item | Rejection]:
        from .tables import read_csv, read_parquet

        names = self.fields

        def to_item(fields: dict[str, Any], number: int) -> Item:
            if kind != "parquet":
                # CSV has no null: an empty cell is none, but that a text may be empty where there is no page.
                empty = [name for name in (names.id, names.url, names.html) if fields.get(name) == ""]
                if fields.get(names.text) == "" and fields.get(names.html):
                    empty.append(names.text)
                fields = {**fields, **dict.fromkeys(empty)}
            record, given_id = self.record(fields, f"{_stem(piece.path)}:{number}")
            return Item(record, piece.path, number, given_id)

        try:
            if kind == "parquet":
                yield from read_parquet(file, piece, names.html, to_item)
            else:
                yield from read_csv(file, piece, "\t" if kind == "tsv" else ",", self._max_bytes, to_item)
        except BROKEN as error:
            yield Rejection(broken(error, piece.path))
        except InputError as error:
            yield Rejection(placed(error, piece.path))

    @property
    def _max_bytes(self) -> int:
        return self.max_chars * _BYTES_PER_CHAR

    def _open(self, name: str) -> tuple[Kind, io.BufferedReader, str]:
        """Return what a file holds, the file unpacked, and how it was packed; gzipped WARC is left packed."""
        if name == STDIN:
            # A process started with standard input closed has none.
            if self.stdin is None and sys.stdin is None:
                raise OSError(errno.EBADF, "it is closed")
            below = cast("io.BufferedReader", self.stdin or sys.stdin.buffer)
            return self._open_stream(below)
        kind, packed = _kind_and_compression(name)
        kind = kind or self.kind
        if kind is None:
            reason = "the name does not tell what kind of file it is"
            raise InputError(reason, remedy=f"usable are {_USABLE}; or say what it is with --from")
        file = _opened(name)
        return kind, file if kind == "warc" and packed == ".gz" else _decompressed(file, packed), packed

    def _open_stream(self, file: io.BufferedReader) -> tuple[Kind, io.BufferedReader, str]:
        head = file.peek(1024)
        packed = ".gz" if head[:2] == b"\x1f\x8b" else ".zst" if head[:4] == b"\x28\xb5\x2f\xfd" else ""
        if packed == ".gz" and (self.kind or _guess(_unpacked_head(head))) == "warc":
            return "warc", file, packed
        file = _decompressed(file, packed)
        try:
            kind = self.kind or _guess(file.peek(1024))
        except BROKEN:
            kind = "text"  # reading it will fail again, and be reported
        if kind == "parquet":
            reason = "Parquet cannot be read from a pipe: its table of contents comes last"
            raise InputError(reason, remedy="save it to a file, and name that")
        return kind, file, packed

    def _read_text(self, file: io.BufferedReader, piece: Piece) -> Iterator[Item | Rejection]:
        try:
            data = self._read_all(file, piece.path)
            text = decode_text(data)
        except BROKEN as error:
            yield Rejection(broken(error, piece.path))
        except InputError as error:
            yield Rejection(placed(error, piece.path))
        else:
            # A byte order mark and CR stay: the text is what the file holds.
            yield Item(Record(_stem(piece.path), text=text), piece.path)

    def _read_html(self, file: io.BufferedReader, piece: Piece) -> Iterator[Item | Rejection]:
        try:
            data = self._read_all(file, piece.path)
        except BROKEN as error:
            yield Rejection(broken(error, piece.path))
        except InputError as error:
            yield Rejection(placed(error, piece.path))
        else:
            yield Item(Record(_stem(piece.path), html=data), piece.path)

    def _read_all(self, file: io.BufferedReader, path: str) -> bytes:
        limit = self._max_bytes
        chunks: list[bytes] = []
        size = 0
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise _too_long(limit, self.max_chars)
            chunks.append(chunk)
        if not size:
            raise empty(path)
        return b"".join(chunks)

    def _read_jsonl(self, file: BinaryIO, piece: Piece) -> Iterator[Item | Rejection]:
        limit = self.max_chars * _BYTES_PER_ESCAPE + _CHUNK
        path, number = piece.path, piece.first - 1
        is_empty = piece.end is None  # a stretch of blank lines says nothing of the file
        try:
            for line in lines_of(file, limit, self.max_chars):
                number += 1
                if isinstance(line, InputError):
                    is_empty = False
                    yield Rejection(placed(line, path, number))
                    continue
                line = line.removeprefix(_BOM) if number == 1 else line
                if line.strip():
                    is_empty = False
                    yield self.parse(line, path, number)
        except BROKEN as error:
            yield Rejection(broken(error, path, number + 1))
        else:
            if is_empty:
                yield Rejection(empty(path))

    def parse(self, line: bytes, path: str, number: int) -> Item | Rejection:
        """Return the record in a line of JSONL, or why there is none."""
        try:
            fields = loads(line)
            record, given_id = self.record(fields, f"{_stem(path)}:{number}")
        except InputError as error:
            raw = line.decode("utf-8", "replace").rstrip("\r\n")
            if path == STDIN and self.kind is None:
                error.remedy += ", or say --from text"  # that it is JSONL was a guess
            return Rejection(placed(error, path, number), raw if len(raw) <= MAX_RAW_CHARS else None)
        return Item(record, path, number, given_id)

    def record(self, fields: Any, default_id: str) -> tuple[Record, str | None]:
        """Return the record that a JSON object or a row describes, and the id that it gives itself, if any.

        Raises:
            InputError: it has no text and no page, or both, or a field of the wrong type.
        """
        if not isinstance(fields, dict):
            raise InputError(f"{_json_type(fields)}, not an object", remedy="write one JSON object on each line")
        names = self.fields
        values = dict(fields)
        given_id, text, html, url = (values.pop(name, None) for name in (names.id, names.text, names.html, names.url))
        if isinstance(given_id, int) and not isinstance(given_id, bool):
            given_id = str(given_id)
        for name, value in ((names.id, given_id), (names.text, text), (names.html, html), (names.url, url)):
            is_page = value is html and isinstance(value, bytes)  # a column of Parquet may hold bytes
            if value is not None and not isinstance(value, str) and not is_page:
                raise InputError(f"field {name!r} is {_json_type(value)}", remedy="write it as a string")
        if text is None and html is None:
            other = next((name for name in _TEXT_FIELDS if isinstance(values.get(name), str)), None)
            hint = f", or read another field: --text-field {other}" if other else ""
            reason = f"neither {names.text!r} nor {names.html!r}"
            raise InputError(reason, remedy=f"give the record one of them{hint}")
        if text is not None and html is not None:
            raise InputError(f"both {names.text!r} and {names.html!r}", remedy="leave one of them out")
        for name, value in ((names.id, given_id), (names.url, url)):
            if value is not None and not is_unicode(value):
                raise InputError(f"field {name!r} holds half of a surrogate pair", remedy="correct the \\u escape")
        return Record(given_id or default_id, text, html, url, values), given_id


BROKEN = (EOFError, OSError, zlib.error)
"""What reading a damaged compressed file, or a failing disk, raises."""


class _Links:
    """Decides which folders are searched where links lead, so that every file is found, once, and there is an end."""

    def __init__(self, folder: str) -> None:
        self._root = Path(os.path.realpath(folder))
        self._followed: set[Path] = set()

    def judge(self, folder: Path) -> Literal["search", "known", "loop"]:
        """Return `known` for a folder that is searched anyway, and `loop` for a link to one that holds this place."""
        is_link = folder.is_symlink()
        if not is_link and not self._followed:
            return "search"
        target = Path(os.path.realpath(folder))
        if any(target.is_relative_to(other) for other in self._followed):
            # What stands in a followed folder is searched there; but not as somebody else's.
            return "known" if is_link or target in self._followed else "search"
        if is_link:
            if target.is_relative_to(self._root):
                return "known"
            here = Path(os.path.realpath(folder.parent))
            if here.is_relative_to(target) or self._root.is_relative_to(target):
                return "loop"
            self._followed.add(target)
        return "search"


class _ZstdReader(io.RawIOBase):
    """Unpacks zstd, any number of frames; unlike zstandard's own reader it notices when the last one is cut off."""

    def __init__(self, file: io.BufferedReader) -> None:
        import zstandard

        self._file = file
        self._new = zstandard.ZstdDecompressor().decompressobj
        self._error = zstandard.ZstdError
        self._frame = self._new()
        self._is_inside = False
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            data = self._frame.unused_data if self._frame.eof else b""
            data = data or self._file.read(_ZSTD_CHUNK)
            if not data:
                if self._is_inside and not self._frame.eof:
                    raise EOFError("zstd frame ended early")
                return 0
            if self._frame.eof:
                self._frame = self._new()
            self._is_inside = True
            try:
                self._ready = memoryview(self._frame.decompress(data))
            except self._error as error:
                raise OSError(f"not zstd: {error}") from error
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _Stretch(io.RawIOBase):
    """Ends a file early: after so many bytes from where it stands."""

    def __init__(self, file: io.BufferedReader, size: int) -> None:
        self._file = file
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _cut_lines(file: BinaryIO, path: str, max_bytes: int) -> Iterator[Piece]:
    """Yield the stretches of a file of lines; each ends with the line that brings it to `max_bytes`."""
    start, first, number, at = 0, 1, 1, 0
    while chunk := file.read(_CHUNK):
        low = 0
        while (hit := chunk.find(b"\n", max(low, start + max_bytes - 1 - at))) >= 0:
            number += chunk.count(b"\n", low, hit + 1)
            low = hit + 1
            yield Piece(path, start, at + low, first, at + low - start)
            start, first = at + low, number
        number += chunk.count(b"\n", low)
        at += len(chunk)
    if start < at:
        yield Piece(path, start, at, first, at - start)


def lines_of(file: BinaryIO, limit: int, max_chars: int | None = None) -> Iterator[bytes | InputError]:
    """Yield the lines of a file with their ends; a longer one than `limit` bytes is passed over and gives an error."""
    while line := file.readline(limit + 1):
        if len(line) > limit and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = file.readline(_CHUNK)
            yield _too_long(limit, limit if max_chars is None else max_chars)
        else:
            yield line


def is_unicode(text: str) -> bool:
    r"""Return whether a text has no lone surrogate, so that it can be written as UTF-8.

    >>> is_unicode("año"), is_unicode("\ud800")
    (True, False)
    """
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _decompressed(file: io.BufferedReader, suffix: str) -> io.BufferedReader:
    if suffix == ".gz":
        return io.BufferedReader(cast("io.RawIOBase", _GzipReader(file)), _UNPACKED_BUFFER)
    if suffix == ".zst":
        return io.BufferedReader(_ZstdReader(file))
    return file


class _GzipReader(gzip.GzipFile):
    """Unpacks gzip, and closes the file below it too."""

    def __init__(self, file: io.BufferedReader) -> None:
        super().__init__(fileobj=file)
        self._below = file

    def close(self) -> None:
        super().close()
        self._below.close()


def _opened(name: str) -> io.BufferedReader:
    return open_remote(name) if is_remote(name) else Path(name).open("rb")


def _unpacked_head(data: bytes) -> bytes:
    """Return the first bytes that gzip data hold, as far as there are any."""
    try:
        return zlib.decompressobj(31).decompress(data, 64)
    except zlib.error:
        return b""


def _guess(head: bytes) -> Kind:
    """Return what standard input holds; CSV cannot be told from text.

    >>> _guess(b'{"text": "Hello"}'), _guess(b"<!DOCTYPE html>"), _guess(b"Hello {"), _guess(b"WARC/1.0")
    ('jsonl', 'html', 'text', 'warc')
    """
    if head.startswith(b"WARC/"):
        return "warc"
    if head.startswith(b"PAR1"):
        return "parquet"
    head = head.removeprefix(_BOM)
    if head.lstrip().startswith(b"{"):
        return "jsonl"
    return "html" if PAGE.match(head) else "text"


def _kind_and_compression(name: str) -> tuple[Kind | None, str]:
    """Return what a file's name says of its kind, and how it is compressed.

    >>> _kind_and_compression("news/2024.JSONL.gz"), _kind_and_compression("report.pdf")
    (('jsonl', '.gz'), (None, ''))
    """
    *_, inner, outer = ["", "", *Path(name.lower()).suffixes]
    compression = outer if outer in _COMPRESSIONS else ""
    return _KINDS.get(inner if compression else outer), compression


def _stem(path: str) -> str:
    """Return the file's name without folder and known endings.

    >>> _stem("news/2024.01.jsonl.gz"), _stem("notes.v2")
    ('2024.01', 'notes.v2')
    """
    if path == STDIN:
        return "stdin"
    name = Path(path)
    for suffixes in (_COMPRESSIONS, tuple(_KINDS)):
        name = name.with_suffix("") if name.suffix.lower() in suffixes else name
    return name.name


def _display(name: str) -> str:
    """Return a file name that can be printed and written as UTF-8, whatever bytes it is made of."""
    return os.fsencode(name).decode("utf-8", "replace")


def loads(line: bytes) -> Any:
    """Return the JSON value on a line; numbers keep every digit, and NaN is accepted as Python writes it.

    Raises:
        InputError: it is not JSON in UTF-8.
    """
    try:
        value = orjson.loads(line)
        if not _has_huge_float(value):
            return value
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(decode_text(line))
    except json.JSONDecodeError as error:
        reason = f"not JSON: {error.msg} at character {error.pos + 1}"
        raise InputError(reason, remedy="write one JSON object on each line") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"JSON that cannot be read: {error}", remedy="simplify the record") from error


def _has_huge_float(value: Any) -> bool:
    """Return whether a value holds what may have been an integer over 64 bits: orjson makes a float of it."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, float) and abs(value) >= 2**63:
            return True
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return False


def decode_text(data: bytes) -> str:
    at = data.find(b"\0")
    if at >= 0:
        reason = f"NUL byte at offset {at}: this looks binary or UTF-16"
        raise InputError(reason, remedy="convert it, for example: iconv -f UTF-16 -t UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        reason = f"not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}"
        raise InputError(reason, remedy="convert it, for example: iconv -f WINDOWS-1252 -t UTF-8") from error


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), "a number")


def _too_long(limit: int, max_chars: int) -> InputError:
    reason = f"over {limit:,} bytes, more than a text of {max_chars:,} characters can take"
    return InputError(reason, remedy="raise max_text_chars in the configuration, or cut the text")


def placed(error: InputError, path: str, line: int | None = None) -> InputError:
    return InputError(error.reason, path=path, line=line, remedy=error.remedy)


def broken(error: BaseException, path: str, line: int | None = None) -> InputError:
    if isinstance(error, EOFError):
        reason = "the compressed data ends early: the file is cut off"
        return InputError(reason, path=path, line=line, remedy="fetch it again; what follows is missing")
    if isinstance(error, OSError) and error.errno is not None:
        remedy = "check the disk or the pipe"
        return InputError(f"reading failed ({error.strerror})", path=path, line=line, remedy=remedy)
    said = " ".join(str(error).split())
    return InputError(f"damaged compressed data ({said})", path=path, line=line, remedy="fetch the file again")


def empty(path: str) -> InputError:
    if path == STDIN:
        return InputError("nothing came from standard input", path=path, remedy="check what writes to it")
    return InputError("the file is empty", path=path, remedy="remove it, or fetch it again")


def _unreadable(name: str, reason: str, remedy: str) -> Rejection:
    return Rejection(InputError(reason, path=name, remedy=remedy), whole_file=True)
