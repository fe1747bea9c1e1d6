"""Cuts text into line spans. It does not judge."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .document import Document, Span

__all__ = ["line_bounds", "segment"]

# Not str.splitlines: it also cuts at form feeds, NEL and U+2028, which stand inside lines of scraped text.
_LINE = re.compile(r"[^\s][^\r\n]*")


def line_bounds(text: str) -> Iterator[tuple[int, int]]:
    r"""Yield `(start, end)` of each line that is not blank, without the blanks around it, in code points.

    A line ends at CR, LF or both.

    >>> list(line_bounds("One\r\n\r\n  two  \n"))
    [(0, 3), (9, 12)]
    """
    for match in _LINE.finditer(text):
        start, end = match.span()
        yield start, start + len(text[start:end].rstrip())


def segment(document: Document) -> Document:
    r"""Return the document with one span per line; blank space belongs to the span before it.

    The first span takes the blanks before it too. A text of blanks is one span, an empty text none.

    >>> [(span.start, span.end) for span in segment(Document("\nOne\n\ntwo\n")).spans]
    [(0, 6), (6, 10)]
    """
    starts = [match.start() for match in _LINE.finditer(document.text)] or [0]
    starts[0] = 0
    ends = [*starts[1:], len(document.text)]
    return document.with_spans(Span(start, end) for start, end in zip(starts, ends, strict=True) if end > start)
