"""Precision, recall and loss against hand-labelled spans; floors that must not be undercut."""

from __future__ import annotations

import hashlib
import json
import operator
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .config import Config
from .document import CATEGORIES, LABELS, NO_LANGUAGE, UNDETERMINED, Document, Record
from .errors import UsageError
from .pipeline import process_many

__all__ = ["Evaluation", "GoldDocument", "GoldSpan", "LabelScore", "evaluate", "read_gold"]

# What other collections call our labels.
_ALIASES = {"human": "content", "seo_tags": "spam"}


class GoldSpan(NamedTuple):
    """A hand-labelled stretch; `accept` holds labels that are as right.

    `lang` and `category` are empty where they were not labelled.
    """

    start: int
    end: int
    label: str
    lang: str
    accept: frozenset[str]
    category: str = ""


class GoldDocument(NamedTuple):
    """A text with its hand-labelled spans; what no span covers is not scored."""

    id: str
    text: str
    spans: tuple[GoldSpan, ...]
    url: str | None = None


@dataclass(frozen=True, slots=True)
class LabelScore:
    """Counts of characters for one label, and what follows from them."""

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0

    @property
    def precision(self) -> float | None:
        """Of what was given this label, the share that has it; None when nothing was."""
        return _share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float | None:
        """Of what has this label, the share that was given it; None when nothing has it."""
        return _share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; None when the label occurs on neither side."""
        return _share(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` found; shares are fractions in [0, 1], None where there was nothing to count.

    Attributes:
        documents, spans: how many were scored.
        digest: SHA-256 of the gold file, so that a figure is never compared with one from other data.
        labels: by label, counted in characters.
        loss: share of genuine (content) characters that the policy strips.
        flagged: share of genuine characters that are flagged.
        language: share of letters whose language is right, where gold names one.
        languages_right: share of documents whose content is given exactly the languages that gold names.
        spans_right: share of gold spans of which most characters have an accepted label and the right language.
        wrong: each gold span that is not right, in one line.
    """

    documents: int
    spans: int
    digest: str
    labels: Mapping[str, LabelScore]
    loss: float | None
    flagged: float | None
    language: float | None
    languages_right: float | None
    spans_right: float | None
    wrong: tuple[str, ...] = field(default=(), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, for JSON."""
        figures = {name: getattr(self, name) for name in self.__slots__ if name not in ("labels", "wrong")}
        figures["labels"] = {
            label: {"precision": score.precision, "recall": score.recall, "f1": score.f1}
            for label, score in self.labels.items()
        }
        figures["wrong"] = list(self.wrong)
        return figures

    def table(self) -> str:
        """Return the figures as a table of text."""
        rows = [f"{'label':<12} {'precision':>9} {'recall':>9} {'F1':>9} {'gold chars':>11}"]
        for label, score in self.labels.items():
            gold = score.true_positive + score.false_negative
            cells = " ".join(f"{_show(x):>9}" for x in (score.precision, score.recall, score.f1))
            rows.append(f"{label:<12} {cells} {gold:>11,}")
        rows += [
            f"{self.documents} documents, {self.spans} gold spans;"
            f" right in label and language: {_show(self.spans_right)}",
            f"genuine characters stripped: {_show(self.loss, 5)}, flagged: {_show(self.flagged, 5)}",
            f"language right: {_show(self.language)} of letters; all languages right: {_show(self.languages_right)}"
            " of documents",
        ]
        return "\n".join([*rows, *(f"wrong: {line}" for line in self.wrong[:20])])

    def under(self, floors: Mapping[str, Any]) -> list[str]:
        """Return, in words, each figure that undercuts its floor; empty when all hold.

        Args:
            floors: `digest` of the gold file and, by name, `at_least` and `at_most` values. A name is a field, or
                `<label>.precision`, `<label>.recall`, `<label>.f1`.
        """
        problems = []
        if floors.get("digest") not in (None, self.digest):
            problems.append("the gold file is not the one the floors were set on")
        for kind, fails in (("at_least", operator.lt), ("at_most", operator.gt)):
            for name, bound in floors.get(kind, {}).items():
                label, _, measure = name.partition(".")
                value = getattr(self.labels[label], measure) if measure else getattr(self, name)
                if value is None or fails(value, bound):
                    problems.append(f"{name} is {_show(value, 5)}, must be {kind.replace('_', ' ')} {bound}")
        return problems


def evaluate(gold: str | Path, config: Config | None = None) -> Evaluation:
    """Return how the analysis compares with hand-labelled documents.

    Args:
        gold: JSONL; each line has `id`, `spans` (`start`, `end` in code points, `label`, `lang`, `accept`) and `text`,
            or else its text stands in `<id>.txt` beside the file.
        config: options of the analysis.

    Raises:
        UsageError: the file cannot be read as gold.
    """
    path = Path(gold)
    documents = list(read_gold(path))
    if not documents:
        raise UsageError(f"{path}: no documents; name a JSONL file of hand-labelled ones")
    analysed = process_many((Record(id=d.id, text=d.text) for d in documents), config or Config())
    tally = _Tally()
    for gold_document, document in zip(documents, analysed, strict=True):
        tally.add(gold_document, document)
    return tally.result(hashlib.sha256(path.read_bytes()).hexdigest())


def read_gold(path: Path) -> Iterator[GoldDocument]:
    """Yield the hand-labelled documents of a JSONL file.

    Raises:
        UsageError: a line cannot be used; the message names it.
    """
    try:
        # Not splitlines(): a string of JSON may hold other line breaks than these.
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        said = str(error.strerror if isinstance(error, OSError) else error)
        raise UsageError(f"{path}: cannot be read ({said}); name a JSONL file of hand-labelled documents") from error
    hint = "each line needs id, spans with start, end and label, and text or <id>.txt beside it"
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            text = row.get("text")
            if text is None:
                # read_text would turn CRLF into LF and so shift the offsets.
                text = (path.parent / f"{row['id']}.txt").read_bytes().decode("utf-8")
            spans = tuple(_gold_span(span, len(text)) for span in row["spans"])
        except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
            said = f"no {error}" if isinstance(error, KeyError) else str(error)
            if isinstance(error, OSError):
                said = f"{error.filename}: {error.strerror}"
            raise UsageError(f"{path}:{number}: not a gold document ({said}); {hint}") from error
        url = row.get("url")
        yield GoldDocument(str(row.get("id", "")), text, spans, url if isinstance(url, str) else None)


def _gold_span(row: Mapping[str, Any], chars: int) -> GoldSpan:
    start, end = row["start"], row["end"]
    if not 0 <= start < end <= chars:
        raise ValueError(f"span [{start}, {end}) is outside the text of {chars} characters")
    labels = [_ALIASES.get(label, label) for label in (row.get("label", "content"), *row.get("accept", ()))]
    for label in labels:
        if label not in LABELS:
            raise ValueError(f"unknown label {label!r}")
    category = row.get("category") or ""
    if category and category not in CATEGORIES:
        raise ValueError(f"unknown category {category!r}")
    return GoldSpan(start, end, labels[0], row.get("lang") or "", frozenset(labels), category)


class _Tally:
    def __init__(self) -> None:
        self.documents = self.spans = self.right = self.languages_right = self.with_languages = 0
        self.genuine = self.stripped = self.flagged = self.letters = self.letters_right = 0
        self.counts: Counter[tuple[str, str]] = Counter()
        self.wrong: list[str] = []

    def add(self, gold: GoldDocument, document: Document) -> None:
        self.documents += 1
        at = 0
        for span in gold.spans:
            self.spans += 1
            while at and document.spans[at].start > span.start:
                at -= 1
            while document.spans[at].end <= span.start:
                at += 1
            labels: Counter[str] = Counter()
            langs: Counter[str] = Counter()
            for found in document.spans[at:]:
                if found.start >= span.end:
                    break
                start, end = max(span.start, found.start), min(span.end, found.end)
                label = span.label if found.label in span.accept else found.label
                labels[label] += end - start
                self.counts[span.label, label] += end - start
                langs[_base(found.lang)] += sum(map(str.isalpha, document.text[start:end])) or 1
                if span.label == "content":
                    action = document.policy.action(found.label) if found.label not in span.accept else "keep"
                    self.genuine += end - start
                    self.stripped += (end - start) * (action == "strip")
                    self.flagged += (end - start) * (action == "flag")
            label, lang = labels.most_common(1)[0][0], langs.most_common(1)[0][0]
            if span.lang and _base(span.lang) not in (NO_LANGUAGE, UNDETERMINED):
                self.letters += langs.total()
                self.letters_right += langs[_base(span.lang)]
            # A stretch without a language may be given any: it goes wherever its neighbours go.
            if label == span.label and (_base(span.lang) in ("", NO_LANGUAGE, UNDETERMINED, lang)):
                self.right += 1
            else:
                found_as = f"{label}/{lang}, gold {span.label}/{span.lang or '-'}"
                self.wrong.append(
                    f"{gold.id} [{span.start}, {span.end}) {found_as}: {gold.text[span.start : span.end][:60]!r}"
                )
        named = {_base(s.lang) for s in gold.spans if s.lang and s.label == "content"} - {NO_LANGUAGE, UNDETERMINED}
        if named:
            self.with_languages += 1
            content = (s for s in document.spans if s.label != "boilerplate")
            self.languages_right += named == {_base(s.lang) for s in content} - {NO_LANGUAGE, UNDETERMINED}

    def result(self, digest: str) -> Evaluation:
        scores: dict[str, LabelScore] = {}
        for label in LABELS:
            true_positive = self.counts[label, label]
            scores[label] = LabelScore(
                true_positive,
                sum(n for (gold, found), n in self.counts.items() if found == label != gold),
                sum(n for (gold, found), n in self.counts.items() if gold == label != found),
            )
        return Evaluation(
            documents=self.documents,
            spans=self.spans,
            digest=digest,
            labels=scores,
            loss=_share(self.stripped, self.genuine),
            flagged=_share(self.flagged, self.genuine),
            language=_share(self.letters_right, self.letters),
            languages_right=_share(self.languages_right, self.with_languages),
            spans_right=_share(self.right, self.spans),
            wrong=tuple(self.wrong),
        )


def _base(tag: str) -> str:
    return tag.partition("-")[0]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _show(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
