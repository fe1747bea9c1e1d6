"""Numbers about sections of text, computed for a whole batch at once with NumPy.

A batch of texts becomes one flat array of tokens. Each token has a hash of its word, a hash of its *shape* (function
words kept, content words reduced to a suffix class) and flags; everything about a section is then a sum over its
tokens, which a running total answers for any section at once. Nothing here looks at where in its document a section
stands.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BITS", "Tokens", "shape_grams", "stylometry", "tokenize", "word_grams"]

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

BITS = 18
"""An n-gram is a number below `2 ** BITS`; rare collisions cost less than a larger model."""

SPACE, LETTER, DIGIT, APOSTROPHE, MARK, BREAK = range(6)


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a list, each once."""
    return tuple(dict.fromkeys(text.split()))


def _phrases(text: str) -> tuple[str, ...]:
    """Return the phrases of a list, which bars separate."""
    return tuple(dict.fromkeys(" ".join(phrase.split()) for phrase in text.split("|")))


FUNCTION_WORDS = words_of(
    """
    the of and to in a is that for it as was with be by on not he i this are or his from at which but have an
    had they you were their one all we can her has there been if more when will would who so no she other its
    may these what them than some him time into only do such my new about out also two any up first could our
    then most see me should after said your over how between because those through each under did being before
    both much where many well must make even during against while upon however although despite though since
    until within without among around toward towards often never always just very still yet again ever says
    told according might does am don't it's i'm that's can't didn't doesn't won't isn't wasn't couldn't
    wouldn't i've you're they're we're he's she's there's let's own same too here now off down back every
    another either neither whether why nor per via rather quite perhaps almost already indeed thus hence
    therefore moreover furthermore additionally overall ultimately meanwhile instead besides nevertheless
    nonetheless consequently particularly especially including further us myself yourself himself herself
    itself themselves ourselves и в не на я что тот быть с а весь это как она по но они к у ты из мы за вы так
    же от сказать этот который мочь о один еще бы такой только себя свое какой когда уже для вот кто да год
    его до него было был была были есть или если их чтобы также при после между однако этого том тем числе
    которые которая которого более может стал чем без под над во со из-за где нет ее её ему им меня нас вам
    всё все всех эти этих этой се е са като че ще това той тя те след този тази тези които който която което
    само още както така обаче беше бил била били има няма може във със към през ги го му ѝ си ни ви много
    повече също ако когато където защото според
    """
)
SUFFIXES = words_of(
    """
    tion sion ment ness ance ence ally ship able ible ward less ing ity ous ive ful ism ist ary ory ate ize
    ise ant ent ed ly er or es al ic en s
    """
)
ABBREVIATIONS = words_of(
    """
    mr mrs ms dr st vs jr sr prof gen sen rep gov lt col sgt inc ltd co corp no etc jan feb mar apr jun jul
    aug sep sept oct nov dec
    """
)
FIRST_PERSON = words_of(
    """
    i me my mine myself we us our ours i'm i've i'd i'll we're we've we'll
    """
)
SECOND_PERSON = words_of(
    """
    you your yours yourself you're you'll you've
    """
)
THIRD_PERSON = words_of(
    """
    he she his him her hers he's she's
    """
)
SPEECH = words_of(
    """
    said says told asked replied added wrote explained announced claimed insisted argued
    """
)
MARKS = words_of(""", . ; : " ( ) ! ? — – - / # @ % $ £ € & * … ' < > = | •""")

_SENTENCE_ENDS = ".!?…。؟۔।"
_TYPOGRAPHY = {
    "’": "'",
    "‘": "'",
    "`": "'",
    "´": "'",
    "“": '"',
    "”": '"',
    "„": '"',
    "«": '"',
    "»": '"',
    "–": "—",
    "\u00a0": " ",
}
_POSITIONS = 64
_MIX = np.uint64(0x9E3779B97F4A7C15)
_NAME, _NUMBER, _FIRST_SUFFIX = 1, 2, 3


@lru_cache(maxsize=1)
def _tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32], Flags, npt.NDArray[np.uint64]]:
    """Return class, folded form and upper case of each code point of the Basic Multilingual Plane; and hash factors."""
    kinds = np.zeros(0x10000, dtype=np.uint8)
    folded = np.arange(0x10000, dtype=np.uint32)
    upper = np.zeros(0x10000, dtype=bool)
    import unicodedata

    for code in range(0x10000):
        char = _TYPOGRAPHY.get(chr(code), chr(code))
        category = unicodedata.category(char)
        if char in "\n\r":
            kinds[code] = BREAK
        elif category[0] in "LM":
            kinds[code] = LETTER
        elif category[0] == "N":
            kinds[code] = DIGIT
        elif char == "'":
            kinds[code] = APOSTROPHE
        elif category[0] not in "ZC":
            kinds[code] = MARK
        lower = char.lower()
        folded[code] = ord(lower) if len(lower) == 1 else code
        if kinds[code] == DIGIT:
            folded[code] = ord("0")
        upper[code] = category in ("Lu", "Lt")
    # Astral code points (emoji, rare scripts) are looked up here.
    kinds[0xFFFF] = MARK
    factors = np.random.default_rng(7).integers(1, 2**63, size=_POSITIONS, dtype=np.uint64) | np.uint64(1)
    return kinds, folded, upper, factors


_TABLE_BITS = 15


@lru_cache(maxsize=1)
def _signs() -> tuple[Hashes, Hashes]:
    """Return two counts in one number for each code point: capitals below, digits above; not ASCII, apostrophes."""
    kinds, _, upper, _ = _tables()
    above = np.uint64(1 << 32)
    codes = np.arange(len(kinds))
    return upper + (kinds == DIGIT) * above, (codes > 127) + (kinds == APOSTROPHE) * above


_LOW = np.uint64(0xFFFFFFFF)


@functools.cache
def _lookup(words: tuple[str, ...]) -> tuple[np.uint64, Hashes, npt.NDArray[np.int16]]:
    """Return a factor that gives each word a place of its own in a table, the table of hashes, and that of indices."""
    hashes = np.array([_hash_letters(word) for word in words], dtype=np.uint64)
    for factor in np.random.default_rng(1).integers(1, 2**63, size=1000, dtype=np.uint64) | np.uint64(1):
        place = _place(hashes, factor)
        if len(np.unique(place)) == len(np.unique(hashes)):
            break
    table = np.zeros(1 << _TABLE_BITS, dtype=np.uint64)
    numbers = np.full(len(table), -1, dtype=np.int16)
    table[place], numbers[place] = hashes, np.arange(len(words))
    return factor, table, numbers


def _place(hashes: Hashes, factor: np.uint64) -> Ints:
    return np.asarray((hashes * factor) >> np.uint64(64 - _TABLE_BITS), dtype=np.int64)


def _hash_letters(word: str) -> int:
    factors = _tables()[3]
    total = 0
    for i, char in enumerate(word):
        total += (ord(char) + 1) * int(factors[min(i, _POSITIONS - 1)])
    return total & 0xFFFFFFFFFFFFFFFF


def index_of(hashes: Hashes, words: tuple[str, ...]) -> Ints:
    """Return the index in `words` of each hash, or -1."""
    factor, table, numbers = _lookup(words)
    place = _place(hashes, factor)
    return np.where(table[place] == hashes, numbers[place], np.int16(-1)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a batch of texts, one after the other.

    Attributes:
        text: which text each token stands in.
        start, end: code points in that text, half-open.
        word: hash of the folded word or mark; digits are all alike.
        shape: hash of the function word, the mark, or the suffix class of a content word.
        function: index in FUNCTION_WORDS, or -1.
        is_word, is_number, is_capital, is_acronym: flags; a capital at the start of a sentence counts as one.
        opens: the token is the first word of a sentence or line.
        ends: the token is the last of a sentence or line.
        first: for each text, its first token; one more entry closes the last.
    """

    text: Ints
    start: Ints
    end: Ints
    word: Hashes
    shape: Hashes
    function: Ints
    mark: Ints
    suffix: Ints
    is_word: Flags
    is_number: Flags
    is_capital: Flags
    is_acronym: Flags
    is_contraction: Flags
    is_foreign: Flags
    opens: Flags
    ends: Flags
    breaks: Flags
    first: Ints

    def __len__(self) -> int:
        return len(self.start)

    def take(self, at: Ints) -> Tokens:
        """Return some tokens as a batch of their own; `first` then has no meaning and is left empty."""
        arrays = {name: getattr(self, name)[at] for name in self.__slots__ if name != "first"}
        return Tokens(**arrays, first=np.zeros(0, dtype=np.int64))


def tokenize(texts: Sequence[str]) -> Tokens:
    """Return the tokens of some texts: runs of letters and digits, and single marks.

    Linear in the length of the texts, whatever they hold.

    >>> tokens = tokenize(["It's 5 p.m.", "", "Ja!"])
    >>> len(tokens), tokens.first.tolist()
    (8, [0, 6, 6, 8])
    """
    kinds, folded, upper, factors = _tables()
    joined = "\n".join(texts) + "\n"
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    codes = np.minimum(codes, 0xFFFF)
    kind = kinds[codes]
    wordish = (kind == LETTER) | (kind == DIGIT)
    inner = kind == APOSTROPHE
    inner[1:-1] &= wordish[:-2] & wordish[2:]
    inner[0] = inner[-1] = False
    wordish |= inner
    mark = ((kind == MARK) | (kind == APOSTROPHE)) & ~inner
    starts_word = wordish.copy()
    starts_word[1:] &= ~wordish[:-1]
    start = np.flatnonzero(starts_word | mark)
    lengths = np.array([len(text) + 1 for text in texts], dtype=np.int64)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    first = np.searchsorted(start, offsets)
    if not len(start):
        none = np.zeros(0, dtype=np.int64)
        flags = np.zeros(0, dtype=bool)
        hashes = np.zeros(0, dtype=np.uint64)
        return Tokens(
            none,
            none,
            none,
            hashes,
            hashes,
            none,
            none,
            none,
            flags,
            flags,
            flags,
            flags,
            flags,
            flags,
            flags,
            flags,
            flags,
            first,
        )
    is_word = wordish[start]
    # Hash: a sum over letters of code × a factor for the place in the word.
    inside = wordish | mark
    where = np.flatnonzero(inside)
    bounds = np.cumsum(inside)[start] - 1
    length = np.diff(bounds, append=len(where))
    place = np.minimum(np.arange(len(where)) - np.repeat(bounds, length), _POSITIONS - 1)
    inner_codes = codes[where]
    letters = folded[inner_codes].astype(np.uint64)
    letters += np.uint64(1)
    letters *= factors[place]
    word = np.add.reduceat(letters, bounds)
    end = start + length
    capital = upper[codes[start]]
    signs = _signs()
    counts = [np.add.reduceat(table[inner_codes], bounds) for table in signs]
    uppers, digits = counts[0] & _LOW, counts[0] >> np.uint64(32)
    foreign, apostrophes = counts[1] & _LOW, counts[1] >> np.uint64(32)
    is_number = digits > 0
    is_contraction = is_word & (apostrophes > 0)
    is_foreign = foreign > is_contraction
    is_acronym = is_word & (length > 1) & (uppers == length.astype(np.uint64))
    function = index_of(word, FUNCTION_WORDS)
    marks = np.flatnonzero(~is_word)
    mark_index = np.full(len(start), -1, dtype=np.int64)
    mark_index[marks] = index_of(word[marks], MARKS)
    # A sentence ends at its mark (and the quotes or brackets after it) or with the line.
    broken = np.cumsum(kind == BREAK)
    line = broken[start]
    last_of_line = np.append(line[1:] != line[:-1], True)
    enders = np.zeros(len(start), dtype=bool)
    enders[marks] = index_of(word[marks], tuple(_SENTENCE_ENDS)) >= 0
    gap_after = np.append(start[1:] > end[:-1], True)
    closes = (mark_index == MARKS.index('"')) | (mark_index == MARKS.index(")")) | (mark_index == MARKS.index("'"))
    next_closes = np.append(closes[1:], False) & ~gap_after
    abbreviation = np.zeros(len(start), dtype=bool)
    stops = np.flatnonzero(mark_index[1:] == MARKS.index("."))
    short = (index_of(word[stops], tuple(ABBREVIATIONS)) >= 0) | (is_word & (length == 1) & capital)[stops]
    abbreviation[stops + 1] = short & ~last_of_line[stops]
    ends = enders & gap_after & ~abbreviation
    carried = enders & next_closes & ~abbreviation
    ends[1:] |= carried[:-1] & closes[1:]
    ends |= last_of_line
    starts_sentence = np.append(True, ends[:-1])
    # Quotes and dashes may stand before the first word.
    opens = starts_sentence & is_word
    opens[1:] |= is_word[1:] & starts_sentence[:-1] & ~is_word[:-1]
    shape, suffix = _shapes(codes, folded, start, end, word, function, is_word, is_number, capital & ~opens)
    text = np.searchsorted(offsets, start, side="right") - 1
    return Tokens(
        text,
        start - offsets[text],
        end - offsets[text],
        word,
        shape,
        function,
        mark_index,
        suffix,
        is_word,
        is_number,
        is_word & capital,
        is_acronym,
        is_contraction,
        is_foreign,
        opens,
        ends,
        last_of_line,
        first,
    )


def concatenate(batches: Sequence[Tokens]) -> Tokens:
    """Return batches as one; the texts are numbered on."""
    arrays = {name: np.concatenate([getattr(batch, name) for batch in batches]) for name in Tokens.__slots__}
    texts = np.cumsum([0, *(len(batch.first) - 1 for batch in batches[:-1])])
    sizes = np.cumsum([0, *(len(batch) for batch in batches[:-1])])
    arrays["text"] = np.concatenate([batch.text + number for batch, number in zip(batches, texts, strict=True)])
    firsts = [batch.first[:-1] + size for batch, size in zip(batches, sizes, strict=True)]
    arrays["first"] = np.concatenate([*firsts, [len(arrays["start"])]])
    return Tokens(**arrays)


def _shapes(
    codes: npt.NDArray[np.uint32],
    folded: npt.NDArray[np.uint32],
    start: Ints,
    end: Ints,
    word: Hashes,
    function: Ints,
    is_word: Flags,
    is_number: Flags,
    is_name: Flags,
) -> tuple[Hashes, Ints]:
    """Keep function words and marks, reduce the rest to name, number, or the class of its ending."""
    suffix = np.zeros(len(start), dtype=np.int64)
    tails = [folded[codes[np.maximum(end - 1 - i, start)]].astype(np.int64) for i in range(4)]
    content = np.flatnonzero(is_word & (function < 0) & ~is_number)
    code = np.zeros(len(content), dtype=np.int64)
    is_ascii = tails[0][content] < 128
    letters = end[content] - start[content]
    for length in range(1, 5):
        code = code * 32 + (tails[length - 1][content] & 31)
        number = _suffix_numbers(length)[code]
        hit = np.flatnonzero((number > 0) & (letters > length + 1) & is_ascii)
        suffix[content[hit]] = number[hit]
    # In other alphabets, the last two letters stand for the ending.
    other = content[tails[0][content] > 0x24F]
    suffix[other] = tails[0][other] * 65536 + tails[1][other]
    shape = suffix.astype(np.uint64) + np.uint64(_FIRST_SUFFIX)
    shape[is_name] = _NAME
    shape[is_number] = _NUMBER
    keep = (function >= 0) | ~is_word
    shape[keep] = word[keep]
    return shape, suffix


@lru_cache(maxsize=4)
def _suffix_numbers(length: int) -> npt.NDArray[np.uint8]:
    """Return the number of each suffix of one length by its code, five bits a letter, last letter first; else 0."""
    numbers = np.zeros(1 << 5 * length, dtype=np.uint8)
    for number, suffix in enumerate(SUFFIXES):
        if len(suffix) == length:
            numbers[functools.reduce(lambda code, char: code * 32 + (ord(char) & 31), reversed(suffix), 0)] = number + 1
    return numbers


def _fold(hashes: Hashes) -> npt.NDArray[np.int32]:
    return ((hashes * _MIX) >> np.uint64(64 - BITS)).astype(np.int32)


def _grams(units: Hashes, fresh: Flags, orders: Sequence[int]) -> npt.NDArray[np.int32]:
    """Return one column per order: the bucket of the n-gram that ends at each token, -1 where it leaves the line."""
    # Each column in one piece, as it is read later.
    columns = np.full((len(orders), len(units)), -1, dtype=np.int32).T
    run: Any = np.zeros(len(units), dtype=np.uint64)
    since = np.arange(len(units)) - np.maximum.accumulate(np.where(fresh, np.arange(len(units)), 0))
    for order in range(1, max(orders) + 1):
        shifted = np.zeros_like(units)
        shifted[order - 1 :] = units[: len(units) - order + 1]
        run = run * np.uint64(0xC2B2AE3D27D4EB4F) + (shifted ^ (shifted >> np.uint64(29))) * _MIX
        run += np.uint64(order)
        if order in orders:
            column = _fold(run ^ (run >> np.uint64(31)))
            columns[:, orders.index(order)] = np.where(since >= order - 1, column, -1)
    return columns


def word_grams(tokens: Tokens, *, hide_names: bool = True) -> npt.NDArray[np.int32]:
    """Return word 1- and 2-grams, one row per token; names inside a sentence are all alike."""
    units = tokens.word
    if hide_names:
        name = tokens.is_capital & ~tokens.opens & (tokens.function < 0)
        units = np.where(name, np.uint64(_NAME), units)
    return _grams(units, _fresh(tokens), (1, 2))


def shape_grams(tokens: Tokens) -> npt.NDArray[np.int32]:
    """Return shape 1- to 4-grams, one row per token."""
    return _grams(tokens.shape, _fresh(tokens), (1, 2, 3, 4))


def _fresh(tokens: Tokens) -> Flags:
    fresh = np.ones(len(tokens), dtype=bool)
    fresh[1:] = tokens.breaks[:-1]
    return fresh


STOCK_PHRASES = _phrases(
    """
    in a groundbreaking | in a significant | in a surprising | in a bold move | in a stunning | in a shocking
    | in a remarkable | sparked heated | sparked debate | sparked a debate | has sparked | ignited a | sparked
    controversy | raised concerns | raises important | raises questions | critics argue | critics say |
    critics have | critics of | supporters argue | supporters say | supporters of | proponents | opponents
    argue | mixed reactions | closely watched | watching closely | closely monitor | remains to be seen | only
    time will tell | stay tuned | stay informed | developing story | evolving story | for the latest | serves
    as a | stark reminder | testament to | underscores | highlights the | highlighting the | sheds light |
    shed light | spotlight on | paves the way | pave the way | paving the way | crucial role | vital role |
    pivotal | crucial step | significant step | step forward | step in the right | new era | game-changer |
    ever-evolving | ever-changing | fast-paced | rapidly evolving | in today's world | in recent years | it is
    important to | it's important to | worth noting | it is essential | essential to | wide range of | a
    variety of | diverse range | rich tapestry | delve into | delves into | navigate the | navigating the |
    the landscape | in the realm | heart of | at the forefront | far-reaching | long-term implications |
    implications for | implications of | the complexities | complex issue | multifaceted | delicate balance |
    striking a balance | balance between | as the world | as we move | looking ahead | moving forward | in
    conclusion | in summary | it is crucial | it is clear that | no doubt that | both sides | all eyes |
    eagerly | highly anticipated | garnered | garnering | renowned | esteemed | commitment to | dedication to
    | strives to | aims to | seeks to | ongoing efforts | in an effort to | in the wake of | amid growing |
    growing concerns | sense of | a beacon | vibrant | bustling | nestled | breathtaking | captivating |
    profound | invaluable | seamless | transformative | fostering | foster a | harness the | leverage | unlock
    the | empower | resilience | holistic | intricate | nuanced | remarkable | unprecedented | shaping the |
    bright future | brighter future | years to come | generations to come | make a difference | positive
    impact | lasting impact | share your thoughts | whether you are | whether you're | look no further | the
    importance of | underscoring | emphasizing | emphasized the | ensuring that | allowing for | resulting in
    | contributing to | as well as | while also | in order to | significant impact | open dialogue | come
    together | on the horizon | time will tell | further developments | as the story | continues to unfold |
    as events unfold
    """
)
"""Phrases that machine-written filler leans on. One proves nothing; they count per 100 words."""

_NUMBERS = words_of(
    """
    log_words word_chars sentence_words sentence_spread sentence_variation sentence_max sentence_min types
    once names name_runs acronyms numbers long_words ly ing ed nominal first_person second_person third_person
    contractions speech ing_tails oxford triads function_words stock stock_kinds line_words open_lines
    non_ascii opener_the opener_pronoun opener_link opener_ing
    """
)
NAMES = (
    *_NUMBERS,
    *(f"mark {mark}" for mark in MARKS),
)
"""The columns of `stylometry`, in order."""

_LINKERS = words_of(
    """
    however moreover furthermore additionally overall despite while as although meanwhile ultimately
    consequently nevertheless in by with from this these
    """
)
_PRONOUNS = words_of(
    """
    i he she they we it you
    """
)


_VOCABULARY = tuple(dict.fromkeys([*FIRST_PERSON, *SECOND_PERSON, *THIRD_PERSON, *SPEECH, *_PRONOUNS, *_LINKERS]))


@functools.cache
def _members(words: tuple[str, ...]) -> Flags:
    """Return of each word of the vocabulary whether it is one of those; the last entry stands for all other words."""
    return np.array([*(word in words for word in _VOCABULARY), False])


def _sums(values: Any, owner: Ints, count: int) -> Floats:
    """Return the sum of the values of each owner."""
    total = np.bincount(owner, weights=np.asarray(values, dtype=np.float64), minlength=count)
    return np.asarray(total, dtype=np.float64)


def ranges(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Return all indices of the ranges `[first, last)` in one array, and which range each belongs to."""
    lengths = last - first
    which = np.repeat(np.arange(len(first)), lengths)
    offsets = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) - offsets[which] + first[which], which


def stylometry(tokens: Tokens, first: Ints, last: Ints, stock: Sequence[Sequence[str]]) -> Floats:
    """Return one row of NAMES per section `[first, last)` of tokens; counts are per 100 words.

    Args:
        tokens: the batch.
        first, last: the sections, as half-open ranges of tokens.
        stock: the stock phrases found in each section, with repetitions.
    """
    at, which = ranges(first, last)
    count = len(first)
    if not len(at):
        return np.zeros((count, len(NAMES)))

    def total(values: Any) -> Floats:
        return _sums(values, which, count)

    is_word = tokens.is_word[at]
    word = tokens.word[at]
    words = np.maximum(total(is_word), 1.0)
    length = (tokens.end - tokens.start)[at]
    function = tokens.function[at]
    mark = tokens.mark[at]
    capital = tokens.is_capital[at] & ~tokens.opens[at] & (function < 0)
    ends, opens, breaks = tokens.ends[at], tokens.opens[at], tokens.breaks[at]
    same = np.append(which[1:] == which[:-1], False)
    after = np.append(np.arange(1, len(at)), 0)
    suffix_hit = _suffix_flags(tokens, at)
    comma = mark == MARKS.index(",")
    follows_comma = np.append(False, comma[:-1] & same[:-1])
    conjunction = (function == FUNCTION_WORDS.index("and")) | (function == FUNCTION_WORDS.index("or"))
    sentences = np.maximum(total(ends), 1.0)
    mean, spread, most, least = _sentence_lengths(is_word, ends, which, count)
    types, once = _vocabulary(word, is_word, which, count)
    lines = np.maximum(total(breaks), 1.0)
    stops = np.isin(mark, [MARKS.index(m) for m in '.!?"…)'])
    oxford = follows_comma & conjunction
    per = 100.0 / words

    known = index_of(word, _VOCABULARY)

    def of(vocabulary: tuple[str, ...]) -> Flags:
        return _members(vocabulary).take(known)

    opener = [
        total(opens & flags) / sentences
        for flags in (function == FUNCTION_WORDS.index("the"), of(_PRONOUNS), of(_LINKERS), suffix_hit["ing"])
    ]
    columns = [
        np.log(words),
        total(length * is_word) / words,
        mean,
        spread,
        spread / (mean + 1.0),
        most,
        least,
        types / words**0.75,
        once / words,
        total(capital) * per,
        total(capital & capital[after] & same) * per,
        total(tokens.is_acronym[at]) * per,
        total(tokens.is_number[at]) * per,
        total(is_word & (length >= 9)) * per,
        *(total(suffix_hit[name]) * per for name in ("ly", "ing", "ed", "nominal")),
        *(total(of(vocabulary)) * per for vocabulary in (FIRST_PERSON, SECOND_PERSON, THIRD_PERSON)),
        total(is_word & _has_apostrophe(tokens, at)) * per,
        total(of(SPEECH)) * per,
        total(follows_comma & suffix_hit["ing"]) * per,
        total(oxford) * per,
        total(oxford & _comma_before(comma, which)) * per,
        total(function >= 0) * per,
        np.array([len(found) for found in stock], dtype=np.float64) * per,
        np.array([len(set(found)) for found in stock], dtype=np.float64),
        words / lines,
        total(breaks & ~stops) / lines,
        total(is_word & tokens.is_foreign[at]) * per,
        *opener,
    ]
    numbers = np.column_stack(columns)
    marks = np.bincount(which[mark >= 0] * len(MARKS) + mark[mark >= 0], minlength=count * len(MARKS))
    return np.hstack([numbers, marks.reshape(count, -1) * per[:, None]])


def _suffix_flags(tokens: Tokens, at: Ints) -> dict[str, Flags]:
    suffix = tokens.suffix[at]
    nominal = [SUFFIXES.index(name) + 1 for name in ("tion", "sion", "ment", "ness", "ance", "ence", "ity", "ism")]
    one = {name: suffix == SUFFIXES.index(name) + 1 for name in ("ing", "ed")}
    ly = [SUFFIXES.index(name) + 1 for name in ("ly", "ally")]
    return {**one, "ly": np.isin(suffix, ly), "nominal": np.isin(suffix, nominal)}


def _has_apostrophe(tokens: Tokens, at: Ints) -> Flags:
    return tokens.is_contraction[at]


def _comma_before(comma: Flags, which: Ints) -> Flags:
    """Say for each token whether a comma stands 2 to 5 tokens before the one directly before it: "a, b, and c"."""
    before = np.zeros(len(comma), dtype=bool)
    for distance in range(3, 6):
        before[distance:] |= comma[:-distance] & (which[distance:] == which[:-distance])
    return before


def _sentence_lengths(is_word: Flags, ends: Flags, which: Ints, count: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return mean, standard deviation, longest and shortest sentence of each section, in words."""
    if not len(which):
        none = np.zeros(count)
        return none, none, none, none
    closing = ends | np.append(which[1:] != which[:-1], True)
    last = np.flatnonzero(closing)
    first = np.append(0, last[:-1] + 1)
    lengths = np.add.reduceat(is_word.astype(np.float64), first)
    owner = which[first]
    real = lengths > 0
    lengths, owner = lengths[real], owner[real]
    number = np.maximum(np.bincount(owner, minlength=count), 1)
    mean = np.bincount(owner, weights=lengths, minlength=count) / number
    square = np.bincount(owner, weights=lengths**2, minlength=count) / number
    most, least = np.zeros(count), np.full(count, np.inf)
    np.maximum.at(most, owner, lengths)
    np.minimum.at(least, owner, lengths)
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0)), most, np.where(np.isinf(least), 0.0, least)


def _vocabulary(word: Hashes, is_word: Flags, which: Ints, count: int) -> tuple[Floats, Floats]:
    """Return how many different words each section has, and how many stand in it once."""
    key = (word[is_word] ^ (which[is_word].astype(np.uint64) * _MIX)) * np.uint64(0xC2B2AE3D27D4EB4F)
    order, fresh = _grouped(key)
    first = np.flatnonzero(fresh)
    number = np.diff(first, append=len(key))
    owner = which[is_word][order[first]]
    types = np.bincount(owner, minlength=count).astype(np.float64)
    return types, _sums(number == 1, owner, count)


def _grouped(hashes: Hashes) -> tuple[Ints, Flags]:
    """Return an order in which equal hashes stand together, in order of their places, and where each group begins.

    Sorting numbers that hold hash and place takes a quarter of the time of a stable order of the hashes. The lowest
    bits of the hashes make room for the places.
    """
    bits = np.uint64(len(hashes).bit_length())
    key = np.sort((hashes >> bits) << bits | np.arange(len(hashes), dtype=np.uint64))
    order = (key & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    key >>= bits
    fresh = np.ones(len(key), dtype=bool)
    np.not_equal(key[1:], key[:-1], out=fresh[1:])
    return order, fresh


# --- lines ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a batch of documents, as ranges of tokens; a line without a token is left out.

    Attributes:
        tokens: the batch.
        first, last: each line's tokens, half-open.
        document: which document each line stands in.
        starts: for each document its first line; one more entry closes the last.
        words: how many words each line has.
    """

    tokens: Tokens
    first: Ints
    last: Ints
    document: Ints
    starts: Ints
    words: Floats

    def __len__(self) -> int:
        return len(self.first)

    def take(self, documents: Ints) -> Lines:
        """Return some documents as a batch of their own, in the order given."""
        at, _ = ranges(self.starts[documents], self.starts[documents + 1])
        counts = self.starts[documents + 1] - self.starts[documents]
        starts = np.concatenate(([0], np.cumsum(counts)))
        document = np.repeat(np.arange(len(documents)), counts)
        return Lines(self.tokens, self.first[at], self.last[at], document, starts, self.words[at])

    def rows(self, documents: Ints) -> Ints:
        """Return the line numbers of some documents, in the order given."""
        return ranges(self.starts[documents], self.starts[documents + 1])[0]


def split_lines(tokens: Tokens) -> Lines:
    r"""Return the lines of a batch.

    >>> split_lines(tokenize(["One line.\n\nAnother one.", "A third"])).document.tolist()
    [0, 0, 1]
    """
    last = np.flatnonzero(tokens.breaks) + 1
    first = np.concatenate(([0], last[:-1])).astype(np.int64) if len(last) else last
    document = tokens.text[first]
    starts = np.searchsorted(document, np.arange(len(tokens.first)))
    words = running(tokens.is_word)
    return Lines(tokens, first, last, document, starts, words[last] - words[first])


def running(values: Any) -> Floats:
    """Return the running total of values, starting at 0: the sum of `[a, b)` is `total[b] - total[a]`."""
    return np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))


def first_features(lines: Lines, evidence: Floats, odds: Floats) -> npt.NDArray[np.float32]:
    """Return one row per line: its evidence, that of the lines around it, its style, what it repeats of its document.

    Args:
        lines: the batch.
        evidence: one column per additive model, the sum of its weights over each line.
        odds: the log odds of each line that follow from the evidence.
    """
    words = np.maximum(lines.words, 1.0)
    columns = [lines.words, *(column / np.sqrt(words) for column in evidence.T), odds, odds / words]
    columns += [_beside(odds, lines, distance) for distance in (1, -1, 2, -2, 3, -3)]
    columns += _around(odds, lines, (2, 4, 8))
    all_words = _per_document(lines.words, lines)
    elsewhere = np.maximum(1.0, all_words - lines.words)
    columns.append((_per_document(odds, lines) - odds) / np.maximum(8.0, elsewhere))
    for style in line_style(lines).T:
        columns += [style, style - (_per_document(style * words, lines) - style * words) / elsewhere]
    for units in _repeatable(lines):
        far, near = _repeats(units, len(lines))
        columns += [far, near, *(_beside(far, lines, distance) for distance in (1, -1, 2, -2))]
    return np.column_stack(columns).astype(np.float32)


def line_style(lines: Lines) -> Floats:
    """Return ten numbers about the style of each line by itself."""
    tokens = lines.tokens
    at, which = ranges(lines.first, lines.last)
    words = np.maximum(lines.words, 1.0)
    length = (tokens.end - tokens.start)[at]
    is_word = tokens.is_word[at]
    function, mark = tokens.function[at], tokens.mark[at]

    def total(values: Any) -> Floats:
        return _sums(values, which, len(lines))

    sentences = total(tokens.ends[at])
    return np.column_stack(
        [
            total(length * is_word) / words,
            sentences,
            total(function >= 0) / words,
            total(mark == MARKS.index(",")) / words,
            total(mark == MARKS.index('"')),
            total(tokens.is_contraction[at]),
            total(tokens.is_capital[at] & ~tokens.opens[at]) / words,
            total(tokens.is_number[at]) / words,
            total(is_word & (length >= 9)) / words,
            lines.words / np.maximum(1.0, sentences),
        ]
    )


def second_features(
    lines: Lines, odds: Floats, first: npt.NDArray[np.float32], scores: Floats
) -> npt.NDArray[np.float32]:
    """Return one row per line: how it compares with the likely filler and the likely genuine lines of its document.

    A retelling shares its words with the genuine lines and not with its own other sentences; a genuine line
    that was retold shares them with the machine-written ones. That draws the border between the two.

    Args:
        lines: the batch.
        odds: as in `first_features`.
        first: what `first_features` returned.
        scores: the first line model's log odds.
    """
    chance = 1.0 / (1.0 + np.exp(-np.clip(scores, -30.0, 30.0)))
    words = np.maximum(lines.words, 1.0)
    columns = [scores, *(_beside(scores, lines, distance) for distance in (1, -1, 2, -2, 3, -3, 4, -4))]
    highest = np.full(len(lines.starts) - 1, -99.0)
    np.maximum.at(highest, lines.document, scores)
    columns.append(highest[lines.document])
    weights = [chance * lines.words, (1.0 - chance) * lines.words]
    masses = [_per_document(weight, lines) - weight for weight in weights]
    columns += [*masses, masses[0] / (masses[0] + masses[1] + 1.0)]
    means = [
        (_per_document(w * odds / words, lines) - w * odds / words) / (mass + 10.0)
        for w, mass in zip(weights, masses, strict=True)
    ]
    columns += [odds / words - means[0], odds / words - means[1], means[0] - means[1]]
    for style in line_style(lines).T:
        for weight, mass in zip(weights, masses, strict=True):
            columns.append(style - (_per_document(weight * style, lines) - weight * style) / (mass + 10.0))
    for units in _repeatable(lines):
        shared = [_shared(units, side, len(lines)) for side in (chance, 1.0 - chance)]
        contrast = shared[0] - shared[1]
        columns += [*shared, contrast, _beside(contrast, lines, 1), _beside(contrast, lines, -1)]
    return np.hstack([first, np.column_stack(columns).astype(np.float32)])


def _beside(values: Floats, lines: Lines, distance: int) -> Floats:
    """Return the value of the line `distance` lines before (after, if negative); NaN outside the document."""
    out = np.full(len(values), np.nan)
    if distance > 0:
        out[distance:] = values[:-distance]
        out[distance:][lines.document[distance:] != lines.document[:-distance]] = np.nan
    else:
        out[:distance] = values[-distance:]
        out[:distance][lines.document[:distance] != lines.document[-distance:]] = np.nan
    return out


def _around(odds: Floats, lines: Lines, windows: Sequence[int]) -> list[Floats]:
    """Return, for each window of so many lines, the odds per word of those before each line and of those after."""
    index = np.arange(len(lines))
    low, high = lines.starts[lines.document], lines.starts[lines.document + 1]
    total_odds, total_words = running(odds), running(lines.words)
    columns = []
    for window in windows:
        for start, stop in (
            (np.maximum(low, index - window), index),
            (index + 1, np.minimum(high, index + window + 1)),
        ):
            around = np.maximum(8.0, total_words[stop] - total_words[start])
            columns.append((total_odds[stop] - total_odds[start]) / around)
    return columns


def _per_document(values: Floats, lines: Lines) -> Floats:
    return _sums(values, lines.document, len(lines.starts) - 1)[lines.document]


Units = tuple[Ints, Ints, Floats]
"""Distinct (unit, line) pairs, sorted by unit: number of the unit within its document, line, and units per line."""


def _repeatable(lines: Lines) -> tuple[Units, Units]:
    """Return the content words and the 3-grams of each line."""
    tokens = lines.tokens
    at, which = ranges(lines.first, lines.last)
    content = (tokens.is_word & (tokens.function < 0))[at]
    return (
        _units(tokens.word[at][content], which[content], lines),
        _units(trigrams(tokens)[at][tokens.is_word[at]], which[tokens.is_word[at]], lines),
    )


def trigrams(tokens: Tokens) -> Hashes:
    """Return the hash of each token with the two after it."""
    return trigrams_of(tokens.word)


def trigrams_of(word: Hashes) -> Hashes:
    """Return the hash of each word with the two after it; the last two wrap around."""
    hashes: Hashes = word * np.uint64(3) ^ np.roll(word, -1) * np.uint64(7) ^ np.roll(word, -2) * np.uint64(11)
    return hashes


def _units(hashes: Hashes, line: Ints, lines: Lines) -> Units:
    key = (hashes + lines.document[line].astype(np.uint64) * _MIX) * np.uint64(0xC2B2AE3D27D4EB4F)
    order, fresh = _grouped(key)
    line = line[order]
    distinct = fresh.copy()
    distinct[1:] |= line[1:] != line[:-1]
    unit = np.cumsum(fresh)[distinct] - 1
    line = line[distinct]
    return unit, line, np.maximum(1.0, np.bincount(line, minlength=len(lines)))


def _repeats(units: Units, count: int) -> tuple[Floats, Floats]:
    """Return the share of each line's units that stand in another line, and in one of the two next to it."""
    unit, line, total = units
    often = np.bincount(unit, minlength=1)[unit] > 1
    close = (unit[1:] == unit[:-1]) & (line[1:] - line[:-1] <= 2)
    near = np.append(False, close) | np.append(close, False) if len(unit) else often
    return np.bincount(line, weights=often, minlength=count) / total, np.bincount(
        line, weights=near, minlength=count
    ) / total


def _shared(units: Units, side: Floats, count: int) -> Floats:
    """Return the share of each line's units that stand in other lines of a side, those lines weighted by `side`."""
    unit, line, total = units
    others = np.bincount(unit, weights=side[line], minlength=1)[unit] - side[line]
    return np.bincount(line, weights=np.minimum(1.0, others), minlength=count) / total


LINK_WORDS = words_of(
    """
    http https www com net org info ru shop click whatsapp telegram skype
    """
)


def cue_counts(lines: Lines) -> Floats:
    """Return, per line, its links and ways to get in touch, and its prices, percentages and hash marks."""
    tokens = lines.tokens
    at, which = ranges(lines.first, lines.last)
    links = (index_of(tokens.word[at], tuple(LINK_WORDS)) >= 0) | (tokens.mark[at] == MARKS.index("@"))
    prices = np.isin(tokens.mark[at], [MARKS.index(mark) for mark in "$£€%#"])
    count = len(lines)
    return np.column_stack([np.bincount(which, weights=flags, minlength=count) for flags in (links, prices)])


HEADER_WORDS = words_of(
    """
    from to cc bcc subject date sent received id version type encoding reply path priority
    """
)
_MIN_HEADER_FIELDS = 2


def header_lines(lines: Lines) -> Flags:
    r"""Say of each line whether it holds the header of an e-mail: two fields or more, such as "From:".

    What stands in a header (addresses, numbers) looks like an offer in genuine letters too.

    >>> text = "From: ann@post.example To: bob@post.example\nTo: all of you. Thanks!"
    >>> header_lines(split_lines(tokenize([text]))).tolist()
    [True, False]
    """
    tokens = lines.tokens
    at, which = ranges(lines.first, lines.last)
    colon = np.append(tokens.mark[1:] == MARKS.index(":"), False)[at]
    fields = colon & (index_of(tokens.word[at], HEADER_WORDS) >= 0)
    return _sums(fields, which, len(lines)) >= _MIN_HEADER_FIELDS


def offer_features(lines: Lines, evidence: Floats, odds: Floats) -> npt.NDArray[np.float32]:
    """Return one row per line for the spam model: evidence, the lines around, cues, marks, style."""
    tokens = lines.tokens
    words = np.maximum(lines.words, 1.0)
    at, which = ranges(lines.first, lines.last)
    mark = tokens.mark[at]
    marks = np.bincount(which[mark >= 0] * len(MARKS) + mark[mark >= 0], minlength=len(lines) * len(MARKS))
    types, _ = _vocabulary(tokens.word[at], tokens.is_word[at], which, len(lines))
    cues = cue_counts(lines)
    columns = [lines.words, *(column / np.sqrt(words) for column in evidence.T), odds / words, types / words]
    columns += [_beside(odds / words, lines, distance) for distance in (1, -1, 2, -2)]
    columns += [_beside(cues[:, 0], lines, distance) for distance in (1, -1)]
    columns += _around(odds, lines, (4, 12))
    columns += [_per_document(column, lines) - column for column in cues.T]
    return np.column_stack(
        [*columns, cues / words[:, None], marks.reshape(len(lines), -1) / words[:, None], line_style(lines)]
    ).astype(np.float32)
