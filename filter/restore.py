"""Output records back to the texts they were made from, checked against the digest of the input."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .errors import InputError, UsageError
from .exports import ENDINGS, exported_records
from .writers import DOCUMENTS, Unique, dumps, read_record, read_records, record_files, safe_name

__all__ = ["restore", "restore_text"]

_SHOWN_CHARS = 200
"""Of an id in a message."""


def restore_text(records: Sequence[dict[str, Any]]) -> str:
    """Return the text that the records of one document were made from, character for character.

    Args:
        records: all records with the same `parent`.

    Raises:
        InputError: removed text was left out, a record is missing, or the result differs from the input.
    """
    try:
        return _rebuilt(records)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        reason = f"a record that textsieve did not write so ({type(error).__name__}: {error})"
        raise InputError(" ".join(reason.split()), remedy="use the records as they were written") from error


def _rebuilt(records: Sequence[dict[str, Any]]) -> str:
    parent, chars = records[0]["parent"], records[0]["parent_chars"]
    pieces: list[tuple[int, int, str]] = []
    for record in records:
        at = 0
        for start, end in record["kept"]:
            pieces.append((start, end, record["text"][at : at + end - start]))
            at += end - start
        for removal in record["removed"]:
            if "text" not in removal:
                raise InputError(
                    f"document {_shortened(parent)!r}: the removed text was left out",
                    remedy="run again without --no-removed-text",
                )
            pieces.append((removal["start"], removal["end"], removal["text"]))
    texts: list[str] = []
    at = 0
    for start, end, piece in sorted(pieces):
        if start > at:
            break
        # Two parts may share a line break, so a piece may begin before the last one ended.
        if end > at:
            texts.append(piece[at - start :])
            at = end
    text = "".join(texts)
    if at != chars or len(text) != chars:
        reason = f"document {_shortened(parent)!r}: only {len(text):,} of {chars:,} characters are there"
        raise InputError(reason, remedy="use all records of the run, as they were written")
    if hashlib.sha256(text.encode("utf-8")).hexdigest() != records[0]["parent_sha256"]:
        raise InputError(
            f"document {_shortened(parent)!r}: differs from the input", remedy="use the records as they were written"
        )
    return text


def _shortened(name: str) -> str:
    return name if len(name) <= _SHOWN_CHARS else f"{name[:_SHOWN_CHARS]}…"


def restore(output: Path, folder: Path) -> Iterator[Path | InputError]:
    """Write the text of every document of a run to `<folder>/<id>.txt`, and yield each path, or why it was not written.

    For input files of text these are the same bytes; for HTML and JSONL the text that was extracted or given.

    Args:
        output: the folder of a run, or a file of its records; in any format that a run writes.
        folder: made if it is not there; a file that is there already is not overwritten.

    Raises:
        UsageError: there are no records, or the folder cannot be used.
    """
    paths = [output] if output.is_file() else record_files(output)
    if not paths:
        raise UsageError(f"{output / DOCUMENTS}: not found; name a folder that textsieve run wrote")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written to ({error.strerror}); name another folder") from error
    with tempfile.TemporaryDirectory(prefix=".textsieve-", dir=folder) as partial:
        yield from _restored(paths, folder, Path(partial))


def _restored(paths: list[Path], folder: Path, partial: Path) -> Iterator[Path | InputError]:
    names_of = {}
    for number, path in enumerate(paths):
        if not path.name.endswith(tuple(ENDINGS.values())):
            continue
        # Records are looked up by their place, which is known in JSONL only.
        paths[number] = partial / f"{number}.jsonl"
        names_of[paths[number]] = path
        with paths[number].open("wb") as file:
            for record in exported_records(path):
                if isinstance(record, InputError):
                    yield record
                else:
                    file.write(dumps(record))
    # A document's records may stand in several files. Where they are is held in memory, not what they say.
    places: dict[str, list[tuple[Path, int]]] = {}
    for path in paths:
        for offset, record in read_records(path):
            if isinstance(record, InputError):
                yield record
            else:
                places.setdefault(str(record.get("parent")), []).append((path, offset))
    names = Unique(key=str.casefold)
    for parent, found in places.items():
        target = folder / f"{names.take(safe_name(parent))}.txt"
        try:
            text = restore_text([read_record(path, offset) for path, offset in found])
            _write_new(target, text.encode("utf-8"))
        except InputError as error:
            yield InputError(error.reason, path=str(names_of.get(found[0][0], found[0][0])), remedy=error.remedy)
        except FileExistsError:
            yield InputError("exists already", path=str(target), remedy="name another folder with -o")
        else:
            yield target


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that was not there, whole or not at all.

    Raises:
        FileExistsError: it is there.
    """
    with path.open("xb") as file:
        try:
            file.write(data)
            file.flush()
        except BaseException as error:
            path.unlink()
            if isinstance(error, OSError):
                error.filename = str(path)
            raise
