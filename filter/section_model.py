"""The model behind `sections`: evidence per line, two line models, a segmentation, a judgement of what it found.

1. Weights of word and shape n-grams add up to the evidence of a line. All of it is a table look-up.
2. A first line model sets that against the neighbours and the rest of the document; most documents end here.
3. A second line model compares each line with the likely machine-written and the likely genuine lines of its document.
4. A two-state Viterbi turns its log odds into sections, and a last model judges each section as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import section_features as sf
from .section_features import Floats, Ints, Lines

__all__ = ["Evidence", "Found", "SectionModel", "Trees", "runs", "stock_phrases"]

Array = npt.NDArray[Any]
_CHUNK_ROWS = 256


@lru_cache(maxsize=1)
def _stock() -> Any:
    """Return what finds stock phrases, in bytes; in the standard library it takes as long as all the rest together."""
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    phrases = sorted(sf.STOCK_PHRASES, key=len, reverse=True)
    return re2.compile("|".join(map(re.escape, phrases)).encode(), options)


class Reading:
    """Texts as the model reads them, cut once for all that is looked for in them.

    Attributes:
        texts: the lines of each document, joined.
        tokens, lines: of all texts; a line without a token is left out.
    """

    def __init__(self, parts: Sequence[Sequence[str]], tokens: sf.Tokens, lines: Lines, numbers: Ints) -> None:
        self._parts, self._numbers = parts, numbers
        self.texts = ["\n".join(part) for part in parts]
        self.tokens, self.lines = tokens, lines

    @classmethod
    def of(cls, parts: Sequence[Sequence[str]]) -> Reading:
        """Return texts as read, each given as its lines."""
        tokens = sf.tokenize(["\n".join(part) for part in parts])
        lines = sf.split_lines(tokens)
        starts, counts = _line_starts(parts)
        at = tokens.start[lines.first] + starts[counts[:-1]][lines.document]
        return cls(parts, tokens, lines, np.searchsorted(starts, at, side="right") - 1)

    @cached_property
    def _starts(self) -> tuple[Ints, Ints]:
        return _line_starts(self._parts)

    @cached_property
    def shapes(self) -> Array:
        """Shape n-grams of the tokens."""
        return sf.shape_grams(self.tokens)

    @cached_property
    def words(self) -> Array:
        """Word n-grams of the tokens, names hidden."""
        return sf.word_grams(self.tokens)

    def numbers(self, document: int) -> Ints:
        """Return for each of a document's lines with a token its number among all its lines."""
        start, stop = self.lines.starts[document : document + 2]
        numbers: Ints = self._numbers[start:stop] - sum(map(len, self._parts[:document]))
        return numbers

    def lines_of(self, found: Found) -> list[int]:
        """Return the numbers of a section's lines among all lines of its document."""
        return list(map(int, self.numbers(found.document)[found.first : found.last]))

    def take(self, documents: Sequence[int]) -> Reading:
        """Return some documents, given by number in order, without cutting them again."""
        return self.select([(number, [True] * len(self._parts[number])) for number in documents])

    def select(self, chosen: Sequence[tuple[int, Sequence[bool]]]) -> Reading:
        """Return some lines of some documents as documents of their own, without cutting them again.

        Args:
            chosen: numbers of documents, in order, and of each of their lines whether it is wanted.
        """
        if len(chosen) == len(self._parts) and all(all(flags) for _, flags in chosen):
            return self
        parts = [list(compress(self._parts[number], flags)) for number, flags in chosen]
        (starts, counts), (own_starts, own_counts) = self._starts, _line_starts(parts)
        wanted = np.zeros(len(starts), dtype=bool)
        place = np.zeros(len(self._parts), dtype=np.int64)
        for i, (number, flags) in enumerate(chosen):
            wanted[counts[number] : counts[number + 1]] = flags
            place[number] = i
        rows = np.flatnonzero(wanted[self._numbers])
        old, document = self.lines.document[rows], place[self.lines.document[rows]]
        numbers = (np.cumsum(wanted) - 1)[self._numbers[rows]]
        at, line = sf.ranges(self.lines.first[rows], self.lines.last[rows])
        # Tokens stand as far from the beginning of their line as before.
        shift = own_starts[numbers] - own_starts[own_counts[document]]
        shift -= starts[self._numbers[rows]] - starts[counts[old]]
        tokens = self.tokens.take(at)
        start, end, text = tokens.start + shift[line], tokens.end + shift[line], document[line]
        first = np.searchsorted(text, np.arange(len(parts) + 1))
        tokens = replace(tokens, text=text, start=start, end=end, first=first)
        return Reading(parts, tokens, sf.split_lines(tokens), numbers)


def _line_starts(parts: Sequence[Sequence[str]]) -> tuple[Ints, Ints]:
    """Return where each line begins if all are joined, and the number of the first line of each document."""
    sizes = np.array([size for part in parts for size in map(len, part)], dtype=np.int64) + 1
    counts = np.cumsum([0, *map(len, parts)])
    return np.cumsum(sizes) - sizes, counts


def stock_phrases(text: str) -> list[str]:
    """Return the stock phrases in a text, with repetitions.

    >>> stock_phrases("It remains to be seen. Stay tuned!")
    ['remains to be seen', 'stay tuned']
    """
    return [found.decode("ascii") for found in _stock().findall(text.lower().encode("utf-8", "surrogatepass"))]


class Found(NamedTuple):
    """A section `[first, last)` of a document's lines (those with a token), its log odds and its row of features."""

    document: int
    first: int
    last: int
    odds: float
    features: Floats


@dataclass(frozen=True)
class Trees:
    """A sum of regression trees, all grown to one depth's worth of steps.

    Node `i` sends a row left when its `feature[i]` is at most `threshold[i]`, or when it is missing and
    `missing_left[i]`. A leaf is its own child, so a fixed number of steps reaches it.
    """

    roots: npt.NDArray[np.int32]
    feature: npt.NDArray[np.int32]
    threshold: npt.NDArray[np.float32]
    missing_left: npt.NDArray[np.bool_]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: npt.NDArray[np.float32]
    depth: int
    base: float

    @cached_property
    def _steps(self) -> tuple[Array, Array, Array]:
        """Return what a row looks at in each node (twice over: nodes count by twos), and where it goes from there.

        A node `2 i` sends a row to entry `2 i` of the last table if it goes right, to `2 i + 1` if left. Nodes that
        send missing values left look at a copy of the row in which these are smaller than all others.
        """
        column = np.where(self.missing_left, 1, 0), self.feature
        going = np.stack([self.right, self.left], axis=1).ravel().astype(np.intp) * 2
        return np.repeat(np.stack(column, axis=1).astype(np.intp), 2, axis=0), np.repeat(self.threshold, 2), going

    def __call__(self, rows: Array) -> Floats:
        """Return the log odds of each row."""
        (copy, column), threshold, going = self._steps[0].T, *self._steps[1:]
        rows = np.asarray(rows, dtype=np.float32)
        column = column + copy * rows.shape[1]
        roots = self.roots.astype(np.intp) * 2
        out = np.full(len(rows), self.base)
        # Few rows at a time stay in the processor's cache.
        for start in range(0, len(rows), _CHUNK_ROWS):
            chunk = rows[start : start + _CHUNK_ROWS]
            flat = np.hstack([chunk, np.where(np.isnan(chunk), np.float32(-np.inf), chunk)]).ravel()
            base = (np.arange(len(chunk)) * (2 * rows.shape[1]))[:, None]
            node = np.broadcast_to(roots, (len(chunk), len(roots)))
            for _ in range(self.depth):
                at = column.take(node)
                at += base
                goes_left = flat.take(at) <= threshold.take(node)
                node = going.take(node + goes_left)
            out[start : start + _CHUNK_ROWS] += self.value.take(node >> 1).sum(axis=1, dtype=np.float64)
        return out

    def arrays(self, prefix: str) -> dict[str, Array]:
        """Return the plain arrays to store."""
        return {
            f"{prefix}.roots": self.roots,
            f"{prefix}.feature": self.feature.astype(np.int16),
            f"{prefix}.threshold": self.threshold,
            f"{prefix}.missing_left": self.missing_left,
            f"{prefix}.left": self.left,
            f"{prefix}.right": self.right,
            f"{prefix}.value": self.value,
            f"{prefix}.base": np.array([self.depth, self.base]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], prefix: str) -> Trees:
        """Return the trees stored under a prefix."""
        part = {
            name: arrays[f"{prefix}.{name}"]
            for name in ("roots", "threshold", "missing_left", "left", "right", "value")
        }
        depth, base = arrays[f"{prefix}.base"]
        return cls(feature=arrays[f"{prefix}.feature"].astype(np.int32), depth=int(depth), base=float(base), **part)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Additive models of one language: tables of weights by n-gram, and how they add up to the log odds of a line.

    Attributes:
        word, shape: weights, one per bucket; the last entry stands for "no n-gram" and is 0.
        mix: factors of the two sums and of the number of words.
    """

    word: npt.NDArray[np.float32]
    shape: npt.NDArray[np.float32]
    mix: Floats

    def arrays(self, prefix: str) -> dict[str, Array]:
        """Return the plain arrays to store: the buckets that have a weight, and the weights."""
        stored: dict[str, Array] = {f"{prefix}.mix": self.mix}
        for name in ("word", "shape"):
            table = getattr(self, name)
            at = np.flatnonzero(table)
            stored |= {f"{prefix}.{name}.at": at.astype(np.int32), f"{prefix}.{name}": table[at].astype(np.float16)}
        return stored

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], prefix: str) -> Evidence:
        """Return the tables stored under a prefix."""
        tables = []
        for name in ("word", "shape"):
            table = np.zeros((1 << sf.BITS) + 1, dtype=np.float32)
            table[arrays[f"{prefix}.{name}.at"]] = arrays[f"{prefix}.{name}"]
            tables.append(table)
        return cls(tables[0], tables[1], arrays[f"{prefix}.mix"])

    def sums(self, lines: Lines, word_grams: Array, shape_grams: Array) -> Floats:
        """Return the sum of each table over each line, one column per table."""
        return np.column_stack([self.word_sums(lines, word_grams), self.shape_sums(lines, shape_grams)])

    def word_sums(self, lines: Lines, grams: Array) -> Floats:
        """Return the sum of the weights of words over each line."""
        return _sums(self.word, lines, grams)

    def shape_sums(self, lines: Lines, grams: Array) -> Floats:
        """Return the sum of the weights of shapes over each line."""
        return _sums(self.shape, lines, grams)

    def wording(self, reading: Reading, found: Found, limit: int = 3) -> list[str]:
        """Return the words and pairs of words of a section that weigh most for it being machine-written."""
        lines, tokens = reading.lines, reading.tokens
        begin = int(lines.starts[found.document])
        first, last = int(lines.first[begin + found.first]), int(lines.last[begin + found.last - 1])
        weights = self.word[reading.words[first:last]]
        text = reading.texts[found.document]
        phrases: dict[str, float] = {}
        for order in range(2):
            for i in np.argsort(-weights[:, order], kind="stable")[: 4 * limit].tolist():
                phrase = text[tokens.start[first + max(0, i - order)] : tokens.end[first + i]]
                if weights[i, order] > 0 and any(map(str.isalpha, phrase)):
                    phrases[" ".join(phrase.split()).lower()] = float(weights[i, order])
        return sorted(phrases, key=lambda phrase: -phrases[phrase])[:limit]

    def odds(self, lines: Lines, sums: Floats) -> Floats:
        """Return the log odds of each line by itself."""
        mixed: Floats = np.column_stack([sums, lines.words]) @ self.mix
        return mixed


def _sums(table: Array, lines: Lines, grams: Array) -> Floats:
    total = sf.running(np.add.reduce([table.take(column, mode="wrap") for column in grams.T]))
    return np.asarray(total[lines.last] - total[lines.first])


def runs(odds: Sequence[float], costs: Sequence[float]) -> list[tuple[int, int]]:
    """Return the stretches `[first, last)` that the most likely two-state path marks.

    Args:
        odds: log odds of each line that it is marked.
        costs: what a change of state before each line costs, in log odds; the first is not used.

    >>> runs([-3, -3, 2, -1, 4, -3], [2] * 6)
    [(2, 5)]
    >>> runs([-3, 1, -3], [2] * 3)
    []
    """
    plain = marked = 0.0
    came: list[tuple[bool, bool]] = []
    for i, (x, cost) in enumerate(zip(odds, costs, strict=True)):
        cost = cost if i else 0.0
        stays, returns = plain >= marked - cost, marked >= plain - cost
        plain, marked = (plain if stays else marked - cost), (marked if returns else plain - cost) + x
        came.append((not stays, returns))
    found: list[tuple[int, int]] = []
    state, end = marked > plain, -1
    for i in range(len(came) - 1, -1, -1):
        if state and end < 0:
            end = i + 1
        elif not state and end >= 0:
            found.append((i + 1, end))
            end = -1
        state = came[i][state]
    if end >= 0:
        found.append((0, end))
    return found[::-1]


@dataclass(frozen=True, slots=True)
class SectionModel:
    """Everything that is learned for machine-written sections, in every language it was learned for."""

    evidence: Mapping[str, Evidence]
    first: Trees
    second: Trees
    judge: Trees | None
    settings: Mapping[str, Any]
    offers: Evidence | None = None
    offer_trees: Trees | None = None

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], header: Mapping[str, Any]) -> SectionModel:
        """Return the model that `arrays` and `header` of a stored model describe."""
        trees = {name: Trees.from_arrays(arrays, name) for name in ("first", "second", "judge", "offer_trees")}
        tables = {name: Evidence.from_arrays(arrays, name) for name in (*header["langs"], "offers")}
        offers = tables.pop("offers")
        return cls(tables, settings=header["settings"], offers=offers, **trees)

    def arrays(self) -> dict[str, Array]:
        """Return the plain arrays to store."""
        stored: dict[str, Array] = {}
        for name, trees in (
            ("first", self.first),
            ("second", self.second),
            ("judge", self.judge),
            ("offer_trees", self.offer_trees),
        ):
            if trees is not None:
                stored |= trees.arrays(name)
        for name, evidence in ({**self.evidence, "offers": self.offers}).items():
            if evidence is not None:
                stored |= evidence.arrays(name)
        return stored

    def chance(self, odds: float, kind: str) -> float:
        """Return the share of right ones among validation sections with such odds."""
        knots, values = self.settings["calibration"][kind]
        return float(np.interp(odds, knots, values))

    def find_offers(self, reading: Reading) -> list[Found]:
        """Return the sections of some texts that sell or deceive, in any language, in order."""
        if self.offers is None or self.offer_trees is None:
            return []
        lines = reading.lines
        if not len(lines):
            return []
        words = self.offers.word_sums(lines, sf.word_grams(reading.tokens, hide_names=False))
        kept = np.unique(lines.document[words > self.settings["look_offer_words"]])
        if not len(kept):
            return []
        words = words[lines.rows(kept)]
        # The rest is worked out for the few documents that are worth it.
        reading = reading.take(kept.tolist())
        lines = reading.lines
        sums = np.column_stack([words, self.offers.shape_sums(lines, reading.shapes)])
        scores = self.offer_trees(sf.offer_features(lines, sums, self.offers.odds(lines, sums)))
        shift = -lines.starts[:-1]
        return [
            Found(int(kept[d]), int(a + shift[d]), int(b + shift[d]), score, np.zeros(0))
            for d, a, b, score in self.segment_offers(lines, scores)
        ]

    def segment_offers(self, lines: Lines, scores: Floats) -> list[tuple[int, int, int, float]]:
        """Return `(document, first line, last line, log odds)` of each offer section."""
        cues = offer_cues(lines)
        words, cued = sf.running(lines.words), sf.running(cues)
        scores = scores - self.settings["header_odds"] * sf.header_lines(lines)
        weighed = sf.running(scores * lines.words)
        shifted = (scores + self.settings["offer_bias"]).tolist()
        found = []
        for document in range(len(lines.starts) - 1):
            start, stop = int(lines.starts[document]), int(lines.starts[document + 1])
            for a, b in runs(shifted[start:stop], [self.settings["offer_cost"]] * (stop - start)):
                a, b = start + a, start + b
                total = words[b] - words[a]
                # Few words prove nothing, unless they come with a link, a price or a way to get in touch.
                if total >= self.settings["min_offer_words"] or (cued[b] > cued[a] and total >= 3):
                    found.append((document, a, b, float((weighed[b] - weighed[a]) / max(1.0, total))))
        return found

    def candidates(self, reading: Reading, lang: str, borders: Sequence[Sequence[int]] = ()) -> list[Found]:
        """Return the sections of some texts that may be machine-written, judged, in order.

        Args:
            reading: documents of lines, all in one language.
            lang: the language; nothing is found in one that nothing was learned for.
            borders: for each text, the numbers of lines that something else stands before: a section may begin or end
                there at no cost.
        """
        evidence = self.evidence.get(lang)
        if evidence is None:
            return []
        lines = reading.lines
        if not len(lines):
            return []
        sums = evidence.sums(lines, reading.words, reading.shapes)
        odds = evidence.odds(lines, sums)
        rows = sf.first_features(lines, sums, odds)
        scores = self.first(rows)
        kept = self.worth_a_look(lines, scores)
        if not len(kept):
            return []
        at = lines.rows(kept)
        part = lines.take(kept)
        second = self.second(sf.second_features(part, odds[at], rows[at], scores[at]))
        known = [np.searchsorted(reading.numbers(i), borders[i]).tolist() if borders else () for i in kept.tolist()]
        found = self.segment(part, second, known)
        if not found:
            return []
        spans = np.array(found, dtype=np.int64)
        features = section_features(part, spans, sums[at], odds[at], second, [reading.texts[i] for i in kept])
        judged = self.judge(features) if self.judge else features[:, 0]
        offset = -part.starts[spans[:, 0]]
        return [
            Found(int(kept[d]), int(a + o), int(b + o), float(score), row)
            for (d, a, b), o, score, row in zip(found, offset, judged, features, strict=True)
        ]

    def worth_a_look(self, lines: Lines, scores: Floats) -> Ints:
        """Return the documents in which enough words stand in lines that the first model finds suspicious."""
        suspicious = np.where(scores > self.settings["look_odds"], lines.words, 0.0)
        total = np.bincount(lines.document, weights=suspicious, minlength=len(lines.starts) - 1)
        return np.flatnonzero(total >= self.settings["look_words"])

    def segment(self, lines: Lines, scores: Floats, borders: Sequence[Sequence[int]]) -> list[tuple[int, int, int]]:
        """Return `(document, first line, last line)` of each section, as lines of the batch."""
        cost, bias = self.settings["border_cost"], self.settings["line_bias"]
        odds = (scores + bias).tolist()
        words = sf.running(lines.words)
        headings = (lines.words <= MAX_HEADING_WORDS) & lines.tokens.is_word[lines.last - 1]
        titles = headings & self._in_title_case(lines)
        found = []
        for document, marks in enumerate(borders):
            start, stop = int(lines.starts[document]), int(lines.starts[document + 1])
            costs = [cost] * (stop - start)
            for line in marks:
                if line < len(costs):
                    costs[line] = 0.0
            for a, b in runs(odds[start:stop], costs):
                if words[start + b] - words[start + a] >= self.settings["min_words"]:
                    a, b = self._trim(scores[start:stop], headings[start:stop], titles[start:stop], a, b, marks)
                    found.append((document, start + a, start + b))
        return found

    @staticmethod
    def _in_title_case(lines: Lines) -> sf.Flags:
        """Say of each line whether it has three words or more, of which all but function words have a capital."""
        tokens = lines.tokens
        small = sf.running(tokens.is_word & ~tokens.is_capital & ~tokens.is_number & (tokens.function < 0))
        in_title_case: sf.Flags = (small[lines.last] == small[lines.first]) & (lines.words >= 3)
        return in_title_case

    def _trim(
        self, scores: Floats, headings: Array, titles: Array, a: int, b: int, borders: Sequence[int]
    ) -> tuple[int, int]:
        """Return a run without the doubtful lines at its ends, except where something else marks the end."""
        sure = np.flatnonzero(scores[a:b] >= self.settings["trim_odds"])
        if not len(sure):
            return a, b
        first, last = a + int(sure[0]), a + int(sure[-1]) + 1
        # A headline is too short to be sure of, and goes with what it heads. Outside the run it must look like one.
        if first > a:
            first -= int(headings[first - 1])
        elif a and a not in borders and titles[a - 1] and not (a > 1 and headings[a - 2]):
            first -= int(scores[a - 1] >= self.settings["title_odds"])
        return (a if a in borders else first), (b if b in borders else last)


CONTRASTS = sf.words_of(
    """
    word_chars sentence_words sentence_variation names numbers long_words function_words first_person
    contractions speech nominal ing_tails stock oxford types
    """
)
OWN = sf.words_of(
    """
    line_mean line_sum line_least line_most line_spread inner outer evidence_word evidence_shape rest_word
    rest_shape contrast_word contrast_shape
    """
)
OVERLAPS = sf.words_of(
    """
    known_words known_names new_names new_numbers known_numbers known_runs known_content
    """
)
FEATURES = (*OWN, *OVERLAPS, *(f"contrast {name}" for name in CONTRASTS), *sf.NAMES)
"""The columns that the judge sees, in order."""

_FEW_WORDS = 40
MAX_HEADING_WORDS = 16


def section_features(
    lines: Lines, spans: Ints, sums: Floats, odds: Floats, scores: Floats, texts: Sequence[str]
) -> Floats:
    """Return one row of FEATURES per section.

    Args:
        lines: the batch.
        spans: document, first and last line of each section.
        sums, odds: the additive evidence of each line.
        scores: the second line model's log odds of each line.
        texts: the documents.
    """
    document, first, last = spans.T
    begin, end = lines.starts[document], lines.starts[document + 1]
    words, scored = sf.running(lines.words), sf.running(scores * lines.words)
    own = np.maximum(1.0, words[last] - words[first])
    rest = (words[end] - words[begin]) - own
    inner = (scored[last] - scored[first]) / own
    outer = (scored[end] - scored[begin] - inner * own) / np.maximum(1.0, rest)
    stats = np.array(
        [
            [scores[a:b].sum(), scores[a:b].min(), scores[a:b].max(), scores[a:b].std()]
            for a, b in zip(first, last, strict=True)
        ]
    )
    ends = np.sort(np.column_stack([scores[first], scores[last - 1]]), axis=1)[:, 0]
    totals = [sf.running(column) for column in sums.T]
    evidence = np.column_stack([(t[last] - t[first]) / np.sqrt(own) for t in totals])
    elsewhere = np.column_stack([(t[end] - t[begin] - t[last] + t[first]) / np.maximum(1.0, rest) for t in totals])
    contrast = evidence / np.sqrt(own)[:, None] - elsewhere
    tokens = lines.tokens
    a, b = lines.first[first], lines.last[last - 1]
    c, d = lines.first[begin], lines.last[end - 1]
    style = sf.stylometry(tokens, a, b, _stock_between(tokens, a, b, texts, document))
    others = _complement(tokens, c, a, b, d)
    stock = [
        left + right
        for left, right in zip(
            _stock_between(tokens, c, a, texts, document), _stock_between(tokens, b, d, texts, document), strict=True
        )
    ]
    rest_style = sf.stylometry(*others, stock)
    columns = [sf.NAMES.index(name) for name in CONTRASTS]
    differs = style[:, columns] - rest_style[:, columns]
    known = np.array([_overlap(tokens, *bounds) for bounds in zip(a, b, c, d, strict=True)])
    few = rest < _FEW_WORDS
    for block in (elsewhere, contrast, differs, known):
        block[few] = np.nan
    outer[few] = np.nan
    return np.column_stack([inner, stats, ends, outer, evidence, elsewhere, contrast, known, differs, style])


def _stock_between(tokens: sf.Tokens, first: Ints, last: Ints, texts: Sequence[str], document: Ints) -> list[list[str]]:
    return [
        stock_phrases(texts[d][tokens.start[a] : tokens.end[b - 1]]) if b > a else []
        for a, b, d in zip(first, last, document, strict=True)
    ]


def _complement(tokens: sf.Tokens, c: Ints, a: Ints, b: Ints, d: Ints) -> tuple[sf.Tokens, Ints, Ints]:
    """Return what is left of each document `[c, d)` without the section `[a, b)`, as a batch of its own."""
    at, _ = sf.ranges(np.column_stack([c, b]).ravel(), np.column_stack([a, d]).ravel())
    counts = (a - c) + (d - b)
    last = np.cumsum(counts)
    return tokens.take(at), last - counts, last


def _overlap(tokens: sf.Tokens, a: int, b: int, c: int, d: int) -> list[float]:
    """Return how much of a section `[a, b)` the rest of its document `[c, d)` holds; the columns are OVERLAPS."""
    inside, outside = np.arange(a, b), np.r_[c:a, b:d]
    mine = inside[tokens.is_word[a:b] & (tokens.function[a:b] < 0)]
    theirs = outside[tokens.is_word[outside] & (tokens.function[outside] < 0)]
    word, at = np.unique(tokens.word[mine], return_index=True)
    known = _among(word, tokens.word[theirs])
    name, number = tokens.is_capital[mine][at], tokens.is_number[mine][at]
    per = 100.0 / max(1, int(tokens.is_word[a:b].sum()))
    plain = ~name & ~number
    three = sf.trigrams_of(tokens.word[inside])
    return [
        _mean(known),
        _mean(known[name]),
        float((name & ~known).sum()) * per,
        float((number & ~known).sum()) * per,
        _mean(known[number]),
        _mean(_among(three, sf.trigrams_of(tokens.word[outside]))),
        _mean(known[plain]),
    ]


def _among(values: Array, others: Array) -> Array:
    """Return whether each value is one of the others; several times faster than `np.isin` for a few hundred."""
    if not len(others):
        return np.zeros(len(values), dtype=bool)
    others = np.sort(others)
    slot = np.minimum(np.searchsorted(others, values), len(others) - 1)
    return np.asarray(others[slot] == values)


def _mean(flags: Array) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def offer_cues(lines: Lines) -> Floats:
    """Return how many links, addresses, prices and hash marks each line has."""
    counts: Floats = sf.cue_counts(lines).sum(axis=1)
    return counts
