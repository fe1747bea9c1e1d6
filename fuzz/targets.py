"""What can be fed with bytes from outside, one function for each way in.

A target takes any bytes and returns; it raises only where the product is at fault. The errors that are meant for bad
input are part of the contract and are caught here, after a look at what they say; whatever else comes out is a finding.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from filter import Config, Document, Record
from filter.batch import analyse
from filter.errors import InputError, TextsieveError
from filter.exports import ENDINGS, Export, export_file
from filter.pipeline import process
from filter.profiles import read_profile
from filter.readers import Item, Kind, Piece, Reader, Rejection
from filter.restore import restore, restore_text
from filter.rules import load_packs
from filter.store import load_model
from filter.writers import dumps, part_records

__all__ = ["TARGETS", "seeds"]

_MAX_CHARS = 20_000
_CONFIG = Config(max_text_chars=_MAX_CHARS, page_timeout_s=None)


def _check_error(error: TextsieveError) -> None:
    text = str(error)
    assert text.strip() and "\n" not in text, f"not one line: {text!r}"
    text.encode("utf-8")


def _check_outcome(outcome: Item | Rejection) -> None:
    if isinstance(outcome, Rejection):
        _check_error(outcome.error)
        assert outcome.error.path and outcome.error.reason
        assert "a fault in textsieve" not in outcome.error.reason, outcome.error.reason
        json.dumps(outcome.raw)
    else:
        assert (outcome.record.text is None) != (outcome.record.html is None)
        size = len(outcome.record.html if outcome.record.text is None else outcome.record.text)  # type: ignore[arg-type]
        assert size <= 8 * _MAX_CHARS + (1 << 20), f"{size:,} characters came through a limit of {_MAX_CHARS:,}"


def _reader(suffix: str) -> Callable[[bytes], None]:
    """Return a target that reads bytes as a file of that ending, whole and in shards, which must come to the same."""

    def target(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"input{suffix}")
            path.write_bytes(data)
            reader = Reader(_MAX_CHARS)
            outcomes = list(reader.read([path]))
            for outcome in outcomes:
                _check_outcome(outcome)
            # A header alone has no rows, and an archive may hold nothing but requests.
            assert outcomes or suffix in (".csv", ".tsv", ".warc", ".warc.gz", ".parquet"), "input without outcome"
            for piece in (piece for shard in reader.plan([path], 64) for piece in shard):
                assert Piece(**json.loads(json.dumps(asdict(piece)))) == piece
                for outcome in reader.read_shard((piece,)):
                    _check_outcome(outcome)

    return target


def _stdin(kind: Kind | None) -> Callable[[bytes], None]:
    def target(data: bytes) -> None:
        stream = io.BufferedReader(io.BytesIO(data))  # type: ignore[arg-type]
        for outcome in Reader(_MAX_CHARS, kind, stdin=stream).read(["-"]):
            _check_outcome(outcome)

    return target


def _check_document(document: Document, item: Item) -> None:
    """Check the promise: the spans tile the text, and the output records rebuild it."""
    at = 0
    for span in document.spans:
        assert span.start == at < span.end and 0 <= span.score <= 1, (at, span)
        at = span.end
    assert at == len(document.text)
    records = [json.loads(dumps(record)) for record in part_records(document, item, str)]
    assert restore_text(records) == document.text


def _analysed(record: Record, config: Config) -> None:
    for outcome in analyse([Item(record, "input")], config):
        if isinstance(outcome, Rejection):
            _check_outcome(outcome)
        else:
            _check_document(outcome.document, outcome.item)


def text(data: bytes) -> None:
    """Any Unicode through the whole pipeline."""
    _analysed(Record(text=data.decode("utf-8", "surrogateescape" if len(data) % 4 == 0 else "replace")), _CONFIG)


def html(data: bytes) -> None:
    """Any bytes as a page, with each extractor, through the whole pipeline."""
    for extractor in ("trafilatura", "resiliparse"):
        _analysed(Record(html=data), Config(max_text_chars=_MAX_CHARS, extractor=extractor))  # type: ignore[arg-type]


def _loads(read: Callable[[Path], object], name: str) -> Callable[[bytes], None]:
    """Return a target for a file that the user names: it is used, or refused in one line that names it."""

    def target(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_bytes(data)
            try:
                read(path)
            except TextsieveError as error:
                _check_error(error)
                assert folder in str(error), f"does not name the file: {error}"

    return target


def model(data: bytes) -> None:
    """A model file under a manifest that vouches for it."""
    import hashlib

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "toy.npz").write_bytes(data)
        entry = {"file": "toy.npz", "sha256": hashlib.sha256(data).hexdigest()}
        Path(folder, "manifest.json").write_text(json.dumps({"toy": entry}))
        load_model.cache_clear()
        try:
            load_model("toy", Path(folder))
        except TextsieveError as error:
            _check_error(error)
            assert "toy.npz" in str(error)


def _read_manifest(path: Path) -> object:
    load_model.cache_clear()
    return load_model("toy", path.parent)


def _results(ending: str) -> Callable[[bytes], None]:
    """Return a target for a file of results, as `restore` gets it; it writes to its own folder only."""

    def target(data: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path, out = Path(folder, f"documents{ending}"), Path(folder, "inner", "restored")
            path.write_bytes(data)
            for found in restore(path, out):
                if isinstance(found, InputError):
                    _check_error(found)
                else:
                    assert found.parent == out
            assert {path.name for path in Path(folder).iterdir()} == {path.name, "inner"}

    return target


_RESULTS = (".jsonl", *ENDINGS.values())
_FILES = (".txt", ".jsonl", ".csv", ".tsv", ".html", ".warc", ".parquet")
TARGETS: dict[str, Callable[[bytes], None]] = {
    **{f"read{suffix}": _reader(suffix) for suffix in _FILES},
    **{f"read{suffix}": _reader(suffix) for suffix in (".jsonl.gz", ".jsonl.zst", ".warc.gz")},
    "stdin": _stdin(None),
    "stdin.warc": _stdin("warc"),
    "text": text,
    "html": html,
    "config": _loads(Config.from_toml, "config.toml"),
    "rules": _loads(lambda path: load_packs([path], shipped=False), "pack.toml"),
    "profile": _loads(read_profile, "site.profile"),
    "manifest": _loads(_read_manifest, "manifest.json"),
    "model": model,
    **{f"results{ending}": _results(ending) for ending in _RESULTS},
}
"""The ways in, by name."""

_PAGE = (
    b"<!DOCTYPE html><html><head><title>River</title></head><body><nav><a href='/'>Home</a></nav><article><p>"
    b"The river rose two metres overnight, and the council closed the bridge.</p><p>El r\xc3\xado subi\xc3\xb3 dos "
    b"metros.</p><p>Subscribe to our newsletter</p></article></body></html>"
)
_TEXT = "The river rose two metres.\r\nEl río subió dos metros.\n\nSubscribe to our newsletter\n#rain #flood\u200b\n"


def _warc() -> bytes:
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: identity\r\n\r\n" + _PAGE
    head = (
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:1>\r\nWARC-Target-URI: https://a.example/\r\n"
        b"Content-Type: application/http; msgtype=response\r\nContent-Length: "
    )
    return 2 * (head + str(len(http)).encode() + b"\r\n\r\n" + http + b"\r\n\r\n")


def seeds(name: str) -> Iterator[bytes]:
    """Yield good inputs of a target, to break."""
    import gzip

    import numpy as np
    import zstandard

    lines = b'{"id": "a", "text": "One\\u00e9", "n": [1e400, {"b": null}]}\n\n{"html": "<p>Two", "url": "https://b"}\n'
    text = _TEXT.encode()
    by_suffix = {
        ".txt": text,
        ".jsonl": lines,
        ".csv": b'id,text,url\r\n1,"a ""quoted""\nline",\r\n2,b,https://b\r\n',
        ".tsv": b"id\ttext\na\tOne\n",
        ".html": _PAGE,
        ".warc": _warc(),
        ".jsonl.gz": gzip.compress(lines, mtime=0) + gzip.compress(lines, mtime=0),
        ".jsonl.zst": zstandard.compress(lines) + zstandard.compress(lines),
        ".warc.gz": gzip.compress(_warc()[: len(_warc()) // 2], mtime=0) * 2,
    }
    if name == "read.parquet":
        import pyarrow
        from pyarrow.parquet import write_table

        sink = io.BytesIO()
        write_table(pyarrow.table({"id": ["a", "b"], "text": ["One", "Two"]}), sink)
        yield sink.getvalue()
    elif name.startswith("read"):
        yield by_suffix[name.removeprefix("read")]
    elif name.startswith("stdin"):
        yield from by_suffix.values()
    elif name == "model":
        file = io.BytesIO()
        np.savez(file, weights=np.arange(3), header=np.frombuffer(b'{"a": 1}', dtype=np.uint8))
        yield file.getvalue()
    elif name.startswith("results"):
        document = process("The river rose.\nSubscribe to our newsletter\n", _CONFIG)
        lines = b"".join(map(dumps, part_records(document, Item(Record(id="../a", text=document.text), "a"), str)))
        export: Export | None = next((to for to, ending in ENDINGS.items() if name.endswith(ending)), None)
        with tempfile.TemporaryDirectory() as folder:
            path, exported = Path(folder, "documents"), Path(folder, "exported")
            path.write_bytes(lines)
            if export:
                export_file(path, exported, export)
            yield (exported if export else path).read_bytes()
    else:
        yield {
            "text": text,
            "html": _PAGE,
            "config": b'preset = "gentle"\n'
            b'languages = ["en"]\nmin_part_chars = 3\n[policy]\nspam = "strip"\n[run]\na = 1\n',
            "rules": b'lang = "en"\n'
            b'function = ["the"]\n[words]\nbuy = ["buy*"]\n[[rule]]\nid = "a"\ncategory = "paywall"\n'
            b'pattern = \'^{buy} now\'\nwhy = "w"\nhits = ["Buy now"]\nmisses = ["I buy"]\nmax_words = 9\n',
            "profile": b'{"format": "textsieve site profile", "version": 1, "site_field": ""}\n'
            b'{"host": "a.example", "pages": 4}\n{"host": "a.example", "pages": 3, "of": 4, "line": "home"}\n',
            "manifest": b'{"toy": {"file": "toy.npz", "sha256": "00", "bytes": 3}}',
        }[name]
