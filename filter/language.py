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
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, pairwise
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

# Units end here. One character class first: the regex engine then skips to the next mark quickly. A separator without a
# blank before it, as in most words with a hyphen, is none.
_MARK = re.compile(
    r"[\n\r\t.!?…。！？।॥۔؟—–―|/·•~-](?:(?<=[\n\r\t.!?…。！？।॥۔؟])|(?<=\s[—–―|/·•~-]))"
    r"[.!?…。！？।॥۔؟—–―|/·•~\"”’»)\]」』）-]*"
)
_SENTENCE_ENDS = frozenset(".!?…。！？।॥۔؟")
_CLOSED_ENDS = frozenset("。！？।॥۔؟")  # no blank need follow
_SEPARATOR_AHEAD = re.compile(r"[—–―|/·•~-]{1,3}\s")
_BLANKS = re.compile(r"\s*")
_MIN_SENTENCE_CHARS = 20
_MIN_LETTERS = 4  # fewer tell nothing
_MAX_UNIT_CHARS = 500
_MAX_READ_CHARS = 120  # more of a unit makes it no surer
_MIN_PATTERN_LINES = 3
_MIN_ODD_LETTERS = 25
_ODD_WEIGHT = np.float32(2)  # a line in another script is in another language, even if nobody can say in which
_MAX_UNITS = 20_000  # of a text, judged together
_IN_TITLE = "title"  # a mark
_GROUP_UNITS = 4_096  # of several texts, scored together

# Addresses, code and markup are in no language. Every repetition is bounded, so that hostile text costs linear time.
_FOREIGN = re.compile(
    r"(?:https?://|www\.)\S+|[\w.+-]{1,64}@[\w-]{1,63}\.\w\S*|\]\([^)\n]{0,300}\)|`[^`\n]{1,200}`|<[^>\n]{1,80}>"
    r"|@\w+|\w{1,63}(?:\.\w{1,63}){1,9}/\S*"
)
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
_SAMPLE_CHARS = 700
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
        in_title: the same behind a separator of the first line, in a text of several languages.
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
    in_title: float = 0.7
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


class _Units(NamedTuple):
    """Stretches of a text judged at once, as columns: `[start, end)` without the blanks and separator that follow."""

    starts: list[int]
    ends: list[int]
    kinds: list[int]  # what stands before it: LINE, SEPARATOR or SENTENCE
    marks: list[str]

    def take(self, rows: slice) -> _Units:
        return _Units(self.starts[rows], self.ends[rows], self.kinds[rows], self.marks[rows])


_Piece = tuple[int, int, int, str]
"""A unit with its language, `zxx` where it has none: start, end, kind, tag."""


class _Evidence(NamedTuple):
    """What is known of units: rows are units, columns of `weights` languages.

    Attributes:
        weights: log-likelihood ratios to the unit's best language; 0 without enough letters.
        letters: of the main script; an East Asian one counts as three.
        scripts: 1 where nearly all letters are Latin, -1 where nearly none is, else 0.
    """

    languages: tuple[str, ...]
    weights: _Floats
    letters: npt.NDArray[np.int64]
    scripts: npt.NDArray[np.int64]
    kinds: Sequence[int]
    marks: Sequence[str]
    texts: Sequence[str]

    def take(self, rows: Sequence[int]) -> _Evidence:
        kinds = [self.kinds[row] for row in rows]
        marks, texts = ([column[row] for row in rows] for column in (self.marks, self.texts))
        return _Evidence(
            self.languages, self.weights[rows], self.letters[rows], self.scripts[rows], kinds, marks, texts
        )


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
    for start, _, _, lang in _pieces([text], [()], _Choice(detector))[0]:
        if not starts:
            starts.append((0, lang))
        elif starts[-1][1] == NO_LANGUAGE:
            starts[-1] = (starts[-1][0], lang)
        elif lang not in (NO_LANGUAGE, starts[-1][1]):
            starts.append((start, lang))
    starts = starts or [(0, NO_LANGUAGE)]
    ends = [*(start for start, _ in starts[1:]), len(text)]
    return [(start, end, lang) for (start, lang), end in zip(starts, ends, strict=True) if end > start]


def split_languages(documents: Sequence[Document], config: Config) -> list[Document]:
    """Return the documents with a language on every span, and spans cut at language borders inside a line.

    Where a line is cut at a separator, the separator becomes a span of its own: boilerplate, in no language.
    Boilerplate gets its language too, but has no say in which languages the content is in.

    Raises:
        ConfigError: a list of languages in the config has one that the detector does not know.
    """
    for option in ("keep_languages", "drop_languages"):
        wanted = [name for name in getattr(config, option) if name not in (UNDETERMINED, NO_LANGUAGE)]
        _checked(wanted, config.detector, option)
    removed = [[(s.start, s.end) for s in document.spans if s.label == "boilerplate"] for document in documents]
    choice = _Choice(config.detector, _checked(config.languages, config.detector, "languages"))
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
    return sum(count for char, count in chars.items() if _is_only_in(char, charset, other))


@lru_cache(maxsize=65_536)
def _is_only_in(char: str, charset: str, other: str) -> bool:
    return bool(char.encode(charset, "ignore")) and not char.encode(other, "ignore")


def _cut_spans(spans: Sequence[Span], pieces: Sequence[_Piece]) -> Iterator[Span]:
    first, count = 0, len(pieces)
    if len({lang for *_, lang in pieces}) == 1:
        lang = pieces[0][3]
        for span in spans:
            while first < count and pieces[first][1] <= span.start:
                first += 1
            is_empty = first == count or pieces[first][0] >= span.end
            yield _named(span, span.start, span.end, NO_LANGUAGE if is_empty else lang)
        return
    for span in spans:
        while first < count and pieces[first][1] <= span.start:
            first += 1
        last = first
        while last < count and pieces[last][0] < span.end:
            last += 1
        inside = [piece for piece in pieces[first:last] if piece[3] != NO_LANGUAGE]
        if len(inside) < 2:
            yield _named(span, span.start, span.end, inside[0][3] if inside else NO_LANGUAGE)
        else:
            yield from _cut_span(span, inside)


def _cut_span(span: Span, pieces: Sequence[_Piece]) -> Iterator[Span]:
    """Cut a span where the language changes between two of the pieces in it."""
    at = span.start
    for (_, before_end, _, lang), (after, _, kind, new) in pairwise(pieces):
        if lang == new:
            continue
        end = before_end if kind == SEPARATOR and span.label == "content" else after
        yield _named(span, at, end, lang)
        if end < after:
            reasons = (f"stands between {lang} and {new}",)
            source = "rule:language/separator"
            yield Span(end, after, "boilerplate", NO_LANGUAGE, 1.0, source, "metadata", reasons)
        at = after
    yield _named(span, at, span.end, pieces[-1][3])


def _named(span: Span, start: int, end: int, lang: str) -> Span:
    # Not dataclasses.replace, which takes three times as long.
    return Span(start, end, span.label, lang, span.score, span.source, span.category, span.reasons)


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
        for first in range(0, len(units.starts), _MAX_UNITS):
            window = units.take(slice(first, first + _MAX_UNITS)) if len(units.starts) > _MAX_UNITS else units
            if count + len(window.starts) > _GROUP_UNITS:
                _work_off(group, removed, choice, pieces)
                group, count = [], 0
            group.append(_Job(i, window, _spoken(text, window)))
            count += len(window.starts)
    _work_off(group, removed, choice, pieces)
    return pieces


class _Job(NamedTuple):
    """Units of one text, or of a window of it, and what a detector gets to read of them."""

    owner: int  # which text
    units: _Units
    spoken: list[str]


def _work_off(
    group: Sequence[_Job],
    removed: Sequence[Sequence[tuple[int, int]]],
    choice: _Choice,
    pieces: Sequence[list[_Piece]],
) -> None:
    """Add each job's pieces to those of its text."""
    if not group:
        return
    flat = [words for job in group for words in job.spoken]
    latin, other = detectors.letters(flat)
    for row in np.flatnonzero((latin > 0) & (other > 0)).tolist():
        flat[row] = _without_minor_script(flat[row], keeps_latin=bool(latin[row] >= other[row]))
    letters, scripts = np.maximum(latin, other), np.sign(latin - other) * (np.minimum(latin, other) * 5 < latin + other)
    flat = [words[:_MAX_READ_CHARS] for words in flat]
    languages, scores = _scores(flat, choice)
    tuning = _TUNINGS[choice.detector]
    _weigh(scores, letters, tuning)
    end = 0
    for job in group:
        start, end = end, end + len(job.spoken)
        units, rows = job.units, slice(start, end)
        evidence = _Evidence(
            languages, scores[rows], letters[rows], scripts[rows], units.kinds, units.marks, flat[rows]
        )
        _settle_han(evidence)
        tags = _decide(evidence, _outside(units.starts, removed[job.owner]), choice)
        pieces[job.owner].extend(zip(units.starts, units.ends, units.kinds, tags, strict=True))


def _coarser(units: _Units, chars: int) -> _Units:
    """Join neighbours where a long text is little but line breaks, so that time and memory stay bounded."""
    count = len(units.starts)
    step = min(-(-count // _MAX_UNITS), 8 * count // max(chars, 1))
    if step <= 1:
        return units
    firsts = units.take(slice(None, None, step))
    ends = units.ends[step - 1 :: step]
    return firsts._replace(ends=ends if len(ends) == len(firsts.starts) else [*ends, units.ends[-1]])


def _units(text: str) -> _Units:
    """Cut a text into units; nothing but blanks and separators lies between them."""
    units = _Units([], [], [], [])
    starts, ends, kinds, marks = units
    size = len(text)
    at = _end_of_blanks(text, 0)
    kind, mark = LINE, "\n"

    def close(end: int) -> None:
        nonlocal at, kind, mark
        while end > at:
            cut = end
            if end - at > _MAX_UNIT_CHARS:
                cut = text.rfind(" ", at + 1, at + _MAX_UNIT_CHARS) + 1 or at + _MAX_UNIT_CHARS
            starts.append(at)
            ends.append(cut)
            kinds.append(kind)
            marks.append(mark)
            at, kind, mark = cut, SENTENCE, "."

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
        elif first != "\t" and not (end < size and text[end].isspace()):
            continue
        follow = _end_of_blanks(text, end)
        if follow == size:
            break
        blanks = text[end:follow]
        if "\n" in blanks or "\r" in blanks:
            close(end)
            at, kind, mark = follow, LINE, "\n"
        elif not sentence and start > at:
            close(at + len(text[at:start].rstrip()))
            at, kind, mark = follow, SEPARATOR, match.group().strip()
        elif sentence and end - at >= _MIN_SENTENCE_CHARS and not _SEPARATOR_AHEAD.match(text, follow):
            close(end)
            at, kind, mark = follow, SENTENCE, "."
    close(max(at, at + len(text[at:].rstrip())))
    return units


def _end_of_blanks(text: str, at: int) -> int:
    if not text[at : at + 1].isspace():
        return at
    if not text[at + 1 : at + 2].isspace():
        return at + 1
    match = _BLANKS.match(text, at)
    return match.end() if match else at


def _spoken(text: str, units: _Units) -> list[str]:
    """Return what a detector gets to read of each unit: no addresses, code or markup, and no text all in capitals.

    An address with a label of less than a word ("via:") leaves nothing.
    """
    spoken = [text[start:end] for start, end in zip(units.starts, units.ends, strict=True)]
    if _may_be_foreign(text):
        spoken = [_without_foreign(words) if _may_be_foreign(words) else words for words in spoken]
    return [words.lower() if words.isupper() else words for words in spoken]


def _may_be_foreign(text: str) -> bool:
    # Many times faster than an expression.
    return "/" in text or "@" in text or "<" in text or "`" in text or "www." in text or "](" in text


def _without_foreign(words: str) -> str:
    words, count = _FOREIGN.subn(" ", words)
    return "" if count and len(words) < 40 and sum(map(str.isalpha, words)) < _MIN_LETTERS else words


def _without_minor_script(text: str, *, keeps_latin: bool) -> str:
    """Leave out the words of a text that are not in its main script: they are names and quotations."""
    return (_NOT_LATIN if keeps_latin else _LATIN).sub(" ", text)


def _outside(starts: Sequence[int], gaps: Sequence[tuple[int, int]]) -> list[bool]:
    """Tell of each unit whether it starts outside all the gaps, which are in order."""
    if not gaps:
        return [True] * len(starts)
    bounds = [edge for gap in gaps for edge in gap]
    outside: list[bool] = (np.searchsorted(bounds, starts, side="right") % 2 == 0).tolist()
    return outside


def _known(detector: Detector) -> tuple[str, ...]:
    return detectors.langdetect_languages() if detector == "langdetect" else detectors.naive_bayes().languages


def _checked(languages: Sequence[str], detector: Detector, option: str) -> tuple[str, ...]:
    """Return languages as the detector calls them."""
    tags = {name: detectors.tag(name.split("-")[0]) for name in languages}
    for name, tag in tags.items():
        if tag not in _known(detector):
            raise ConfigError(f"{option}: the detector does not know {name!r}; known are {', '.join(_known(detector))}")
    return tuple(sorted(set(tags.values())))


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
    tags = [NO_LANGUAGE] * len(content)
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
            if letters:
                tags[row] = names[column]
    return tags


def _label(evidence: _Evidence, known: Sequence[int], tuning: _Tuning) -> list[int]:
    """Return the column of each unit's language; all -1 where there are no letters.

    Args:
        known: columns of languages that the text has anyway.
    """
    size = len(evidence.texts)
    if not evidence.letters.any():
        return [-1] * size
    if known:
        # Nothing is lost by a wrong guess about what is taken out.
        tuning = tuning._replace(min_gain=tuning.min_gain / 2)
    odd = _in_odd_script(evidence)
    weights = evidence.weights if odd is None else evidence.weights * np.where(odd, _ODD_WEIGHT, 1)[:, None]
    chosen = list(known) or [int(weights.sum(axis=0).argmax())]
    border = _border_mark(evidence)
    mixed = bool(_bounds(weights, chosen).max() > tuning.min_gain + min(tuning.switch))
    if len(chosen) == 1:
        gain = _most_gain(evidence, weights, chosen[0], odd, tuning) if mixed or border else 0.0
        mixed = mixed and gain > tuning.min_gain
        # Two languages, one on each side of a border, gain no more than twice what one can.
        border = border if 2 * gain > tuning.min_gain else ""
        if not mixed and not border:
            return chosen * size
    words = _words(evidence.texts)
    proof = weights * _proof(words, odd, tuning)
    if mixed:
        chosen = _choose(evidence, proof, chosen, tuning)
    path: list[int] = []
    if border and len(chosen) == 1 and not known:
        path = _halves(evidence, proof, border, tuning)
        chosen = sorted(set(path)) or chosen
    if len(chosen) == 1:
        return chosen * size
    if border and len(chosen) == 2 and not path:
        path = _columns(evidence, weights, chosen, border, tuning)
        if path:
            tuning = tuning._replace(min_run_letters=1)  # a cell may be short
    return _follow(evidence, weights * _trust(words, evidence.kinds, tuning), chosen, path, tuning)


def _in_odd_script(evidence: _Evidence) -> npt.NDArray[np.bool_] | None:
    """Tell of each unit whether it is a line that is not in the main script of the text; None if there is no such."""
    scripts = evidence.scripts
    if not (scripts > 0).any() or not (scripts < 0).any():
        return None
    main = np.sign((scripts * evidence.letters).sum())
    odd = (scripts == -main) & (evidence.letters >= _MIN_ODD_LETTERS) & (np.array(evidence.kinds) == LINE)
    return np.asarray(odd) if odd.any() else None


def _weigh(scores: _Floats, letters: npt.NDArray[np.int64], tuning: _Tuning) -> None:
    """Make scores log-likelihood ratios to the best of each row, at least `-max_loss`; 0 without enough letters."""
    factor = tuning.per_unit + tuning.per_root_letters * np.sqrt(np.minimum(letters, _MAX_READ_CHARS) / 50)
    factor[letters < _MIN_LETTERS] = 0.0
    scores *= factor.astype(np.float32)[:, None]
    scores -= scores.max(axis=1, keepdims=True)
    np.maximum(scores, -tuning.max_loss, out=scores)


def _settle_han(evidence: _Evidence) -> None:
    """In a text with kana, let lines of ideographs alone (names, lists) be Japanese as well as Chinese."""
    pair = _japanese_and_chinese(evidence.languages)
    if not pair or not any(_KANA.search(text) for text in evidence.texts if not text.isascii()):
        return
    weights = evidence.weights
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
    prices = [tuning.switch[kind] for kind in evidence.kinds]
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


def _most_gain(
    evidence: _Evidence, weights: _Floats, column: int, odd: npt.NDArray[np.bool_] | None, tuning: _Tuning
) -> float:
    """Return a bound of what any language can explain better than this one, from the units alone that speak for it."""
    rows = np.flatnonzero(weights[:, column] < 0)
    if len(rows) * 3 > len(weights):
        return math.inf
    words = _words([evidence.texts[row] for row in rows.tolist()])
    proof = weights[rows] * _proof(words, None if odd is None else odd[rows], tuning, remembers=False)
    return float(_bounds(proof, [column]).max())


def _words(texts: Sequence[str]) -> list[list[str]]:
    return [_WORD.findall(text) for text in texts]


def _proof(
    units: Sequence[Sequence[str]], odd: npt.NDArray[np.bool_] | None, tuning: _Tuning, *, remembers: bool = True
) -> _Floats:
    """Return how much the words of each unit prove of its language, in [0, 1], as a column.

    Names of people, places and works, known by their capitals, tell less: they are the same in many languages, if not
    in every script. Words that occurred before prove nothing again.

    Args:
        units: the words of each.
        odd: units in a script of their own.
        remembers: if not, no word counts as one that occurred before.
    """
    weight = tuning.name_weight
    worth = _worth(units, weight)
    seen: set[str] = set()
    proof: list[float] = []
    for words in units:
        proving = sum([worth[word] for word in words if word not in seen])
        if words and words[0] not in seen and words[0][0].isupper():
            # What begins a sentence need not be a name.
            proving += len(words[0]) * (2 - weight)
        proof.append(proving / (len("".join(words)) or 1))
        if remembers:
            seen.update(words)
    column = np.minimum(np.array(proof, dtype=np.float32), 1)
    if odd is not None:
        column[odd] = 1
    return column[:, None]


def _trust(units: Sequence[Sequence[str]], kinds: Sequence[int], tuning: _Tuning) -> _Floats:
    """Return how much the words of each unit tell between languages that the document has, in [0, 1], as a column.

    Names tell less, and words on both sides of a separator nothing.
    """
    worth = _worth(units, tuning.name_weight).__getitem__
    trust: list[float] = []
    before: Sequence[str] = ()
    for kind, words in zip(kinds, units, strict=True):
        own = words
        if kind == SEPARATOR and not set(before).isdisjoint(words):
            trust[-1] = sum([worth(word) for word in before if word not in words]) / len("".join(before))
            own = [word for word in words if word not in before]
        trust.append(sum(map(worth, own)) / (len("".join(words)) or 1))
        before = words
    return np.minimum(np.array(trust, dtype=np.float32), 1)[:, None]


def _worth(units: Sequence[Sequence[str]], weight: float) -> dict[str, float]:
    """Return for each word how many letters it has, those of a name times `weight`, of others twice."""
    return {word: len(word) * (weight if word[0].isupper() else 2.0) for word in {*chain.from_iterable(units)}}


def _path_score(weights: _Floats, columns: Sequence[int], prices: Sequence[float]) -> float:
    """Return the score of the best path through the units over these languages."""
    if len(columns) == 2:
        # Much the most frequent, and half the time of it: the general case with its loops unrolled.
        one = two = 0.0
        for (gain, other), price in zip(weights[:, columns].tolist(), prices, strict=True):
            if one - price > two:
                two = one - price
            elif two - price > one:
                one = two - price
            one, two = one + gain, two + other
        return max(one, two)
    scores = [0.0] * len(columns)
    for row, price in zip(weights[:, columns].tolist(), prices, strict=True):
        floor = max(scores) - price
        scores = [(score if score > floor else floor) + gain for score, gain in zip(scores, row, strict=True)]
    return max(scores)


_Prices = list[list[float]]  # of going from the language of the row to that of the column


def _border_mark(evidence: _Evidence) -> str:
    """Return the separator that enough lines have to make a pattern of it, or nothing."""
    if evidence.kinds.count(SEPARATOR) < _MIN_PATTERN_LINES:
        return ""
    marks = Counter(mark for mark, kind in zip(evidence.marks, evidence.kinds, strict=True) if kind == SEPARATOR)
    mark, count = marks.most_common(1)[0]
    return mark if count >= _MIN_PATTERN_LINES else ""


def _halves(evidence: _Evidence, proof: _Floats, mark: str, tuning: _Tuning) -> list[int]:
    """Return the columns of units in lines "A — B" whose languages are too close to be told apart line by line.

    The separator is taken for a border: all that stands before it and all that stands behind it must be in different
    languages. Nothing is returned where there is no such pattern.
    """
    side = _behind(evidence, mark)
    left, right = proof[~side].sum(axis=0), proof[side].sum(axis=0)
    first, second = int(left.argmax()), int(right.argmax())
    gain = left[first] + right[second] - (left + right).max()
    needed = _needed_gain(evidence.languages, tuning)
    if first == second or gain < max(needed[first], needed[second]):
        return []
    return [second if half else first for half in side.tolist()]


def _behind(evidence: _Evidence, mark: str) -> npt.NDArray[np.bool_]:
    """Tell of each unit whether this separator stands before it in its line."""
    behind: list[bool] = []
    for kind, own in zip(evidence.kinds, evidence.marks, strict=True):
        behind.append(kind != LINE and (own == mark or bool(behind and behind[-1])))
    return np.array(behind)


def _columns(evidence: _Evidence, weights: _Floats, chosen: Sequence[int], mark: str, tuning: _Tuning) -> list[int]:
    """Return the columns of units in a table, one language to the left of the separator and one to the right.

    Nothing is returned where there is no such table: where this contradicts more than a few short cells.
    """
    side = _behind(evidence, mark)
    rows = weights[:, chosen]
    rows = rows - rows.max(axis=1, keepdims=True)
    gains = [float(rows[~side, one].sum() + rows[side, 1 - one].sum()) for one in (0, 1)]
    left = gains.index(max(gains))
    if max(gains) < -tuning.min_gain:
        return []
    return [chosen[1 - left if half else left] for half in side.tolist()]


def _follow(
    evidence: _Evidence, weights: _Floats, chosen: Sequence[int], path: Sequence[int], tuning: _Tuning
) -> list[int]:
    """Return the column of each unit on the best path; the prices of changes are learned from the path before.

    Args:
        path: the columns to learn the first prices from; if empty, prices start from what is usual.
    """
    rows = weights[:, chosen]
    rows = np.maximum(rows - rows.max(axis=1, keepdims=True), -tuning.max_loss)
    marks = _with_title(evidence)
    price_of = {mark: tuning.switch[kind] for mark, kind in zip(marks, evidence.kinds, strict=True)}
    if _IN_TITLE in price_of:
        price_of[_IN_TITLE] = tuning.in_title
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


def _with_title(evidence: _Evidence) -> Sequence[str]:
    """Return the marks, a separator of the first line as one of its own: it often parts a headline in two languages.

    A mark that stands in other lines too is no headline's: what it does, the lines tell together.
    """
    marks, kinds = evidence.marks, evidence.kinds
    size = next((row for row, kind in enumerate(kinds) if row and kind == LINE), len(kinds))
    own = {mark for mark, kind in zip(marks[1:size], kinds[1:size], strict=True) if kind == SEPARATOR}
    own.difference_update(marks[size:])
    return [*(_IN_TITLE if mark in own else mark for mark in marks[:size]), *marks[size:]] if own else marks


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
    if len(rows[0]) == 2:
        return _path_of_two(rows, prices)
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


def _path_of_two(rows: Sequence[Sequence[float]], prices: Sequence[_Prices]) -> list[int]:
    """The same for two states, with the loops over states unrolled: much the most frequent case."""
    one, two = rows[0]
    back: list[tuple[int, int]] = []
    for (gain, other), ((one_one, one_two), (two_one, two_two)) in zip(rows[1:], prices[1:], strict=True):
        stays, comes = one - one_one, two - two_one
        goes, waits = one - one_two, two - two_two
        back.append((int(stays < comes), int(goes < waits)))
        one = max(stays, comes) + gain
        two = max(goes, waits) + other
    state = int(one < two)
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
