"""Numbers about lines, one per function, each for every line of a batch at once.

A `Lines` holds the lines of several documents as one array of code points, so that no function loops over characters
or lines in Python. Nothing here knows a language: what a line says is left to hashed n-grams, what it looks like is
counted by character class, and how much it belongs is measured against the other lines of its own document.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "LINE_FEATURES",
    "Lines",
    "alike",
    "around",
    "beside",
    "buckets",
    "context",
    "dense",
    "hits",
    "known_words",
    "stretches",
    "within_body",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

# Planes above the third hold no letters of living scripts; their code points count as "other".
_TABLE = 0x30000
_HANGUL = (0xAC00, 0xD7A4)
_WIDE_LETTERS = 3
_SENTENCE_WORDS = 6
# What stands for the distance to something that is not there, in logarithms of lines.
_FAR = 6.0
_GOLDEN32 = np.uint32(0x9E3779B1)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_BASE_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))

CLASSES = (
    "other",
    "lower",
    "upper",
    "ideograph",
    "digit",
    "space",
    "stop",
    "comma",
    "colon",
    "quote",
    "divider",
    "bracket",
    "tag",
    "mark",
    "picture",
    "hyphen",
)
_CLASS = {name: number for number, name in enumerate(CLASSES)}
_SPECIAL = {
    "stop": ".!?…。！？।؟։።．｡‽",
    "comma": ",;、，；،؛",
    "colon": ":：",
    "quote": '"“”„‟«»‹›「」『』〝〞',
    "divider": "|•·/\\→←►▶▸▼▲■●◆★☆*_~<>^+=‧∙⋅｜／＞",
    "bracket": "()[]{}（）【】［］〔〕《》",
    "tag": "@#＠＃",
    "mark": "©®™℗",
    "hyphen": "-–—‐‑'’‘`",
}


@lru_cache(maxsize=1)
def _tables() -> tuple[Array, Array]:
    """Return the character class and the folded form (lower case, no accent, every digit 0) of each code point."""
    classes = np.zeros(_TABLE + 1, dtype=np.uint8)
    folded = np.arange(_TABLE + 1, dtype=np.uint32)
    # Blocks of one kind are filled in one go: asking unicodedata for 100,000 of them takes most of a second.
    blocks = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00), (0x20000, 0x2FFFF), (0x3041, 0x3100))
    done = np.zeros(_TABLE + 1, dtype=bool)
    for start, end in blocks:
        classes[start:end] = _CLASS["ideograph"]
        done[start:end] = True
    classes[slice(*_HANGUL)] = _CLASS["lower"]
    done[slice(*_HANGUL)] = True
    done[0xD800:0xF900] = True
    done[0x1FB00:] = True
    for code in np.flatnonzero(~done).tolist():
        char = chr(code)
        category = unicodedata.category(char)
        if category in ("Lu", "Lt"):
            classes[code] = _CLASS["upper"]
        elif category[0] in "LM":
            # Thai, Lao, Khmer and Burmese put no space between words either.
            unspaced = 0x0E00 <= code < 0x0F00 or 0x1000 <= code < 0x10A0 or 0x1780 <= code < 0x1800
            classes[code] = _CLASS["ideograph"] if unspaced else _CLASS["lower"]
        elif category[0] == "N":
            classes[code] = _CLASS["digit"]
        elif category[0] == "Z" or char in "\t\n\r\f\v\u200b\ufeff":
            classes[code] = _CLASS["space"]
        elif category in ("So", "Sk"):
            classes[code] = _CLASS["picture"]
        folded[code] = _fold(char, category)
    for name, chars in _SPECIAL.items():
        for char in chars:
            classes[ord(char)] = _CLASS[name]
    return classes, folded


def _fold(char: str, category: str) -> int:
    if category == "Nd":
        return ord("0")
    lower = char.lower()
    base = unicodedata.normalize("NFKD", lower)[:1]
    return ord(base) if base and ord(base) < _TABLE else ord(char)


@lru_cache(maxsize=4)
def _powers(length: int) -> tuple[Array, Array]:
    ones = np.full(length, _BASE, dtype=np.uint64)
    inverse = np.full(length, _BASE_INVERSE, dtype=np.uint64)
    ones[0] = inverse[0] = 1
    return np.cumprod(ones), np.cumprod(inverse)


def _is(kinds: Array, *names: str) -> Array:
    """Return whether each character class is one of those named; a table look-up, ten times faster than `np.isin`."""
    table = np.zeros(len(CLASSES), dtype=bool)
    table[[_CLASS[name] for name in names]] = True
    return table[kinds]


def _divide(above: Array, below: Array) -> Floats:
    """Return above / below as float32, 0 where there is nothing to divide by."""
    out = np.zeros(len(above), dtype=np.float32)
    np.divide(above, below, out=out, where=np.asarray(below) > 0, casting="unsafe")
    return out


class Lines:
    """The lines of a batch of documents as arrays.

    Attributes:
        texts: every line of the batch in order, without its line break.
        doc: the number of each line's document in the batch.
        doc_start, doc_end: for each line, the first line of its document and the one after the last.
        chars: the length of each line in code points.

    >>> lines = Lines([["Share", "The court met on Monday."], ["Share"]])
    >>> lines.doc.tolist(), lines.chars.tolist()
    ([0, 0, 1], [5, 24, 5])
    """

    def __init__(self, documents: Sequence[Sequence[str]]) -> None:
        self.texts = [line for document in documents for line in document]
        sizes = np.array([len(document) for document in documents], dtype=np.int64)
        self.doc = np.repeat(np.arange(len(sizes)), sizes)
        ends = np.cumsum(sizes)
        self.doc_start = np.repeat(ends - sizes, sizes)
        self.doc_end = np.repeat(ends, sizes)
        self.chars = np.array([len(text) for text in self.texts], dtype=np.int64)
        # A line break before each line and after the last is the edge that n-grams see.
        joined = "\n" + "\n".join(self.texts) + "\n"
        self.raw = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        self.start = 1 + np.cumsum(self.chars + 1) - (self.chars + 1)
        self.end = self.start + self.chars

    def __len__(self) -> int:
        return len(self.texts)

    def forget_characters(self) -> None:
        """Drop the arrays of characters and words; what is left serves whatever is not about one line alone."""
        made = ("prose", "families", "cost", "words", "spaced_words", "is_sentence")
        for name in made:
            getattr(self, name)  # while there are characters
        for name in set(self.__dict__) - {"texts", "doc", "doc_start", "doc_end", "chars", *made}:
            del self.__dict__[name]

    @cached_property
    def line(self) -> Array:
        """For each code point, its line; a line break belongs to the line before it."""
        line = np.repeat(np.arange(len(self)), self.chars + 1)
        return np.concatenate((np.zeros(1, dtype=line.dtype), line))

    @cached_property
    def _clamped(self) -> Array:
        return np.minimum(self.raw, _TABLE)

    @cached_property
    def kind(self) -> Array:
        """The character class of each code point, an index into CLASSES."""
        return _tables()[0][self._clamped]

    @cached_property
    def folded(self) -> Array:
        """Each code point in lower case, without accents, digits as 0."""
        return _tables()[1][self._clamped]

    @cached_property
    def counts(self) -> Array:
        """Characters of each class per line, `(lines, classes)`."""
        size = len(CLASSES)
        body = slice(1, None)
        counts: Array = np.bincount(self.line[body] * size + self.kind[body], minlength=len(self) * size)
        counts = counts.reshape(len(self), size).astype(np.float32)
        counts[:, _CLASS["space"]] -= 1  # the line break
        return counts

    def count(self, name: str) -> Array:
        """Return how many characters of a class each line has."""
        return self.counts[:, _CLASS[name]]

    @cached_property
    def letters(self) -> Array:
        """Letters per line."""
        return self.count("lower") + self.count("upper") + self.count("ideograph")

    @cached_property
    def _word_bounds(self) -> tuple[Array, Array]:
        in_word = _is(self.kind, "lower", "upper", "digit")
        edges = np.diff(in_word.astype(np.int8))
        # The text begins and ends with a line break, so every word has both edges.
        return np.flatnonzero(edges == 1) + 1, np.flatnonzero(edges == -1) + 1

    @cached_property
    def word_line(self) -> Array:
        """The line of each word."""
        return self.line[self._word_bounds[0]]

    @cached_property
    def word_chars(self) -> Array:
        """The length of each word."""
        return self._word_bounds[1] - self._word_bounds[0]

    @cached_property
    def word_hash(self) -> Array:
        """A 64-bit hash of each word, folded."""
        start, end = self._word_bounds
        powers, inverse = _powers(1 << (len(self.raw) + 1).bit_length())
        total = np.zeros(len(self.raw) + 1, dtype=np.uint64)
        np.cumsum(self.folded.astype(np.uint64) * powers[: len(self.raw)], out=total[1:])
        value = (total[end] - total[start]) * inverse[start]
        # The low bits of a polynomial hash depend on the last letters only.
        value ^= value >> np.uint64(29)
        value *= np.uint64(0xBF58476D1CE4E5B9)
        return value ^ (value >> np.uint64(32))

    @cached_property
    def spaced_words(self) -> Array:
        """Words per line, those of scripts without spaces aside."""
        return np.bincount(self.word_line, minlength=len(self))

    @cached_property
    def words(self) -> Floats:
        """Words per line; where a script puts no spaces, 1.7 characters count as a word."""
        return (self.spaced_words + self.count("ideograph") / 1.7).astype(np.float32)

    @cached_property
    def is_sentence(self) -> Array:
        """Whether each line ends like a sentence and has the words for one."""
        return np.asarray(_stops(self) & (self.words >= _SENTENCE_WORDS))

    @cached_property
    def cost(self) -> Floats:
        """What losing each line costs, in Latin letters: a character or syllable of East Asia says as much as three."""
        syllables = np.bincount(self.line[(self.raw >= _HANGUL[0]) & (self.raw < _HANGUL[1])], minlength=len(self))
        return (self.chars + (_WIDE_LETTERS - 1) * (self.count("ideograph") + syllables)).astype(np.float32)

    @cached_property
    def prose(self) -> Array:
        """Whether each line reads like a sentence of running text: long enough, and more letters than anything else."""
        return np.asarray((self.words >= 14) & (self.letters >= 0.6 * self.chars) & (_stops(self) | (self.words >= 30)))

    @cached_property
    def line_hash(self) -> Array:
        """A 64-bit hash of each line's words, numbers aside, so that lines that differ in a date are equal."""
        edges = self._word_line_edges
        powers, _ = _powers(1 << (len(self.word_hash) + 2).bit_length())
        place = np.arange(len(self.word_hash)) - edges[self.word_line]
        number = self.kind[self._word_bounds[0]] == _CLASS["digit"]
        value = np.where(number, _BASE, self.word_hash) * powers[place]
        total = np.concatenate((np.zeros(1, dtype=np.uint64), np.cumsum(value, dtype=np.uint64)))
        spaced = total[edges[1:]] - total[edges[:-1]]
        weight = np.where(self.kind == _CLASS["ideograph"], self.folded, 0).astype(np.uint64) * _BASE
        # A plain sum of code points would make many short lines equal.
        weight = np.cumsum((weight ^ (weight >> np.uint64(31))) * weight, dtype=np.uint64)
        return np.asarray(spaced + weight[self.end - 1] - weight[self.start - 1])

    @cached_property
    def families(self) -> tuple[Array, ...]:
        """For each kind of likeness, the number of each line's family: the lines of its document that are like it.

        Alike are lines of one shape (the same kinds of characters in the same order, `Ann Lee, 3 May`), with the same
        first word, with the same last word, and with the same words, digits aside.
        """
        edges = self._word_line_edges
        filled = np.diff(edges) > 0
        # A line without words is like no other.
        first = _BASE_INVERSE * (np.arange(len(self), dtype=np.uint64) + np.uint64(1))
        last = first.copy()
        first[filled] = self.word_hash[edges[:-1][filled]]
        last[filled] = self.word_hash[edges[1:][filled] - 1]
        own = (self.doc.astype(np.uint64) + np.uint64(1)) * np.uint64(0xD6E8FEB86659FD93)
        keys = (self._shape_hash, first * _BASE, last * _BASE, self.line_hash)
        return tuple(np.unique(key ^ own, return_inverse=True)[1] for key in keys)

    @cached_property
    def _shape_hash(self) -> Array:
        """A 64-bit hash of the first ten runs of characters of one class in each line."""
        begins = np.ones(len(self.raw), dtype=bool)
        begins[1:] = (self.kind[1:] != self.kind[:-1]) | (self.line[1:] != self.line[:-1])
        begins[0] = False
        at = np.flatnonzero(begins & (self.raw != ord("\n")))
        line = self.line[at]
        edges = np.searchsorted(line, np.arange(len(self) + 1))
        place = np.arange(len(at)) - edges[line]
        powers, _ = _powers(16)
        value = (self.kind[at].astype(np.uint64) + np.uint64(7)) * powers[np.minimum(place, 10) + 1]
        value[place >= 10] = 0
        total = np.concatenate((np.zeros(1, dtype=np.uint64), np.cumsum(value, dtype=np.uint64)))
        return np.asarray((total[edges[1:]] - total[edges[:-1]]) * _BASE)

    @cached_property
    def words_elsewhere(self) -> Array:
        """For each word, how many words of its document's prose, on other lines, are the same."""
        if not len(self.word_hash):
            return np.zeros(0)
        salt = self.doc[self.word_line].astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)
        key = self.word_hash ^ salt
        # In a stable order the same words of one line stand together too.
        order = np.argsort(key, kind="stable")
        key, line = key[order], self.word_line[order]
        other_word = np.concatenate(([False], key[1:] != key[:-1]))
        other_line = np.concatenate(([False], line[1:] != line[:-1]))
        word, own = np.cumsum(other_word), np.cumsum(other_word | other_line)
        in_prose = self.prose[line]
        found = np.empty(len(order))
        # What the line itself contributes says nothing about the rest.
        found[order] = np.bincount(word, weights=in_prose)[word] - np.bincount(own, weights=in_prose)[own]
        return found

    @cached_property
    def _word_line_edges(self) -> Array:
        """The words of line i are those from edges[i] to edges[i + 1]."""
        return np.searchsorted(self.word_line, np.arange(len(self) + 1))

    def share(self, flags: Array) -> Floats:
        """Return, for each line, the share of its words with a flag."""
        hits = np.bincount(self.word_line, weights=flags, minlength=len(self))
        return _divide(hits, np.bincount(self.word_line, minlength=len(self)))


# --- hashed n-grams ---------------------------------------------------------------------------------------------------

_HEAD, _TAIL = 100, 50


def buckets(lines: Lines, bits: int) -> list[tuple[Array, Array]]:
    """Return hashed n-grams as pairs of arrays, one pair per family: the line and the bucket of each n-gram.

    Families: runs of 2, 3, 4 and 5 characters, words, pairs of words, and the line's edges (its first words, its last
    word, all of it). A line of more than 150 characters counts by its first 100 and last 50.

    Args:
        lines: the batch.
        bits: buckets are numbered below `2 ** bits`.
    """
    place = np.arange(len(lines.raw)) - lines.start[lines.line]
    near = (place < _HEAD) | (place >= lines.chars[lines.line] - _TAIL)
    position = np.flatnonzero(near)
    codes = lines.folded[position]
    line = lines.line[position]
    shift = np.uint32(32 - bits)
    families: list[tuple[Array, Array]] = []
    value: Array = codes * _GOLDEN32
    # A line's n-grams see the break before it and the one after it; the first belongs to the line above.
    for order in range(2, min(6, len(codes) + 1)):
        value = np.asarray(value[:-1] * np.uint32(0x01000193) + codes[order - 1 :] * _GOLDEN32)
        own = line[1 : len(codes) - order + 2]
        inside = own == line[order - 1 :]
        mixed = ((value ^ (value >> np.uint32(15))) * np.uint32(0x2C1B3C6D + 2 * order)) >> shift
        families.append((own[inside], mixed[inside]))
    families.extend(_word_buckets(lines, bits))
    return families


def _word_buckets(lines: Lines, bits: int) -> list[tuple[Array, Array]]:
    edges = lines._word_line_edges
    place = np.arange(len(lines.word_hash)) - edges[lines.word_line]
    left = edges[lines.word_line + 1] - edges[lines.word_line] - place
    near = np.flatnonzero((place < 20) | (left <= 10))
    word, line, place, left = lines.word_hash[near], lines.word_line[near], place[near], left[near]

    def bucket(value: Array, salt: int) -> Array:
        mixed = (value + np.uint64(salt)) * _BASE
        return (mixed >> np.uint64(64 - bits)).astype(np.uint32)

    same = line[:-1] == line[1:]
    pair = word[:-1] * np.uint64(3) + word[1:]
    first = place == 0
    first_pair = same & (place[:-1] == 0)
    last = left == 1
    whole = np.flatnonzero(lines.chars <= 60)
    return [
        (line, bucket(word, 1)),
        (line[:-1][same], bucket(pair[same], 2)),
        (
            np.concatenate((line[first], line[:-1][first_pair], line[last], whole)),
            np.concatenate(
                (
                    bucket(word[first], 3),
                    bucket(pair[first_pair], 4),
                    bucket(word[last], 5),
                    bucket(lines.line_hash[whole], 6),
                )
            ),
        ),
    ]


def known_words(lines: Lines, known: Array) -> Floats:
    """Return the share of each line's words that stand in a bit set, see `word_slots`; 0 for a line without words."""
    slots = word_slots(lines, known)
    flags = (known[slots >> 3] >> (slots & 7).astype(np.uint8)) & 1
    return lines.share(flags)


def word_slots(lines: Lines, known: Array) -> Array:
    """Return the bit of each word in a bit set stored as bytes."""
    bits = (len(known) * 8).bit_length() - 1
    return (lines.word_hash >> np.uint64(64 - bits)).astype(np.int64)


# --- one line ---------------------------------------------------------------------------------------------------------


def _at(lines: Lines, where: Array, names: tuple[str, ...]) -> Array:
    """Return whether the character at each position is of one of the classes."""
    return _is(lines.kind[where], *names) & (lines.chars > 0)


def _stops(lines: Lines) -> Array:
    last = lines.kind[np.maximum(lines.end - 1, 0)]
    before = lines.kind[np.maximum(lines.end - 2, 0)]
    found = _is(last, "stop") | (_is(last, "quote", "bracket", "hyphen") & _is(before, "stop"))
    return np.asarray(found & (lines.chars > 0))


def log_chars(lines: Lines) -> Array:
    """Length."""
    return np.log1p(lines.chars)


def log_words(lines: Lines) -> Array:
    """Number of words."""
    return np.log1p(lines.words)


def mean_word_chars(lines: Lines) -> Array:
    """Mean length of a word."""
    spaced = np.bincount(lines.word_line, minlength=len(lines))
    return _divide(np.bincount(lines.word_line, weights=lines.word_chars, minlength=len(lines)), spaced)


def short_word_share(lines: Lines) -> Array:
    """Words of up to three letters: in most alphabets the function words."""
    return lines.share(lines.word_chars <= 3)


def capital_share(lines: Lines) -> Array:
    """Words with a capital first letter."""
    return lines.share(lines.kind[lines._word_bounds[0]] == _CLASS["upper"])


def upper_share(lines: Lines) -> Array:
    """Capital letters among letters."""
    return _divide(lines.count("upper"), lines.letters)


def letter_share(lines: Lines) -> Array:
    """Letters among characters."""
    return _divide(lines.letters, lines.chars)


def ideograph_share(lines: Lines) -> Array:
    """Letters of scripts without spaces."""
    return _divide(lines.count("ideograph"), lines.chars)


def digit_share(lines: Lines) -> Array:
    """Digits among characters."""
    return _divide(lines.count("digit"), lines.chars)


def stop_rate(lines: Lines) -> Array:
    """Sentence ends per word."""
    return _divide(lines.count("stop"), lines.words + 1)


def comma_rate(lines: Lines) -> Array:
    """Commas per word."""
    return _divide(lines.count("comma"), lines.words + 1)


def colon_count(lines: Lines) -> Array:
    """Colons."""
    return np.minimum(lines.count("colon"), 4)


def quote_count(lines: Lines) -> Array:
    """Quotation marks."""
    return np.minimum(lines.count("quote"), 6)


def divider_rate(lines: Lines) -> Array:
    """Bars, bullets, arrows and slashes per word."""
    return _divide(lines.count("divider"), lines.words + 1)


def bracket_count(lines: Lines) -> Array:
    """Brackets."""
    return np.minimum(lines.count("bracket"), 6)


def tag_count(lines: Lines) -> Array:
    """At signs and hashes."""
    return np.minimum(lines.count("tag"), 4)


def mark_count(lines: Lines) -> Array:
    """Copyright and trade marks."""
    return np.minimum(lines.count("mark"), 2)


def picture_count(lines: Lines) -> Array:
    """Icons and emoji."""
    return np.minimum(lines.count("picture"), 4)


def hyphen_rate(lines: Lines) -> Array:
    """Hyphens, dashes and apostrophes per word."""
    return _divide(lines.count("hyphen"), lines.words + 1)


def other_share(lines: Lines) -> Array:
    """Characters that are nothing of the above."""
    return _divide(lines.count("other"), lines.chars)


def ends_with_stop(lines: Lines) -> Array:
    """Ends like a sentence, perhaps within a quotation."""
    return _stops(lines)


def ends_with_dots(lines: Lines) -> Array:
    """Ends in an ellipsis, as a cut-off teaser does."""
    last, before = lines.raw[np.maximum(lines.end - 1, 0)], lines.raw[np.maximum(lines.end - 2, 0)]
    return np.asarray((last == ord("…")) | ((last == ord(".")) & (before == ord("."))))


def ends_with_question(lines: Lines) -> Array:
    """Ends in a question mark."""
    return np.isin(lines.raw[np.maximum(lines.end - 1, 0)], [ord(mark) for mark in "?？؟"])


def ends_with_shout(lines: Lines) -> Array:
    """Ends in an exclamation mark."""
    return np.isin(lines.raw[np.maximum(lines.end - 1, 0)], [ord(mark) for mark in "!！"])


def ends_with_colon(lines: Lines) -> Array:
    """Ends in a colon."""
    return _at(lines, lines.end - 1, ("colon",))


def ends_with_divider(lines: Lines) -> Array:
    """Ends in a bar, bullet or arrow."""
    return _at(lines, lines.end - 1, ("divider", "quote", "picture"))


def ends_with_digit(lines: Lines) -> Array:
    """Ends in a digit."""
    return _at(lines, lines.end - 1, ("digit",))


def ends_with_bracket(lines: Lines) -> Array:
    """Ends in a bracket."""
    return _at(lines, lines.end - 1, ("bracket",))


def starts_upper(lines: Lines) -> Array:
    """Starts with a capital."""
    return _at(lines, lines.start, ("upper",))


def starts_lower(lines: Lines) -> Array:
    """Starts with a small letter."""
    return _at(lines, lines.start, ("lower",))


def starts_with_digit(lines: Lines) -> Array:
    """Starts with a digit."""
    return _at(lines, lines.start, ("digit",))


def starts_with_quote(lines: Lines) -> Array:
    """Starts with a quotation mark."""
    return _at(lines, lines.start, ("quote",))


def starts_with_sign(lines: Lines) -> Array:
    """Starts with a bullet, dash, bracket, hash or icon."""
    return _at(lines, lines.start, ("divider", "hyphen", "bracket", "tag", "mark", "picture", "other"))


def inner_sentences(lines: Lines) -> Array:
    """Sentence ends with more text after them."""
    stop = lines.kind[:-2] == _CLASS["stop"]
    space = (lines.kind[1:-1] == _CLASS["space"]) & (lines.raw[1:-1] != ord("\n"))
    wide = lines.raw[:-2] > 0x3000
    more = _is(lines.kind[2:], "upper", "quote", "ideograph", "digit")
    found = stop & ((space & more) | (wide & (lines.kind[1:-1] == _CLASS["ideograph"])))
    return np.log1p(np.bincount(lines.line[:-2][found], minlength=len(lines)))


def clock_or_date(lines: Lines) -> Array:
    """Digits joined by a colon, slash, stop or hyphen."""
    digit = lines.kind == _CLASS["digit"]
    at = np.flatnonzero(digit[:-2] & digit[2:])
    found = at[np.isin(lines.raw[at + 1], [ord(mark) for mark in ":/.-"])]
    return np.minimum(np.bincount(lines.line[:-2][found], minlength=len(lines)), 4)


def year_like(lines: Lines) -> Array:
    """Words of four digits."""
    start, _ = lines._word_bounds
    found = (lines.word_chars == 4) & (lines.kind[start] == _CLASS["digit"])
    return np.minimum(np.bincount(lines.word_line[found], minlength=len(lines)), 3)


def number_words(lines: Lines) -> Array:
    """Share of words that start with a digit."""
    return lines.share(lines.kind[lines._word_bounds[0]] == _CLASS["digit"])


def glued_words(lines: Lines) -> Array:
    """Small letters with a capital or digit stuck to them, as where two elements ran together."""
    small = lines.kind[:-1] == _CLASS["lower"]
    found = small & _is(lines.kind[1:], "upper", "digit")
    return np.minimum(np.bincount(lines.line[:-1][found], minlength=len(lines)), 4)


def address_like(lines: Lines) -> Array:
    """A web address."""
    return np.array(["://" in text or "www." in text for text in lines.texts], dtype=np.float32)


def longest_word(lines: Lines) -> Array:
    """Length of the longest word."""
    longest = np.zeros(len(lines), dtype=np.float32)
    filled = np.flatnonzero(np.diff(lines._word_line_edges))
    if len(filled):
        longest[filled] = np.maximum.reduceat(lines.word_chars, lines._word_line_edges[filled])
    return np.minimum(longest, 40)


# --- a line among the lines of its document ---------------------------------------------------------------------------


def body_share(lines: Lines) -> Array:
    """Words that the document's prose has on other lines too: function words and the subject, in any language."""
    return lines.share(lines.words_elsewhere > 0)


def body_weight(lines: Lines) -> Array:
    """How often the document's prose has the line's words."""
    return lines.share(np.log1p(lines.words_elsewhere))


def repeats(lines: Lines) -> Array:
    """How many other lines of the document are the same, digits aside."""
    key = lines.line_hash ^ (lines.doc.astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93))
    _, number = np.unique(key, return_inverse=True)
    return np.log(np.bincount(number)[number])


def said_before(lines: Lines) -> Array:
    """Whether the same line, digits aside, came earlier in the document."""
    key = lines.line_hash ^ (lines.doc.astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93))
    _, first, number = np.unique(key, return_index=True, return_inverse=True)
    return np.asarray(first[number] < np.arange(len(lines)))


def _index(lines: Lines) -> Array:
    return np.arange(len(lines)) - lines.doc_start


def _size(lines: Lines) -> Array:
    return lines.doc_end - lines.doc_start


def lines_before(lines: Lines) -> Array:
    """Lines before it."""
    return np.log1p(_index(lines))


def lines_after(lines: Lines) -> Array:
    """Lines after it."""
    return np.asarray(np.log1p(_size(lines) - 1 - _index(lines)))


def relative_index(lines: Lines) -> Array:
    """Its place among the lines."""
    return _divide(_index(lines), np.maximum(_size(lines) - 1, 1))


def _between(lines: Lines, values: Array, start: Array, end: Array) -> Array:
    total = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    return np.asarray(total[end] - total[start])


def prose_before(lines: Lines) -> Array:
    """Share of the document's prose above it."""
    mass = lines.chars * lines.prose
    return _divide(
        _between(lines, mass, lines.doc_start, np.arange(len(lines))),
        _between(lines, mass, lines.doc_start, lines.doc_end),
    )


def prose_after(lines: Lines) -> Array:
    """Prose below it, in characters."""
    mass = lines.chars * lines.prose
    return np.log1p(_between(lines, mass, np.arange(1, len(lines) + 1), lines.doc_end))


def document_lines(lines: Lines) -> Array:
    """Lines of the document."""
    return np.log1p(_size(lines))


def document_chars(lines: Lines) -> Array:
    """Characters of the document."""
    return np.log1p(_between(lines, lines.chars, lines.doc_start, lines.doc_end))


def document_prose_share(lines: Lines) -> Array:
    """Share of the document's characters that are prose."""
    return _divide(
        _between(lines, lines.chars * lines.prose, lines.doc_start, lines.doc_end),
        _between(lines, lines.chars, lines.doc_start, lines.doc_end),
    )


def document_line_chars(lines: Lines) -> Array:
    """Mean logarithm of the document's line lengths."""
    return _divide(_between(lines, np.log1p(lines.chars), lines.doc_start, lines.doc_end), _size(lines))


def document_stop_share(lines: Lines) -> Array:
    """Share of the document's lines that end like a sentence."""
    return _divide(_between(lines, _stops(lines), lines.doc_start, lines.doc_end), _size(lines))


def document_list_share(lines: Lines) -> Array:
    """Share of the document's lines that are short and end without a stop."""
    short = (lines.words < 8) & ~_stops(lines)
    return _divide(_between(lines, short, lines.doc_start, lines.doc_end), _size(lines))


def _last_prose(lines: Lines) -> Array:
    """Return the nearest prose line above each line, -1 when there is none in its document."""
    number = np.where(lines.prose, np.arange(len(lines)), -1)
    above = np.concatenate(([-1], np.maximum.accumulate(number)[:-1])) if len(lines) else number
    return np.where(above >= lines.doc_start, above, -1)


def _next_prose(lines: Lines) -> Array:
    """Return the nearest prose line below each line, -1 when there is none in its document."""
    number = np.where(lines.prose, np.arange(len(lines)), len(lines))
    below = np.concatenate((np.minimum.accumulate(number[::-1])[::-1][1:], [len(lines)])) if len(lines) else number
    return np.where(below < lines.doc_end, below, -1)


def gap_above(lines: Lines) -> Array:
    """Lines between it and the prose above."""
    above = _last_prose(lines)
    return np.where(above >= 0, np.log1p(np.arange(len(lines)) - above - 1), -1.0)


def gap_below(lines: Lines) -> Array:
    """Lines between it and the prose below."""
    below = _next_prose(lines)
    return np.where(below >= 0, np.log1p(np.maximum(below - np.arange(len(lines)) - 1, 0)), -1.0)


def gap_chars(lines: Lines) -> Array:
    """Characters between the prose above and the prose below."""
    above, below = _last_prose(lines), _next_prose(lines)
    start = np.where(above >= 0, above + 1, lines.doc_start)
    end = np.where(below >= 0, below, lines.doc_end)
    return np.log1p(_between(lines, lines.chars, start, np.maximum(end, start)))


def likeness_above(lines: Lines) -> Array:
    """Difference in length to the line above."""
    length = np.log1p(lines.chars)
    return np.abs(length - beside(lines, length, -1, 0.0))


def likeness_below(lines: Lines) -> Array:
    """Difference in length to the line below."""
    length = np.log1p(lines.chars)
    return np.abs(length - beside(lines, length, 1, 0.0))


def beside(lines: Lines, values: Array, step: int, missing: float) -> Floats:
    """Return the value of the line `step` lines further down, or `missing` outside the document."""
    other = np.arange(len(lines)) + step
    inside = (other >= lines.doc_start) & (other < lines.doc_end)
    out = np.full(len(lines), missing, dtype=np.float32)
    out[inside] = values[other[inside]]
    return out


def around(lines: Lines, values: Array, reach: int) -> Floats:
    """Return the mean over the lines up to `reach` lines away, within the document."""
    here = np.arange(len(lines))
    start = np.maximum(here - reach, lines.doc_start)
    end = np.minimum(here + reach + 1, lines.doc_end)
    mean: Floats = (_between(lines, values, start, end) / np.maximum(end - start, 1)).astype(np.float32)
    return mean


def _table(columns: Sequence[Array]) -> Floats:
    """Return columns as one table, without one of twice the precision in between."""
    table = np.empty((len(columns[0]), len(columns)), dtype=np.float32)
    for number, column in enumerate(columns):
        table[:, number] = column
    return table


Feature = Callable[[Lines], Array]

LINE_FEATURES: tuple[Feature, ...] = (
    log_chars,
    log_words,
    mean_word_chars,
    short_word_share,
    capital_share,
    upper_share,
    letter_share,
    ideograph_share,
    digit_share,
    stop_rate,
    comma_rate,
    colon_count,
    quote_count,
    divider_rate,
    bracket_count,
    tag_count,
    mark_count,
    picture_count,
    hyphen_rate,
    other_share,
    ends_with_stop,
    ends_with_dots,
    ends_with_question,
    ends_with_shout,
    ends_with_colon,
    ends_with_divider,
    ends_with_digit,
    ends_with_bracket,
    starts_upper,
    starts_lower,
    starts_with_digit,
    starts_with_quote,
    starts_with_sign,
    inner_sentences,
    clock_or_date,
    year_like,
    number_words,
    glued_words,
    address_like,
    longest_word,
    body_share,
    body_weight,
    repeats,
    said_before,
    lines_before,
    lines_after,
    relative_index,
    prose_before,
    prose_after,
    document_lines,
    document_chars,
    document_prose_share,
    document_line_chars,
    document_stop_share,
    document_list_share,
    gap_above,
    gap_below,
    gap_chars,
    likeness_above,
    likeness_below,
)

_SHOWN_TO_NEIGHBOURS = (log_chars, capital_share, ends_with_stop, starts_upper, body_share, number_words, divider_rate)
_AVERAGED = (log_chars, ends_with_stop, capital_share, body_share, digit_share)


def dense(lines: Lines) -> Floats:
    """Return the numbers that do not depend on what the line says, `(lines, features)`: its own and its neighbours'."""
    own = {feature: np.asarray(feature(lines), dtype=np.float32) for feature in LINE_FEATURES}
    columns = list(own.values())
    for feature in _SHOWN_TO_NEIGHBOURS:
        columns += [beside(lines, own[feature], step, -1.0) for step in (-3, -2, -1, 1, 2, 3)]
    for feature in _AVERAGED:
        columns += [around(lines, own[feature], reach) for reach in (2, 5, 12)]
    columns += [np.log1p(around(lines, lines.chars, reach)) for reach in (2, 5, 12)]
    columns += [around(lines, lines.prose, reach) for reach in (4, 12)]
    return _table(columns)


def context(lines: Lines, scores: Array) -> Floats:
    """Return numbers about a score of the line, its neighbours and its document, `(lines, features)`."""
    here = np.arange(len(lines))
    total = _between(lines, scores, lines.doc_start, lines.doc_end)
    above = _between(lines, scores, lines.doc_start, here)
    above_last, below_next = _last_prose(lines), _next_prose(lines)
    columns = [scores]
    columns += [beside(lines, scores, step, -1.0) for step in (-4, -3, -2, -1, 1, 2, 3, 4)]
    columns += [around(lines, scores, reach) for reach in (2, 4, 8, 16)]
    columns += [total / np.maximum(_size(lines), 1)]
    columns += [_divide(above, _index(lines)), _divide(total - above - scores, lines.doc_end - here - 1)]
    columns += [
        np.where(above_last >= 0, scores[above_last], -1.0),
        np.where(below_next >= 0, scores[below_next], -1.0),
    ]
    weight = lines.chars.astype(np.float64)
    heavy = _between(lines, scores * weight, lines.doc_start, lines.doc_end)
    columns += [_divide(heavy, _between(lines, weight, lines.doc_start, lines.doc_end))]
    return _table(columns)


def hits(lines: Lines, marked: Array) -> Floats:
    """Return numbers about the lines that rules have found: how near they are and how many, `(lines, features)`."""
    found = np.asarray(marked, dtype=np.float64)
    here = np.arange(len(lines))
    above = np.concatenate(([-1], np.maximum.accumulate(np.where(marked, here, -1))[:-1])) if len(lines) else here
    last = np.where(marked, here, len(lines))
    below = np.concatenate((np.minimum.accumulate(last[::-1])[::-1][1:], [len(lines)])) if len(lines) else here
    columns = [
        np.where(above >= lines.doc_start, np.log1p(np.maximum(here - above, 0)), _FAR),
        np.where(below < lines.doc_end, np.log1p(np.maximum(below - here, 0)), _FAR),
    ]
    columns += [around(lines, found, reach) for reach in (2, 5, 12)]
    columns += [
        _divide(_between(lines, found, lines.doc_start, lines.doc_end), _size(lines)),
        np.log1p(_between(lines, found, lines.doc_start, here)),
        np.log1p(_between(lines, found, here, lines.doc_end)),
    ]
    return _table(columns)


def alike(lines: Lines, scores: Array) -> Floats:
    """Return how many lines of the document are like each in shape or words, and their mean score, per likeness."""
    columns: list[Array] = []
    for family in lines.families:
        size = np.bincount(family)[family]
        rest = np.bincount(family, weights=scores)[family] - scores
        columns += [np.log(size), np.where(size > 1, rest / np.maximum(size - 1, 1), -1.0)]
    return _table(columns)


def stretches(lines: Lines, scores: Array, marked: Array) -> Floats:
    """Return numbers about the stretch between paragraphs that each line stands in, `(lines, features)`.

    Lines of prose make stretches of their own.
    """
    begins = np.ones(len(lines), dtype=bool)
    begins[1:] = (lines.prose[1:] != lines.prose[:-1]) | (lines.doc[1:] != lines.doc[:-1])
    number = np.cumsum(begins) - 1
    first = np.flatnonzero(begins)
    size = np.bincount(number)

    def mean(values: Array) -> Array:
        return np.asarray((np.bincount(number, weights=values) / size)[number])

    columns = [mean(scores)]
    columns += [edge.reduceat(scores, first)[number] for edge in (np.maximum, np.minimum) if len(lines)]
    columns += [mean(marked), np.log1p(size)[number]]
    columns += [_divide(np.arange(len(lines)) - first[number], np.maximum(size - 1, 1)[number])]
    columns += [np.log1p(number - number[lines.doc_start]), np.log1p(number[lines.doc_end - 1] - number)]
    columns += [mean(np.log1p(lines.chars))]
    return _table(columns)


def within_body(lines: Lines, scores: Array) -> Floats:
    """Return where each line stands in what is probably the article: its characters before, after and close by."""
    mass = lines.chars * (1.0 - np.asarray(scores, dtype=np.float64))
    here = np.arange(len(lines))
    total = _between(lines, mass, lines.doc_start, lines.doc_end)
    before = _between(lines, mass, lines.doc_start, here)
    after = np.maximum(total - before - mass, 0.0)
    columns = [_divide(before, total), np.log1p(before), np.log1p(after), np.log1p(mass) - np.log1p(total)]
    for reach in (3, 8):
        start, end = np.maximum(here - reach, lines.doc_start), np.minimum(here + reach + 1, lines.doc_end)
        columns += [np.log1p(_between(lines, mass, start, here)), np.log1p(_between(lines, mass, here + 1, end))]
    return _table(columns)
