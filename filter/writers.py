"""Analysed documents to files: records, one per part, in JSONL or another format, and if wanted text files too.

`output.schema.json` says what a record holds. Nothing is lost: the parts and removals of a document rebuild its text
(`restore`), documents that are not worth keeping go to `dropped.jsonl`, inputs that cannot be used to `rejected.jsonl`.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import orjson

from .config import Config
from .document import UNDETERMINED, Document, Part, Span, Verdict
from .errors import InputError, UsageError
from .exports import ENDINGS, Export, check_export, export_file
from .readers import Item, Rejection

__all__ = [
    "BITEXT",
    "DOCUMENTS",
    "DROPPED",
    "REJECTED",
    "SCHEMA_VERSION",
    "SUMMARY",
    "TEMPORARY",
    "FolderWriter",
    "StreamWriter",
    "Summary",
    "Unique",
    "Writer",
    "bitext_records",
    "dumps",
    "part_records",
    "read_record",
    "read_records",
    "record_files",
    "rejected_record",
    "results_among",
    "safe_name",
    "with_unique_ids",
]

SCHEMA_VERSION = 1
DOCUMENTS, DROPPED, REJECTED, SUMMARY, TEXT, BITEXT = (
    "documents.jsonl",
    "dropped.jsonl",
    "rejected.jsonl",
    "summary.json",
    "text",
    "bitext.jsonl",
)
_OUTPUTS = (DOCUMENTS, DROPPED, REJECTED, SUMMARY, TEXT, BITEXT)
_OF_LANGUAGE = "documents.*.jsonl"
_RECORDS = (DOCUMENTS, _OF_LANGUAGE, DROPPED)
_JSONL = ".jsonl"
TEMPORARY = ".textsieve-"

_MAX_NAME_BYTES = 150  # leaves room for a number, the language and the ending below the 255 of most file systems
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_NO_CHARACTER = "\ufffd"
_SCORE_DIGITS = 4


class Unique:
    """Hands out names, each at most once; a name asked for again gets a number.

    Args:
        key: two names are the same if this says so.

    >>> unique = Unique()
    >>> unique.take("a"), unique.take("a"), unique.take("a~2"), unique.take("a")
    ('a', 'a~2', 'a~2~2', 'a~3')
    """

    def __init__(self, key: Callable[[str], str] = str) -> None:
        self._key = key
        # Of most names only a digest is held, as there may be millions. That two share one is as good as impossible,
        # and would cost a number that was not needed.
        self._taken: set[int] = set()
        self._counts: dict[str, int] = {}

    def take(self, wanted: str) -> str:
        """Return the name, or the name with the first number that is free."""
        name = wanted
        number = self._counts.get(self._key(wanted), 1)
        while (digest := self._digest(name)) in self._taken:
            number += 1
            name = f"{wanted}~{number}"
        self._taken.add(digest)
        if number > 1:
            self._counts[self._key(wanted)] = number
        return name

    def _digest(self, name: str) -> int:
        # Not hash(), which differs from one process to the next.
        key = self._key(name).encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")


def safe_name(name: str) -> str:
    r"""Return a file name that any system accepts, and that stays in the folder it is put in.

    Letters and digits of every script stay, everything else but `-_.~#` becomes `_`. Two names may become one: use
    `Unique`.

    >>> safe_name("../../etc/passwd"), safe_name("CON"), safe_name("año 2024: 1/2"), safe_name("...")
    ('_.._etc_passwd', '_CON', 'año_2024__1_2', 'document')
    """
    name = unicodedata.normalize("NFC", name)
    name = "".join(c if c.isalnum() or c in "-_.~#" else "_" for c in name)
    name = name.encode("utf-8")[:_MAX_NAME_BYTES].decode("utf-8", "ignore")
    # A leading dot hides a file; Windows cuts trailing ones.
    name = name.strip(".")
    return f"_{name}" if _RESERVED.fullmatch(name) else name or "document"


def dumps(value: Mapping[str, Any]) -> bytes:
    r"""Return a JSON object as one line of UTF-8, whatever the input's own fields hold.

    NaN and infinities, which JSON does not have, become null. Halves of surrogate pairs become U+FFFD: strict readers
    refuse a whole file for one.

    >>> dumps({"a": "año", "big": 2**70, "nan": float("nan")})
    b'{"a":"a\xc3\xb1o","big":1180591620717411303424,"nan":null}\n'

    Raises:
        InputError: the value is nested too deeply.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # integers over 64 bits, half surrogates, deep nesting
        pass
    try:
        text = json.dumps(_without_nan(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return f"{_HALF_PAIR.sub(_NO_CHARACTER, text)}\n".encode()
    except RecursionError as error:
        raise InputError("the record's own fields are nested too deeply", remedy="simplify the record") from error


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    return [_without_nan(item) for item in value] if isinstance(value, list | tuple) else value


def part_records(
    document: Document, item: Item, take_id: Callable[[str], str], *, removed_text: bool = True
) -> list[dict[str, Any]]:
    """Return the output records of a document, one per part.

    A document of which nothing is kept gives one without text. Every removed span stands in exactly one record: that of
    the kept span before it, or else the first.

    Args:
        document: an analysed document.
        item: where it came from.
        take_id: makes an id unique in the run, as `Unique.take` does.
        removed_text: whether removals carry their text; without it, the input cannot be restored.
    """
    parts = document.parts() or [Part(UNDETERMINED, "", (), ())]
    parent = take_id(document.id or "document")
    ids = [parent] if len(parts) == 1 else [take_id(f"{parent}#{part.lang}") for part in parts]
    removals = _removals(document, parts)
    flagged = set(document.flagged)
    id_of = {part.lang: part_id for part, part_id in zip(parts, ids, strict=True)}
    common = {
        "parent_chars": len(document.text),
        "parent_sha256": hashlib.sha256(document.text.encode("utf-8")).hexdigest(),
        "meta": dict(document.meta),
    }
    return [
        {
            "schema": SCHEMA_VERSION,
            "id": part_id,
            "parent": parent,
            "siblings": [other for other in ids if other != part_id],
            "source": {"path": item.path, "line": item.line, "id": item.given_id},
            "url": document.url,
            "lang": part.lang,
            "second_opinion": part.second_opinion,
            "translation_of": id_of.get(part.translation_of or ""),
            "translation_score": _rounded(part.translation_score),
            "text": part.text,
            "kept": [[int(start), int(end)] for start, end in part.kept],
            "flags": [_span_record(span) for span in part.spans if span in flagged],
            "removed": [_span_record(span, document.text if removed_text else None, True) for span in removed],
            "verdict": _verdict_record(document.verdict, part.verdict),
            **_asked_for(document, part),
            **common,
        }
        for part_id, part, removed in zip(ids, parts, removals, strict=True)
    ]


def _asked_for(document: Document, part: Part) -> dict[str, Any]:
    """Return the fields that are there only when asked for."""
    fields: dict[str, Any] = {}
    if document.review is not None:
        starts = {span.start for span in part.spans}
        fields["review"] = [_span_record(span) for span in document.review if span.start in starts]
    if part.measures is not None:
        fields["measures"] = {name: _rounded(value) for name, value in part.measures.items()}
    return fields


def _verdict_record(document: Verdict, part: Verdict) -> dict[str, Any]:
    reasons = dict.fromkeys((*document.reasons, *part.reasons))
    return {"keep": document.keep and part.keep, "reasons": list(reasons)}


def _rounded(score: float | None) -> float | None:
    # More digits than these say nothing.
    return None if score is None else round(float(score), _SCORE_DIGITS)


def with_unique_ids(records: list[dict[str, Any]], take_id: Callable[[str], str]) -> list[dict[str, Any]]:
    """Return the records of one document with ids that are unique in the run; the same list if they were.

    Args:
        records: from `part_records`, with the ids that the document wants.
        take_id: makes an id unique, as `Unique.take` does.
    """
    wanted = records[0]["parent"]
    parent = take_id(wanted)
    ids = [parent] if len(records) == 1 else [take_id(f"{parent}#{record['lang']}") for record in records]
    new = {record["id"]: name for record, name in zip(records, ids, strict=True)}
    if parent == wanted and all(old == name for old, name in new.items()):
        return records
    return [
        {
            **record,
            "id": new[record["id"]],
            "parent": parent,
            "siblings": [new[name] for name in record["siblings"]],
            "translation_of": new.get(record["translation_of"]),
        }
        for record in records
    ]


def bitext_records(records: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the lines of a document's translations in pairs, those of parts that are not kept left out.

    Args:
        records: all output records of the document.
    """
    from .translation import aligned_pairs

    by_id = {record["id"]: record for record in records}
    for record in records:
        if record["translation_of"] is None:
            continue
        original = by_id[record["translation_of"]]
        if not (record["verdict"]["keep"] and original["verdict"]["keep"]):
            continue
        for pair in aligned_pairs(original["text"], record["text"]):
            sides = ((original, pair.left), (record, pair.right))
            yield {
                "schema": SCHEMA_VERSION,
                "parent": record["parent"],
                "ids": [side["id"] for side, _ in sides],
                "langs": [side["lang"] for side, _ in sides],
                "texts": [side["text"][start:end] for side, (start, end) in sides],
                "kept": [_kept_between(side["kept"], *bounds) for side, bounds in sides],
                "score": _rounded(pair.score * record["translation_score"]),
            }


def _kept_between(kept: Iterable[Sequence[int]], start: int, end: int) -> list[list[int]]:
    """Return the slices of the document's text that are the slice `[start, end)` of the part's text."""
    slices = []
    at = 0
    for first, last in kept:
        low, high = max(start - at, 0), min(end - at, last - first)
        if low < high:
            slices.append([int(first + low), int(first + high)])
        at += last - first
    return slices


def _removals(document: Document, parts: list[Part]) -> list[list[Span]]:
    owner = {span.start: number for number, part in enumerate(parts) for span in part.spans}
    removals: list[list[Span]] = [[] for _ in parts]
    removed = {span.start for span in document.removed}
    at = 0
    for span in document.spans:
        if span.start in removed:
            removals[at].append(span)
        else:
            at = owner[span.start]
    return removals


def _span_record(span: Span, text: str | None = None, is_removal: bool = False) -> dict[str, Any]:
    # NumPy numbers would not be written.
    record: dict[str, Any] = {"start": int(span.start), "end": int(span.end), "label": span.label}
    if is_removal:
        record["category"] = span.category
    record |= {
        "lang": span.lang,
        "score": _rounded(span.score),
        "source": span.source,
        "reasons": list(span.reasons),
    }
    if text is not None:
        record["text"] = text[span.start : span.end]
    return record


def rejected_record(rejection: Rejection) -> dict[str, Any]:
    """Return the record of an input that cannot be used."""
    error = rejection.error
    return {
        "schema": SCHEMA_VERSION,
        "path": error.path,
        "line": error.line,
        "reason": error.reason,
        "remedy": error.remedy,
        "raw": rejection.raw,
    }


@dataclass(slots=True)
class Summary:
    """What a run did, counted; characters are code points.

    Attributes:
        documents: analysed documents, dropped ones included.
        dropped: documents whose verdict is not to keep them.
        rejected: inputs that could not be used.
        unreadable: of these, files and folders of which nothing could be read.
        chars: characters read.
        parts: number of parts by language, without dropped ones.
        removed_chars: characters left out, by category, or by label for what has none.
        flags: flagged spans by label.
        flagged_chars: their characters.
    """

    documents: int = 0
    dropped: int = 0
    rejected: int = 0
    unreadable: int = 0
    chars: int = 0
    parts: Counter[str] = field(default_factory=Counter)
    removed_chars: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    flagged_chars: Counter[str] = field(default_factory=Counter)

    def add(self, records: Sequence[dict[str, Any]]) -> None:
        """Count a document by its output records."""
        self.documents += 1
        self.chars += records[0]["parent_chars"]
        kept = [record["lang"] for record in records if record["verdict"]["keep"]]
        self.parts.update(kept)
        self.dropped += not kept
        for record in records:
            for span in record["removed"]:
                self.removed_chars[span["category"] or span["label"]] += span["end"] - span["start"]
            for span in record["flags"]:
                self.flags[span["label"]] += 1
                self.flagged_chars[span["label"]] += span["end"] - span["start"]

    def reject(self, rejection: Rejection) -> None:
        """Count an input that could not be used."""
        self.rejected += 1
        self.unreadable += rejection.whole_file

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as plain JSON values, names in order."""
        # Not dataclasses.asdict: it makes a Counter of the pairs of a Counter.
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            name: dict(sorted(value.items())) if isinstance(value, Mapping) else value for name, value in values.items()
        }


class Writer(ABC):
    """Takes analysed documents, gives them ids that are unique in the run, and counts; used in a `with` block.

    Args:
        removed_text: whether removals carry their text.
    """

    def __init__(self, *, removed_text: bool = True) -> None:
        self.summary = Summary()
        self._removed_text = removed_text
        self._ids = Unique()

    def write(self, document: Document, item: Item) -> None:
        """Write one analysed document.

        Raises:
            InputError: the input's own fields cannot be written as JSON.
        """
        self.write_records(part_records(document, item, str, removed_text=self._removed_text))

    def write_records(self, wanted: list[dict[str, Any]], lines: list[bytes] | None = None) -> None:
        """Write one document as its output records, which ask for ids and get them if they are free.

        Args:
            wanted: all output records of the document.
            lines: the same as `dumps` gives them, if that has been done.

        Raises:
            InputError: the input's own fields cannot be written as JSON.
        """
        # All or none of the lines of a document: the second may fail where the first did not. What fails takes no id.
        lines = [dumps(record) for record in wanted] if lines is None else lines
        records = with_unique_ids(wanted, self._ids.take)
        if records is not wanted:
            lines = [dumps(record) for record in records]
        self._emit(records, lines)
        self.summary.add(records)

    def reject(self, rejection: Rejection) -> None:
        """Count an input that could not be used, and write it down where there is a place for it."""
        self.summary.reject(rejection)

    @abstractmethod
    def _emit(self, records: list[dict[str, Any]], lines: list[bytes]) -> None: ...

    @abstractmethod
    def __enter__(self) -> Writer: ...

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class StreamWriter(Writer):
    """Writes the records of every document, kept or dropped, to one stream of JSONL.

    Args:
        stream: takes bytes, for example `sys.stdout.buffer`.
        removed_text: whether removals carry their text.
    """

    def __init__(self, stream: BinaryIO, *, removed_text: bool = True) -> None:
        super().__init__(removed_text=removed_text)
        self._stream = stream

    def _emit(self, records: list[dict[str, Any]], lines: list[bytes]) -> None:
        self._stream.write(b"".join(lines))
        # Whoever waits at the other end gets each document when it is done.
        self._stream.flush()

    def __enter__(self) -> StreamWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._stream.flush()


class FolderWriter(Writer):
    """Writes a folder of results; the files appear, whole, when the `with` block ends, or not at all if it fails.

    Args:
        folder: made if it is not there.
        config: noted in the summary.
        text: whether to write each part as a text file too, `text/<id>.<language>.txt`.
        bitext: whether to write the lines of translations in pairs too, to `bitext.jsonl`.
        by_language: whether each language has its own file, `documents.<language>.jsonl`.
        export: another format than JSONL for the records of documents.
        force: whether to replace results that are there already.
        removed_text: whether removals carry their text.

    Raises:
        UsageError: the folder cannot be used, or holds results and force is off.
    """

    def __init__(
        self,
        folder: Path,
        config: Config,
        *,
        text: bool = False,
        bitext: bool = False,
        by_language: bool = False,
        export: Export | None = None,
        force: bool = False,
        removed_text: bool = True,
    ) -> None:
        super().__init__(removed_text=removed_text)
        if export is not None:
            check_export(export)
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder}: is a file; name a folder with -o, or - for standard output")
        there = _results_in(folder)
        if there and not force:
            raise UsageError(f"{folder / there[0]}: exists already; add --force to replace it, or name another folder")
        self._folder = folder
        self._is_new = not folder.exists()
        self._partial = folder / f"{TEMPORARY}{secrets.token_hex(8)}"
        self._config = config
        self._files: dict[str, BinaryIO] = {}
        self._by_language = by_language
        self._export = export
        self._names = [*(() if by_language else (DOCUMENTS,)), DROPPED, REJECTED, *((BITEXT,) if bitext else ())]
        # Some file systems take A and a for one name.
        self._text_names = Unique(key=str.casefold) if text else None

    def __enter__(self) -> FolderWriter:
        # An interrupt in here must leave as little behind as one in the block.
        try:
            self._partial.mkdir(parents=True)
            for name in self._names:
                self._file(name)
            if self._text_names is not None:
                (self._partial / TEXT).mkdir()
        except OSError as error:
            self._discard()
            raise UsageError(f"{self._folder}: cannot be written to ({error.strerror}); name another folder") from error
        except BaseException:
            self._discard()
            raise
        return self

    def reject(self, rejection: Rejection) -> None:
        """Count and write down an input that could not be used."""
        super().reject(rejection)
        self._files[REJECTED].write(dumps(rejected_record(rejection)))

    def _file(self, name: str) -> BinaryIO:
        if name not in self._files:
            self._files[name] = (self._partial / name).open("wb")
        return self._files[name]

    def _emit(self, records: list[dict[str, Any]], lines: list[bytes]) -> None:
        kept = [record for record in records if record["verdict"]["keep"]]
        for record, line in zip(records, lines, strict=True):
            name = DOCUMENTS
            if not record["verdict"]["keep"]:
                name = DROPPED
            elif self._by_language:
                name = _OF_LANGUAGE.replace("*", safe_name(record["lang"]))
            self._file(name).write(line)
        if BITEXT in self._files:
            self._files[BITEXT].writelines(map(dumps, bitext_records(records)))
        if self._text_names is None or not kept:
            return
        name = self._text_names.take(safe_name(records[0]["parent"]))
        for record in kept:
            # Not write_text: it would translate the line ends on some systems.
            path = self._partial / TEXT / f"{name}.{safe_name(record['lang'])}.txt"
            path.write_bytes(record["text"].encode("utf-8"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._commit()
        finally:
            self._discard()

    def _commit(self) -> None:
        summary = {"schema": SCHEMA_VERSION, **self.summary.as_dict(), "config": asdict(self._config)}
        text = json.dumps(summary, indent=2, ensure_ascii=False)
        self._files[SUMMARY] = (self._partial / SUMMARY).open("wb")
        self._files[SUMMARY].write(f"{text}\n".encode())
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
            file.close()
        names = [self._exported(name) for name in self._files]
        if self._text_names is not None:
            # Text files are copies of what the records hold, so they are not forced to disk one by one.
            self._replace(TEXT)
        # Of what stood there, nothing may be taken for results of this run.
        for name in _results_in(self._folder):
            if name not in (*names, TEXT):
                (self._folder / name).unlink()
        # The summary comes last: where it stands, the run was finished.
        for name in names:
            self._replace(name)
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _exported(self, name: str) -> str:
        """Return the name of a finished file, after it was written in the format that is wanted."""
        if self._export is None or not any(fnmatch.fnmatchcase(name, pattern) for pattern in _RECORDS):
            return name
        exported = name.replace(_JSONL, ENDINGS[self._export])
        export_file(self._partial / name, self._partial / exported, self._export)
        (self._partial / name).unlink()
        with (self._partial / exported).open("rb") as file:
            os.fsync(file.fileno())
        return exported

    def _replace(self, name: str) -> None:
        target = self._folder / name
        if target.is_dir():  # a folder cannot be replaced in one step
            target.rename(self._partial / f"old-{name}")
        (self._partial / name).replace(target)

    def _discard(self) -> None:
        for file in self._files.values():
            with contextlib.suppress(OSError):  # a full disk, which has been reported
                file.close()
        shutil.rmtree(self._partial, ignore_errors=True)
        if self._is_new:
            with contextlib.suppress(OSError):  # not empty: the run was good
                self._folder.rmdir()


def record_files(folder: Path) -> list[Path]:
    """Return the files of a run's folder that hold records of documents, in whatever format."""
    names = [pattern.replace(_JSONL, ending) for pattern in _RECORDS for ending in (_JSONL, *ENDINGS.values())]
    return [path for name in names for path in sorted(folder.glob(name)) if path.is_file()]


def results_among(names: Iterable[str]) -> list[str]:
    """Return which of the names in a folder are those of results.

    >>> results_among(["documents.en.parquet", "mine.txt", "text/a.en.txt", "summary.json"])
    ['documents.en.parquet', 'text/a.en.txt', 'summary.json']
    """
    patterns = [pattern.replace(_JSONL, ending) for pattern in _RECORDS for ending in (_JSONL, *ENDINGS.values())]
    patterns += [*_OUTPUTS, f"{TEXT}/*"]
    return [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def _results_in(folder: Path) -> list[str]:
    return results_among(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else []


def read_records(path: Path) -> Iterator[tuple[int, dict[str, Any] | InputError]]:
    """Yield the records of an output file with the bytes before them, and an error for each line that is none."""
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            yield offset, _record(line, path, number)
            offset += len(line)


def read_record(path: Path, offset: int) -> dict[str, Any]:
    """Return the record of an output file that has so many bytes before it."""
    with path.open("rb") as file:
        file.seek(offset)
        record: dict[str, Any] = json.loads(file.readline())
        return record


def _record(line: bytes, path: Path, number: int) -> dict[str, Any] | InputError:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        return InputError(f"not JSON ({error})", path=str(path), line=number, remedy="run textsieve run again")
    if isinstance(record, dict) and record.get("schema") == SCHEMA_VERSION:
        return record
    reason = f"not a record of schema {SCHEMA_VERSION}"
    return InputError(reason, path=str(path), line=number, remedy="name results that textsieve run wrote")
