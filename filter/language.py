"""Language identification: names the language of every span and cuts spans at language borders.

A text is cut into *units*: lines, halves of a line around a separator, sentences. A detector scores every unit over all
languages; what follows is decided for the whole document. First, which languages it has: each must explain enough text
better than the others can. Then one path through its units, on which a change of language has a price: little at a line
end or a separator, much at a sentence end, so that a name, a title or a quotation splits nothing. The prices are then
learned again from the document itself: where lines keep the form "A — B", one more such line is no surprise.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from . import detectors
from .config import Config, Detector
from .document import NO_LANGUAGE, UNDETERMINED, Document, Span
from .errors import ConfigError

__all__ = ["name_scripts", "split", "split_languages"]

_Floats = npt.NDArray[np.float32]

LINE, SEPARATOR, SENTENCE = range(3)

# Units end here. One character class first: the regex engine then skips to the next mark quickly.
_MARK = re.compile(r"[\n\r\t.!?…。！？।॥۔؟—–―|/·•~-][.!?…。！？।॥۔؟—–―|/·•~\"”’»)\]」』）-]*")
_SENTENCE_ENDS = frozenset(".!?…。！？।॥۔؟")
_CLOSED_ENDS = frozenset("。！？।॥۔؟")  # no blank need follow
_SEPARATOR_AHEAD = re.compile(r"[—–―|/·•~-]{1,3}\s")
_BLANKS = re.compile(r"\s*")
_MIN_SENTENCE_CHARS = 20
_MIN_LETTERS = 4  # fewer tell nothing
_MAX_UNIT_CHARS = 500
_MAX_READ_CHARS = 120  # more of a unit makes it no surer
_MIN_PATTERN_LINES = 3
_MAX_UNITS = 20_000

# Addresses, code and markup are in no language. Every repetition is bounded, so that hostile text costs linear time.
_FOREIGN = re.compile(
    r"(?:https?://|www\.)\S+|[\w.+-]{1,64}@[\w-]{1,63}\.\w\S*|\]\([^)\n]{0,300}\)|`[^`\n]{1,200}`|<[^>\n]{1,80}>"
    r"|@\w+|\w{1,63}(?:\.\w{1,63}){1,9}/\S*"
)
_FOREIGN_HINT = re.compile(r"[@<`/]|www\.|\]\(")
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile("[A-Za-zÀ-ɏḀ-ỿ]+")
_NOT_LATIN = re.compile("[^\\W\\d_A-Za-zÀ-ɏḀ-ỿ]+")
_KANA = re.compile("[ぁ-ヿ]")
# Characters of written Chinese that Japanese does without, besides those missing from its character set.
_CHINESE = re.compile("[你您她他们們这這那哪吗嗎吧呢啊说說没沒让讓很就也的了是在]")

# What these are written in unless the tag says something else; Chinese and Serbian say it always.
_USUAL_SCRIPT = {
    "az": "Latn", "bs": "Latn", "kk": "Cyrl", "ku": "Latn", "ky": "Cyrl", "mn": "Cyrl", "ms": "Latn", "pa": "Guru",
    "sr": "", "tg": "Cyrl", "tt": "Cyrl", "uz": "Latn", "zh": "",
}  # fmt: skip
_SCRIPTS = {
    "Arab": re.compile("[\u0620-\u064a\u066e-\u06d3\u06fa-\u06ff]"),
    "Cyrl": re.compile("[\u0400-\u052f]"),
    "Guru": re.compile("[\u0a05-\u0a39\u0a59-\u0a5e]"),
    "Latn": re.compile("[A-Za-zÀ-ɏḀ-ỿ]"),
    "Mong": re.compile("[\u1820-\u1878]"),
}
_HAN = re.compile("[\u4e00-\u9fff]")
_MIN_SCRIPT_CHARS = 3
_MIN_SCRIPT_SHARE = 0.8

# Naming a language reads this much of it; CLD2 confirms it at a glance if it sees this share of what it reads in it.
_SAMPLE_CHARS = 1000
_GLANCE_CHARS = 300
_SURE = 0.8
_OWN_BONUS = 1.3
_MIN_APPROVAL = 0.4


class _Tuning(NamedTuple):
    """What was fitted to labelled documents; scores and prices are log-likelihood ratios, in nats.

    Attributes:
        per_unit, per_root_letters: what a detector's score is multiplied by: the first, and the second times the root
            of the unit's letters over 50.
        max_loss: how much worse than the best a language can be in one unit; a unit is never worth more than this.
        switch: what a change of language costs before a LINE, behind a SEPARATOR, behind a SENTENCE.
        min_gain: what a language must explain better than all others together to be one of the text's.
        rare: how many times as much a language must explain that few detectors know.
        name_weight: what a letter in a capitalised word counts; 2 in all others, up to 1 on average.
        min_run_letters: a stretch of fewer belongs to its longer neighbour.
        adapt: how many observations the usual prices weigh against those of the document.
        max_quoted_share: a language with a smaller share of the letters, always inside one other, is quoted.
    """

    per_unit: float = 0.6
    per_root_letters: float = 0.8
    max_loss: float = 12.0
    switch: tuple[float, float, float] = (2.5, 2.0, 6.0)
    min_gain: float = 7.5
    rare: float = 2.0
    name_weight: float = 0.5
    min_run_letters: int = 8
    adapt: float = 1.0
    max_quoted_share: float = 0.1


# langdetect's probabilities are near 0 or 1 however short the text is.
_TUNINGS: dict[str, _Tuning] = {"mixture": _Tuning(), "langdetect": _Tuning(per_unit=0.0, min_gain=6.0)}


class _Choice(NamedTuple):
    """What decides, and between which languages: all that it knows, if none are named."""

    detector: Detector
    languages: tuple[str, ...] = ()


class _Unit(NamedTuple):
    """A stretch of text judged at once: `[start, end)` without the blanks and separator that follow."""

    start: int
    end: int
    kind: int  # what stands before it: LINE, SEPARATOR or SENTENCE
    mark: str


class _Piece(NamedTuple):
    """A unit with its language, `zxx` where it has none."""

    start: int
    end: int
    kind: int
    lang: str


class _Evidence(NamedTuple):
    """What is known of a document's units: rows are units, columns languages."""

    languages: tuple[str, ...]
    scores: _Floats
    letters: npt.NDArray[np.int64]  # of the main script; an East Asian one counts as three
    units: Sequence[_Unit]
    texts: Sequence[str]

    def take(self, rows: Sequence[int]) -> _Evidence:
        units = [self.units[row] for row in rows]
        texts = [self.texts[row] for row in rows]
        return _Evidence(self.languages, self.scores[rows], self.letters[rows], units, texts)


def split(text: str, *, detector: Detector = "mixture") -> list[tuple[int, int, str]]:
    r"""Return the text's partition into stretches of one language, as `(start, end, tag)` in code points.

    Blanks, separators, numbers and addresses between two stretches belong to the first of them. A text without letters
    is one stretch tagged `zxx`; an empty text has none.

    Args:
        detector: "mixture" or "langdetect".

    >>> split("The court met on Monday and rejected the appeal.\nEl tribunal se reunió el lunes y lo rechazó.\n")
    [(0, 49, 'en'), (49, 94, 'es')]
    """
    starts: list[tuple[int, str]] = []
    for piece in _pieces([text], [()], _Choice(detector))[0]:
        if not starts:
            starts.append((0, piece.lang))
        elif starts[-1][1] == NO_LANGUAGE:
            starts[-1] = (starts[-1][0], piece.lang)
        elif piece.lang not in (NO_LANGUAGE, starts[-1][1]):
            starts.append((piece.start, piece.lang))
    starts = starts or [(0, NO_LANGUAGE)]
    ends = [*(start for start, _ in starts[1:]), len(text)]
    return [(start, end, lang) for (start, lang), end in zip(starts, ends, strict=True) if end > start]


def split_languages(documents: Sequence[Document], config: Config) -> list[Document]:
    """Return the documents with a language on every span, and spans cut at language borders inside a line.

    Where a line is cut at a separator, the separator becomes a span of its own: boilerplate, in no language.
    Boilerplate gets its language too, but has no say in which languages the content is in.

    Raises:
        ConfigError: `config.languages` has one that the detector does not know.
    """
    removed = [[(s.start, s.end) for s in document.spans if s.label == "boilerplate"] for document in documents]
    choice = _Choice(config.detector, _checked(config.languages, config.detector))
    pieces = _pieces([document.text for document in documents], removed, choice)
    return [
        document.with_spans(_cut_spans(document.spans, found))
        for document, found in zip(documents, pieces, strict=True)
    ]


def name_scripts(documents: Sequence[Document], config: Config) -> list[Document]:
    """Return the documents with the script in the tags where it matters and is clear: `zh-Hant`, `sr-Latn`, `az-Cyrl`.

    Chinese and Serbian have no usual script; of other languages, only an unusual one is named.
    """
    return [_with_scripts(document) for document in documents]


def _with_scripts(document: Document) -> Document:
    texts: dict[str, list[str]] = {}
    for span in document.spans:
        if span.lang in _USUAL_SCRIPT:
            texts.setdefault(span.lang, []).append(document.text[span.start : span.end])
    scripts = {lang: _script(lang, "".join(pieces)) for lang, pieces in texts.items()}
    renamed = {lang: f"{lang}-{script}" for lang, script in scripts.items() if script not in ("", _USUAL_SCRIPT[lang])}
    if not renamed:
        return document
    return replace(
        document, spans=tuple(replace(span, lang=renamed.get(span.lang, span.lang)) for span in document.spans)
    )


def _script(lang: str, text: str) -> str:
    """Return the ISO 15924 code of a text's script, or nothing if it is not clear."""
    if lang == "zh":
        counts = {"Hans": _only_in(text, "gb2312", "big5"), "Hant": _only_in(text, "big5", "gb2312")}
    else:
        counts = {script: len(letters.findall(text)) for script, letters in _SCRIPTS.items()}
    best = max(counts, key=counts.__getitem__)
    is_clear = counts[best] >= _MIN_SCRIPT_CHARS and counts[best] >= _MIN_SCRIPT_SHARE * sum(counts.values())
    return best if is_clear else ""


def _only_in(text: str, charset: str, other: str) -> int:
    """Return how many characters one of the two character sets for Chinese has and the other has not."""
    chars = Counter(_HAN.findall(text))
    return sum(count for c, count in chars.items() if c.encode(charset, "ignore") and not c.encode(other, "ignore"))


def _cut_spans(spans: Sequence[Span], pieces: Sequence[_Piece]) -> Iterator[Span]:
    first = 0
    for span in spans:
        while first < len(pieces) and pieces[first].end <= span.start:
            first += 1
        last = first
        while last < len(pieces) and pieces[last].start < span.end:
            last += 1
        yield from _cut_span(span, [piece for piece in pieces[first:last] if piece.lang != NO_LANGUAGE])


def _cut_span(span: Span, pieces: Sequence[_Piece]) -> Iterator[Span]:
    """Cut a span where the language changes between two of the pieces in it."""
    if not pieces:
        yield replace(span, lang=NO_LANGUAGE)
        return
    at = span.start
    for before, after in pairwise(pieces):
        if before.lang == after.lang:
            continue
        end = after.start
        if after.kind == SEPARATOR and span.label == "content":
            end = before.end
        yield replace(span, start=at, end=end, lang=before.lang)
        if end < after.start:
            reasons = (f"stands between {before.lang} and {after.lang}",)
            source = "rule:language/separator"
            yield Span(end, after.start, "boilerplate", NO_LANGUAGE, 1.0, source, "metadata", reasons)
        at = after.start
    yield replace(span, start=at, lang=pieces[-1].lang)


def _pieces(texts: Sequence[str], removed: Sequence[Sequence[tuple[int, int]]], choice: _Choice) -> list[list[_Piece]]:
    """Return the pieces of each text, in order; between them are only blanks and separators.

    Args:
        removed: per text, the stretches that are not its content; they get a language, but do not decide which ones the
            text has.
    """
    pieces: list[list[_Piece]] = [[] for _ in texts]
    group: list[_Job] = []
    count = 0
    for i, text in enumerate(map(detectors.readable, texts)):
        units = _coarser(_units(text), len(text))
        # Scores take half a kilobyte a unit: many short lines are worked off in groups, a very long text in windows.
        for first in range(0, len(units), _MAX_UNITS):
            window = units[first : first + _MAX_UNITS]
            if count + len(window) > _MAX_UNITS:
                _work_off(group, removed, choice, pieces)
                group, count = [], 0
            group.append(_Job(i, window, _spoken(text, window)))
            count += len(window)
    _work_off(group, removed, choice, pieces)
    return pieces


class _Job(NamedTuple):
    """Units of one text, or of a window of it, and what a detector gets to read of them."""

    owner: int  # which text
    units: list[_Unit]
    spoken: list[str]


def _work_off(
    group: Sequence[_Job],
    removed: Sequence[Sequence[tuple[int, int]]],
    choice: _Choice,
    pieces: Sequence[list[_Piece]],
) -> None:
    """Add each job's pieces to those of its text."""
    flat = [words for job in group for words in job.spoken]
    latin, other = detectors.letters(flat)
    for row in np.flatnonzero((latin > 0) & (other > 0)).tolist():
        flat[row] = _without_minor_script(flat[row], latin[row] >= other[row])
    letters = np.maximum(latin, other)
    flat = [words[:_MAX_READ_CHARS] for words in flat]
    languages, scores = _scores(flat, choice)
    end = 0
    for job in group:
        start, end = end, end + len(job.units)
        evidence = _Evidence(languages, scores[start:end], letters[start:end], job.units, flat[start:end])
        tags = _decide(evidence, _outside(job.units, removed[job.owner]), choice)
        pieces[job.owner].extend(_Piece(*unit[:3], lang) for unit, lang in zip(job.units, tags, strict=True))


def _coarser(units: list[_Unit], chars: int) -> list[_Unit]:
    """Join neighbours where a long text is little but line breaks, so that time and memory stay bounded."""
    step = min(-(-len(units) // _MAX_UNITS), 8 * len(units) // max(chars, 1))
    if step <= 1:
        return units
    firsts, lasts = units[::step], [*units[step - 1 :: step], units[-1]]
    return [first._replace(end=last.end) for first, last in zip(firsts, lasts, strict=False)]


def _units(text: str) -> list[_Unit]:
    """Cut a text into units; nothing but blanks and separators lies between them."""
    units: list[_Unit] = []
    size = len(text)
    at = _end_of_blanks(text, 0)
    kind, token = LINE, "\n"

    def close(end: int) -> None:
        nonlocal at, kind, token
        while end - at > _MAX_UNIT_CHARS:
            cut = text.rfind(" ", at + 1, at + _MAX_UNIT_CHARS) + 1 or at + _MAX_UNIT_CHARS
            units.append(_Unit(at, cut, kind, token))
            at, kind, token = cut, SENTENCE, "."
        if end > at:
            units.append(_Unit(at, end, kind, token))

    for match in _MARK.finditer(text):
        start, end = match.span()
        if start < at:
            continue
        first = text[start]
        sentence = first in _SENTENCE_ENDS
        if first in "\n\r":
            end = start
        elif sentence:
            if end < size and not text[end].isspace() and first not in _CLOSED_ENDS:
                continue
        elif first != "\t" and not (text[start - 1].isspace() and end < size and text[end].isspace()):
            continue
        if text[end : end + 1] == " " and not text[end + 1 : end + 2].isspace():
            follow = end + 1
        else:
            follow = _end_of_blanks(text, end)
        if follow == size:
            break
        blanks = text[end:follow]
        if "\n" in blanks or "\r" in blanks:
            close(end)
            at, kind, token = follow, LINE, "\n"
        elif not sentence and start > at:
            close(at + len(text[at:start].rstrip()))
            at, kind, token = follow, SEPARATOR, match.group().strip()
        elif sentence and end - at >= _MIN_SENTENCE_CHARS and not _SEPARATOR_AHEAD.match(text, follow):
            close(end)
            at, kind, token = follow, SENTENCE, "."
    close(max(at, at + len(text[at:].rstrip())))
    return units


def _end_of_blanks(text: str, at: int) -> int:
    if not text[at : at + 1].isspace():
        return at
    match = _BLANKS.match(text, at)
    return match.end() if match else at


def _spoken(text: str, units: Sequence[_Unit]) -> list[str]:
    """Return what a detector gets to read of each unit: no addresses, code or markup, and no text all in capitals.

    An address with a label of less than a word ("via:") leaves nothing.
    """
    masks = _FOREIGN_HINT.search(text) is not None
    spoken = []
    for unit in units:
        words = text[unit.start : unit.end]
        if masks and _FOREIGN_HINT.search(words):
            words, count = _FOREIGN.subn(" ", words)
            if count and len(words) < 40 and sum(map(str.isalpha, words)) < _MIN_LETTERS:
                words = ""
        spoken.append(words.lower() if words.isupper() else words)
    return spoken


def _without_minor_script(text: str, keeps_latin: bool) -> str:
    """Leave out the words of a text that are not in its main script: they are names and quotations."""
    return (_NOT_LATIN if keeps_latin else _LATIN).sub(" ", text)


def _outside(units: Sequence[_Unit], gaps: Sequence[tuple[int, int]]) -> list[bool]:
    """Tell of each unit whether it starts outside all the gaps, which are in order."""
    outside = []
    at = 0
    for unit in units:
        while at < len(gaps) and gaps[at][1] <= unit.start:
            at += 1
        outside.append(not (at < len(gaps) and gaps[at][0] <= unit.start))
    return outside


def _known(detector: Detector) -> tuple[str, ...]:
    return detectors.langdetect_languages() if detector == "langdetect" else detectors.naive_bayes().languages


def _checked(languages: Sequence[str], detector: Detector) -> tuple[str, ...]:
    """Return languages as the detector calls them."""
    tags = tuple(sorted({detectors.tag(name) or detectors.tag(name.split("-")[0]) for name in languages}))
    for name in tags:
        if name not in _known(detector):
            raise ConfigError(
                f"languages: the detector does not know {name!r}; known are {', '.join(_known(detector))}"
            )
    return tags


def _scores(texts: Sequence[str], choice: _Choice) -> tuple[tuple[str, ...], _Floats]:
    known = _known(choice.detector)
    scores = _langdetect_scores(texts) if choice.detector == "langdetect" else detectors.naive_bayes().scores(texts)
    if not choice.languages:
        return known, scores
    return choice.languages, scores[:, [known.index(name) for name in choice.languages]]


def _langdetect_scores(texts: Sequence[str]) -> _Floats:
    column = {name: i for i, name in enumerate(detectors.langdetect_languages())}
    floor = 0.002
    scores = np.full((len(texts), len(column)), math.log(floor), dtype=np.float32)
    for row, text in zip(scores, texts, strict=True):
        found = detectors.langdetect(text)
        for name, probability in found.items():
            row[column[name]] = math.log(max(probability, floor))
        if not found:
            row[:] = 0.0
    return scores


def _decide(evidence: _Evidence, content: Sequence[bool], choice: _Choice) -> list[str]:
    """Return the tag of each unit."""
    tags = [UNDETERMINED] * len(content)
    known: list[int] = []
    names: dict[int, str] = {}
    for wanted in (True, False):
        rows = [row for row, kept in enumerate(content) if kept == wanted]
        if not rows:
            continue
        part = evidence.take(rows) if len(rows) < len(content) else evidence
        columns = _label(part, known, _TUNINGS[choice.detector])
        known = sorted(set(columns) - {-1})
        names = _names(part, columns, choice) | names
        for row, column, letters in zip(rows, columns, part.letters.tolist(), strict=True):
            tags[row] = names[column] if letters else NO_LANGUAGE
    return tags


def _label(evidence: _Evidence, known: Sequence[int], tuning: _Tuning) -> list[int]:
    """Return the column of each unit's language; all -1 where there are no letters.

    Args:
        known: columns of languages that the text has anyway.
    """
    size = len(evidence.units)
    if not evidence.letters.any():
        return [-1] * size
    if known:
        # Nothing is lost by a wrong guess about what is taken out.
        tuning = tuning._replace(min_gain=tuning.min_gain / 2)
    weights = _weights(evidence, tuning)
    _settle_han(evidence, weights)
    chosen = list(known) or [int(weights.sum(axis=0).argmax())]
    border = _border_mark(evidence.units)
    mixed = _bounds(weights, chosen).max() > tuning.min_gain + min(tuning.switch)
    if not mixed and not border and len(chosen) == 1:
        return chosen * size
    trust, proof = _trust(evidence, tuning)
    if mixed:
        chosen = _choose(evidence, weights * proof, chosen, tuning)
    path: list[int] = []
    if border and len(chosen) == 1 and not known:
        path = _halves(evidence, weights * proof, border, tuning)
        chosen = sorted(set(path)) or chosen
    if len(chosen) == 1:
        return chosen * size
    return _follow(evidence, weights * trust, chosen, path, tuning)


def _weights(evidence: _Evidence, tuning: _Tuning) -> _Floats:
    """Return each unit's log-likelihood ratios to its best language, at least `-max_loss`; 0 without enough letters."""
    factor = tuning.per_unit + tuning.per_root_letters * np.sqrt(np.minimum(evidence.letters, _MAX_READ_CHARS) / 50)
    factor[evidence.letters < _MIN_LETTERS] = 0.0
    weights = evidence.scores * factor.astype(np.float32)[:, None]
    weights -= weights.max(axis=1, keepdims=True)
    return np.asarray(np.maximum(weights, -tuning.max_loss), dtype=np.float32)


def _settle_han(evidence: _Evidence, weights: _Floats) -> None:
    """In a text with kana, let lines of ideographs alone (names, lists) be Japanese as well as Chinese."""
    pair = _japanese_and_chinese(evidence.languages)
    if not pair or weights[:, pair].max() <= -1:
        return
    rows = np.flatnonzero((weights[:, pair] > -1).any(axis=1) & (evidence.letters > 0)).tolist()
    if not any(_KANA.search(evidence.texts[row]) for row in rows):
        return
    for row in rows:
        text = evidence.texts[row]
        if not _KANA.search(text) and not _CHINESE.search(text) and _in_japanese_set(text):
            weights[row, pair] = weights[row, pair].max()


@lru_cache(maxsize=4)
def _japanese_and_chinese(languages: tuple[str, ...]) -> list[int]:
    return [languages.index(name) for name in ("ja", "zh") if name in languages]


def _in_japanese_set(text: str) -> bool:
    try:
        text.encode("cp932")
    except UnicodeEncodeError:
        return False
    return True


def _bounds(weights: _Floats, chosen: Sequence[int]) -> _Floats:
    """Return how much each language would explain better than the chosen ones, were changing free."""
    best = weights[:, chosen].max(axis=1, keepdims=True)
    return np.asarray(np.maximum(weights - best, 0.0).sum(axis=0), dtype=np.float32)


def _choose(evidence: _Evidence, proof: _Floats, chosen: list[int], tuning: _Tuning) -> list[int]:
    """Return the languages of the text: each explains at least its `min_gain` more than the others can."""
    prices = [tuning.switch[unit.kind] for unit in evidence.units]
    needed = _needed_gain(evidence.languages, tuning)
    best = _path_score(proof, chosen, prices)
    while len(chosen) < 8:
        margins = _bounds(proof, chosen) - needed
        ranked = [c for c in np.argsort(-margins, kind="stable")[:4].tolist() if margins[c] > 0]
        tried = [(_path_score(proof, [*chosen, c], prices) - needed[c], c) for c in ranked]
        if not tried or max(tried)[0] < best:
            break
        best, added = max(tried)
        best += needed[added]
        chosen = [*chosen, added]
        for other in chosen[:-1]:
            rest = [c for c in chosen if c != other]
            without = _path_score(proof, rest, prices)
            if best - without < needed[other]:
                chosen, best = rest, without
    return chosen


@lru_cache(maxsize=4)
def _needed_gain(languages: tuple[str, ...], tuning: _Tuning) -> _Floats:
    """Return how much more than the others each language must explain: a rare one, which few detectors know, more."""
    others = detectors.fasttext_languages() & detectors.cld2_languages()
    return np.array([tuning.min_gain * (1 if name in others else tuning.rare) for name in languages], dtype=np.float32)


def _trust(evidence: _Evidence, tuning: _Tuning) -> tuple[_Floats, _Floats]:
    """Return how much the words of each unit tell of its language, in [0, 1], as two columns with a row per unit.

    Names of people, places and works, known by their capitals, tell less: they are the same in many languages. The
    first column is for telling apart languages that the document has: words on both sides of a separator tell nothing.
    The second is for proving that it has one: words that occurred before prove nothing again.
    """
    weight = tuning.name_weight
    seen: set[str] = set()
    trust: list[float] = []
    proof: list[float] = []
    before: list[str] = []
    for unit, text in zip(evidence.units, evidence.texts, strict=True):
        words = _WORD.findall(text)
        size = sum(map(len, words)) or 1
        telling = proving = 0.0
        for word in words:
            value = len(word) * (weight if word[0].isupper() else 2)
            telling += value
            if word not in seen:
                proving += value
        if words and words[0] not in seen and words[0][0].isupper():
            # What begins a sentence need not be a name.
            proving += len(words[0]) * (2 - weight)
        if unit.kind == SEPARATOR and not set(before).isdisjoint(words):
            trust[-1] = _unshared(before, set(words), weight)
            trust.append(_unshared(words, set(before), weight))
        else:
            trust.append(telling / size)
        proof.append(proving / size)
        seen.update(words)
        before = words
    both = np.minimum(np.array([trust, proof], dtype=np.float32), 1)
    return both[0, :, None], both[1, :, None]


def _unshared(words: Sequence[str], shared: Collection[str], weight: float) -> float:
    size = sum(len(word) * (weight if word[0].isupper() else 2) for word in words if word not in shared)
    return size / (sum(map(len, words)) or 1)


def _path_score(weights: _Floats, columns: Sequence[int], prices: Sequence[float]) -> float:
    """Return the score of the best path through the units over these languages."""
    scores = [0.0] * len(columns)
    for row, price in zip(weights[:, columns].tolist(), prices, strict=True):
        floor = max(scores) - price
        scores = [(score if score > floor else floor) + gain for score, gain in zip(scores, row, strict=True)]
    return max(scores)


_Prices = list[list[float]]  # of going from the language of the row to that of the column


def _border_mark(units: Sequence[_Unit]) -> str:
    """Return the separator that enough lines have to make a pattern of it, or nothing."""
    marks = [unit.mark for unit in units if unit.kind == SEPARATOR]
    if len(marks) < _MIN_PATTERN_LINES:
        return ""
    mark, count = Counter(marks).most_common(1)[0]
    return mark if count >= _MIN_PATTERN_LINES else ""


def _halves(evidence: _Evidence, proof: _Floats, mark: str, tuning: _Tuning) -> list[int]:
    """Return the columns of units in lines "A — B" whose languages are too close to be told apart line by line.

    The separator is taken for a border: all that stands before it and all that stands behind it must be in different
    languages. Nothing is returned where there is no such pattern.
    """
    behind: list[bool] = []
    for unit in evidence.units:
        behind.append(unit.kind != LINE and (unit.mark == mark or bool(behind and behind[-1])))
    side = np.array(behind)
    left, right = proof[~side].sum(axis=0), proof[side].sum(axis=0)
    first, second = int(left.argmax()), int(right.argmax())
    gain = left[first] + right[second] - (left + right).max()
    needed = _needed_gain(evidence.languages, tuning)
    if first == second or gain < max(needed[first], needed[second]):
        return []
    return [second if half else first for half in behind]


def _follow(
    evidence: _Evidence, weights: _Floats, chosen: Sequence[int], path: Sequence[int], tuning: _Tuning
) -> list[int]:
    """Return the column of each unit on the best path; the prices of changes are learned from the path before.

    Args:
        path: the columns to learn the first prices from; if empty, prices start from what is usual.
    """
    rows = weights[:, chosen]
    rows = np.maximum(rows - rows.max(axis=1, keepdims=True), -tuning.max_loss)
    marks = [unit.mark for unit in evidence.units]
    price_of = {unit.mark: tuning.switch[unit.kind] for unit in evidence.units}
    states = range(len(chosen))
    prices = {mark: [[price * (i != j) for j in states] for i in states] for mark, price in price_of.items()}
    telling = [False, *(rows.min(axis=1) < -1.0).tolist()]
    passed = [mark if both else "" for mark, both in zip(marks, map(all, pairwise(telling)), strict=True)]
    steps = [chosen.index(column) for column in path]
    for _ in range(4):
        for mark in set(price_of) - {"."} if steps else ():
            prices[mark] = _learned_prices(passed, steps, mark, len(chosen), price_of[mark], tuning)
        before, steps = steps, _path(rows.tolist(), [prices[mark] for mark in marks])
        if steps == before:
            break
    steps = _without_short_runs(steps, evidence.letters, tuning)
    return [chosen[state] for state in _without_quotations(steps, evidence.letters, tuning)]


def _learned_prices(
    passed: Sequence[str], path: Sequence[int], mark: str, count: int, price: float, tuning: _Tuning
) -> _Prices:
    """Return the price of going from each language to each at this mark, from how often the path did it.

    Args:
        passed: the mark before each unit, nothing where the unit or the one before it tells no language.
    """
    change = math.exp(-price)
    seen = [[tuning.adapt * (1.0 if i == j else change) for j in range(count)] for i in range(count)]
    for (before, after), at in zip(pairwise(path), passed[1:], strict=True):
        if at == mark:
            seen[before][after] += 1
    return [[-math.log(n / sum(row)) for n in row] for row in seen]


def _path(rows: Sequence[Sequence[float]], prices: Sequence[_Prices]) -> list[int]:
    """Return the states of the best path (Viterbi)."""
    states = range(len(rows[0]))
    scores = list(rows[0])
    back: list[list[int]] = []
    for row, price in zip(rows[1:], prices[1:], strict=True):
        came = []
        following = []
        for j in states:
            best, i = max((scores[i] - price[i][j], -i) for i in states)
            came.append(-i)
            following.append(best + row[j])
        scores = following
        back.append(came)
    state = max(states, key=scores.__getitem__)
    path = [state]
    for came in reversed(back):
        state = came[state]
        path.append(state)
    path.reverse()
    return path


def _without_short_runs(path: list[int], letters: npt.NDArray[np.int64], tuning: _Tuning) -> list[int]:
    """Give runs of too few letters to the longer neighbour."""
    starts = [0, *(i for i in range(1, len(path)) if path[i] != path[i - 1]), len(path)]
    sizes = [int(letters[a:b].sum()) for a, b in pairwise(starts)]
    labels = [path[a] for a in starts[:-1]]
    for k, size in enumerate(sizes):
        if size < tuning.min_run_letters and len(sizes) > 1:
            near = [j for j in (k - 1, k + 1) if 0 <= j < len(sizes)]
            labels[k] = labels[max(near, key=lambda j: sizes[j])]
    return [label for label, (a, b) in zip(labels, pairwise(starts), strict=True) for _ in range(b - a)]


def _without_quotations(path: list[int], letters: npt.NDArray[np.int64], tuning: _Tuning) -> list[int]:
    """Give a language of little text that only ever interrupts one other to that other: it is being quoted."""
    sizes = np.bincount(path, weights=letters)
    around: dict[int, set[int]] = {}
    edges = [-1, *path, -1]
    for before, state, after in zip(edges, path, edges[2:], strict=False):
        around.setdefault(state, set()).update({before, after} - {state})
    for state, near in around.items():
        if len(near) == 1 and -1 not in near and sizes[state] < tuning.max_quoted_share * sizes.sum():
            other = near.pop()
            path = [other if s == state else s for s in path]
    return path


def _names(evidence: _Evidence, columns: Sequence[int], choice: _Choice) -> dict[int, str]:
    """Return the tag of each language found.

    Where CLD2 confirms the detector that split the text, it is the column's own. Otherwise three detectors vote on the
    whole of what was found, each on the languages it knows: some languages only one of them has ever seen. Where they
    disagree widely, the text is left undetermined.
    """
    names: dict[int, str] = {-1: NO_LANGUAGE}
    for column in sorted(set(columns) - {-1}, key=columns.index):
        own = name = evidence.languages[column]
        if choice.detector == "mixture" and not choice.languages:
            sample = _sample(evidence, [row for row, c in enumerate(columns) if c == column])
            if detectors.cld2(sample[:_GLANCE_CHARS]).get(own, 0.0) < _SURE:
                name = _vote(sample, own)
                if name == UNDETERMINED and len(set(columns) - {-1}) > 1:
                    # Two languages that nobody can name are still two.
                    name = own
        names[column] = own if name in names.values() else name
    return names


def _sample(evidence: _Evidence, rows: Sequence[int]) -> str:
    lines: list[str] = []
    chars = 0
    for row in rows:
        lines.append(evidence.texts[row])
        chars += len(lines[-1])
        if chars > _SAMPLE_CHARS:
            break
    return "\n".join(lines)


def _vote(sample: str, own: str) -> str:
    """Return the tag that the three detectors together give a sample, `und` where they do not agree on any."""
    model = detectors.naive_bayes()
    scores = model.scores([sample])[0]
    odds = np.exp(scores - scores.max())
    odds /= odds.sum()
    first = {model.languages[column]: float(odds[column]) for column in np.flatnonzero(odds > 0.003)}
    votes = (
        (0.25, frozenset(model.languages), first),
        (0.35, detectors.fasttext_languages(), detectors.fasttext(sample)),
        # CLD2 is as sure of a headline as of an article, and wrong more often.
        (0.35 * min(1.0, len(sample) / 150), detectors.cld2_languages(), detectors.cld2(sample)),
    )

    def approval(name: str) -> tuple[float, str]:
        given = sum(weight * found.get(name, 0.0) for weight, _, found in votes)
        able = sum(weight for weight, known, _ in votes if name in known)
        # Not quite the mean of those who know the language: one alone is less to be trusted than two who agree.
        return (given / able**0.7 if able else 0.0), name

    approved, best = max(approval(name) for _, _, found in votes for name in found)
    # Where it knew the winner too, the detector that split the text had the choice, and more text to choose by.
    common = all(own in known for _, known, _ in votes)
    if common and best in model.languages and approved < _OWN_BONUS * approval(own)[0]:
        return own
    return best if approved >= _MIN_APPROVAL else UNDETERMINED
