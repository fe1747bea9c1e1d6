"""Numbers about the quality of texts, and the few of them that call a line broken.

`measures` gives the numbers by which Gopher, C4 and FineWeb choose documents, and some of our own, for a batch of texts
at once. They are for people to look at, and for thresholds of their own: most say something of English prose only, and
none of scripts that put no blanks between words. By themselves, `find_flaws` uses only what genuine text of any
language and kind hardly ever shows; `python -m benchmarks.low_quality` measures how rarely.

Sources: Gopher is Rae et al. 2021 (arXiv:2112.11446), appendix A1.1; C4 is Raffel et al. 2020 (JMLR 21:140), section
2.2; FineWeb is Penedo et al. 2024 (arXiv:2406.17557), section 3.6. Where a paper leaves something open, it is settled
as in datatrove 0.10, and `python -m benchmarks.agree_datatrove` compares the numbers. Words are found otherwise here:
runs of letters and digits, English clitics, and single marks, where datatrove asks spaCy.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["MEASURES", "Flaw", "Texts", "find_flaws", "measures"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# What is no part of a word: ASCII, Latin-1, general, CJK and full-width marks, Arabic and Indic stops.
_MARKS = (
    r"!-/:-@\[-`{-~\u00a1-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u037e\u0387\u055a-\u055f\u05be\u060c\u061b"
    r"\u061f\u066a-\u066c\u06d4\u0964\u0965\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2190-\u21ff\u2200-\u23ff\u2500-\u27bf"
    r"\u3001-\u3003\u3008-\u301f\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
_TOKEN = re.compile(
    rf"[^\s{_MARKS}]+(?:(?:\.(?=\w)|(?<=\d),(?=\d)|[-/](?=\d))[^\s{_MARKS}]+)*"
    r"|(?<=\w)['’](?:s|t|re|ve|ll|d|m)\b"
    rf"|\.{{2,}}|-{{2,}}|[{_MARKS}]",
    re.IGNORECASE,
)
_TERMINALS = tuple(".!?‼‽⁇⁈⁉。．！？｡﹒﹖﹗؟۔؞।॥։።፧፨။၊។៕᙮᠃᠉܀܁܂᱾᱿꓿꛳꛷꩝꩞꩟꯫⸮⸼")
_C4_ENDS = (".", "?", "!", '"', "'")
_C4_CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
_C4_POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
_STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))
_BULLETS, _ELLIPSES = ("•", "-"), ("...", "…")
_SENTENCE = re.compile(r"[.!?。！？]+(?=[\"'”’)\]]*(?:\s|$))")
_SHORT_LINE_CHARS = 30
_MAX_C4_WORD_CHARS = 1000
_MIN_TOPIC_CHARS = 4


class Texts:
    """A batch of texts, cut once into what the measures count; every attribute has one entry per text.

    Words stand as numbers in one flat array, `first[i]` to `first[i + 1]` being those of text `i`.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        if isinstance(texts, str):
            raise TypeError("texts must be a sequence of texts; write [text] for one")
        self.texts = list(texts)
        self.chars = _floats(map(len, self.texts))

    @cached_property
    def tokens(self) -> list[list[str]]:
        """The words and marks of each text."""
        return [_TOKEN.findall(text) for text in self.texts]

    @cached_property
    def token_count(self) -> Floats:
        """How many words and marks each text has."""
        return _floats(map(len, self.tokens))

    @cached_property
    def first(self) -> Ints:
        """The first word of each text in the flat arrays, and the end of the last."""
        return np.concatenate(([0], np.cumsum(self.token_count, dtype=np.int64)))

    @cached_property
    def numbers(self) -> npt.NDArray[np.uint64]:
        """A number for every word and mark; the same word has the same one."""
        known: dict[str, int] = {}
        flat = [known.setdefault(token, len(known)) for tokens in self.tokens for token in tokens]
        return np.array(flat, dtype=np.uint64)

    @cached_property
    def lengths(self) -> Ints:
        """The length of every word and mark, in characters."""
        return np.array([len(token) for tokens in self.tokens for token in tokens], dtype=np.int64)

    @cached_property
    def words(self) -> list[list[str]]:
        """The words of each text, without marks."""
        return [[token for token in tokens if _is_word(token)] for tokens in self.tokens]

    @cached_property
    def lines(self) -> list[list[str]]:
        """The lines of each text that are not blank, as they stand (FineWeb)."""
        return [[line for line in text.split("\n") if line.strip()] for text in self.texts]

    @cached_property
    def split_lines(self) -> list[list[str]]:
        """All lines of each text, blank ones too (Gopher quality, C4)."""
        return [text.splitlines() for text in self.texts]

    @cached_property
    def runs(self) -> list[list[str]]:
        """What stands between line breaks, several counting as one (Gopher repetition)."""
        return [_BREAKS.split(text) for text in self.texts]

    @cached_property
    def paragraphs(self) -> list[list[str]]:
        """What stands between blank lines."""
        return [_BLANK_LINES.split(text.strip()) for text in self.texts]

    @cached_property
    def kept_lines(self) -> list[list[str]]:
        """The lines that C4 keeps."""
        return [[line for line in map(_c4_line, lines) if line] for lines in self.split_lines]


_BREAKS, _BLANK_LINES = re.compile("\n+"), re.compile("\n{2,}")


def measures(texts: Sequence[str]) -> dict[str, Floats]:
    """Return every measure of some texts: a name from MEASURES, and one number per text.

    What would divide by nothing is 0: an empty text has no repetition and no words.

    Raises:
        TypeError: `texts` is a single string.

    >>> found = measures(["To be or not to be.", ""])
    >>> found["words"].tolist(), found["sentence_line_share"].tolist()
    ([6.0, 0.0], [1.0, 0.0])
    """
    batch = Texts(texts)
    return {name: measure(batch) for name, measure in MEASURES.items()}


# --- Gopher: quality --------------------------------------------------------------------------------------------------


def words(batch: Texts) -> Floats:
    """Number of words, without marks. Gopher keeps documents of 50 to 100,000."""
    return _floats(map(len, batch.words))


def mean_word_chars(batch: Texts) -> Floats:
    """Mean length of a word, in characters. Gopher: 3 to 10."""
    return _divide(_floats(sum(map(len, words)) for words in batch.words), words(batch))


def hash_rate(batch: Texts) -> Floats:
    """Hash signs per word or mark. Gopher: at most 0.1."""
    return _divide(_floats(text.count("#") for text in batch.texts), batch.token_count)


def ellipsis_rate(batch: Texts) -> Floats:
    """Ellipses (… or three dots) per word or mark. Gopher: at most 0.1."""
    return _divide(_floats(text.count("...") + text.count("…") for text in batch.texts), batch.token_count)


def bullet_line_share(batch: Texts) -> Floats:
    """Share of lines that begin with a bullet or hyphen. Gopher: at most 0.9."""
    return _share(batch.split_lines, lambda line: line.lstrip().startswith(_BULLETS))


def ellipsis_line_share(batch: Texts) -> Floats:
    """Share of lines that end with an ellipsis. Gopher: at most 0.3."""
    return _share(batch.split_lines, lambda line: line.rstrip().endswith(_ELLIPSES))


def letter_word_share(batch: Texts) -> Floats:
    """Share of words and marks that hold a letter. Gopher: at least 0.8."""
    return _share(batch.tokens, _has_letter)


def stop_words(batch: Texts) -> Floats:
    """How many of eight English stop words (the be to of and that have with) occur. Gopher: at least 2."""
    return _floats(len(_STOP_WORDS.intersection(tokens)) for tokens in batch.tokens)


# --- Gopher: repetition -----------------------------------------------------------------------------------------------


def repeated_line_share(batch: Texts) -> Floats:
    """Share of lines that stood before, the first time not counted. Gopher: at most 0.3."""
    return _floats(_repeats(lines)[0] / len(lines) for lines in batch.runs)


def repeated_line_char_share(batch: Texts) -> Floats:
    """Characters of such lines per character of the text. Gopher: at most 0.2."""
    return _divide(_floats(_repeats(lines)[1] for lines in batch.runs), batch.chars)


def repeated_paragraph_share(batch: Texts) -> Floats:
    """Share of paragraphs that stood before. Gopher: at most 0.3."""
    return _floats(_repeats(paragraphs)[0] / len(paragraphs) for paragraphs in batch.paragraphs)


def repeated_paragraph_char_share(batch: Texts) -> Floats:
    """Characters of such paragraphs per character of the text. Gopher: at most 0.2."""
    return _divide(_floats(_repeats(paragraphs)[1] for paragraphs in batch.paragraphs), batch.chars)


def top_gram_char_share(batch: Texts, order: int) -> Floats:
    """Characters of the commonest n-gram, all its occurrences, per character. Gopher: 0.20, 0.18, 0.16 for 2, 3, 4.

    Of equally common ones the first counts, with blanks between its words. Occurrences may overlap.
    """
    gram, owner, begin = _grams(batch, order)
    total = np.zeros(len(batch.texts))
    if len(gram):
        _, at, count = _distinct(gram, owner)
        # By text, then the commonest, then the first.
        best = np.lexsort((at, -count, owner[at]))
        texts, where = np.unique(owner[at][best], return_index=True)
        chosen = best[where]
        ends = np.concatenate(([0], np.cumsum(batch.lengths)))
        start = begin[at[chosen]]
        total[texts] = (ends[start + order] - ends[start] + order - 1) * count[chosen]
    return _divide(total, batch.chars)


def repeated_gram_char_share(batch: Texts, order: int) -> Floats:
    """Characters in n-grams that stood before, per character of the text; Gopher: 0.15 (n = 5) down to 0.10 (n = 10).

    Read from left to right: behind a repeated n-gram reading goes on after its last word, so that no character counts
    twice. Blanks do not count.
    """
    gram, owner, begin = _grams(batch, order)
    total = np.zeros(len(batch.texts))
    if len(gram):
        which, at, _ = _distinct(gram, owner)
        original = at[which]
        later = np.flatnonzero(original != np.arange(len(gram)))
        ends = np.concatenate(([0], np.cumsum(batch.lengths)))
        size = ends[begin + order] - ends[begin]
        passed, known = np.zeros(len(gram) + order, dtype=bool), set()
        # Only what stood before needs to be gone through: the rest is read and remembered. The n-grams of a text
        # follow each other, and reading never goes beyond the last of them.
        for i in later.tolist():
            if passed[i]:
                continue
            if not passed[original[i]] or original[i] in known:
                total[owner[i]] += size[i]
                stop = min(i + order, int(np.searchsorted(owner, owner[i], side="right")))
                passed[i + 1 : stop] = True
            else:
                known.add(original[i])
    return _divide(total, batch.chars)


def _grams(batch: Texts, order: int) -> tuple[npt.NDArray[np.uint64], Ints, Ints]:
    """Return the n-grams of all texts as numbers, the text each stands in, and its first word in the flat arrays."""
    counts = np.maximum(0, np.diff(batch.first) - order + 1)
    owner = np.repeat(np.arange(len(counts)), counts)
    begin = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts) + batch.first[owner]
    gram = np.zeros(len(begin), dtype=np.uint64)
    for i in range(order):
        # An odd factor and a shift after each word: as good as no two different n-grams get the same number.
        gram = (gram ^ (batch.numbers[begin + i] + np.uint64(i + 1))) * np.uint64(0x9E3779B97F4A7C15)
        gram ^= gram >> np.uint64(29)
    return gram, owner, begin


def _distinct(gram: npt.NDArray[np.uint64], owner: Ints) -> tuple[Ints, Ints, Ints]:
    """Return, for each n-gram, which of the different ones of its text it is; where each of those is first; how often.

    Texts follow each other, so a stable sort by number and a cut at every change of number or text does it.
    """
    order = np.lexsort((owner, gram))
    new = np.ones(len(gram), dtype=bool)
    new[1:] = (np.diff(gram[order]) != 0) | (np.diff(owner[order]) != 0)
    which = np.empty(len(gram), dtype=np.int64)
    which[order] = np.cumsum(new) - 1
    starts = np.flatnonzero(new)
    return which, order[starts], np.diff(np.append(starts, len(gram)))


# --- C4 ---------------------------------------------------------------------------------------------------------------


def sentence_line_share(batch: Texts) -> Floats:
    """Share of lines that end like a sentence (. ? ! or a straight quote, and no three dots). C4 keeps only those."""
    return _share(batch.split_lines, lambda line: _ends_sentence(line.strip()))


def c4_kept_line_share(batch: Texts) -> Floats:
    """Share of lines that C4 keeps: three words, a sentence end, no “javascript”, no cookie or policy notice."""
    return _divide(_floats(map(len, batch.kept_lines)), _floats(map(len, batch.split_lines)))


def c4_sentences(batch: Texts) -> Floats:
    """Sentences in the lines that C4 keeps. C4: at least 5."""
    return _floats(
        sum(max(1, len(_SENTENCE.findall(line))) for line in lines) if lines else 0 for lines in batch.kept_lines
    )


def curly_brackets(batch: Texts) -> Floats:
    """Opening curly brackets. C4: none."""
    return _floats(text.count("{") for text in batch.texts)


def lorem_ipsum(batch: Texts) -> Floats:
    """Times that “lorem ipsum” occurs, in any case. C4: none."""
    return _floats(text.lower().count("lorem ipsum") for text in batch.texts)


def _ends_sentence(line: str) -> bool:
    return line.endswith(_C4_ENDS) and not line.endswith("...")


def _c4_line(line: str) -> str:
    """Return a line as C4 keeps it, or nothing."""
    line = line.strip()
    if not line.endswith((*_C4_ENDS, "]")):  # most of what goes, and cheap; a citation may stand behind the end
        return ""
    parts = line.split()
    if len(parts) < 3 or any(len(part) > _MAX_C4_WORD_CHARS for part in parts):
        return ""
    line = _C4_CITATION.sub("", line)
    lower = line.lower()
    is_kept = _ends_sentence(line) and "javascript" not in lower and not any(policy in lower for policy in _C4_POLICY)
    return line if is_kept else ""


# --- FineWeb ----------------------------------------------------------------------------------------------------------


def terminal_line_share(batch: Texts) -> Floats:
    """Share of lines that end with a mark that ends sentences in any script, blank lines left out. FineWeb: 0.12."""
    return _share(batch.lines, lambda line: line.endswith(_TERMINALS))


def short_line_share(batch: Texts) -> Floats:
    """Share of lines of at most 30 characters, blank lines left out. FineWeb: at most 0.67."""
    return _share(batch.lines, lambda line: len(line) <= _SHORT_LINE_CHARS)


def repeated_filled_line_char_share(batch: Texts) -> Floats:
    """Characters in lines that stood before, per character without line breaks. FineWeb: at most 0.01."""
    chars = _floats(len(text) - text.count("\n") for text in batch.texts)
    return _divide(_floats(_repeats(lines)[1] for lines in batch.lines), chars)


def line_break_rate(batch: Texts) -> Floats:
    """Line breaks per word or mark. FineWeb: at most 0.3."""
    return _divide(_floats(text.count("\n") for text in batch.texts), batch.token_count)


# --- our own ----------------------------------------------------------------------------------------------------------


def damage_rate(batch: Texts) -> Floats:
    """Signs of a wrong encoding per character: those of UTF-8 read as something else (ftfy), lost and control ones."""
    return _divide(_floats(map(_damage, batch.texts)), batch.chars)


def symbol_share(batch: Texts) -> Floats:
    """Share of characters that are no letter, digit or blank. Vowel signs of Indic scripts count as symbols."""
    return _floats(1 - _plain_share(text) for text in batch.texts)


def longest_word_chars(batch: Texts) -> Floats:
    """Length of the longest stretch without a blank; languages that put no blanks between words have long ones."""
    return _floats(max(map(len, text.split()), default=0) for text in batch.texts)


def odd_word_share(batch: Texts) -> Floats:
    """Share of words of four letters a to z and more without a vowel, or with six consonants on end; 0 without any."""
    return _floats(_odd_words(text)[0] for text in batch.texts)


def top_word_share(batch: Texts) -> Floats:
    """Share of the commonest word of four letters and more among all words, in any case: high in lists of keywords."""
    return _floats(_top_word(words)[1] for words in batch.words)


def ends_open(batch: Texts) -> Floats:
    """1 when the last line is longer than a heading and does not end like a sentence: the text may be cut off."""
    return _floats(
        bool(lines) and len(lines[-1].split()) > 12 and not lines[-1].rstrip(" \"'”’»)]").endswith(_TERMINALS)
        for lines in batch.lines
    )


Measure = Callable[[Texts], Floats]


def _of_order(measure: Callable[[Texts, int], Floats], order: int) -> Measure:
    return lambda batch: measure(batch, order)


MEASURES: dict[str, Measure] = {
    **{
        measure.__name__: measure
        for measure in (
            words,
            mean_word_chars,
            hash_rate,
            ellipsis_rate,
            bullet_line_share,
            ellipsis_line_share,
            letter_word_share,
            stop_words,
            repeated_line_share,
            repeated_line_char_share,
            repeated_paragraph_share,
            repeated_paragraph_char_share,
        )
    },
    **{f"top_{order}_gram_char_share": _of_order(top_gram_char_share, order) for order in (2, 3, 4)},
    **{f"repeated_{order}_gram_char_share": _of_order(repeated_gram_char_share, order) for order in range(5, 11)},
    **{
        measure.__name__: measure
        for measure in (
            sentence_line_share,
            c4_kept_line_share,
            c4_sentences,
            curly_brackets,
            lorem_ipsum,
            terminal_line_share,
            short_line_share,
            repeated_filled_line_char_share,
            line_break_rate,
            damage_rate,
            symbol_share,
            longest_word_chars,
            odd_word_share,
            top_word_share,
            ends_open,
        )
    },
}
"""Every measure by name: a function from a batch of texts to one number for each."""


def _floats(values: Any) -> Floats:
    return np.array(list(values), dtype=np.float64)


def _divide(above: Floats, below: Floats) -> Floats:
    found: Floats = above / np.maximum(below, 1)
    return found


def _share(groups: Sequence[Sequence[str]], holds: Callable[[str], bool]) -> Floats:
    return _floats(sum(map(holds, group)) / max(1, len(group)) for group in groups)


def _repeats(items: Sequence[str]) -> tuple[int, int]:
    """Return how many items stood before, and their characters."""
    seen: set[str] = set()
    count = chars = 0
    for item in items:
        if item in seen:
            count += 1
            chars += len(item)
        else:
            seen.add(item)
    return count, chars


def _is_word(token: str) -> bool:
    return token.isalnum() or any(map(str.isalnum, token))


def _has_letter(token: str) -> bool:
    return token.isalpha() or any(map(str.isalpha, token))


# --- one text ---------------------------------------------------------------------------------------------------------

_LOST = re.compile("[\ufffd\x00-\x08\x0b\x0e-\x1f\x7f]|ï¿½")
_MISREAD_AS = ("latin-1", "cp1250", "cp1251", "cp1252", "cp437", "cp850", "mac_roman", "koi8-r")
_LATIN_WORD = re.compile(r"[A-Za-z]{4,}")
_ODD_WORD = re.compile(r"(?![A-Za-z]*[aeiouyAEIOUY])|[A-Za-z]*[b-df-hj-np-tv-xzB-DF-HJ-NP-TV-XZ]{6}")


def _damage(text: str) -> int:
    """Return how many signs of a wrong encoding a text has."""
    lost = len(_LOST.findall(text))
    if not _may_be_misread(text):
        return lost
    from ftfy.badness import badness

    return int(badness(text)) + lost


def _may_be_misread(text: str) -> bool:
    return not text.isascii() and _misread().search(text) is not None


@lru_cache(maxsize=1)
def _misread() -> re.Pattern[str]:
    """Return what finds two bytes of UTF-8 read as two characters. Where there are none, ftfy need not be asked.

    Genuine text has such pairs too, but few texts do. One class for all encodings is ten times as fast as one for each.
    """
    first, second = (
        sorted({char for encoding in _MISREAD_AS for char in part.decode(encoding, "ignore")})
        for part in (bytes(range(0xC2, 0xF5)), bytes(range(0x80, 0xC0)))
    )
    return re.compile(f"[{re.escape(''.join(first))}][{re.escape(''.join(second))}]")


def _plain_share(text: str) -> float:
    """Return the share of letters, digits and blanks."""
    return (sum(map(str.isalnum, text)) + sum(map(str.isspace, text))) / len(text) if text else 1.0


def _odd_words(text: str) -> tuple[float, int]:
    """Return the share of words of Latin letters that cannot be spoken, and how many such words were looked at."""
    latin = _LATIN_WORD.findall(text)
    return sum(map(bool, map(_is_odd, latin))) / max(1, len(latin)), len(latin)


def _is_odd(word: str) -> bool:
    return _ODD_WORD.match(word) is not None


def _top_word(words: Sequence[str]) -> tuple[str, float]:
    """Return the commonest word of four letters and more, and its share of all words."""
    counts = Counter(word.lower() for word in words if len(word) >= _MIN_TOPIC_CHARS and not word.isnumeric())
    if not counts:
        return "", 0.0
    word, count = counts.most_common(1)[0]
    return word, count / len(words)


# --- flaws ------------------------------------------------------------------------------------------------------------

MIN_DAMAGE, MAX_DAMAGE_RATE = 2, 0.01
MIN_SYMBOL_CHARS, MAX_SYMBOL_SHARE = 80, 0.8
MAX_WORD_CHARS = 300
MIN_REPEATED_WORDS, MAX_DISTINCT_WORD_SHARE, MAX_REPEATED_GRAM_SHARE = 40, 0.6, 0.75
MIN_UNSPACED_CHARS, MAX_DISTINCT_CHAR_SHARE, MAX_BLANK_SHARE = 100, 0.2, 0.04
MIN_ODD_WORDS, MAX_ODD_SHARE = 12, 0.6
MAX_TOP_WORD_SHARE = 0.2
MIN_TOPIC_WORDS, MAX_SHORT_TOP_WORD_SHARE = 24, 0.25  # of a line too short for the limits above
MIN_COPIED_CHARS, MIN_COPIED_TEXT_CHARS, MAX_COPIED_SHARE = 60, 400, 0.3

_BLOB = re.compile(r"[A-Za-z0-9+/=_-]+$")


class Flaw(NamedTuple):
    """What makes a line unusable.

    Attributes:
        line: number of the line in its text.
        rule: encoding, unbroken, symbols, repeated, gibberish, keywords or copied.
        score: how sure that is, in [0, 1].
        reason: the same in words.
    """

    line: int
    rule: str
    score: float
    reason: str


def find_flaws(text: str) -> list[Flaw]:
    r"""Return the lines of a text that are broken, each with the first rule that says so, in order.

    Linear in the length of the text. Each rule is one measure and one limit, far beyond what genuine text of any
    language shows.

    >>> find_flaws("The court met on Monday.\nThe cafÃ© of Ã‰lodie was dÃ©corÃ©.")
    [Flaw(line=1, rule='encoding', score=0.95, reason='4 signs of broken encoding in 34 characters')]
    """
    lines = text.split("\n")
    # Most texts have no damage at all, which one look at the whole text tells; then short lines have no flaw.
    is_whole = not _LOST.search(text) and not _may_be_misread(text)
    least = MIN_SYMBOL_CHARS if is_whole else 0
    found = {
        number: flaw for number, line in enumerate(lines) if len(line) >= least and (flaw := _flaw(line, is_whole))
    }
    for number in _copied(lines):
        found.setdefault(number, ("copied", 0.95, "it stands in the text before, as much of the text does"))
    return [Flaw(number, *found[number]) for number in sorted(found)]


def _flaw(line: str, is_whole: bool) -> tuple[str, float, str] | None:
    chars = len(line)
    damage = 0 if is_whole else _damage(line)
    if damage >= MIN_DAMAGE and damage / chars > MAX_DAMAGE_RATE:
        return "encoding", 0.95, f"{damage} signs of broken encoding in {chars} characters"
    if chars < MIN_SYMBOL_CHARS:
        return None
    words = line.split()
    longest = max(map(len, words), default=0) if chars > MAX_WORD_CHARS else 0
    if longest > MAX_WORD_CHARS and _BLOB.match(max(words, key=len)):
        return "unbroken", 0.95, f"{longest} letters and digits on end"
    # A line that begins with a few letters is not made of signs: spares most lines the count.
    if not line[:3].isalpha() and not _LETTERS.search(line, 0, MIN_SYMBOL_CHARS):
        symbols = 1 - _plain_share(line)
        if symbols > MAX_SYMBOL_SHARE:
            return "symbols", 0.9, f"signs make up {symbols:.0%}"
    if len(words) < chars * MAX_BLANK_SHARE:
        return _unspaced_flaw(line)
    if len(words) < MIN_ODD_WORDS:
        return None
    # Most lines say too many different words to repeat themselves. The cells of a table's row may.
    if len(words) >= MIN_TOPIC_WORDS and words[0] != "|" and len(set(words)) < MAX_DISTINCT_WORD_SHARE * len(words):
        is_long = len(words) >= MIN_REPEATED_WORDS
        if is_long and (share := _repeated_share(words)) > MAX_REPEATED_GRAM_SHARE:
            return "repeated", 0.95, f"{share:.0%} of its word sequences are repeats"
        word, share = _top_word([word.strip(_EDGES) for word in words])
        if share > (MAX_TOP_WORD_SHARE if is_long else MAX_SHORT_TOP_WORD_SHARE):
            return "keywords", 0.9, f"{share:.0%} of its words are “{word}”"
    if _may_be_gibberish(line):
        share, count = _odd_words(line)
        if count >= MIN_ODD_WORDS and share > MAX_ODD_SHARE:
            return "gibberish", 0.9, f"{share:.0%} of its words cannot be spoken"
    return None


_EDGES = ".,;:!?\"'()[]|#*-–—“”‘’«»"
_LETTERS = re.compile(r"[^\W\d_]{3}")


def _may_be_gibberish(line: str) -> bool:
    """Return whether the head of a line has fewer vowels than any language that is written in Latin letters."""
    head = line[:400].lower()
    return sum(map(head.count, "aeiouy")) < 0.12 * len(head)


def _repeated_share(words: Sequence[str]) -> float:
    """Return the share of runs of three words that stood before in the line."""
    return 1 - len(set(zip(words, words[1:], words[2:], strict=False))) / (len(words) - 2)


def _unspaced_flaw(line: str) -> tuple[str, float, str] | None:
    """Return the flaw of a line with hardly a blank: a language without them, or one that repeats itself."""
    if len(set(line)) > MAX_DISTINCT_CHAR_SHARE * min(len(line), 1000) or "://" in line:
        return None
    line = "".join(filter(str.isalnum, line))  # a row of dots or exclamation marks repeats nothing
    if len(line) < MIN_UNSPACED_CHARS:
        return None
    codes = np.frombuffer(line.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    grams: npt.NDArray[Any] = np.zeros(len(codes) - 5, dtype=np.uint64)
    for i in range(6):
        grams = grams * np.uint64(0x9E3779B97F4A7C15) + codes[i : len(codes) - 5 + i]
    share = 1 - len(np.unique(grams)) / len(grams)
    if share > MAX_REPEATED_GRAM_SHARE:
        return "repeated", 0.95, f"{share:.0%} of its character sequences are repeats"
    return None


def _copied(lines: Sequence[str]) -> Iterator[int]:
    """Yield the lines that stood before, if they are long and make up much of the text; the first of each is spared."""
    long = [(number, line) for number, line in enumerate(lines) if len(line) >= MIN_COPIED_CHARS]
    copies = []
    seen: set[str] = set()
    for number, line in long:
        if line in seen:
            copies.append(number)
        seen.add(line)
    chars = sum(len(lines[number]) for number in copies)
    if chars >= MIN_COPIED_TEXT_CHARS and chars > MAX_COPIED_SHARE * sum(map(len, lines)):
        yield from copies
