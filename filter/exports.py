"""The records of a run in another format: Parquet, CSV or WARC, and back.

A run always writes JSONL first; that can be appended to, cut and joined line by line. What was asked for is made from
it at the end, and holds the same: `restore` works on every format.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from . import __version__
from .errors import InputError

__all__ = ["ENDINGS", "Export", "check_export", "export_file", "exported_records"]

Export = Literal["parquet", "csv", "warc"]
ENDINGS: dict[Export, str] = {"parquet": ".parquet", "csv": ".csv", "warc": ".warc.gz"}
"""What the name of an exported file ends in; without it, and with `.jsonl`, it is the file of records."""

_ROWS = 500
"""Rows of a Parquet row group."""

# What a spreadsheet would compute instead of showing it, and the mark that says it is text.
_FORMULA = re.compile(r"['=+\-@\t\r\n＝＋－＠]")
_MARK = "'"

_EPOCH = "SOURCE_DATE_EPOCH"
_JSON = "application/json"
_GZIP_LEVEL = 6


def check_export(to: Export) -> None:
    """See before a run that its results can be written in a format.

    Raises:
        UsageError: a library that it needs is not installed.
    """
    if to == "parquet":
        from .tables import pyarrow

        pyarrow("Parquet")


def export_file(source: Path, target: Path, to: Export) -> None:
    """Write the records of a JSONL file in another format; the same records give the same bytes.

    Args:
        source: a file of output records.
        target: is written over.
        to: the format.

    Raises:
        UsageError: a library that it needs is not installed.
    """
    write: dict[Export, Callable[[Iterator[dict[str, Any]], Path], None]] = {
        "parquet": _write_parquet,
        "csv": _write_csv,
        "warc": _write_warc,
    }
    with source.open("rb") as file:
        write[to]((json.loads(line) for line in file), target)


def exported_records(path: Path) -> Iterator[dict[str, Any] | InputError]:
    """Yield the records of an exported file as they stood in JSONL, and an error for each that cannot be read."""
    for ending, read in ((".parquet", _read_parquet), (".csv", _read_csv), (".warc.gz", _read_warc)):
        if path.name.endswith(ending):
            yield from read(path)


def _batches(records: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    from .batches import batches

    return batches(records, lambda record: 1, _ROWS)


def _write_parquet(records: Iterator[dict[str, Any]], target: Path) -> None:
    from .arrow import output_schema, to_table

    schema = output_schema()
    from pyarrow.parquet import ParquetWriter

    with ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in _batches(records):
            writer.write_table(to_table(batch))


def _read_parquet(path: Path) -> Iterator[dict[str, Any] | InputError]:
    from .arrow import from_row
    from .readers import Piece, Rejection
    from .tables import read_parquet, row_groups

    try:
        with path.open("rb") as file:
            # To the end that it has, so that a file without rows is none that is empty by mistake.
            piece = Piece(str(path), end=row_groups(file))
            for row in read_parquet(file, piece, "", lambda fields, number: fields):
                yield row.error if isinstance(row, Rejection) else from_row(row)
    except InputError as error:
        yield InputError(error.reason, path=str(path), remedy=error.remedy)


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((Path(__file__).parent / "output.schema.json").read_text(encoding="utf-8"))
    return schema


def _write_csv(records: Iterator[dict[str, Any]], target: Path) -> None:
    columns = list(_schema()["properties"])
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(columns)
        for record in records:
            writer.writerow([_cell(record.get(column)) for column in columns])


def _cell(value: Any) -> str:
    r"""Return a value as a cell: null is empty, text is itself, all else is JSON; never a formula.

    A cell that begins as a formula does, or with the mark itself, gets the mark ' in front, so it can be taken off
    again (https://owasp.org/www-community/attacks/CSV_Injection). A text with a NUL, at which many programs stop
    reading, is the mark and JSON; no other cell begins with '".

    >>> _cell("=1+1"), _cell("'tis"), _cell(""), _cell(None), _cell(-1), _cell([1, 2])
    ("'=1+1", "''tis", "'", '', "'-1", '[1,2]')
    >>> print(_cell("a\0"), _cell('"a"'), _cell("'" + '"a"'))
    '"a\u0000" "a" ''"a"
    """
    if value is None:
        return ""
    if isinstance(value, str) and "\0" in value:
        return f"{_MARK}{json.dumps(value, ensure_ascii=False)}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return f"{_MARK}{text}" if not text or _FORMULA.match(text) else text


def _read_csv(path: Path) -> Iterator[dict[str, Any] | InputError]:
    from .arrow import is_text
    from .tables import read_rows

    required = _schema()["required"]
    with path.open("rb") as file:
        for row in read_rows(file, str(path), ",", _MAX_CELL):
            if isinstance(row, InputError):
                yield row
                continue
            number, cells = row
            try:
                # A field that may be missing is empty in a table.
                kept = {name: cell for name, cell in cells.items() if cell or name in required}
                record = {name: _value(cell, is_text(name)) for name, cell in kept.items()}
            except (ValueError, KeyError, RecursionError) as error:
                reason = f"not a record ({error})"
                yield InputError(reason, path=str(path), line=number, remedy="run textsieve run again")
            else:
                yield record


_MAX_CELL = 1 << 30


def _value(cell: str, is_text: bool) -> Any:
    if not cell:
        return None
    text = cell.removeprefix(_MARK)
    return json.loads(text) if not is_text or cell.startswith(f'{_MARK}"') else text


def _write_warc(records: Iterator[dict[str, Any]], target: Path) -> None:
    # Each record is a gzip member, without a name or time in it.
    with target.open("wb") as file:
        for one in _warc_records(records):
            packed = io.BytesIO()
            with closing(gzip.GzipFile("", "wb", _GZIP_LEVEL, packed, mtime=0)) as member:
                member.write(one)
            file.write(packed.getvalue())


def _warc_records(records: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    from .writers import dumps

    date = _default_date()
    info = f"software: textsieve/{__version__}\r\nformat: WARC File Format 1.1\r\n"
    info_id = _record_id("warcinfo", __version__)
    yield _warc_record(
        {"WARC-Type": "warcinfo", "WARC-Record-ID": info_id, "WARC-Date": date},
        "application/warc-fields",
        info.encode("ascii"),
    )
    for record in records:
        source = record["source"]
        original = record["meta"].get("warc")
        original = original if isinstance(original, Mapping) else {}
        identity = (source["path"], str(source["line"]), record["id"], record["parent_sha256"])
        part_id = _record_id("conversion", *identity)
        parent = urllib.parse.quote(record["parent"])
        common = {
            "WARC-Date": original.get("WARC-Date") or date,
            "WARC-Target-URI": record["url"] or f"urn:x-textsieve:{parent}",
            "WARC-Warcinfo-ID": info_id,
        }
        yield _warc_record(
            {
                "WARC-Type": "conversion",
                "WARC-Record-ID": part_id,
                "WARC-Refers-To": original.get("WARC-Record-ID"),
                **common,
                "Content-Language": record["lang"],
                "Textsieve-Id": record["id"],
                "Textsieve-Parent": record["parent"],
                "Textsieve-Keep": "yes" if record["verdict"]["keep"] else "no",
                "Textsieve-Flags": _shares(record["flags"]),
                "Textsieve-Removed": _shares(record["removed"]),
            },
            "text/plain; charset=utf-8",
            record["text"].encode("utf-8"),
        )
        yield _warc_record(
            {
                "WARC-Type": "metadata",
                "WARC-Record-ID": _record_id("metadata", *identity),
                "WARC-Refers-To": part_id,
                **common,
            },
            _JSON,
            dumps({name: value for name, value in record.items() if name != "text"}),
        )


def _shares(spans: Iterable[Mapping[str, Any]]) -> str | None:
    """Return how many characters have which label.

    >>> _shares([{"label": "spam", "start": 0, "end": 5}, {"label": "spam", "start": 9, "end": 10}])
    'spam=6'
    """
    counts: dict[str, int] = {}
    for span in spans:
        counts[span["label"]] = counts.get(span["label"], 0) + span["end"] - span["start"]
    return ", ".join(f"{label}={count}" for label, count in sorted(counts.items())) or None


def _default_date() -> str:
    """Return the date of records whose original has none: that of the build, as reproducible builds say it, or zero.

    The time of day would make every run another file (https://reproducible-builds.org/specs/source-date-epoch/).
    """
    seconds = os.environ.get(_EPOCH, "0")
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(seconds) if seconds.isdecimal() else 0))


def _record_id(*identity: str) -> str:
    return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, chr(0).join(('textsieve', *identity)))}>"


def _warc_record(headers: Mapping[str, Any], content_type: str, block: bytes) -> bytes:
    lines = [f"{name}: {_header_value(value)}" for name, value in headers.items() if value]
    head = "\r\n".join(["WARC/1.1", *lines, f"Content-Type: {content_type}", f"Content-Length: {len(block)}", "", ""])
    return head.encode("utf-8") + block + b"\r\n\r\n"


def _header_value(value: Any) -> str:
    r"""Return a value that stays on its line, whatever an id or address holds.

    >>> _header_value("a\r\nWARC-Type: x"), _header_value("año")
    ('a%0D%0AWARC-Type: x', 'año')
    """
    return "".join(c if c.isprintable() else urllib.parse.quote(c) for c in str(value))


def _read_warc(path: Path) -> Iterator[dict[str, Any] | InputError]:
    from .warc import blocks

    texts: dict[str, str] = {}
    with path.open("rb") as file:
        for headers, block in blocks(file, str(path)):
            if isinstance(block, InputError):
                yield block
                continue
            name = headers.get("WARC-Record-ID", "")
            try:
                if headers.get("WARC-Type") == "conversion":
                    texts = {name: block.decode("utf-8")}  # its metadata comes next
                elif headers.get("WARC-Type") == "metadata" and headers.get("WARC-Refers-To") in texts:
                    yield {**json.loads(block), "text": texts[headers["WARC-Refers-To"]]}
            except (ValueError, TypeError, RecursionError) as error:
                reason = f"record {name} is not one that textsieve wrote ({error})"
                yield InputError(reason, path=str(path), remedy="run textsieve run again")
