"""The language splitter and its peers, in the shape the scoring script of the labelled data calls.

Each function takes a text and returns `(start, end, lang)` stretches. `*_lines` is what a detector does by itself: one
answer per line, blank lines left out. `pycld2_vectors` is CLD2's own list of stretches, given in bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from filter import detectors
from filter.language import split
from filter.segment import line_bounds

Stretches = list[tuple[int, int, str]]


def ours(text: str) -> Stretches:
    return split(text)


def langdetect(text: str) -> Stretches:
    return split(text, detector="langdetect")


def langdetect_lines(text: str) -> Stretches:
    return _lines(text, lambda line: _best(detectors.langdetect(line)))


def fasttext_lines(text: str) -> Stretches:
    return _lines(text, lambda line: _best(detectors.fasttext(line)))


def pycld2_lines(text: str) -> Stretches:
    return _lines(text, lambda line: _best(detectors.cld2(line)))


def py3langid_lines(text: str) -> Stretches:
    return _lines(text, lambda line: detectors.tag(_py3langid().classify(line)[0]) or "und")


def pycld2_vectors(text: str) -> Stretches:
    import pycld2

    try:
        *_, vectors = pycld2.detect(detectors.readable(text), bestEffort=True, returnVectors=True)
    except pycld2.error:
        return []
    starts = _starts_of_bytes(text)
    return [(starts[at], starts[at + size], detectors.tag(code) or "und") for at, size, _, code in vectors]


def lingua_lines(text: str) -> Stretches:
    return _lines(text, _lingua_best)


def lingua_multiple(text: str) -> Stretches:
    """Return lingua's own list of stretches."""
    found = _lingua().detect_multiple_languages_of(detectors.readable(text))
    return [(result.start_index, result.end_index, _iso(result.language)) for result in found]


def _lingua_best(line: str) -> str:
    language = _lingua().detect_language_of(line)
    return _iso(language) if language else "und"


def _iso(language: Any) -> str:
    return detectors.tag(language.iso_code_639_1.name.lower())


@lru_cache(maxsize=1)
def _lingua() -> Any:
    from lingua import LanguageDetectorBuilder

    return LanguageDetectorBuilder.from_all_languages().build()


def _lines(text: str, identify: Callable[[str], str]) -> Stretches:
    clean = detectors.readable(text)
    return [(start, end, identify(clean[start:end])) for start, end in line_bounds(text)]


def _best(found: dict[str, float]) -> str:
    return max(found, key=lambda name: found[name]) if found else "und"


@lru_cache(maxsize=1)
def _py3langid() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _starts_of_bytes(text: str) -> list[int]:
    """Return the character that each byte of the UTF-8 belongs to, and the length of the text behind the last."""
    starts = [i for i, char in enumerate(detectors.readable(text)) for _ in char.encode()]
    return [*starts, len(text)]
