"""Marks sections that are machine-written filler, spam, or too broken to use. It relabels spans and removes nothing.

Only content is judged; what the cleaner took for boilerplate is a likely border of a section. In a language that no
machine-written text was learned in, filler is not looked for, rather than guessed at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from . import section_features as sf
from .batches import batches
from .config import Config
from .document import NO_LANGUAGE, UNDETERMINED, Document, Label, Span
from .quality import find_flaws
from .section_model import FEATURES, Evidence, Found, SectionModel, stock_phrases
from .store import load_model

__all__ = ["classify_sections", "mark_sections"]

SOURCE = "model:sections"
BATCH_CHARS = 100_000
MAX_TEXT_CHARS = 200_000
"""A longer document is judged in pieces of this size, cut between lines."""


def classify_sections(documents: Sequence[Document], config: Config) -> list[Document]:
    """Return the documents with machine-written filler, spam and broken text labelled as such."""
    return mark_sections(documents, _model(), review=config.review)


@lru_cache(maxsize=1)
def _model() -> SectionModel:
    model = load_model("sections")
    return SectionModel.from_arrays(model.arrays, model.header)


class Piece(NamedTuple):
    """Some content spans of one document, as lines of a text of their own.

    Attributes:
        document: number of the document.
        spans: number of the span that each line of the text came from.
        text: the spans' text, one per line.
        borders: lines that something else stood before: another language, or what the cleaner marked.
    """

    document: int
    spans: list[int]
    text: str
    borders: list[int]


def mark_sections(documents: Sequence[Document], model: SectionModel, *, review: bool = False) -> list[Document]:
    """Return the documents as `classify_sections` does, with a given model; `review` as in Config.

    Every part of the text is judged by itself: filler among the content of one language, spam among all content.
    """
    marks: list[dict[int, Span]] = [{} for _ in documents]
    weak: list[dict[int, Span]] | None = [{} for _ in documents] if review else None
    done: set[int] = set()
    for pieces in _batches(_pieces(documents, by_language=False)):
        _mark_broken(documents, pieces, marks)
        _mark_offers(documents, pieces, marks, weak, model)
        # A long document has pieces in several batches; its languages are gone through once.
        numbers = [number for number in dict.fromkeys(piece.document for piece in pieces) if number not in done]
        done.update(numbers)
        # An offer beside filler would hide it: what is marked by now is no content any more.
        content = [_relabelled(documents[number], marks[number]) for number in numbers]
        for lang in model.evidence:
            found = _pieces(content, by_language=True, lang=lang)
            for part in _batches(piece._replace(document=numbers[piece.document]) for piece in found):
                _mark_padding(documents, part, marks, weak, model, lang)
    if weak is not None:
        documents = [
            replace(document, review=tuple(span for i, span in sorted(found.items()) if i not in marked))
            for document, found, marked in zip(documents, weak, marks, strict=True)
        ]
    return [_relabelled(document, marked) for document, marked in zip(documents, marks, strict=True)]


def _relabelled(document: Document, marked: dict[int, Span]) -> Document:
    if not marked:
        return document
    return document.with_spans(marked.get(i, span) for i, span in enumerate(document.spans))


def _mark_offers(
    documents: Sequence[Document],
    pieces: Sequence[Piece],
    marks: list[dict[int, Span]],
    weak: list[dict[int, Span]] | None,
    model: SectionModel,
) -> None:
    for found in model.find_offers([piece.text for piece in pieces]):
        target = _target(found, model.settings["offer_odds"], marks, _review_odds(model, "offers"), weak)
        if target is not None:
            piece = pieces[found.document]
            # A bare link, such as that of a source, offers nothing.
            if len(_LINK.sub(" ", _section_text(piece, found)).split()) < MIN_OFFER_WORDS:
                continue
            chance = model.chance(found.odds, "offers")
            _mark(documents, target, piece, found, "spam", chance, _offer_reasons(piece, found))


def _mark_padding(
    documents: Sequence[Document],
    pieces: Sequence[Piece],
    marks: list[dict[int, Span]],
    weak: list[dict[int, Span]] | None,
    model: SectionModel,
    lang: str,
) -> None:
    texts = [piece.text for piece in pieces]
    for found in model.candidates(texts, lang, [_model_borders(piece) for piece in pieces]):
        target = _target(found, model.settings["threshold"][lang], marks, _review_odds(model, lang), weak)
        if target is not None:
            piece = pieces[found.document]
            chance = model.chance(found.odds, "padding")
            reasons = _reasons(piece, found, model.evidence[lang])
            _mark(documents, target, piece, found, "ai_padding", chance, reasons)


def _target(
    found: Found, odds: float, marks: list[dict[int, Span]], weak_odds: float, weak: list[dict[int, Span]] | None
) -> list[dict[int, Span]] | None:
    """Return the marks that a section belongs to: flags, those for people to look at, or none."""
    if found.odds >= odds:
        return marks
    return weak if found.odds >= weak_odds else None


def _review_odds(model: SectionModel, kind: str) -> float:
    # A model learned before there was such a limit has none.
    return float(model.settings.get("review", {}).get(kind, "inf"))


def _pieces(documents: Sequence[Document], *, by_language: bool, lang: str = "") -> Iterator[Piece]:
    """Yield the content of each document, all or that in one language; text in no language joins what is before it."""
    for number, document in enumerate(documents):
        spans: list[int] = []
        lines: list[str] = []
        borders: list[int] = []
        named = (_language(span) for span in document.spans if span.label == "content")
        # Text in no language at the head goes with the first language named.
        current = next((name for name in named if name), "")
        chars, interrupted = 0, False
        for i, span in enumerate(document.spans):
            if span.label == "content":
                current = _language(span) or current
            fits = not by_language or current == lang
            text = " ".join(document.text[span.start : span.end].splitlines()).strip()
            if span.label != "content" or not fits or not text:
                interrupted = interrupted or bool(text)
                continue
            if interrupted:
                borders.append(len(lines))
                interrupted = False
            spans.append(i)
            lines.append(text)
            chars += len(text)
            if chars > MAX_TEXT_CHARS:
                yield Piece(number, spans, "\n".join(lines), borders)
                spans, lines, borders, chars = [], [], [], 0
        if lines:
            if interrupted:
                borders.append(len(lines))
            yield Piece(number, spans, "\n".join(lines), borders)


def _language(span: Span) -> str:
    return "" if span.lang in (UNDETERMINED, NO_LANGUAGE) else span.lang.split("-")[0]


def _batches(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    # Arrays that fit the processor's cache are several times faster.
    return batches(pieces, lambda piece: len(piece.text), BATCH_CHARS)


def _mark(
    documents: Sequence[Document],
    marks: list[dict[int, Span]],
    piece: Piece,
    found: Found,
    label: Label,
    score: float,
    reasons: tuple[str, ...],
    source: str = SOURCE,
) -> None:
    lines = _lines_with_words(piece.text)
    for line in lines[found.first : found.last]:
        i = piece.spans[line]
        if i not in marks[piece.document]:
            span = documents[piece.document].spans[i]
            marks[piece.document][i] = replace(
                span, label=label, score=round(score, 4), source=source, reasons=reasons, category=""
            )


@lru_cache(maxsize=256)
def _lines_with_words(text: str) -> tuple[int, ...]:
    """Return the numbers of the lines that have a token: the lines of the model."""
    tokens = sf.tokenize([text])
    lines = sf.split_lines(tokens)
    ends = np.cumsum([len(line) + 1 for line in text.split("\n")])
    return tuple(np.searchsorted(ends, tokens.start[lines.first], side="right").tolist())


def _model_borders(piece: Piece) -> list[int]:
    return np.searchsorted(_lines_with_words(piece.text), piece.borders).tolist() if piece.borders else []


# --- reasons ----------------------------------------------------------------------------------------------------------


def _section_text(piece: Piece, found: Found) -> str:
    lines = piece.text.split("\n")
    return "\n".join(lines[i] for i in _lines_with_words(piece.text)[found.first : found.last])


def _reasons(piece: Piece, found: Found, evidence: Evidence) -> tuple[str, ...]:
    """Say in words what weighed most: what stands out in the section, and the wording with the largest weights."""
    value = dict(zip(FEATURES, found.features, strict=True))
    text = _section_text(piece, found)
    words = round(float(np.exp(value["log_words"])))
    reasons = []
    phrases = [phrase for phrase, _ in Counter(stock_phrases(text)).most_common(4)]
    if len(phrases) > 1:
        reasons.append("stock phrases: " + ", ".join(f"“{phrase}”" for phrase in phrases))
    fresh = (value["new_names"] + value["new_numbers"]) * words / 100
    if fresh < 1.5:
        what = "no new names or numbers" if fresh < 0.5 else "one new name or number"
        reasons.append(f"{what} in {words} words")
    if value["known_content"] > 0.4:
        reasons.append(f"{value['known_content']:.0%} of its words stand elsewhere in the document")
    if value["sentence_variation"] < 0.3 and words > 60:
        reasons.append(
            f"sentence lengths nearly constant ({value['sentence_words']:.0f} ± {value['sentence_spread']:.0f} words)"
        )
    wording = evidence.wording(text)
    if wording:
        reasons.append("wording: " + ", ".join(f"“{phrase}”" for phrase in wording))
    if value["contrast_word"] > 0 and value["contrast_shape"] > 0:
        reasons.append("worded unlike the rest of the document")
    return tuple(reasons)


MIN_OFFER_WORDS = 6
_LINK = re.compile(r"(?:https?://|www\.)\S+")
_CUES = (
    ("links", re.compile(r"https?://\S+|www\.\S+|\b[\w-]+\.(?:com|net|org|info|shop|ru|example)\b", re.IGNORECASE)),
    ("contacts", re.compile(r"[\w.+-]+@[\w-]+\.\w+|\b(?:whatsapp|telegram|skype|viber)\b", re.IGNORECASE)),
    ("prices", re.compile(r"[$£€]\s?\d[\d,.]*|\d+\s?%", re.IGNORECASE)),
    ("hashtags", re.compile(r"#\w+")),
)


def _offer_reasons(piece: Piece, found: Found) -> tuple[str, ...]:
    text = _section_text(piece, found)
    reasons = []
    for name, pattern in _CUES:
        hits = pattern.findall(text)
        if hits:
            reasons.append(
                f"{len(hits)} {name if len(hits) > 1 else name[:-1]}: {', '.join(list(dict.fromkeys(hits))[:3])}"
            )
    commas = text.count(",") / max(1, len(text.split()))
    if commas > 0.25:
        reasons.append("a list of keywords")
    return tuple(reasons) or ("wording of offers",)


# --- broken text ------------------------------------------------------------------------------------------------------


def _mark_broken(documents: Sequence[Document], pieces: Sequence[Piece], marks: list[dict[int, Span]]) -> None:
    for piece in pieces:
        for flaw in find_flaws(piece.text):
            i = piece.spans[flaw.line]
            marks[piece.document][i] = replace(
                documents[piece.document].spans[i],
                label="low_quality",
                score=flaw.score,
                source=f"rule:quality/{flaw.rule}",
                reasons=(flaw.reason,),
                category="",
            )
