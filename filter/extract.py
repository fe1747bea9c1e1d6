"""HTML or plain text to Document; the only importer of trafilatura. It does not judge."""

from __future__ import annotations

from .config import Config
from .document import Document, Record
from .errors import InputError

__all__ = ["extract"]


def extract(record: Record, config: Config) -> Document:
    """Return the record's text, or the text extracted from its HTML, as a document without spans.

    Raises:
        InputError: the HTML holds no text that can be extracted.
    """
    text = record.text if record.text is not None else _html_text(record, config)
    return Document(text, id=record.id, url=record.url, meta=record.meta)


def _html_text(record: Record, config: Config) -> str:
    import trafilatura

    text = trafilatura.extract(record.html, url=record.url, include_comments=True, include_tables=True)
    if not text:
        raise InputError("no text found in the HTML", remedy="check that it is a whole page, or give its text instead")
    return str(text)
