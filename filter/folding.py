"""Folds lines to the form that rules are matched against: small letters, no accents, one blank between words.

A batch is folded as one array of code points, by a table. Only lines that hold a code point whose folded form depends
on its neighbours or is longer than itself, and lines with words glued together, are folded one by one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "GLUED",
    "MAX_CHARS",
    "UNSPACED",
    "WIDE",
    "fold",
    "fold_lines",
    "fold_singly",
    "fold_text",
    "strip_marks",
    "word_count",
    "words_in",
    "words_in_each",
]

MAX_CHARS = 480
"""Longer lines are prose that no rule may judge; skipping them keeps matching off nine tenths of the text."""

GLUED = "\x00"
"""Stands in a folded line before the second of two words that were glued together."""

WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Chinese and Japanese characters: scripts without blanks between words."""

UNSPACED = re.compile(f"{WIDE.pattern[:-1]}\\u0e00-\\u0e7f]")
"""These and Thai."""

# Accents, Arabic vowel signs and the stretching stroke, soft hyphens and zero-width letters.
_MARKS = re.compile(r"[\u0300-\u036f\u0640\u064b-\u0655\u0670\xad\u200b-\u200d]+")
# Letters that Unicode does not decompose into a base letter and an accent.
_BASE_LETTERS = {"ł": "l", "ø": "o", "đ": "d", "ı": "i"}
_SMALL = "a-zß-öø-ÿа-яё"
_CAPITAL = "A-ZÀ-ÖØ-ÞА-ЯЁ¿¡"
_SEAM = re.compile(f"(?<=[{_SMALL}])(?=[{_CAPITAL}])")
_NO_SEAM = re.compile(r"[#@]\S+|\S+\.\S+/\S*")
_MARK = "\ue000"  # private use: survives folding up to the last step, and no site means anything by it
_NOT_WORD = re.compile(rf"[^\w@#©%&+€$£\n{_MARK}]+")

Array = npt.NDArray[Any]

# The table: 21 bits for the folded code point (0 for none), and what must be known of it besides.
_LIMIT = 0x20000  # beyond are rare ideographs; they are folded one by one
_CODE = np.uint32((1 << 21) - 1)
_ODD, _BEFORE_SEAM, _AFTER_SEAM, _DROPPED = (np.uint32(1 << bit) for bit in (24, 25, 26, 27))
_BLANK, _BREAK = ord(" "), ord("\n")
# Vowels and final consonants of Korean join the letter before them; Unicode gives no table of these.
_JOINING_JAMO = (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))


def fold(line: str) -> str:
    """Return the form of a line that patterns are matched against.

    Lower case, without accents and punctuation, one blank between words and one at each end.

    >>> fold("¿Quieres  añadir otro usuario?")
    ' quieres anadir otro usuario '
    """
    return next(iter(fold_lines([line]))).replace(GLUED, "")


def fold_lines(lines: Sequence[str], max_chars: int | None = MAX_CHARS) -> list[str]:
    r"""Return the folded form of each line; empty for a line over `max_chars`.

    A small letter directly before a capital is two words glued together, often by a picture's caption: a blank is put
    between them, and GLUED after the first pair of a line, so that both readings can be tried.

    >>> fold_lines(["FlechaTu suscripción", "x" * 1000])
    [' flecha \x00tu suscripcion ', '']
    """
    if not lines:
        return []
    short = list(lines) if max_chars is None else [line if len(line) <= max_chars else "" for line in lines]
    joined = " \n ".join(short)
    if joined.count("\n") >= len(short):  # a line break inside a line
        short = [line.replace("\n", " ") for line in short]
        joined = " \n ".join(short)
    folded, odd, glued = _fold_at_once(joined)
    if glued.size:
        # With the words set apart they fold like any other line.
        again = [_split_glued(short[number]) for number in glued.tolist()]
        for number, line in zip(glued.tolist(), _fold_at_once(" \n ".join(again))[0], strict=True):
            folded[number] = line
    if odd.size:
        for number, line in zip(odd.tolist(), fold_singly([short[number] for number in odd.tolist()]), strict=True):
            folded[number] = line
    return folded


def _fold_at_once(joined: str) -> tuple[list[str], Array, Array]:
    """Return the folded lines of a text, and the numbers of those to be folded singly, and of those with a seam."""
    codes = np.frombuffer(f" {joined} ".replace("ß", "ss").encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    entries = _table().take(codes, mode="clip")
    present = np.bitwise_or.reduce(entries)
    odd: Array = np.zeros(0, dtype=np.int64)
    glued: Array = odd
    if present & _ODD or (present & _AFTER_SEAM and present & _BEFORE_SEAM):
        breaks = np.flatnonzero(codes == _BREAK)
        odd = np.unique(np.searchsorted(breaks, np.flatnonzero(entries & _ODD)))
        seams = np.flatnonzero((entries[1:] & _AFTER_SEAM != 0) & (entries[:-1] & _BEFORE_SEAM != 0))
        glued = np.setdiff1d(np.searchsorted(breaks, seams), odd)
    out = entries & _CODE
    if present & _DROPPED:
        out = out[out != 0]
    blank = out == _BLANK
    out = out[1:][~(blank[1:] & blank[:-1])]
    # The first blank is gone, so that each line but the first begins with one.
    folded = f" {out.tobytes().decode('utf-32-le')}".replace(_MARK, GLUED).split("\n")
    return [line if len(line) > 2 else "" for line in folded], odd, glued


def fold_singly(lines: Sequence[str]) -> list[str]:
    """Return what `fold_lines` returns, for lines up to MAX_CHARS without line breaks; slower."""
    folded = fold_text("\n".join(map(_split_glued, lines)))
    return [f" {stripped} " if (stripped := line.strip()) else "" for line in folded.split("\n")]


def _split_glued(line: str) -> str:
    seams = [match.start() for match in _SEAM.finditer(line)]
    if seams and any(map(line.__contains__, "#@/")):
        # Handles, hashtags and addresses are written with capitals inside.
        closed = [match.span() for match in _NO_SEAM.finditer(line)]
        seams = [seam for seam in seams if not any(start < seam < end for start, end in closed)]
    if not seams:
        return line
    # Only a single word before the seam can be a caption; otherwise both readings are the same.
    mark = _MARK if not re.search(r"\s", line[: seams[0]]) else ""
    pieces = [line[start:end] for start, end in zip([0, *seams], [*seams, len(line)], strict=True)]
    return " ".join([pieces[0], mark + pieces[1], *pieces[2:]])


def fold_text(text: str) -> str:
    """Return a text of any length folded, its line breaks kept; no blank is added or taken away at the ends."""
    text = text.casefold()
    if not text.isascii():
        text = strip_marks(text)
    return _NOT_WORD.sub(" ", text).replace(_MARK, GLUED)


def strip_marks(text: str) -> str:
    """Return a text of small letters without accents and other marks."""
    text = _MARKS.sub("", unicodedata.normalize("NFKD", text).casefold())
    for letter, base in _BASE_LETTERS.items():
        text = text.replace(letter, base)
    return unicodedata.normalize("NFC", text)


@lru_cache(maxsize=1)
def _table() -> Array:
    """Return for each code point below _LIMIT what it folds to, and _ODD where that is not one code point or none."""
    chars = [chr(code) for code in range(_LIMIT)]
    chars[_BREAK] = " "
    folded = fold_text("\n".join(chars)).split("\n")
    table = np.full(_LIMIT + 1, _ODD, dtype=np.uint32)
    lengths = np.fromiter(map(len, folded), dtype=np.uint32, count=_LIMIT)
    single = np.flatnonzero(lengths == 1)
    results = np.array([ord(folded[code]) for code in single.tolist()], dtype=np.uint32)
    table[single] = results
    table[np.flatnonzero(lengths == 0)] = _DROPPED
    # The second half of every canonical pair joins the letter before it.
    joins = np.zeros(_LIMIT + 1, dtype=bool)
    joins[list(_JOINING_JAMO)] = True
    for parts in map(unicodedata.decomposition, chars):
        if " " in parts and "<" not in parts:
            joins[min(int(parts.split()[1], 16), _LIMIT)] = True
    table[joins & (table != _DROPPED)] = _ODD
    table[single[joins[np.minimum(results, _LIMIT)]]] = _ODD
    table[_BREAK], table[ord(_MARK)] = _BREAK, ord(_MARK)
    small, capital = re.compile(f"[{_SMALL}]"), re.compile(f"[{_CAPITAL}]")
    for code in range(0x500):
        if small.match(chars[code]):
            table[code] |= _BEFORE_SEAM
        elif capital.match(chars[code]):
            table[code] |= _AFTER_SEAM
    return table


def word_count(folded: str) -> float:
    """Return how many words a folded line holds; two Chinese or Japanese characters count as one.

    >>> word_count(fold("Sign up now")), word_count(fold("今すぐ登録"))
    (3, 2.5)
    """
    blanks = folded.count(" ") - 1
    if folded.isascii():
        return blanks
    wide = len(WIDE.findall(folded))
    return blanks + (wide - min(wide, blanks) if wide < 2 else wide / 2 - 1) if wide else blanks


def words_in(text: str) -> float:
    """Return how many words a line as written holds: pieces between blanks, and half of its unspaced characters.

    >>> words_in("Sign up now!"), words_in("今すぐ登録")
    (3, 3.5)
    """
    pieces = len(text.split())
    return pieces if text.isascii() else pieces + len(UNSPACED.findall(text)) / 2


def words_in_each(lines: Sequence[str]) -> list[float]:
    r"""Return what `words_in` returns for each line; for many lines at once, and without line breaks in them.

    >>> words_in_each(["Sign up now!", "", "今すぐ登録"])
    [3.0, 0.0, 3.5]
    """
    joined = "\n".join(lines)
    codes = np.frombuffer(f"\n{joined}\n".encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    ends = np.flatnonzero(codes == _BREAK)
    if len(ends) != len(lines) + 1:
        return [float(words_in(line)) for line in lines]
    kinds = _word_table().take(codes, mode="clip")
    starts = (kinds[1:] & 1 == 0) & (kinds[:-1] & 1 != 0)
    counts = np.diff(np.concatenate(([0], np.cumsum(starts)))[ends]).astype(float)
    if not joined.isascii():
        counts += np.diff(np.concatenate(([0], np.cumsum(kinds & 2)))[ends]) / 4
    found: list[float] = counts.tolist()
    return found


@lru_cache(maxsize=1)
def _word_table() -> Array:
    """Return for each code point below _LIMIT 1 if it is blank, 2 if it is of a script without blanks."""
    chars = "".join(map(chr, range(_LIMIT)))
    table = np.zeros(_LIMIT + 1, dtype=np.uint8)
    table[[match.start() for match in re.finditer(r"\s", chars)]] = 1
    table[[match.start() for match in UNSPACED.finditer(chars)]] = 2
    return table
