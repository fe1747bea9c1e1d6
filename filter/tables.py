"""CSV and Parquet to records: one row is one record, its columns are the fields.

CSV is read as RFC 4180 has it, in UTF-8, the first row naming the columns; every cell is text. Parquet needs pyarrow,
which comes with the extra `parquet`.
"""

from __future__ import annotations

import base64
import codecs
import csv
import datetime
import decimal
import itertools
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeVar

from .errors import InputError, UsageError
from .readers import Item, Piece, Rejection, decode_text, empty, is_unicode, lines_of, placed

__all__ = ["cut_parquet", "plain", "pyarrow", "read_csv", "read_parquet", "read_rows", "row_groups"]

T = TypeVar("T")
ToItem = Callable[[dict[str, Any], int], T]
"""Makes a record of a row's fields and its number."""

_ROWS = 64
"""Rows that are taken out of a Parquet file at a time; a row may be a page of megabytes."""
_REMEDY = "write it as RFC 4180 has it: cells with quotes, commas or line ends in quotes, quotes in them doubled"


def read_csv(
    file: Any, piece: Piece, delimiter: str, max_bytes: int, to_item: ToItem[Item]
) -> Iterator[Item | Rejection]:
    """Yield the rows of a CSV file as records; as `read_rows`, with what `to_item` makes of each."""
    is_empty = True
    for row in read_rows(file, piece.path, delimiter, max_bytes):
        is_empty = False
        if isinstance(row, InputError):
            yield Rejection(row)
            continue
        number, cells = row
        try:
            yield to_item(cells, number)
        except InputError as error:
            yield Rejection(placed(error, piece.path, number))
    if is_empty:
        reason = "no rows below the first one, which names the columns"
        yield Rejection(InputError(reason, path=piece.path, remedy="put the names above the rows, or remove the file"))


def read_rows(
    file: Any, path: str, delimiter: str, max_bytes: int
) -> Iterator[tuple[int, dict[str, Any]] | InputError]:
    """Yield the rows of a CSV file by column, with the line they begin on, and an error for each that is damaged.

    Args:
        file: gives bytes by `readline`.
        path: what to call it in an error.
        delimiter: between cells.
        max_bytes: a longer line is an error, and so is a cell of so many characters.
    """
    # The limit is one of the whole process, so it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), max_bytes))
    lines = _Lines(file, max_bytes)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    columns: list[str] = []
    while True:
        number = lines.number + 1
        try:
            cells = next(rows)
            lines.check()
            if not cells:
                continue
            if not columns:
                columns = _header(cells)
                continue
            if len(cells) != len(columns):
                reason = f"a row of {len(cells):,} cells under a header of {len(columns):,}"
                raise InputError(reason, remedy=_REMEDY)
            yield number, dict(zip(columns, cells, strict=True))
        except StopIteration:
            break
        except csv.Error as error:
            # What the parser has of a broken row must not become part of the next.
            rows = csv.reader(lines, delimiter=delimiter, strict=True)
            yield InputError(f"not CSV ({error})", path=path, line=number, remedy=_REMEDY)
        except InputError as error:
            yield placed(error, path, number)
            if not columns:
                return  # without a header, no row means anything
    if not columns:
        yield empty(path)


class _Lines:
    """Lines of text for the parser, which knows nothing of bytes; what is wrong with them is told with their row."""

    def __init__(self, file: Any, max_bytes: int) -> None:
        self._lines = lines_of(file, max_bytes)
        self._error: InputError | None = None
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        if isinstance(line, InputError):
            self._error = line
            return "\n"
        try:
            return decode_text(line.removeprefix(codecs.BOM_UTF8) if self.number == 1 else line)
        except InputError as error:
            self._error = error
            return line.replace(b"\0", b" ").decode("utf-8", "replace")

    def check(self) -> None:
        """Raise what was wrong with the lines since the last time."""
        error, self._error = self._error, None
        if error is not None:
            raise error


def _header(cells: list[str]) -> list[str]:
    columns = [cell.strip() for cell in cells]
    if len(columns) == 1 and (mark := next((mark for mark in ";\t|," if mark in columns[0]), "")):
        remedy = "part cells by commas in .csv, and by tabs in .tsv"
        raise InputError(f"cells that are parted by {mark!r}: {columns[0]!r}", remedy=remedy)
    for column in columns:
        if columns.count(column) > 1:
            raise InputError(f"two columns are called {column!r}", remedy="name each column once, in the first row")
    return columns


def pyarrow(what: str) -> Any:
    """Return the module pyarrow.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import pyarrow as module
    except ImportError as error:
        raise UsageError(f"{what} needs pyarrow; install it: pip install 'textsieve[parquet]'") from error
    return module


def _opened(file: BinaryIO) -> Any:
    arrow = pyarrow("Parquet")
    from pyarrow.parquet import ParquetFile

    try:
        # By columns as they are needed, not all of a row group at once.
        return ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
    except (arrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # it is the disk, or the network
        reason = f"not Parquet ({_one_line(error)})"
        raise InputError(reason, remedy="fetch the file again; a cut-off one has no table of contents") from error


def row_groups(file: BinaryIO) -> int:
    """Return how many row groups a Parquet file has.

    Raises:
        InputError: it is no Parquet file.
    """
    return int(_opened(file).num_row_groups)


def cut_parquet(file: BinaryIO, path: str, max_bytes: int) -> Iterator[Piece]:
    """Yield the stretches of a Parquet file; each ends with the row group that brings it to `max_bytes`, unpacked.

    Raises:
        InputError: it is no Parquet file.
    """
    metadata = _opened(file).metadata
    start, first, row, size = 0, 1, 1, 0
    for group in range(metadata.num_row_groups):
        size += metadata.row_group(group).total_byte_size
        row += metadata.row_group(group).num_rows
        if size >= max_bytes or group == metadata.num_row_groups - 1:
            yield Piece(path, start, group + 1, first, size)
            start, first, size = group + 1, row, 0


def read_parquet(file: BinaryIO, piece: Piece, html_field: str, to_item: ToItem[T]) -> Iterator[T | Rejection]:
    """Yield the rows of a Parquet file, or of some of its row groups, numbered from `piece.first`.

    Bytes in the column `html_field` stay bytes; whatever else JSON does not have becomes text.

    Raises:
        InputError: it is no Parquet file.
    """
    arrow = pyarrow("Parquet")
    parquet = _opened(file)
    groups = range(piece.start, parquet.num_row_groups if piece.end is None else piece.end)
    numbers = itertools.count(piece.first)
    try:
        for batch in parquet.iter_batches(batch_size=_ROWS, row_groups=list(groups), use_threads=False):
            for row in batch.to_pylist():
                number = next(numbers)
                try:
                    yield to_item(plain(row, keep=html_field), number)
                except InputError as error:
                    yield Rejection(placed(error, piece.path, number))
    except (arrow.ArrowException, OSError, ValueError) as error:
        reason = f"damaged Parquet ({_one_line(error)})"
        yield Rejection(InputError(reason, path=piece.path, line=next(numbers), remedy="fetch the file again"))
    if not parquet.metadata.num_rows and piece.end is None:
        yield Rejection(empty(piece.path))


def plain(value: Any, keep: str | None = None) -> Any:
    r"""Return a value of an Arrow column as one that JSON has; dates in ISO 8601, odd bytes in base 64.

    Args:
        value: of any type.
        keep: the field of a row that is left as it is, the bytes of a page for example.

    >>> plain({"at": datetime.date(2024, 5, 1), "raw": b"\xff", "n": [decimal.Decimal("1.50"), b"text", None]})
    {'at': '2024-05-01', 'raw': '/w==', 'n': ['1.50', 'text', None]}
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {str(key): item if key == keep else plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    text = str(value)
    return text if is_unicode(text) else ascii(text)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
