"""Recognises parts of one document that translate each other, and aligns their lines.

There is no dictionary, so that any two languages will do. What translations share is numbers, names and cognates
(compared by their consonants, after transliteration to Latin letters), the order in which these come, and the lengths
of what stands between. Lines are aligned as Gale and Church did (1993, "A program for aligning sentences in bilingual
corpora"), with what they share as anchors. Whether two parts are translations is then read off the best alignment, also
compared with that of one part backwards: another article on the topic shares the names, but not their order.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .segment import line_bounds

__all__ = ["FEATURES", "MIN_SCORE", "Pair", "aligned_pairs", "features", "score"]

_Floats = npt.NDArray[np.float64]

_MIN_LINES = 4  # parts of fewer lines are compared by sentences
_MAX_LINES = 400  # aligned at once; time and memory grow with the square
_BLOCK_KEYS = 2_048  # compared at once
_MAX_CHARS = 200_000  # more of a part makes the decision no surer

_CLOSING = "\"'”’»)\\]」』）"
_SENTENCE_END = re.compile(f"[.!?…][{_CLOSING}]{{0,4}}\\s+|[。！？।॥۔؟][{_CLOSING}]{{0,4}}\\s*")
_TOKEN = re.compile(r"\d+(?:[.,'\u00a0\u202f ]\d{3})*(?:[.,]\d+)?|[^\W\d_]+")
_LETTERS = re.compile(r"[^\W_]+")  # and digits
# Letters of transliterated names by how they sound; vowels and what languages add or leave out tell nothing.
_SOUNDS = str.maketrans("bpfvwckgqxszjdtlrmn", "PPPPPKKKKKSSSTTRRNN")
_NO_SOUND = re.compile("[^A-Z]+")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_WIDE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # a character says as much as three letters

# How many lines of each side, and the price: one to one is the rule, a line without a partner not rare on the web.
_SKIP = 1.5
_MOVES = ((1, 1, 0.0), (1, 0, _SKIP), (0, 1, _SKIP), (2, 1, 3.5), (1, 2, 3.5))
_ANCHOR_WEIGHT = 1.5
_MAX_ANCHORS = 4.0
_VARIANCE = 6.8  # of the length of a translation, per character (Gale and Church)

FEATURES = ("anchors", "anywhere", "order", "misfit", "ratio", "paired", "numbers", "letters", "lines")
"""What `features` measures, in order."""

# Fitted by `python -m benchmarks.translation --fit`.
_BIAS = -2.853
_WEIGHTS = (8.912, 5.549, 1.290, -2.037, -1.854, 4.148, 3.655, -0.279, 0.537)

MIN_SCORE = 0.6
"""Two parts are called translations from this score on."""


class _Bead(NamedTuple):
    """Lines `[a0, a1)` of one part and `[b0, b1)` of the other that belong together; one side may be empty."""

    a0: int
    a1: int
    b0: int
    b1: int


class _Side(NamedTuple):
    """Lines to compare: their sizes in letters and digits, and what each is compared by."""

    sizes: _Floats
    keys: list[list[str]]


class Pair(NamedTuple):
    """Text of one part and its translation in the other, as `(start, end)` in code points of the parts' texts.

    The score in [0, 1] says how well their lengths fit and how much they share.
    """

    left: tuple[int, int]
    right: tuple[int, int]
    score: float


def score(left: str, right: str) -> float:
    """Return how sure it is that one text translates the other, in [0, 1]; 0.0 where one has no letters.

    >>> round(score("", "La corte se reunió el lunes."))
    0
    """
    values = features(left, right)
    if values is None:
        return 0.0
    return float(1 / (1 + math.exp(-np.clip(values @ np.array(_WEIGHTS) + _BIAS, -50, 50))))


def features(left: str, right: str) -> _Floats | None:
    """Return the FEATURES of two texts, or None where one of them has nothing to compare.

    - anchors: share of the comparable words that the lines aligned have in common, beyond chance
    - anywhere: the same for all lines with all
    - order: how much cheaper the alignment is than with one text backwards, per line
    - misfit: mean misfit of the lengths of what is aligned
    - ratio: log ratio of the texts' lengths, without its sign
    - paired: share of the letters in lines that have a partner
    - numbers: numbers in common against numbers that only one has
    - letters, lines: size of the smaller text, logarithms
    """
    a, b = _sides(left[:_MAX_CHARS], right[:_MAX_CHARS])
    if not len(a.sizes) or not len(b.sizes):
        return None
    shared, total = _shared(a.keys, b.keys)
    costs = _costs(a.sizes, b.sizes, shared)
    beads, cost = _align(costs)
    backward = _cheapest([table[:, ::-1] for table in costs])[-1, -1]
    count = min(shared.shape)
    everything = float(shared.sum())
    area = sum((bead.a1 - bead.a0) * (bead.b1 - bead.b0) for bead in beads)
    on_path = sum(float(shared[bead.a0 : bead.a1, bead.b0 : bead.b1].sum()) for bead in beads)
    ratio = _ratio(a.sizes, b.sizes)
    partners = [
        (float(a.sizes[bead.a0 : bead.a1].sum()), float(b.sizes[bead.b0 : bead.b1].sum()))
        for bead in beads
        if bead.a1 > bead.a0 and bead.b1 > bead.b0
    ]
    sizes = float(a.sizes.sum()), float(b.sizes.sum())
    lengths = np.array(partners)
    misfit = float(np.mean(_misfit(lengths[:, 0], lengths[:, 1], ratio))) if partners else 5.0
    ours, theirs = ({key for keys in side.keys for key in keys if key[0] == "#"} for side in (a, b))
    numbers = (len(ours & theirs) - 0.5 * len(ours ^ theirs)) / math.sqrt(1 + len(ours | theirs))
    return np.array([
        (on_path - everything * area / shared.size) / total,
        everything / total / math.sqrt(count),
        (backward - cost) / count,
        misfit,
        abs(math.log(sizes[1] / sizes[0])),
        sum(map(sum, partners)) / sum(sizes),
        numbers,
        math.log(min(sizes)),
        math.log(count),
    ])  # fmt: skip


def aligned_pairs(left: str, right: str) -> list[Pair]:
    r"""Return the lines of two translations that belong together, in order; lines without a partner are left out.

    Where one text has two lines for one of the other, the pair holds both.

    >>> aligned_pairs("In 2018, Peter Smith won 300 votes.\nHe lost in 2019.\n",
    ...               "En 2018, Peter Smith obtuvo 300 votos.\nPerdió en 2019.\n")[1][:2]
    ((36, 52), (39, 54))
    """
    a, b = list(line_bounds(left)), list(line_bounds(right))
    sides = _side(left, a), _side(right, b)
    pairs = []
    for bead in _beads(*sides):
        if bead.a1 > bead.a0 and bead.b1 > bead.b0:
            rows, columns = slice(bead.a0, bead.a1), slice(bead.b0, bead.b1)
            shared, total = _shared(sides[0].keys[rows], sides[1].keys[columns])
            sizes = sides[0].sizes[rows].sum(keepdims=True), sides[1].sizes[columns].sum(keepdims=True)
            fit = 1 / (1 + float(_misfit(*sizes, _ratio(sides[0].sizes, sides[1].sizes))[0]) / 4)
            close = min(1.0, (1 + float(shared.sum()) / total) / 1.5)
            pairs.append(Pair((a[bead.a0][0], a[bead.a1 - 1][1]), (b[bead.b0][0], b[bead.b1 - 1][1]), fit * close))
    return pairs


def _sides(left: str, right: str) -> tuple[_Side, _Side]:
    """Cut two texts the same way: into lines, or into sentences if there are too few lines to compare their order."""
    cuts = list(line_bounds(left)), list(line_bounds(right))
    if min(map(len, cuts)) < _MIN_LINES:
        cuts = list(_sentence_bounds(left)), list(_sentence_bounds(right))
    return _side(left, cuts[0][:_MAX_LINES]), _side(right, cuts[1][:_MAX_LINES])


def _sentence_bounds(text: str) -> Iterator[tuple[int, int]]:
    for start, end in line_bounds(text):
        ends = [match.end() for match in _SENTENCE_END.finditer(text, start, end)]
        for first, last in pairwise(sorted({start, *ends, end})):
            yield first, first + len(text[first:last].rstrip())


def _side(text: str, bounds: Sequence[tuple[int, int]]) -> _Side:
    lines = [text[start:end] for start, end in bounds]
    sizes = [_size(line) for line in lines]
    keys = [[key for token in _TOKEN.findall(line) for key in _keys(token)] for line in lines]
    return _Side(np.maximum(np.array(sizes, dtype=np.float64), 1), keys)


def _size(line: str) -> int:
    return len("".join(_LETTERS.findall(line))) + (0 if line.isascii() else 2 * len(_WIDE.findall(line)))


@lru_cache(maxsize=65_536)
def _keys(token: str) -> tuple[str, ...]:
    """Return what a number or word is compared by.

    A number by its digits; a word by its first letters; a name, or any word of a script without capitals, by its first
    consonants; words that no blanks part by all runs of consonants.
    """
    latin = token if token.isascii() else token.translate(_IN_LATIN)
    if token[0].isdigit():
        return ("#" + "".join(filter(str.isdigit, latin)),)
    latin = latin.lower()
    is_spaced = token.isascii() or len(token) <= 8 or not _UNSPACED.match(token)
    is_cased = token.lower() != token.upper()
    is_name = not is_cased or token[0].isupper()
    sounds = _sounds(latin) if is_name or not is_spaced else ""
    if not is_spaced:
        # Not a set: its order differs from process to process.
        return tuple(dict.fromkeys(f"%{sounds[i : i + 4]}" for i in range(len(sounds) - 3)))
    keys = [latin[:5]] if is_cased and len(latin) >= 5 else []
    if is_name:
        keys += [f"%{sounds[:size]}" for size in (3, 4) if len(sounds) >= size]
    return tuple(keys)


def _sounds(latin: str) -> str:
    """Return the consonants of a word, those of one sound as one letter, and no letter twice running."""
    heard = _NO_SOUND.sub("", latin.translate(_SOUNDS))
    return "".join([sound for sound, before in zip(heard, f" {heard}", strict=False) if sound != before])


class _InLatin(dict[int, str]):
    """What anyascii writes each code point as, looked up once; it reads every one by itself."""

    def __missing__(self, code: int) -> str:
        from anyascii import anyascii

        self[code] = latin = str(anyascii(chr(code)))
        return latin


_IN_LATIN = _InLatin()


def _shared(a: Sequence[Sequence[str]], b: Sequence[Sequence[str]]) -> tuple[_Floats, float]:
    """Return the weight of what each line of one shares with each of the other, and that of what there is to share.

    What occurs in many lines of either weighs less.
    """
    keys = [frozenset(chain.from_iterable(side)) for side in (a, b)]
    # Sorted: the order of sums, and with it their last digit, must not differ from process to process.
    both = sorted(keys[0] & keys[1])
    lines_of = [_lines_by_key(side, both) for side in (a, b)]
    counts = [np.array([len(found[key]) for key in both], dtype=np.float64) for found in lines_of]
    weight = 1 / np.maximum(*counts) if both else np.zeros(0)
    # A key that only one side has weighs 1 in all, however many lines have it.
    there = [len(own) - len(both) + float(count @ weight) for own, count in zip(keys, counts, strict=True)]
    shared = np.zeros((len(a), len(b)))
    for first in range(0, len(both), _BLOCK_KEYS):
        block = slice(first, first + _BLOCK_KEYS)
        tables = [_table(found, both[block], len(side)) for found, side in zip(lines_of, (a, b), strict=True)]
        shared += (tables[0] * weight[block]) @ tables[1].T
    return shared, math.sqrt(there[0] * there[1]) or 1.0


def _lines_by_key(lines: Sequence[Sequence[str]], wanted: Sequence[str]) -> dict[str, list[int]]:
    """Return the numbers of the lines that have each of the wanted keys, which are a small part of all."""
    found: dict[str, list[int]] = {key: [] for key in wanted}
    for number, keys in enumerate(lines):
        for key in found.keys() & keys:
            found[key].append(number)
    return found


def _table(found: dict[str, list[int]], keys: Sequence[str], lines: int) -> _Floats:
    """Return a row per line and a column per key: 1 where the line has it."""
    table = np.zeros((lines, len(keys)))
    for column, key in enumerate(keys):
        table[found[key], column] = 1
    return table


def _ratio(a: _Floats, b: _Floats) -> float:
    """Return how much longer the second language is; within limits, as lines may be missing from either."""
    return float(np.clip(b.sum() / a.sum(), 0.8, 1.25))


def _misfit(a: _Floats, b: _Floats, ratio: float) -> _Floats:
    """Return how unlikely the lengths are for translations; heavier tails than the normal distribution's."""
    delta = (b - a * ratio) / np.sqrt(_VARIANCE * (b + a * ratio) / 2)
    return np.asarray(2 * np.log1p(delta**2 / 4))


def _costs(a: _Floats, b: _Floats, shared: _Floats) -> list[_Floats]:
    """Return what each of the MOVES costs, by its first line in a and in b.

    Args:
        a, b: the sizes of the lines.
        shared: how much each line of a shares with each of b.
    """
    return [_move_costs(a, b, shared, *move) for move in _MOVES]


def _align(costs: Sequence[_Floats]) -> tuple[list[_Bead], float]:
    """Return the cheapest alignment, and its cost."""
    best = _cheapest(costs)
    beads = []
    row, column = best.shape[0] - 1, best.shape[1] - 1
    while row or column:
        _, rows, columns = min(
            (best[row - rows, column - columns] + cost[row - rows, column - columns], rows, columns)
            for (rows, columns, _), cost in zip(_MOVES, costs, strict=True)
            if row >= rows and column >= columns
        )
        beads.append(_Bead(row - rows, row, column - columns, column))
        row, column = row - rows, column - columns
    return beads[::-1], float(best[-1, -1])


def _cheapest(costs: Sequence[_Floats]) -> _Floats:
    """Return the lowest cost of aligning the first i lines of one with the first j of the other, as [i, j]."""
    one_one, _, _, two_one, one_two = costs
    rows, columns = costs[1].shape[0], costs[2].shape[1]
    skipped = _SKIP * np.arange(columns + 1)
    best = np.empty((rows + 1, columns + 1))
    best[0] = skipped
    for i in range(rows):
        row = best[i] + _SKIP
        np.minimum(row[1:], best[i, :-1] + one_one[i], out=row[1:])
        if columns > 1:
            np.minimum(row[2:], best[i, :-2] + one_two[i], out=row[2:])
        if i:
            np.minimum(row[1:], best[i - 1, :-1] + two_one[i - 1], out=row[1:])
        # A line of b without a partner follows its left neighbour, at a fixed price each.
        best[i + 1] = np.minimum.accumulate(row - skipped) + skipped
    return best


def _move_costs(a: _Floats, b: _Floats, shared: _Floats, rows: int, columns: int, price: float) -> _Floats:
    shape = len(a) - rows + 1, len(b) - columns + 1
    if not rows or not columns:
        return np.full(shape, price)
    sizes_a = np.add.reduce([a[k : k + shape[0]] for k in range(rows)])
    sizes_b = np.add.reduce([b[k : k + shape[1]] for k in range(columns)])
    gain = np.add.reduce([shared[k : k + shape[0], h : h + shape[1]] for k in range(rows) for h in range(columns)])
    misfit = _misfit(sizes_a[:, None], sizes_b[None, :], _ratio(a, b))
    return np.asarray(misfit + price - _ANCHOR_WEIGHT * np.minimum(gain, _MAX_ANCHORS))


def _beads(a: _Side, b: _Side) -> Iterator[_Bead]:
    """Align any number of lines, a window at a time; what a window leaves open in its last third is done again."""
    row = column = 0
    while row < len(a.sizes) and column < len(b.sizes):
        rows, columns = slice(row, row + _MAX_LINES), slice(column, column + _MAX_LINES)
        shared, _ = _shared(a.keys[rows], b.keys[columns])
        beads, _ = _align(_costs(a.sizes[rows], b.sizes[columns], shared))
        is_last = rows.stop >= len(a.sizes) and columns.stop >= len(b.sizes)
        limit = math.inf if is_last else _MAX_LINES * 2 // 3
        beads = [bead for bead in beads if max(bead.a1, bead.b1) <= limit] or beads
        for bead in beads:
            yield _Bead(row + bead.a0, row + bead.a1, column + bead.b0, column + bead.b1)
        row, column = row + beads[-1].a1, column + beads[-1].b1
