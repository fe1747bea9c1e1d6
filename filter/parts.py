"""Says of each part of a document what it translates, what langdetect thinks of it, and whether it is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from .config import Config
from .document import UNDETERMINED, Document, Part, PartNote, Verdict

__all__ = ["note_parts"]

_OPINION_CHARS = 3000  # langdetect is slow, and no surer after more


def note_parts(documents: Sequence[Document], config: Config) -> list[Document]:
    """Return the documents with a note on each part."""
    noted = [_noted(document, config) for document in documents]
    return _measured(noted) if config.measures else noted


def _measured(documents: Sequence[Document]) -> list[Document]:
    from .quality import measures

    columns = measures([part.text for document in documents for part in document.parts()])
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    found = []
    for document in documents:
        notes = {
            part.lang: document.notes[part.lang]._replace(measures=dict(zip(columns, next(rows), strict=True)))
            for part in document.parts()
        }
        found.append(replace(document, notes=notes))
    return found


def _noted(document: Document, config: Config) -> Document:
    parts = document.parts()
    notes = {}
    for number, part in enumerate(parts):
        original, score = _original(part, parts[:number])
        opinion = _second_opinion(part) if config.second_opinion else None
        notes[part.lang] = PartNote(original, score, opinion, _verdict(part, config))
    return replace(document, notes=notes)


def _original(part: Part, earlier: Sequence[Part]) -> tuple[str, float] | tuple[None, None]:
    """Return the first of the earlier parts that says the same, and how sure that is."""
    if not earlier:
        return None, None
    # Imported here: most documents have one part, and do without.
    from .translation import MIN_SCORE, score

    for other in earlier:
        sure = score(other.text, part.text)
        if sure >= MIN_SCORE:
            return other.lang, sure
    return None, None


def _second_opinion(part: Part) -> str:
    from . import detectors

    lang = part.lang.split("-")[0]
    if lang not in (*detectors.langdetect_languages(), UNDETERMINED):
        return "unsupported"
    found = detectors.langdetect(detectors.readable(part.text[:_OPINION_CHARS]))
    best = max(found, key=lambda name: (found[name], name), default=UNDETERMINED)
    return "agrees" if best == lang else f"differs: {best}"


def _verdict(part: Part, config: Config) -> Verdict:
    reasons = []
    if config.keep_languages and not _is_in(part.lang, config.keep_languages):
        reasons.append(f"language {part.lang} is not among those to keep")
    if _is_in(part.lang, config.drop_languages):
        reasons.append(f"language {part.lang} is among those to drop")
    chars = len(part.text.strip())
    if chars < config.min_part_chars:
        reasons.append(f"{chars:,} characters are fewer than {config.min_part_chars:,}")
    return Verdict(not reasons, tuple(reasons))


def _is_in(lang: str, ranges: Iterable[str]) -> bool:
    """Tell whether a tag is in one of the ranges; `zh` holds `zh-Hant` too (RFC 4647, basic filtering)."""
    return any(f"{lang}-".lower().startswith(f"{_as_we_say(wanted)}-".lower()) for wanted in ranges)


def _as_we_say(tag: str) -> str:
    """Return a tag with the language as the detectors call it: `nb` is `no` to them, `iw` is `he`."""
    from . import detectors

    primary, hyphen, rest = tag.partition("-")
    return (detectors.tag(primary) or primary) + hyphen + rest
