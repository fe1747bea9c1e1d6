"""The cleaner without its learned model, in the shape the scoring script of the labelled data calls."""

from __future__ import annotations

from filter.clean import mark
from filter.config import Config
from filter.document import Document
from filter.segment import segment


def clean(text: str) -> list[tuple[int, int]]:
    """Return the stretches of a text that rules and structure leave in place."""
    document = mark([segment(Document(text))], Config())[0]
    return [(span.start, span.end) for span in document.spans if span.label in ("content", "ai_padding")]
