"""WARC and WET archives to records; what is damaged is reported, and every complete record around it is read.

FastWARC parses what stands in a record. Where records begin and end is found here: the readers of archives that there
are end a truncated file without a word, and with a damaged member of gzip goes all that follows it.

Read are `response` and `resource` records that hold HTML or plain text, and the `conversion` records of WET files.
Passed over is what holds no article: requests, metadata, revisits, images and the like, and answers that are no
success (status 2xx). The format is ISO 28500, https://iipc.github.io/warc-specifications/.
"""

from __future__ import annotations

import codecs
import io
import re
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from .document import Record
from .errors import InputError
from .readers import BROKEN, PAGE, Item, Piece, Rejection, broken, decode_text, empty

__all__ = ["blocks", "cut", "read_warc"]

_CHUNK = 1 << 20
_GZIP_CHUNK = 1 << 16
_MAGIC = b"\x1f\x8b\x08"
_PROBE = 4096  # packed bytes that surely unpack to a record's first line
_BEGIN = b"WARC/"
_VERSION = re.compile(rb"WARC/\d\.\d+[ \t]*\r?\n\Z")
_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_MAX_LINE = 1 << 16
_MAX_HEAD = 1 << 18

_USUAL = {
    name.lower(): name
    for name in ("WARC-Type", "WARC-Record-ID", "WARC-Date", "WARC-Target-URI", "WARC-Refers-To", "Content-Type")
}
"""Names of headers that are looked up; a file may write them in any case."""

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_UNTOLD_TYPES = ("", "application/octet-stream", "unknown", "content/unknown")
# Seven-bit codes, whose bytes look like ASCII.
_SHIFTING = ("iso2022", "iso-2022", "hz", "utf-7", "utf_7")
_REMEDY = "fetch the file again; the records around it were read"


class _LostError(Exception):
    """Where a record should begin or end, there is something else."""


class _Bytes:
    """The bytes of an archive, with a look ahead; all offsets count the file's own bytes.

    Args:
        file: stands at `offset`.
        offset: bytes before it.
    """

    def __init__(self, file: io.BufferedReader, offset: int = 0) -> None:
        self._file = file
        self._buffer = b""
        self._at = 0
        self._buffer_start = offset
        self.failure: tuple[BaseException, int] | None = None

    @property
    def offset(self) -> int:
        """Where the next byte stands."""
        return self._buffer_start + self._at

    @property
    def _failing_at(self) -> int:
        return self._buffer_start + len(self._buffer)

    @property
    def begins_run(self) -> bool:
        """Whether reading may start here."""
        return True

    def next_run(self) -> bool:
        """Go on after a border that no record crosses; False at the end of the file."""
        return False

    def resync(self) -> bool:
        """Go on behind damaged compression; False where nothing more can be had."""
        return False

    def take_failure(self) -> tuple[BaseException, int] | None:
        """Return what ended the run early, if anything did, and the offset of what is damaged; and forget it."""
        failure, self.failure = self.failure, None
        return failure

    def _more(self) -> bytes:
        # Not read(), which forgets what it has when the next piece is damaged.
        return self._file.read1(_CHUNK)

    def _fill(self) -> bool:
        if self.failure is not None:
            return False
        try:
            data = self._more()
        except BROKEN as error:
            # What was read before is good, and comes first.
            self.failure = error, self._failing_at
            return False
        self._buffer_start += self._at
        self._buffer = self._buffer[self._at :] + data
        self._at = 0
        return bool(data)

    def peek(self, size: int) -> bytes:
        """Return the next bytes, fewer only where there are no more."""
        while len(self._buffer) - self._at < size and self._fill():
            pass
        return self._buffer[self._at : self._at + size]

    def skip(self, size: int) -> int:
        """Pass over so many bytes, and return how many there were."""
        left = size
        while left:
            step = min(left, len(self._buffer) - self._at)
            self._at += step
            left -= step
            if left and not self._fill():
                break
        return size - left

    def read(self, size: int) -> bytes:
        """Return so many bytes, fewer only where there are no more."""
        pieces = []
        while size:
            piece = self._buffer[self._at : self._at + size]
            pieces.append(piece)
            self._at += len(piece)
            size -= len(piece)
            if size and not self._fill():
                break
        return b"".join(pieces)

    def line(self) -> bytes:
        """Return the rest of the line with its end; a longer one than any header comes in several."""
        looked = 0
        while (end := self._buffer.find(b"\n", self._at + looked)) < 0:
            looked = len(self._buffer) - self._at
            if looked >= _MAX_LINE or not self._fill():
                return self.read(looked)
        return self.read(end + 1 - self._at)

    def unread(self, data: bytes) -> None:
        """Put back what was read last."""
        self._buffer_start = self.offset - len(data)
        self._buffer = data + self._buffer[self._at :]
        self._at = 0

    def skip_blank(self) -> bool:
        """Pass over line ends, and say whether anything follows in this run."""
        while True:
            rest = self._buffer[self._at :].lstrip(b"\r\n") if self._at < len(self._buffer) else b""
            self._at = len(self._buffer) - len(rest)
            if rest or not self._fill():
                return bool(rest)


class _Members(_Bytes):
    """The bytes of an archive whose records are packed each in a gzip member, as they should be, or otherwise.

    A run ends where a member ends and the next one begins with a record: what is missing from a record is never taken
    from the next. Members that merely continue (bgzip, pigz) are joined.
    """

    def __init__(self, file: io.BufferedReader, offset: int = 0) -> None:
        super().__init__(file, offset)
        self._raw = b""
        self._raw_end = offset
        self._inflater: Any = None
        self._member_start = self._run_start = offset
        self._waiting: bytes | None = None
        self._is_run_start = True

    @property
    def offset(self) -> int:
        return self._run_start

    @property
    def _failing_at(self) -> int:
        return self._member_start

    @property
    def begins_run(self) -> bool:
        return self._is_run_start

    def next_run(self) -> bool:
        self._buffer, self._at = self._waiting or b"", 0
        is_more = self._waiting is not None
        self._waiting = None
        self._run_start = self._member_start
        self._is_run_start = True
        return is_more

    def read(self, size: int) -> bytes:
        self._is_run_start = False
        return super().read(size)

    def _more(self) -> bytes:
        if self._waiting is not None:
            return b""
        began = self._inflater is None
        data = self._unpacked()
        if began and self._member_start > self._run_start and data.startswith(_BEGIN):
            self._waiting = data
            return b""
        return data

    def _unpacked(self) -> bytes:
        """Return some bytes, the first of a member in a piece of at least five if it has so many; b"" at the end."""
        data: bytes = b""
        while True:
            # Two members in one answer would hide where the second begins.
            if self._inflater is None and (data or not self._next_member()):
                return data
            if not self._raw and not self._fill_raw():
                raise EOFError("gzip member ended early")
            data += self._inflater.decompress(self._raw, _CHUNK)
            if self._inflater.eof:
                self._raw, self._inflater = self._inflater.unused_data, None
            else:
                self._raw = self._inflater.unconsumed_tail
            if len(data) >= len(_BEGIN):
                return data

    def _fill_raw(self) -> bool:
        data = self._file.read(_GZIP_CHUNK)
        self._raw += data
        self._raw_end += len(data)
        return bool(data)

    def _next_member(self) -> bool:
        # Zeros may pad the end of a file (RFC 1952 says nothing of them; gzip ignores them).
        while not (raw := self._raw.lstrip(b"\0")):
            self._raw = b""
            if not self._fill_raw():
                return False
        self._raw = raw
        self._member_start = self._raw_end - len(raw)
        while len(self._raw) < len(_MAGIC) and self._fill_raw():
            pass
        self._inflater = zlib.decompressobj(31)
        return True

    def resync(self) -> bool:
        if self._file.seekable():
            self._file.seek(self._member_start + 1)
            self._raw, self._raw_end = b"", self._member_start + 1
        while True:
            at = self._raw.find(_MAGIC)
            # The magic may stand across the border of two pieces, and a probe needs some more.
            self._raw = self._raw[at:] if at >= 0 else self._raw[1 - len(_MAGIC) :]
            is_more = len(self._raw) >= _PROBE or self._fill_raw()
            if at >= 0 and (len(self._raw) >= _PROBE or not is_more):
                if self._begins_record():
                    break
                self._raw = self._raw[1:]
            elif not is_more:
                return False
        self._inflater = None
        self._waiting = None
        self._buffer, self._at = b"", 0
        self._run_start = self._raw_end - len(self._raw)
        self._member_start = self._run_start
        self._is_run_start = True
        return True

    def _begins_record(self) -> bool:
        try:
            return bool(zlib.decompressobj(31).decompress(self._raw[:_PROBE], 64).startswith(_BEGIN))
        except zlib.error:
            return False


@dataclass(frozen=True, slots=True)
class _Frame:
    """A record in its borders.

    Attributes:
        offset: bytes of the file before it; of its gzip member, where it is packed.
        number: 1-based; damaged stretches are counted too.
        can_start: whether reading may start at the offset.
        head: its header with the empty line.
        block: its content, or the beginning of a longer one than is read.
        length: bytes of the content.
    """

    offset: int
    number: int
    can_start: bool
    head: bytes
    block: bytes
    length: int


@dataclass(frozen=True, slots=True)
class _Damage:
    """A stretch that is no record."""

    offset: int
    number: int
    error: BaseException


def _frames(stream: _Bytes, limit: int, first: int = 1, end: int | None = None) -> Iterator[_Frame | _Damage]:
    """Yield the records that begin before `end`, and the damage between them; blocks over `limit` bytes are cut."""
    number = first - 1
    while True:
        is_more = stream.skip_blank()
        failure = None if is_more else stream.take_failure()
        if not is_more and failure is None:
            if stream.next_run():
                continue
            return
        offset = stream.offset if failure is None else failure[1]
        if end is not None and offset >= end:
            return
        number += 1
        can_start = stream.begins_run
        try:
            if failure is None:
                yield _Frame(offset, number, can_start, *_frame(stream, limit))
                continue
            error: BaseException = failure[0]
        except _LostError as lost:
            yield _Damage(offset, number, lost)
            _find_version(stream)
            continue
        except BROKEN as broken_:
            error = broken_
        yield _Damage(offset, number, error)
        if not stream.resync():
            return


def _frame(stream: _Bytes, limit: int) -> tuple[bytes, bytes, int]:
    line = stream.line()
    if not _VERSION.match(line):
        raise _LostError("something else than a record")
    head = [line]
    size = len(line)
    while line.strip(b"\r\n"):
        line = stream.line()
        size += len(line)
        if not line or size > _MAX_HEAD:
            raise _LostError("a record whose header does not end")
        head.append(line)
    header = b"".join(head)
    lengths = _LENGTH.findall(header)
    if not lengths:
        raise _LostError("a record without Content-Length")
    length = int(lengths[0])
    block = stream.read(min(length, limit))
    there = len(block) + (stream.skip(length - limit) if length > limit else 0)
    is_whole = there == length and _is_terminated(stream, block)
    failure = stream.failure
    # What fails its checksum is not to be believed, though it is all there.
    if failure and (not is_whole or (isinstance(failure[0], zlib.error) and failure[1] <= stream.offset)):
        stream.take_failure()
        raise failure[0]
    if not is_whole:
        if length <= limit:
            # A length too great may have swallowed the next records.
            stream.unread(block)
        if there < length:
            raise _LostError(f"a record that is cut off: {there:,} of {length:,} bytes")
        raise _LostError("a record that does not end where its header says")
    return header, block, length


def _is_terminated(stream: _Bytes, block: bytes) -> bool:
    after = stream.peek(64)
    rest = after.lstrip(b"\r\n")
    if not rest or rest.startswith(_BEGIN):
        return True
    # Garbage follows a good record; or the block has swallowed the header of the next one, which ends in the same way.
    return after.startswith(b"\r\n\r\n") and b"\r\n\r\n" + _BEGIN not in block


def _find_version(stream: _Bytes) -> None:
    """Go to the next line that begins a record, or to the end of the run; binary data may stand before it."""
    while line := stream.line():
        at = line.rfind(_BEGIN)
        if at >= 0 and _VERSION.match(line, at):
            stream.unread(line[at:])
            return


def _stream(file: io.BufferedReader, is_gzip: bool, offset: int) -> _Bytes:
    return _Members(file, offset) if is_gzip else _Bytes(file, offset)


def cut(file: io.BufferedReader, is_gzip: bool, path: str, max_bytes: int, limit: int) -> Iterator[Piece]:
    """Yield the stretches of an archive; each ends with the record that brings it to `max_bytes` of the file.

    A file packed as one gzip member stays in one piece. Reads the file once.
    """
    start, first = 0, 1
    for frame in _frames(_stream(file, is_gzip, 0), limit):
        if isinstance(frame, _Frame) and frame.can_start and frame.offset - start >= max_bytes:
            yield Piece(path, start, frame.offset, first, frame.offset - start)
            start, first = frame.offset, frame.number
    size = file.seek(0, io.SEEK_END)
    yield Piece(path, start, size, first, size - start)


def read_warc(
    file: io.BufferedReader, is_gzip: bool, piece: Piece, default_id: str, limit: int
) -> Iterator[Item | Rejection]:
    """Yield the pages and texts of an archive, or of a stretch of it.

    Args:
        file: stands at `piece.start`.
        is_gzip: the file is packed, and `file` gives its packed bytes.
        piece: what to read; its path is one that can be printed.
        default_id: for records without an id; the number is added.
        limit: longer pages, in bytes, are rejected.
    """
    is_empty = piece.end is None
    for frame in _frames(_stream(file, is_gzip, piece.start), limit, piece.first, piece.end):
        is_empty = False
        if isinstance(frame, _Damage):
            yield Rejection(_damage(frame, piece.path))
            continue
        try:
            record = _record(frame, f"{default_id}:{frame.number}", limit)
        except InputError as error:
            yield Rejection(InputError(error.reason, path=piece.path, line=frame.number, remedy=error.remedy))
        else:
            if record is not None:
                yield Item(record, piece.path, frame.number, record.meta["warc"].get("WARC-Record-ID"))
    if is_empty:
        yield Rejection(empty(piece.path))


def blocks(file: io.BufferedReader, path: str) -> Iterator[tuple[dict[str, str], bytes | InputError]]:
    """Yield header and content of every record of a gzipped archive, or the error in its place."""
    for frame in _frames(_Members(file), sys.maxsize):
        if isinstance(frame, _Damage):
            yield {}, _damage(frame, path)
        else:
            yield _headers(_parsed(frame, "none")), frame.block


def _damage(damage: _Damage, path: str) -> InputError:
    if isinstance(damage.error, _LostError):
        return InputError(f"{damage.error}, at byte {damage.offset:,}", path=path, line=damage.number, remedy=_REMEDY)
    error = broken(damage.error, path, damage.number)
    return InputError(f"{error.reason}, at byte {damage.offset:,}", path=path, line=damage.number, remedy=error.remedy)


def _record(frame: _Frame, default_id: str, limit: int) -> Record | None:
    """Return the page or text of a record; None if it holds neither.

    Raises:
        InputError: it is too long, or cannot be decoded.
    """
    record = _parsed(frame, "all")
    if record is None:
        return None
    headers = _headers(record)
    kind = str(record.record_type)
    meta: dict[str, Any] = {"warc": headers}
    if record.is_http and record.http_headers is not None:
        if kind not in ("response", "resource") or not 200 <= (record.http_headers.status_code or 0) < 300:
            return None
        content_type = record.http_headers.get("Content-Type") or ""
        meta["http"] = {"status": record.http_headers.status_code, "content_type": content_type}
    elif kind in ("resource", "conversion"):
        content_type = headers.get("Content-Type", "")
    else:
        return None
    media_type = content_type.partition(";")[0].strip().lower()
    is_untold = media_type in _UNTOLD_TYPES
    if not is_untold and media_type not in (*_HTML_TYPES, "text/plain"):
        return None
    data, is_cut_off = _payload(record, frame, limit)
    if is_untold and not PAGE.match(data[:1024]):
        return None
    if frame.length > limit or len(data) > limit:
        reason = f"content of over {limit:,} bytes"
        raise InputError(reason, remedy="raise max_text_chars in the configuration, or leave the record out")
    if is_cut_off:
        meta["warc"] = {**headers, "payload": "ends early"}
    identifier = headers.get("WARC-Record-ID", "").strip("<>") or default_id
    url = headers.get("WARC-Target-URI", "").strip("<>") or None
    charset = _charset(content_type)
    if media_type == "text/plain":
        text = _by_charset(data, charset)
        return Record(identifier, decode_text(text) if isinstance(text, bytes) else text, url=url, meta=meta)
    return Record(identifier, html=_by_charset(data, charset), url=url, meta=meta)


def _parsed(frame: _Frame, auto_decode: Literal["all", "none"]) -> Any:
    from fastwarc.warc import ArchiveIterator

    # The length that the header tells may be more than was read.
    file = io.BytesIO(frame.head + frame.block + b"\r\n\r\n")
    try:
        return next(ArchiveIterator(file, parse_http=True, auto_decode=auto_decode, fsspec_args=False), None)
    except (OSError, ValueError) as error:
        raise InputError(f"a record that cannot be parsed ({error})", remedy=_REMEDY) from error


def _headers(record: Any) -> dict[str, str]:
    """Return the headers of a WARC record as they stand there, in order; repeated ones joined, names as usual."""
    # Not to_dict(), whose order is another one each time.
    headers: dict[str, str] = {}
    for name, value in record.headers.to_tuples():
        name = _USUAL.get(name.lower(), name)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _payload(record: Any, frame: _Frame, limit: int) -> tuple[bytes, bool]:
    """Return a record's content, unpacked if the server packed it, up to a little over the limit; and if it breaks off.

    Raises:
        InputError: nothing of it can be unpacked.
    """
    data, error = _read_upto(record.reader, limit, _CHUNK)
    if error is None:
        return data, False
    # In small steps, to have what stands before the break.
    data, _ = _read_upto(_parsed(frame, "all").reader, limit, 512)
    if data:
        return data, True
    # Some crawlers unpack the content and leave the header that says it is packed.
    raw, _ = _read_upto(_parsed(frame, "none").reader, limit, _CHUNK)
    if not PAGE.match(raw[:1024]):
        raise InputError(f"content that cannot be unpacked ({error})", remedy="fetch the page again") from error
    return raw, False


def _read_upto(reader: Any, limit: int, step: int) -> tuple[bytes, OSError | None]:
    pieces: list[bytes] = []
    size = 0
    try:
        while size <= limit and (piece := reader.read(step)):
            pieces.append(piece)
            size += len(piece)
    except OSError as error:
        return b"".join(pieces), error
    return b"".join(pieces), None


def _charset(content_type: str) -> str:
    """Return the charset that a Content-Type names, or "".

    >>> _charset('text/html; charset="Windows-1252"'), _charset("text/html")
    ('Windows-1252', '')
    """
    found = re.search(r"charset\s*=\s*[\"']?([^\s\"';,]+)", content_type, re.IGNORECASE)
    return found[1] if found else ""


def _by_charset(data: bytes, charset: str) -> str | bytes:
    r"""Return data decoded by the charset that the server named, if that is to be believed; else as it is.

    A byte order mark comes first, and bytes that happen to be UTF-8 nearly always are, whatever the server says. What
    is left is for extraction to find out, from the page's own words and then from its letters.

    >>> _by_charset(b"a\xf1o", "ISO-8859-1"), _by_charset("año".encode(), "ISO-8859-1"), _by_charset(b"a\xf1o", "utf-8")
    ('año', b'a\xc3\xb1o', b'a\xf1o')
    """
    from .extract import decoded_as

    try:
        name = codecs.lookup(charset).name
        if not name.startswith(_SHIFTING):
            data.decode("utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8")
            return data
    except LookupError:
        return data
    except UnicodeDecodeError:
        pass
    try:
        return decoded_as(data, name)
    except (LookupError, ValueError):
        return data
