"""The results of a run as one page of HTML: what was removed and flagged, by what, and samples to read.

It reads results only, twice and record by record, so that a million documents take hardly more memory than a thousand:
first all is counted and documents are drawn for the samples, then these are fetched. The page needs no network and no
server. Nothing that a document says can run in it: numbers and names are escaped here, the samples are JSON that the
page only ever shows as text, and a content security policy allows no script but the page's own
(https://www.w3.org/TR/CSP3/#directive-script-src).
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from . import __version__
from .document import LABELS, Document
from .errors import InputError, UsageError
from .explain import LABEL_NAMES, visible
from .exports import ENDINGS, exported_records
from .writers import DOCUMENTS, REJECTED, SUMMARY, read_records, record_files

__all__ = ["ShownPiece", "Top", "build_report", "shown_pieces"]

_TEMPLATE = Path(__file__).with_name("report.html")
_MAX_BYTES = 9_000_000
"""Of the samples in the page, as UTF-8; it opens in about a second with that many."""
_MAX_CHARS = 50_000
"""Of the text of one sample; the rest is left out, and the page says so."""
_MAX_RAW_CHARS = 500
_MAX_NAMES = 50_000
"""Different hosts, causes or texts that are counted one by one."""
_ROWS = 20
_BINS = 20
_MOST = 0.5
_KEY_CHARS = 160
_NO_HOST = "(no address)"

_NUMBER = re.compile(r"\d[\d,.]*")
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
# What ends a script element or begins a comment in it, and the two line ends that old JavaScript trips over.
_UNSAFE = re.compile("[<>&\u2028\u2029]")


class Top:
    """Counts by name, in memory that does not grow with the number of names.

    When there are too many, the lesser half is counted together under `others`; what is counted by name after that may
    be a little short for rare names.

    Args:
        limit: names that are counted one by one.

    >>> top = Top(limit=2)
    >>> for name, chars in (("a", 9), ("b", 5), ("c", 7), ("a", 1)):
    ...     top.add(name, chars)
    >>> top.most(5), top.others
    ([('a', (10, 2))], (12, 2))
    """

    def __init__(self, limit: int = _MAX_NAMES) -> None:
        self._limit = limit
        self._counts: dict[str, tuple[int, ...]] = {}
        self.others: tuple[int, ...] = ()

    def add(self, name: str, *amounts: int) -> None:
        """Add amounts to a name's, and 1 to the last of them, which counts how often that happened."""
        self._counts[name] = _sum(self._counts.get(name, ()), (*amounts, 1))
        if len(self._counts) > self._limit:
            for other, counts in self.most(len(self._counts))[self._limit // 2 :]:
                self.others = _sum(self.others, counts)
                del self._counts[other]

    def most(self, limit: int = _ROWS) -> list[tuple[str, tuple[int, ...]]]:
        """Return the names with the greatest first amounts, and all their amounts."""
        return heapq.nsmallest(limit, self._counts.items(), key=lambda item: (*(-count for count in item[1]), item[0]))

    def __len__(self) -> int:
        return len(self._counts)


def _sum(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(one or (0,) * len(other), other, strict=True))


class _Drawn(NamedTuple):
    """A document that may become a sample; the least come first."""

    rank: int
    parent: str
    size: int


class _Draw:
    """Draws documents at random for each group, the same ones whatever the order of the records.

    The rank of a document is a digest of its name, and those of the lowest rank are drawn: all parts of a document
    have the same rank, wherever they stand.

    Args:
        samples: how many for each group.
        seed: another one draws others.
    """

    def __init__(self, samples: int, seed: int) -> None:
        self._samples = samples
        self._seed = seed
        self._heaps: dict[str, list[tuple[int, _Drawn]]] = {}
        self._members: dict[str, set[str]] = {}

    def add(self, parent: str, groups: Iterable[str], size: int) -> None:
        digest = blake2b(f"{self._seed} {parent}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        drawn = _Drawn(int.from_bytes(digest, "big"), parent, size)
        for group in groups if self._samples else ():
            heap, members = self._heaps.setdefault(group, []), self._members.setdefault(group, set())
            if parent in members or (len(heap) == self._samples and drawn.rank >= -heap[0][0]):
                continue
            members.add(parent)
            if len(heap) < self._samples:
                heapq.heappush(heap, (-drawn.rank, drawn))
            else:
                members.discard(heapq.heappushpop(heap, (-drawn.rank, drawn))[1].parent)

    def chosen(self, budget: int) -> dict[str, int]:
        """Return the documents that have room in so many bytes, with their order: the groups take turns."""
        lists = [sorted(drawn for _, drawn in self._heaps[group]) for group in sorted(self._heaps)]
        chosen: dict[str, int] = {}
        for turn in range(self._samples):
            for drawn in (one[turn] for one in lists if turn < len(one)):
                if drawn.parent not in chosen and drawn.size <= budget:
                    chosen[drawn.parent] = len(chosen)
                    budget -= drawn.size
        return chosen


@dataclass
class _Counts:
    """What the records of a run come to; amounts are in code points, then in spans or parts."""

    documents: int = 0
    split: Counter[int] = field(default_factory=Counter)
    mixes: Top = field(default_factory=Top)
    translations: int = 0
    categories: Top = field(default_factory=Top)
    causes: Top = field(default_factory=Top)
    hosts: Top = field(default_factory=Top)
    removed_langs: Top = field(default_factory=Top)
    kept_langs: Top = field(default_factory=Top)
    texts: Top = field(default_factory=Top)
    labels: dict[str, list[int]] = field(default_factory=dict)
    scores: dict[str, list[int]] = field(default_factory=dict)
    dropped: Top = field(default_factory=Top)
    groups: Counter[str] = field(default_factory=Counter)

    def add(self, record: Mapping[str, Any]) -> None:
        removed = sum(span["end"] - span["start"] for span in record["removed"])
        lang, siblings = record["lang"], record["siblings"]
        # Each document has one record that is the first of all, wherever its records stand.
        is_first = all(record["id"] < sibling for sibling in siblings)
        self.documents += is_first
        if is_first:
            self.split[len(siblings) + 1] += 1
        if is_first and siblings:
            self.mixes.add(" + ".join(sorted({lang, *map(_lang_in, siblings)})))
        self.translations += record["translation_of"] is not None
        self.kept_langs.add(lang, len(record["text"]))
        self.hosts.add(_host(record["url"] or ""), removed, record["parent_chars"] * is_first, int(is_first))
        for span in record["removed"]:
            chars = span["end"] - span["start"]
            self.categories.add(span["category"] or span["label"], chars)
            self.removed_langs.add(span["lang"], chars)
            text = " ".join(span.get("text", "").split())
            if any(map(str.isalnum, text)):
                self.texts.add(f"{text[:_KEY_CHARS]}…" if len(text) > _KEY_CHARS else text)
        for spans, column in ((record["removed"], 0), (record["flags"], 1)):
            for span in spans:
                chars = span["end"] - span["start"]
                # One model decides on several labels.
                self.causes.add(f"{span['label']} {span['source']}", chars)
                counts = self.labels.setdefault(span["label"], [0, 0, 0, 0])
                counts[column * 2] += 1
                counts[column * 2 + 1] += chars
                bins = self.scores.setdefault(span["label"], [0] * _BINS)
                bins[min(_BINS - 1, max(0, int(span["score"] * _BINS)))] += 1
        if not record["verdict"]["keep"]:
            for reason in record["verdict"]["reasons"]:
                self.dropped.add(_NUMBER.sub("N", reason))


def _lang_in(name: str) -> str:
    """Return the language that the id of a part ends in.

    >>> _lang_in("a#b#zh-Hant"), _lang_in("a#es~2")
    ('zh-Hant', 'es')
    """
    return re.sub(r"~\d+$", "", name.rpartition("#")[2])


@lru_cache(maxsize=4096)
def _host(url: str) -> str:
    from .profiles import host_of

    return host_of(Document("", url=url)) or _NO_HOST


def _groups(record: Mapping[str, Any]) -> set[str]:
    """Return what a record's document can be looked for as."""
    removed, flags = record["removed"], record["flags"]
    found = {f"removed: {_name(span['category'] or span['label'])}" for span in removed}
    found |= {f"flagged: {_name(span['label'])}" for span in flags}
    if sum(span["end"] - span["start"] for span in removed) > _MOST * record["parent_chars"]:
        found.add("over half removed")
    if record["siblings"]:
        found.add("several languages")
    if record["translation_of"] is not None:
        found.add("translations")
    if record.get("review"):
        found.add("to look at")
    if not record["verdict"]["keep"]:
        found.add("dropped")
    return found or {"nothing marked"}


def _name(label: str) -> str:
    names: Mapping[Any, str] = LABEL_NAMES  # categories have no other name
    return names.get(label, label)


def _check(record: Mapping[str, Any]) -> None:
    """Look at all that is used of a record, so that one that somebody altered is found before it is counted."""
    for name in ("id", "parent", "lang", "text"):
        record[name] + ""
    for name in ("removed", "flags", "review"):
        for span in record.get(name, ()) if name == "review" else record[name]:
            for key in ("label", "lang", "source", *(("category",) if name == "removed" else ())):
                span[key] + ""
            if not 0 <= span["score"] <= 1 or not 0 <= span["start"] <= span["end"] <= record["parent_chars"]:
                raise ValueError("a score or an offset that cannot be")
            "".join(span["reasons"]) + span.get("text", "")
    if sum(end - start for start, end in record["kept"]) != len(record["text"]):
        raise ValueError("kept slices and text differ")
    "".join(record["verdict"]["reasons"]) + "".join(record["siblings"]) + (record["url"] or "")
    record["verdict"]["keep"], record["translation_of"], record["translation_score"], record["source"]["path"]


def _records(paths: Iterable[Path], tell: Callable[[InputError], None]) -> Iterator[dict[str, Any]]:
    """Yield the records of all files, in whatever format; tell of those that cannot be used."""
    for path in paths:
        if path.name.endswith(tuple(ENDINGS.values())):
            found: Iterable[dict[str, Any] | InputError] = exported_records(path)
        else:
            found = (record for _, record in read_records(path))
        for number, record in enumerate(found, 1):
            if isinstance(record, InputError):
                tell(record)
                continue
            try:
                _check(record)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                reason = f"not an output record ({type(error).__name__}: {error})"
                tell(InputError(reason, path=str(path), line=number, remedy="run textsieve run again"))
            else:
                yield record


class ShownPiece(NamedTuple):
    """A stretch of a document as a sample shows it.

    Attributes:
        start, end: code points of the document's text, half-open.
        lang: as in the records.
        text: the stretch; empty where it is missing.
        kind: `kept`, `flagged`, `review`, `removed` or `missing`: left out by --no-removed-text, or standing in a
            record that is not there.
        mark: the flag, removal or span to look at, as in the records.
    """

    start: int
    end: int
    lang: str
    text: str
    kind: str
    mark: Mapping[str, Any] | None = None


def shown_pieces(
    records: Sequence[Mapping[str, Any]],
) -> list[ShownPiece]:
    r"""Return the whole text of a document in order.

    Args:
        records: all records with the same `parent`.

    >>> span = {"start": 2, "end": 4, "label": "spam", "lang": "en"}
    >>> record = {"text": "aabb\n", "kept": [[0, 5]], "lang": "en", "flags": [span], "removed": [], "parent_chars": 7}
    >>> [(piece.text, piece.kind) for piece in shown_pieces([record])]
    [('aa', 'kept'), ('bb', 'flagged'), ('\n', 'kept'), ('', 'missing')]
    """
    pieces: list[ShownPiece] = []
    for record in records:
        marks = [(span, "flagged") for span in record["flags"]]
        marks += [(span, "review") for span in record.get("review", ())]
        marks.sort(key=lambda mark: mark[0]["start"])
        at = 0
        for start, end in record["kept"]:
            text = record["text"][at : at + end - start]
            at += end - start
            place = start
            for span, kind in marks:
                low, high = max(place, span["start"]), min(end, span["end"])
                if low < high:
                    pieces.append(ShownPiece(place, low, record["lang"], text[place - start : low - start], "kept"))
                    pieces.append(ShownPiece(low, high, span["lang"], text[low - start : high - start], kind, span))
                    place = high
            pieces.append(ShownPiece(place, end, record["lang"], text[place - start :], "kept"))
        for span in record["removed"]:
            kind = "removed" if "text" in span else "missing"
            pieces.append(ShownPiece(span["start"], span["end"], span["lang"], span.get("text", ""), kind, span))
    shown = []
    at = 0
    for piece in sorted(pieces, key=lambda piece: piece[:2]):
        if piece.start > at:
            shown.append(ShownPiece(at, piece.start, "und", "", "missing"))
        # Two parts may share a line break, so a piece may begin before the last one ended.
        if piece.end > (begin := max(piece.start, at)):
            shown.append(piece._replace(start=begin, text=piece.text[begin - piece.start :]))
            at = piece.end
    if at < (chars := records[0]["parent_chars"]):
        shown.append(ShownPiece(at, chars, "und", "", "missing"))
    return shown


class _Samples:
    """The documents that are shown in full, as small JSON: what they have in common is written once."""

    def __init__(self) -> None:
        self.marks: dict[str, int] = {}
        self.groups: dict[str, int] = {}

    def document(self, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return a document as the page reads it."""
        first = records[0]
        source = first["source"]
        langs = {record["id"]: record["lang"] for record in records}
        groups = set().union(*(record["groups"] for record in records))
        groups -= {"nothing marked"} if len(groups) > 1 else set()
        pieces: list[list[Any]] = []
        for start, end, lang, text, kind, mark in shown_pieces(records):
            if start >= _MAX_CHARS:
                break
            end = min(end, _MAX_CHARS)
            piece: list[Any] = [start, end, lang, visible(text[: end - start]), kind]
            if mark is not None:
                facts = (
                    _name(mark["label"]),
                    mark.get("category", ""),
                    visible(mark["source"]),
                    visible("; ".join(mark["reasons"])),
                )
                key = json.dumps(facts, ensure_ascii=False)
                piece += [self.marks.setdefault(key, len(self.marks)), mark["score"]]
            pieces.append(piece)
        if first["parent_chars"] > _MAX_CHARS:
            pieces.append([_MAX_CHARS, first["parent_chars"], "", "", "cut"])
        return {
            "id": visible(first["parent"]),
            "url": visible(first["url"] or ""),
            "host": visible(_host(first["url"] or "")),
            "place": visible(source["path"] if source.get("line") is None else f"{source['path']}:{source['line']}"),
            "chars": first["parent_chars"],
            "keep": any(record["verdict"]["keep"] for record in records),
            "why": visible("; ".join(dict.fromkeys(reason for one in records for reason in one["verdict"]["reasons"]))),
            "parts": [
                [
                    record["lang"],
                    record["chars"],
                    langs.get(record["translation_of"], ""),
                    record["verdict"]["keep"],
                ]
                for record in records
            ],
            "groups": sorted(self.groups.setdefault(group, len(self.groups)) for group in sorted(groups)),
            "pieces": pieces,
        }


def build_report(
    folder: Path,
    *,
    tell: Callable[[InputError], None],
    log: Path | None = None,
    samples: int = 300,
    seed: int = 0,
    name: str = "",
) -> bytes:
    """Return the page about a finished run; the same results give the same bytes.

    Args:
        folder: what `textsieve run` wrote.
        tell: told each line of the results that cannot be used; the page leaves it out.
        log: what `textsieve run --log-json` wrote, for the slowest documents.
        samples: documents of each kind that are shown in full, at most; fewer if they are long.
        seed: another one draws other samples.
        name: what the page calls the run, by default as the folder.

    Raises:
        UsageError: the folder holds no finished run, or the log is none.
    """
    summary = _read_summary(folder)
    slowest = None if log is None else _read_slowest(log)
    paths = record_files(folder)
    if not paths:
        raise UsageError(f"{folder / DOCUMENTS}: not found; name a folder that textsieve run wrote")
    counts, draw = _Counts(), _Draw(samples, seed)
    unread = 0

    def count_and_tell(error: InputError) -> None:
        nonlocal unread
        unread += 1
        tell(error)

    for record in _records(paths, count_and_tell):
        counts.add(record)
        groups = _groups(record)
        counts.groups.update(groups)
        chars = min(_MAX_CHARS, record["parent_chars"])
        wide = len(record["text"].encode("utf-8", "replace")) / max(1, len(record["text"]))
        draw.add(record["parent"], groups, int(chars * wide) + 500)
    documents, common = _draw_samples(paths, draw.chosen(_MAX_BYTES))
    rejected = _read_rejected(folder / REJECTED, samples, seed, count_and_tell)
    data = {
        **common,
        "documents": documents,
        "totals": dict(sorted(counts.groups.items())) if len(documents) < counts.documents else {},
    }
    return _page(
        {
            "version": escape(__version__),
            "sections": "\n".join(
                section
                for section in _sections(summary, counts, rejected, slowest, unread, name or folder.resolve().name)
                if section
            ),
            "data": _script_json(data),
        }
    )


def _head(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a sample shows of a record: a document may be a thousand times as long."""
    kept = [[start, min(end, _MAX_CHARS)] for start, end in record["kept"] if start < _MAX_CHARS]
    removed = [
        {**span, "text": span["text"][:_MAX_CHARS]} if "text" in span else span
        for span in record["removed"]
        if span["start"] < _MAX_CHARS
    ]
    marks = {
        name: [span for span in record.get(name, ()) if span["start"] < _MAX_CHARS] for name in ("flags", "review")
    }
    text = record["text"][: sum(end - start for start, end in kept)]
    facts = {"groups": _groups(record), "chars": len(record["text"]), "meta": None}
    return {**record, **facts, **marks, "kept": kept, "removed": removed, "text": text}


def _draw_samples(paths: list[Path], chosen: Mapping[str, int]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for record in _records(paths, lambda error: None):  # it has been told
        if record["parent"] in chosen:
            found.setdefault(record["parent"], []).append(_head(record))
    made = _Samples()
    documents = []
    size = 0
    for parent in sorted(found, key=lambda parent: chosen[parent]):
        document = made.document(sorted(found.pop(parent), key=lambda one: (one["kept"][:1], one["id"])))
        # What was set aside for it was a guess; a page of a few megabytes more than that must not come of it.
        size += len(_script_json(document).encode("utf-8", "replace"))
        if size > _MAX_BYTES:
            break
        documents.append(document)
    return documents, {"marks": [json.loads(mark) for mark in made.marks], "groups": list(made.groups)}


def _read_summary(folder: Path) -> dict[str, Any]:
    path = folder / SUMMARY
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; name one that textsieve run wrote")
    try:
        summary = json.loads(path.read_bytes())
        return {name: summary[name] for name in ("documents", "dropped", "rejected", "chars", "config")}
    except FileNotFoundError as error:
        raise UsageError(
            f"{path}: not found; name a folder that textsieve run wrote, or finish that run by giving it again"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not the summary of a run; run textsieve run again") from error


def _read_slowest(path: Path) -> list[tuple[str, float]]:
    ends = []
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if '"slowest"' in line:
                    ends.append(json.loads(line)["slowest"])
        return [
            (one["path"] if one["line"] is None else f"{one['path']}:{one['line']}", float(one["seconds"]))
            for one in ends[-1]
        ]
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the name") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UsageError(f"{path}: no log of a finished run; name what textsieve run --log-json wrote") from error


class _Rejected(NamedTuple):
    reasons: Top
    samples: list[dict[str, Any]]


def _read_rejected(path: Path, samples: int, seed: int, tell: Callable[[InputError], None]) -> _Rejected:
    reasons = Top()
    kept: list[tuple[int, int, dict[str, Any]]] = []
    if not path.is_file():
        return _Rejected(reasons, [])
    for offset, record in read_records(path):
        if isinstance(record, InputError):
            tell(record)
            continue
        reasons.add(_NUMBER.sub("N", str(record.get("reason"))))
        rank = int.from_bytes(blake2b(f"{seed} {offset}".encode(), digest_size=8).digest(), "big")
        (heapq.heappush if len(kept) < samples else heapq.heappushpop)(kept, (-rank, offset, record))
    return _Rejected(reasons, [record for *_, record in sorted(kept, key=lambda one: one[1])])


def _script_json(value: Any) -> str:
    r"""Return JSON that may stand in a script element, whatever its strings hold.

    >>> _script_json({"a": "</script><!--\u2028"})
    '{"a":"\\u003c/script\\u003e\\u003c!--\\u2028"}'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _page(values: Mapping[str, str]) -> bytes:
    template = _TEMPLATE.read_text(encoding="utf-8")
    hashes = {
        f"{name}_hash": _csp_hash(template.partition(f"<{name}>")[2].partition(f"</{name}>")[0])
        for name in ("style", "script")
    }
    # In one pass, so that nothing that a value holds is taken for a place to fill.
    text = _PLACEHOLDER.sub(lambda found: {**values, **hashes}[found[1]], template)
    # Half a character, which JSON can hold, is no character of UTF-8.
    return text.encode("utf-8", "replace")


def _csp_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# From here on everything returns HTML, and escapes what it is given.


def _sections(
    summary: Mapping[str, Any],
    counts: _Counts,
    rejected: _Rejected,
    slowest: list[tuple[str, float]] | None,
    unread: int,
    name: str,
) -> Iterator[str]:
    yield _overview(summary, counts, unread, name)
    yield _removed(counts)
    yield _flags(counts)
    yield _languages(counts)
    yield _set_aside(counts, rejected)
    yield _slow(slowest)


def _section(key: str, title: str, *blocks: str) -> str:
    return f'<section id="{key}" aria-labelledby="{key}-title"><h2 id="{key}-title">{title}</h2>\n' + (
        '<div class="blocks">' + "\n".join(block for block in blocks if block) + "</div></section>"
    )


def _text(text: str) -> str:
    return f'<bdi dir="auto">{escape(visible(text))}</bdi>'


def _link(text: str, **filters: str) -> str:
    from urllib.parse import urlencode

    return f'<a href="#{escape(urlencode(filters, errors="replace"))}">{_text(text)}</a>'


def _bar(value: float, most: float, kind: str) -> str:
    width = round(100 * value / most, 1) if most else 0
    return (
        f'<td class="bar" aria-hidden="true"><svg viewBox="0 0 100 8" preserveAspectRatio="none">'
        f'<rect class="{kind}" width="{width}" height="8"/></svg></td>'
    )


def _share(part: int, whole: int) -> str:
    """Return a share as people read it.

    >>> _share(1, 3), _share(1, 100_000), _share(0, 0)
    ('33.3 %', '< 0.1 %', '0 %')
    """
    percent = 100 * part / whole if whole else 0
    return "0 %" if not percent else "< 0.1 %" if percent < 0.1 else f"{percent:.1f} %"


class _Row(NamedTuple):
    """A row of a table: its name as HTML, what stands in it, and the label whose colour its bar has."""

    name: str
    cells: Sequence[int | float | str]
    label: str


def _table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[_Row],
    *,
    of: int = 0,
    note: str = "",
) -> str:
    """Return a table with a bar for the first number of each row.

    Args:
        title, note: said above it.
        columns: headings; the first is that of the rows' names.
        of: how many rows there are in all.
    """
    if not rows:
        return ""
    most = max((row.cells[0] for row in rows if not isinstance(row.cells[0], str)), default=0)
    more = f" The {len(rows):,} first of {of:,}." if of > len(rows) else ""
    head = "".join(f'<th scope="col"{" class=name" if not n else ""}>{name}</th>' for n, name in enumerate(columns))
    body = "\n".join(
        f'<tr><th scope="row" class="name">{name}</th>'
        + "".join(f"<td>{escape(cell if isinstance(cell, str) else format(cell, ','))}</td>" for cell in cells)
        + (_bar(cells[0], most, kind) if not isinstance(cells[0], str) else "")
        + "</tr>"
        for name, cells, kind in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}"><table><caption>{title}'
        f"<small>{note}{more}</small></caption>"
        f'<thead><tr>{head}<td class="bar"></td></tr></thead><tbody>\n{body}\n</tbody></table></div>'
    )


def _overview(summary: Mapping[str, Any], counts: _Counts, unread: int, name: str) -> str:
    removed = sum(row[1] for row in counts.labels.values())
    flagged = sum(row[3] for row in counts.labels.values())
    split = sum(number for parts, number in counts.split.items() if parts > 1)
    facts = [
        ("documents", f"{summary['documents']:,}", f"{summary['chars']:,} characters"),
        ("removed", _share(removed, summary["chars"]), f"{removed:,} characters"),
        ("flagged", _share(flagged, summary["chars"]), f"{flagged:,} characters, still in the text"),
        ("in several languages", f"{split:,}", f"{_share(split, counts.documents)} of the documents"),
        ("dropped", f"{summary['dropped']:,}", "documents not worth keeping"),
        ("rejected", f"{summary['rejected']:,}", "inputs that could not be used"),
    ]
    cards = "".join(
        f"<div><dt>{title}</dt><dd><b>{fact}</b> <span>{more}</span></dd></div>" for title, fact, more in facts
    )
    lines = "1 line" if unread == 1 else f"{unread:,} lines"
    warnings = [f"{lines} of the results could not be read; the page leaves that out."] if unread else []
    if counts.documents != summary["documents"]:
        warnings.append(f"The run says {summary['documents']:,} documents; the records are of {counts.documents:,}.")
    warn = "".join(f"<p><strong>{warning}</strong></p>" for warning in warnings)
    policy = "; ".join(f"{_name(label)}: {action}" for label, action in summary["config"].get("policy", {}).items())
    settings = (
        f"<p>Run {_text(name)}. Policy: {escape(policy)}. Preset: {escape(str(summary['config'].get('preset')))}.</p>"
    )
    return _section("overview", "Overview", f'<dl class="cards">{cards}</dl>', settings, warn)


def _removed(counts: _Counts) -> str:
    whole = sum(amounts[0] for _, amounts in counts.categories.most(_MAX_NAMES))
    if not whole:
        return _section("removed", "What was removed", "<p>Nothing.</p>")
    categories = [
        _Row(
            _link(_name(name), group=f"removed: {_name(name)}"),
            [chars, _share(chars, whole), spans],
            name if name in LABELS else "boilerplate",
        )
        for name, (chars, spans) in counts.categories.most()
    ]
    langs = [
        _Row(_link(name, lang=name), [chars, _share(chars, whole), spans], "boilerplate")
        for name, (chars, spans) in counts.removed_langs.most()
    ]
    hosts = [
        _Row(
            _link(name, q=name) if name != _NO_HOST else _text(name),
            [gone, _share(gone, all_), documents],
            "boilerplate",
        )
        for name, (gone, all_, documents, _) in counts.hosts.most()
        if gone and (name != _NO_HOST or len(counts.hosts) > 1)
    ]
    causes = [
        _Row(_link(cause, cause=cause), [chars, spans, _name(label)], label)
        for name, (chars, spans) in counts.causes.most(2 * _ROWS)
        for label, _, cause in [name.partition(" ")]
    ]
    texts = [_Row(_text(name), [times], "boilerplate") for name, (times,) in counts.texts.most() if times > 1]
    return _section(
        "removed",
        "What was removed",
        _table("By category", ("category", "characters", "share", "spans"), categories),
        _table("By language", ("language", "characters", "share", "spans"), langs, of=len(counts.removed_langs)),
        _table(
            "By site",
            ("site", "characters", "of the site’s text", "documents"),
            hosts,
            of=len(counts.hosts),
            note="A site that loses far more than the others is worth a look.",
        ),
        _table(
            "By cause",
            ("rule or model", "characters", "spans", "label"),
            causes,
            of=len(counts.causes),
            note="What was flagged is counted here too.",
        ),
        _table("Texts removed most often", ("text", "times"), texts),
    )


def _flags(counts: _Counts) -> str:
    rows = [
        _Row(_link(_name(label), group=f"flagged: {_name(label)}"), [spans, chars, gone], label)
        for label in LABELS
        if label in counts.labels
        for gone, _, spans, chars in [counts.labels[label]]
        if spans or label != "boilerplate"
    ]
    pictures = "".join(_histogram(label, counts.scores[label]) for label in LABELS if label in counts.scores)
    table = _table("By label", ("label", "flagged spans", "flagged characters", "removed spans"), rows)
    return _section(
        "flags",
        "Flags and scores",
        table or "<p>Nothing was flagged.</p>",
        f'<div class="figures">{pictures}</div>',
    )


def _histogram(label: str, bins: Sequence[int]) -> str:
    most = max(bins)
    step = 10
    bars = "".join(
        f'<rect class="{label}" x="{number * step + 1}" y="{round(60 - 60 * count / most, 1)}" width="{step - 2}" '
        f'height="{round(60 * count / most, 1)}"><title>{number / _BINS:.2f} to {(number + 1) / _BINS:.2f}: {count:,}'
        "</title></rect>"
        for number, count in enumerate(bins)
        if count
    )
    at = max(range(_BINS), key=lambda number: bins[number])
    where = f"from {at / _BINS:.2f} to {(at + 1) / _BINS:.2f}"
    said = f"Scores of {sum(bins):,} spans from 0 to 1; most, {most:,}, lie {where}"
    axis = "".join(
        f'<text x="{x}" y="72" text-anchor="{anchor}">{tick}</text>'
        for x, anchor, tick in ((0, "start", "0"), (100, "middle", "0.5"), (200, "end", "1"))
    )
    return (
        f"<figure><figcaption>{_name(label)}: scores of {sum(bins):,} spans, removed or flagged</figcaption>"
        f'<svg viewBox="0 -2 200 78" role="img" aria-label="{said}">{bars}'
        f'<line x1="0" x2="200" y1="60.5" y2="60.5"/>{axis}</svg></figure>'
    )


def _languages(counts: _Counts) -> str:
    parts = [
        _Row(_link(name, lang=name), [chars, times], "content") for name, (chars, times) in counts.kept_langs.most()
    ]
    split = [_Row(f"{parts:,}", [number], "content") for parts, number in sorted(counts.split.items())]
    mixes = [_Row(_text(name), [times], "content") for name, (times,) in counts.mixes.most()]
    said = f"<p>Parts that translate another part of their document: {counts.translations:,}.</p>"
    return _section(
        "languages",
        "Languages and splits",
        _table("Parts by language", ("language", "characters kept", "parts"), parts, of=len(counts.kept_langs)),
        _table("Documents by number of languages", ("languages", "documents"), split),
        _table("Languages found together", ("languages", "documents"), mixes, of=len(counts.mixes)),
        said if counts.translations else "",
    )


def _set_aside(counts: _Counts, rejected: _Rejected) -> str:
    dropped = [_Row(_text(name), [times], "low_quality") for name, (times,) in counts.dropped.most()]
    reasons = [_Row(_text(name), [times], "low_quality") for name, (times,) in rejected.reasons.most()]
    whole = sum(times for _, (times,) in rejected.reasons.most(_MAX_NAMES))
    items = "".join(
        f"<li>{_text(_place(one))}: {_text(str(one.get('reason')))}<br>{_text(str(one.get('remedy') or ''))}"
        + (f"<pre>{_text(str(one['raw'])[:_MAX_RAW_CHARS])}</pre>" if one.get("raw") else "")
        + "</li>"
        for one in rejected.samples
    )
    return _section(
        "aside",
        "Dropped and rejected",
        _table(
            "Dropped: why",
            ("reason", "parts"),
            dropped,
            note=f'<a href="#group=dropped">Read some of them</a>; they stand in {escape("dropped.*")}.',
        )
        or "<p>No document was dropped.</p>",
        _table("Rejected: why", ("reason", "inputs"), reasons) or "<p>No input was rejected.</p>",
        f"<details><summary>{len(rejected.samples):,} of {whole:,} rejected inputs</summary><ul>{items}</ul></details>"
        if items
        else "",
    )


def _place(record: Mapping[str, Any]) -> str:
    return f"{record.get('path')}" if record.get("line") is None else f"{record['path']}:{record['line']}"


def _slow(slowest: list[tuple[str, float]] | None) -> str:
    if slowest is None:
        said = (
            "<p>Results do not say how long they took. Run with <code>--log-json 2&gt; run.log</code>, and give that "
            "file to this command with <code>--log run.log</code>.</p>"
        )
        return _section("slowest", "Slowest documents", said)
    rows = [_Row(_text(place), [seconds], "content") for place, seconds in slowest]
    return _section("slowest", "Slowest documents", _table("About how long they took", ("document", "seconds"), rows))
