"""Marks sections that are machine-written filler, spam, or too broken to use. It relabels spans and removes nothing.

Only content is judged; what the cleaner took for boilerplate is a likely border of a section. In a language that no
machine-written text was learned in, filler is found by its stock phrases alone, rather than guessed at.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .batches import batches
from .config import Config
from .document import NO_LANGUAGE, UNDETERMINED, Document, Label, Span
from .quality import find_flaws
from .rules import Rules, load_packs
from .section_model import FEATURES, Found, Reading, SectionModel, stock_phrases
from .store import load_model

__all__ = ["Judged", "classify_sections", "mark_sections"]

SOURCE = "model:sections"
BATCH_CHARS = 100_000
MAX_TEXT_CHARS = 200_000
"""A longer document is judged in pieces of this size, cut between lines."""


def classify_sections(documents: Sequence[Document], config: Config) -> list[Document]:
    """Return the documents with machine-written filler, spam and broken text labelled as such.

    Raises:
        ConfigError: a file in `config.decisions` cannot be read.
    """
    limits = None
    if config.decisions:
        from .profiles import host_of
        from .site_limits import site_limits

        known = site_limits(config)
        limits = [known.get(host_of(document), {}) for document in documents]
    return mark_sections(documents, _model(), load_packs(config.rules), review=config.review, limits=limits)


@lru_cache(maxsize=1)
def _model() -> SectionModel:
    model = load_model("sections")
    return SectionModel.from_arrays(model.arrays, model.header)


class Piece(NamedTuple):
    """Some content spans of one document, as lines of a text of their own.

    Attributes:
        document: number of the document.
        spans: number of the span that each line came from.
        lines: the spans' text, without line breaks.
        langs: the language that each span names; empty where it names none.
        lang: the language that stands before the first line; empty at the document's head.
        follows: whether nothing but content stands between each line and the one before it.
        is_cut_off: something that is not content stands behind the last line.
    """

    document: int
    spans: list[int]
    lines: list[str]
    langs: list[str]
    lang: str
    follows: list[bool]
    is_cut_off: bool = False


class Judged(NamedTuple):
    """A stretch that may be filler, flagged or not: number of the document, language, code points, log odds."""

    document: int
    lang: str
    start: int
    end: int
    odds: float


def mark_sections(
    documents: Sequence[Document],
    model: SectionModel,
    rules: Rules | None = None,
    *,
    review: bool = False,
    limits: Sequence[Mapping[str, float]] | None = None,
    judged: list[Judged] | None = None,
) -> list[Document]:
    """Return the documents as `classify_sections` does, with a given model.

    Every part of the text is judged by itself: filler among the content of one language, spam among all content.

    Args:
        documents: cleaned, and cut by language.
        model: the model.
        rules: finds filler that is too short for the model, or in a language that it does not know; the shipped packs
            unless given.
        review: as in Config.
        limits: for each document the log odds from which filler is flagged, by language; the model's own elsewhere.
        judged: takes in every stretch that was judged.
    """
    marks: list[dict[int, Span]] = [{} for _ in documents]
    weak: list[dict[int, Span]] | None = [{} for _ in documents] if review else None
    # Arrays that fit the processor's cache are several times faster.
    for pieces in batches(_pieces(documents), lambda piece: sum(map(len, piece.lines)), BATCH_CHARS):
        _mark_broken(documents, pieces, marks)
        reading = Reading.of([piece.lines for piece in pieces])
        _mark_offers(documents, pieces, reading, marks, weak, model)
        # An offer beside filler would hide it: what is marked by now is no content any more.
        langs = [_languages(piece, marks[piece.document]) for piece in pieces]
        for lang in model.evidence:
            _mark_padding(documents, pieces, langs, reading, marks, weak, model, lang, limits, judged)
        _mark_stock_phrases(documents, pieces, marks, rules or load_packs())
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
    reading: Reading,
    marks: list[dict[int, Span]],
    weak: list[dict[int, Span]] | None,
    model: SectionModel,
) -> None:
    for found in model.find_offers(reading):
        target = _target(found, model.settings["offer_odds"], marks, _review_odds(model, "offers"), weak)
        if target is not None:
            piece, lines = pieces[found.document], reading.lines_of(found)
            text = _joined(piece, lines)
            # A bare link, such as that of a source, offers nothing.
            if len(_LINK.sub(" ", text).split()) < MIN_OFFER_WORDS:
                continue
            chance = model.chance(found.odds, "offers")
            _mark(documents, target, piece, lines, "spam", chance, _offer_reasons(text))


def _mark_padding(
    documents: Sequence[Document],
    pieces: Sequence[Piece],
    langs: Sequence[Sequence[str]],
    reading: Reading,
    marks: list[dict[int, Span]],
    weak: list[dict[int, Span]] | None,
    model: SectionModel,
    lang: str,
    limits: Sequence[Mapping[str, float]] | None,
    judged: list[Judged] | None,
) -> None:
    chosen = [(number, [name == lang for name in names]) for number, names in enumerate(langs)]
    chosen = [(number, flags) for number, flags in chosen if any(flags)]
    if not chosen:
        return
    reading = reading.select(chosen)
    borders = [_borders(pieces[number], flags) for number, flags in chosen]
    for found in model.candidates(reading, lang, borders):
        number, flags = chosen[found.document]
        piece = pieces[number]
        limit = model.settings["threshold"][lang]
        if limits is not None:
            limit = limits[piece.document].get(lang, limit)
        target = _target(found, limit, marks, _review_odds(model, lang), weak)
        if target is not None or judged is not None:
            numbers = [i for i, is_chosen in enumerate(flags) if is_chosen]
            lines = [numbers[line] for line in reading.lines_of(found)]
        if judged is not None:
            spans = documents[piece.document].spans
            start, end = spans[piece.spans[lines[0]]].start, spans[piece.spans[lines[-1]]].end
            judged.append(Judged(piece.document, lang, start, end, found.odds))
        if target is not None:
            chance = model.chance(found.odds, "padding")
            reasons = _reasons(_joined(piece, lines), found, model.evidence[lang].wording(reading, found))
            _mark(documents, target, piece, lines, "ai_padding", chance, reasons)


def _mark_stock_phrases(
    documents: Sequence[Document], pieces: Sequence[Piece], marks: list[dict[int, Span]], rules: Rules
) -> None:
    # What the model has marked by now is no content any more.
    langs = [_languages(piece, marks[piece.document]) for piece in pieces]
    parts = [piece.lines for piece in pieces]
    for lang in sorted({name for names in langs for name in names}):
        phrases = rules.phrases(lang)
        if phrases is None:
            continue
        chosen = [[i for i, name in enumerate(names) if name == lang] for names in langs]
        for piece, sections in zip(pieces, phrases.find(parts, chosen), strict=True):
            for found in sections:
                lines = range(found.first, found.last)
                _mark(documents, marks, piece, lines, "ai_padding", found.score, found.reasons, found.source)


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


def _pieces(documents: Sequence[Document]) -> Iterator[Piece]:
    """Yield the content of each document, in several pieces where it is long."""
    for number, document in enumerate(documents):
        spans: list[int] = []
        lines: list[str] = []
        langs: list[str] = []
        follows: list[bool] = []
        current = lang = ""
        chars, is_next = 0, True
        for i, span in enumerate(document.spans):
            text = " ".join(document.text[span.start : span.end].splitlines()).strip()
            if span.label != "content":
                is_next = is_next and not text
                continue
            named = _language(span)
            current = named or current
            if not text:
                continue
            spans.append(i)
            lines.append(text)
            langs.append(named)
            follows.append(is_next)
            is_next = True
            chars += len(text)
            if chars > MAX_TEXT_CHARS:
                yield Piece(number, spans, lines, langs, lang, follows)
                spans, lines, langs, lang, follows, chars = [], [], [], current, [], 0
        if lines:
            yield Piece(number, spans, lines, langs, lang, follows, not is_next)


def _languages(piece: Piece, marked: Container[int]) -> list[str]:
    """Return the language of each line; empty where its span is marked, or nothing tells.

    Text in no language at the head goes with the first language named, elsewhere with what is before it.
    """
    named = (name for i, name in zip(piece.spans, piece.langs, strict=True) if name and i not in marked)
    current = piece.lang or next(named, "")
    langs = []
    for i, name in zip(piece.spans, piece.langs, strict=True):
        if i not in marked:
            current = name or current
        langs.append("" if i in marked else current)
    return langs


def _borders(piece: Piece, flags: Sequence[bool]) -> list[int]:
    """Return which of the lines with a flag something else stands before, be it text in another language.

    Their number is one of them where something else stands behind the last.
    """
    borders = []
    count, is_next = 0, True
    for is_chosen, follows in zip(flags, piece.follows, strict=True):
        is_next = is_next and follows and is_chosen
        if is_chosen:
            if not is_next:
                borders.append(count)
            count, is_next = count + 1, True
    return borders if is_next and not piece.is_cut_off else [*borders, count]


def _language(span: Span) -> str:
    return "" if span.lang in (UNDETERMINED, NO_LANGUAGE) else span.lang.split("-")[0]


def _joined(piece: Piece, lines: Sequence[int]) -> str:
    return "\n".join([piece.lines[line] for line in lines])


def _mark(
    documents: Sequence[Document],
    marks: list[dict[int, Span]],
    piece: Piece,
    lines: Sequence[int],
    label: Label,
    score: float,
    reasons: tuple[str, ...],
    source: str = SOURCE,
) -> None:
    for line in lines:
        i = piece.spans[line]
        if i not in marks[piece.document]:
            span = documents[piece.document].spans[i]
            marks[piece.document][i] = replace(
                span, label=label, score=round(score, 4), source=source, reasons=reasons, category=""
            )


# --- reasons ----------------------------------------------------------------------------------------------------------


def _reasons(text: str, found: Found, wording: Sequence[str]) -> tuple[str, ...]:
    """Say in words what weighed most: what stands out in the section, and the wording with the largest weights."""
    value = dict(zip(FEATURES, found.features, strict=True))
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


def _offer_reasons(text: str) -> tuple[str, ...]:
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
        for flaw in find_flaws("\n".join(piece.lines)):
            i = piece.spans[flaw.line]
            marks[piece.document][i] = replace(
                documents[piece.document].spans[i],
                label="low_quality",
                score=flaw.score,
                source=f"rule:quality/{flaw.rule}",
                reasons=(flaw.reason,),
                category="",
            )
