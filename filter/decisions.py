"""What people decided about spans, honoured by a later run: the last word on the label of what they looked at.

Decisions are read from files of hand-labelled spans, which `textsieve review --export` writes and `textsieve evaluate`
reads them. A decision belongs to a document with the same text, wherever that comes from. In a document that has the
same id and another text, it belongs to where the same words stand, if there is no doubt which they are. And what was
decided to be boilerplate, or content, is so on every page of its site where the same line stands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from .document import Document, Label, Span
from .segment import line_bounds

if TYPE_CHECKING:
    from .config import Config
    from .evaluation import GoldDocument, GoldSpan

__all__ = ["SOURCE", "Decisions", "decide", "honour", "load_decisions", "text_digest"]

SOURCE = "review"
_REASON = "A person decided so."
_SHORT_WORDS = 6


class Decisions(NamedTuple):
    """Reviewed documents, by the SHA-256 of their text and by their id; reviewed lines by site, as profiles key them.

    The last one read counts; a line that was decided on both ways on one site is left out.
    """

    by_text: dict[str, tuple[GoldSpan, ...]]
    by_id: dict[str, GoldDocument]
    by_site: dict[str, dict[str, GoldSpan | None]]

    def of(self, document: Document) -> Iterator[tuple[int, int, GoldSpan]]:
        """Yield what was decided of a document: start and end in its text, and the decision; the later ones count."""
        yield from self._of_site(document)
        exact = self.by_text.get(text_digest(document.text)) if self.by_text else None
        if exact is not None:
            yield from ((span.start, span.end, span) for span in exact)
        elif document.id in self.by_id:
            reviewed = self.by_id[document.id]
            for span in reviewed.spans:
                words = reviewed.text[span.start : span.end].strip()
                start = _place(words, reviewed.text, span.start, document.text)
                if start is not None:
                    yield start, start + len(words), span

    def _of_site(self, document: Document) -> Iterator[tuple[int, int, GoldSpan]]:
        if not self.by_site:
            return
        from .profiles import host_of, line_keys

        known = self.by_site.get(host_of(document))
        if not known:
            return
        bounds = list(line_bounds(document.text))
        for (start, end), key in zip(bounds, line_keys([document.text[a:b] for a, b in bounds]), strict=True):
            decision = known.get(key) if key else None
            if decision is not None:
                yield start, end, decision

    def add(self, gold: GoldDocument) -> None:
        """Take in the decisions about one document."""
        from .profiles import host_of, line_keys

        self.by_text[text_digest(gold.text)] = gold.spans
        if gold.id:
            self.by_id[gold.id] = gold
        host = host_of(Document("", url=gold.url)) if gold.url else ""
        if not host:
            return
        lines = self.by_site.setdefault(host, {})
        bounds = list(line_bounds(gold.text))
        for span in gold.spans:
            if span.label not in ("boilerplate", "content"):
                continue
            inside = [gold.text[a:b] for a, b in bounds if span.start <= a and b <= span.end]
            for key in filter(None, line_keys(inside)):
                before = lines.get(key, span)
                lines[key] = span if before is not None and before.label == span.label else None


def text_digest(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _place(words: str, old: str, near: int, new: str) -> int | None:
    """Return where words of an old text stand in a new one; nothing unless they stand as often in both."""
    if not words:
        return None
    before = list(_places(words, old))
    after = list(_places(words, new))
    if len(before) != len(after):
        return None
    return next((b for a, b in zip(before, after, strict=True) if a >= near), None)


def _places(words: str, text: str) -> Iterator[int]:
    at = text.find(words)
    while at >= 0:
        yield at
        at = text.find(words, at + len(words))


@lru_cache(maxsize=4)
def load_decisions(paths: tuple[str, ...]) -> Decisions:
    """Return the decisions in files; of two about the same text the later one counts. Read once per process.

    Raises:
        ConfigError: one of the files cannot be read as decisions.
    """
    from .errors import ConfigError, UsageError
    from .evaluation import read_gold

    decisions = Decisions({}, {}, {})
    for path in paths:
        try:
            for gold in read_gold(Path(path)):
                decisions.add(gold)
        except UsageError as error:
            raise ConfigError(str(error)) from error
    return decisions


def honour(documents: Sequence[Document], config: Config) -> list[Document]:
    """Return the documents with the labels that people decided on; `source` is then `review`.

    A decision cuts spans where it begins and ends. It changes no language.

    Raises:
        ConfigError: a file in `config.decisions` cannot be read.
    """
    if not config.decisions:
        return list(documents)
    return decide(documents, load_decisions(config.decisions))


def decide(documents: Sequence[Document], decisions: Decisions) -> list[Document]:
    """Return the documents as `honour` does, with given decisions."""
    return [_decided(document, list(decisions.of(document))) for document in documents]


def _decided(document: Document, found: Sequence[tuple[int, int, GoldSpan]]) -> Document:
    if not found:
        return document
    spans: Iterable[Span] = document.spans
    for start, end, decision in found:
        start, end = _with_blank(document.text, start, end)
        spans = [piece for span in spans for piece in _cut(document.text, span, start, end, decision)]
    seen = [_with_blank(document.text, start, end) for start, end, _ in found]
    review = document.review
    if review is not None:
        review = tuple(span for span in review if not any(s < span.end and span.start < e for s, e in seen))
    return replace(document.with_spans(spans), review=review)


def _with_blank(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a stretch with the blank space behind it, which belongs to it, and that at the head of the text."""
    while end < len(text) and text[end].isspace():
        end += 1
    return (0 if not text[:start].strip() else start), end


def _cut(text: str, span: Span, start: int, end: int, decision: GoldSpan) -> Iterator[Span]:
    low, high = max(span.start, start), min(span.end, end)
    if low >= high:
        yield span
        return
    if span.start < low:
        yield replace(span, end=low)
    if span.label in decision.accept and span.label != decision.label:
        yield replace(span, start=low, end=high)
    else:
        label = cast("Label", decision.label)
        category = _category(text[low:high], span, decision) if label == "boilerplate" else ""
        yield Span(low, high, label, span.lang, 1.0, SOURCE, category, (_REASON,))
    if high < span.end:
        yield replace(span, start=high)


def _category(text: str, span: Span, decision: GoldSpan) -> str:
    return decision.category or span.category or ("navigation" if len(text.split()) <= _SHORT_WORDS else "related")
