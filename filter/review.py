"""Reviewing a run: what people should look at first, what they decided, and rules drafted from it.

Nothing in the results is changed. Decisions stand in `review.sqlite` beside them, each one transaction, and are written
out as hand-labelled spans (`export`), which `textsieve run --decisions` and `evaluate` take. `filter.review_page` shows
all this in a browser.
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, cast

from .decisions import text_digest
from .document import LABELS, Label
from .errors import InputError, RuleError, UsageError
from .restore import restore_text
from .segment import line_bounds
from .writers import dumps, read_record, read_records, record_files

__all__ = ["JOURNAL", "Decision", "Effect", "Journal", "Mark", "Run", "draft_rule", "export", "moved", "rule_effect"]

JOURNAL = "review.sqlite"
_RULE_LIMIT = 0.5
_LEARNED = ("model:", "site:")
_WORD = re.compile(r"\S+")
_MAX_HITS = 5
_SHOWN_LINES = 8


class Mark(NamedTuple):
    """A stretch of a document that was removed, flagged or put forward for review.

    Attributes:
        parent: the document's id in the run.
        start, end: code points of its text.
        label, category, lang, score, source, reasons: as in the record.
        state: `removed`, `flagged` or `review`.
    """

    parent: str
    start: int
    end: int
    label: Label
    category: str
    lang: str
    score: float
    source: str
    reasons: tuple[str, ...]
    state: str


class Decision(NamedTuple):
    """What a person decided about a mark: the label and the borders that are right.

    Attributes:
        parent, mark_start, mark_end: the mark.
        sha256: digest of the document's text.
        start, end: code points of the text.
        label, category: what it is.
    """

    parent: str
    mark_start: int
    mark_end: int
    sha256: str
    start: int
    end: int
    label: str
    category: str


class Run:
    """The results of a run, by document, and its marks in the order in which they are worth a look.

    First come those with scores nearest to where the decision would have been another. For a model or a site profile
    that is the least score of any of its marks in this run, for a rule, which has no such limit, 0.5. Where each record
    stands and the marks are held in memory, the texts are not.

    Raises:
        UsageError: the folder holds no results, or results in another format than JSONL, or without the removed text.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = record_files(folder) if folder.is_dir() else []
        if not paths:
            raise UsageError(f"{folder}: no results; name a folder that textsieve run wrote")
        others = [path.name for path in paths if path.suffix != ".jsonl"]
        if others:
            raise UsageError(f"{folder / others[0]}: review reads JSONL; run again with --to jsonl")
        self._places: dict[str, list[tuple[Path, int]]] = {}
        marks: list[Mark] = []
        for path in paths:
            for offset, record in read_records(path):
                if isinstance(record, InputError):
                    raise UsageError(str(record))
                self._places.setdefault(str(record["parent"]), []).append((path, offset))
                marks += _marks(record)
        self.documents = len(self._places)
        limits: dict[str, float] = {}
        for mark in marks:
            # What was put forward for review is below the limit, and says nothing of where it is.
            if mark.source.startswith(_LEARNED) and mark.state != "review":
                kind = _kind(mark.source)
                limits[kind] = min(limits.get(kind, 1.0), mark.score)
        self._limits = limits
        self.queue: list[Mark] = sorted(
            marks, key=lambda mark: (round(self.distance(mark), 4), mark.parent, mark.start, mark.end)
        )
        self.text = lru_cache(maxsize=32)(self._text)

    def distance(self, mark: Mark) -> float:
        """Return how far a mark's score is from where the decision would have been another."""
        return abs(mark.score - self._limits.get(_kind(mark.source), _RULE_LIMIT))

    @property
    def parents(self) -> Iterable[str]:
        """The documents' ids, in the order of the results."""
        return self._places

    def records(self, parent: str) -> list[dict[str, Any]]:
        """Return the records of a document."""
        return [read_record(path, offset) for path, offset in self._places[parent]]

    def _text(self, parent: str) -> str:
        """Return the text of a document.

        Raises:
            InputError: the removed text was left out, or a record is missing.
        """
        return restore_text(self.records(parent))


def _kind(source: str) -> str:
    return "site" if source.startswith("site:") else source


def _marks(record: dict[str, Any]) -> Iterator[Mark]:
    for state, name in (("removed", "removed"), ("flagged", "flags"), ("review", "review")):
        marks = (
            Mark(
                str(record["parent"]),
                span["start"],
                span["end"],
                span["label"],
                span.get("category", ""),
                span["lang"],
                span["score"] or 0.0,
                span["source"],
                tuple(span["reasons"]),
                state,
            )
            for span in record.get(name, ())
        )
        yield from _joined(marks)


def _joined(marks: Iterable[Mark]) -> Iterator[Mark]:
    """Join the lines of a section: they were judged as one, and so have one score and the same reasons."""
    for _, same in groupby(marks, key=lambda mark: (mark.label, mark.source, mark.score, mark.reasons)):
        one: Mark | None = None
        for mark in same:
            if one is not None and mark.start == one.end and mark.source.startswith("model:sections"):
                one = one._replace(end=mark.end)
                continue
            if one is not None:
                yield one
            one = mark
        if one is not None:
            yield one


def moved(text: str, start: int, end: int, *, border: str, unit: str, forward: bool) -> tuple[int, int]:
    r"""Return a stretch with one border moved to where the next or the last word or line begins.

    It stays a stretch: a border that would meet the other one stays where it is.

    Args:
        text: the document's.
        start, end: code points.
        border: `start` or `end`.
        unit: `word` or `line`.
        forward: towards the end of the text.

    >>> moved("one two\nthree", 4, 8, border="start", unit="word", forward=False)
    (0, 8)
    >>> moved("one two\nthree", 4, 8, border="end", unit="line", forward=True)
    (4, 13)
    """
    if unit == "line":
        starts = [0, *(first for first, _ in line_bounds(text))]
    else:
        starts = [0, *(match.start() for match in _WORD.finditer(text))]
    starts.append(len(text))
    at = start if border == "start" else end
    beyond = [place for place in starts if (place > at if forward else place < at)]
    if not beyond:
        return start, end
    new = min(beyond) if forward else max(beyond)
    if border == "start":
        return (new, end) if new < end else (start, end)
    return (start, new) if new > start else (start, end)


# --- the journal ------------------------------------------------------------------------------------------------------

_SCHEMA = """
CREATE TABLE IF NOT EXISTS decision (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    parent TEXT NOT NULL, mark_start INTEGER NOT NULL, mark_end INTEGER NOT NULL, sha256 TEXT NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, label TEXT NOT NULL, category TEXT NOT NULL,
    at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    undone INTEGER NOT NULL DEFAULT 0
)
"""
_COLUMNS = 'parent, mark_start, mark_end, sha256, start, "end", label, category'


@dataclass
class Journal:
    """Decisions in a SQLite file; each is one transaction, and survives a crash as soon as `add` returns.

    Nothing is ever deleted: what is undone is marked so. For use by one thread at a time.

    Raises:
        UsageError: the file cannot be used as a journal.
    """

    path: Path

    def __post_init__(self) -> None:
        try:
            with ExitStack() as unfit:
                # Transactions are begun by hand; a request may come from any thread.
                file = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10)
                self._file = unfit.enter_context(closing(file))
                file.execute("PRAGMA journal_mode = WAL")
                # WAL with the usual NORMAL may lose the last transactions when the power goes.
                file.execute("PRAGMA synchronous = FULL")
                file.execute(_SCHEMA)
                unfit.pop_all()  # fit: it stays open
        except sqlite3.Error as error:
            raise UsageError(f"{self.path}: cannot be used for decisions ({error}); move it away") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def add(self, decision: Decision) -> None:
        """Store a decision; it replaces an earlier one about the same mark."""
        if decision.label not in LABELS or not 0 <= decision.start < decision.end:
            raise ValueError(f"not a decision: {decision}")
        marks = ", ".join("?" * len(decision))
        self._file.execute(f"INSERT INTO decision ({_COLUMNS}) VALUES ({marks})", decision)

    def undo(self) -> Decision | None:
        """Take the last decision back, and return it; None when there is none."""
        query = "UPDATE decision SET undone = 1 WHERE number = (SELECT max(number) FROM decision WHERE undone = 0)"
        with closing(self._file.execute(f"{query} RETURNING {_COLUMNS}")) as found:
            rows = found.fetchall()
        return Decision(*rows[0]) if rows else None

    def standing(self) -> dict[tuple[str, int, int], Decision]:
        """Return the decisions that stand, by document and borders of the mark, in the order they were made in."""
        with closing(self._file.execute(f"SELECT {_COLUMNS} FROM decision WHERE undone = 0 ORDER BY number")) as rows:
            decisions = [Decision(*row) for row in rows]
        standing: dict[tuple[str, int, int], Decision] = {}
        for decision in decisions:
            key = decision[:3]
            standing.pop(key, None)
            standing[key] = decision
        return standing


def export(run: Run, journal: Journal) -> Iterator[bytes]:
    """Yield one line of JSON per document that has decisions, as `evaluation.read_gold` reads them.

    What nobody looked at is not covered by a span, and is so not scored. Where decisions overlap, the last one counts.
    Decisions about another text than the one in the run are left out.

    Raises:
        InputError: the removed text was left out of the run.
    """
    by_parent: dict[str, list[Decision]] = {}
    for decision in journal.standing().values():
        by_parent.setdefault(decision.parent, []).append(decision)
    for parent in run.parents:
        if parent not in by_parent:
            continue
        text = run.text(parent)
        digest = text_digest(text)
        spans = _flattened([decision for decision in by_parent[parent] if decision.sha256 == digest])
        rows = [
            {
                "start": start,
                "end": start + len(text[start:end].rstrip()),
                "label": decision.label,
                "category": decision.category,
                "lang": "",
                "accept": [],
            }
            for start, end, decision in spans
            if text[start:end].strip()
        ]
        if rows:
            yield dumps({"id": parent, "url": run.records(parent)[0]["url"], "text": text, "spans": rows})


def _flattened(decisions: Sequence[Decision]) -> list[tuple[int, int, Decision]]:
    pieces: list[tuple[int, int, Decision]] = []
    for decision in decisions:
        kept = []
        for start, end, other in pieces:
            if start < decision.start:
                kept.append((start, min(end, decision.start), other))
            if end > decision.end:
                kept.append((max(start, decision.end), end, other))
        pieces = [*kept, (decision.start, decision.end, decision)]
    return sorted(pieces, key=lambda piece: piece[:2])


# --- rules ------------------------------------------------------------------------------------------------------------


class Effect(NamedTuple):
    """What a pack would change in a run: lines that are kept now and that it would mark.

    Attributes:
        documents: how many documents have such a line.
        looked_at: how many documents were looked at.
        lines: how many lines there are.
        examples: some of them, each once.
    """

    documents: int
    looked_at: int
    lines: int
    examples: tuple[str, ...]


def draft_rule(run: Run, parent: str, start: int, end: int, label: str, category: str) -> str:
    """Return a rule for packs, in TOML, that finds the lines of a stretch.

    Numbers in it stand for any number. Its `misses` is the genuine line of the document that shares most words with
    it, or is longest: a beginning, to be replaced by prose that says nearly the same.
    """
    from .folding import fold

    text = run.text(parent)
    hits = [text[start:end][first:last] for first, last in line_bounds(text[start:end])][:_MAX_HITS]
    folded = list(dict.fromkeys(fold(hit).strip() for hit in hits))
    patterns = [re.sub(r"\d+", r"\\d+", _escaped(line)) for line in folded if line]
    words = set(" ".join(folded).split())
    genuine = [line for line in _kept_lines(run, parent) if line not in hits]
    miss = max(genuine, key=lambda line: (len(words & set(fold(line).split())), len(line)), default="")
    name = re.sub(r"[^a-z0-9]+", "-", (folded or [""])[0]).strip("-")[:40].strip("-") or "line"
    facts = {"id": f"review-{name}"}
    if label != "boilerplate":
        facts["label"] = label
    else:
        facts["category"] = category or "navigation"
    rows = [f"{key} = {_quoted(value)}" for key, value in facts.items()]
    pattern = patterns[0] if len(patterns) == 1 else f"({'|'.join(patterns)})"
    rows += [
        f"pattern = {_quoted(f'^{pattern}$')}",
        f"why = {_quoted('Drafted in a review: the whole line, with any numbers. Say here what it finds.')}",
        f"hits = [{', '.join(map(_quoted, hits))}]",
        f"misses = [{_quoted(miss)}]",
    ]
    return "\n".join(["[[rule]]", *rows, ""])


def _escaped(folded: str) -> str:
    return re.sub(r"([.*+?^${}()|\[\]\\])", r"\\\1", folded)


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def rule_effect(run: Run, toml: str, *, name: str = "draft") -> Effect:
    """Return what a pack would change in a run.

    Raises:
        RuleError: the pack cannot be used, or does not find its own hits, or finds its misses.
    """
    from .rules import check, load_packs

    with tempfile.TemporaryDirectory(prefix="textsieve-") as folder:
        path = Path(folder) / f"{name}.toml"
        path.write_text(toml, encoding="utf-8")
        try:
            rules = load_packs([path], shipped=False)
            problems = check(rules)
        except RuleError as error:
            raise RuleError(str(error).replace(f"{folder}/", "")) from error
    if problems:
        raise RuleError(problems[0].replace(f"{folder}/", ""))
    documents = count = 0
    examples: dict[str, None] = {}
    for parent in run.parents:
        lines = list(_kept_lines(run, parent))
        found = [
            line for line, match in zip(lines, rules.match(lines), strict=True) if match is not None and not match.weak
        ]
        documents += bool(found)
        count += len(found)
        if len(examples) < _SHOWN_LINES:
            examples.update(dict.fromkeys(found[:_SHOWN_LINES]))
    return Effect(documents, run.documents, count, tuple(examples)[:_SHOWN_LINES])


def _kept_lines(run: Run, parent: str) -> Iterator[str]:
    """Yield the lines of a document's parts."""
    for record in run.records(parent):
        text = cast("str", record["text"])
        for start, end in line_bounds(text):
            yield text[start:end]
