"""Finds short sections of filler by the stock phrases they are made of, in each language of the rule packs.

A stock phrase proves nothing: newsrooms write "this is a developing story" and columnists "only time will tell". Filler
is made of little else: phrases of several kinds in few words, without a figure, a quotation, or a name that the rest of
the document does not hold. What an assistant says of itself is the exception: one such phrase is enough,
in a document that is not about assistants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import re2

from .folding import WIDE, fold_lines, word_count
from .matching import options, search_set

__all__ = ["Found", "Kind", "Phrases"]

MAX_LINE_CHARS = 1_200
"""A longer line is more than a section; what it is made of is for the model to judge."""

MAX_MIB = 32
"""Memory for each automaton."""

MAX_LINES = 6
MIN_WORDS = 9
MAX_ALONE_WORDS = 80
MIN_COVERED = {2: 0.4, 3: 0.3, 4: 0.2}
"""The share of a section's words that stand in its phrases, by the number of their kinds."""

_MIN_COVERED_OF_MORE = 0.15
_SCORES = {2: 0.75, 3: 0.85, 4: 0.92}
_BEST_SCORE = 0.96

_DIGIT = re.compile(r"\d")
_QUOTE = re.compile(r"[\"“”„«»「」『』‹›]")
_SINGLY_QUOTED = re.compile(r"(?<!\w)['‘]\w[^'’‘\n]{8,}['’](?!\w)")
_WORD = re.compile(r"[^\W\d_]+")
# A capital behind a small letter or a comma begins no sentence.
_NAME = re.compile(r"(?<=[^\W\d_A-Z]|[,;])\s+([^\W\d_]+)")
_STEM_CHARS = 4  # what the endings of names leave alone
_NOUNS_ARE_CAPITAL = frozenset({"de"})
_ENDS = " .,;:!?¡¿…—–-"
_ON_ASSISTANTS = re.compile(
    r"chat ?(?:gpt|bot)|openai|\bgpt\b|gpt-\d|\bllms?\b|language models?|artificial intelligence|\bclaude\b|\bgemini\b"
    r"|\bcopilot\b|\bai\b|\bki\b|\bia\b|\bии\b|人工智能|人工知能|인공지능|чат-?бот|чатбот",
    re.IGNORECASE,
)


class Kind(NamedTuple):
    """One kind of stock phrase.

    Attributes:
        name: phrases of one name count once in a section, whatever packs they come from.
        pattern: as in Rules, for folded lines.
        least: how many kinds of the same rule a section must hold.
        rule: id of the rule; kinds of one id count together.
        source: the rule's name as it appears in a span's `source`.
        score: how sure the rule is of a section where one kind is enough.
    """

    name: str
    pattern: str
    least: int
    rule: str
    source: str
    score: float


class Found(NamedTuple):
    """A section of filler: the lines `[first, last)`, how sure that is, what decided, and why in words."""

    first: int
    last: int
    score: float
    source: str
    reasons: tuple[str, ...]


class _Line(NamedTuple):
    """A line, its folded form, and which kinds are in it."""

    text: str
    folded: str
    kinds: frozenset[int]


class _Place(NamedTuple):
    """Where a phrase stands in a folded line."""

    start: int
    end: int


class Phrases:
    r"""The stock phrases of one language, compiled when first looked for.

    Args:
        kinds: what to look for.
        lang: the language.

    >>> kinds = [Kind(text, f" {text} ", 3, "stock", "rule:own/stock", 0.9) for text in ("stay tuned", "tell", "agree")]
    >>> lines = ["The vote was 7 to 2.", "Where this leads, all agree, only time will tell. Stay tuned, everyone!"]
    >>> [(found.first, found.last, found.source) for found in Phrases(kinds, "en").find([lines])[0]]
    [(1, 2, 'rule:own/stock')]
    """

    def __init__(self, kinds: Iterable[Kind], lang: str) -> None:
        self._kinds = tuple(kinds)
        self._lang = lang
        self._least: dict[str, int] = {}
        for kind in self._kinds:
            self._least[kind.rule] = min(kind.least, self._least.get(kind.rule, kind.least))
        self._sets: list[tuple[Sequence[int], Any]] = []
        self._each: dict[int, Any] = {}

    def find(self, parts: Sequence[Sequence[str]], chosen: Sequence[Sequence[int]] | None = None) -> list[list[Found]]:
        """Return the sections of filler in each document, in order and apart.

        Args:
            parts: the lines of each document, without line breaks.
            chosen: numbers of the lines that may be filler, in order; all unless given. Lines numbered one after the
                other may be one section.
        """
        chosen = [range(len(lines)) for lines in parts] if chosen is None else chosen
        # Half of all lines quote somebody.
        places = [(part, i) for part, own in enumerate(chosen) for i in own if not _QUOTE.search(parts[part][i])]
        folded = fold_lines([parts[part][i] for part, i in places], MAX_LINE_CHARS)
        suspects: dict[int, dict[int, _Line]] = {}
        for (part, i), line, kinds in zip(places, folded, self._kinds_in(folded), strict=True):
            if kinds:
                suspects.setdefault(part, {})[i] = _Line(parts[part][i], line, frozenset(kinds))
        return [
            list(self._sections(lines, suspects[part])) if part in suspects else [] for part, lines in enumerate(parts)
        ]

    def _kinds_in(self, folded: Sequence[str]) -> Iterator[list[int]]:
        """Yield which kinds of phrases each folded line holds."""
        if not self._sets:
            alone = [number for number, kind in enumerate(self._kinds) if self._least[kind.rule] == 1]
            several = [number for number, kind in enumerate(self._kinds) if self._least[kind.rule] > 1]
            # Gaps multiply the states of an automaton: two of half the size are smaller and faster than one.
            self._sets = [
                (numbers, search_set((self._kinds[number].pattern for number in numbers), MAX_MIB))
                for numbers in (alone, several[::2], several[1::2])
            ]
        encoded = [line.encode() for line in folded]
        # Hardly any batch holds a phrase that is enough alone.
        alone_too = self._sets[0][1].Match(b"\n".join(encoded))
        for line, letters in zip(folded, encoded, strict=True):
            first, last = 0 if alone_too else 1, 1 if _DIGIT.search(line) else len(self._sets)
            sets = self._sets[first:last] if line else ()
            yield [numbers[i] for numbers, found in sets for i in found.Match(letters) or ()]

    def _sections(self, lines: Sequence[str], suspects: dict[int, _Line]) -> Iterator[Found]:
        done = 0
        for first in sorted(suspects):
            if first < done:
                continue
            last = first
            while last in suspects and last - first < MAX_LINES:
                last += 1
            # The longest section that begins here.
            for end in range(last, first, -1):
                found = self._judged(lines, [suspects[i] for i in range(first, end)], first)
                if found is not None:
                    yield found
                    done = found.last
                    break

    def _judged(self, lines: Sequence[str], section: Sequence[_Line], first: int) -> Found | None:
        """Return a section if it is filler."""
        present = [self._kinds[number] for number in frozenset().union(*(line.kinds for line in section))]
        for rule, least in self._least.items():
            if len({kind.name for kind in present if kind.rule == rule}) < least:
                continue
            words = sum(word_count(line.folded) for line in section)
            rest = [*lines[:first], *lines[first + len(section) :]]
            phrases, covered = self._told_apart(section, rule)
            if len(phrases) < least:
                continue
            if least == 1:
                holds = words <= MAX_ALONE_WORDS and _speaks_for_itself(section, rest)
            else:
                share = MIN_COVERED.get(len(phrases), _MIN_COVERED_OF_MORE)
                holds = words >= MIN_WORDS and covered >= share * words and _adds_nothing(section, rest, self._lang)
            if holds:
                last = first + len(section)
                quoted = ", ".join(f"“{_as_written(line, place)}”" for line, place, _ in phrases)
                kind = phrases[0][2]
                if least == 1:
                    return Found(first, last, kind.score, kind.source, (f"an assistant speaks: {quoted}",))
                said = f"stock phrases of {len(phrases)} kinds in {words:.0f} words: {quoted}"
                score = _SCORES.get(len(phrases), _BEST_SCORE)
                return Found(first, last, score, kind.source, (said, "no names or numbers of its own"))
        return None

    def _told_apart(self, section: Sequence[_Line], rule: str) -> tuple[list[tuple[_Line, _Place, Kind]], float]:
        """Return a phrase of each kind that a section holds, in order, and how many words stand in phrases.

        Words count for one kind: most of a phrase must not stand in shorter ones of other kinds.
        """
        phrases: dict[str, tuple[int, _Line, _Place, Kind]] = {}
        words = 0.0
        for number, line in enumerate(section):
            kinds = [i for i in sorted(line.kinds) if self._kinds[i].rule == rule]
            places = sorted((place.end - place.start, place, i) for i in kinds for place in self._places(line, i))
            taken = bytearray(len(line.folded))
            for size, (start, end), i in places:
                kind = self._kinds[i]
                if 2 * sum(taken[start:end]) <= size:
                    phrases.setdefault(kind.name, (number, line, _Place(start, end), kind))
                taken[start:end] = b"\1" * size
            inside = (char if is_taken else " " for char, is_taken in zip(line.folded, taken, strict=True))
            words += word_count(f" {' '.join(''.join(inside).split())} ")
        ordered = sorted(phrases.values(), key=lambda phrase: (phrase[0], phrase[2]))
        return [phrase[1:] for phrase in ordered], words

    def _places(self, line: _Line, number: int) -> Iterator[_Place]:
        pattern = self._each.get(number)
        if pattern is None:
            pattern = self._each[number] = re2.compile(self._kinds[number].pattern, options(MAX_MIB))
        text, at = line.folded, 0
        while (match := pattern.search(text, at)) is not None:
            yield _Place(match.start(), match.end())
            # The blank behind a phrase is the one before the next.
            at = max(match.end() - text[: match.end()].endswith(" "), match.start() + 1)


def _speaks_for_itself(section: Sequence[_Line], rest: Sequence[str]) -> bool:
    """Return whether nothing is quoted, and the document says nothing of assistants elsewhere."""
    return not any(_SINGLY_QUOTED.search(line.text) for line in section) and not any(map(_ON_ASSISTANTS.search, rest))


def _adds_nothing(section: Sequence[_Line], rest: Sequence[str], lang: str) -> bool:
    """Return whether a section quotes nobody, and names nobody but whom the rest of the document names."""
    text = "\n".join(line.text for line in section)
    if _SINGLY_QUOTED.search(text):
        return False
    if lang in _NOUNS_ARE_CAPITAL:
        return True
    names = {name[:_STEM_CHARS] for name in _NAME.findall(text) if name[0].isupper() and name != "I"}
    return names <= {word[:_STEM_CHARS] for word in _WORD.findall("\n".join(rest))}


def _as_written(line: _Line, place: _Place) -> str:
    """Return a phrase as it stands in its line, in whole words."""
    phrase = line.folded[place.start : place.end]
    pieces = line.text.split()
    # A piece may fold to several words, or to none.
    owners = [i for i, words in enumerate(fold_lines(pieces)) for _ in words.split()]
    if WIDE.search(phrase) or len(owners) != len(line.folded.split()):
        return phrase.strip()
    first = line.folded[: place.start + phrase.startswith(" ")].count(" ") - 1
    last = line.folded[: place.end - phrase.endswith(" ")].count(" ")
    return " ".join(pieces[i] for i in sorted(set(owners[first:last]))).strip(_ENDS)
